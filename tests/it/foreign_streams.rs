//! Answers in forms other than OpenAI's own: unknown names of reasoning, errors in an upstream's own shape, labels and
//! encodings that do not say what was sent, bytes that are not quite text.

use crate::support::behaviour::{DONE, chunk, completion, event, finish, role};
use crate::support::client::{errors, spoken};
use crate::support::codings::{encoded, streamed as in_parts};
use crate::support::{At, Behaviour, Gateway, Match, ScriptedUpstream, chat_stream, ms};

/// One upstream, whose failures nobody else makes up for.
async fn lone(more: &str) -> (ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::start().await;
    let yaml = format!(
        "llm: {{providers: [{{name: p, model: m, api_key: k1, base_url: <a>, retry: {{same_upstream: 0}}{more}}}]}}\n\
         dispatch: {{await_cooldown: 0s}}\nlog: {{level: debug}}\n"
    );
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    (a, gateway)
}

/// Two upstreams, of which the second answers `from b`.
async fn chain() -> (ScriptedUpstream, ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::start().await;
    b.on(Match::any(), [Behaviour::says("from b")]);
    let yaml = "
llm:
  providers:
    - {name: a, model: ma, api_key: ka, base_url: <a>, retry: {same_upstream: 0}}
    - {name: b, model: mb, api_key: kb, base_url: <b>}
  virtual: [{name: p, upstreams: [{name: a}, {name: b}]}]
";
    let gateway = Gateway::start(yaml, &[("a", &a), ("b", &b)]).await;
    (a, b, gateway)
}

async fn streamed(gateway: &Gateway) -> String {
    let stream = gateway.chat_stream("p").stream().await;
    let status = stream.status;
    let text = stream.text().await;
    assert_eq!(status, 200, "{text}");
    text
}

/// The stream is whole and says this.
#[track_caller]
fn is_whole(name: &str, text: &str, says: &str) {
    assert_eq!(spoken(text), says, "{name}: {text}");
    assert!(text.ends_with(DONE), "{name}: {text}");
    assert!(errors(text).is_empty(), "{name}: {text}");
}

fn delta(fields: &str) -> String {
    event(&format!(
        r#"{{"id":"c1","object":"chat.completion.chunk","choices":[{{"index":0,"delta":{fields},"finish_reason":null}}]}}"#
    ))
}

fn long_working() -> Vec<String> {
    [
        r#"{"reasoning_text":"hm"}"#,
        r#"{"thinking":{"text":"hm"}}"#,
        r#"{"thoughts":["hm"]}"#,
        r#"{"tool_progress":{"tool":"search","status":"running"}}"#,
        r#"{"annotations":[{"url":"https://example.org"}]}"#,
        r#"{"reasoning_text":"hm"}"#,
    ]
    .map(delta)
    .to_vec()
}

#[tokio::test]
async fn whatever_a_model_produces_is_a_sign_of_life() {
    let (a, gateway) = lone(", timeouts: {idle: 500ms}").await;
    let mut events = vec![chunk("start ")];
    events.extend(long_working());
    events.extend([delta("{}"), delta(r#"{"content":""}"#)]);
    events.extend([chunk("end"), finish("stop"), DONE.to_owned()]);
    let whole = events.concat();
    a.on(Match::any(), [Behaviour::events(events).between(ms(150))]);
    let text = streamed(&gateway).await;
    is_whole("reasoning", &text, "start end");
    assert_eq!(text, whole);
}

#[tokio::test]
async fn whatever_a_model_produces_is_a_first_token() {
    let (a, gateway) = lone(", timeouts: {first_token: 500ms}").await;
    let mut events = vec![role()];
    events.extend(long_working());
    events.extend([chunk("end"), finish("stop"), DONE.to_owned()]);
    a.on(Match::any(), [Behaviour::events(events).between(ms(150))]);
    is_whole("reasoning", &streamed(&gateway).await, "end");
}

/// What upstreams send of a failure, and what callers are to understand as one.
const FAILURES: [&str; 20] = [
    r#"data: {"object":"error","message":"engine died","type":"InternalServerError","param":null,"code":500}"#,
    r#"data: {"detail":"engine died"}"#,
    r#"data: {"detail":[{"loc":["body"],"msg":"engine died"}]}"#,
    r#"data: {"detail":{"message":"engine died"}}"#,
    r#"data: {"error":"engine died"}"#,
    r#"data: [{"error":{"code":503,"message":"engine died","status":"UNAVAILABLE"}}]"#,
    r#"data: {"message":"engine died"}"#,
    r#"data: {"code":"InternalError","message":"engine died","request_id":"r"}"#,
    r#"data: {"status":"error","message":"engine died"}"#,
    r#"data: {"success":false,"message":"engine died"}"#,
    r#"data: {"base_resp":{"status_code":1000,"status_msg":"engine died"}}"#,
    r#"data: {"errorMessage":"engine died","errorCode":"E17"}"#,
    r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":null,"error":{"code":502,"message":"engine died"}}]}"#,
    r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"network_error"}]}"#,
    r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"abort"}]}"#,
    r#"error: {"code":500,"message":"engine died","type":"server_error"}"#,
    r#"{"error":{"code":503,"message":"engine died"}}"#,
    "data: Internal Server Error",
    "Internal Server Error",
    "data: {\"choices\":[{\"index\":0,\"del",
];

/// So that one failure after another can be tried.
const PATIENT: &str = ", circuit_breaker: {failure_threshold: 1000, min_requests: 1000}";

#[tokio::test]
async fn a_failure_in_any_shape_after_content_is_told_as_one_and_nothing_looks_complete() {
    let (a, gateway) = lone(PATIENT).await;
    for failure in FAILURES {
        let failure = format!("{failure}\n\n");
        let events = [role(), chunk("half "), failure.clone(), DONE.to_owned()];
        a.on(Match::any(), [Behaviour::events(events)]);
        let text = streamed(&gateway).await;
        assert_eq!(spoken(&text), "half ", "{failure}: {text}");
        assert_eq!(errors(&text).len(), 1, "{failure}: {text}");
        assert!(!text.contains("[DONE]"), "{failure}: {text}");
    }
}

#[tokio::test]
async fn a_failure_in_any_shape_before_content_is_hidden() {
    let (a, _b, gateway) = chain().await;
    let whole = FAILURES
        .iter()
        .filter_map(|line| line.strip_prefix("data: "));
    for body in whole.filter(|body| !body.contains("delta")) {
        a.on(Match::any(), [Behaviour::json(200, body)]);
        let answer = gateway.chat("p").send().await;
        assert_eq!(answer.says(), "from b", "{body}");
    }
}

#[tokio::test]
async fn harmless_events_that_are_no_chunks_stay_harmless() {
    let harmless = [
        ": OPENROUTER PROCESSING",
        "event: ping\ndata: {\"type\":\"ping\"}",
        "event: ping\ndata: {}",
        "data: {}",
        "data:",
        "id: 7",
        "retry: 3000",
        "x-note: anything",
        r#"data: {"id":"x"}"#,
        r#"data: {"id":"x","object":"chat.completion.chunk"}"#,
        r#"data: {"id":"","model":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#,
        r#"data: {"choices":[{"index":0,"content_filter_offsets":{"check_offset":1},"finish_reason":null}]}"#,
        r#"data: {"choices":[],"usage":null,"error":null,"x_groq":{"id":"r"}}"#,
        r#"data: {"choices":[{"index":0,"delta":{}}],"error":{"code":0,"message":""}}"#,
        r#"data: {"choices":[{"index":0,"delta":{},"error":null}],"message":"ok","code":0}"#,
        r#"data: {"choices":[],"citations":["https://example.org/error"]}"#,
        "event: status\ndata: {\"type\":\"status\",\"message\":\"searching\"}",
        r#"data: {"status":"processing","message":"you are third in the queue"}"#,
    ];
    let (a, gateway) = lone("").await;
    let harmless = harmless.map(|event| format!("{event}\n\n"));
    let mut events = harmless.to_vec();
    events.push(chunk("one "));
    events.extend(harmless);
    events.extend([chunk("two"), finish("stop"), DONE.to_owned()]);
    let whole = events.concat();
    a.on(Match::any(), [Behaviour::events(events)]);
    assert_eq!(streamed(&gateway).await, whole);
}

#[tokio::test]
async fn a_ping_in_text_reaches_the_caller_as_a_comment() {
    let pings = [
        "event: ping\ndata: 2026-11-29 01:00:01",
        "data: ping",
        "data: keep-alive",
        "event: heartbeat\ndata: 17",
    ];
    let (a, gateway) = lone("").await;
    let pings = pings.map(|event| format!("{event}\n\n"));
    let mut events = pings.to_vec();
    events.push(chunk("one "));
    events.extend(pings);
    events.extend([
        event(r#"{"message":"still working"}"#),
        chunk("two"),
        finish("stop"),
        DONE.to_owned(),
    ]);
    a.on(Match::any(), [Behaviour::events(events)]);
    let text = streamed(&gateway).await;
    is_whole("pings", &text, "one two");
    assert_eq!(text.matches(": ping\n\n").count(), 8, "{text}");
    assert!(
        !text.contains("event: ") && !text.contains("data: ping"),
        "{text}"
    );
}

#[tokio::test]
async fn an_overlong_prompt_told_inside_a_stream_is_the_callers_and_opens_no_breaker() {
    let forms = [
        r#"data: {"object":"error","message":"This model's maximum context length is 4096 tokens. However, you requested 9000 tokens. Please shorten it.","type":"BadRequestError","param":null,"code":400}"#,
        r#"error: {"code":400,"message":"the request exceeds the available context size. try increasing the context size","type":"exceed_context_size_error"}"#,
    ];
    for form in forms {
        let (a, gateway) = lone("").await;
        a.on(Match::any(), [Behaviour::events([format!("{form}\n\n")])]);
        for _ in 0..4 {
            let answer = gateway.chat_stream("p").send().await;
            assert_eq!(answer.status, 400, "{form}: {}", answer.text());
            let error = &answer.json()["error"];
            assert!(error["message"].is_string(), "{form}: {}", answer.text());
        }
        a.on(Match::any(), [Behaviour::streams(&["fits"])]);
        is_whole(form, &streamed(&gateway).await, "fits");
    }
}

#[tokio::test]
async fn an_event_stream_is_one_whatever_its_label() {
    let labels = [
        "application/json",
        "application/json; charset=utf-8",
        "text/plain",
        "text/html",
        "application/octet-stream",
        "application/x-ndjson",
        "",
    ];
    let (a, gateway) = lone("").await;
    for label in labels {
        for first in [
            "",
            "\n\n",
            ": hello\n\n",
            "event: message\n",
            "\u{feff}",
            "id: 1\n",
        ] {
            let events = [
                format!("{first}{}", chunk("hel")),
                chunk("lo"),
                finish("stop"),
                DONE.to_owned(),
            ];
            let behaviour = Behaviour::events(events).content_type(label);
            a.on(Match::any(), [behaviour.clone(), behaviour.slices(3)]);
            for _ in 0..2 {
                let stream = gateway.chat_stream("p").stream().await;
                let kind = stream.header("content-type").to_owned();
                let text = stream.text().await;
                is_whole(label, text.trim_start_matches('\u{feff}'), "hello");
                assert!(kind.starts_with("text/event-stream"), "{label}: {kind}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_no_event_stream_is_none_whatever_its_label() {
    let (a, gateway) = lone(PATIENT).await;
    for (label, body, status) in [
        ("text/event-stream", completion("whole"), 502),
        ("text/plain", "<html>sorry</html>".to_owned(), 502),
        ("text/plain", completion("whole"), 502),
        (
            "text/plain",
            r#"{"error":{"message":"bad parameter","code":400}}"#.to_owned(),
            400,
        ),
        (
            "text/event-stream",
            r#"{"error":{"message":"bad parameter","code":400}}"#.to_owned(),
            400,
        ),
    ] {
        a.on(Match::any(), [Behaviour::body(200, label, &body)]);
        let answer = gateway.chat_stream("p").send().await;
        assert_eq!(answer.status, status, "{label} {body}: {}", answer.text());
    }
    a.on(Match::any(), [Behaviour::streams(&["x"])]);
    let answer = gateway.chat("p").send().await;
    answer.assert_error(502, "invalid_upstream_response");
    gateway.logged("got an event stream").await;
}

#[tokio::test]
async fn an_error_on_a_choice_of_a_whole_answer_is_no_answer() {
    let (a, _b, gateway) = chain().await;
    for choice in [
        r#"{"index":0,"message":{"role":"assistant","content":""},"finish_reason":"error","error":{"code":502,"message":"Upstream idle timeout exceeded"}}"#,
        r#"{"index":0,"message":{"role":"assistant","content":""},"finish_reason":"stop","error":{"code":502,"message":"lost"}}"#,
        r#"{"index":0,"message":{"role":"assistant","content":null},"finish_reason":"error"}"#,
        r#"{"index":0,"message":{"role":"assistant","content":"ha"},"finish_reason":"insufficient_system_resource"}"#,
        r#"{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"},{"index":1,"error":"lost"}"#,
    ] {
        let body = format!(
            r#"{{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{choice}],"usage":{{"prompt_tokens":1,"completion_tokens":0,"total_tokens":1}}}}"#
        );
        a.on(Match::any(), [Behaviour::json(200, &body)]);
        let answer = gateway.chat("p").send().await;
        assert_eq!(answer.header("x-pointsman-upstream"), "b:mb", "{choice}");
        assert_eq!(answer.says(), "from b");
    }
}

#[tokio::test]
async fn a_byte_order_mark_does_no_harm_and_reaches_nobody() {
    let (a, gateway) = lone("").await;
    let marked = format!("\u{feff}{}", completion("fine"));
    a.on(
        Match::any(),
        [
            Behaviour::json(200, &marked),
            Behaviour::json(200, &marked).chunked().slices(1),
            Behaviour::json(
                400,
                "\u{feff}{\"error\":{\"message\":\"no\",\"code\":\"x\"}}",
            ),
        ],
    );
    for _ in 0..2 {
        assert_eq!(gateway.chat("p").send().await.says(), "fine");
    }
    let refused = gateway.chat("p").send().await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "x"));
}

#[tokio::test]
async fn bytes_that_are_not_text_are_passed_on_as_they_came() {
    let (a, gateway) = lone("").await;
    let mut odd = chunk("XX").into_bytes();
    let at = odd.windows(2).position(|pair| pair == b"XX").unwrap();
    odd.splice(at..at + 2, *b"\xff\xc3");
    let parts = vec![
        chunk("a").into_bytes(),
        odd,
        chunk("b").into_bytes(),
        finish("stop").into_bytes(),
        DONE.as_bytes().to_vec(),
    ];
    let whole = parts.concat();
    let behaviour = Behaviour::pieces("text/event-stream", parts);
    a.on(Match::any(), [behaviour]);
    let answer = gateway.chat_stream("p").send().await;
    assert_eq!(answer.body, whole);
}

#[tokio::test]
async fn compressed_streams_are_read_in_every_form_that_is_called_so() {
    let (a, gateway) = lone("").await;
    let pieces = ["one ", "two"].map(chunk).to_vec();
    let mut pieces: Vec<_> = pieces.into_iter().map(String::into_bytes).collect();
    pieces.push([finish("stop").as_bytes(), DONE.as_bytes()].concat());
    let text = pieces.concat();
    let gzip = |bytes: &[u8]| encoded("gzip", bytes);
    for (name, encoding, parts) in [
        ("gzip", "gzip", vec![gzip(&text)]),
        ("x-gzip", "X-GZip", vec![gzip(&text)]),
        (
            "a member per event",
            "gzip",
            pieces.iter().map(|piece| gzip(piece)).collect(),
        ),
        ("zlib", "deflate", vec![encoded("deflate", &text)]),
        (
            "raw deflate",
            "deflate",
            vec![encoded("raw deflate", &text)],
        ),
        ("brotli", "br", vec![encoded("br", &text)]),
        ("brotli by events", "BR", in_parts("br", &pieces)),
        ("zstd", "zstd", vec![encoded("zstd", &text)]),
        ("zstd by events", "zstd", in_parts("zstd", &pieces)),
        ("two", "gzip, br", vec![encoded("br", &gzip(&text))]),
        ("identity", "identity", vec![text]),
    ] {
        for kind in ["text/event-stream", "application/json"] {
            let behaviour =
                Behaviour::pieces(kind, parts.clone()).header("content-encoding", encoding);
            a.on(Match::any(), [behaviour.clone(), behaviour.slices(1)]);
            for _ in 0..2 {
                is_whole(name, &streamed(&gateway).await, "one two");
            }
        }
    }
}

#[tokio::test]
async fn the_largest_event_is_configured() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
server: {max_event: 4KiB}
log: {level: debug}
llm: {providers: [{name: p, model: m, api_key: k1, base_url: <a>, retry: {same_upstream: 0}}]}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let long = "x".repeat(5000);
    a.on(Match::any(), [Behaviour::streams(&[&long])]);
    let answer = gateway.post_chat(chat_stream("p")).send().await;
    answer.assert_error(502, "invalid_upstream_response");
    gateway.logged("server.max_event").await;
    a.on(Match::any(), [Behaviour::streams(&["short"])]);
    is_whole("short", &streamed(&gateway).await, "short");
}

#[tokio::test]
async fn a_finish_on_every_chunk_is_an_end_only_where_the_stream_ends() {
    let (a, gateway) = lone("").await;
    let both =
        |text: &str| chunk(text).replace("\"finish_reason\":null", "\"finish_reason\":\"stop\"");
    let gate = crate::support::Gate::new();
    let events = [both("one "), both("two"), DONE.to_owned()];
    a.on(
        Match::any(),
        [Behaviour::events(events).gate(At::AfterPart(1), &gate)],
    );
    let mut stream = gateway.chat_stream("p").stream().await;
    stream.until("one ").await;
    gate.open();
    is_whole("finish", &stream.text().await, "one two");
}

#[tokio::test]
async fn failures_in_compressed_answers_are_hidden_like_others() {
    let error = r#"{"error":{"message":"engine died","type":"server_error","code":500}}"#;
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let (a, b, gateway) = chain().await;
        a.on(
            Match::any(),
            [
                Behaviour::json(200, error).compressed(coding),
                Behaviour::body(200, "text/html", "<html>").compressed(coding),
                Behaviour::json(500, error).compressed(coding),
                Behaviour::json(200, error).header("content-encoding", "utf-8"),
            ],
        );
        for _ in 0..4 {
            let answer = gateway.chat("p").send().await;
            assert_eq!(answer.status, 200, "{coding}: {}", answer.text());
            assert!(
                answer.text().contains("from b"),
                "{coding}: {}",
                answer.text()
            );
        }
        b.on(Match::any(), [Behaviour::streams(&["from b"])]);
        a.on(
            Match::any(),
            [Behaviour::events([role(), event(error)]).compressed(coding)],
        );
        is_whole(coding, &streamed(&gateway).await, "from b");
    }
}
