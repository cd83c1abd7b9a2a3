//! Traces, as the log, the receiver and the upstreams see them: one id for all, only what was sampled or went wrong,
//! and a receiver that fails harms nobody.

use serde_json::Value;

use crate::support::behaviour::completion;
use crate::support::receiver::{Receiver, attribute, events, hex, names};
use crate::support::{At, Behaviour, Gate, Gateway, Match, ScriptedUpstream, ms, until};

const TWO: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: ma, api_key: ka, retry: {same_upstream: 0}, trace_context: true}
    - {name: b, base_url: <b>, model: mb, api_key: kb, retry: {same_upstream: 0}}
  virtual:
    - {name: v, upstreams: [a, b]}
telemetry:
  otlp: {endpoint: <receiver>, timeout: 3s}
  metrics: {push: false}
  traces: {TRACES}
";

/// Spans are not kept back for long.
const SOON: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "20");
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const DECLINED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

struct Two {
    a: ScriptedUpstream,
    b: ScriptedUpstream,
    receiver: Receiver,
    gateway: Gateway,
}

async fn two_at(receiver: Receiver, traces: &str, env: &[(&str, &str)]) -> Two {
    let a = ScriptedUpstream::playing([Behaviour::says("from a")]).await;
    let b = ScriptedUpstream::playing([Behaviour::says("from b")]).await;
    let yaml = TWO.replace("TRACES", traces);
    let env = [&[SOON][..], env].concat();
    let places: [(&str, &dyn crate::support::gateway::Place); 3] =
        [("a", &a), ("b", &b), ("receiver", &receiver)];
    let gateway = Gateway::start_with(&yaml, &places, &env).await;
    Two {
        a,
        b,
        receiver,
        gateway,
    }
}

async fn two(traces: &str) -> Two {
    two_at(Receiver::start().await, traces, &[]).await
}

async fn line(gateway: &Gateway) -> Value {
    let line = gateway.logged("\"message\":\"request\"").await;
    serde_json::from_str(&line).unwrap()
}

#[tokio::test]
async fn log_receiver_and_upstream_know_a_request_by_the_same_ids() {
    let two = two("sample: 1").await;
    assert_eq!(two.gateway.chat("v").send().await.status, 200);
    let spans = two.receiver.received(2).await;
    assert_eq!(names(&spans), ["POST /v1/chat/completions", "chat ma"]);
    let (request, attempt) = (&spans[0], &spans[1]);
    let line = line(&two.gateway).await;
    assert_eq!(line["trace_id"], hex(&request.trace_id));
    assert_eq!(line["span_id"], hex(&request.span_id));
    assert_eq!(line["trace_flags"], "03");
    assert_eq!(attempt.trace_id, request.trace_id);
    assert_eq!(attempt.parent_span_id, request.span_id);
    let (trace, span) = (hex(&attempt.trace_id), hex(&attempt.span_id));
    let heard = two.a.requests();
    let heard = heard[0].header("traceparent").unwrap();
    assert_eq!(heard, format!("00-{trace}-{span}-03"));
    let value = |name| attribute(&attempt.attributes, name);
    assert_eq!(value("gen_ai.response.model"), "upstream-model");
    assert_eq!(value("gen_ai.response.finish_reasons"), "stop");
    assert_eq!(value("gen_ai.usage.input_tokens"), "3");
    assert_eq!(value("server.address"), "127.0.0.1");
    assert_eq!(value("pointsman.key"), "a#1");
}

#[tokio::test]
async fn a_callers_trace_goes_on_and_an_upstream_hears_of_it_only_when_told_to() {
    let two = two("sample: 0").await;
    two.a.on(Match::any(), [Behaviour::fails(503)]);
    let call = two.gateway.chat("v").header("traceparent", PARENT);
    let call = call
        .header("tracestate", "x=1,y=2")
        .header("baggage", "user=me");
    assert_eq!(call.send().await.status, 200);
    let spans = two.receiver.received(3).await;
    assert_eq!(hex(&spans[0].trace_id), &PARENT[3..35]);
    assert_eq!(hex(&spans[0].parent_span_id), &PARENT[36..52]);
    assert_eq!(events(&spans[0]), ["pointsman.failover"]);
    assert_eq!(attribute(&spans[1].attributes, "error.type"), "overloaded");
    let (a, b) = (two.a.requests(), two.b.requests());
    let span = hex(&spans[1].span_id);
    let heard = format!("00-{}-{span}-01", &PARENT[3..35]);
    assert_eq!(a[0].header("traceparent"), Some(heard.as_str()));
    assert_eq!(a[0].header("tracestate"), Some("x=1,y=2"));
    assert_eq!(a[0].header("baggage"), None);
    assert_eq!(b[0].header("traceparent"), None);
}

#[tokio::test]
async fn without_a_receiver_a_callers_trace_only_passes_by() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm: {providers: [{name: a, base_url: <a>, model: m, api_key: k, trace_context: true}]}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    gateway.chat("a").header("traceparent", PARENT).send().await;
    assert_eq!(a.requests()[0].header("traceparent"), Some(PARENT));
    let line = line(&gateway).await;
    assert_eq!(line["trace_id"], &PARENT[3..35]);
    assert_eq!(line["span_id"], &PARENT[36..52]);
    gateway.chat("a").send().await;
    assert_eq!(a.requests()[1].header("traceparent"), None);
}

#[tokio::test]
async fn nobody_listens_to_traces_where_the_environment_says_so() {
    let env = [("OTEL_PROPAGATORS", "none")];
    let two = two_at(Receiver::start().await, "sample: 1", &env).await;
    two.gateway
        .chat("a")
        .header("traceparent", PARENT)
        .send()
        .await;
    let spans = two.receiver.received(2).await;
    assert_ne!(hex(&spans[0].trace_id), &PARENT[3..35]);
    assert_eq!(two.a.requests()[0].header("traceparent"), None);
}

#[tokio::test]
async fn what_is_not_sampled_is_not_sent_but_failures_are() {
    let two = two("sample: 0").await;
    for _ in 0..3 {
        assert_eq!(two.gateway.chat("v").send().await.status, 200);
    }
    let sampled = two.gateway.chat("v").header("traceparent", PARENT);
    assert_eq!(sampled.send().await.status, 200);
    assert_eq!(two.receiver.received(2).await.len(), 2);
    two.a.on(Match::any(), [Behaviour::fails(500)]);
    two.b.on(Match::any(), [Behaviour::fails(500)]);
    let declined = two.gateway.chat("v").header("traceparent", DECLINED);
    assert_eq!(declined.send().await.status, 502);
    let spans = two.receiver.received(5).await;
    let kept = |at: usize| attribute(&spans[at].attributes, "pointsman.sampling.reason");
    assert_eq!(
        (kept(0), kept(2)),
        ("sampled".to_owned(), "failed".to_owned())
    );
    assert_eq!(
        attribute(&spans[2].attributes, "error.type"),
        "upstreams_exhausted"
    );
}

#[tokio::test]
async fn the_environment_decides_about_traces() {
    for env in [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
    ] {
        let two = two_at(Receiver::start().await, "sample: 1", &[env]).await;
        two.a.on(Match::any(), [Behaviour::fails(500)]);
        two.b.on(Match::any(), [Behaviour::fails(500)]);
        assert_eq!(two.gateway.chat("v").send().await.status, 502);
        let log = two.gateway.finish().await.join("\n");
        assert!(!log.contains("trace_id"), "{log}");
        assert_eq!(two.receiver.script.count(), 0, "{env:?}");
    }
}

#[tokio::test]
async fn what_is_told_last_is_sent_before_the_end() {
    let slow = Receiver::playing([Behaviour::json(200, "").late(ms(700))]).await;
    let env = [("OTEL_BSP_SCHEDULE_DELAY", "600000")];
    let two = two_at(slow, "sample: 1", &env).await;
    two.gateway.chat("v").send().await;
    two.gateway.finish().await;
    // Its word was waited for.
    assert!(two.receiver.script.requests()[0].answered);
    assert_eq!(two.receiver.spans().len(), 2);
}

#[tokio::test]
async fn a_receiver_that_is_gone_slow_or_silent_harms_nobody() {
    let harms: [fn(Behaviour, &Gate) -> Behaviour; 3] = [
        |answer, _| answer.reset(At::BeforeHead),
        |answer, _| answer.hang(At::BeforeHead),
        // Until everything is served.
        |answer, gate| answer.gate(At::BeforeHead, gate),
    ];
    for harm in harms {
        let gate = Gate::new();
        let behaviour = harm(Behaviour::json(200, ""), &gate);
        let receiver = Receiver::playing([behaviour]).await;
        let env = [
            ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2"),
        ];
        let two = two_at(receiver, "sample: 1", &env).await;
        for _ in 0..40 {
            assert_eq!(two.gateway.chat("v").send().await.status, 200);
        }
        until("an export", || async { two.receiver.script.count() > 0 }).await;
        gate.open();
        two.gateway.finish().await;
    }
}

#[tokio::test]
async fn a_receiver_that_asks_for_patience_gets_the_spans_again() {
    let taken = Behaviour::body(200, "application/x-protobuf", "");
    let receiver = Receiver::playing([Behaviour::fails(503), taken]).await;
    let two = two_at(receiver, "sample: 1", &[]).await;
    two.gateway.chat("v").send().await;
    let spans = two.receiver.received(4).await;
    assert_eq!(spans[0].span_id, spans[1].span_id);
    let log = two.gateway.finish().await.join("\n");
    assert!(!log.contains("traces_failing"), "{log}");
}

#[tokio::test]
async fn a_hedge_is_linked_to_the_attempt_that_it_was_made_beside() {
    let a = ScriptedUpstream::playing([Behaviour::streams(&["a"]).hang(At::BeforeHead)]).await;
    let b = ScriptedUpstream::playing([Behaviour::streams(&["b"])]).await;
    let receiver = Receiver::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: ma, api_key: ka}
    - {name: b, base_url: <b>, model: mb, api_key: kb}
  virtual: [{name: v, upstreams: [a, b]}]
dispatch: {hedge: {after: 50ms, max_ratio: 1}}
telemetry: {otlp: {endpoint: <receiver>}, metrics: {push: false}, traces: {sample: 0}}
";
    let places: [(&str, &dyn crate::support::gateway::Place); 3] =
        [("a", &a), ("b", &b), ("receiver", &receiver)];
    let gateway = Gateway::start_with(yaml, &places, &[SOON]).await;
    gateway.chat_stream("v").send().await;
    let spans = receiver.received(3).await;
    assert_eq!(
        attribute(&spans[0].attributes, "pointsman.sampling.reason"),
        "hedge"
    );
    assert_eq!(events(&spans[0]), ["pointsman.hedge"]);
    assert_eq!(events(&spans[1]), ["pointsman.cancelled"]);
    assert_eq!(spans[2].links[0].span_id, spans[1].span_id);
    assert_eq!(
        attribute(&spans[2].attributes, "gen_ai.response.finish_reasons"),
        "stop"
    );
}

#[tokio::test]
async fn no_prompt_answer_or_key_is_in_what_is_sent() {
    let two = two("sample: 1").await;
    let echoed = "the prompt was: tell me of PROMPTWORD, with key sk-planted-ka";
    two.a.on(
        Match::any(),
        [
            Behaviour::error(500, "server_error", echoed),
            Behaviour::json(200, &completion("ANSWERWORD")),
            Behaviour::streams(&["ANSWER", "WORD"]),
        ],
    );
    for stream in ["", r#""stream":true,"#] {
        for _ in 0..2 {
            let body = format!(
                r#"{{"model":"v",{stream}"messages":[{{"role":"system","content":"SYSTEMWORD"}},{{"role":"user","content":"PROMPTWORD"}}]}}"#
            );
            two.gateway.post_chat(body).send().await;
        }
    }
    two.receiver.received(9).await;
    let bytes = two.receiver.bytes();
    for word in [
        "PROMPTWORD",
        "ANSWERWORD",
        "SYSTEMWORD",
        "ANSWER",
        "the prompt",
    ] {
        assert!(!bytes.contains(word), "{word}");
    }
}

/// The names in backticks that begin a line of a table, in the section `Traces`.
fn told_of(heading: &str) -> std::collections::BTreeSet<String> {
    let text = include_str!("../../docs/observability.md");
    let (_, section) = text.split_once("\n## Traces\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let tables = section
        .split("\n\n")
        .filter(|part| part.starts_with(heading));
    let lines = tables.flat_map(str::lines);
    let names = lines.filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    names.map(str::to_owned).collect()
}

#[test]
fn what_spans_carry_is_described_and_nothing_else_is() {
    use pointsman::telemetry::names::{ATTRIBUTES, EVENTS};
    let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(told_of("| Event"), all(EVENTS));
    let mut attributes = told_of("| Attribute");
    // Those of events and links alone stand in the text.
    let text = include_str!("../../docs/observability.md");
    for name in ["from", "reason", "until", "queue.wait", "link", "fields"] {
        let name = format!("pointsman.{name}");
        assert!(text.contains(&format!("`{name}`")), "{name}");
        attributes.insert(name);
    }
    assert_eq!(attributes, all(ATTRIBUTES));
    for name in ATTRIBUTES.iter().chain(EVENTS) {
        assert!(text.contains(&format!("`{name}`")), "{name}");
    }
}

#[tokio::test]
async fn prompts_and_answers_are_told_masked_where_that_is_asked_for() {
    let a = ScriptedUpstream::start().await;
    let receiver = Receiver::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: ma, api_keys: [my-own-key-1, my-own-key-2]}
telemetry:
  otlp: {endpoint: <receiver>}
  metrics: {push: false}
  content: masked
  mask: ['Falcon\\d+']
";
    let places: [(&str, &dyn crate::support::gateway::Place); 2] =
        [("a", &a), ("receiver", &receiver)];
    let gateway = Gateway::start_with(yaml, &places, &[SOON]).await;
    let says = "write to x@example.org about Falcon9";
    a.on(
        Match::any(),
        [
            Behaviour::says(says),
            Behaviour::streams(&["write to x@exam", "ple.org about Fal", "con9"]),
            Behaviour::error(400, "bad", "you said: Falcon9 is sk-planted-my-own-key-2"),
        ],
    );
    for stream in [false, true, false] {
        let body = serde_json::json!({"model": "a", "stream": stream, "messages": [
            {"role": "user", "content": "Falcon12, Bearer abcdef123456, sk-planted-my-own-key-2"}]});
        gateway.post_chat(body.to_string()).send().await;
    }
    let spans = receiver.received(6).await;
    for span in [&spans[1], &spans[3]] {
        let input = attribute(&span.attributes, "gen_ai.input.messages");
        let input: Value = serde_json::from_str(&input).unwrap();
        let text = serde_json::json!([{"type": "text", "content": "****, ****, ****"}]);
        assert_eq!(input[0]["parts"], text);
        let output = attribute(&span.attributes, "gen_ai.output.messages");
        let output: Value = serde_json::from_str(&output).unwrap();
        let text = serde_json::json!([{"type": "text", "content": "write to **** about ****"}]);
        assert_eq!(output[0]["parts"], text, "{output}");
    }
    let status = spans[5].status.as_ref().unwrap();
    assert!(status.message.contains("you said: ****"), "{status:?}");
    let bytes = receiver.bytes();
    for word in ["Falcon", "example.org", "abcdef123456", "my-own-key"] {
        assert!(!bytes.contains(word), "{word}");
    }
}
