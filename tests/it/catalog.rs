//! Lists of models: fetched in the background, told to callers, kept for the next process.

mod command;

use serde_json::Value;

use crate::support::gateway::{Place, filled, run};
use crate::support::temp::TempDir;
use crate::support::{At, Behaviour, Gateway, Match, ScriptedUpstream, chat, ms, until};

const DISCOVER: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, api_key: k1, discover: {ttl: 1s}}
";

fn list(ids: &[&str]) -> Behaviour {
    let models = ids
        .iter()
        .map(|id| format!(r#"{{"id":"{id}","max_model_len":8192}}"#));
    let models: Vec<String> = models.collect();
    Behaviour::json(200, &format!(r#"{{"data":[{}]}}"#, models.join(",")))
}

fn models() -> Match {
    Match::path("/v1/models")
}

async fn listed(gateway: &Gateway) -> Vec<String> {
    let list = gateway.get("/v1/models").send().await.json();
    let data = list["data"].as_array().unwrap().iter();
    data.map(|entry| entry["id"].as_str().unwrap().to_owned())
        .collect()
}

async fn lists(gateway: &Gateway, id: &str) {
    until("the list of models", async || {
        listed(gateway).await.iter().any(|listed| listed == id)
    })
    .await;
}

#[tokio::test]
async fn what_a_provider_lists_is_told_and_served() {
    let a = ScriptedUpstream::playing([Behaviour::says("ok")]).await;
    a.on(
        models(),
        [
            list(&["one", "org/two"]).header("etag", "\"v1\""),
            Behaviour::json(304, ""),
        ],
    );
    let gateway = Gateway::start(DISCOVER, &[("a", &a)]).await;
    lists(&gateway, "a:one").await;
    let entry = gateway.get("/v1/models/org%2Ftwo").send().await.json();
    assert_eq!(entry["context_window"], 8192, "{entry}");
    assert_eq!(entry["source"]["context_window"]["name"], "a /models");
    assert_eq!(entry.get("pricing"), None, "an unknown server's prices");
    let google = gateway.get("/v1beta/models/a:one").send().await.json();
    assert_eq!(google["inputTokenLimit"], 8192, "{google}");
    let answer = gateway.chat("org/two").send().await;
    assert_eq!(answer.header("x-pointsman-upstream"), "a:org/two");
    let answer = gateway.chat("priority-auto").send().await;
    assert_eq!(answer.header("x-pointsman-upstream"), "a:one");
    // The next read asks whether there is another version.
    until("a second read", async || {
        let all = a.requests();
        let mut reads = all.iter().filter(|request| request.path == "/v1/models");
        reads.any(|request| request.header("if-none-match") == Some("\"v1\""))
    })
    .await;
    let all = a.requests();
    let read = all.iter().find(|request| request.path == "/v1/models");
    assert_eq!(read.and_then(|read| read.key.as_deref()), Some("k1"));
    assert_eq!(listed(&gateway).await.len(), 3);
}

#[tokio::test]
async fn a_shrunken_list_and_a_broken_one_leave_the_last_good_one() {
    let a = ScriptedUpstream::playing([Behaviour::says("ok")]).await;
    a.on(
        models(),
        [list(&["one", "two", "three", "four"]), list(&["one"])],
    );
    let gateway = Gateway::start(DISCOVER, &[("a", &a)]).await;
    lists(&gateway, "a:four").await;
    gateway.logged("shrunk").await;
    assert_eq!(listed(&gateway).await.len(), 5);
    a.on(models(), [Behaviour::json(200, "{}")]);
    gateway.logged("could not be read").await;
    assert_eq!(listed(&gateway).await.len(), 5);
}

#[tokio::test]
async fn a_list_that_never_comes_delays_nothing() {
    let a = ScriptedUpstream::playing([Behaviour::says("ok")]).await;
    a.on(models(), [Behaviour::says("late").hang(At::BeforeHead)]);
    let yaml = DISCOVER.replace("discover", "model: m, discover");
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    assert_eq!(gateway.chat("a").send().await.status, 200);
    assert_eq!(listed(&gateway).await, ["a:m"]);
}

#[tokio::test]
async fn nothing_is_fetched_that_is_not_named() {
    let a = ScriptedUpstream::playing([Behaviour::says("ok")]).await;
    let yaml = DISCOVER.replace("discover: {ttl: 1s}", "model: m");
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    gateway.chat("a").send().await;
    tokio::time::sleep(ms(50)).await;
    assert_eq!(a.count(), 1);
}

#[tokio::test]
async fn lists_outlive_the_process_and_the_server_that_they_came_from() {
    let a = ScriptedUpstream::playing([Behaviour::says("ok")]).await;
    let source = ScriptedUpstream::start().await;
    source.on(
        Match::any(),
        [Behaviour::json(
            200,
            r#"{"m": {"litellm_provider": "a", "max_input_tokens": 4096, "max_output_tokens": 512,
                "input_cost_per_token": 2.5e-06, "output_cost_per_token": "1e-05", "supports_vision": true}}"#,
        )],
    );
    let dir = TempDir::new();
    let state = dir.path().join("lists.json").display().to_string();
    let yaml = "
catalog: {sources: [{url: '<source>/prices.json', ttl: 1h}], state: <state>}
llm: {providers: [{name: a, base_url: <a>, api_key: k1, model: m}]}
";
    let places: [(&str, &dyn Place); 3] = [("a", &a), ("source", &source), ("state", &state)];
    let entry =
        async |gateway: &Gateway| -> Value { gateway.get("/v1/models/a:m").send().await.json() };
    let gateway = Gateway::start(yaml, &places).await;
    until("the prices", async || {
        !entry(&gateway).await["pricing"].is_null()
    })
    .await;
    let told = entry(&gateway).await;
    assert_eq!(told["pricing"]["input"], "2.5", "{told}");
    assert_eq!(told["pricing"]["prompt"], "0.0000025");
    assert_eq!(told["max_output_tokens"], 512);
    assert_eq!(told["capabilities"]["images"], true);
    until("the file", async || std::path::Path::new(&state).exists()).await;
    gateway.finish().await;
    source.on(Match::any(), [Behaviour::fails(500)]);
    let reads = source.count();
    let gateway = Gateway::start(yaml, &places).await;
    assert_eq!(entry(&gateway).await, told);
    assert_eq!(source.count(), reads, "its time is not over");
}

#[tokio::test]
async fn several_targets_in_one_name_are_tried_in_their_order() {
    let a = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let b = ScriptedUpstream::playing([Behaviour::says("b")]).await;
    let yaml = "
clients:
  - {name: all, token: token-of-everyone-0001}
  - {name: some, token: token-of-some-00000002, allow: ['a:*']}
llm:
  providers:
    - {name: a, base_url: <a>, api_key: k1, model: m}
    - {name: b, base_url: <b>, api_key: k2, model: m}
";
    let gateway = Gateway::start(yaml, &[("a", &a), ("b", &b)]).await;
    let ask = |token: &str| {
        let bearer = format!("Bearer {token}");
        gateway
            .post_chat(chat("a:x, b"))
            .header("authorization", &bearer)
            .send()
    };
    let answer = ask("token-of-everyone-0001").await;
    assert_eq!(
        answer.header("x-pointsman-upstream"),
        "b:m",
        "{}",
        answer.text()
    );
    assert_eq!(a.models().first().map(String::as_str), Some("x"));
    let before = b.count();
    assert_eq!(ask("token-of-some-00000002").await.status, 403);
    assert_eq!(b.count(), before);
}

#[tokio::test]
async fn a_part_of_an_id_is_a_chain_of_all_that_contain_it() {
    let a = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let b = ScriptedUpstream::playing([Behaviour::says("b")]).await;
    let yaml = "
llm:
  match: substring
  providers:
    - {name: a, base_url: <a>, api_key: k1, models: [qwen, llama-4]}
    - {name: b, base_url: <b>, api_key: k2, models: [llama-3]}
";
    let gateway = Gateway::start(yaml, &[("a", &a), ("b", &b)]).await;
    let answer = gateway.chat("llama").send().await;
    assert_eq!(answer.header("x-pointsman-upstream"), "b:llama-3");
    assert_eq!(a.models().last().map(String::as_str), Some("llama-4"));
    let answer = gateway.chat("nothing, qwen").send().await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    let before = a.count();
    let answer = gateway.chat("llama-3").send().await;
    assert_eq!(
        (answer.status, a.count()),
        (200, before),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn another_key_asks_for_lists_and_those_that_came_stay_kept() {
    let a = ScriptedUpstream::playing([Behaviour::says("ok")]).await;
    let b = ScriptedUpstream::playing([Behaviour::says("ok")]).await;
    a.on(models(), [list(&["one"]), list(&["one", "newer"])]);
    b.on(models(), [list(&["two"])]);
    let yaml = "
catalog: {state: lists.json}
llm:
  providers:
    - {name: a, base_url: <a>, api_key: k1, discover: {ttl: 1s}}
    - {name: b, base_url: <b>, api_key: k2, discover: {ttl: 1h}}
";
    let places: [(&str, &dyn Place); 2] = [("a", &a), ("b", &b)];
    let dir = TempDir::new();
    dir.write("gateway.yaml", &filled(yaml, &places));
    let file = dir.path().join("gateway.yaml");
    let kept = dir.path().join("lists.json");
    let gateway = Gateway::start_in(dir, &["--config", "gateway.yaml"], &[]).await;
    lists(&gateway, "a:one").await;
    lists(&gateway, "b:two").await;
    a.on(models().and_key("k9"), [list(&["one", "of-k9"])]);
    std::fs::write(file, filled(&yaml.replace("k1", "k9"), &places)).unwrap();
    gateway.signal("HUP");
    lists(&gateway, "a:of-k9").await;
    until("the file", async || {
        std::fs::read_to_string(&kept).is_ok_and(|text| text.contains("of-k9"))
    })
    .await;
    let text = std::fs::read_to_string(&kept).unwrap();
    assert!(text.contains("two"), "{text}");
}

#[tokio::test]
async fn three_pages_of_a_list_are_read() {
    let a = ScriptedUpstream::start().await;
    let page = |at: usize| {
        let body = format!(r#"{{"data":[{{"id":"m{at}"}}],"has_more":true,"last_id":"m{at}"}}"#);
        Behaviour::json(200, &body)
    };
    a.on(Match::any(), (1..=9).map(page));
    let yaml = "
llm:
  providers:
    - {name: anthropic, base_url: <a>, api_key: k1, discover: {ttl: 1h}}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    lists(&gateway, "anthropic:m3").await;
    gateway.logged("more than 3 pages").await;
    let paths: Vec<String> = a.requests().into_iter().map(|read| read.path).collect();
    assert_eq!(
        paths,
        [
            "/v1/models?limit=1000",
            "/v1/models?limit=1000&after_id=m1",
            "/v1/models?limit=1000&after_id=m2"
        ]
    );
}

const TOLD: &str = "
catalog:
  sources: [{file: index.json}, {file: map.json, format: litellm}]
  required: [groq, openrouter]
llm:
  providers:
    - {name: groq, base_url: <a>, api_key: k1, discover: true}
    - {name: openrouter, base_url: <b>, api_key: k2}
";

#[tokio::test]
async fn the_command_lists_models_and_says_why_others_are_not_offered() {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::start().await;
    let own =
        r#"{"data":[{"id":"g","context_window":131072},{"id":"other","context_window":8192}]}"#;
    a.on(models(), [Behaviour::json(200, own)]);
    let dir = TempDir::new();
    let places: [(&str, &dyn Place); 2] = [("a", &a), ("b", &b)];
    dir.write("pointsman.yaml", &filled(TOLD, &places));
    dir.write(
        "index.json",
        r#"{"models": [{"canonical": "zeta", "providers": {"groq": {"model": "g"}, "openrouter": {"model": "o:free"}}},
            {"canonical": "zz", "providers": {"groq": {"model": "g2"}}}]}"#,
    );
    dir.write(
        "map.json",
        r#"{"groq/g": {"litellm_provider": "groq", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6,
            "supports_function_calling": true, "input_cost_per_pixel": 1e-9}}"#,
    );
    let told = async |arguments: &[&str]| {
        let output = run(dir.path(), &[&["models"], arguments].concat(), &[]).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let table = told(&["--has", "tools"]).await;
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert_eq!(
        lines[1][..8],
        ["groq", "g", "131072", "-", "1", "2", "1", "tools"],
        "{table}"
    );
    let table = told(&["--limit", "1"]).await;
    assert!(table.contains("more: --full"), "{table}");
    let free: Value = serde_json::from_str(&told(&["--free", "--json"]).await).unwrap();
    assert_eq!(free["models"][0]["model"], "o:free", "{free}");
    assert_eq!(free["models"].as_array().unwrap().len(), 1);
    let whole = told(&["--full", "--provider", "groq"]).await;
    assert!(
        whole.contains("context_window 131072  groq /models"),
        "{whole}"
    );
    assert!(whole.contains("input 1  map.json"), "{whole}");
    let before = a.count();
    let debug: Value =
        serde_json::from_str(&told(&["--debug", "--json", "--offline"]).await).unwrap();
    assert_eq!(a.count(), before, "nothing is fetched");
    let debug = &debug["debug"];
    assert_eq!(debug["common"], serde_json::json!(["zeta"]), "{debug}");
    assert_eq!(debug["coverage"][1]["type"], "openrouter");
    assert_eq!(debug["coverage"][0]["models"], 2);
    assert!(debug["left_out"][0].as_str().unwrap().contains("`zz`"));
    assert_eq!(debug["lists"][1]["lost_prices"]["input_cost_per_pixel"], 1);
    assert!(!debug.to_string().contains("k1"), "{debug}");
    let text = told(&["--debug"]).await;
    for part in [
        "required    groq, openrouter",
        "zz",
        "common: zeta",
        "no place for input_cost_per_pixel (1)",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for wrong in [["--has", "wings"], ["--provider", "nobody"]] {
        let output = run(dir.path(), &[&["models"], &wrong[..]].concat(), &[]).await;
        assert_eq!(output.status.code(), Some(64), "{output:?}");
    }
}
