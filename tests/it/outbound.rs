//! Where requests go, and where they never go: redirects, metadata addresses, proxies, foreign certificates, answers
//! that are made to harm.

use std::sync::Arc;

use data_encoding::BASE64;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::support::behaviour::{chunk, completion, event, role};
use crate::support::gateway::{filled, run};
use crate::support::planted::MARK;
use crate::support::temp::TempDir;
use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream};

fn one(more: &str) -> String {
    format!(
        "llm:\n  providers:\n    - {{name: a, base_url: \"<a>\", model: m, api_key: k1, retry: {{same_upstream: 0}}, \
         circuit_breaker: {{failure_threshold: 0, failure_rate: 0}}{more}}}\n"
    )
}

fn root(upstream: &ScriptedUpstream) -> String {
    upstream.base_url().trim_end_matches("/v1").to_owned()
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_carries_no_key_away() {
    let a = ScriptedUpstream::start().await;
    let elsewhere = ScriptedUpstream::start().await;
    let spare = ScriptedUpstream::playing([Behaviour::says("spare")]).await;
    let yaml = format!(
        "{}    - {{name: b, base_url: <b>, model: m, api_key: k2}}\n  virtual:\n    - {{name: v, upstreams: [a, b]}}\n\
         log: {{format: json, level: debug}}\n",
        one("")
    );
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &spare)]).await;
    for status in [301, 302, 303, 307, 308, 300, 304] {
        let to = format!("{}/chat/completions", elsewhere.base_url());
        a.on(
            Match::any(),
            [Behaviour::json(status, "{}").header("location", &to)],
        );
        let answer = gateway.chat("v").send().await;
        assert_eq!(
            (answer.status, answer.header("x-pointsman-upstream")),
            (200, "b:m"),
            "{status}"
        );
        let answer = gateway.chat_stream("a").send().await;
        answer.assert_error(502, "invalid_upstream_response");
        let answer = gateway.chat("a").send().await;
        answer.assert_error(502, "invalid_upstream_response");
        assert_eq!(answer.header("location"), "");
    }
    gateway.logged("a redirect, which is not followed").await;
    assert_eq!(elsewhere.count(), 0, "{:?}", elsewhere.requests());
}

#[tokio::test]
async fn a_metadata_service_is_no_provider() {
    let dir = TempDir::new();
    for host in [
        "169.254.169.254",
        "2852039166",
        "[::ffff:a9fe:a9fe]",
        "[fd00:ec2::254]",
        "0.0.0.0",
        "169.254.169.254.",
    ] {
        let place = format!("http://{host}/v1");
        dir.write("pointsman.yaml", &filled(&one(""), &[("a", &place)]));
        for arguments in [&["check"][..], &["serve", "--listen", "127.0.0.1:0"]] {
            let output = run(dir.path(), arguments, &[]).await;
            let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert_eq!(output.status.code(), Some(78), "{host}: {text}");
            assert!(
                text.contains("llm.providers[0].base_url: leads to"),
                "{host}: {text}"
            );
        }
    }
}

#[tokio::test]
async fn proxies_of_the_environment_are_used_only_when_told() {
    let a = ScriptedUpstream::playing([Behaviour::says("direct")]).await;
    let proxy = ScriptedUpstream::playing([Behaviour::says("by proxy")]).await;
    let url = root(&proxy);
    let env = [
        ("HTTP_PROXY", url.as_str()),
        ("http_proxy", &url),
        ("HTTPS_PROXY", &url),
        ("ALL_PROXY", &url),
    ];
    let gateway = Gateway::start_with(&one(""), &[("a", &a)], &env).await;
    assert_eq!(gateway.chat("a").send().await.says(), "direct");
    assert_eq!(proxy.count(), 0);
    let gateway = Gateway::start_with(&one(", proxy: environment"), &[("a", &a)], &env).await;
    assert_eq!(gateway.chat("a").send().await.says(), "by proxy");
    let all: Vec<_> = env.into_iter().chain([("NO_PROXY", "127.0.0.1")]).collect();
    let gateway = Gateway::start_with(&one(", proxy: environment"), &[("a", &a)], &all).await;
    assert_eq!(gateway.chat("a").send().await.says(), "direct");
}

#[tokio::test]
async fn a_configured_proxy_is_asked_for_the_provider_and_its_password_is_a_secret() {
    let proxy = ScriptedUpstream::playing([Behaviour::says("by proxy")]).await;
    // Not escaped, as it is often written.
    let password = format!("{MARK}p@ssword");
    let with_password = root(&proxy).replace("http://", &format!("http://me:{password}@"));
    let expected = BASE64.encode(format!("me:{password}").as_bytes());
    for yaml in [
        one(", proxy: \"<proxy>\""),
        one("").replace("llm:", "llm:\n  proxy: \"<proxy>\""),
    ] {
        let yaml = format!("{yaml}log: {{format: text, level: trace}}\n");
        // A name that nobody knows: the proxy looks it up.
        let place = "http://provider.invalid/v1".to_owned();
        let gateway = Gateway::start(&yaml, &[("a", &place), ("proxy", &with_password)]).await;
        assert_eq!(gateway.chat("a").send().await.says(), "by proxy");
        let request = proxy.requests().pop().unwrap();
        assert_eq!(request.path, "http://provider.invalid/v1/chat/completions");
        assert_eq!(
            request.header("proxy-authorization").unwrap(),
            format!("Basic {expected}")
        );
        assert_eq!(request.key.as_deref(), Some("k1"));
    }
    // A proxy that is away is a provider that is away.
    let gone = crate::support::Refusing::new();
    let url = gone
        .base_url()
        .replace("http://", &format!("http://me:{MARK}password@"));
    let place = "http://provider.invalid/v1".to_owned();
    let yaml = one(", proxy: \"<proxy>\"");
    let gateway = Gateway::start(&yaml, &[("a", &place), ("proxy", &url)]).await;
    let answer = gateway.chat("a").send().await;
    answer.assert_error(502, "upstreams_exhausted");
    assert_eq!(answer.attempts(), ["a:m: network"]);
}

#[tokio::test]
async fn a_proxy_that_is_asked_for_a_tunnel_gets_an_agent_and_no_key() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://me:secret@{}", listener.local_addr().unwrap());
    let place = "https://provider.invalid/v1".to_owned();
    let yaml = one(", proxy: \"<proxy>\"");
    let gateway = Gateway::start(&yaml, &[("a", &place), ("proxy", &proxy)]).await;
    let tunnelled = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        let refused = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
        socket.write_all(refused).await.unwrap();
        String::from_utf8(head).unwrap().to_ascii_lowercase()
    };
    let (answer, head) = tokio::join!(gateway.chat("a").send(), tunnelled);
    assert_eq!(answer.attempts(), ["a:m: network"]);
    assert!(
        head.starts_with("connect provider.invalid:443 http/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nuser-agent: pointsman/"), "{head}");
    assert!(head.contains("\r\nproxy-authorization: basic "), "{head}");
    assert!(!head.contains("bearer"), "{head}");
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_a_network_failure() {
    let place = "http://provider.invalid/v1".to_owned();
    let gateway = Gateway::start(&one(""), &[("a", &place)]).await;
    for _ in 0..2 {
        let answer = gateway.chat("a").send().await;
        assert_eq!(answer.attempts(), ["a:m: network"]);
    }
}

/// An authority of our own: its certificate in PEM, and a server with one of its certificates that says `fine`.
async fn private_upstream() -> (String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let own = own.signed_by(&key, &authority).unwrap();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], private)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!(
        "https://localhost:{}/v1",
        listener.local_addr().unwrap().port()
    );
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 4096];
            drop(stream.read(&mut request).await);
            let body = completion("fine");
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            drop(stream.write_all(answer.as_bytes()).await);
            drop(stream.shutdown().await);
        }
    });
    (authority.pem(), place)
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_where_it_is_named_and_nowhere_else() {
    let (pem, place) = private_upstream().await;
    let dir = TempDir::new();
    dir.write("ca.pem", &format!("Our authority\n{pem}"));
    let yaml = one(", ca_file: ca.pem");
    let other = one("")
        .replace("llm:\n  providers:\n", "")
        .replace("name: a", "name: b");
    dir.write(
        "gateway.yaml",
        &filled(&format!("{yaml}{other}"), &[("a", &place)]),
    );
    let gateway = Gateway::start_in(dir, &["--config", "gateway.yaml"], &[]).await;
    assert_eq!(gateway.chat("a").send().await.says(), "fine");
    let answer = gateway.chat("b").send().await;
    assert_eq!(answer.attempts(), ["b:m: network"]);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_malformed() {
    let a = ScriptedUpstream::start().await;
    let yaml = format!("server: {{max_answer: 4KiB}}\n{}", one(""));
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    for behaviour in [
        Behaviour::says(&"x".repeat(5000)),
        Behaviour::says(&"x".repeat(5000)).chunked(),
        Behaviour::json(400, &completion(&"x".repeat(5000))),
    ] {
        a.on(Match::any(), [behaviour]);
        let answer = gateway.chat("a").send().await;
        answer.assert_error(502, "invalid_upstream_response");
    }
    a.on(Match::any(), [Behaviour::says("small")]);
    assert_eq!(gateway.chat("a").send().await.status, 200);
    let words = "x".repeat(5000);
    a.on(Match::any(), [Behaviour::streams(&[&words])]);
    assert_eq!(
        gateway.chat_stream("a").send().await.status,
        200,
        "streams are not held"
    );
}

/// The most memory that a process ever had, in bytes.
fn peak(gateway: &Gateway) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_is_compressed_to_harm_does_not_fill_the_memory() {
    const SIZE: usize = 96 << 20;
    /// These shrink to a hundredth, so a look takes a third of their size, and thrice that while a buffer doubles.
    const MOST: u64 = 120 << 20;
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&one(""), &[("a", &a)]).await;
    gateway.chat("a").send().await;
    let before = peak(&gateway);
    let spaces = " ".repeat(SIZE);
    let whole = format!("{{\"choices\":[{spaces}1]}}");
    let words = format!("data: {spaces}\n\n");
    for behaviour in [
        Behaviour::json(200, &whole).gzip(),
        Behaviour::json(400, &whole).gzip(),
        Behaviour::json(500, &whole).gzip(),
        Behaviour::events([role(), words.clone()]).gzip(),
        Behaviour::events([role(), chunk("x"), words]).gzip(),
        Behaviour::events([
            role(),
            chunk("x"),
            format!(":{}\n\n", " ".repeat(4093)).repeat(SIZE / 4096 / 4),
        ])
        .gzip(),
    ] {
        a.on(Match::any(), [behaviour]);
        for call in [gateway.chat("a"), gateway.chat_stream("a")] {
            let mut answer = call.header("accept-encoding", "gzip").stream().await;
            // What served goes on as it came; it is not ours to keep.
            while answer.next().await.is_some_and(|piece| !piece.is_empty())
                && peak(&gateway) < before + MOST
            {}
        }
        let grown = peak(&gateway) - before;
        assert!(grown < MOST, "grown by {grown} bytes");
    }
}

#[tokio::test]
async fn depth_is_not_what_ends_it() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(
        &one(", params: {temperature: 1}, context_window: 1000, cooldown: {default: 0s}"),
        &[("a", &a)],
    )
    .await;
    let deep =
        |open: &str, close: &str| format!("{}1{}", open.repeat(200_000), close.repeat(200_000));
    let list = deep("[", "]");
    let object = deep("{\"a\":", "}");
    for value in [&list, &object] {
        for body in [
            value.to_string(),
            format!("{{\"model\":\"a\",\"messages\":{value}}}"),
            format!("{{\"model\":{value},\"messages\":[]}}"),
            format!(
                "{{\"model\":\"a\",\"stream\":true,\"stream_options\":{value},\"messages\":[{{\"role\":\"user\",\"content\":{value}}}]}}"
            ),
        ] {
            let answer = gateway.post_chat(body).send().await;
            assert!(
                [200, 400, 502].contains(&answer.status),
                "{}",
                answer.status
            );
        }
        for behaviour in [
            Behaviour::json(200, value),
            Behaviour::json(200, &format!("{{\"choices\":[{value}],\"usage\":{value}}}")),
            Behaviour::json(200, &format!("{{\"error\":{value}}}")),
            Behaviour::json(400, &format!("{{\"error\":{value}}}")),
            Behaviour::json(429, &format!("{{\"error\":{{\"details\":{value}}}}}")),
            Behaviour::events([event(value)]),
            Behaviour::events([
                role(),
                chunk("x"),
                event(&format!("{{\"choices\":{value}}}")),
                event(&format!("{{\"error\":{value}}}")),
            ]),
        ] {
            a.on(Match::any(), [behaviour]);
            for call in [gateway.chat("a"), gateway.chat_stream("a")] {
                call.awaits("0").send().await;
            }
        }
    }
    assert_eq!(
        gateway.get("/health/live").send().await.status,
        200,
        "still there"
    );
}
