//! Streams: hidden failures before the first content, honest ends after it, and bytes as they came.

use crate::support::behaviour::{DONE, chunk, error_event, event, finish, role};
use crate::support::client::{errors, spoken};
use crate::support::{At, Behaviour, Gate, Gateway, Match, ScriptedUpstream, chat_stream, ms};

const CHAIN: &str = "
server: {stream_keepalive: KEEPALIVE}
llm:
  providers:
    - name: a
      base_url: <a>
      model: ma
      api_key: ka
      retry: {same_upstream: 0}
      timeouts: {first_byte: 10s, first_token: 10s, idle: 1s}
    - {name: b, base_url: <b>, model: mb, api_key: kb}
  virtual:
    - {name: v, upstreams: [{name: a}, {name: b}]}
";

async fn with_keepalive(keepalive: &str) -> (ScriptedUpstream, ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::playing([Behaviour::streams(&["from ", "a"])]).await;
    let b = ScriptedUpstream::playing([Behaviour::streams(&["from ", "b"])]).await;
    let yaml = CHAIN.replace("KEEPALIVE", keepalive);
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
    (a, b, gateway)
}

async fn chain() -> (ScriptedUpstream, ScriptedUpstream, Gateway) {
    with_keepalive("15s").await
}

async fn asked(gateway: &Gateway) -> String {
    let stream = gateway.chat_stream("v").stream().await;
    assert_eq!(stream.status, 200);
    stream.text().await
}

/// `a` streams this for one request; `b` serves it, and nothing of `a` is seen.
async fn fails_over(name: &str, behaviour: Behaviour) {
    let (a, _b, gateway) = chain().await;
    a.on(Match::any(), [behaviour]);
    let text = asked(&gateway).await;
    assert_eq!(spoken(&text), "from b", "{name}: {text}");
    assert!(
        text.ends_with(DONE) && errors(&text).is_empty(),
        "{name}: {text}"
    );
    assert_eq!(a.count(), 1, "{name}");
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_content_is_hidden() {
    let cases = [
        (
            "an error event",
            Behaviour::events([error_event("overloaded")]),
        ),
        (
            "a role, then an error",
            Behaviour::events([role(), error_event("overloaded")]),
        ),
        (
            "an event named error",
            Behaviour::events(["event: error\ndata: {\"message\":\"boom\"}\n\n"]),
        ),
        ("nothing", Behaviour::events::<[&str; 0], _>([])),
        (
            "comments",
            Behaviour::events([": OPENROUTER PROCESSING\n\n", ": still\n\n"]),
        ),
        ("a role alone", Behaviour::events([role()])),
        ("the end mark alone", Behaviour::events([DONE])),
        ("not JSON", Behaviour::events(["data: {broken\n\n"])),
        (
            "a page",
            Behaviour::body(200, "text/html", "<html>sorry</html>"),
        ),
        (
            "a page that says it is events",
            Behaviour::events(["<html>sorry</html>"]),
        ),
        (
            "an error as a whole answer",
            Behaviour::json(200, r#"{"error":{"message":"boom","code":502}}"#),
        ),
        (
            "reset before the head",
            Behaviour::streams(&["x"]).reset(At::BeforeHead),
        ),
        (
            "reset after the head",
            Behaviour::streams(&["x"]).reset(At::AfterHead),
        ),
        (
            "reset after the role",
            Behaviour::streams(&["x"]).reset(At::AfterPart(1)),
        ),
        (
            "reset inside the first content",
            Behaviour::streams(&["x"]).reset(At::InsidePart(1)),
        ),
        (
            "closed after the head",
            Behaviour::streams(&["x"]).close(At::AfterHead),
        ),
        (
            "closed after the role",
            Behaviour::streams(&["x"]).close(At::AfterPart(1)),
        ),
        (
            "closed without length",
            Behaviour::streams(&["x"])
                .until_close()
                .close(At::AfterPart(1)),
        ),
    ];
    let cases = cases.map(|(name, behaviour)| fails_over(name, behaviour));
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn a_rate_limit_inside_a_stream_takes_the_next_key() {
    let a = ScriptedUpstream::playing([Behaviour::streams(&["from ", "a"])]).await;
    let b = ScriptedUpstream::start().await;
    let yaml = CHAIN
        .replace("KEEPALIVE", "15s")
        .replace("api_key: ka", "api_keys: [k1, k2]");
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
    let limited = event(r#"{"error":{"message":"Rate limit exceeded","code":429}}"#);
    a.on(Match::key("k1"), [Behaviour::events([limited])]);
    assert_eq!(spoken(&asked(&gateway).await), "from a");
    assert_eq!(a.keys(), ["k1", "k2"]);
}

#[tokio::test]
async fn a_stream_cut_after_content_ends_with_an_error_event_and_never_looks_complete() {
    let begun = || Behaviour::streams(&["Hel", "lo"]);
    let cases = [
        ("reset", begun().reset(At::AfterPart(2))),
        ("closed", begun().close(At::AfterPart(2))),
        ("closed inside an event", begun().close(At::InsidePart(2))),
        (
            "closed without length",
            begun().until_close().close(At::AfterPart(2)),
        ),
        (
            "chunks end without an end mark",
            Behaviour::events([role(), chunk("Hel")]),
        ),
        ("silent", begun().hang(At::AfterPart(2))),
    ];
    let cases = cases.map(|(name, behaviour)| async move {
        let (a, b, gateway) = chain().await;
        a.on(Match::any(), [behaviour]);
        let text = asked(&gateway).await;
        assert_eq!(spoken(&text), "Hel", "{name}: {text}");
        assert_eq!(errors(&text).len(), 1, "{name}: {text}");
        assert!(!text.contains("[DONE]"), "{name}: {text}");
        assert!(text.ends_with("\n\n"), "{name}: {text}");
        assert_eq!(
            (a.count(), b.count()),
            (1, 0),
            "{name}: no other answer's bytes are mixed in"
        );
    });
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn an_error_event_after_content_ends_the_stream() {
    let (a, b, gateway) = chain().await;
    let events = [
        role(),
        chunk("Hel"),
        error_event("boom"),
        chunk("more"),
        DONE.to_owned(),
    ];
    a.on(Match::any(), [Behaviour::events(events)]);
    let text = asked(&gateway).await;
    assert_eq!(spoken(&text), "Hel");
    assert_eq!(errors(&text).len(), 1, "{text}");
    assert!(!text.contains("[DONE]"), "{text}");
    assert_eq!(b.count(), 0);
}

#[tokio::test]
async fn an_answer_with_several_choices_is_finished_when_all_of_them_are() {
    let (a, _b, gateway) = chain().await;
    let second = event(r#"{"choices":[{"index":1,"delta":{"content":"x"},"finish_reason":null}]}"#);
    let cut = [role(), chunk("all"), second, finish("stop")];
    a.on(Match::any(), [Behaviour::events(cut)]);
    let body = r#"{"model":"v","stream":true,"n":2,"messages":[{"role":"user","content":"hi"}]}"#;
    let text = gateway.post_chat(body).stream().await.text().await;
    assert_eq!(errors(&text).len(), 1, "{text}");
    assert!(!text.contains("[DONE]"), "{text}");
}

#[tokio::test]
async fn a_last_event_without_its_blank_line_stays_an_event_of_its_own() {
    let (a, _b, gateway) = chain().await;
    let unfinished = |event: String| event.trim_end().to_owned();
    let whole = [role(), chunk("all"), unfinished(finish("stop"))];
    let cut = [role(), chunk("Hel"), unfinished(chunk("lo"))];
    a.on(
        Match::any(),
        [Behaviour::events(whole), Behaviour::events(cut)],
    );
    let text = asked(&gateway).await;
    assert!(text.ends_with(&format!("\n\n{DONE}")), "{text}");
    let text = asked(&gateway).await;
    assert_eq!(
        (spoken(&text).as_str(), errors(&text).len()),
        ("Hello", 1),
        "{text}"
    );
}

#[tokio::test]
async fn an_answer_that_is_finished_gets_its_end_mark_when_the_upstream_forgets_it() {
    let whole = || Behaviour::events([role(), chunk("all"), finish("stop")]);
    let cases = [
        ("the stream ends", whole()),
        ("the connection closes", whole().until_close()),
        ("the connection breaks", whole().reset(At::AfterPart(3))),
        ("nothing more comes", whole().hang(At::AfterPart(3))),
    ];
    let cases = cases.map(|(name, behaviour)| async move {
        let (a, _b, gateway) = chain().await;
        a.on(Match::any(), [behaviour]);
        let text = asked(&gateway).await;
        assert_eq!(spoken(&text), "all", "{name}");
        assert!(
            text.ends_with(DONE) && errors(&text).is_empty(),
            "{name}: {text}"
        );
        assert_eq!(text.matches("[DONE]").count(), 1, "{name}: {text}");
    });
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn events_come_through_byte_for_byte_however_they_are_split() {
    let events = [
        ": a comment\n\n".to_owned(),
        role(),
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"é\\n😀\"}}],\"odd\" : 1.50}\n\n".to_owned(),
        "id: 7\nevent: message\nretry: 10\ndata: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n".to_owned(),
        ": another\n\n".to_owned(),
        finish("length"),
        event(r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}"#),
        DONE.to_owned(),
    ];
    let whole = events.concat();
    let splits = [1, 2, 3, 5, 7, 11, 64, usize::MAX].map(|bytes| {
        let (events, whole) = (&events, &whole);
        async move {
            let (a, _b, gateway) = chain().await;
            for behaviour in [
                Behaviour::events(events.clone()).slices(bytes),
                Behaviour::events([whole.as_str()]).slices(bytes),
                Behaviour::events([whole.as_str()])
                    .with_length()
                    .slices(bytes),
            ] {
                a.on(Match::any(), [behaviour]);
                assert_eq!(asked(&gateway).await, *whole, "slices of {bytes}");
            }
        }
    });
    futures_util::future::join_all(splits).await;
}

#[tokio::test]
async fn carriage_returns_and_a_missing_content_type_are_understood() {
    let (a, _b, gateway) = chain().await;
    let events = [role(), chunk("crlf"), finish("stop"), DONE.to_owned()];
    let crlf = events.concat().replace('\n', "\r\n");
    a.on(Match::any(), [Behaviour::events([crlf]).slices(3)]);
    assert_eq!(spoken(&asked(&gateway).await), "crlf");
    a.on(
        Match::any(),
        [Behaviour::streams(&["bare"]).content_type("")],
    );
    assert_eq!(spoken(&asked(&gateway).await), "bare");
}

#[tokio::test]
async fn a_compressed_stream_arrives_readable() {
    let (a, _b, gateway) = chain().await;
    a.on(Match::any(), [Behaviour::streams(&["squee", "zed"]).gzip()]);
    let stream = gateway.chat_stream("v").stream().await;
    assert_eq!(stream.header("content-encoding"), "");
    assert_eq!(spoken(&stream.text().await), "squeezed");
}

#[tokio::test]
async fn tool_calls_and_reasoning_are_content() {
    let tool = event(
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":""}}]}}]}"#,
    );
    let arguments = event(
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":1}"}}]}}]}"#,
    );
    let thinking = event(r#"{"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}"#);
    for events in [
        vec![tool, arguments, finish("tool_calls"), DONE.to_owned()],
        vec![role(), thinking, finish("stop"), DONE.to_owned()],
    ] {
        let (a, b, gateway) = chain().await;
        a.on(Match::any(), [Behaviour::events(events.clone())]);
        assert_eq!(asked(&gateway).await, events.concat());
        assert_eq!(b.count(), 0);
        // It counts as begun: a cut after it is not hidden.
        a.on(
            Match::any(),
            [Behaviour::events(events).close(At::AfterPart(2))],
        );
        let cut = asked(&gateway).await;
        assert_eq!((errors(&cut).len(), b.count()), (1, 0), "{cut}");
    }
}

#[tokio::test]
async fn an_empty_but_finished_answer_is_an_answer() {
    let (a, b, gateway) = chain().await;
    let events = [role(), finish("stop"), DONE.to_owned()];
    a.on(Match::any(), [Behaviour::events(events.clone())]);
    assert_eq!(asked(&gateway).await, events.concat());
    assert_eq!(b.count(), 0);
}

#[tokio::test]
async fn comments_keep_a_silent_stream_alive_and_failover_still_works_behind_them() {
    let (a, b, gateway) = with_keepalive("50ms").await;
    let gate = Gate::new();
    a.on(
        Match::any(),
        [Behaviour::events([error_event("overloaded")]).gate(At::BeforeHead, &gate)],
    );
    let mut stream = gateway.chat_stream("v").stream().await;
    assert_eq!(stream.status, 200);
    assert!(
        stream
            .header("content-type")
            .starts_with("text/event-stream")
    );
    stream.until("\n\n:").await;
    assert_eq!(b.count(), 0);
    gate.open();
    let text = stream.text().await;
    assert!(text.starts_with(':'), "{text}");
    assert_eq!(spoken(&text), "from b");
    assert!(text.ends_with(DONE) && errors(&text).is_empty(), "{text}");
}

#[tokio::test]
async fn when_nothing_helps_after_the_first_comment_the_error_comes_as_an_event() {
    let (a, b, gateway) = with_keepalive("50ms").await;
    let gate = Gate::new();
    a.on(
        Match::any(),
        [Behaviour::fails(500).gate(At::BeforeHead, &gate)],
    );
    b.on(Match::any(), [Behaviour::fails(500)]);
    let mut stream = gateway.chat_stream("v").stream().await;
    stream.until(":").await;
    gate.open();
    let text = stream.text().await;
    assert_eq!(errors(&text), ["upstreams_exhausted"], "{text}");
    assert!(!text.contains("[DONE]"));
}

#[tokio::test]
async fn when_nothing_helps_and_nothing_was_sent_the_error_has_its_status() {
    let (a, b, gateway) = chain().await;
    for upstream in [&a, &b] {
        upstream.on(Match::any(), [Behaviour::fails(500)]);
    }
    let answer = gateway.post_chat(chat_stream("v")).send().await;
    answer.assert_error(502, "upstreams_exhausted");
    let mistake = r#"{"error":{"message":"bad","code":"bad_field"}}"#;
    a.on(Match::any(), [Behaviour::json(400, mistake)]);
    // Its breaker may be open by now: ask a model of its own.
    let answer = gateway.post_chat(chat_stream("a:other")).send().await;
    assert_eq!((answer.status, answer.text()), (400, mistake));
}

#[tokio::test]
async fn a_slow_but_steady_stream_is_not_silent() {
    let (a, _b, gateway) = chain().await;
    let words = ["1", "2", "3", "4", "5", "6", "7", "8"];
    a.on(Match::any(), [Behaviour::streams(&words).between(ms(150))]);
    let text = asked(&gateway).await;
    assert_eq!(
        spoken(&text),
        "12345678",
        "longer than `idle` in all, never between two events"
    );
    assert!(text.ends_with(DONE));
}

#[tokio::test]
async fn a_caller_who_hangs_up_ends_the_upstreams_stream() {
    let (a, _b, gateway) = chain().await;
    a.on(
        Match::any(),
        [Behaviour::streams(&["x", "y"]).hang(At::AfterPart(2))],
    );
    let mut stream = gateway.chat_stream("v").stream().await;
    stream.until("x").await;
    drop(stream);
    let left = tokio::time::timeout(ms(1000), a.cancelled()).await;
    assert!(left.is_ok(), "within a second");
}

#[tokio::test]
async fn a_keepalive_of_zero_means_no_comments() {
    let (a, _b, gateway) = with_keepalive("0").await;
    a.on(
        Match::any(),
        [Behaviour::streams(&["la", "te"]).late(ms(50))],
    );
    let text = asked(&gateway).await;
    assert_eq!(spoken(&text), "late");
    assert!(!text.contains(": keep-alive"), "{text}");
}
