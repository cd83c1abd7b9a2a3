//! What the command prints where, and its exit codes.

use serde_json::Value;

use crate::support::gateway::{command, run};
use crate::support::temp::TempDir;

const LITELLM: &str = "
model_list:
  - {model_name: fast, litellm_params: {model: groq/llama, api_key: sk-literal-0123456789abcdef, rpm: 30}}
guardrails: []
include: more.yaml
";
const MORE: &str = "model_list: [{model_name: other, litellm_params: {model: cerebras/x}}]\n";

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn dir() -> TempDir {
    let dir = TempDir::new();
    dir.write("litellm.yaml", LITELLM);
    dir.write("more.yaml", MORE);
    dir
}

#[tokio::test]
async fn the_configuration_is_on_standard_output_and_the_report_beside_it() {
    let dir = dir();
    let arguments = ["import", "--from", "litellm", "litellm.yaml"];
    let output = run(dir.path(), &arguments, &[]).await;
    let (yaml, report) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(0), "{report}");
    for part in ["groq", "cerebras", "${GROQ_API_KEY}", "rpm: 30"] {
        assert!(yaml.contains(part), "{part}: {yaml}");
    }
    for part in [
        "1 unsupported",
        "approximated\n",
        "litellm_params.rpm = 30 -> llm.providers[groq].limits.rpm",
        "****cdef",
        "set these variables: GROQ_API_KEY",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert!(
        !yaml.contains("0123") && !report.contains("0123"),
        "{yaml}{report}"
    );
    dir.write("pointsman.yaml", &yaml);
    let env = [("GROQ_API_KEY", "k"), ("CEREBRAS_API_KEY", "k")];
    let checked = run(dir.path(), &["check"], &env).await;
    assert_eq!(checked.status.code(), Some(0), "{}", text(checked.stderr));
}

#[tokio::test]
async fn strict_and_files_that_cannot_be_taken_exit_with_65() {
    let dir = dir();
    dir.write("broken.yaml", "a: [");
    for arguments in [
        &[
            "--from",
            "litellm",
            "--strict",
            "--report",
            "none",
            "litellm.yaml",
        ][..],
        &["--from", "litellm", "broken.yaml"],
        &["--from", "litellm", "absent.yaml"],
        &["--from", "portkey", "litellm.yaml"],
    ] {
        let all = [&["import"], arguments].concat();
        let output = run(dir.path(), &all, &[]).await;
        assert_eq!(output.status.code(), Some(65), "{arguments:?}");
        let strict = arguments.contains(&"--strict");
        assert_eq!(output.stdout.is_empty(), !strict, "{arguments:?}");
        assert_eq!(output.stderr.is_empty(), strict, "{arguments:?}");
    }
    let output = run(
        dir.path(),
        &["import", "--from", "nobody", "litellm.yaml"],
        &[],
    )
    .await;
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test]
async fn machines_get_the_report_as_json_beside_or_with_the_configuration() {
    let dir = dir();
    let arguments = [
        "import",
        "--from",
        "litellm",
        "--report",
        "json",
        "litellm.yaml",
    ];
    let output = run(dir.path(), &arguments, &[]).await;
    let report: Value = serde_json::from_slice(&output.stderr).unwrap();
    let fields = report["fields"].as_array().unwrap();
    let key = fields
        .iter()
        .find(|field| field["path"] == "model_list[0].litellm_params.api_key")
        .unwrap();
    assert_eq!(
        (&key["kind"], &key["value"]),
        (&Value::from("mapped"), &Value::from("****cdef"))
    );
    assert_eq!(key["became"], "llm.providers[groq].api_key");
    assert_eq!(report["counts"]["unsupported"], 1);
    let arguments = ["import", "--from", "litellm", "--json", "litellm.yaml"];
    let output = run(dir.path(), &arguments, &[]).await;
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        output.stderr.is_empty() && document["configuration"].as_str().unwrap().contains("groq")
    );
    assert_eq!(document["fields"], report["fields"]);
    let output = run(
        dir.path(),
        &["import", "--from", "portkey", "--json", "litellm.yaml"],
        &[],
    )
    .await;
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), &document["ok"]),
        (Some(65), &Value::from(false))
    );
}

#[tokio::test]
async fn standard_input_is_read_and_keys_are_copied_when_that_is_asked_for() {
    use tokio::io::AsyncWriteExt;
    let dir = TempDir::new();
    let arguments = ["import", "--from", "openrouter", "--copy-keys", "-"];
    let mut child = command(dir.path(), &arguments, &[])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(b"{\"model\": \"openai/gpt-4o\"}")
        .await
        .unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text(output.stdout).contains("gpt-4o"));
    dir.write(
        "l.yaml",
        r#"{"model_list": [{"model_name": "a", "litellm_params": {"model": "groq/x", "api_key": "copied-key-1234"}}]}"#,
    );
    let arguments = ["import", "--from", "litellm", "--copy-keys", "l.yaml"];
    let output = run(dir.path(), &arguments, &[]).await;
    assert!(text(output.stdout).contains("copied-key-1234"));
    assert!(
        !text(output.stderr).contains("copied-key"),
        "the report masks it all the same"
    );
}

#[tokio::test]
async fn shells_and_man_get_their_texts() {
    let dir = TempDir::new();
    for (shell, part) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef pointsman"),
        ("fish", "complete -c pointsman"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion"),
    ] {
        let output = run(dir.path(), &["completions", shell], &[]).await;
        let script = text(output.stdout);
        assert!(
            output.status.success() && script.contains(part),
            "{shell}: {script}"
        );
        // The scripts of the last two tell of options, not of their values.
        let short = ["powershell", "elvish"].contains(&shell);
        let values = short || script.contains("claude-code-router");
        assert!(script.contains("import") && values, "{shell}");
    }
    for (command, part) in [
        (None, "pointsman\\-serve"),
        (Some("import"), "\\-\\-strict"),
    ] {
        let arguments: Vec<&str> = ["man"].into_iter().chain(command).collect();
        let output = run(dir.path(), &arguments, &[]).await;
        let page = text(output.stdout);
        assert!(
            output.status.success() && page.contains(".TH") && page.contains(part),
            "{page}"
        );
    }
    let output = run(dir.path(), &["man", "nothing"], &[]).await;
    assert_eq!(output.status.code(), Some(2));
}
