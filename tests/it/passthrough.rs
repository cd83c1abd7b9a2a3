//! Calls that pass through to a provider's own paths: our key in place of the caller's, and everything else as it came.

mod room;
mod usage;

use reqwest::Method;

use crate::access::By;
use crate::support::client::Call;
use crate::support::{At, Behaviour, Gate, Gateway, Match, ScriptedUpstream};

const SETUP: &str = "
llm:
  providers:
    - name: a
      base_url: <a>
      passthrough: true
      api_keys: [sk-one-0123456789, sk-two-0123456789]
      retry: {same_upstream: 1, waits: [1ms]}
    - {name: closed, base_url: <a>, model: m, api_key: sk-closed-0123456789}
    - {name: claude, base_url: <a>, dialect: anthropic, passthrough: true, api_key: sk-ant-0123456789}
dispatch: {await_cooldown: 0s}
";

const FILE: &str = r#"{"id":"file-abc123","object":"file","bytes":3}"#;

async fn setup() -> (ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(SETUP, &[("a", &a)]).await;
    (a, gateway)
}

fn call<'g>(gateway: &'g Gateway, method: &Method, path: &str, body: Option<&str>) -> Call<'g> {
    let body = body.map(|body| body.as_bytes().to_vec());
    gateway.call_at(gateway.address(), method.clone(), path, body)
}

#[tokio::test]
async fn method_path_query_headers_and_bytes_pass_and_only_the_key_is_ours() {
    let (a, gateway) = setup().await;
    a.on(
        Match::any(),
        [Behaviour::body(200, "application/x-whatever", "\u{1}answer").header("x-theirs", "1")],
    );
    for method in [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ] {
        let body = (method != Method::GET).then_some("any \u{0}bytes");
        let sent = call(
            &gateway,
            &method,
            "/passthrough/a/v1/things/x%2Fy?limit=2&key=mine&b",
            body,
        )
        .header("authorization", "Bearer callers-own-token")
        .header("x-api-key", "callers-own-token")
        .header("content-type", "application/x-other")
        .header("openai-beta", "assistants=v2")
        .header("x-custom", "1")
        .header("cookie", "a=b")
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .send()
        .await;
        assert_eq!((sent.status, sent.text()), (200, "\u{1}answer"));
        assert_eq!(sent.header("x-theirs"), "1");
        assert_eq!(sent.header("x-pointsman-upstream"), "a:passthrough");
        assert_eq!(sent.header("content-type"), "application/x-whatever");
        let got = a.requests().pop().unwrap();
        assert_eq!(got.method, method.as_str());
        assert_eq!(got.path, "/v1/things/x%2Fy?limit=2&b");
        assert_eq!(got.body, body.unwrap_or_default().as_bytes());
        assert!(got.key.as_deref().is_some_and(|key| key.starts_with("sk-")));
        assert_eq!(got.header("content-type"), Some("application/x-other"));
        assert_eq!(got.header("openai-beta"), Some("assistants=v2"));
        assert_eq!(got.header("x-custom"), Some("1"));
        for name in ["cookie", "x-hop", "x-api-key"] {
            assert_eq!(got.header(name), None, "{name}");
        }
        let told: Vec<_> = got
            .headers
            .iter()
            .filter(|(_, value)| value.contains("callers-own"))
            .collect();
        assert!(told.is_empty(), "{told:?}");
    }
    let answer = call(&gateway, &Method::HEAD, "/passthrough/a/files", None)
        .send()
        .await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
}

#[tokio::test]
async fn what_is_refused_is_refused_in_the_providers_dialect() {
    let (a, gateway) = setup().await;
    let post = |path: &str| call(&gateway, &Method::POST, path, Some("{}"));
    post("/passthrough/closed/files")
        .send()
        .await
        .assert_error(403, "target_not_allowed");
    post("/passthrough/nobody/files")
        .send()
        .await
        .assert_error(404, "route_not_found");
    // Written by hand: a client would make the path straight.
    for path in [
        "/passthrough/a/x/%2e%2e/y",
        "/passthrough/a/../y",
        "/passthrough/a/..%2fy",
    ] {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let answer = gateway.exchange(request.as_bytes()).await;
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{path}");
    }
    let upgrade = call(&gateway, &Method::GET, "/passthrough/a/realtime", None)
        .header("connection", "upgrade")
        .header("upgrade", "websocket");
    upgrade.send().await.assert_error(426, "upgrade_required");
    assert_eq!(a.count(), 0);
    a.on(Match::any(), [Behaviour::rate_limited()]);
    post("/passthrough/claude/files").send().await;
    let cooling = post("/passthrough/claude/files").send().await;
    assert_eq!(cooling.status, 429);
    assert_eq!(cooling.json()["type"], "error", "{}", cooling.text());
}

#[tokio::test]
async fn a_client_with_targets_of_its_own_needs_this_one_by_name() {
    let yaml = format!(
        "clients:\n  - {{name: any, token: token-of-any-0123456789}}\n  - {{name: ci, token: token-of-ci-0123456789, allow: ['a', 'a:*']}}\n  - {{name: web, token: token-of-web-0123456789, allow: ['passthrough/a']}}\n{SETUP}"
    );
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    let get = |token: &str| call(&gateway, &Method::GET, "/passthrough/a/files", None).by(token);
    call(&gateway, &Method::GET, "/passthrough/a/files", None)
        .send()
        .await
        .assert_error(401, "invalid_client_token");
    get("token-of-ci-0123456789")
        .send()
        .await
        .assert_error(403, "target_not_allowed");
    for token in ["token-of-any-0123456789", "token-of-web-0123456789"] {
        assert_eq!(get(token).send().await.status, 200);
    }
}

#[tokio::test]
async fn a_key_that_is_refused_is_followed_by_another_and_a_failure_is_not_repeated() {
    let (a, gateway) = setup().await;
    let limited = Behaviour::rate_limited().header("retry-after", "60");
    a.on(Match::key("sk-one-0123456789"), [limited]);
    a.on(
        Match::key("sk-two-0123456789"),
        [Behaviour::json(200, FILE)],
    );
    for _ in 0..4 {
        let answer = call(&gateway, &Method::POST, "/passthrough/a/files", Some("abc"))
            .send()
            .await;
        assert_eq!(
            (answer.status, answer.header("x-pointsman-key")),
            (200, "a#2")
        );
    }
    assert_eq!(a.count(), 5, "the first key cools");
    assert!(a.requests().iter().all(|request| request.body == b"abc"));
    // What may have been done is not done again, and the provider's words go back.
    a.on(Match::key("sk-two-0123456789"), [Behaviour::fails(500)]);
    let answer = call(&gateway, &Method::POST, "/passthrough/a/files", Some("abc"))
        .send()
        .await;
    assert_eq!((answer.status, a.count()), (500, 6));
    assert!(
        answer.text().contains("scripted failure"),
        "{}",
        answer.text()
    );
    // Reading twice harms nobody.
    a.on(
        Match::key("sk-two-0123456789"),
        [Behaviour::fails(500), Behaviour::json(200, FILE)],
    );
    let answer = call(&gateway, &Method::GET, "/passthrough/a/files", None)
        .send()
        .await;
    assert_eq!((answer.status, a.count()), (200, 8));
}

#[tokio::test]
async fn a_resource_that_is_missing_is_held_against_nobody() {
    let (a, gateway) = setup().await;
    let missing = Behaviour::error(404, "model_not_found", "No such File object");
    a.on(
        Match::any(),
        [
            missing,
            Behaviour::error(403, "x", "no"),
            Behaviour::json(200, FILE),
        ],
    );
    for status in [404, 403, 200, 200, 200] {
        let answer = call(&gateway, &Method::GET, "/passthrough/a/files/file-x1", None)
            .send()
            .await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    assert_eq!(a.count(), 5);
}

#[tokio::test]
async fn an_answer_passes_piece_by_piece_and_a_cut_one_looks_cut() {
    let (a, gateway) = setup().await;
    let gate = Gate::new();
    let pieces = vec![b"one".to_vec(), b"two".to_vec()];
    let slow = Behaviour::pieces("audio/pcm", pieces.clone()).gate(At::AfterPart(1), &gate);
    let cut = Behaviour::pieces("audio/pcm", pieces).reset(At::AfterPart(1));
    a.on(Match::any(), [slow, cut]);
    let mut answer = call(&gateway, &Method::POST, "/passthrough/a/x", Some("{}"))
        .stream()
        .await;
    assert_eq!(answer.next().await.unwrap(), "one");
    gate.open();
    assert_eq!(answer.next().await.unwrap(), "two");
    assert!(answer.next().await.is_none());
    let sent = call(&gateway, &Method::POST, "/passthrough/a/x", Some("{}"))
        .stream()
        .await;
    assert!(sent.breaks_off().await);
    gateway.logged("passthrough/a").await;
}

#[tokio::test]
async fn what_was_made_with_a_key_is_found_with_that_key_again() {
    let (a, gateway) = setup().await;
    let post = |path: &str, body: &str| {
        call(&gateway, &Method::POST, path, Some(body)).header("content-type", "application/json")
    };
    let files = [FILE, r#"{"id":"file-xyz987","object":"file"}"#];
    a.on(
        Match::path("/v1/files"),
        files.map(|file| Behaviour::json(200, file)),
    );
    let mut owners = Vec::new();
    for _ in files {
        let made = post("/passthrough/a/files", "{}").send().await;
        owners.push(made.header("x-pointsman-key").to_owned());
    }
    assert_eq!(owners, ["a#1", "a#2"]);
    a.on(
        Match::path("/v1/batches"),
        [Behaviour::json(
            200,
            r#"{"id":"batch_1","input_file_id":"file-xyz987"}"#,
        )],
    );
    for _ in 0..3 {
        for (file, owner) in [("file-abc123", "a#1"), ("file-xyz987", "a#2")] {
            let get = call(
                &gateway,
                &Method::GET,
                &format!("/passthrough/a/v1/files/{file}/content"),
                None,
            );
            assert_eq!(get.send().await.header("x-pointsman-key"), owner);
        }
        let body = r#"{"input_file_id":"file-xyz987","endpoint":"/v1/responses"}"#;
        let made = post("/passthrough/a/batches", body).send().await;
        assert_eq!(made.header("x-pointsman-key"), "a#2");
        let get = call(
            &gateway,
            &Method::GET,
            "/passthrough/a/batches/batch_1",
            None,
        )
        .send()
        .await;
        assert_eq!(get.header("x-pointsman-key"), "a#2");
    }
    // Nobody else has it.
    a.on(
        Match::key("sk-two-0123456789"),
        [Behaviour::rate_limited().header("retry-after", "7")],
    );
    let path = "/passthrough/a/files/file-xyz987";
    call(&gateway, &Method::GET, path, None).send().await;
    let gone = call(&gateway, &Method::GET, path, None).send().await;
    gone.assert_error(409, "state_unavailable");
    assert!(
        (6000..=7000).contains(&gone.retry_after_ms()),
        "{}",
        gone.text()
    );
    let other = call(
        &gateway,
        &Method::GET,
        "/passthrough/a/files/file-abc123",
        None,
    )
    .send()
    .await;
    assert_eq!(other.status, 200);
}

#[tokio::test]
async fn a_body_goes_on_while_it_still_comes() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let place = format!("http://{address}/v1");
    let gateway = Gateway::start(SETUP, &[("a", &place)]).await;
    let mut caller = gateway.connect().await;
    let head =
        "POST /passthrough/a/files HTTP/1.1\r\nhost: localhost\r\ncontent-length: 6\r\n\r\nabc";
    caller.write_all(head.as_bytes()).await.unwrap();
    let (mut upstream, _) = listener.accept().await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"abc") {
        assert!(upstream.read_buf(&mut seen).await.unwrap() > 0);
    }
    caller.write_all(b"def").await.unwrap();
    while !seen.ends_with(b"abcdef") {
        assert!(upstream.read_buf(&mut seen).await.unwrap() > 0);
    }
    upstream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        .await
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nok") {
        assert!(caller.read_buf(&mut answer).await.unwrap() > 0);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
}
