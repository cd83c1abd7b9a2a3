//! Pages in browsers: which may call, and what they may read. And the host that a request must name.

use reqwest::Method;

use crate::admin::side::Side;
use crate::support::client::{Answer, Call};
use crate::support::raw::H2;
use crate::support::{Gateway, ScriptedUpstream, chat};

const TOKEN: &str = "Bearer a-token-of-a-client";
const PATH: &str = "/v1/chat/completions";

/// A gateway whose `server` section says this, and perhaps with clients.
async fn gateway(server: &str, rest: &str) -> (ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::start().await;
    let yaml = format!(
        "server: {{{server}}}\n{rest}\nllm: {{providers: [{{name: a, base_url: <a>, model: m, api_key: k1}}]}}\n"
    );
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    (a, gateway)
}

/// The status of a raw chat request with this target and these header lines.
async fn status(gateway: &Gateway, line: &str, lines: &str) -> u16 {
    let body = chat("a");
    let length = body.len();
    let bytes =
        format!("{line}\r\n{lines}connection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    let answer = gateway.exchange(bytes.as_bytes()).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    text.get(9..12).unwrap_or_default().parse().unwrap_or(0)
}

async fn with(gateway: &Gateway, lines: &str) -> u16 {
    let port = gateway.address().port();
    let lines = lines.replace("PORT", &port.to_string());
    status(gateway, "POST /v1/chat/completions HTTP/1.1", &lines).await
}

fn options<'a>(gateway: &'a Gateway, origin: &str) -> Call<'a> {
    gateway
        .call_at(gateway.address(), Method::OPTIONS, PATH, None)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,x-stainless-os",
        )
        .header("access-control-request-private-network", "true")
}

#[tokio::test]
async fn a_page_from_elsewhere_spends_nothing_where_nobody_has_to_identify() {
    let (a, gateway) = gateway("", "").await;
    let own = "host: 127.0.0.1:PORT\r\n";
    for lines in [
        "origin: http://evil.example\r\nsec-fetch-site: cross-site\r\ncontent-type: text/plain;charset=UTF-8\r\n",
        "origin: http://evil.example\r\n",
        "origin: null\r\n",
        "Origin: HTTP://EVIL.example\r\n",
        "origin: http://127.0.0.1:1\r\n",
        "origin: http://localhost:PORT\r\n",
        "origin: https://127.0.0.1:PORT\r\n",
        "origin: http://127.0.0.1\r\n",
        "sec-fetch-site: cross-site\r\n",
        "sec-fetch-site: same-site\r\n",
        "origin: http://127.0.0.1:PORT\r\nsec-fetch-site: cross-site\r\n",
        "origin: http://127.0.0.1:PORT\r\norigin: http://evil.example\r\n",
    ] {
        assert_eq!(
            with(&gateway, &format!("{own}{lines}")).await,
            403,
            "{lines}"
        );
    }
    for path in ["/v1/models", "/models", "/v1/completions", "/v1/nothing"] {
        let call = gateway.get(path).header("origin", "http://evil.example");
        call.send().await.assert_error(403, "cross_origin_refused");
    }
    for path in ["/health", "/health/live", "/health/ready"] {
        let call = gateway.get(path).header("origin", "http://evil.example");
        let answer = call.send().await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
    assert_eq!(
        options(&gateway, "https://evil.example")
            .send()
            .await
            .status,
        403
    );
    assert_eq!(a.count(), 0);
    gateway.logged("cross_origin_refused").await;
    for lines in [
        "",
        "content-type: application/x-www-form-urlencoded\r\n",
        "origin: http://127.0.0.1:PORT\r\nsec-fetch-site: same-origin\r\n",
        "sec-fetch-site: none\r\n",
    ] {
        assert_eq!(
            with(&gateway, &format!("{own}{lines}")).await,
            200,
            "{lines}"
        );
    }
    assert_eq!(a.count(), 4);
}

#[tokio::test]
async fn a_page_with_a_name_of_its_own_spends_nothing() {
    let (a, gateway) = gateway("allowed_hosts: [gate.example, '*.internal']", "").await;
    for host in [
        "evil.example",
        "evil.example:PORT",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "pointsman.default.svc",
        "x.gate.example",
        "internal",
        "",
    ] {
        for more in [
            "",
            "origin: http://evil.example\r\nsec-fetch-site: same-origin\r\n",
        ] {
            let lines = format!("host: {host}\r\n{more}");
            assert_eq!(with(&gateway, &lines).await, 403, "{lines}");
        }
    }
    let call = gateway.get("/v1/models").header("host", "evil.example");
    call.send().await.assert_error(403, "host_not_allowed");
    let health = gateway.get("/health/live").header("host", "evil.example");
    assert_eq!(health.send().await.status, 200);
    let elsewhere = "POST http://evil.example/v1/chat/completions HTTP/1.1";
    assert_eq!(
        status(&gateway, elsewhere, "host: localhost\r\n").await,
        403
    );
    assert_eq!(
        status(&gateway, elsewhere, "host: evil.example\r\n").await,
        403
    );
    assert_eq!(a.count(), 0);
    for host in [
        "localhost",
        "LOCALHOST.:PORT",
        "app.localhost",
        "127.0.0.1",
        "[::1]:PORT",
        "0.0.0.0:PORT",
        "192.168.1.7",
        "gate.example",
        "GATE.example:80",
        "a.b.internal",
    ] {
        assert_eq!(
            with(&gateway, &format!("host: {host}\r\n")).await,
            200,
            "{host}"
        );
    }
    let here = "POST http://localhost/v1/chat/completions HTTP/1.1";
    assert_eq!(status(&gateway, here, "host: localhost\r\n").await, 200);
}

#[tokio::test]
async fn http2_names_its_host_in_the_authority() {
    let (a, gateway) = gateway("", "").await;
    let mut client = H2::over(gateway.connect().await).await;
    let mut ask = async |uri: &str, host: Option<&str>, origin: Option<&str>| {
        let mut request = http::Request::post(uri);
        for (name, value) in [("host", host), ("origin", origin)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let body = http_body_util::Full::new(bytes::Bytes::from(chat("a")));
        let answer = client.request(request.body(body).unwrap()).await.unwrap();
        answer.status().as_u16()
    };
    let own = format!("http://{}{PATH}", gateway.address());
    assert_eq!(ask(&own, None, None).await, 200);
    assert_eq!(ask(&own, None, Some("http://evil.example")).await, 403);
    assert_eq!(
        ask("http://evil.example/v1/chat/completions", None, None).await,
        403
    );
    assert_eq!(ask(&own, Some("evil.example"), None).await, 400);
    assert_eq!(a.count(), 1);
}

#[tokio::test]
async fn inside_of_a_network_a_service_is_called_by_its_name() {
    let a = ScriptedUpstream::start().await;
    let yaml = "server: {listen: 0.0.0.0:0, insecure_open: true}\n\
        llm: {providers: [{name: a, base_url: <a>, model: m, api_key: k1}]}\n";
    let dir = crate::support::temp::TempDir::new();
    let text = crate::support::gateway::filled(yaml, &[("a", &a)]);
    dir.write("gateway.yaml", &text);
    let arguments = ["serve", "--admin-listen", "off", "--config", "gateway.yaml"];
    let command = crate::support::gateway::command(dir.path(), &arguments, &[]);
    let gateway = Gateway::start_as(dir, command).await;
    let name = "host: pointsman.default.svc\r\n";
    assert_eq!(with(&gateway, name).await, 200);
    let page = "origin: http://evil.example\r\n";
    assert_eq!(with(&gateway, &format!("{name}{page}")).await, 403);
    // A page with a name of its own: a browser marks every call that could cost something.
    let rebound = format!("host: evil.example\r\n{page}sec-fetch-site: same-origin\r\n");
    assert_eq!(with(&gateway, &rebound).await, 403);
}

/// As a browser sends it for a page of that origin, which knows the client's token.
fn marked<'c>(call: Call<'c>, origin: &str) -> Call<'c> {
    call.header("origin", origin)
        .header("sec-fetch-site", "cross-site")
        .header("authorization", TOKEN)
}

fn assert_readable(answer: &Answer, origin: &str) {
    assert_eq!(answer.header("access-control-allow-origin"), origin);
    let exposed = answer.header("access-control-expose-headers");
    for name in [
        "x-request-id",
        "retry-after",
        "x-pointsman-upstream",
        "x-pointsman-key",
    ] {
        assert!(exposed.contains(name), "{exposed}");
    }
    assert!(answer.header("vary").contains("origin"));
}

#[tokio::test]
async fn pages_of_allowed_origins_may_call_and_read() {
    let clients = "clients: [{name: c, token: a-token-of-a-client}]";
    for rest in ["", clients] {
        let server = "allowed_origins: ['https://App.example/', 'http://localhost:3000']";
        let (a, gateway) = gateway(server, rest).await;
        for origin in ["https://app.example", "http://localhost:3000"] {
            let answer = options(&gateway, origin).send().await;
            assert_eq!((answer.status, answer.text()), (204, ""));
            for (name, value) in [
                ("access-control-allow-origin", origin),
                (
                    "access-control-allow-headers",
                    "authorization,x-stainless-os",
                ),
                ("access-control-allow-private-network", "true"),
                ("access-control-max-age", "7200"),
            ] {
                assert_eq!(answer.header(name), value, "{name}");
            }
            assert!(
                answer
                    .header("access-control-allow-methods")
                    .contains("POST")
            );
            assert!(answer.header("vary").contains("origin"));
            let answer = marked(gateway.chat("a"), origin).send().await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_readable(&answer, origin);
            let streamed = marked(gateway.chat_stream("a"), origin).stream().await;
            assert_eq!(streamed.header("access-control-allow-origin"), origin);
            streamed.text().await;
            for call in [
                gateway.chat("nothing"),
                gateway.get("/v1/nothing"),
                gateway.post_chat("{"),
            ] {
                let answer = marked(call, origin).send().await;
                assert!(answer.status >= 400);
                assert_readable(&answer, origin);
            }
            assert_readable(
                &marked(gateway.get("/v1/models"), origin).send().await,
                origin,
            );
        }
        let asked = a.count();
        for origin in [
            "https://evil.example",
            "http://app.example",
            "https://app.example:8443",
            "null",
        ] {
            let answer = options(&gateway, origin).send().await;
            assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
            let call = gateway.chat("a").header("origin", origin);
            let answer = call.header("authorization", TOKEN).send().await;
            // Who knows a token may call; no page may read the answer.
            assert_eq!(answer.status, if rest.is_empty() { 403 } else { 200 });
            assert_eq!(answer.header("access-control-allow-origin"), "");
            assert!(answer.header("vary").contains("origin"));
        }
        let more = if rest.is_empty() { 0 } else { 4 };
        assert_eq!(a.count(), asked + more);
    }
}

#[tokio::test]
async fn all_pages_may_call_where_that_was_asked_for() {
    let (_a, gateway) = gateway("allowed_origins: '*'", "").await;
    gateway.logged("every page").await;
    let answer = gateway.chat("a").header("origin", "null").send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), "null");
}

#[tokio::test]
async fn http11_names_one_host() {
    let side = Side::start("llm: {providers: [{name: echo}]}", &[]).await;
    for (lines, expected) in [
        ("x: y\r\n", "400"),
        ("host: localhost\r\nhost: localhost\r\n", "400"),
        ("host: local host\r\n", "400"),
        ("host: me@localhost\r\n", "400"),
        ("host: localhost:8o80\r\n", "400"),
        ("host: [::1\r\n", "400"),
        ("host: localhost\r\n", "200"),
    ] {
        for address in [side.gateway.address(), side.address] {
            let head = format!("GET /health/live HTTP/1.1\r\n{lines}connection: close\r\n\r\n");
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let answer = crate::support::raw::tell(&mut stream, head.as_bytes()).await;
            assert_eq!(answer.get(9..12), Some(expected), "{lines}");
        }
    }
    let old = b"GET /health/live HTTP/1.0\r\n\r\n";
    let answer = side.gateway.exchange(old).await;
    assert!(answer.starts_with(b"HTTP/1.0 200"));
}
