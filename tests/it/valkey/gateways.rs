//! Two gateways and one server, as callers and operators see them.

use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::admin::side::Side;
use crate::support::gateway::{Place, run};
use crate::support::temp::TempDir;
use crate::support::valkey::ValkeyProcess;
use crate::support::{Answer, Behaviour, Match, ScriptedUpstream, until};

const YAML: &str = "
cache: {store: valkey, url: \"<valkey>\", ttl: 10m<more>}
clients:
  - {name: ci, token: token-of-the-client-ci}
  - {name: ops, token: token-of-the-client-ops}
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1}
";
const CI: &str = "token-of-the-client-ci";
const OPS: &str = "token-of-the-client-ops";

/// A gateway at this server; `more` of `cache`.
async fn gateway(upstream: &ScriptedUpstream, url: &str, more: &str) -> Side {
    let (url, more) = (url.to_owned(), more.to_owned());
    let places: [(&str, &dyn Place); 3] = [("a", upstream), ("valkey", &url), ("more", &more)];
    Side::start(YAML, &places).await
}

async fn ready(side: &Side) {
    until("the server to be used", async || {
        server(side, "up").await == true
    })
    .await;
}

async fn server(side: &Side, field: &str) -> Value {
    let stats = side.get("/admin/v1/cache").send().await.json();
    stats["server"][field].clone()
}

fn question(text: &str) -> String {
    json!({"model": "a", "temperature": 0, "messages": [{"role": "user", "content": text}]})
        .to_string()
}

async fn ask(side: &Side, token: &str, text: &str) -> Answer {
    let call = side.gateway.post_chat(question(text));
    call.header("authorization", &format!("Bearer {token}"))
        .send()
        .await
}

async fn upstream() -> ScriptedUpstream {
    let upstream = ScriptedUpstream::start().await;
    upstream.on(Match::any(), [Behaviour::says("the answer is swordfish")]);
    upstream
}

#[tokio::test]
async fn what_one_gateway_was_answered_another_one_tells_the_same_client() {
    let Some(valkey) = ValkeyProcess::start(&[]).await else {
        return;
    };
    let upstream = upstream().await;
    let (one, two) = (
        gateway(&upstream, &valkey.url(), "").await,
        gateway(&upstream, &valkey.url(), "").await,
    );
    ready(&one).await;
    ready(&two).await;
    let first = ask(&one, CI, "what is the password?").await;
    assert_eq!(first.header("x-pointsman-cache"), "miss");
    until("it to be written", async || {
        server(&one, "written").await == 1
    })
    .await;
    let second = ask(&two, CI, "what is the password?").await;
    assert_eq!(second.header("x-pointsman-cache"), "hit");
    assert_eq!(second.text(), first.text());
    assert_eq!(second.header("x-pointsman-cost"), "0");
    assert_eq!(upstream.count(), 1);
    let other = ask(&two, OPS, "what is the password?").await;
    assert_eq!(other.header("x-pointsman-cache"), "miss", "another client");
    assert_eq!(upstream.count(), 2);
}

#[tokio::test]
async fn with_an_encryption_key_no_word_is_in_the_server() {
    let Some(valkey) = ValkeyProcess::start(&[]).await else {
        return;
    };
    let keys = TempDir::new();
    let file = keys.write("key", "qZMpX0m7xTsb0m3Sl0sY8VqVQhpoXv3lLzq0oW1d2Zk=\n");
    let more = format!(", encrypt_key_file: {}", file.display());
    let upstream = upstream().await;
    let (one, two) = (
        gateway(&upstream, &valkey.url(), &more).await,
        gateway(&upstream, &valkey.url(), &more).await,
    );
    ready(&one).await;
    ready(&two).await;
    ask(&one, CI, "the prompt says marmalade").await;
    until("it to be written", async || {
        server(&one, "written").await == 1
    })
    .await;
    let all = valkey.everything().await;
    let text = String::from_utf8_lossy(&all);
    for word in ["marmalade", "swordfish", "assistant", "ci", "k1"] {
        // Two letters may come about by chance, but not between two that are none.
        let found = text.match_indices(word);
        let mut found = found.filter(|_| word.len() > 2);
        assert!(found.next().is_none(), "{word}");
    }
    assert_eq!(
        ask(&two, CI, "the prompt says marmalade")
            .await
            .header("x-pointsman-cache"),
        "hit"
    );
    let stats = one.get("/admin/v1/cache?count=true").send().await.json();
    assert_eq!(stats["server"]["encrypted"], true);
    assert_eq!(stats["server"]["entries"], 1);
}

#[tokio::test]
async fn a_frozen_server_delays_an_answer_by_its_limit_and_fails_none() {
    let Some(valkey) = ValkeyProcess::start(&[]).await else {
        return;
    };
    let upstream = upstream().await;
    let one = gateway(&upstream, &valkey.url(), "").await;
    ready(&one).await;
    valkey.signal("STOP");
    for number in 0..6 {
        let began = Instant::now();
        let answer = ask(&one, CI, &format!("number {number}")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-pointsman-cache"), "miss");
        assert!(began.elapsed() < Duration::from_millis(400), "{number}");
    }
    let again = ask(&one, CI, "number 3").await;
    assert_eq!(again.header("x-pointsman-cache"), "hit", "out of memory");
    assert_eq!(one.gateway.get("/health/ready").send().await.status, 200);
    valkey.signal("CONT");
    ready(&one).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_keeps_no_gateway_from_starting_and_no_password_is_shown() {
    let upstream = upstream().await;
    let url = "redis://app:hunter2-of-the-cache@127.0.0.1:9/0";
    let mut one = gateway(&upstream, url, "").await;
    assert_eq!(ask(&one, CI, "anything").await.status, 200);
    one.gateway.logged("going on without").await;
    let stats = one.get("/admin/v1/cache").send().await;
    assert_eq!(stats.json()["server"]["address"], "redis://127.0.0.1:9/0");
    assert!(!stats.text().contains("hunter2"));
    one.gateway.signal("TERM");
    one.gateway.wait_exit().await;
    assert!(!one.gateway.logs().concat().contains("hunter2"));
}

async fn cache(side: &Side, arguments: &[&str], token: &str) -> (Option<i32>, String) {
    let (admin, data) = (side.address.to_string(), side.gateway.address().to_string());
    let dir = TempDir::new();
    dir.write("requests.jsonl", &requests());
    dir.write("broken.jsonl", "{\"model\": \"a\"}\n{\n");
    let place = match arguments[0] {
        "prime" => ["--address", &data],
        _ => ["--admin", &admin],
    };
    let arguments = [&["cache"], arguments, &place[..]].concat();
    let env = [("POINTSMAN_CLIENT_TOKEN", token)];
    let Output {
        status,
        stdout,
        stderr,
    } = run(dir.path(), &arguments, &env).await;
    let text = String::from_utf8([stdout, stderr].concat()).unwrap();
    (status.code(), text)
}

fn requests() -> String {
    let batch = json!({"custom_id": "2", "method": "POST", "url": "/v1/chat/completions", "body": {
        "model": "a", "temperature": 0, "stream": true, "messages": [{"role": "user", "content": "two"}],
    }});
    format!("{}\n\n{batch}\n{}\n", question("one"), question("three"))
}

#[tokio::test]
async fn the_cache_is_filled_looked_at_and_purged_by_commands() {
    let Some(valkey) = ValkeyProcess::start(&[]).await else {
        return;
    };
    let upstream = upstream().await;
    let one = gateway(&upstream, &valkey.url(), "").await;
    ready(&one).await;
    ask(&one, CI, "one").await;
    let (code, text) = cache(&one, &["prime", "requests.jsonl"], CI).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("3 requests: 2 stored, 1 stored already, 0 not kept, 0 failed"),
        "{text}"
    );
    assert_eq!(upstream.count(), 3);
    assert_eq!(
        ask(&one, CI, "two").await.header("x-pointsman-cache"),
        "hit"
    );
    // Whose they are is decided by the token.
    let (code, text) = cache(&one, &["prime", "requests.jsonl", "--json"], OPS).await;
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &told["stored"]), (Some(0), &json!(3)));
    let (code, text) = cache(&one, &["prime", "requests.jsonl"], "nobody's-token-at-all").await;
    assert!(
        code == Some(1) && text.contains("line 1: failed: 401"),
        "{text}"
    );
    let (code, text) = cache(&one, &["prime", "broken.jsonl"], CI).await;
    assert!(code == Some(65) && text.contains("line 2"), "{text}");
    assert_eq!(upstream.count(), 6, "nothing of a broken file is sent");
    until("all to be written", async || {
        server(&one, "written").await == 6
    })
    .await;
    let (code, text) = cache(&one, &["stats", "--count"], "").await;
    assert!(code == Some(0) && text.contains("6 entries"), "{text}");
    let (code, text) = cache(&one, &["purge", "--scope", "ci", "--target", "a"], "").await;
    assert_eq!((code, text.trim()), (Some(0), "3 entries purged"));
    assert_eq!(
        ask(&one, OPS, "two").await.header("x-pointsman-cache"),
        "hit"
    );
    assert_eq!(
        ask(&one, CI, "two").await.header("x-pointsman-cache"),
        "miss"
    );
    let (_, text) = cache(&one, &["purge", "--older", "1h"], "").await;
    assert_eq!(text.trim(), "0 entries purged");
    let (code, text) = cache(&one, &["purge", "--older", "long ago"], "").await;
    assert!(code == Some(1) && text.contains("older"), "{text}");
    valkey.signal("STOP");
    let (code, text) = cache(&one, &["purge"], "").await;
    assert!(
        code == Some(1) && text.contains("store_unreachable"),
        "{text}"
    );
    valkey.signal("CONT");
}
