//! The command line: versions, mistakes, exit codes, and an orderly end.

use crate::support::client::spoken;
use crate::support::gateway::{command, filled, run, signal};
use crate::support::temp::TempDir;
use crate::support::wait::bounded;
use crate::support::{At, Behaviour, Gate, Gateway, Match, ScriptedUpstream, until};

const ONE: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1}
";

fn both(output: std::process::Output) -> (Option<i32>, String) {
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn version_and_help_are_printed() {
    let dir = TempDir::new();
    let (code, text) = both(run(dir.path(), &["--version"], &[]).await);
    assert_eq!(
        (code, text.trim()),
        (Some(0), concat!("pointsman ", env!("CARGO_PKG_VERSION")))
    );
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["check", "--help"],
        &["health", "--help"],
        &["explain", "--help"],
        &["models", "--help"],
        &["top", "--help"],
    ] {
        let (code, text) = both(run(dir.path(), arguments, &[]).await);
        assert!(code == Some(0) && text.contains("Usage"), "{text}");
    }
}

#[tokio::test]
async fn every_command_has_a_manual_page_in_the_folder() {
    let dir = TempDir::new();
    let (code, told) = both(run(dir.path(), &["man", "--all", "new/folder"], &[]).await);
    assert_eq!((code, told.as_str()), (Some(0), ""));
    let folder = dir.path().join("new/folder");
    for name in [
        "pointsman.1",
        "pointsman-serve.1",
        "pointsman-cache-purge.1",
    ] {
        let page = std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(page.contains(".SH NAME"), "{name}: {page}");
    }
    let in_a_file = ["man", "--all", "new/folder/pointsman.1"];
    let (code, told) = both(run(dir.path(), &in_a_file, &[]).await);
    assert!(code == Some(70) && told.contains("pointsman.1"), "{told}");
}

#[tokio::test]
async fn check_lists_all_mistakes_at_once_and_says_what_to_write() {
    let dir = TempDir::new();
    dir.write(
        "pointsman.yaml",
        "
server: {max_body: lots}
llm:
  default_model: nowhere
  providers:
    - {name: a, base_url: not-a-url, model: m, api_key: k1}
    - {name: b, base_url: http://127.0.0.1:9/v1, model: m, api_key: \"${NOT_SET_ANYWHERE}\"}
    - {name: c, base_url: http://127.0.0.1:9/v1, model: m, api_key: k1, temprature: 1}
  virtual:
    - {name: v, upstreams: [{name: a}, {name: ghost}]}
    - {name: x, upstreams: [{name: y}]}
    - {name: y, upstreams: [{name: x}]}
",
    );
    let (code, text) = both(run(dir.path(), &["check"], &[]).await);
    assert_eq!(code, Some(78), "{text}");
    for hint in [
        "max_body",
        "base_url",
        "NOT_SET_ANYWHERE",
        "temprature",
        "temperature",
        "pointsman.yaml",
    ] {
        assert!(text.contains(hint), "{hint}: {text}");
    }
    let (code, again) = both(run(dir.path(), &["serve", "--listen", "127.0.0.1:0"], &[]).await);
    assert_eq!(code, Some(78));
    assert!(again.contains("temprature"), "serve says the same: {again}");
    let (code, json) = both(run(dir.path(), &["check", "--json"], &[]).await);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(code, Some(78));
    assert!(json["problems"].as_array().unwrap().len() >= 4, "{json}");
}

#[tokio::test]
async fn chains_that_lead_nowhere_or_in_circles_are_mistakes() {
    let dir = TempDir::new();
    let check = async |llm: &str| {
        dir.write("pointsman.yaml", llm);
        let (code, text) = both(run(dir.path(), &["check"], &[]).await);
        assert_eq!(code, Some(78), "{text}");
        text
    };
    let provider = "{name: a, base_url: http://127.0.0.1:9/v1, model: m, api_key: k}";
    let with = |rest: &str| format!("llm:\n  providers: [{provider}]\n  {rest}\n");
    let text = check(&with(
        "virtual: [{name: v, upstreams: [{name: a}, {name: ghost}]}]",
    ))
    .await;
    assert!(text.contains('v') && text.contains("ghost"), "{text}");
    let text = check(&with("virtual: [{name: x, upstreams: [{name: y}]}, {name: y, upstreams: [{name: a}, {name: x}]}]")).await;
    assert!(text.contains('x') && text.contains('y'), "{text}");
    check(&with("virtual: [{name: v, upstreams: []}]")).await;
    check(&with("virtual: [{name: a, upstreams: [{name: \"a:m\"}]}]")).await;
    let text = check(&with("default_model: b")).await;
    assert!(text.contains('b'), "{text}");
    check(&format!("llm: {{providers: [{provider}, {provider}]}}")).await;
    check("providers: []").await;
    check("llm: [").await;
}

#[tokio::test]
async fn a_valid_configuration_is_explained() {
    let dir = TempDir::new();
    let place = "http://127.0.0.1:9/v1".to_owned();
    dir.write("pointsman.yaml", &filled(ONE, &[("a", &place)]));
    let (code, text) = both(run(dir.path(), &["check"], &[]).await);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("127.0.0.1:9"), "{text}");
}

#[tokio::test]
async fn the_reference_and_the_schema_are_printed_without_any_configuration() {
    let dir = TempDir::new();
    let (code, text) = both(run(dir.path(), &["check", "--reference"], &[]).await);
    assert!(code == Some(0) && text.contains("## `server`"), "{text}");
    let (code, text) = both(run(dir.path(), &["check", "--schema"], &[]).await);
    let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, Some(0));
    assert!(schema["properties"]["llm"].is_object(), "{schema}");
    let (code, _) = both(run(dir.path(), &["check", "--schema", "--json"], &[]).await);
    assert_eq!(code, Some(2));
}

#[tokio::test]
async fn with_nothing_configured_serve_names_three_ways_on() {
    let dir = TempDir::new();
    let (code, text) = both(run(dir.path(), &["serve", "--listen", "127.0.0.1:0"], &[]).await);
    assert_eq!(code, Some(78), "{text}");
    for way in ["_API_KEY", "--config", "--demo"] {
        assert!(text.contains(way), "{way}: {text}");
    }
}

#[tokio::test]
async fn the_demo_shows_a_failover_without_any_key() {
    let gateway = Gateway::start_in(TempDir::new(), &["--demo"], &[]).await;
    let mut attempts = Vec::new();
    for _ in 0..8 {
        let answer = gateway.chat("demo").send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        attempts.push(answer.header("x-pointsman-attempts").to_owned());
    }
    assert!(
        attempts.iter().any(|attempts| attempts != "1"),
        "{attempts:?}"
    );
    let text = gateway.chat_stream("demo").stream().await.text().await;
    assert!(
        !spoken(&text).is_empty() && text.contains("[DONE]"),
        "{text}"
    );
}

#[tokio::test]
async fn an_address_that_is_taken_is_told_by_the_exit_code() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = TempDir::new();
    let place = "http://127.0.0.1:9/v1".to_owned();
    dir.write("pointsman.yaml", &filled(ONE, &[("a", &place)]));
    let arguments = ["serve", "--admin-listen", "off", "--listen", &address];
    let (code, text) = both(run(dir.path(), &arguments, &[]).await);
    assert_eq!(code, Some(69), "{text}");
    assert!(text.contains(&address), "{text}");
}

#[tokio::test]
async fn a_listener_for_everybody_without_clients_is_refused() {
    let dir = TempDir::new();
    let place = "http://127.0.0.1:9/v1".to_owned();
    dir.write("pointsman.yaml", &filled(ONE, &[("a", &place)]));
    let arguments = ["serve", "--admin-listen", "off", "--listen", "0.0.0.0:0"];
    let (code, text) = both(run(dir.path(), &arguments, &[]).await);
    assert_eq!(code, Some(78), "{text}");
    assert!(text.contains("insecure_open"), "{text}");
}

#[tokio::test]
async fn the_configuration_is_found_and_the_environment_comes_before_the_file() {
    let a = ScriptedUpstream::start().await;
    let dir = TempDir::new();
    std::fs::create_dir(dir.path().join("config")).unwrap();
    dir.write(
        "config/pointsman.yaml",
        &filled(&ONE.replace("k1", "\"${FROM_DOTENV}\""), &[("a", &a)]),
    );
    dir.write(
        ".env",
        "FROM_DOTENV=sk-planted-dotenv-key\nPOINTSMAN__LLM__DEFAULT_MODEL=a:file\n",
    );
    let env = [("POINTSMAN__LLM__DEFAULT_MODEL", "a:env")];
    let gateway = Gateway::start_in(dir, &[], &env).await;
    assert_eq!(
        gateway.post_chat(r#"{"messages":[]}"#).send().await.status,
        200
    );
    assert_eq!(a.keys(), ["dotenv-key"]);
    assert_eq!(a.models(), ["env"], "what is set is not overridden by .env");
}

#[tokio::test]
async fn two_candidates_of_one_rank_are_a_mistake() {
    let dir = TempDir::new();
    let place = "http://127.0.0.1:9/v1".to_owned();
    for name in ["pointsman.yaml", "pointsman.yml"] {
        dir.write(name, &filled(ONE, &[("a", &place)]));
    }
    let (code, text) = both(run(dir.path(), &["check"], &[]).await);
    assert_eq!(code, Some(78));
    assert!(
        text.contains("pointsman.yaml") && text.contains("pointsman.yml"),
        "{text}"
    );
}

#[tokio::test]
async fn a_borgllm_file_works_unchanged() {
    let a = ScriptedUpstream::start().await;
    let dir = TempDir::new();
    let yaml = "
llm:
  providers:
    - {name: local, base_url: <a>, model: small, api_key: \"k1, k2\", temperature: 0.7, max_tokens: 4096, note: kept}
    - {name: cloud, base_url: <a>, model: big, api_keys: [k3], temperature: 0.7, max_tokens: 128000}
  virtual:
    - {name: auto, upstreams: [{name: local}, {name: cloud}]}
  default_model: auto
";
    dir.write("borg.yaml", &yaml.replace("<a>", &a.base_url()));
    let gateway = Gateway::start_in(dir, &[], &[]).await;
    for _ in 0..3 {
        assert_eq!(
            gateway.post_chat(r#"{"messages":[]}"#).send().await.status,
            200
        );
    }
    assert_eq!(a.keys(), ["k1", "k2", "k1"]);
    assert_eq!(a.models(), ["small", "small", "small"]);
}

#[tokio::test]
async fn a_unix_socket_is_listened_on_and_removed() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    let a = ScriptedUpstream::start().await;
    let dir = TempDir::new();
    let socket = dir.path().join("p.sock");
    dir.write("pointsman.yaml", &filled(ONE, &[("a", &a)]));
    let listen = format!("unix:{}", socket.display());
    let gateway = Gateway::start_in(dir, &["--listen", &listen], &[]).await;
    until("the socket", async || socket.exists()).await;
    let meta = std::fs::metadata(&socket).unwrap();
    assert!(meta.file_type().is_socket());
    assert_eq!(meta.permissions().mode() & 0o777, 0o660);
    let keep = socket.clone();
    let mut stream = tokio::net::UnixStream::connect(&keep).await.unwrap();
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    stream
        .write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    drop(gateway);
}

#[tokio::test]
async fn a_signal_drains_what_is_under_way_finishes_and_the_exit_is_clean() {
    let a = ScriptedUpstream::start().await;
    let yaml = format!("server: {{drain: {{delay: 400ms, timeout: 10s}}}}{ONE}");
    let mut gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    let gate = Gate::new();
    a.on(
        Match::any(),
        [Behaviour::says("finished").gate(At::BeforeHead, &gate)],
    );
    a.on(
        Match::model("s"),
        [Behaviour::streams(&["be", "gun"]).gate(At::AfterPart(2), &gate)],
    );
    let whole = gateway.chat("a").spawn();
    let mut stream = gateway.chat_stream("a:s").stream().await;
    stream.until("be").await;
    a.wait_for(2).await;
    gateway.signal("TERM");
    until("readiness to turn", async || {
        gateway.get("/health/ready").send().await.status == 503
    })
    .await;
    assert_eq!(gateway.get("/health/live").send().await.status, 200);
    gate.open();
    assert_eq!(whole.await.unwrap().says(), "finished");
    let text = stream.text().await;
    assert!(
        spoken(&text) == "begun" && text.contains("[DONE]"),
        "{text}"
    );
    assert_eq!(gateway.wait_exit().await.code(), Some(0));
    assert!(
        tokio::net::TcpStream::connect(gateway.address())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_log_that_nobody_reads_does_not_hold_up_the_end() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let dir = TempDir::new();
    let socket = dir.path().join("p.sock");
    let listen = format!("unix:{}", socket.display());
    let arguments = [
        "serve",
        "--demo",
        "--listen",
        &listen,
        "--admin-listen",
        "off",
    ];
    let mut child = command(dir.path(), &arguments, &[]).spawn().unwrap();
    until("the socket", async || socket.exists()).await;
    let mut stream = tokio::net::UnixStream::connect(&socket).await.unwrap();
    // Each is refused with a line in the log: more of them than a pipe holds.
    let refused =
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\n\r\n{";
    let last = "GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let all = refused.repeat(2000) + last;
    let mut answers = String::new();
    let (mut read, mut write) = stream.split();
    let (written, seen) = tokio::join!(
        write.write_all(all.as_bytes()),
        read.read_to_string(&mut answers)
    );
    written.unwrap();
    seen.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 400").count(), 2000);
    signal(child.id().unwrap(), "TERM");
    let status = bounded("its end", child.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end() {
    let a = ScriptedUpstream::start().await;
    let yaml = format!("{ONE}server: {{drain: {{timeout: 10m}}}}\n");
    let mut gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    assert_eq!(gateway.chat("a").send().await.status, 200);
    let idle = tokio::net::TcpStream::connect(gateway.address())
        .await
        .unwrap();
    gateway.signal("INT");
    assert_eq!(gateway.wait_exit().await.code(), Some(0));
    drop(idle);
}

#[tokio::test]
async fn what_does_not_finish_in_the_drain_timeout_is_cut_and_a_second_signal_ends_at_once() {
    let a = ScriptedUpstream::playing([Behaviour::says("never").hang(At::BeforeHead)]).await;
    for (timeout, second) in [("300ms", false), ("60s", true)] {
        let yaml = format!("server: {{drain: {{timeout: {timeout}}}}}{ONE}");
        let mut gateway = Gateway::start(&yaml, &[("a", &a)]).await;
        let before = a.count();
        let stuck = gateway.chat("a").spawn();
        a.wait_for(before + 1).await;
        gateway.signal("TERM");
        if second {
            gateway.logged("draining").await;
            gateway.signal("TERM");
        }
        gateway.wait_exit().await;
        stuck.abort();
    }
}
