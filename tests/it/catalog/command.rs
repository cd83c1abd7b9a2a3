//! `pointsman catalog`: indexes that are made, lists that are kept, shown and compared.

use std::process::Output;

use serde_json::Value;

use crate::support::gateway::{Place, filled, run};
use crate::support::temp::TempDir;
use crate::support::{Behaviour, Match, Refusing, ScriptedUpstream};

const SETUP: &str = "
catalog: {discover: true, state: lists.json}
llm:
  providers:
    - {name: groq, base_url: <a>, api_key: k1}
    - {name: other, base_url: <b>, api_key: k2}
";

async fn listing(body: &str) -> ScriptedUpstream {
    let upstream = ScriptedUpstream::start().await;
    upstream.on(Match::path("/v1/models"), [Behaviour::json(200, body)]);
    upstream
}

async fn setup() -> (TempDir, ScriptedUpstream, ScriptedUpstream) {
    let a = listing(
        r#"{"data": [{"id": "openai/gpt-oss-20b", "context_window": 131072}, {"id": "only-here"}]}"#,
    )
    .await;
    let b = listing(
        r#"{"data": [{"id": "GPT_oss-20B", "context_length": 8192}, {"id": "elsewhere"}]}"#,
    )
    .await;
    let dir = TempDir::new();
    let places: [(&str, &dyn Place); 2] = [("a", &a), ("b", &b)];
    dir.write("p.yaml", &filled(SETUP, &places));
    (dir, a, b)
}

async fn catalog(dir: &TempDir, arguments: &[&str]) -> Output {
    let (command, rest) = arguments.split_first().unwrap();
    let all = [&["catalog", command, "--config", "p.yaml"], rest].concat();
    run(dir.path(), &all, &[]).await
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn an_index_has_what_all_providers_list() {
    let (dir, a, _b) = setup().await;
    let output = catalog(&dir, &["build", "--pretty"]).await;
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("1 models in model_index.json"), "{said}");
    let index = std::fs::read(dir.path().join("model_index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let models = index["models"].as_array().unwrap();
    assert_eq!(models.len(), 1);
    assert_eq!(models[0]["canonical"], "gpt-oss-20b");
    let groq = &models[0]["providers"]["groq"];
    assert_eq!(groq["model"], "openai/gpt-oss-20b");
    assert_eq!(groq["api_key_env"], "GROQ_API_KEY");
    assert_eq!(groq["base_url"], Value::from(a.base_url()));
    assert_eq!(models[0]["providers"]["other"]["model"], "GPT_oss-20B");
    assert_eq!(
        index["provider_catalogs"]["groq"].as_array().unwrap().len(),
        2
    );
    // The index serves as a source, and offers the model under its one name.
    let config = std::fs::read_to_string(dir.path().join("p.yaml")).unwrap();
    let with = config.replace("discover: true,", "sources: [{file: model_index.json}],");
    dir.write("with.yaml", &with);
    let models = run(
        dir.path(),
        &["models", "--config", "with.yaml", "--debug", "--offline"],
        &[],
    )
    .await;
    let shown = text(&models.stdout);
    assert!(shown.contains("gpt-oss-20b"), "{shown}");
}

#[tokio::test]
async fn a_seed_names_what_is_wanted_and_what_lacks_it() {
    let (dir, _a, _b) = setup().await;
    dir.write(
        "seed.json",
        r#"{"models": [{"canonical": "small", "aliases": ["s"], "providers": {"groq": {"model": "only-here"}, "other": {"model": "elsewhere"}}},
                      {"canonical": "gone", "providers": {"groq": {"model": "only-here"}, "other": {"model": "left"}}}]}"#,
    );
    let output = catalog(&dir, &["build", "--seed", "seed.json", "--output", "-"]).await;
    let said = text(&output.stderr);
    assert!(said.contains("`gone`: not listed by other"), "{said}");
    let index: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(index["models"][0]["canonical"], "small");
    assert_eq!(index["models"][0]["aliases"][0], "s");
    let output = catalog(&dir, &["build", "--seed", "p.yaml"]).await;
    assert_eq!(output.status.code(), Some(65));
    let output = catalog(&dir, &["build", "--providers", "groq,openrouter"]).await;
    assert_eq!(output.status.code(), Some(78));
    let said = text(&output.stderr);
    assert!(
        said.contains("missing environment variables: OPENROUTER"),
        "{said}"
    );
}

#[tokio::test]
async fn lists_are_kept_shown_and_compared() {
    let (dir, a, _b) = setup().await;
    let shown = text(&catalog(&dir, &["show"]).await.stdout);
    assert!(shown.contains("groq: not fetched yet"), "{shown}");
    let updated = text(&catalog(&dir, &["update"]).await.stdout);
    assert!(
        updated.contains("groq /models: none models before, 2 now"),
        "{updated}"
    );
    let before = a.count();
    let updated = text(&catalog(&dir, &["update"]).await.stdout);
    assert!(
        updated.contains("groq /models: not due, 2 models"),
        "{updated}"
    );
    assert_eq!(a.count(), before);
    let shown = text(&catalog(&dir, &["show"]).await.stdout);
    assert!(shown.contains("groq /models"), "{shown}");
    let shown = catalog(&dir, &["show", "openai/gpt-oss-20b"]).await;
    let shown = text(&shown.stdout);
    assert!(
        shown.contains("groq /models, groq: context_window 131072"),
        "{shown}"
    );
    assert_eq!(
        catalog(&dir, &["show", "nothing"]).await.status.code(),
        Some(1)
    );
    assert_eq!(catalog(&dir, &["diff"]).await.status.code(), Some(0));
    let body = r#"{"data": [{"id": "openai/gpt-oss-20b", "context_window": 8192}, {"id": "new"}]}"#;
    a.on(Match::path("/v1/models"), [Behaviour::json(200, body)]);
    let output = catalog(&dir, &["diff"]).await;
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    for part in [
        "groq /models: 1 added, 1 removed, 1 changed",
        "  + new",
        "  - only-here",
        "  ~ openai/gpt-oss-20b: context_window 131072 -> 8192",
        "other /models: 0 added, 0 removed, 0 changed",
    ] {
        assert!(shown.contains(part), "`{part}` is missing in:\n{shown}");
    }
    let json: Value =
        serde_json::from_slice(&catalog(&dir, &["diff", "--json"]).await.stdout).unwrap();
    assert_eq!(json["lists"][0]["models"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn files_are_compared_whatever_their_format() {
    let (dir, _a, _b) = setup().await;
    dir.write(
        "before.json",
        r#"{"m": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}}"#,
    );
    dir.write(
        "after.json",
        r#"{"m": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 5e-07, "output_cost_per_token": 2e-06}}"#,
    );
    let output = catalog(&dir, &["diff", "before.json", "after.json"]).await;
    let shown = text(&output.stdout);
    assert!(shown.contains("~ x:m: input 1 -> 0.5"), "{shown}");
    assert_eq!(output.status.code(), Some(1));
    let output = catalog(&dir, &["diff", "before.json", "before.json"]).await;
    assert_eq!(output.status.code(), Some(0));
    let output = catalog(&dir, &["diff", "before.json", "p.yaml"]).await;
    assert_eq!(output.status.code(), Some(65));
}

#[tokio::test]
async fn a_list_that_cannot_be_had_is_told_and_the_one_before_stays() {
    let (dir, _a, _b) = setup().await;
    catalog(&dir, &["update"]).await;
    let refusing = Refusing::new();
    let b = listing(r#"{"data": [{"id": "elsewhere"}]}"#).await;
    let places: [(&str, &dyn Place); 2] = [("a", &refusing), ("b", &b)];
    dir.write("p.yaml", &filled(SETUP, &places));
    let output = catalog(&dir, &["update", "--all", "--json"]).await;
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["lists"][0]["now"], 2, "{json}");
    assert!(json["lists"][0]["failure"].is_string(), "{json}");
    let without = filled(&SETUP.replace(", state: lists.json", ""), &places);
    dir.write("p.yaml", &without);
    let output = catalog(&dir, &["update"]).await;
    assert_eq!(output.status.code(), Some(78));
}
