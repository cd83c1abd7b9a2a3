//! Lists of models: fetched in the background, told to callers, kept for the next process.

use serde_json::Value;

use crate::support::gateway::Place;
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
