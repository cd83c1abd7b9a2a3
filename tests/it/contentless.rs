//! Streams of things that are no answer, answers that nobody takes in, and bodies that come slowly: each has a bound.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::admin::side::Side;
use crate::support::behaviour::{chunk, completion, finish};
use crate::support::client::spoken;
use crate::support::{At, Behaviour, Gateway, Match, ScriptedUpstream, until};

const MIB: usize = 1024 * 1024;

const CHAIN: &str = "
dispatch: {await_cooldown: 0s}
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1, retry: {same_upstream: 0}}
    - {name: b, base_url: <b>, model: m, api_key: k2}
  virtual: [{name: v, upstreams: [a, b]}]
";

/// What tells a client nothing, or nothing yet.
fn nothing() -> [String; 5] {
    [
        "\n".to_owned(),
        ": x\n\n".to_owned(),
        "event: ping\n\n".to_owned(),
        "data: {}\n\n".to_owned(),
        chunk(""),
    ]
}

#[tokio::test]
async fn what_is_no_content_is_no_beginning_and_the_next_upstream_is_asked() {
    let (a, b) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    b.on(Match::any(), [Behaviour::streams(&["good"])]);
    let gateway = Gateway::start(CHAIN, &[("a", &a), ("b", &b)]).await;
    for part in nothing() {
        for gzip in [false, true] {
            let flood = Behaviour::events([part.repeat(5 * MIB / part.len())]);
            let flood = flood.hang(At::AfterPart(1));
            let flood = if gzip { flood.gzip() } else { flood };
            a.on(Match::any(), [flood]);
            let answer = gateway.chat_stream("v").send().await;
            assert_eq!(answer.status, 200, "{part:?}");
            assert_eq!(
                answer.header("x-pointsman-upstream"),
                "b:m",
                "{part:?} {gzip}"
            );
            assert!(answer.text().contains("good"), "{part:?}");
        }
    }
}

#[tokio::test]
async fn small_events_that_come_together_go_out_together_and_nothing_is_lost() {
    let a = ScriptedUpstream::start().await;
    let words: String = (0..500).map(|n| chunk(&format!("w{n} "))).collect();
    let events = [words, "\n".repeat(MIB), chunk("end"), finish("stop")];
    a.on(Match::any(), [Behaviour::events(events)]);
    let yaml = "llm: {providers: [{name: a, base_url: <a>, model: m, api_key: k1}]}";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let answer = gateway.chat_stream("a").send().await;
    let expected: String = (0..500).map(|n| format!("w{n} ")).collect();
    assert_eq!(spoken(answer.text()), expected + "end");
    assert!(answer.text().len() < 200_000, "{}", answer.text().len());
}

/// A request on a connection of its own whose answer is not read.
async fn unread(gateway: &Gateway, body: &str) -> tokio::net::TcpStream {
    let mut connection = gateway.connect().await;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection
}

const ASK: &str = r#"{"model":"a","messages":[{"role":"user","content":"hi"}]}"#;

#[tokio::test]
async fn a_whole_answer_that_nobody_takes_in_keeps_its_place_until_its_connection_ends() {
    let long = completion(&"x".repeat(24 * MIB));
    let a = ScriptedUpstream::playing([Behaviour::json(200, &long)]).await;
    let yaml = "
server: {max_in_flight: 1}
llm: {providers: [{name: a, base_url: <a>, model: m, api_key: k1}]}";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let mut first = unread(&gateway, ASK).await;
    let mut head = [0; 12];
    first.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    gateway
        .chat("a")
        .send()
        .await
        .assert_error(503, "overloaded");
    drop(first);
    a.on(Match::any(), [Behaviour::says("ok")]);
    until("the place to be free", async || {
        gateway.chat("a").send().await.status == 200
    })
    .await;
}

#[tokio::test]
async fn bodies_that_come_slowly_keep_nobody_out() {
    let a = ScriptedUpstream::playing([Behaviour::says("ok")]).await;
    let yaml = "
server: {max_in_flight: 2}
llm: {providers: [{name: a, base_url: <a>, model: m, api_key: k1}]}";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut connection = gateway.connect().await;
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
            ASK.len()
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut go_on = [0; 12];
        connection.read_exact(&mut go_on).await.unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100");
        slow.push(connection);
    }
    assert_eq!(gateway.chat("a").send().await.status, 200);
    for mut connection in slow {
        connection.write_all(ASK.as_bytes()).await.unwrap();
        let mut rest = [0; 25];
        connection.read_exact(&mut rest).await.unwrap();
        assert!(String::from_utf8_lossy(&rest).contains("200"), "{rest:?}");
    }
}

#[tokio::test]
async fn bodies_and_answers_have_a_bound_together_and_their_room_is_free_again() {
    let a = ScriptedUpstream::playing([Behaviour::says("ok")]).await;
    let yaml = "
server: {max_body: 1MiB, max_buffered: 2MiB}
llm: {providers: [{name: a, base_url: <a>, model: m, api_key: k1}]}";
    let side = Side::start(yaml, &[("a", &a)]).await;
    let gateway = &side.gateway;
    // An answer counts until the gateway knows that all of it is written, which its client may know first.
    let nothing_held = async || {
        until("nothing to be held", async || {
            let metrics = side.get("/metrics").send().await;
            metrics.text().contains("\npointsman_buffered_bytes 0\n")
        })
        .await;
    };
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut connection = gateway.connect().await;
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {MIB}\r\nexpect: 100-continue\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut go_on = [0; 12];
        connection.read_exact(&mut go_on).await.unwrap();
        slow.push(connection);
    }
    // What is only announced keeps nobody out.
    assert_eq!(gateway.chat("a").send().await.status, 200);
    nothing_held().await;
    for connection in &mut slow {
        let all_but_one = vec![b' '; MIB - 1];
        connection.write_all(&all_but_one).await.unwrap();
    }
    // What asks holds nothing itself: else it could be what keeps the last bytes out.
    until("what has come to be counted", async || {
        let mut connection = gateway.connect().await;
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 64\r\nexpect: 100-continue\r\n\r\n";
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut start = [0; 12];
        connection.read_exact(&mut start).await.unwrap();
        &start == b"HTTP/1.1 503"
    })
    .await;
    let answer = gateway.chat("a").send().await;
    answer.assert_error(503, "overloaded");
    assert_eq!(answer.header("retry-after"), "1");
    assert!(answer.text().contains("max_buffered"), "{}", answer.text());
    drop(slow);
    until("the room to be free", async || {
        gateway.chat("a").send().await.status == 200
    })
    .await;
    // An answer for which there is no room.
    let long = completion(&"x".repeat(3 * MIB));
    a.on(Match::any(), [Behaviour::json(200, &long)]);
    gateway
        .chat("a")
        .send()
        .await
        .assert_error(503, "overloaded");
    nothing_held().await;
    a.on(Match::any(), [Behaviour::says("ok")]);
    assert_eq!(gateway.chat("a").send().await.status, 200);
}

#[tokio::test]
async fn large_events_of_streams_count_with_the_bodies_and_blame_nobody() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
server: {max_body: 1MiB, max_buffered: 2MiB}
llm: {providers: [{name: a, base_url: <a>, model: m, api_key: k1}]}";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let stream = |size: usize| {
        let large = chunk(&"x".repeat(size));
        Behaviour::events([
            chunk("one "),
            large,
            chunk("two"),
            finish("stop"),
            "data: [DONE]\n\n".into(),
        ])
        .slices(32 * 1024)
    };
    for _ in 0..4 {
        a.on(Match::any(), [stream(3 * MIB)]);
        let cut = gateway.chat_stream("a").stream().await.text().await;
        assert!(
            cut.contains("one ") && cut.contains("max_buffered"),
            "{}",
            cut.len()
        );
        assert!(!cut.contains("[DONE]") && cut.contains("overloaded"));
    }
    // Its breaker is closed, and what was counted is free again.
    a.on(Match::any(), [stream(MIB + MIB / 2)]);
    for _ in 0..3 {
        let whole = gateway.chat_stream("a").stream().await.text().await;
        assert!(
            whole.contains("two") && whole.contains("[DONE]"),
            "{}",
            whole.len()
        );
    }
    // As the first content there is nothing to be seen of it.
    let large = chunk(&"x".repeat(3 * MIB));
    a.on(Match::any(), [Behaviour::events([large]).slices(32 * 1024)]);
    gateway
        .chat_stream("a")
        .send()
        .await
        .assert_error(503, "overloaded");
}
