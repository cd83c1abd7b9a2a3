//! An answer is kept once, and told as a stream or as a whole.

use serde_json::{Value, json};

use super::{Scene, question, result};
use crate::admin::side::Side;
use crate::support::behaviour::{DONE, event, finish, role};
use crate::support::client::spoken;
use crate::support::{At, Behaviour, Match, ScriptedUpstream, until};

fn delta(delta: &Value) -> String {
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "upstream-model",
        "choices": [{"index": 0, "delta": delta, "finish_reason": null}],
    });
    event(&chunk.to_string())
}

fn usage() -> String {
    event(
        r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"upstream-model","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}"#,
    )
}

/// Reasoning, a text in two pieces, a call and token counts.
fn full() -> Behaviour {
    Behaviour::events([
        role(),
        delta(&json!({"reasoning_content": "r"})),
        delta(&json!({"content": "a"})),
        delta(&json!({"content": "b"})),
        delta(
            &json!({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
        ),
        delta(&json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"x\":"}}]})),
        delta(&json!({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]})),
        finish("tool_calls"),
        usage(),
        DONE.to_owned(),
    ])
}

fn streamed() -> Value {
    json!({"stream": true, "stream_options": {"include_usage": true}})
}

#[tokio::test]
async fn a_stream_and_a_whole_answer_are_one_entry() {
    let scene = Scene::new("", "").await;
    scene.plays([full(), Behaviour::says("other")]);
    let stream = scene.ask(&streamed()).stream().await;
    assert_eq!(stream.header("x-pointsman-cache"), "miss");
    assert_eq!(spoken(&stream.text().await), "ab");
    let whole = scene.asked(&json!({})).await;
    assert_eq!(result(&whole), "hit");
    assert_eq!(whole.header("x-pointsman-cost"), "0");
    let answer = whole.json();
    let message = &answer["choices"][0]["message"];
    assert_eq!(message["reasoning_content"], "r");
    assert_eq!(message["content"], "ab");
    let call = &message["tool_calls"][0];
    assert_eq!(
        (&call["id"], &call["function"]["name"]),
        (&json!("call_1"), &json!("f"))
    );
    assert_eq!(call["function"]["arguments"], "{\"x\":1}");
    assert_eq!(
        answer["usage"],
        json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15})
    );
    assert_eq!(
        (&answer["object"], &answer["id"]),
        (&json!("chat.completion"), &json!("chatcmpl-1"))
    );
    let again = scene.ask(&streamed()).stream().await;
    assert_eq!(again.header("x-pointsman-cache"), "hit");
    assert_eq!(again.header("x-pointsman-cost"), "0");
    assert_eq!(again.header("cache-control"), "private, no-store");
    assert!(
        again
            .header("content-type")
            .starts_with("text/event-stream")
    );
    let text = again.text().await;
    let places = [
        "\"r\"",
        "\"ab\"",
        "call_1",
        "\"finish_reason\":\"tool_calls\"",
        "prompt_tokens",
        "[DONE]",
    ];
    let places = places.map(|mark| text.find(mark).unwrap_or_else(|| panic!("{mark}: {text}")));
    assert!(places.is_sorted(), "{text}");
    let plain = scene
        .ask(&json!({"stream": true}))
        .stream()
        .await
        .text()
        .await;
    assert!(
        !plain.contains("prompt_tokens") && plain.ends_with(DONE),
        "{plain}"
    );
    assert_eq!(scene.upstream.count(), 1);
}

#[tokio::test]
async fn what_a_kept_stream_saves_is_counted() {
    let upstream = ScriptedUpstream::start().await;
    upstream.on(
        Match::any(),
        [Behaviour::events([
            role(),
            delta(&json!({"content": "ab"})),
            finish("stop"),
            usage(),
            DONE.to_owned(),
        ])],
    );
    let yaml = "
cache: {}
llm: {providers: [{name: a, base_url: <a>, api_key: k, price: {input: 1, output: 10}}]}
";
    let side = Side::start(yaml, &[("a", &upstream)]).await;
    for _ in 0..3 {
        let call = side.gateway.post_chat(question(&streamed()).to_string());
        assert_eq!(call.send().await.status, 200);
    }
    for line in [
        "pointsman_cache_saved_tokens_total 30",
        "pointsman_cache_saved_cost_total 0.00012",
    ] {
        until(line, async || {
            let metrics = side.get("/metrics").send().await;
            metrics.text().lines().any(|it| it == line)
        })
        .await;
    }
}

#[tokio::test]
async fn a_whole_answer_is_told_as_a_stream() {
    let scene = Scene::new("", "").await;
    scene.plays([Behaviour::says("hello")]);
    assert_eq!(result(&scene.asked(&json!({})).await), "miss");
    let stream = scene.ask(&streamed()).stream().await;
    assert_eq!(stream.header("x-pointsman-cache"), "hit");
    let text = stream.text().await;
    assert_eq!(spoken(&text), "hello");
    assert!(
        text.contains("\"prompt_tokens\":3") && text.ends_with(DONE),
        "{text}"
    );
}

#[tokio::test]
async fn a_stream_without_counts_serves_those_who_want_none() {
    let scene = Scene::new("", "").await;
    scene.plays([Behaviour::streams(&["a", "b"]), Behaviour::says("counted")]);
    let plain = json!({"stream": true});
    let told = scene.ask(&plain).stream().await.text().await;
    assert_eq!(spoken(&told), "ab");
    let again = scene.ask(&plain).stream().await;
    assert_eq!(again.header("x-pointsman-cache"), "hit");
    assert_eq!(spoken(&again.text().await), "ab");
    let whole = scene.asked(&json!({})).await;
    assert_eq!((result(&whole), whole.says().as_str()), ("miss", "counted"));
    let told = scene.ask(&plain).stream().await.text().await;
    assert_eq!(spoken(&told), "counted", "the better one took its place");
}

#[tokio::test]
async fn a_stream_that_is_not_whole_is_not_kept() {
    let scene = Scene::new("", "").await;
    let cut = || {
        Behaviour::events([
            role(),
            delta(&json!({"content": "a"})),
            finish("stop"),
            usage(),
        ])
    };
    scene.plays([
        // Cut within the answer; behind its finish reason without an end mark; an end mark that proves nothing; a limit.
        Behaviour::streams(&["a", "b", "c"]).reset(At::AfterPart(3)),
        cut(),
        Behaviour::events([role(), delta(&json!({"content": "a"})), DONE.to_owned()]),
        Behaviour::events([
            role(),
            delta(&json!({"content": "a"})),
            finish("length"),
            DONE.to_owned(),
        ]),
        full(),
    ]);
    for number in 1..=5 {
        let stream = scene.ask(&streamed()).stream().await;
        assert_eq!(stream.header("x-pointsman-cache"), "miss", "{number}");
        drop(stream.text().await);
        assert_eq!(scene.upstream.count(), number);
    }
    let stream = scene.ask(&streamed()).stream().await;
    assert_eq!(stream.header("x-pointsman-cache"), "hit");
}

#[tokio::test]
async fn a_caller_who_leaves_leaves_nothing_behind() {
    let scene = Scene::new("", "").await;
    scene.plays([
        Behaviour::streams(&["a", "b", "c"]).hang(At::AfterPart(3)),
        full(),
    ]);
    let mut stream = scene.ask(&streamed()).stream().await;
    stream.until("\"a\"").await;
    drop(stream);
    scene.upstream.cancelled().await;
    let stream = scene.ask(&streamed()).stream().await;
    assert_eq!(stream.header("x-pointsman-cache"), "miss");
}

#[tokio::test]
async fn it_can_be_told_as_slowly_as_a_model_would() {
    let scene = Scene::new("replay: {tokens_per_second: 1000}", "").await;
    scene.plays([Behaviour::says("one two three four")]);
    scene.asked(&json!({})).await;
    let text = scene
        .ask(&json!({"stream": true}))
        .stream()
        .await
        .text()
        .await;
    assert_eq!(spoken(&text), "one two three four");
    assert!(text.matches("\"content\":").count() > 4, "{text}");
}
