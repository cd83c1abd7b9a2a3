//! Pictures, sound, rankings: forms with files, and answers that are no JSON.

use reqwest::Method;
use serde_json::json;

use crate::support::client::Call;
use crate::support::{Answer, At, Behaviour, Gateway, Match, ScriptedUpstream};

const SETUP: &str = "
server: {spool: 4KiB, max_upload: 1MiB}
llm:
  providers:
    - {name: a, base_url: <a>, model: m-a, api_key: sk-a-0123456789, retry: {same_upstream: 0}}
    - {name: b, base_url: <b>, model: m-b, api_key: sk-b-0123456789, retry: {same_upstream: 0}}
    - {name: claude, base_url: <b>, model: m-c, dialect: anthropic, api_key: sk-ant-0123456789}
  virtual:
    - {name: v, upstreams: [a, b]}
    - {name: w, upstreams: [claude, b]}
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

/// A form with a file of so many bytes, the model behind it.
fn form(model: Option<&str>, bytes: usize) -> Vec<u8> {
    let mut body = b"--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n".to_vec();
    body.extend((0..bytes).map(|at| u8::try_from(at % 251).unwrap()));
    body.extend_from_slice(
        b"\r\n--XX\r\nContent-Disposition: form-data; name=\"language\"\r\n\r\nde\r\n",
    );
    if let Some(model) = model {
        let part =
            format!("--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    body.extend_from_slice(b"--XX--\r\n");
    body
}

fn upload<'g>(gateway: &'g Gateway, path: &str, body: Vec<u8>) -> Call<'g> {
    gateway
        .call_at(gateway.address(), Method::POST, path, Some(body))
        .header("content-type", "multipart/form-data; boundary=XX")
}

fn served_by(answer: &Answer, name: &str) -> bool {
    answer.status == 200 && answer.header("x-pointsman-upstream").starts_with(name)
}

#[tokio::test]
async fn a_form_goes_to_the_next_upstream_with_that_ones_model() {
    // In memory, and in a file.
    for bytes in [100, 200_000] {
        for path in [
            "/v1/audio/transcriptions",
            "/v1/audio/translations",
            "/images/edits",
        ] {
            let wanted = if path.contains("images") {
                r#"{"data":[]}"#
            } else {
                r#"{"text":"hallo"}"#
            };
            let (a, b, gateway) = setup().await;
            a.on(Match::any(), [Behaviour::fails(500)]);
            b.on(Match::any(), [Behaviour::json(200, wanted)]);
            let answer = upload(&gateway, path, form(Some("v"), bytes)).send().await;
            assert!(served_by(&answer, "b:m-b"), "{path} {}", answer.text());
            assert_eq!(answer.text(), wanted);
            for (upstream, model) in [(&a, "m-a"), (&b, "m-b")] {
                let got = upstream.requests().pop().unwrap();
                assert!(got.path.ends_with(path.trim_start_matches("/v1")));
                assert_eq!(got.body, form(Some(model), bytes), "{path} {bytes}");
                assert_eq!(
                    got.header("content-type"),
                    Some("multipart/form-data; boundary=XX")
                );
            }
        }
    }
}

#[tokio::test]
async fn a_form_without_a_model_is_for_the_default_one_and_gets_its_name() {
    let b = ScriptedUpstream::start().await;
    let yaml = "llm: {providers: [{name: b, base_url: <b>, model: whisper, api_key: k}]}";
    let gateway = Gateway::start(yaml, &[("b", &b)]).await;
    b.on(
        Match::any(),
        [Behaviour::body(200, "text/plain; charset=utf-8", "hallo\n")],
    );
    let answer = upload(&gateway, "/v1/audio/transcriptions", form(None, 10))
        .send()
        .await;
    assert_eq!((answer.status, answer.text()), (200, "hallo\n"));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    let body = String::from_utf8_lossy(&b.requests()[0].body).into_owned();
    assert!(
        body.starts_with(
            "--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--XX\r\n"
        ),
        "{body}"
    );
}

#[tokio::test]
async fn what_is_no_form_or_too_large_is_refused_before_anybody_is_asked() {
    let (a, _b, gateway) = setup().await;
    let path = "/v1/audio/transcriptions";
    let twice = [form(Some("a"), 3), form(Some("b"), 3)].concat();
    upload(&gateway, path, twice)
        .send()
        .await
        .assert_error(400, "invalid_request");
    upload(&gateway, path, b"{}".to_vec())
        .send()
        .await
        .assert_error(400, "invalid_request");
    upload(&gateway, path, form(Some("nobody"), 3))
        .send()
        .await
        .assert_error(404, "model_not_found");
    upload(&gateway, path, form(Some("a"), 1_100_000))
        .send()
        .await
        .assert_error(413, "request_too_large");
    assert_eq!(a.count(), 0);
}

#[tokio::test]
async fn speech_passes_as_it_comes_and_its_failures_are_hidden() {
    let (a, b, gateway) = setup().await;
    let path = Match::path("/v1/audio/speech");
    let sound = || Behaviour::pieces("audio/mpeg", vec![vec![0xff, 0xfb, 0], vec![1, 2]]);
    b.on(path.clone(), [sound()]);
    let body = r#"{"model":"v","input":"hi","voice":"x"}"#;
    for failure in [
        Behaviour::fails(500),
        Behaviour::body(200, "audio/mpeg", ""),
        Behaviour::body(200, "text/html", "<html>hello</html>"),
        Behaviour::json(200, r#"{"error":{"message":"overloaded","code":503}}"#),
        sound().reset(At::AfterHead),
    ] {
        a.on(path.clone(), [failure]);
        let answer = gateway.post("/v1/audio/speech", body).send().await;
        assert!(served_by(&answer, "b:"), "{}", answer.status);
        assert_eq!(&*answer.body, [0xff, 0xfb, 0, 1, 2]);
        assert_eq!(answer.header("content-type"), "audio/mpeg");
    }
    assert_eq!(b.requests()[0].json()["model"], "m-b");
}

#[tokio::test]
async fn pictures_come_whole_or_as_events() {
    let (_a, b, gateway) = setup().await;
    let path = Match::path("/v1/images/generations");
    let whole = r#"{"created":1,"data":[{"b64_json":"AAAA"}]}"#;
    b.on(path.clone(), [Behaviour::json(200, whole)]);
    let answer = gateway
        .post("/v1/images/generations", r#"{"model":"b","prompt":"x"}"#)
        .send()
        .await;
    assert_eq!((answer.status, answer.text()), (200, whole));
    let events = [
        "event: image_generation.partial_image\ndata: {\"b64_json\":\"AA\"}\n\n",
        "event: image_generation.completed\ndata: {}\n\n",
    ];
    b.on(path, [Behaviour::events(events)]);
    let asked = r#"{"model":"b","prompt":"x","stream":true}"#;
    let answer = gateway.post("/v1/images/generations", asked).send().await;
    assert_eq!((answer.status, answer.text()), (200, &*events.concat()));
}

#[tokio::test]
async fn what_was_retired_names_its_successor_and_a_websocket_is_refused_everywhere() {
    let (_a, _b, gateway) = setup().await;
    for (path, now) in [
        ("/v1/assistants", "/v1/responses"),
        ("/v1/threads/t_1/messages", "/v1/responses"),
        ("/v1/engines/x/embeddings", "/v1/embeddings"),
        ("/v1/edits", "/v1/chat/completions"),
        (
            "/v1beta/models/m:generateText",
            "/v1beta/models/m:generateContent",
        ),
    ] {
        let post = gateway.post(path, "{}").send().await;
        assert_eq!(post.status, 410, "{path} {}", post.text());
        assert!(post.text().contains(now), "{path} {}", post.text());
        // A model may have such a name.
        let wanted = if path.contains(':') { 404 } else { 410 };
        let get = gateway.get(path).send().await;
        assert_eq!(get.status, wanted, "{path} {}", get.text());
    }
    for path in [
        "/v1/responses",
        "/v1/realtime?model=x",
        "/v1/chat/completions",
        "/passthrough/a/x",
        "/v1/models",
        "/v1/threads",
    ] {
        let call = gateway
            .get(path)
            .header("connection", "keep-alive, Upgrade")
            .header("upgrade", "WebSocket");
        assert_eq!(call.send().await.status, 426, "{path}");
    }
}

#[tokio::test]
async fn a_ranking_has_results_and_an_upstream_without_the_operation_is_passed_over() {
    let (_a, b, gateway) = setup().await;
    let ranked = r#"{"results":[{"index":1,"relevance_score":0.9}]}"#;
    b.on(Match::path("/v1/rerank"), [Behaviour::json(200, ranked)]);
    let body = json!({"model": "w", "query": "q", "documents": ["a", "b"]}).to_string();
    for path in ["/v1/rerank", "/rerank", "/v2/rerank"] {
        let answer = gateway.post(path, body.clone()).send().await;
        assert!(served_by(&answer, "b:"), "{path} {}", answer.text());
        assert_eq!(answer.text(), ranked);
    }
    let body = body.replace("\"w\"", "\"claude\"");
    gateway
        .post("/v1/rerank", body)
        .send()
        .await
        .assert_error(501, "not_supported");
    let answer = upload(
        &gateway,
        "/v1/audio/transcriptions",
        form(Some("claude"), 3),
    )
    .send()
    .await;
    answer.assert_error(501, "not_supported");
}
