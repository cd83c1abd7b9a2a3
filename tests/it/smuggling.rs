//! Requests that mean one thing to one program and another to the next, written byte by byte.

use crate::support::planted::MARK;
use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream};

const ONE: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1, headers: {X-Account: mine},
       retry: {same_upstream: 0}, circuit_breaker: {failure_threshold: 0, failure_rate: 0}}
";

const BODY: &str = r#"{"model":"a","messages":[{"role":"user","content":"hi"}]}"#;

async fn one() -> (ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(ONE, &[("a", &a)]).await;
    (a, gateway)
}

/// A chat request with these header lines, and this behind its head.
fn post(lines: &str, rest: &str) -> Vec<u8> {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{lines}\r\n{rest}"
    )
    .into_bytes()
}

/// The statuses of all answers on a connection over which these bytes are sent.
async fn statuses(gateway: &Gateway, bytes: &[u8]) -> Vec<u16> {
    let answer = String::from_utf8_lossy(&gateway.exchange(bytes).await).into_owned();
    let heads = answer.match_indices("HTTP/1.1 ");
    heads
        .map(|(at, _)| answer[at + 9..at + 12].parse().unwrap())
        .collect()
}

fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused() {
    let (a, gateway) = one().await;
    let length = format!("content-length: {}\r\n", BODY.len());
    let cases: Vec<(&str, Vec<u8>)> = vec![
        (
            "two lengths",
            post(&format!("{length}content-length: 3\r\n"), BODY),
        ),
        ("a list of lengths", post("content-length: 5, 6\r\n", BODY)),
        ("a signed length", post("content-length: +57\r\n", BODY)),
        ("a negative length", post("content-length: -1\r\n", BODY)),
        (
            "a hexadecimal length",
            post("content-length: 0x39\r\n", BODY),
        ),
        (
            "a length beyond numbers",
            post("content-length: 99999999999999999999999\r\n", BODY),
        ),
        (
            "an unknown coding",
            post("transfer-encoding: xchunked\r\n", &chunked(BODY)),
        ),
        (
            "a coding behind chunked",
            post("transfer-encoding: chunked, identity\r\n", &chunked(BODY)),
        ),
        (
            "a folded line",
            post(&format!("{length}x-a: b\r\n c: d\r\n"), BODY),
        ),
        (
            "a folded coding",
            post("transfer-encoding:\r\n chunked\r\n", &chunked(BODY)),
        ),
        (
            "a space before the colon",
            post(&format!("content-length : {}\r\n", BODY.len()), BODY),
        ),
        ("a NUL", post(&format!("{length}x-a: b\0c\r\n"), BODY)),
        (
            "a bare CR",
            post(
                &format!("{length}x-a: b\rtransfer-encoding: chunked\r\n"),
                BODY,
            ),
        ),
        (
            "a name with a space",
            post(&format!("{length}x a: b\r\n"), BODY),
        ),
        (
            "a line without a colon",
            post(&format!("{length}nonsense\r\n"), BODY),
        ),
        (
            "a chunk of no size",
            post(
                "transfer-encoding: chunked\r\n",
                &format!("\r\n{BODY}\r\n0\r\n\r\n"),
            ),
        ),
        (
            "a chunk of a negative size",
            post(
                "transfer-encoding: chunked\r\n",
                &format!("-1\r\n{BODY}\r\n0\r\n\r\n"),
            ),
        ),
        (
            "a chunk larger than any",
            post(
                "transfer-encoding: chunked\r\n",
                &format!("fffffffffffffffff\r\n{BODY}\r\n0\r\n\r\n"),
            ),
        ),
        (
            "a chunk longer than it says",
            post(
                "transfer-encoding: chunked\r\n",
                &format!("2\r\n{BODY}\r\n0\r\n\r\n"),
            ),
        ),
    ];
    for (what, bytes) in cases {
        let seen = statuses(&gateway, &bytes).await;
        assert!(seen == [400] || seen.is_empty(), "{what}: {seen:?}");
    }
    assert_eq!(a.count(), 0, "none of them got through: {:?}", a.requests());
}

#[tokio::test]
async fn what_is_unusual_but_clear_is_one_request() {
    let (a, gateway) = one().await;
    let length = format!("content-length: {}\r\n", BODY.len());
    let cases: Vec<(&str, Vec<u8>)> = vec![
        (
            "chunks",
            post("transfer-encoding: chunked\r\n", &chunked(BODY)),
        ),
        (
            "chunk extensions",
            post(
                "transfer-encoding: chunked\r\n",
                &format!("{:x};a=b;c=\"d\"\r\n{BODY}\r\n0;e\r\n\r\n", BODY.len()),
            ),
        ),
        (
            "trailers",
            post(
                "transfer-encoding: chunked\r\ntrailer: authorization\r\n",
                &format!(
                    "{:x}\r\n{BODY}\r\n0\r\nauthorization: Bearer evil\r\nx-account: theirs\r\n\r\n",
                    BODY.len()
                ),
            ),
        ),
        (
            "the same length twice",
            post(&format!("{length}{length}"), BODY),
        ),
        (
            "an absolute target",
            String::from_utf8(post(&length, BODY))
                .unwrap()
                .replace("POST /v1", "POST http://localhost/v1")
                .into_bytes(),
        ),
        (
            "another host",
            String::from_utf8(post(&length, BODY))
                .unwrap()
                .replace("host: localhost", "host: 169.254.169.254")
                .into_bytes(),
        ),
        (
            "lines that end in LF alone",
            String::from_utf8(post(&length, ""))
                .unwrap()
                .replace("\r\n", "\n")
                .into_bytes()
                .into_iter()
                .chain(BODY.bytes())
                .collect(),
        ),
        (
            "an upgrade",
            post(
                &format!("{length}upgrade: websocket\r\nsec-websocket-key: x\r\n"),
                BODY,
            ),
        ),
        (
            "h2c",
            post(
                &format!("{length}upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"),
                BODY,
            ),
        ),
    ];
    for (what, bytes) in cases {
        let before = a.count();
        let seen = statuses(&gateway, &bytes).await;
        assert_eq!(seen, [200], "{what}");
        assert_eq!(a.count(), before + 1, "{what}");
        let request = a.requests().pop().unwrap();
        assert_eq!(request.path, "/v1/chat/completions", "{what}");
        assert_eq!(request.key.as_deref(), Some("k1"), "{what}");
        assert_eq!(
            request.body,
            BODY.replace("\"a\"", "\"m\"").into_bytes(),
            "{what}"
        );
        let mut names: Vec<&str> = request
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "accept",
                "accept-encoding",
                "authorization",
                "content-length",
                "content-type",
                "host",
                "user-agent",
                "x-account"
            ],
            "{what}: nothing of the caller's goes on"
        );
        assert_eq!(request.header("x-account"), Some("mine"), "{what}");
    }
}

#[tokio::test]
async fn a_caller_who_expects_a_go_ahead_gets_it() {
    let (a, gateway) = one().await;
    let length = format!("content-length: {}\r\nexpect: 100-continue\r\n", BODY.len());
    assert_eq!(statuses(&gateway, &post(&length, BODY)).await, [100, 200]);
    assert_eq!(a.requests()[0].header("expect"), None);
}

#[tokio::test]
async fn behind_a_body_with_length_and_chunks_nothing_is_a_request() {
    let (a, gateway) = one().await;
    let smuggled =
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
    for lines in [
        format!(
            "content-length: {}\r\ntransfer-encoding: chunked\r\n",
            BODY.len()
        ),
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n".to_owned(),
        "transfer-encoding: chunked\r\n".to_owned(),
    ] {
        let bytes = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n{}{smuggled}",
            chunked(BODY)
        );
        let before = a.count();
        assert_eq!(statuses(&gateway, bytes.as_bytes()).await, [200], "{lines}");
        assert_eq!(a.count(), before + 1, "{lines}");
        let bytes =
            format!("GET /nowhere HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n0\r\n\r\n{smuggled}");
        assert_eq!(statuses(&gateway, bytes.as_bytes()).await, [404], "{lines}");
    }
}

#[tokio::test]
async fn requests_in_one_row_stay_apart() {
    let (a, gateway) = one().await;
    let first = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let second = String::from_utf8(post(
        &format!("content-length: {}\r\nx-request-id: second\r\n", BODY.len()),
        BODY,
    ))
    .unwrap();
    let both = format!("{first}{second}");
    assert_eq!(statuses(&gateway, both.as_bytes()).await, [200, 200]);
    assert_eq!(a.count(), 2);
}

#[tokio::test]
async fn targets_that_name_no_route_are_no_requests_to_others() {
    let (a, gateway) = one().await;
    for line in [
        "CONNECT evil.example:443",
        "OPTIONS *",
        "GET http://169.254.169.254/latest/meta-data/",
        "POST /v1/../v1/chat/completions",
        "POST //v1/chat/completions",
        "POST /v1/chat/completions/",
        "POST /v1%2Fchat%2Fcompletions",
        "TRACE /v1/chat/completions",
    ] {
        let bytes = format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
        let seen = statuses(&gateway, bytes.as_bytes()).await;
        assert!(
            seen.len() == 1 && (400..500).contains(&seen[0]),
            "{line}: {seen:?}"
        );
    }
    assert_eq!(a.count(), 0);
}

#[tokio::test]
async fn a_callers_words_never_become_headers() {
    let (a, gateway) = one().await;
    let long = "x".repeat(4000);
    for id in ["a\tb", "caf\u{e9}", "a b", long.as_str(), "\"<script>\""] {
        let lines = format!("content-length: {}\r\nx-request-id: {id}\r\n", BODY.len());
        let answer = gateway.exchange(&post(&lines, BODY)).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, _) = answer.split_once("\r\n\r\n").unwrap();
        let given: Vec<&str> = head
            .lines()
            .filter(|line| line.starts_with("x-request-id: "))
            .collect();
        assert_eq!(given.len(), 1, "{head}");
        assert!(given[0].len() < 200, "{head}");
        if id != "\"<script>\"" {
            assert!(given[0].contains("req_"), "{id}: {head}");
        }
    }
    // A model's name goes into headers and the log.
    for name in [
        "a:m\\r\\nset-cookie: x=1",
        "a:m\\nline",
        "a:m\\u0000",
        "a:m\\u001b[31m",
        "a:m\\u0085",
    ] {
        let answer = gateway.chat(name).send().await;
        answer.assert_error(400, "invalid_request");
        assert_eq!(answer.header("set-cookie"), "");
    }
    let answer = gateway.chat("a:mod\u{e9}le \u{202e}").send().await;
    assert_eq!(answer.status, 200);
    let before = a.count();
    let name = "x".repeat(300_000);
    let bytes = post(
        &format!("content-length: {}\r\nx-a: {name}\r\n", BODY.len()),
        BODY,
    );
    assert_eq!(statuses(&gateway, &bytes).await, [431]);
    assert_eq!(a.count(), before);
}

#[tokio::test]
async fn a_caller_cannot_take_headers_away_or_bring_credentials() {
    let (a, gateway) = one().await;
    let lines = format!(
        "content-length: {}\r\nconnection: authorization, x-account, content-type, content-length\r\n\
         authorization: Bearer theirs\r\nx-api-key: theirs\r\nx-account: theirs\r\nproxy-authorization: Basic eA==\r\n\
         cookie: a=b\r\nx-forwarded-for: 1.2.3.4\r\nforwarded: for=1.2.3.4\r\nx-http-method-override: DELETE\r\n\
         accept: a/b\r\naccept: c/d\r\n",
        BODY.len()
    );
    assert_eq!(statuses(&gateway, &post(&lines, BODY)).await, [200]);
    let request = a.requests().pop().unwrap();
    assert_eq!(
        request.header("authorization"),
        Some(format!("Bearer {MARK}k1").as_str())
    );
    assert_eq!(request.header("x-account"), Some("mine"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert!(!format!("{:?}", request.headers).contains("theirs"));
    for name in [
        "cookie",
        "x-forwarded-for",
        "forwarded",
        "proxy-authorization",
        "x-http-method-override",
        "connection",
    ] {
        assert_eq!(request.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn odd_answers_of_an_upstream_stay_one_answer() {
    let (a, gateway) = one().await;
    let ok = crate::support::behaviour::completion("fine");
    let with = |head: &str| {
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{head}\r\n\r\n{ok}");
        Behaviour::raw(head.as_bytes())
    };
    let length = format!("content-length: {}", ok.len());
    // What is odd in a value passes as it is, and what would be a header of its own does not pass at all.
    let odd = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{length}\r\nx-odd: \u{e9}\u{202e}\tz\r\n\r\n{ok}"
    );
    a.on(Match::any(), [Behaviour::raw(odd.as_bytes())]);
    let bytes = post(&format!("content-length: {}\r\n", BODY.len()), BODY);
    assert_eq!(statuses(&gateway, &bytes).await, [200]);
    for (what, behaviour) in [
        (
            "two lengths",
            with(&format!("{length}\r\ncontent-length: 3")),
        ),
        ("a NUL", with(&format!("{length}\r\nx-a: b\0c"))),
        (
            "a folded line",
            with(&format!("{length}\r\nx-a: b\r\n set-cookie: x")),
        ),
        (
            "a bare CR",
            with(&format!("{length}\r\nx-a: b\rset-cookie: x")),
        ),
        (
            "too many headers",
            with(&format!(
                "{length}\r\n{}",
                "x-a: b\r\n".repeat(300).trim_end()
            )),
        ),
        (
            "an endless head",
            with(&format!("{length}\r\nx-a: {}", "b".repeat(2 << 20))),
        ),
    ] {
        a.on(Match::any(), [behaviour]);
        let answer = gateway.chat("a").send().await;
        assert!(
            [502, 200].contains(&answer.status),
            "{what}: {}",
            answer.text()
        );
        assert_eq!(answer.header("set-cookie"), "", "{what}");
        assert_eq!(
            answer.headers.get_all("content-length").iter().count(),
            1,
            "{what}"
        );
    }
    // What comes behind an answer is no part of the next one.
    let two = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{length}\r\n\r\n{ok}HTTP/1.1 200 OK\r\n{length}\r\n\r\n{}",
        ok.replace("fine", "evil")
    );
    a.on(
        Match::any(),
        [Behaviour::raw(two.as_bytes()), Behaviour::says("next")],
    );
    gateway.health("/waiting").await;
    let mut said = Vec::new();
    for _ in 0..3 {
        let answer = gateway.chat("a").send().await;
        if answer.status == 200 {
            said.push(answer.says());
        }
    }
    assert!(!said.contains(&"evil".to_owned()), "{said:?}");
}

#[tokio::test]
async fn text_logs_cannot_be_forged() {
    let a = ScriptedUpstream::start().await;
    let yaml = format!("{ONE}log: {{format: text, level: trace}}\n");
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    a.on(
        Match::any(),
        [Behaviour::error(
            500,
            "x",
            "one\nFORGED two\u{1b}[31m\r\nFORGED three",
        )],
    );
    gateway.chat("a").header("x-request-id", "id").send().await;
    gateway.chat("unknown\u{2028}FORGED").send().await;
    for line in gateway.finish().await {
        assert!(!line.trim_start().starts_with("FORGED"), "{line}");
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }
}
