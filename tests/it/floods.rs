//! What callers and upstreams send a lot of: memory stays within a few times of that, and is given back.

use tokio::io::AsyncWriteExt;

use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream, until};

const MIB: usize = 1024 * 1024;

/// A line of a process's status, in bytes: `VmRSS` is what it has now, `VmHWM` the most that it ever had.
fn memory(gateway: &Gateway, line: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find(|it| it.starts_with(line)).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

/// One provider `a`, with more of its settings and of `server`.
fn one(provider: &str, server: &str) -> String {
    format!(
        "
server: {{max_body: 64MiB{server}}}
dispatch: {{await_cooldown: 0s}}
llm:
  providers:
    - {{name: a, base_url: <a>, model: m, api_key: k1{provider}}}
"
    )
}

#[tokio::test]
async fn memory_comes_back_after_a_flood_of_uploads_without_a_request_that_asks_for_it() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&one("", ""), &[("a", &a)]).await;
    assert_eq!(gateway.chat("a").send().await.status, 200);
    let start = memory(&gateway, "VmRSS");
    let mut uploads = Vec::new();
    for _ in 0..24 {
        let mut connection = gateway.connect().await;
        let length = 8 * MIB + 1;
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.write_all(&vec![b' '; 8 * MIB]).await.unwrap();
        uploads.push(connection);
    }
    until("the uploads to be there", async || {
        memory(&gateway, "VmRSS") > start + 150 * MIB
    })
    .await;
    drop(uploads);
    until("the memory to be given back", async || {
        memory(&gateway, "VmRSS") < start + 48 * MIB
    })
    .await;
}

#[tokio::test]
async fn memory_that_one_thread_took_and_another_freed_comes_back_too() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit {
        current: limit.maximum,
        ..limit
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&one("", ""), &[("a", &a)]).await;
    assert_eq!(gateway.chat("a").send().await.status, 200);
    let start = memory(&gateway, "VmRSS");
    // Many small connections move between the threads, which a few large ones do not.
    let part = "--X\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n";
    let length = 128 * 1024;
    let head = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: localhost\r\n\
         content-type: multipart/form-data; boundary=X\r\ncontent-length: {}\r\n\r\n{part}",
        part.len() + length + 1
    );
    let mut forms = Vec::new();
    for _ in 0..1000 {
        forms.push(gateway.connect().await);
    }
    for form in &mut forms {
        form.write_all(head.as_bytes()).await.unwrap();
        form.write_all(&vec![b' '; length]).await.unwrap();
    }
    until("the forms to be there", async || {
        memory(&gateway, "VmRSS") > start + 80 * MIB
    })
    .await;
    drop(forms);
    until("the memory to be given back", async || {
        memory(&gateway, "VmRSS") < start + 16 * MIB
    })
    .await;
}

#[tokio::test]
async fn json_takes_a_few_times_its_size_whatever_it_is_made_of() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&one(", context_window: 1000", ""), &[("a", &a)]).await;
    assert_eq!(gateway.chat("a").send().await.status, 200);
    let repeated = |part: &str| vec![part; 4 * MIB / part.len()].join(",");
    let parts = repeated(r#"{"data":"A"}"#);
    let start = memory(&gateway, "VmRSS");
    for (what, messages) in [
        (
            "parts without text",
            format!(r#"{{"role":"user","content":[{parts}]}}"#),
        ),
        ("numbers", repeated("1")),
        ("lists", repeated("[]")),
        ("objects", repeated(r#"{"":0}"#)),
        ("short texts", repeated(r#""a""#)),
        (
            "escapes",
            format!(
                r#"{{"role":"user","content":"{}"}}"#,
                r"\u0061 ".repeat(MIB / 2)
            ),
        ),
    ] {
        let body = format!(r#"{{"model":"a","messages":[{messages}]}}"#);
        let answer = gateway.post_chat(body).send().await;
        assert!(
            [200, 400].contains(&answer.status),
            "{what}: {}",
            answer.text()
        );
        let taken = memory(&gateway, "VmHWM").saturating_sub(start);
        assert!(taken < 64 * MIB, "{what}: {} MiB", taken / MIB);
    }
}

#[tokio::test]
async fn an_answer_takes_a_few_times_its_size_whatever_it_is_made_of() {
    let list = format!("[{}{{}}]", "{},".repeat(2 * MIB));
    let a = ScriptedUpstream::playing([Behaviour::json(200, &list)]).await;
    let gateway = Gateway::start(&one(", retry: {same_upstream: 0}", ""), &[("a", &a)]).await;
    let start = memory(&gateway, "VmRSS");
    let answer = gateway.chat("a").send().await;
    answer.assert_error(502, "invalid_upstream_response");
    let taken = memory(&gateway, "VmHWM").saturating_sub(start);
    assert!(taken < 80 * MIB, "{} MiB", taken / MIB);
}

#[tokio::test]
async fn fields_that_nobody_needs_are_refused_before_they_cost_anything() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&one("", ""), &[("a", &a)]).await;
    let start = memory(&gateway, "VmRSS");
    let fields = r#""":0,"#.repeat(8 * MIB / 5);
    let answer = gateway
        .post_chat(format!(r#"{{{fields}"model":"a"}}"#))
        .send()
        .await;
    answer.assert_error(400, "invalid_request");
    assert!(
        answer.text().contains("top-level fields"),
        "{}",
        answer.text()
    );
    let taken = memory(&gateway, "VmHWM").saturating_sub(start);
    assert!(taken < 60 * MIB, "{} MiB", taken / MIB);
    assert_eq!(a.count(), 0);
}

#[tokio::test]
async fn models_that_cool_are_bounded_and_then_the_key_cools() {
    let limited = Behaviour::rate_limited().header("retry-after", "300");
    let a = ScriptedUpstream::playing([limited]).await;
    let gateway = Gateway::start(&one("", ""), &[("a", &a)]).await;
    for n in 0..300 {
        gateway
            .chat(&format!("a:x{n}"))
            .send()
            .await
            .assert_error(429, "cooling_down");
    }
    // 256 cool by themselves; one more is one too many.
    assert_eq!(a.count(), 257);
    a.on(Match::any(), [Behaviour::says("ok")]);
    let answer = gateway.chat("a").send().await;
    answer.assert_error(429, "cooling_down");
    let wait = answer.retry_after_ms();
    assert!((200_000..=300_000).contains(&wait), "{wait}");
}
