//! What is scarce: connections and file descriptors. Who holds them idle shuts nobody out.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::admin::side::Side;
use crate::support::gateway::filled;
use crate::support::raw::{answer, kept};
use crate::support::temp::TempDir;
use crate::support::{Gateway, ScriptedUpstream, chat, until};

const DEMO: &str = "llm: {providers: [{name: echo}]}";

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

/// A connection over which this was asked, and the head of its answer.
async fn asked(side: &Side, path: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(side.address).await.unwrap();
    stream.write_all(&get(path)).await.unwrap();
    let head = answer(&mut stream).await;
    (stream, head)
}

#[tokio::test]
async fn streams_of_events_do_not_shut_the_operator_out() {
    let side = Side::start(DEMO, &[]).await;
    let mut held = Vec::new();
    let mut open = 0;
    for _ in 0..256 {
        let (stream, head) = asked(&side, "/admin/v1/events").await;
        open += usize::from(head.starts_with("HTTP/1.1 200"));
        held.push(stream);
    }
    assert!((1..=64).contains(&open), "{open}");
    for path in [
        "/health/live",
        "/health/ready",
        "/metrics",
        "/admin/v1/state",
    ] {
        assert_eq!(side.get(path).send().await.status, 200, "{path}");
    }
    let order = side.call(
        reqwest::Method::PUT,
        "/admin/v1/log-level",
        Some("{\"level\":\"info\"}".into()),
    );
    let order = order
        .header("content-type", "application/json")
        .send()
        .await;
    assert!(order.status < 300, "{}", order.text());
    drop(held);
}

#[tokio::test]
async fn whoever_has_not_identified_does_not_shut_the_operator_out() {
    let yaml = format!("server: {{admin_token: a-token-of-an-operator}}\n{DEMO}");
    let side = Side::start(&yaml, &[]).await;
    let mut held = Vec::new();
    for number in 0..256 {
        let mut stream = TcpStream::connect(side.address).await.unwrap();
        match number % 3 {
            // Silent, half a head, refused.
            0 => {}
            1 => stream
                .write_all(b"GET /admin/v1/state HTTP/1.1\r\nho")
                .await
                .unwrap(),
            _ => {
                stream.write_all(&get("/admin/v1/state")).await.unwrap();
                assert!(answer(&mut stream).await.starts_with("HTTP/1.1 401"));
            }
        }
        held.push(stream);
    }
    let state = || {
        side.get("/admin/v1/state")
            .header("authorization", "Bearer a-token-of-an-operator")
    };
    assert_eq!(state().send().await.status, 200);
    assert_eq!(side.get("/health/live").send().await.status, 200);
    drop(held);
}

/// Whether a good answer comes, and not the end of the connection.
async fn rest_begins(stream: &mut TcpStream) -> bool {
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.is_ok() && first == *b"HTTP/1.1 200"
}

/// A gateway with so many file descriptors.
async fn limited(limits: &str, server: &str) -> (ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::start().await;
    let yaml = format!(
        "server: {{{server}}}\nllm: {{providers: [{{name: a, base_url: <a>, model: m, api_key: k1, retry: {{same_upstream: 0}}}}]}}\n"
    );
    let dir = TempDir::new();
    dir.write("gateway.yaml", &filled(&yaml, &[("a", &a)]));
    let script = format!(
        "{limits}; exec {} serve --listen 127.0.0.1:0 --admin-listen off --config gateway.yaml",
        env!("CARGO_BIN_EXE_pointsman")
    );
    // By way of a shell, which can set limits.
    let mut command = tokio::process::Command::new("sh");
    command
        .args(["-c", &script])
        .env_clear()
        .current_dir(dir.path())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true);
    (a, Gateway::start_as(dir, command).await)
}

#[tokio::test]
async fn the_soft_limit_of_descriptors_is_raised_and_what_does_not_fit_is_told() {
    let (_a, gateway) = limited("ulimit -Sn 64; ulimit -Hn 1024", "max_connections: 1000").await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", gateway.pid())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let soft = line.split_whitespace().nth(3).unwrap();
    assert_eq!(soft, "1024", "{line}");
    let warned = gateway.logged("server.max_connections is 1000").await;
    assert!(warned.contains("\"needed\":2032"), "{warned}");
}

#[tokio::test]
async fn idle_connections_take_no_descriptors_from_calls_to_upstreams() {
    let (a, gateway) = limited("ulimit -n 64", "").await;
    let mut kept_open = Vec::new();
    for _ in 0..10 {
        let mut stream = gateway.connect().await;
        stream
            .write_all(kept("/v1/chat/completions", &chat("a")).as_bytes())
            .await
            .unwrap();
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
        kept_open.push(stream);
    }
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(gateway.connect().await);
    }
    for stream in &mut kept_open {
        stream
            .write_all(kept("/v1/chat/completions", &chat("a")).as_bytes())
            .await
            .unwrap();
    }
    for stream in &mut kept_open {
        let head = answer(stream).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    }
    assert_eq!(a.count(), 20);
    // A new caller comes in, though the idle ones are still there.
    until("a new caller", async || {
        let mut stream = gateway.connect().await;
        drop(
            stream
                .write_all(kept("/v1/chat/completions", &chat("a")).as_bytes())
                .await,
        );
        rest_begins(&mut stream).await
    })
    .await;
    drop(idle);
    let lines = gateway.finish().await;
    let told = lines.iter().filter(|line| line.contains("cannot accept"));
    assert!(told.count() <= 3);
}
