//! Budgets: what may be spent, on every route, by many at once, across a kill; and what was spent.

use serde_json::{Value, json};

use crate::admin::side::Side;
use crate::support::client::Call;
use crate::support::gateway::Place;
use crate::support::temp::TempDir;
use crate::support::{At, Behaviour, Gate, Match, ScriptedUpstream, chat, until};

const TOKEN: &str = "token-of-ci-0123456789";
const CODE: &str = "client_budget_exhausted";

/// `a` costs 0.001 for each token of an answer, `free` nothing, and of `unknown` nothing is known.
fn yaml(budgets: &str, more: &str) -> String {
    format!(
        "
clients: [{{name: ci, token: {TOKEN}, budgets: [{budgets}]}}]
llm:
  providers:
    - {{name: a, base_url: <a>, model: m, api_key: k, passthrough: true, price: {{input: 0, output: 1000}}}}
    - {{name: b, base_url: <b>, model: m, api_key: k, price: {{input: 0, output: 1000}}, budgets: [{{amount: 0.1, every: total}}]}}
    - {{name: free, base_url: <b>, model: m, api_key: k, price: {{input: 0, output: 0}}}}
    - {{name: fetched, base_url: <a>, model: m, api_key: k, fetch: stream, price: {{input: 0, output: 1000}}}}
    - {{name: paint, base_url: <a>, model: m, api_key: k, price: {{per_image: 0.04}}}}
    - {{name: say, base_url: <a>, model: m, api_key: k, price: {{per_character: 0.000015}}}}
    - {{name: hear, base_url: <a>, model: m, api_key: k, price: {{per_second: 0.0001}}}}
    - {{name: ocr, base_url: <a>, model: m, api_key: k, passthrough: true, price: {{per_page: 0.001}}}}
    - {{name: unknown, base_url: <b>, model: m, api_key: k}}
  virtual:
    - {{name: v, upstreams: [b, unknown, a]}}
{more}"
    )
}

struct Scene {
    a: ScriptedUpstream,
    b: ScriptedUpstream,
    side: Side,
}

impl Scene {
    async fn new(budgets: &str, more: &str) -> Self {
        let (a, b) = (
            ScriptedUpstream::start().await,
            ScriptedUpstream::start().await,
        );
        let places: [(&str, &dyn Place); 2] = [("a", &a), ("b", &b)];
        let side = Side::start(&yaml(budgets, more), &places).await;
        Self { a, b, side }
    }

    fn ask(&self, model: &str, tokens: u32) -> Call<'_> {
        let body = json!({
            "model": model, "max_tokens": tokens,
            "messages": [{"role": "user", "content": "hi"}],
        });
        by_ci(self.side.gateway.post_chat(body.to_string()))
    }

    async fn spend(&self, query: &str) -> Value {
        let path = format!("/admin/v1/spend{query}");
        let answer = self.side.get(&path).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// What the client's first budget says, once nothing is reserved any more.
    async fn settled(&self) -> Value {
        until("all to be settled", async || {
            self.budget().await["reserved"] == "0.000000"
        })
        .await;
        self.budget().await
    }

    async fn spent(&self) -> f64 {
        let spent = self.settled().await["spent"].clone();
        spent.as_str().unwrap().parse().unwrap()
    }

    async fn budget(&self) -> Value {
        let told = self.spend("").await;
        let budgets = told["budgets"].as_array().unwrap().clone();
        let mut of_client = budgets.into_iter().filter(|it| it["of"] == "client");
        of_client.next().unwrap()
    }
}

fn by_ci(call: Call<'_>) -> Call<'_> {
    call.header("authorization", &format!("Bearer {TOKEN}"))
}

/// An answer of so many tokens.
fn answers(tokens: u32) -> Behaviour {
    let body = json!({
        "id": "x", "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": tokens},
    });
    Behaviour::json(200, &body.to_string())
}

#[tokio::test]
async fn many_at_once_never_share_more_than_there_is() {
    let scene = Scene::new("{amount: 1, every: month}", "").await;
    let gate = Gate::new();
    scene
        .a
        .on(Match::any(), [answers(50).gate(At::BeforeHead, &gate)]);
    let calls: Vec<_> = (0..10).map(|_| scene.ask("a", 150).spawn()).collect();
    scene.a.wait_for(6).await;
    until("four to be refused", async || {
        calls.iter().filter(|call| call.is_finished()).count() == 4
    })
    .await;
    assert_eq!(scene.budget().await["reserved"], "0.900000");
    gate.open();
    let mut served = 0;
    for call in calls {
        let answer = call.await.unwrap();
        if answer.status == 200 {
            served += 1;
            continue;
        }
        answer.assert_error(429, CODE);
        assert_eq!(answer.json()["error"]["type"], "insufficient_quota");
        assert_eq!(answer.header("x-should-retry"), "false");
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!(wait > 0 && wait <= 31 * 86_400, "{wait}");
    }
    assert_eq!((served, scene.a.count()), (6, 6));
    assert_eq!(scene.settled().await["spent"], "0.300000");

    // What costs more than it reserved is counted, and not refused half-way.
    scene.a.on(Match::any(), [answers(200)]);
    assert_eq!(scene.ask("a", 150).send().await.status, 200);
    let budget = scene.settled().await;
    assert_eq!(budget["spent"], "0.500000");
    assert_eq!(budget["over_run"], "0.050000");
}

#[tokio::test]
async fn every_route_counts_and_is_refused() {
    let scene = Scene::new("{amount: 0.001, every: total}", "").await;
    scene.a.on(Match::any(), [answers(1)]);
    assert_eq!(scene.ask("a", 1).send().await.status, 200);
    scene.settled().await;
    let asked = scene.a.count();
    let messages = json!([{"role": "user", "content": "hi"}]);
    for (path, body) in [
        (
            "/v1/chat/completions",
            json!({"model": "a", "messages": messages}),
        ),
        (
            "/v1/chat/completions",
            json!({"model": "a", "messages": messages, "stream": true}),
        ),
        ("/v1/completions", json!({"model": "a", "prompt": "hi"})),
        ("/v1/responses", json!({"model": "a", "input": "hi"})),
        (
            "/v1/messages",
            json!({"model": "a", "max_tokens": 5, "messages": messages}),
        ),
        (
            "/v1beta/models/a:generateContent",
            json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
        ),
        ("/passthrough/a/chat/completions", json!({})),
    ] {
        let answer = by_ci(scene.side.gateway.post(path, body.to_string()))
            .send()
            .await;
        assert_eq!(answer.status, 429, "{path}: {}", answer.text());
        assert_eq!(answer.header("x-should-retry"), "false", "{path}");
        assert!(!answer.header("retry-after").is_empty(), "{path}");
    }
    assert_eq!(scene.a.count(), asked);
    // What is free passes, and so does a count of tokens.
    scene.b.on(Match::any(), [answers(9)]);
    assert_eq!(scene.ask("free", 10).send().await.status, 200);
    let count = json!({"model": "a", "messages": messages}).to_string();
    let path = "/v1/messages/count_tokens";
    let answer = by_ci(scene.side.gateway.post(path, count)).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_stream_that_its_caller_leaves_is_paid_for() {
    let scene = Scene::new("{amount: 1, every: day}", "").await;
    let gate = Gate::new();
    let words = Behaviour::streams(&["x", "y", "z"]);
    scene
        .a
        .on(Match::any(), [words.gate(At::AfterPart(2), &gate)]);
    let body = json!({
        "model": "a", "max_tokens": 100, "stream": true,
        "messages": [{"role": "user", "content": "hi"}],
    });
    let call = by_ci(scene.side.gateway.post_chat(body.to_string()));
    let mut stream = call.stream().await;
    stream.until("x").await;
    assert_eq!(scene.budget().await["reserved"], "0.100000");
    drop(stream);
    let spent = scene.settled().await["spent"].clone();
    assert!(spent != "0.000000", "{spent}");
    // One that leaves before anything came has cost what was reserved: nobody knows how far it went.
    let before: f64 = spent.as_str().unwrap().parse().unwrap();
    let closed = Gate::new();
    scene
        .a
        .on(Match::any(), [answers(50).gate(At::BeforeHead, &closed)]);
    let asked = scene.a.count();
    let call = scene.ask("a", 150).spawn();
    scene.a.wait_for(asked + 1).await;
    call.abort();
    let after = scene.settled().await["spent"].clone();
    let after: f64 = after.as_str().unwrap().parse().unwrap();
    assert!((after - before - 0.15).abs() < 1e-9, "{before} {after}");
}

#[tokio::test]
async fn a_providers_budget_and_a_missing_price_leave_its_upstream_out() {
    let scene = Scene::new("{amount: 1, every: total}", "").await;
    scene.a.on(Match::any(), [answers(1)]);
    scene.b.on(Match::any(), [answers(100)]);
    let served = async |tokens| {
        let answer = scene.ask("v", tokens).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        scene.settled().await;
        answer.header("x-pointsman-upstream").to_owned()
    };
    assert_eq!(served(100).await, "b:m");
    let question = json!({"target": "v", "client": "ci", "output_tokens": 100}).to_string();
    let told = scene.side.post("/admin/v1/explain", &question).send().await;
    let told = told.json();
    assert_eq!(told["candidates"][0]["reason"], "budget", "{told}");
    assert_eq!(told["candidates"][1]["reason"], "unpriced", "{told}");
    assert_eq!(served(100).await, "a:m");
    let refused = scene.ask("unknown", 1).send().await;
    refused.assert_error(403, "unpriced_model");
    assert_eq!(refused.header("x-should-retry"), "false");
    let refused = scene.ask("b", 1).send().await;
    refused.assert_error(429, CODE);
    assert!(
        refused.text().contains("provider `b`"),
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn what_a_budget_refuses_may_go_elsewhere() {
    let whole = "dispatch: {budgets: [{amount: 0.005, every: day, then: free}]}\n";
    let scene = Scene::new("{amount: 9, unpriced: allow}", whole).await;
    scene.a.on(Match::any(), [answers(4)]);
    scene.b.on(Match::any(), [answers(4)]);
    let mut upstreams = Vec::new();
    for _ in 0..2 {
        let answer = scene.ask("a", 4).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        upstreams.push(answer.header("x-pointsman-upstream").to_owned());
        scene.settled().await;
    }
    assert_eq!(upstreams, ["a:m", "free:m"]);
}

#[tokio::test]
async fn a_soft_budget_tells_and_lets_through() {
    let scene = Scene::new("{amount: 0.01, every: total, mode: soft}", "").await;
    scene.a.on(Match::any(), [answers(8)]);
    scene.b.on(Match::any(), [answers(8)]);
    for said in ["", "", "soft"] {
        let answer = scene.ask("a", 8).send().await;
        assert_eq!(
            (answer.status, answer.header("x-pointsman-budget")),
            (200, said)
        );
        scene.settled().await;
    }
    // What has no price is no matter of a soft budget.
    assert_eq!(scene.ask("unknown", 8).send().await.status, 200);
    let line = scene.side.gateway.logged(r#""percent":80"#).await;
    assert!(line.contains("client `ci`"), "{line}");
    scene.side.gateway.logged(r#""percent":100"#).await;
    let marks = scene.side.gateway.logs();
    let marks = marks.iter().filter(|line| line.contains(r#""percent""#));
    assert_eq!(marks.count(), 2);
    let told = scene.side.get("/metrics").send().await;
    let mut lines = told.text().lines();
    let line = lines.find(|line| {
        line.starts_with("pointsman_budget_spent{") && line.contains(r#"of="client""#)
    });
    assert!(
        line.is_some_and(|line| line.ends_with(" 0.024")),
        "{line:?}"
    );
}

#[tokio::test]
async fn what_was_spent_is_told_and_outlives_a_kill() {
    let dir = TempDir::new();
    let path = dir.path().join("state.json").display().to_string();
    let (a, b) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    a.on(Match::any(), [answers(10)]);
    let places: [(&str, &dyn Place); 3] = [("a", &a), ("b", &b), ("state", &path)];
    let start = async |budgets: &str| {
        let yaml = yaml(budgets, "state: {path: <state>}\n");
        Side::start(&yaml, &places).await
    };
    let body = chat("a").replacen('{', r#"{"max_tokens":10,"#, 1);
    let side = start("{amount: 0.015, every: month}").await;
    let call = async |side: &Side| by_ci(side.gateway.post_chat(body.clone())).send().await;
    assert_eq!(call(&side).await.status, 200);
    until("it to be written", async || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        text.contains(r#""cost":10000000000"#)
    })
    .await;
    side.gateway.signal("KILL");
    let mut gateway = side.gateway;
    assert!(!gateway.wait_exit().await.success());

    // Another amount and period find what the window has cost.
    for budgets in [
        "{amount: 0.015, every: month}",
        "{amount: 0.019, every: total}",
    ] {
        let side = start(budgets).await;
        call(&side).await.assert_error(429, CODE);
        let told = side
            .get("/admin/v1/spend?by=client,target,provider")
            .send()
            .await;
        let row = json!({
            "client": "ci", "target": "a", "provider": "a", "cost": "0.010000",
            "estimated": "0.000000", "requests": 1, "attempts": 1,
        });
        assert_eq!(told.json()["rows"], json!([row]), "{}", told.text());
        let csv = side
            .get("/admin/v1/spend?by=target&format=csv")
            .send()
            .await;
        assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
        assert_eq!(
            csv.text(),
            "target,cost,estimated,requests,attempts\r\na,0.010000,0.000000,1,1\r\n"
        );
        let wrong = side.get("/admin/v1/spend?by=model").send().await;
        assert_eq!(wrong.status, 400);
        drop(side);
    }
}

#[tokio::test]
async fn a_fetched_answer_that_its_caller_leaves_is_paid_for() {
    let more = "dispatch: {await_cooldown: 0s}\n";
    let scene = Scene::new("{amount: 1, every: day}", more).await;
    let gate = Gate::new();
    let words = Behaviour::streams(&["x", "y", "z"]);
    scene
        .a
        .on(Match::any(), [words.gate(At::AfterPart(3), &gate)]);
    // Something of it came.
    let call = scene.ask("fetched", 150).spawn();
    scene.a.wait_for(1).await;
    call.abort();
    let spent = scene.settled().await["spent"].clone();
    assert!(spent != "0.000000", "{spent}");
    // Nothing of it came.
    let before: f64 = spent.as_str().unwrap().parse().unwrap();
    let closed = Gate::new();
    let words = Behaviour::streams(&["x"]);
    scene
        .a
        .on(Match::any(), [words.gate(At::BeforeHead, &closed)]);
    let call = scene.ask("fetched", 150).spawn();
    scene.a.wait_for(2).await;
    call.abort();
    let after = scene.settled().await["spent"].clone();
    let after: f64 = after.as_str().unwrap().parse().unwrap();
    assert!((after - before - 0.15).abs() < 1e-9, "{before} {after}");
}

#[tokio::test]
async fn a_budget_of_targets_counts_what_goes_to_them() {
    let budgets = "{amount: 0.01, every: total, targets: [v, b]}";
    let scene = Scene::new(budgets, "").await;
    scene.a.on(Match::any(), [answers(8)]);
    scene.b.on(Match::any(), [answers(8)]);
    // Not one of them.
    for _ in 0..3 {
        assert_eq!(scene.ask("a", 8).send().await.status, 200);
    }
    assert_eq!(scene.settled().await["spent"], "0.000000");
    assert_eq!(scene.ask("b:m", 8).send().await.status, 200);
    let budget = scene.settled().await;
    assert_eq!(budget["spent"], "0.008000");
    assert_eq!(budget["targets"], json!(["b", "v"]));
    for target in ["v", "b", "b:m"] {
        let answer = scene.ask(target, 8).send().await;
        answer.assert_error(429, CODE);
        assert!(answer.text().contains("for `b`, `v`"), "{}", answer.text());
    }
    assert_eq!(scene.ask("a", 8).send().await.status, 200);
}

#[tokio::test]
async fn pictures_sound_and_pages_are_paid_by_the_piece() {
    let scene = Scene::new("{amount: 1, every: total}", "").await;
    let pictures = json!({"created": 1, "data": [{"url": "x"}, {"url": "y"}, {"url": "z"}]});
    let read = json!({"pages": [], "usage_info": {"pages_processed": 29}});
    let heard = json!({"text": "hi", "duration": 8.47});
    for (path, behaviour, body, cost) in [
        (
            "/v1/images/generations",
            Behaviour::json(200, &pictures.to_string()),
            json!({"model": "paint", "prompt": "a cat", "n": 3}),
            "0.120000",
        ),
        (
            "/v1/audio/speech",
            Behaviour::body(200, "audio/mpeg", "sound"),
            json!({"model": "say", "input": "twelve chärs", "voice": "x"}),
            "0.000180",
        ),
        (
            "/passthrough/ocr/ocr",
            Behaviour::json(200, &read.to_string()),
            json!({}),
            "0.029000",
        ),
    ] {
        let before = scene.spent().await;
        scene.a.on(Match::any(), [behaviour]);
        let answer = by_ci(scene.side.gateway.post(path, body.to_string()))
            .send()
            .await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let cost: f64 = cost.parse().unwrap();
        let spent = scene.spent().await - before;
        assert!((spent - cost).abs() < 1e-9, "{path}: {spent}");
    }
    scene
        .a
        .on(Match::any(), [Behaviour::json(200, &heard.to_string())]);
    let form = b"--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nhear\r\n--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nabc\r\n--XX--\r\n";
    let gateway = &scene.side.gateway;
    let path = "/v1/audio/transcriptions";
    let call = gateway.call_at(
        gateway.address(),
        reqwest::Method::POST,
        path,
        Some(form.to_vec()),
    );
    let call = call.header("content-type", "multipart/form-data; boundary=XX");
    let before = scene.spent().await;
    let answer = by_ci(call).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let spent = scene.spent().await - before;
    assert!((spent - 0.0009).abs() < 1e-9, "nine seconds begun: {spent}");
}
