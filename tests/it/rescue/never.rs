//! What is not rescued, and the limits of a request.

use super::*;

#[tokio::test]
async fn what_is_no_plain_text_is_not_rescued() {
    let delta = |delta: &str| event(&format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#));
    let tool = r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{"}}]}"#;
    let second = event(r#"{"choices":[{"index":1,"delta":{"content":"x"}}]}"#);
    let cases = [
        ("a tool call", vec![role(), delta(tool)], ""),
        (
            "text and a tool call",
            vec![role(), chunk("Hello"), delta(tool)],
            "",
        ),
        (
            "a function call",
            vec![role(), delta(r#"{"function_call":{"name":"f"}}"#)],
            "",
        ),
        ("a refusal", vec![role(), delta(r#"{"refusal":"no"}"#)], ""),
        (
            "reasoning",
            vec![
                role(),
                delta(r#"{"reasoning_content":"hm"}"#),
                chunk("Hello"),
            ],
            "",
        ),
        (
            "JSON",
            vec![role(), chunk("{")],
            r#","response_format":{"type":"json_object"}"#,
        ),
        (
            "several choices",
            vec![role(), chunk("Hello"), second],
            r#","n":2"#,
        ),
        (
            "log probabilities",
            vec![role(), chunk("Hello")],
            r#","logprobs":true"#,
        ),
    ];
    let cases = cases.map(|(name, events, fields)| async move {
        let three = three("continue", "assistant", "").await;
        let parts = events.len();
        let stream = Behaviour::events(events.into_iter().chain([finish("stop")]));
        three
            .a
            .on(Match::any(), [stream.reset(At::AfterPart(parts))]);
        let text = three.asked_with(fields).await;
        assert_eq!(errors(&text).len(), 1, "{name}: {text}");
        assert_eq!(three.counts(), [1, 0, 0], "{name}");
    });
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn an_answer_that_is_complete_and_then_fails_is_not_told_again() {
    let three = restarting().await;
    let events = [
        role(),
        chunk("Hello"),
        finish("stop"),
        error_event("no usage"),
    ];
    three.a.on(Match::any(), [Behaviour::events(events)]);
    three.b_says(Behaviour::streams(&["Hello"]));
    cut(&three.asked().await, "Hello");
    assert_eq!(three.counts(), [1, 0, 0]);
}

#[tokio::test]
async fn nothing_is_rescued_that_was_not_asked_for() {
    let three = three("off", "assistant", "").await;
    three.b_says(Behaviour::streams(&["Hello world"]));
    cut(&three.asked().await, "Hello");
    assert_eq!(three.counts(), [1, 0, 0]);
}

#[tokio::test]
async fn the_limits_of_a_request_hold() {
    for limits in [
        "dispatch: {max_attempts: 1}",
        "dispatch: {retry_budget: {ratio: 0, min_per_second: 0}, await_cooldown: 0}",
    ] {
        let three = three("restart", "off", limits).await;
        for upstream in [&three.b, &three.c] {
            upstream.on(Match::any(), [Behaviour::streams(&["Hello world"])]);
        }
        // A budget begins with an upstream's first request.
        for target in ["b", "c"] {
            three
                .gateway
                .chat_stream(target)
                .stream()
                .await
                .text()
                .await;
        }
        cut(&three.asked().await, "Hello");
        assert_eq!(three.counts(), [1, 1, 1], "{limits}");
    }
    let three = restarting().await;
    three.b_says(Behaviour::streams(&["Hello world"]).hang(At::BeforeHead));
    let call = three.gateway.post_chat(body(""));
    let stream = call.header("x-pointsman-deadline", "1s").stream().await;
    cut(&stream.text().await, "Hello");
    assert_eq!(three.counts(), [1, 1, 0]);
}
