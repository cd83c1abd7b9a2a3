//! One provider, nothing goes wrong: what goes up, what comes back, and what is refused on arrival.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::support::client::spoken;
use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream, chat, chat_stream};

const ONE: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: big-model, api_key: k1}
";

async fn one() -> (ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(ONE, &[("a", &a)]).await;
    (a, gateway)
}

#[tokio::test]
async fn a_request_goes_to_the_providers_url_with_its_key_and_model() {
    let (a, gateway) = one().await;
    let answer = gateway.chat("a").send().await;
    assert_eq!((answer.status, answer.says().as_str()), (200, "ok"));
    let [request] = &a.requests()[..] else {
        panic!("one request")
    };
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/v1/chat/completions");
    assert_eq!(request.key.as_deref(), Some("k1"));
    assert_eq!(request.model.as_deref(), Some("big-model"));
}

#[tokio::test]
async fn the_answer_comes_back_byte_for_byte() {
    let (a, gateway) = one().await;
    let body = "{ \"choices\":\n[{\"message\":{\"role\":\"assistant\",\"content\":\"\\u00e9 é\"},\"x\":1e400}],\
                \"future\":{\"b\":0.10,\"a\":[ ]},\"usage\":{\"total_tokens\":12345678901234567890}}\n\n";
    a.on(
        Match::any(),
        [Behaviour::json(200, body).header("x-model-region", "eu")],
    );
    let answer = gateway.chat("a").send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), body);
    assert_eq!(answer.header("x-model-region"), "eu");
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test]
async fn fields_that_nobody_knows_survive_the_way_up_byte_for_byte() {
    let (a, gateway) = one().await;
    let body = r#"{ "future": {"b": 0.10, "a": [1.0e+2, 12345678901234567890123]} , "model":"a",
        "messages":[{"role":"user","content":"\u00e9 \ud83d\ude00 é","odd":null}],"temperature":0.0, "t" : [ ] }"#;
    assert_eq!(gateway.post_chat(body).send().await.status, 200);
    let fields = |body: &[u8]| -> BTreeMap<String, String> {
        let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body).unwrap();
        let text = |(name, value): (String, Box<RawValue>)| (name, value.get().to_owned());
        fields.into_iter().map(text).collect()
    };
    let mut sent = fields(body.as_bytes());
    sent.insert("model".to_owned(), "\"big-model\"".to_owned());
    assert_eq!(fields(&a.requests()[0].body), sent);
}

#[tokio::test]
async fn a_stream_arrives_event_by_event_and_whole() {
    let (a, gateway) = one().await;
    a.on(Match::any(), [Behaviour::streams(&["Hel", "lo", "!"])]);
    let stream = gateway.chat_stream("a").stream().await;
    assert_eq!(stream.status, 200);
    assert!(
        stream
            .header("content-type")
            .starts_with("text/event-stream")
    );
    let text = stream.text().await;
    assert_eq!(spoken(&text), "Hello!");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(a.requests()[0].json()["stream"], true);
}

#[tokio::test]
async fn an_event_is_passed_on_before_the_next_one_exists() {
    use crate::support::{At, Gate, behaviour};
    let (a, gateway) = one().await;
    let gate = Gate::new();
    let stream = Behaviour::events([
        behaviour::chunk("first"),
        behaviour::chunk("second"),
        behaviour::finish("stop"),
        behaviour::DONE.to_owned(),
    ]);
    a.on(Match::any(), [stream.gate(At::AfterPart(1), &gate)]);
    let mut stream = gateway.chat_stream("a").stream().await;
    stream.until("first").await;
    assert!(!stream.seen_text().contains("second"));
    gate.open();
    assert_eq!(spoken(&stream.text().await), "firstsecond");
}

#[tokio::test]
async fn null_content_tool_calls_and_empty_text_are_answers() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(ONE, &[("a", &a)]).await;
    let tools = r#"{"choices":[{"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#;
    let null =
        r#"{"choices":[{"message":{"role":"assistant","content":null},"finish_reason":"stop"}]}"#;
    let empty =
        r#"{"choices":[{"message":{"role":"assistant","content":""},"finish_reason":"stop"}]}"#;
    for body in [tools, null, empty] {
        a.on(Match::any(), [Behaviour::json(200, body)]);
        let answer = gateway.chat("a").send().await;
        assert_eq!((answer.status, answer.text()), (200, body));
        assert_eq!(answer.header("x-pointsman-attempts"), "1");
    }
}

#[tokio::test]
async fn every_openai_operation_takes_the_same_way() {
    let (a, gateway) = one().await;
    let cases = [
        (
            "/completions",
            r#"{"object":"text_completion","choices":[{"index":0,"text":"x","finish_reason":"stop"}]}"#,
        ),
        (
            "/embeddings",
            r#"{"object":"list","data":[{"index":0,"embedding":[0.5]}]}"#,
        ),
        (
            "/responses",
            r#"{"object":"response","status":"completed","output":[]}"#,
        ),
        (
            "/moderations",
            r#"{"id":"m","results":[{"flagged":false}]}"#,
        ),
    ];
    for (path, body) in cases {
        let path = format!("/v1{path}");
        a.on(Match::path(&path), [Behaviour::json(200, body)]);
        let answer = gateway
            .post(&path, r#"{"model":"a","input":"x","prompt":"x"}"#)
            .send()
            .await;
        assert_eq!((answer.status, answer.text()), (200, body), "{path}");
    }
    assert!(a.models().iter().all(|model| model == "big-model"));
}

#[tokio::test]
async fn routes_work_without_the_version_too() {
    let (a, gateway) = one().await;
    let answer = gateway.post("/chat/completions", chat("a")).send().await;
    assert_eq!(answer.says(), "ok");
    assert_eq!(a.requests()[0].path, "/v1/chat/completions");
    let versioned = gateway.get("/v1/models").send().await;
    let plain = gateway.get("/models").send().await;
    assert_eq!((versioned.status, plain.status), (200, 200));
    assert_eq!(versioned.json(), plain.json());
}

#[tokio::test]
async fn health_says_alive_ready_and_how_many_upstreams_are_usable() {
    let (_a, gateway) = one().await;
    for path in ["/health/live", "/health/ready", "/health"] {
        let answer = gateway.get(path).send().await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.json().is_object(), "{path}");
    }
    assert_eq!(gateway.health("/upstreams/usable").await, 1);
}

#[tokio::test]
async fn what_is_not_a_request_is_refused_and_goes_nowhere() {
    let (a, gateway) = one().await;
    for broken in ["", "{", "{\"model\": a}", "hello", "{\"model\":\"a\"} {}"] {
        gateway
            .post_chat(broken)
            .send()
            .await
            .assert_error(400, "invalid_json");
    }
    for wrong in [
        "[]",
        "\"a\"",
        "3",
        r#"{"model":3}"#,
        r#"{"model":"a","stream":"yes"}"#,
    ] {
        gateway
            .post_chat(wrong)
            .send()
            .await
            .assert_error(400, "invalid_request");
    }
    gateway
        .get("/v1/nothing")
        .send()
        .await
        .assert_error(404, "route_not_found");
    gateway
        .get("/v1/chat/completions")
        .send()
        .await
        .assert_error(405, "method_not_allowed");
    assert_eq!(a.count(), 0);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_or_not_it_says_its_length() {
    let a = ScriptedUpstream::start().await;
    let yaml = format!("server: {{max_body: 1KiB}}{ONE}");
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    let fits = format!(r#"{{"model":"a","x":"{}"}}"#, "x".repeat(900));
    assert_eq!(gateway.post_chat(fits).send().await.status, 200);
    let large = format!(r#"{{"model":"a","x":"{}"}}"#, "x".repeat(2000));
    gateway
        .post_chat(large.clone())
        .send()
        .await
        .assert_error(413, "request_too_large");
    let raw = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
        large.len()
    );
    let answer = String::from_utf8(gateway.exchange(raw.as_bytes()).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(a.count(), 1);
}

#[tokio::test]
async fn a_compressed_answer_reads_the_same_after_the_way() {
    use std::io::Read as _;
    let (a, gateway) = one().await;
    a.on(Match::any(), [Behaviour::says("squeezed").gzip()]);
    let answer = gateway
        .chat("a")
        .header("accept-encoding", "gzip")
        .send()
        .await;
    assert_eq!(answer.status, 200);
    let body = match answer.header("content-encoding") {
        "gzip" => {
            let mut text = String::new();
            let mut decoder = flate2::read::GzDecoder::new(&answer.body[..]);
            decoder.read_to_string(&mut text).unwrap();
            text
        }
        _ => answer.text().to_owned(),
    };
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "squeezed");
}

#[tokio::test]
async fn every_framing_of_an_answer_is_understood() {
    let (a, gateway) = one().await;
    let cases = [
        Behaviour::says("x"),
        Behaviour::says("x").chunked(),
        Behaviour::says("x").chunked().slices(7),
        Behaviour::says("x").slices(1),
        Behaviour::says("x").until_close(),
    ];
    for behaviour in cases {
        a.on(Match::any(), [behaviour]);
        assert_eq!(gateway.chat("a").send().await.says(), "x");
    }
    for behaviour in [
        Behaviour::streams(&["x", "y"]).slices(5),
        Behaviour::streams(&["x", "y"]).with_length(),
        Behaviour::streams(&["x", "y"]).until_close(),
    ] {
        a.on(Match::any(), [behaviour]);
        let text = gateway
            .post_chat(chat_stream("a"))
            .stream()
            .await
            .text()
            .await;
        assert_eq!(spoken(&text), "xy");
    }
}

#[tokio::test]
async fn connections_to_an_upstream_are_reused() {
    let (a, gateway) = one().await;
    for _ in 0..20 {
        assert_eq!(gateway.chat("a").send().await.status, 200);
    }
    // A pool may open one more while the last one is on its way back.
    assert!(
        a.connections() <= 5,
        "{} connections for {} requests",
        a.connections(),
        a.count()
    );
}

#[tokio::test]
async fn an_echo_provider_answers_by_itself() {
    let yaml = "llm: {providers: [{name: e, dialect: echo, model: m}]}";
    let gateway = Gateway::start(yaml, &[]).await;
    let body = r#"{"model":"e","messages":[{"role":"user","content":"knock knock"}]}"#;
    assert!(
        gateway
            .post_chat(body)
            .send()
            .await
            .says()
            .contains("knock knock")
    );
    let body = body.replacen('{', r#"{"stream":true,"#, 1);
    let text = gateway.post_chat(body).stream().await.text().await;
    assert!(
        spoken(&text).contains("knock knock") && text.ends_with("data: [DONE]\n\n"),
        "{text}"
    );
}

#[tokio::test]
async fn a_request_refused_at_the_door_has_its_line_in_the_log() {
    let (a, gateway) = one().await;
    let long = format!(r#"{{"model":"{}","messages":[]}}"#, "m".repeat(257));
    let cases = [("{broken", "invalid_json"), (&long, "invalid_request")];
    for (body, code) in cases {
        let id = format!("refused-{code}");
        let call = gateway.post_chat(body).header("x-request-id", &id);
        call.send().await.assert_error(400, code);
        let line = gateway.logged(&id).await;
        assert!(line.contains(code) && line.contains("400"), "{line}");
    }
    assert_eq!(a.count(), 0);
}
