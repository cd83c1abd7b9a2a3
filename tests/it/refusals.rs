//! What is refused early, while its caller is still sending.

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::support::raw::{answer, kept};
use crate::support::wait::bounded;
use crate::support::{Gateway, ScriptedUpstream, chat};

const LARGE: usize = 1024 * 1024;

async fn serving(yaml: &str) -> (ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::start().await;
    let yaml = format!(
        "{yaml}\nllm: {{providers: [{{name: a, base_url: <a>, model: m, api_key: k1}}]}}\n"
    );
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    (a, gateway)
}

#[tokio::test]
async fn who_sends_all_of_a_large_body_before_reading_hears_why_it_is_refused() {
    let clients = "clients: [{name: ci, token: token-of-ci-0123456789}]";
    let chat = "/v1/chat/completions";
    for (yaml, path, status) in [
        ("server: {max_body: 64KiB}", chat, 413),
        (clients, chat, 401),
        ("", "/v1/nowhere", 404),
        ("", "/v1/models", 405),
    ] {
        let (_a, gateway) = serving(yaml).await;
        let socket = TcpSocket::new_v4().unwrap();
        // What the system takes in for it is not sent.
        socket.set_send_buffer_size(64 * 1024).unwrap();
        let mut caller = socket.connect(gateway.address()).await.unwrap();
        let request = kept(path, &" ".repeat(LARGE));
        let (begin, rest) = request.as_bytes().split_at(1024);
        caller.write_all(begin).await.unwrap();
        bounded("an answer", caller.readable()).await.unwrap();
        bounded("all to be sent", caller.write_all(rest))
            .await
            .unwrap();
        let answer = answer(&mut caller).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn who_asks_whether_to_send_a_large_body_is_not_told_to() {
    let (_a, gateway) = serving("server: {max_body: 64KiB}").await;
    let mut caller = TcpStream::connect(gateway.address()).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: {LARGE}\r\n\r\n"
    );
    caller.write_all(head.as_bytes()).await.unwrap();
    let answer = answer(&mut caller).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn who_leaves_while_sending_is_told_of_as_such() {
    let (_a, gateway) = serving("").await;
    let mut caller = TcpStream::connect(gateway.address()).await.unwrap();
    let request = kept("/v1/chat/completions", &chat("a"));
    let half = request.len() - 10;
    caller.write_all(&request.as_bytes()[..half]).await.unwrap();
    drop(caller);
    let line = gateway.logged("caller_left").await;
    assert!(!line.contains(r#""status""#), "{line}");
}
