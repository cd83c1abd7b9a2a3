//! How callers write routes, what they ask to upgrade to, and where they put their token.

use crate::support::raw::{H2, tell};
use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream, chat};

const CLIENTS: &str = "
clients: [{name: ci, token: \"token+of/ci=0123456789\"}]
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1}
log: {format: json, level: trace}
";

#[tokio::test]
async fn routes_may_have_slashes_too_many() {
    let (a, gateway) = crate::support::serving("").await;
    for path in [
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/v1/chat//completions",
        "/v1/chat/completions/",
        "//v1///chat/completions//",
        "//chat/completions",
        "/chat/completions/?x=y",
    ] {
        let answer = gateway.post(path, chat("a")).send().await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    assert_eq!(a.count(), 7);
    for path in [
        "/v1//models",
        "//v1/models/",
        "/v1/models//a:m",
        "//health",
        "/health/live/",
    ] {
        let answer = gateway.get(path).send().await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    // What is encoded is meant.
    let answer = gateway
        .post("/v1/chat%2Fcompletions", chat("a"))
        .send()
        .await;
    answer.assert_error(404, "route_not_found");
    let answer = gateway.get("//v1/nothing/").send().await;
    answer.assert_error(404, "route_not_found");
}

#[tokio::test]
async fn an_upgrade_to_websocket_is_refused_at_once() {
    let (a, gateway) = crate::support::serving("").await;
    for path in [
        "/v1/responses",
        "/responses",
        "/v1/chat/completions",
        "/v1/realtime?model=x",
    ] {
        for upgrade in ["websocket", "WebSocket", "h2c, websocket"] {
            let request = format!(
                "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: keep-alive, Upgrade\r\nupgrade: {upgrade}\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\
                 GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
            );
            let answer = tell(&mut gateway.connect().await, request.as_bytes()).await;
            let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 426 "), "{path}: {answer}");
            let lines: Vec<_> = head.lines().collect();
            assert!(lines.contains(&"connection: upgrade"), "{head}");
            assert!(lines.contains(&"upgrade: HTTP/1.1"), "{head}");
            assert!(
                lines.iter().any(|line| line.starts_with("x-request-id: ")),
                "{head}"
            );
            let body = rest.split("HTTP/1.1").next().unwrap();
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["error"]["code"], "upgrade_required");
            assert_eq!(body["error"]["type"], "invalid_request_error");
            assert!(
                body["error"]["message"].as_str().unwrap().contains("POST"),
                "{body}"
            );
        }
    }
    assert_eq!(a.count(), 0);
    // Another one is not taken, and not meant for us to refuse (RFC 9110, 7.8).
    let answer = gateway
        .get("/v1/models")
        .header("upgrade", "h2c")
        .send()
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_clients_token_is_taken_from_every_place_and_told_nobody() {
    let a = ScriptedUpstream::start().await;
    a.on(Match::any(), [Behaviour::says("ok")]);
    let gateway = Gateway::start(CLIENTS, &[("a", &a)]).await;
    let token = "token+of/ci=0123456789";
    let key = "token%2Bof%2Fci%3D0123456789";
    let keyed = "token%2bof/ci=0123456789";
    for (path, header) in [
        ("/v1/chat/completions".to_owned(), Some("x-goog-api-key")),
        ("/v1/chat/completions".to_owned(), Some("x-api-key")),
        (format!("/v1/chat/completions?key={key}"), None),
        (
            format!("/v1/chat/completions?alt=sse&key={keyed}&x=y"),
            None,
        ),
        (format!("/v1/chat/completions/?key={key}"), None),
    ] {
        let call = gateway.post(&path, chat("a"));
        let call = match header {
            Some(name) => call.header(name, token),
            None => call,
        };
        let answer = call.send().await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    let answer = gateway.get(&format!("/v1/models?key={key}")).send().await;
    assert_eq!(answer.status, 200);
    for path in [
        "/v1/chat/completions?key=",
        "/v1/chat/completions?key=wrong",
        "/v1/chat/completions?keys=x",
    ] {
        let answer = gateway.post(path, chat("a")).send().await;
        answer.assert_error(401, "invalid_client_token");
    }
    let answer = gateway.get(&format!("/v1/nothing?key={key}")).send().await;
    assert!(!answer.text().contains("0123456789"), "{}", answer.text());
    for request in a.requests() {
        assert_eq!(request.path, "/v1/chat/completions");
        let told = format!("{:?}", request.headers);
        assert!(!told.contains("0123456789"), "{told}");
    }
    let log = gateway.finish().await.join("\n");
    assert!(
        !log.contains("ci=0123456789") && !log.contains("ci%3D0123456789"),
        "{log}"
    );
    assert!(!log.contains("key=token"), "{log}");
}

#[tokio::test]
async fn http2_has_the_same_routes() {
    let (_a, gateway) = crate::support::serving("").await;
    let mut client = H2::over(gateway.connect().await).await;
    let (status, text) = client.ask("//v1/chat/completions/", chat("a")).await;
    assert_eq!(status, 200, "{text}");
}
