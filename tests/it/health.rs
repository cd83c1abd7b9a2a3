//! `pointsman health`: exit code 0 when the process is well and 1 otherwise, whatever the reason.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Output;

use crate::support::gateway::{command, filled, run, signal};
use crate::support::temp::TempDir;
use crate::support::wait::bounded;
use crate::support::{Gateway, ScriptedUpstream, until};

const ONE: &str = "
llm:
  providers:
    - {name: a, base_url: http://127.0.0.1:9/v1, model: m, api_key: k1}
";

fn told(output: Output) -> (Option<i32>, String) {
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

async fn ask(arguments: &[&str]) -> (Option<i32>, String) {
    let dir = TempDir::new();
    told(run(dir.path(), &[&["health"], arguments].concat(), &[]).await)
}

#[tokio::test]
async fn a_process_that_ends_still_lives_but_is_not_ready() {
    let a = ScriptedUpstream::start().await;
    let yaml = format!("server: {{drain: {{delay: 60s}}}}{ONE}");
    let mut gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    let address = gateway.address().to_string();
    for question in [
        &["--address", &address][..],
        &["--ready", "--address", &address],
    ] {
        let (code, text) = ask(question).await;
        assert!(code == Some(0) && text.contains("ok"), "{text}");
    }
    gateway.signal("TERM");
    gateway.logged("draining").await;
    let (code, text) = ask(&["--ready", "--address", &address]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("503") && text.contains("draining"), "{text}");
    let (code, text) = ask(&["--address", &address]).await;
    assert_eq!(code, Some(0), "{text}");
    gateway.signal("TERM");
    gateway.wait_exit().await;
    let (code, text) = ask(&["--address", &address]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&address), "{text}");
}

#[tokio::test]
async fn the_address_is_that_of_the_configuration_even_when_the_rest_of_it_is_wrong() {
    let dir = TempDir::new();
    let socket = dir.path().join("p.sock");
    let served = |rest: &str| format!("server: {{listen: \"unix:${{DIR}}/p.sock\"{rest}}}{ONE}");
    dir.write("pointsman.yaml", &filled(&served(""), &[]));
    let place = dir.path().to_str().unwrap().to_owned();
    let env = [("DIR", place.as_str())];
    let mut child = command(dir.path(), &["serve"], &env).spawn().unwrap();
    until("the socket", async || socket.exists()).await;
    let health = async |arguments: &[&str], env: &[(&str, &str)]| {
        told(run(dir.path(), &[&["health"], arguments].concat(), env).await)
    };
    let (code, text) = health(&["--ready"], &env).await;
    assert_eq!(code, Some(0), "{text}");

    // The process refuses this file and goes on with what it has.
    dir.write("pointsman.yaml", &served(", max_body: lots, nonsense: 1"));
    let (code, text) = health(&[], &env).await;
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = health(&[], &[]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("DIR") && text.contains("--address"), "{text}");

    dir.write("pointsman.yaml", "server: [");
    let (code, text) = health(&[], &env).await;
    assert_eq!(code, Some(1), "{text}");
    let listen = format!("unix:{place}/p.sock");
    let named = [("POINTSMAN__SERVER__LISTEN", listen.as_str())];
    let (code, text) = health(&[], &named).await;
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = health(&["--address", &listen], &[]).await;
    assert_eq!(code, Some(0), "{text}");

    signal(child.id().unwrap(), "TERM");
    bounded("its end", child.wait()).await.unwrap();
}

/// Takes one connection, reads what is asked, answers with these bytes, and closes unless it is to hang.
fn impostor(answer: &'static [u8], hang: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 1024];
        drop(stream.read(&mut asked));
        drop(stream.write_all(answer));
        while hang && stream.read(&mut asked).is_ok_and(|read| read > 0) {}
    });
    address
}

#[tokio::test]
async fn whatever_is_not_a_healthy_answer_is_told_apart() {
    let error = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops";
    let tls_alert = b"\x15\x03\x03\x00\x02\x02\x32";
    for (answer, hang, said) in [
        (&error[..], false, "oops"),
        (tls_alert, false, "TLS"),
        (b"", true, "has not answered"),
    ] {
        let (code, text) = ask(&["--address", &impostor(answer, hang)]).await;
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(said), "{said}: {text}");
    }
    for (address, said) in [
        ("8080", "127.0.0.1:8080"),
        ("unix:/nonexistent/p.sock", "/nonexistent/p.sock"),
    ] {
        let (code, text) = ask(&["--address", address]).await;
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(said), "{said}: {text}");
    }
    let dir = TempDir::new();
    let any = [("POINTSMAN__SERVER__LISTEN", "127.0.0.1:0")];
    let (code, text) = told(run(dir.path(), &["health"], &any).await);
    assert!(code == Some(1) && text.contains("--address"), "{text}");
}

#[tokio::test]
async fn the_root_says_what_this_is_to_anyone() {
    let yaml = "
clients: [{name: all, token: token-of-everyone-0001}]
llm:
  providers:
    - {name: a, base_url: http://127.0.0.1:9/v1, model: m, api_key: k1}
";
    for yaml in [yaml, ONE] {
        let gateway = Gateway::start(yaml, &[]).await;
        let call = gateway.get("/").header("host", "lb.internal.example");
        let answer = call.send().await;
        let told = answer.json();
        assert_eq!((answer.status, told["status"].as_str()), (200, Some("ok")));
        assert_eq!(told["name"], "pointsman");
        assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
        assert!(!answer.header("x-request-id").is_empty());
        let linked = told["links"]["health"].as_str().unwrap();
        assert_eq!(gateway.get(linked).send().await.status, 200);
        let head = gateway.exchange(b"HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let head = String::from_utf8(head.await).unwrap();
        assert!(
            head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"),
            "{head}"
        );
        assert_eq!(gateway.post("/", "{}").send().await.status, 405);
    }
}
