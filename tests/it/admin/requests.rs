//! The latest requests and their stories: where each could go, where it went, why, and what became of it.

use serde_json::{Value, json};

use super::TWO_KEYS;
use super::side::Side;
use crate::support::{At, Behaviour, Match, ScriptedUpstream};

async fn two() -> (ScriptedUpstream, ScriptedUpstream, Side) {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::start().await;
    let side = Side::start(TWO_KEYS, &[("a", &a), ("b", &b)]).await;
    (a, b, side)
}

async fn trace_of(side: &Side, id: &str) -> Value {
    let path = format!("/admin/v1/requests/{id}");
    let answer = side.get(&path).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn column(tries: &Value, name: &str) -> Vec<Value> {
    let tries = tries.as_array().unwrap().iter();
    tries.map(|one| one[name].clone()).collect()
}

#[tokio::test]
async fn a_trace_says_where_each_attempt_went_and_why() {
    let (a, b, side) = two().await;
    let limited = || Behaviour::rate_limited().header("retry-after", "30");
    a.on(Match::any(), [limited(), Behaviour::fails(400)]);
    a.on(
        Match::key("k2"),
        [Behaviour::error(500, "x", "out of order")],
    );
    b.on(Match::any(), [Behaviour::says("b")]);
    let call = side.gateway.chat("smart").header("x-request-id", "one");
    assert_eq!(call.send().await.says(), "b");
    let told = trace_of(&side, "one").await;
    assert_eq!(
        (&told["target"], &told["outcome"], &told["status"]),
        (&json!("smart"), &json!("answered"), &json!(200))
    );
    assert_eq!(told["chain"], json!(["a:m", "b:mb"]));
    let tries = &told["tries"];
    let last = column(tries, "attempt_reason").len() - 1;
    assert_eq!(column(tries, "attempt_reason")[0], "first");
    assert_eq!(column(tries, "attempt_reason")[1], "next_key");
    assert_eq!(column(tries, "attempt_reason")[last], "failover");
    assert_eq!(column(tries, "key")[..2], [json!("a#1"), json!("a#2")]);
    assert_eq!(column(tries, "outcome")[last], "success");
    let detail = tries[1]["detail"].as_str().unwrap();
    assert!(detail.contains("out of order"), "{detail}");
    // The first upstream failed this request: it was not passed over for another reason.
    let passed = &tries[last]["passed_over"];
    assert_eq!(passed[0]["upstream"], "a:m");
    let (asked, ended) = (&tries[last]["asked_ms"], &tries[last]["ended_ms"]);
    assert!(asked.as_f64() <= ended.as_f64() && ended.as_f64() <= told["total_ms"].as_f64());
    assert_eq!(
        (&told["refused"], &told["attempts"]),
        (&Value::Null, &json!(last + 1))
    );
}

#[tokio::test]
async fn who_was_passed_over_is_told_with_the_reason_and_its_end() {
    let (a, b, side) = two().await;
    a.on(
        Match::any(),
        [Behaviour::rate_limited().header("retry-after", "30")],
    );
    b.on(Match::any(), [Behaviour::says("b")]);
    side.gateway.chat("smart").send().await;
    side.gateway
        .chat("smart")
        .header("x-request-id", "two")
        .send()
        .await;
    let told = trace_of(&side, "two").await;
    let first = &told["tries"][0];
    assert_eq!(
        (&first["upstream"], &first["attempt_reason"]),
        (&json!("b:mb"), &json!("first"))
    );
    let passed = &first["passed_over"][0];
    assert_eq!(
        (&passed["upstream"], &passed["reason"]),
        (&json!("a:m"), &json!("cooling"))
    );
    assert!(passed["until"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn a_request_that_nobody_could_take_tells_what_each_said() {
    let (a, _b, side) = two().await;
    a.on(
        Match::any(),
        [Behaviour::rate_limited().header("retry-after", "30")],
    );
    side.gateway.chat("a").awaits("0").send().await;
    let call = side
        .gateway
        .chat("a")
        .awaits("0")
        .header("x-request-id", "no");
    call.send().await.assert_error(429, "cooling_down");
    let told = trace_of(&side, "no").await;
    assert_eq!(
        (&told["outcome"], &told["upstream"]),
        (&json!("cooling_down"), &Value::Null)
    );
    let refused = &told["refused"];
    assert_eq!(refused["cause"], "wait_forbidden");
    assert_eq!(refused["declined"][0]["reason"], "cooling");
}

#[tokio::test]
async fn the_list_is_newest_first_and_can_be_narrowed() {
    let (a, b, side) = two().await;
    a.on(Match::any(), [Behaviour::says("a")]);
    b.on(Match::any(), [Behaviour::fails(500)]);
    for (target, id) in [("a", "r1"), ("b", "r2"), ("a", "r3")] {
        side.gateway
            .chat(target)
            .header("x-request-id", id)
            .send()
            .await;
    }
    let list = |query: &str| side.get(&format!("/admin/v1/requests{query}")).send();
    let ids = |list: &Value| column(&list["requests"], "id");
    let all = list("").await.json();
    assert_eq!(ids(&all), ["r3", "r2", "r1"]);
    assert_eq!((&all["kept"], &all["latest"]), (&json!(1000), &json!(3)));
    assert_eq!(ids(&list("?outcome=failed").await.json()), ["r2"]);
    assert_eq!(ids(&list("?limit=1&before=3").await.json()), ["r2"]);
    assert_eq!(ids(&list("?target=a&limit=1").await.json()), ["r3"]);
    for wrong in ["?limit=0", "?limit=x", "?outcom=failed"] {
        assert_eq!(list(wrong).await.status, 400, "{wrong}");
    }
    assert_eq!(side.get("/admin/v1/requests/r9").send().await.status, 404);
    assert_eq!(trace_of(&side, "2").await["id"], "r2");
}

#[tokio::test]
async fn a_stream_tells_when_its_first_byte_and_its_first_token_came() {
    let (a, _b, side) = two().await;
    a.on(
        Match::any(),
        [Behaviour::streams(&["x", "y"]).pause(At::BeforeHead, crate::support::ms(30))],
    );
    let call = side.gateway.chat_stream("a").header("x-request-id", "s");
    call.stream().await.text().await;
    let told = loop {
        let answer = side.get("/admin/v1/requests/s").send().await;
        if answer.status == 200 {
            break answer.json();
        }
        tokio::task::yield_now().await;
    };
    let one = &told["tries"][0];
    let at = |name: &str| one[name].as_f64().unwrap();
    assert!(at("started_ms") + 25.0 <= at("first_byte_ms"));
    assert!(at("first_byte_ms") <= at("first_token_ms"));
    assert!(at("first_token_ms") <= at("ended_ms"));
    assert_eq!(told["stream"], true);
}

#[tokio::test]
async fn requests_refused_before_any_decision_evict_no_trace() {
    let (a, _b, side) = two().await;
    a.on(Match::any(), [Behaviour::says("a")]);
    let call = side.gateway.chat("a").header("x-request-id", "2");
    call.send().await;
    for _ in 0..3 {
        let answer = side.gateway.chat("nobody").send().await;
        answer.assert_error(404, "model_not_found");
    }
    side.gateway.chat("a").send().await;
    let list = side.get("/admin/v1/requests").send().await.json();
    assert_eq!(column(&list["requests"], "number"), [json!(2), json!(1)]);
    // Nor does an id that looks like a number hide another request.
    assert_eq!(trace_of(&side, "2").await["number"], 2);
    let history = side.get("/admin/v1/history").send().await.json();
    let points = history["points"].as_array().unwrap();
    let requests: u64 = points
        .iter()
        .map(|it| it["requests"].as_u64().unwrap())
        .sum();
    assert_eq!(requests, 5);
}
