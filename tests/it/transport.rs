//! What connections do, both ways: those that were forgotten, heads of any form, answers that come early, and bodies
//! that callers compress.

mod bodies;
mod doors;
mod trust;

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;

use crate::support::behaviour::completion;
use crate::support::wait::bounded;
use crate::support::{At, Behaviour, Gateway, Match, ScriptedUpstream, chat};

/// One provider of which the first failure that counts opens the breaker.
const TOUCHY: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1, retry: {same_upstream: 0},
       circuit_breaker: {failure_threshold: 1, recovery_time: 60s}}
";

/// Reads until the head of a request is there, and the body that it names; `None` when the connection ends.
async fn request(stream: &mut TcpStream) -> Option<()> {
    let mut all = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))?;
            if body.len() >= length.parse().unwrap() {
                return Some(());
            }
        }
        if stream.read_buf(&mut all).await.ok()? == 0 {
            return None;
        }
    }
}

fn good() -> Vec<u8> {
    let body = completion("ok");
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

#[tokio::test]
async fn forgotten_connections_are_replaced_and_count_against_nobody() {
    const AT_ONCE: usize = 12;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let together = Arc::new(Barrier::new(AT_ONCE));
    let (forgotten, mut resets) = tokio::sync::mpsc::unbounded_channel();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (together, forgotten) = (Arc::clone(&together), forgotten.clone());
            tokio::spawn(async move {
                if request(&mut stream).await.is_none() {
                    return;
                }
                together.wait().await;
                stream.write_all(&good()).await.unwrap();
                // What else comes is not known here.
                stream.readable().await.unwrap();
                drop(stream.set_zero_linger());
                drop(stream);
                forgotten.send(()).ok();
            });
        }
    });
    let gateway = Gateway::start(TOUCHY, &[("a", &url)]).await;
    for _ in 0..2 {
        let calls: Vec<_> = (0..AT_ONCE).map(|_| gateway.chat("a").spawn()).collect();
        for call in calls {
            let answer = bounded("an answer", call).await.unwrap();
            assert_eq!(
                (answer.status, answer.header("x-pointsman-attempts")),
                (200, "1")
            );
        }
    }
    bounded("a reset", resets.recv()).await.unwrap();
    assert_eq!(gateway.chat_stream("nobody").send().await.status, 404);
    serving.abort();
}

#[tokio::test]
async fn a_fresh_connection_that_dies_is_a_failure() {
    let a = ScriptedUpstream::start().await;
    let yaml = TOUCHY.replace(
        "failure_threshold: 1",
        "failure_threshold: 0, failure_rate: 0",
    );
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    let dies = || Behaviour::says("never").reset(At::BeforeHead);
    a.on(Match::any(), [dies()]);
    let answer = gateway.chat("a").send().await;
    answer.assert_error(502, "upstreams_exhausted");
    assert_eq!((a.count(), answer.attempts().len()), (1, 1));
    // On a used one it is tried once more, and no more than once.
    a.on(Match::any(), [Behaviour::says("ok"), dies()]);
    assert_eq!(gateway.chat("a").send().await.says(), "ok");
    let answer = gateway.chat("a").send().await;
    answer.assert_error(502, "upstreams_exhausted");
    assert_eq!((a.count(), answer.attempts().len()), (4, 1));
}

#[tokio::test]
async fn what_broke_off_behind_its_head_is_not_asked_for_twice() {
    let a = ScriptedUpstream::start().await;
    let yaml = TOUCHY.replace(
        "failure_threshold: 1",
        "failure_threshold: 0, failure_rate: 0",
    );
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    let cut = Behaviour::says("never").reset(At::AfterHead);
    a.on(Match::any(), [Behaviour::says("ok"), cut]);
    assert_eq!(gateway.chat("a").send().await.says(), "ok");
    gateway
        .chat("a")
        .send()
        .await
        .assert_error(502, "upstreams_exhausted");
    assert_eq!(a.count(), 2);
}

/// A good answer with these lines in its head.
fn with_head(lines: &str) -> Behaviour {
    let body = completion("ok");
    let length = body.len();
    Behaviour::raw(
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{lines}content-length: {length}\r\n\
             connection: close\r\n\r\n{body}"
        )
        .as_bytes(),
    )
}

#[tokio::test]
async fn heads_of_answers_are_measured_in_bytes_and_read_forgivingly() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(TOUCHY, &[("a", &a)]).await;
    for lines in [130, 500, 1000] {
        let head: String = (0..lines)
            .map(|n| format!("x-copied-{n}: {n}\r\n"))
            .collect();
        a.on(Match::any(), [with_head(&head)]);
        let answer = gateway.chat("a").send().await;
        assert_eq!(
            (answer.status, answer.says()),
            (200, "ok".to_owned()),
            "{lines}"
        );
        assert!(answer.headers.len() < 100, "usual clients take no more");
    }
    for (head, name, value) in [
        ("x-folded: one\r\n two\r\n", "x-folded", "one  two"),
        ("x-folded: one\r\n\ttwo\r\n", "x-folded", "one \ttwo"),
        ("x-blank : one\r\n", "x-blank", "one"),
        ("no colon at all\r\nx-after: one\r\n", "x-after", "one"),
        ("na me: two\r\nx-after: one\r\n", "x-after", "one"),
    ] {
        a.on(Match::any(), [with_head(head)]);
        let answer = gateway.chat("a").send().await;
        assert_eq!(answer.status, 200, "{head:?}: {}", answer.text());
        let squeezed = |text: &str| text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeezed(answer.header(name)), squeezed(value), "{head:?}");
    }
}

#[tokio::test]
async fn heads_of_requests_are_measured_in_bytes() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(TOUCHY, &[("a", &a)]).await;
    let body = chat("a");
    for (lines, status) in [(130, "200"), (900, "200"), (5000, "431")] {
        let more: String = (0..lines)
            .map(|n| format!("x-meta-{n}: value {n}\r\n"))
            .collect();
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n{more}\r\n{body}",
            body.len()
        );
        let mut stream = gateway.connect().await;
        let answer = crate::support::raw::tell(&mut stream, request.as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{lines}: {answer}"
        );
    }
}

#[tokio::test]
async fn one_connection_takes_heads_of_few_lines_and_of_many() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(TOUCHY, &[("a", &a)]).await;
    let body = chat("a");
    let request = |lines: usize, end: &str| {
        let more: String = (0..lines)
            .map(|n| format!("x-meta-{n}: value {n}\r\n"))
            .collect();
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n{end}content-length: {}\r\n{more}\r\n{body}",
            body.len()
        )
    };
    let all = [
        request(3, ""),
        request(3, ""),
        request(900, ""),
        request(3, ""),
        request(95, ""),
        request(300, "connection: close\r\n"),
    ];
    // Each after the other's answer, all at once, and in small pieces.
    let mut stream = gateway.connect().await;
    let (last, first) = all.split_last().unwrap();
    for request in first {
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = crate::support::raw::answer(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    }
    let answer = crate::support::raw::tell(&mut stream, last.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let mut stream = gateway.connect().await;
    let answers = crate::support::raw::tell(&mut stream, all.concat().as_bytes()).await;
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), all.len());
    let mut stream = gateway.connect().await;
    for piece in last.as_bytes().chunks(700) {
        stream.write_all(piece).await.unwrap();
        stream.flush().await.unwrap();
        // The other side reads it before the next one comes.
        gateway.health("/in_flight").await;
    }
    let answer = crate::support::raw::tell(&mut stream, b"").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// Refuses after so many bytes of a request, and resets.
async fn refuse(mut stream: TcpStream, after: usize) {
    let mut some = vec![0; 64 * 1024];
    let mut read = 0;
    while read < after {
        match stream.read(&mut some).await {
            Ok(bytes) if bytes > 0 => read += bytes,
            _ => return,
        }
    }
    let body = r#"{"error":{"message":"too large","type":"invalid_request_error","code":null}}"#;
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 413 Payload Too Large\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    );
    drop(stream.write_all(answer.as_bytes()).await);
    drop(stream.set_zero_linger());
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_was_read_counts() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut after = [1, 100_000, 1_000_000, 1_900_000].into_iter().cycle();
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(refuse(stream, after.next().unwrap()));
        }
    });
    let gateway = Gateway::start(TOUCHY, &[("a", &url)]).await;
    let text = "x".repeat(2_000_000);
    let body = format!(r#"{{"model":"a","messages":[{{"role":"user","content":"{text}"}}]}}"#);
    let mut statuses = Vec::new();
    for _ in 0..60 {
        statuses.push(gateway.post_chat(body.clone()).send().await.status);
    }
    assert_eq!(statuses, [413; 60]);
    serving.abort();
}

#[tokio::test]
async fn every_call_says_what_makes_it() {
    let own = concat!("pointsman/", env!("CARGO_PKG_VERSION"));
    let both = format!("{own} my-program/1.0");
    for (setting, expected) in [
        ("", own),
        (", forward_user_agent: true", both.as_str()),
        (", headers: {User-Agent: theirs/2}", "theirs/2"),
        (
            ", forward_user_agent: true, headers: {User-Agent: theirs/2}",
            "theirs/2",
        ),
    ] {
        let a = ScriptedUpstream::start().await;
        let yaml = TOUCHY.replace(", retry:", &format!("{setting}, retry:"));
        let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
        let call = gateway.chat("a").header("user-agent", "my-program/1.0");
        assert_eq!(call.send().await.status, 200);
        // Without one of the caller's.
        assert_eq!(gateway.chat("a").send().await.status, 200);
        let seen: Vec<_> = a
            .requests()
            .iter()
            .map(|request| request.header("user-agent").unwrap_or_default().to_owned())
            .collect();
        let alone = if expected == both { own } else { expected };
        assert_eq!(seen, [expected, alone], "{setting}");
    }
}
