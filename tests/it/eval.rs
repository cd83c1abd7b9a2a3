//! `pointsman eval`: a matrix of targets and cases, judged by assertions.

use std::process::Output;

use serde_json::Value;

use crate::support::gateway::run;
use crate::support::temp::TempDir;
use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream};

const SETUP: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, models: [good, poor, broken], api_key: k1}
";
const FILE: &str = "
prompts: ['Say {{word}}']
targets: ['a:good', {id: 'a:poor', label: poor, config: {temperature: 0}}]
tests:
  - {description: hello, vars: {word: hello}, assert: [{type: icontains, value: '{{word}}'}, {type: finish-reason, value: stop}]}
  - {description: bye, vars: {word: bye}, assert: [{type: not-contains, value: hello, weight: 1}, {type: regex, value: '.', weight: 3}], threshold: 0.7}
";

async fn gateway() -> (ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::start().await;
    a.on(Match::model("good"), [Behaviour::says("Hello & bye")]);
    a.on(Match::model("poor"), [Behaviour::says("no <idea>")]);
    a.on(Match::model("broken"), [Behaviour::error(400, "bad", "no")]);
    let gateway = Gateway::start(SETUP, &[("a", &a)]).await;
    (a, gateway)
}

async fn eval(gateway: &Gateway, dir: &TempDir, arguments: &[&str]) -> Output {
    let address = gateway.address().to_string();
    let all = [&["eval", "--address", &address], arguments].concat();
    run(dir.path(), &all, &[]).await
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn each_case_is_judged_at_each_target() {
    let (a, gateway) = gateway().await;
    let dir = TempDir::new();
    dir.write("cases.yaml", FILE);
    let output = eval(&gateway, &dir, &["cases.yaml", "--junit", "report.xml"]).await;
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    for part in [
        "CASE         a:good          poor\n",
        "hello     PASS 1.00     FAIL 0.50\n",
        "bye       PASS 1.00     PASS 1.00\n",
        "hello at poor:\n  icontains: the output has no `hello`\n  output: no <idea>\n",
        "3 of 4 passed\n",
    ] {
        assert!(shown.contains(part), "`{part}` is missing in:\n{shown}");
    }
    let xml = std::fs::read_to_string(dir.path().join("report.xml")).unwrap();
    for part in [
        r#"<testsuites name="pointsman eval" tests="4" failures="1" errors="0""#,
        r#"<testsuite name="poor" tests="2""#,
        "no &lt;idea&gt;</failure>",
    ] {
        assert!(xml.contains(part), "`{part}` is missing in:\n{xml}");
    }
    let bodies: Vec<Value> = a.requests().iter().map(|call| call.json()).collect();
    assert_eq!(bodies.len(), 4);
    let poor = bodies.iter().find(|body| body["model"] == "poor").unwrap();
    assert_eq!(poor["temperature"], 0);
    let said = bodies
        .iter()
        .map(|body| body["messages"][0]["content"].clone());
    assert!(said.into_iter().any(|text| text == "Say bye"));
}

#[tokio::test]
async fn enough_passes_are_a_success_and_errors_are_none() {
    let (_a, gateway) = gateway().await;
    let dir = TempDir::new();
    dir.write("cases.yaml", FILE);
    let output = eval(
        &gateway,
        &dir,
        &["cases.yaml", "--threshold", "0.75", "--json"],
    )
    .await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["passed"], &json["failed"]), (&3.into(), &1.into()));
    assert_eq!(json["results"][0]["upstream"], "a:good");
    assert_eq!(json["results"][1]["score"], 0.5);
    let output = eval(&gateway, &dir, &["cases.yaml", "--target", "a:broken"]).await;
    let shown = text(&output.stdout);
    assert!(
        shown.contains("ERROR") && shown.contains("0 of 2 passed"),
        "{shown}"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn a_file_that_cannot_be_taken_is_told_before_anything_is_sent() {
    let (a, gateway) = gateway().await;
    let dir = TempDir::new();
    dir.write(
        "odd.yaml",
        "prompts: [a]\ntests: [{assert: [{type: llm-rubric}]}]\n",
    );
    dir.write("lonely.yaml", "prompts: [a]\ntests: [{}]\n");
    for (name, part) in [
        ("odd.yaml", "`llm-rubric` is not known"),
        ("lonely.yaml", "no target"),
        ("absent.yaml", "cannot read"),
    ] {
        let output = eval(&gateway, &dir, &[name]).await;
        assert_eq!(output.status.code(), Some(65), "{name}");
        assert!(
            text(&output.stderr).contains(part),
            "{}",
            text(&output.stderr)
        );
    }
    assert_eq!(a.count(), 0);
    let output = run(
        dir.path(),
        &[
            "eval",
            "--address",
            "127.0.0.1:9",
            "--target",
            "x",
            "lonely.yaml",
        ],
        &[],
    )
    .await;
    assert_eq!(output.status.code(), Some(69));
}
