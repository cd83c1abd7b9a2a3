//! `pointsman init` and `pointsman check --fix`: a first configuration, and mends of misspelt ones.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::gateway::{Place, filled, run};
use crate::support::temp::TempDir;
use crate::support::terminal::Term;
use crate::support::{Behaviour, Match, ScriptedUpstream};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn read(dir: &TempDir, name: &str) -> String {
    std::fs::read_to_string(dir.path().join(name)).unwrap()
}

async fn init(dir: &TempDir, arguments: &[&str], env: &[(&str, &str)]) -> Output {
    run(dir.path(), &[&["init"], arguments].concat(), env).await
}

#[tokio::test]
async fn keys_of_the_environment_become_a_configuration_that_serves() {
    let dir = TempDir::new();
    let env = [("GROQ_API_KEYS", "k1,k2"), ("CEREBRAS_API_KEY", "k3")];
    let output = init(&dir, &["--offline"], &env).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let written = read(&dir, "pointsman.yaml");
    for part in [
        "- name: groq  # 2 keys from GROQ_API_KEY",
        "- name: cerebras",
        "- name: smart",
        "default_model: smart",
    ] {
        assert!(written.contains(part), "`{part}` is missing in:\n{written}");
    }
    let checked = run(dir.path(), &["check"], &env).await;
    let shown = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    assert!(shown.contains("smart -> groq:"), "{shown}");
    let again = init(&dir, &["--offline"], &env).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("--force replaces it"));
    let printed = init(&dir, &["--offline", "--output", "-"], &env).await;
    assert_eq!(text(&printed.stdout), written);
}

#[tokio::test]
async fn only_what_works_is_taken() {
    let a = ScriptedUpstream::start().await;
    let list = r#"{"data": [{"id": "m"}]}"#;
    a.on(Match::path("/v1/models"), [Behaviour::json(200, list)]);
    let b = ScriptedUpstream::start().await;
    b.on(
        Match::path("/v1/models"),
        [Behaviour::error(401, "invalid_api_key", "no")],
    );
    let dir = TempDir::new();
    let (good, bad) = (
        format!("good={}", a.base_url()),
        format!("bad={}", b.base_url()),
    );
    let output = init(&dir, &["--provider", &good, "--provider", &bad], &[]).await;
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("bad: ") && said.contains("invalid"), "{said}");
    let written = read(&dir, "pointsman.yaml");
    assert!(
        written.contains(&a.base_url()) && !written.contains(&b.base_url()),
        "{written}"
    );
    let output = init(&dir, &["--provider", &bad, "--output", "other.yaml"], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(!dir.path().join("other.yaml").exists());
}

/// Two servers without keys, both of which answer.
async fn two_servers() -> (ScriptedUpstream, ScriptedUpstream, String) {
    let (a, b) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    for server in [&a, &b] {
        let list = Behaviour::json(200, r#"{"data": [{"id": "m"}]}"#);
        server.on(Match::path("/v1/models"), [list]);
    }
    let both = format!("init --provider one={},two={}", a.base_url(), b.base_url());
    (a, b, both)
}

#[tokio::test]
async fn a_person_at_a_terminal_is_asked_what_is_taken_and_whether_it_is_written() {
    let (a, b, both) = two_servers().await;
    let mut term = Term::start(&both, &[]);
    term.shows("Which providers? [one, two]").await;
    term.press("two\r").await;
    term.shows("Write pointsman.yaml? [Y/n]").await;
    let file = term.dir().join("pointsman.yaml");
    assert!(!file.exists());
    term.press("\r").await;
    term.shows("pointsman.yaml is written").await;
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(
        written.contains(&b.base_url()) && !written.contains(&a.base_url()),
        "{written}"
    );
    assert_eq!(term.ended().await.0, "0");
    // Somebody who takes what is proposed, and then says no.
    let mut term = Term::start(&both, &[]);
    term.shows("Which providers? [one, two]").await;
    term.press("\r").await;
    term.shows("Write pointsman.yaml? [Y/n]").await;
    term.press("n\r").await;
    term.shows("nothing was written").await;
    assert!(!term.dir().join("pointsman.yaml").exists());
    assert_eq!(term.ended().await.0, "1");
}

#[tokio::test]
async fn programs_get_a_report_and_nothing_is_asked_or_written() {
    let (a, _b, both) = two_servers().await;
    // At a terminal, too.
    let term = Term::start(&format!("{both} --json >report.json"), &[]);
    term.shows("over").await;
    let report = read_json(&term.dir().join("report.json"));
    assert!(!term.dir().join("pointsman.yaml").exists());
    assert_eq!(term.ended().await.0, "0");
    assert_eq!(
        (&report["ok"], &report["problems"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(report["file"], "pointsman.yaml");
    let written = report["configuration"].as_str().unwrap();
    assert!(written.contains(&a.base_url()), "{written}");
    assert_eq!(report["providers"][0]["name"], "one");
    assert_eq!(report["providers"][0]["taken"], true);
    // Keys are masked; the ends are those without it.
    let dir = TempDir::new();
    let env = [("GROQ_API_KEYS", "k1-of-many-letters,k2")];
    let output = init(&dir, &["--offline", "--json"], &env).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        report["providers"][0]["keys"][0],
        json!({"id": "groq#1", "key": "****ters", "source": "env GROQ_API_KEYS[0]", "status": null})
    );
    assert_eq!(
        report["virtual"],
        json!({"name": "smart", "upstreams": ["groq"]})
    );
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    dir.write("pointsman.yaml", "");
    for (arguments, code) in [
        (&["--offline", "--json"][..], 1),
        (&["--json", "--force", "--provider", "grok1"], 64),
    ] {
        let output = init(&dir, arguments, &env).await;
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code));
        assert_eq!(report["ok"], false);
        assert_eq!(report["problems"].as_array().unwrap().len(), 1);
    }
}

fn read_json(file: &std::path::Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[tokio::test]
async fn without_keys_it_says_what_to_set() {
    let dir = TempDir::new();
    let output = init(&dir, &[], &[]).await;
    assert_eq!(output.status.code(), Some(78));
    assert!(
        text(&output.stderr).contains("GROQ_API_KEY"),
        "{}",
        text(&output.stderr)
    );
    let output = init(&dir, &["--provider", "grok1"], &[]).await;
    assert_eq!(output.status.code(), Some(64), "{}", text(&output.stderr));
}

const MISSPELT: &str = "\
# who may call
servr: {listen: '127.0.0.1:0'}
llm:
  providers:
    - name: a              # the only one
      base_url: <a>
      model: m
      key_rotation: stickyy
      timeouts: {conect: 5s}
";

#[tokio::test]
async fn misspelt_keys_and_words_are_mended_and_comments_stay() {
    let a = ScriptedUpstream::start().await;
    let places: [(&str, &dyn Place); 1] = [("a", &a)];
    let dir = TempDir::new();
    let before = filled(MISSPELT, &places);
    dir.write("p.yaml", &before);
    let fix = ["check", "--config", "p.yaml", "--fix"];
    let output = run(dir.path(), &fix, &[]).await;
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "nobody said yes: {said}");
    assert!(
        said.contains("p.yaml:2: servr: `servr` becomes `server`"),
        "{said}"
    );
    assert!(said.contains("nothing was written"), "{said}");
    assert_eq!(read(&dir, "p.yaml"), before);
    let output = run(dir.path(), &[&fix[..], &["--yes"]].concat(), &[]).await;
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("3 mends in p.yaml"), "{said}");
    let expected = before
        .replace("servr", "server")
        .replace("stickyy", "sticky")
        .replace("conect", "connect");
    assert_eq!(read(&dir, "p.yaml"), expected);
}

#[tokio::test]
async fn toml_is_mended_as_yaml_is() {
    let before = "\
# who may call
servr.listen = \"127.0.0.1:0\"   # nobody else
[[llm.providrs]]
name = \"echo\"
[[llm.providrs]]
name = 'a'
base_url = 'http://127.0.0.1:9/v1'
key_rotation = 'stickyy'
";
    let dir = TempDir::new();
    dir.write("p.toml", before);
    let fix = ["check", "--config", "p.toml", "--fix", "--yes"];
    let output = run(dir.path(), &fix, &[]).await;
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("p.toml:3: llm.providrs: `providrs` becomes `providers`"),
        "{said}"
    );
    assert!(said.contains("4 mends in p.toml"), "{said}");
    let expected = before
        .replace("servr", "server")
        .replace("providrs", "providers")
        .replace("stickyy", "sticky");
    assert_eq!(read(&dir, "p.toml"), expected);
}

#[tokio::test]
async fn what_has_no_obvious_mend_is_left_alone() {
    let dir = TempDir::new();
    let text_before = "llm: {providers: [{name: echo, frobnicate: 1}]}\n";
    dir.write("p.yaml", text_before);
    let output = run(
        dir.path(),
        &["check", "--config", "p.yaml", "--fix", "--yes"],
        &[],
    )
    .await;
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).contains("frobnicate"));
    assert_eq!(read(&dir, "p.yaml"), text_before);
}
