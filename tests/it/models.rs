//! The list of models: whatever it names is found, in the form of each caller, and so is a name that means one of them.

use serde_json::Value;

use crate::support::client::Call;
use crate::support::{Gateway, ScriptedUpstream};

const SETUP: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1}
    - {name: pool, base_url: <a>, models: [one, org/two], api_key: k2}
    - {name: open, base_url: <a>, api_key: k3}
  virtual:
    - {name: smart, upstreams: [a, pool]}
";

/// The headers and the root by which each kind of caller is known.
const CALLERS: [(&str, &str, &str); 3] = [
    ("", "", "/v1/models"),
    ("anthropic-version", "2023-06-01", "/v1/models"),
    ("", "", "/v1beta/models"),
];

async fn setup() -> Gateway {
    let a = ScriptedUpstream::start().await;
    Gateway::start(SETUP, &[("a", &a)]).await
}

fn get<'g>(gateway: &'g Gateway, (name, value, root): (&str, &str, &str), id: &str) -> Call<'g> {
    let path = match id {
        "" => root.to_owned(),
        id => format!("{root}/{id}"),
    };
    let call = gateway.get(&path);
    match name {
        "" => call,
        name => call.header(name, value),
    }
}

/// What a model is called in an entry.
fn id(entry: &Value) -> String {
    let id = entry.get("id").or_else(|| entry.get("name"));
    id.and_then(Value::as_str).unwrap().to_owned()
}

#[tokio::test]
async fn what_is_listed_is_found() {
    let gateway = setup().await;
    for caller in CALLERS {
        let list = get(&gateway, caller, "").send().await.json();
        let all = list.get("data").or_else(|| list.get("models")).unwrap();
        let all = all.as_array().unwrap();
        assert_eq!(all.len(), 4, "{list}");
        for entry in all {
            let name = id(entry);
            for path in [name.clone(), name.replace('/', "%2F").replace(':', "%3A")] {
                let path = match caller.2 {
                    "/v1beta/models" => {
                        path.replacen("models%2F", "", 1).replacen("models/", "", 1)
                    }
                    _ => path,
                };
                let found = get(&gateway, caller, &path).send().await;
                assert_eq!((found.status, &found.json()), (200, entry), "{path}");
            }
        }
    }
    // Google's names may be given as they are listed.
    let found = gateway.get("/v1beta/models/models/smart").send().await;
    assert_eq!(found.json()["name"], "models/smart", "{}", found.text());
}

#[tokio::test]
async fn a_name_that_means_what_is_listed_is_found_under_that_name() {
    let gateway = setup().await;
    for caller in CALLERS {
        for (asked, means) in [
            ("a", "a:m"),
            ("pool", "pool:one"),
            ("org/two", "pool:org/two"),
        ] {
            let found = get(&gateway, caller, asked).send().await;
            assert_eq!(found.status, 200, "{asked}: {}", found.text());
            let entry = found.json();
            assert!(
                [asked.to_owned(), format!("models/{asked}")].contains(&id(&entry)),
                "{entry}"
            );
            if caller.2 == "/v1/models" {
                assert_eq!(entry["upstreams"][0], means, "{entry}");
                assert_ne!(entry["owned_by"], "pointsman");
            }
        }
        for missing in ["open", "open:x", "pool:three", "nothing"] {
            let answer = get(&gateway, caller, missing).send().await;
            assert_eq!(answer.status, 404, "{missing}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_price_of_the_configuration_is_told_without_any_list() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1, context_window: 8192, prices: {m: {input: 0.9, output: 2}}}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let entry = gateway.get("/v1/models/a:m").send().await.json();
    assert_eq!(entry["pricing"]["input"], "0.9", "{entry}");
    assert_eq!(entry["pricing"]["completion"], "0.000002");
    assert_eq!(entry["context_window"], 8192);
    assert_eq!(entry["source"]["pricing"]["name"], "configuration");
}
