//! Key material appears in no answer and in no log line, whatever goes wrong.

use crate::support::gateway::filled;
use crate::support::temp::TempDir;
use crate::support::{At, Behaviour, Gateway, Match, ScriptedUpstream};

const YAML: &str = "
log: {format: FORMAT, level: trace}
llm:
  providers:
    - name: a
      base_url: <a>
      model: m
      api_keys: [sk-planted-alpha-0001, sk-planted-bravo-0002, \"${THIRD}\"]
      headers: {X-Account: planted-header-0004}
      retry: {same_upstream: 1, waits: [1ms]}
      cooldown: {default: 0s}
    - {name: b, base_url: \"<a>\", model: m, api_key: sk-planted-delta-0005}
  virtual:
    - {name: v, upstreams: [a, b]}
";

fn planted(text: &str) -> bool {
    text.contains("planted") || text.contains("Bearer sk-")
}

#[tokio::test]
async fn planted_keys_are_in_no_log_line_and_in_no_answer() {
    for format in ["json", "text"] {
        let a = ScriptedUpstream::start().await;
        let env = [("THIRD", "sk-planted-gamma-0003")];
        let yaml = YAML.replace("FORMAT", format);
        let gateway = Gateway::start_with(&yaml, &[("a", &a)], &env).await;
        let behaviours = [
            Behaviour::says("fine"),
            Behaviour::rate_limited(),
            Behaviour::error(401, "invalid_api_key", "Incorrect API key provided"),
            Behaviour::fails(500),
            Behaviour::fails(402),
            Behaviour::body(200, "text/html", "<html>"),
            Behaviour::says("").reset(At::BeforeHead),
            Behaviour::raw(b"nonsense\r\n\r\n"),
        ];
        for (at, behaviour) in behaviours.into_iter().enumerate() {
            a.on(Match::any(), [behaviour]);
            for model in ["v".to_owned(), format!("a:m{at}"), format!("b:m{at}")] {
                for call in [gateway.chat(&model), gateway.chat_stream(&model)] {
                    let answer = call.awaits("0").send().await;
                    let head = format!("{:?}", answer.headers);
                    assert!(!planted(&head), "{head}");
                    assert!(!planted(answer.text()), "{}", answer.text());
                }
            }
        }
        for path in ["/v1/models", "/health", "/health/ready", "/nowhere"] {
            let answer = gateway.get(path).send().await;
            assert!(!planted(answer.text()), "{path}: {}", answer.text());
        }
        assert!(
            a.keys().iter().any(|key| key == "sk-planted-gamma-0003"),
            "they were used"
        );
        let lines = gateway.finish().await;
        assert!(lines.len() > 50, "level trace says something");
        for line in lines {
            assert!(!planted(&line), "{line}");
        }
    }
}

#[tokio::test]
async fn the_prompt_and_the_answer_are_not_logged() {
    let a = ScriptedUpstream::playing([Behaviour::says("confidential answer")]).await;
    let yaml = YAML.replace("FORMAT", "json");
    let env = [("THIRD", "x")];
    let gateway = Gateway::start_with(&yaml, &[("a", &a)], &env).await;
    let body = r#"{"model":"v","messages":[{"role":"user","content":"confidential question"}]}"#;
    assert_eq!(
        gateway.post_chat(body).send().await.says(),
        "confidential answer"
    );
    for line in gateway.finish().await {
        assert!(!line.contains("confidential"), "{line}");
    }
}

#[tokio::test]
async fn check_shows_keys_masked() {
    let dir = TempDir::new();
    let place = "http://127.0.0.1:9/v1".to_owned();
    dir.write(
        "pointsman.yaml",
        &filled(&YAML.replace("FORMAT", "json"), &[("a", &place)]),
    );
    let env = [("THIRD", "sk-planted-gamma-0003")];
    for arguments in [&["check"][..], &["check", "--json"]] {
        let output = crate::support::gateway::run(dir.path(), arguments, &env).await;
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{text}");
        assert!(
            text.contains("THIRD"),
            "which variable was used is shown: {text}"
        );
        for secret in [
            "alpha-0001",
            "bravo-0002",
            "gamma-0003",
            "delta-0005",
            "planted",
        ] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}

#[tokio::test]
async fn mistakes_in_a_configuration_do_not_quote_its_keys() {
    let dir = TempDir::new();
    let yaml = YAML
        .replace("FORMAT", "neither")
        .replace("api_key:", "api_kye:");
    dir.write("pointsman.yaml", &yaml);
    let output = crate::support::gateway::run(dir.path(), &["check"], &[]).await;
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(text.contains("THIRD") && !planted(&text), "{text}");
}
