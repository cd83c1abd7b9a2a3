//! What is counted: the same as happened, in a form that others read, and nothing that callers make up.

mod cost;
mod deployed;
mod exposition;
mod otlp;
mod price;
mod state;
mod table;

use std::collections::BTreeSet;

use self::exposition::Exposition;
use self::table::assert_listed;
use crate::admin::TWO_KEYS;
use crate::admin::side::Side;
use crate::support::{Behaviour, Match, ScriptedUpstream, chat, chat_stream, until};

/// What `/metrics` says.
async fn metrics(side: &Side) -> Exposition {
    let answer = side.get("/metrics").send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4");
    let told = Exposition::read(answer.text());
    assert_listed(&told);
    told
}

/// What it says once so many requests have ended.
async fn after(side: &Side, requests: f64) -> Exposition {
    let counted = async || metrics(side).await.sum("pointsman_requests_total", &[]) >= requests;
    until("the requests to be counted", counted).await;
    metrics(side).await
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

async fn two(more: &str) -> (ScriptedUpstream, ScriptedUpstream, Side) {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::start().await;
    let yaml = format!("{TWO_KEYS}{more}");
    let side = Side::start(&yaml, &[("a", &a), ("b", &b)]).await;
    (a, b, side)
}

#[tokio::test]
async fn numbers_agree_with_what_upstreams_and_callers_saw() {
    let (a, b, side) = two("").await;
    let limited = Behaviour::rate_limited().header("retry-after", "60");
    a.on(Match::key("k1"), [limited]);
    a.on(
        Match::key("k2"),
        [
            Behaviour::says("one"),
            Behaviour::fails(500),
            Behaviour::fails(500),
            Behaviour::says("two"),
            Behaviour::streams(&["a", "b"]),
            Behaviour::error(400, "bad", "what?"),
        ],
    );
    b.on(Match::any(), [Behaviour::says("b")]);
    let mut requests = 0.0;
    for (stream, status) in [
        (false, 200),
        (false, 200),
        (false, 200),
        (true, 200),
        (false, 400),
    ] {
        let body = if stream {
            chat_stream("smart")
        } else {
            chat("smart")
        };
        let answer = side.gateway.post_chat(body).send().await;
        assert_eq!(answer.status, status, "{}", answer.text());
        requests += 1.0;
    }
    let answered = requests;
    let unknown = side.gateway.chat("nothing of the kind").send().await;
    unknown.assert_error(404, "model_not_found");
    side.gateway
        .post_chat("{")
        .send()
        .await
        .assert_error(400, "invalid_json");
    requests += 2.0;

    let told = after(&side, requests).await;
    let sum = |name: &str, labels: &[(&str, &str)]| told.sum(name, labels);
    assert_eq!(sum("pointsman_requests_total", &[]), requests);
    assert_eq!(
        sum(
            "pointsman_requests_total",
            &[("outcome", "answered"), ("target", "smart")]
        ),
        answered
    );
    assert_eq!(
        sum(
            "pointsman_requests_total",
            &[("outcome", "model_not_found"), ("target", "other")]
        ),
        1.0
    );
    assert_eq!(
        sum(
            "pointsman_requests_total",
            &[("outcome", "invalid_json"), ("target", "none")]
        ),
        1.0
    );
    assert_eq!(
        sum("http_server_request_duration_seconds_count", &[]),
        requests
    );
    let bad = [
        ("http_response_status_code", "400"),
        ("error_type", "invalid_json"),
    ];
    assert_eq!(sum("http_server_request_duration_seconds_count", &bad), 1.0);

    // Attempts: as many as each upstream saw, by whichever way they are counted.
    let seen = |upstream: &ScriptedUpstream| number(upstream.count());
    let by_upstream = |name: &str| sum("pointsman_attempts_total", &[("upstream", name)]);
    assert_eq!(by_upstream("a:m"), seen(&a));
    assert_eq!(by_upstream("b:mb"), seen(&b));
    let attempts = seen(&a) + seen(&b);
    assert_eq!(sum("pointsman_key_attempts_total", &[]), attempts);
    assert_eq!(
        sum("gen_ai_client_operation_duration_seconds_count", &[]),
        attempts
    );
    assert_eq!(sum("pointsman_request_attempts_sum", &[]), attempts);
    let keys = a.keys();
    for (key, id) in [("k1", "a#1"), ("k2", "a#2")] {
        let used = number(keys.iter().filter(|used| *used == key).count());
        assert_eq!(sum("pointsman_key_attempts_total", &[("key", id)]), used);
    }
    let limited = [("outcome", "rate_limited"), ("upstream", "a:m")];
    assert_eq!(sum("pointsman_attempts_total", &limited), 1.0);
    let failed = [
        ("error_type", "rate_limited"),
        ("gen_ai_provider_name", "a"),
    ];
    assert_eq!(
        sum("gen_ai_client_operation_duration_seconds_count", &failed),
        1.0
    );
    assert!(
        sum(
            "pointsman_attempts_total",
            &[("attempt_reason", "failover")]
        ) >= 1.0
    );
    assert!(
        sum(
            "pointsman_attempts_total",
            &[("attempt_reason", "next_key")]
        ) >= 1.0
    );

    // Tokens: each whole answer of the script says 3 and 2.
    let whole = sum("pointsman_attempts_total", &[("outcome", "success")])
        - sum(
            "gen_ai_client_operation_time_to_first_chunk_seconds_count",
            &[],
        );
    assert_eq!(
        sum("pointsman_tokens_total", &[("type", "input")]),
        3.0 * whole
    );
    assert_eq!(
        sum("pointsman_tokens_total", &[("type", "output")]),
        2.0 * whole
    );
    let output = [("gen_ai_token_type", "output")];
    assert_eq!(sum("gen_ai_client_token_usage_sum", &output), 2.0 * whole);
    assert_eq!(sum("gen_ai_client_token_usage_count", &output), whole);
    assert!(whole >= 3.0, "{whole}");
}

#[tokio::test]
async fn callers_make_no_labels() {
    let echo = "llm: {providers: [{name: echo}, {name: open, base_url: <a>, api_key: k}]}";
    let a = ScriptedUpstream::start().await;
    let side = Side::start(echo, &[("a", &a)]).await;
    let mut sent = 0.0;
    for n in 0..30 {
        let id = format!("id-{n}");
        for model in [format!("open:made-up-{n}"), format!("unknown-{n}")] {
            let call = side.gateway.chat(&model).header("x-request-id", &id);
            call.header("user-agent", &id).send().await;
            sent += 1.0;
        }
    }
    let told = after(&side, sent).await;
    assert_eq!(told.values("pointsman_requests_total", "target"), ["other"]);
    assert_eq!(
        told.values("pointsman_attempts_total", "upstream"),
        ["open:other"]
    );
    let models = told.values(
        "gen_ai_client_operation_duration_seconds_count",
        "gen_ai_request_model",
    );
    assert_eq!(models, ["other"]);
    assert_eq!(a.count(), 30);
    let answer = side.get("/metrics").send().await;
    for made_up in ["made-up", "unknown-", "id-1"] {
        assert!(!answer.text().contains(made_up), "{made_up}");
    }
}

#[tokio::test]
async fn clients_are_told_apart_and_strangers_are_nobody() {
    let clients = "
clients:
  - {name: ci, token: 0123456789abcdefghij}
  - {name: web, token: abcdefghij0123456789, allow: [nothing]}
";
    let (_a, _b, side) = two(clients).await;
    let ask = |token: &'static str| side.gateway.chat("b").header("authorization", token);
    assert_eq!(ask("Bearer 0123456789abcdefghij").send().await.status, 200);
    ask("Bearer abcdefghij0123456789")
        .send()
        .await
        .assert_error(403, "target_not_allowed");
    ask("Bearer nobody")
        .send()
        .await
        .assert_error(401, "invalid_client_token");
    let told = after(&side, 3.0).await;
    let count = |client: &str, outcome: &str| {
        told.sum(
            "pointsman_requests_total",
            &[("client", client), ("outcome", outcome)],
        )
    };
    assert_eq!(count("ci", "answered"), 1.0);
    assert_eq!(count("web", "target_not_allowed"), 1.0);
    assert_eq!(count("none", "invalid_client_token"), 1.0);
    assert_eq!(
        told.values("pointsman_client_in_flight", "client"),
        ["ci", "web"]
    );
}

#[tokio::test]
async fn the_admin_token_guards_it() {
    let yaml = "server: {admin_token: 0123456789abcdefghij}\nllm: {providers: [{name: echo}]}";
    let side = Side::start(yaml, &[]).await;
    assert_eq!(side.get("/metrics").send().await.status, 401);
    let token = "Bearer 0123456789abcdefghij";
    let answer = side
        .get("/metrics")
        .header("authorization", token)
        .send()
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), "no-store");
    // Callers of the data listener see nothing of it.
    assert_eq!(side.gateway.get("/metrics").send().await.status, 404);
}

#[tokio::test]
async fn what_streams_and_waits_take_is_measured() {
    let (a, _b, side) = two("dispatch: {await_cooldown: 10s}").await;
    let usage = r#"{"id":"x","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":1}}}"#;
    let parts = [
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}",
        usage,
        "[DONE]",
    ];
    let events = parts.map(|data| format!("data: {data}\n\n"));
    let limited = Behaviour::rate_limited().header("retry-after-ms", "300");
    a.on(
        Match::key("k1"),
        [limited.clone(), Behaviour::events(events)],
    );
    a.on(Match::key("k2"), [limited]);
    let answer = side.gateway.post_chat(chat_stream("a")).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = after(&side, 1.0).await;
    let sum = |name: &str, labels: &[(&str, &str)]| told.sum(name, labels);
    let waits = "pointsman_queue_wait_seconds";
    assert_eq!(
        sum(&format!("{waits}_count"), &[("result", "admitted")]),
        1.0
    );
    let waited = sum(&format!("{waits}_sum"), &[("result", "admitted")]);
    assert!((0.1..10.0).contains(&waited), "{waited}");
    let first = "gen_ai_client_operation_time_to_first_chunk_seconds_count";
    assert_eq!(sum(first, &[]), 1.0);
    assert_eq!(
        sum("pointsman_time_per_output_token_seconds_count", &[]),
        1.0
    );
    for (kind, tokens) in [
        ("input", 9.0),
        ("output", 3.0),
        ("cached_input", 4.0),
        ("reasoning", 1.0),
    ] {
        assert_eq!(
            sum("pointsman_tokens_total", &[("type", kind)]),
            tokens,
            "{kind}"
        );
    }
    // What we added is not what was waited for.
    let total = sum("http_server_request_duration_seconds_sum", &[]);
    let own = sum("pointsman_overhead_seconds_sum", &[]);
    assert!(
        total >= waited && own < total - waited,
        "{own} of {total}, {waited} waited"
    );
}

#[tokio::test]
async fn who_gives_up_waiting_is_measured_too() {
    let (a, _b, side) = two("dispatch: {await_cooldown: 200ms}").await;
    let gate = crate::support::Gate::new();
    let yaml = "
llm: {providers: [{name: a, base_url: <a>, model: m, api_key: k, limits: {max_in_flight: 1}}]}
dispatch: {await_cooldown: 200ms}
";
    drop(side);
    a.on(
        Match::any(),
        [Behaviour::says("late").gate(crate::support::At::BeforeHead, &gate)],
    );
    let side = Side::start(yaml, &[("a", &a)]).await;
    let first = side.gateway.chat("a").spawn();
    a.wait_for(1).await;
    let second = side.gateway.chat("a").send().await;
    assert_eq!(second.status, 429, "{}", second.text());
    gate.open();
    assert_eq!(first.await.unwrap().says(), "late");
    let told = after(&side, 2.0).await;
    let gave_up = [("result", "timed_out")];
    assert_eq!(
        told.sum("pointsman_queue_wait_seconds_count", &gave_up),
        1.0
    );
}

#[tokio::test]
async fn everything_on_the_list_can_be_seen() {
    let priced = |model| format!("model: {model}, price: {{input: 1, output: 2}},");
    let yaml = TWO_KEYS.replace("model: m,", &priced("m"));
    let yaml = yaml.replace("model: mb,", &priced("mb"));
    let clients =
        "clients: [{name: ci, token: 0123456789abcdefghij, budgets: [{amount: 9, every: day}]}]";
    let (a, b) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    let side = Side::start(&format!("{yaml}{clients}"), &[("a", &a), ("b", &b)]).await;
    let learned = Behaviour::says("x")
        .header("x-ratelimit-limit-requests", "100")
        .header("x-ratelimit-remaining-requests", "99")
        .header("x-ratelimit-reset-requests", "600s");
    a.on(Match::any(), [learned]);
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3}}"#;
    let parts = [
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}",
        usage,
        "[DONE]",
    ];
    let events = parts.map(|data| format!("data: {data}\n\n"));
    b.on(Match::any(), [Behaviour::events(events)]);
    let token = "Bearer 0123456789abcdefghij";
    for body in [chat("a"), chat_stream("b")] {
        let call = side.gateway.post_chat(body).header("authorization", token);
        assert_eq!(call.send().await.status, 200);
    }
    side.post("/admin/v1/reload", "").send().await;
    let seen = async || -> BTreeSet<String> {
        let told = after(&side, 2.0).await;
        told.0.into_keys().collect()
    };
    // What only some configurations have.
    let elsewhere = [
        "pointsman_otlp_exports_total",
        "pointsman_otlp_spans_total",
        "pointsman_key_concurrency_limit",
        // Of targets that are ranked: `routing::stories`.
        "pointsman_ranking_place",
        "pointsman_affinity_total",
        // Of expressions: `routing::expressions`.
        "pointsman_conditions_failed_total",
        // Of kept answers: `cache`.
        "pointsman_cache_lookups_total",
        "pointsman_cache_saved_tokens_total",
        "pointsman_cache_saved_cost_total",
        "pointsman_cache_entries",
        "pointsman_cache_size_bytes",
        "pointsman_cache_limit_bytes",
        // Of fleets: `fleet`.
        "pointsman_fleet_up",
        "pointsman_fleet_lag_seconds",
        "pointsman_fleet_nodes",
        "pointsman_fleet_facts",
        "pointsman_fleet_unsent_facts",
        "pointsman_fleet_share",
        "pointsman_fleet_claim",
    ];
    let wanted: BTreeSet<String> = table::names()
        .into_iter()
        .filter(|name| !elsewhere.contains(&name.as_str()))
        .collect();
    // Learned limits are published once a second.
    until("all metrics", async || seen().await.is_superset(&wanted)).await;
}

/// The breaker opens with the first failure, so that the retry for which the request pauses goes elsewhere.
#[tokio::test]
async fn a_pause_is_not_what_we_add_and_a_provider_is_a_target_of_its_own() {
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k, circuit_breaker: {failure_threshold: 1}, retry: {waits: [400ms]}}
    - {name: b, base_url: <b>, model: m, api_key: k}
  virtual: [{name: v, upstreams: [a, b]}]
";
    let a = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let b = ScriptedUpstream::playing([Behaviour::says("b")]).await;
    let side = Side::start(yaml, &[("a", &a), ("b", &b)]).await;
    assert_eq!(side.gateway.chat("v").send().await.says(), "b");
    assert_eq!(side.gateway.chat("b").send().await.says(), "b");
    assert_eq!(a.count(), 1);
    let told = after(&side, 2.0).await;
    let own = told.sum("pointsman_overhead_seconds_sum", &[]);
    assert!(own < 0.4, "{own}");
    for target in ["v", "b"] {
        let requests = told.sum("pointsman_requests_total", &[("target", target)]);
        assert!((requests - 1.0).abs() < 0.1, "{target}: {requests}");
    }
}
