//! Whole answers that are fetched as streams: they are as whole as any other, and what goes wrong on the way is hidden.

use serde_json::{Value, json};

use crate::support::behaviour::{DONE, chunk, event, finish, role};
use crate::support::{At, Behaviour, Gateway, Match, ScriptedUpstream, ms};

const SETUP: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m-a, api_key: sk-a-0123456789, retry: {same_upstream: 0}, timeouts: {idle: 200ms, first_token: 1s}}
    - {name: b, base_url: <b>, model: m-b, api_key: sk-b-0123456789, retry: {same_upstream: 0}}
    - {name: s, base_url: <b>, model: m-s, api_key: sk-s-0123456789, fetch: stream, responses: translate}
  virtual:
    - {name: v, upstreams: [a, b], fetch: stream}
    - {name: w, upstreams: [a, b]}
    - {name: i, upstreams: [b, a], profile: interactive}
dispatch: {await_cooldown: 0s}
";

async fn setup() -> (ScriptedUpstream, ScriptedUpstream, Gateway) {
    let (a, b) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    let gateway = Gateway::start(SETUP, &[("a", &a), ("b", &b)]).await;
    (a, b, gateway)
}

fn usage() -> String {
    event(
        r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"upstream-model","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
    )
}

fn whole(words: &[&str]) -> Behaviour {
    let mut events = vec![role()];
    events.extend(words.iter().map(|word| chunk(word)));
    events.extend([finish("stop"), usage(), DONE.to_owned()]);
    Behaviour::events(events)
}

#[tokio::test]
async fn a_stream_is_put_together_and_asked_for_where_that_is_said() {
    let (a, b, gateway) = setup().await;
    a.on(Match::any(), [whole(&["Hel", "lo"])]);
    b.on(Match::any(), [whole(&["Hel", "lo"])]);
    for target in ["v", "s", "i"] {
        let answer = gateway.chat(target).send().await;
        assert_eq!((answer.status, &*answer.says()), (200, "Hello"), "{target}");
        let body = answer.json();
        assert_eq!(body["object"], "chat.completion");
        assert_eq!(body["usage"]["total_tokens"], 5);
        assert_eq!(body["choices"][0]["finish_reason"], "stop");
        assert!(
            answer
                .header("content-type")
                .starts_with("application/json")
        );
        let sent = [&a, &b]
            .iter()
            .filter_map(|one| one.requests().pop())
            .max_by_key(|one| one.at)
            .unwrap();
        assert_eq!(sent.json()["stream"], true, "{target}");
    }
    // Who is not asked to does not.
    a.on(Match::any(), [Behaviour::says("plain")]);
    assert_eq!(gateway.chat("w").send().await.says(), "plain");
    assert_eq!(
        a.requests().pop().unwrap().json().get("stream"),
        None::<&Value>
    );
    // And who streams nothing is good enough.
    assert_eq!(gateway.chat("v").send().await.says(), "plain");
}

#[tokio::test]
async fn a_stream_that_breaks_off_or_falls_silent_is_begun_again_elsewhere() {
    for broken in [
        whole(&["Hel", "lo"]).reset(At::AfterPart(2)),
        whole(&["Hel", "lo"]).hang(At::AfterPart(2)),
        Behaviour::events([
            role(),
            chunk("Hel"),
            event(r#"{"error":{"message":"overloaded","code":503}}"#),
        ]),
        whole(&["x"]).hang(At::AfterHead),
    ] {
        let (a, b, gateway) = setup().await;
        a.on(Match::any(), [broken.clone()]);
        b.on(Match::any(), [whole(&["Other", " words"])]);
        let answer = gateway.chat("v").send().await;
        assert_eq!((answer.status, &*answer.says()), (200, "Other words"));
        // Nothing of the first one went out: the second one gave the answer.
        assert_eq!(answer.header("x-pointsman-upstream"), "b:m-b");
        assert_eq!(answer.header("x-pointsman-key"), "b#1");
        assert_eq!(answer.header("x-pointsman-attempts"), "2");
        b.on(
            Match::any(),
            [whole(&["Hel", "lo"]).reset(At::AfterPart(2))],
        );
        let (a, b, gateway) = setup().await;
        for upstream in [&a, &b] {
            upstream.on(
                Match::any(),
                [whole(&["Hel", "lo"]).reset(At::AfterPart(2))],
            );
        }
        gateway
            .chat("v")
            .send()
            .await
            .assert_error(502, "upstreams_exhausted");
    }
}

#[tokio::test]
async fn calls_and_other_dialects_are_put_together_too() {
    let (_a, b, gateway) = setup().await;
    let call = |id: &str, arguments: &str| {
        let id = if id.is_empty() {
            Value::Null
        } else {
            json!(id)
        };
        event(&json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": id, "type": "function", "function": {"name": if id.is_null() { Value::Null } else { json!("f") }, "arguments": arguments}}]}, "finish_reason": null}]}).to_string())
    };
    b.on(
        Match::any(),
        [Behaviour::events([
            role(),
            call("t1", "{\"a\""),
            call("", ":1}"),
            finish("tool_calls"),
            usage(),
            DONE.to_owned(),
        ])],
    );
    let answer = gateway.chat("s").send().await.json();
    let made = &answer["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(
        (&made["id"], &made["function"]["arguments"]),
        (&json!("t1"), &json!("{\"a\":1}")),
        "{answer}"
    );
    b.on(Match::any(), [whole(&["Hel", "lo"]).late(ms(1))]);
    let asked =
        json!({"model": "s", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
    let answer = gateway
        .post("/v1/messages", asked.to_string())
        .header("anthropic-version", "2023-06-01")
        .send()
        .await;
    assert_eq!(
        answer.json()["content"][0]["text"],
        "Hello",
        "{}",
        answer.text()
    );
    assert_eq!(answer.json()["stop_reason"], "end_turn");
    let answer = gateway
        .post(
            "/v1beta/models/s:generateContent",
            r#"{"contents":[{"role":"user","parts":[{"text":"x"}]}]}"#,
        )
        .send()
        .await;
    assert_eq!(
        answer.json()["candidates"][0]["content"]["parts"][0]["text"],
        "Hello",
        "{}",
        answer.text()
    );
    let answer = gateway
        .post("/v1/responses", r#"{"model":"s","input":"x"}"#)
        .send()
        .await;
    assert_eq!(
        answer.json()["output"][0]["content"][0]["text"],
        "Hello",
        "{}",
        answer.text()
    );
    assert_eq!(answer.json()["status"], "completed");
}

/// The log line of the last request that failed.
async fn failed_line(gateway: &Gateway, outcome: &str) -> Value {
    let line = gateway.logged(&format!("\"outcome\":\"{outcome}\"")).await;
    serde_json::from_str(&line).unwrap()
}

#[tokio::test]
async fn a_failure_is_told_as_what_the_caller_got() {
    let broken = whole(&["Hel", "lo"]).reset(At::AfterPart(2));
    let (a, b, gateway) = setup().await;
    for upstream in [&a, &b] {
        upstream.on(Match::any(), [broken.clone()]);
    }
    let answer = gateway.chat("v").send().await;
    answer.assert_error(502, "upstreams_exhausted");
    assert_eq!(answer.attempts(), ["a:m-a: network", "b:m-b: network"]);
    let line = failed_line(&gateway, "upstreams_exhausted").await;
    assert_eq!(
        (&line["status"], &line["stream"]),
        (&json!(502), &json!(false)),
        "{line}"
    );
    // Words that talk of a deadline are no deadline.
    let (a, b, gateway) = setup().await;
    let says = event(r#"{"error":{"message":"context deadline exceeded","code":503}}"#);
    for upstream in [&a, &b] {
        let events = [role(), chunk("Hel"), says.clone()];
        upstream.on(Match::any(), [Behaviour::events(events)]);
    }
    let answer = gateway.chat("v").send().await;
    answer.assert_error(502, "upstreams_exhausted");
    assert!(
        answer.text().contains("context deadline exceeded"),
        "{}",
        answer.text()
    );
    // And a deadline is one, whatever words there are.
    let (a, b, gateway) = setup().await;
    for upstream in [&a, &b] {
        upstream.on(Match::any(), [whole(&["Hel", "lo"]).hang(At::AfterPart(2))]);
    }
    let late = gateway.chat("v").header("x-pointsman-deadline", "100ms");
    late.send().await.assert_error(504, "deadline_exceeded");
    let line = failed_line(&gateway, "deadline_exceeded").await;
    assert_eq!(line["status"], 504, "{line}");
}

#[tokio::test]
async fn what_is_gathered_is_bounded_and_counted() {
    let many: Vec<String> = (0..64).map(|_| "x".repeat(16 * 1024)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (a, b) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    for (server, status, code) in [
        (
            "server: {max_answer: 512KiB}",
            502,
            "invalid_upstream_response",
        ),
        (
            "server: {max_buffered: 512KiB, max_body: 128KiB}",
            503,
            "overloaded",
        ),
        (
            "server: {max_event: 8KiB}",
            502,
            "invalid_upstream_response",
        ),
    ] {
        let gateway = Gateway::start(&format!("{server}{SETUP}"), &[("a", &a), ("b", &b)]).await;
        for upstream in [&a, &b] {
            upstream.on(Match::any(), [whole(&many)]);
        }
        let answer = gateway.chat("v").send().await;
        answer.assert_error(status, code);
        let line = failed_line(&gateway, code).await;
        assert_eq!(line["status"], status, "{line}");
        // Nothing of it stays counted.
        for upstream in [&a, &b] {
            upstream.on(Match::any(), [whole(&["Hel", "lo"])]);
        }
        assert_eq!(gateway.chat("v").send().await.says(), "Hello", "{server}");
    }
}
