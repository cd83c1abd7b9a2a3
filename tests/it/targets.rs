//! What a request may ask for, and what a provider's settings make of it.

use serde_json::json;

use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream};

#[tokio::test]
async fn models_lists_what_may_be_asked_for() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: big-model, api_key: k1}
    - {name: b, base_url: <a>, models: [one, two], api_key: k1}
  virtual:
    - {name: smart, upstreams: [{name: a}, {name: b}]}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let list = gateway.get("/v1/models").send().await;
    assert_eq!(list.status, 200);
    let list = list.json();
    assert_eq!(list["object"], "list");
    let models = list["data"].as_array().unwrap();
    assert!(models.iter().all(|model| model["object"] == "model"
        && model["owned_by"].is_string()
        && model["created"].is_number()));
    let ids: Vec<&str> = models
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    for wanted in ["smart", "one", "two"] {
        assert!(
            ids.iter().any(|id| id.contains(wanted)),
            "{wanted} in {ids:?}"
        );
    }
    for id in &ids {
        let answer = gateway.get(&format!("/v1/models/{id}")).send().await;
        assert_eq!((answer.status, &answer.json()["id"]), (200, &json!(id)));
        let chat = gateway.chat(id).send().await;
        assert_eq!(
            chat.status,
            200,
            "{id} is listed, so it can be asked: {}",
            chat.text()
        );
    }
    for unknown in ["none", "%ff"] {
        let answer = gateway.get(&format!("/v1/models/{unknown}")).send().await;
        answer.assert_error(404, "model_not_found");
        assert!(answer.text().contains(&format!("`{unknown}`")));
    }
    assert_eq!(
        a.requests()
            .iter()
            .filter(|request| request.method == "GET")
            .count(),
        0
    );
}

#[tokio::test]
async fn an_unknown_model_is_told_with_near_names() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: frontier, base_url: <a>, model: m, api_key: k1}
    - {name: other, base_url: <a>, model: m2, api_key: k1}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let answer = gateway.chat("frontjer").send().await;
    answer.assert_error(404, "model_not_found");
    let message = answer.json()["error"]["message"].clone();
    assert!(message.as_str().unwrap().contains("frontier"), "{message}");
    assert_eq!(a.count(), 0);
}

#[tokio::test]
async fn targets_are_found_by_name_by_provider_and_model_and_by_a_listed_model() {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: usual, api_key: k1}
    - {name: b, base_url: <b>, models: [one, two], api_key: k2}
";
    let gateway = Gateway::start(yaml, &[("a", &a), ("b", &b)]).await;
    for target in ["a", "a:special", "a:org/name:free"] {
        assert_eq!(gateway.chat(target).send().await.status, 200, "{target}");
    }
    assert_eq!(a.models(), ["usual", "special", "org/name:free"]);
    for target in ["b", "b:two", "two"] {
        assert_eq!(gateway.chat(target).send().await.status, 200, "{target}");
    }
    assert_eq!(b.models(), ["one", "two", "two"]);
    gateway
        .chat("b:three")
        .send()
        .await
        .assert_error(404, "model_not_found");
}

#[tokio::test]
async fn without_a_model_the_default_is_taken_or_the_only_provider() {
    let no_model = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
    let a = ScriptedUpstream::start().await;
    let one = "llm: {providers: [{name: a, base_url: <a>, model: big-model, api_key: k1}]}";
    let gateway = Gateway::start(one, &[("a", &a)]).await;
    assert_eq!(gateway.post_chat(no_model).send().await.status, 200);
    assert_eq!(a.models(), ["big-model"]);

    let yaml = "
llm:
  DEFAULT
  providers:
    - {name: a, base_url: <a>, model: usual, api_key: k1}
    - {name: b, base_url: <a>, model: other, api_key: k2}
";
    let several = Gateway::start(&yaml.replace("DEFAULT", ""), &[("a", &a)]).await;
    several
        .post_chat(no_model)
        .send()
        .await
        .assert_error(400, "no_default_model");

    let yaml = yaml.replace("DEFAULT", "default_model: \"b:special\"");
    let with_default = Gateway::start(&yaml, &[("a", &a)]).await;
    assert_eq!(with_default.post_chat(no_model).send().await.status, 200);
    assert_eq!(a.models().last().unwrap(), "special");
    assert_eq!(a.keys().last().unwrap(), "k2");
}

#[tokio::test]
async fn parameters_of_the_configuration_fill_in_only_what_the_request_lacks() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1, params: {temperature: 0.2, top_p: 0.5}, headers: {X-Title: me}}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let body = r#"{"model":"a","temperature":0,"messages":[]}"#;
    assert_eq!(gateway.post_chat(body).send().await.status, 200);
    let request = &a.requests()[0];
    assert_eq!(request.json()["temperature"], json!(0));
    assert_eq!(request.json()["top_p"], json!(0.5));
    assert_eq!(request.header("x-title"), Some("me"));
}

#[tokio::test]
async fn a_full_url_a_trailing_slash_and_a_provider_without_key_all_work() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: full, base_url: <a>/odd/chat/completions, model: m, api_key: k1}
    - {name: slash, base_url: <a>/, model: m, api_key: k1}
    - {name: keyless, base_url: <a>, model: m}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    for target in ["full", "slash", "keyless"] {
        assert_eq!(gateway.chat(target).send().await.status, 200, "{target}");
    }
    let requests = a.requests();
    assert_eq!(requests[0].path, "/v1/odd/chat/completions");
    assert_eq!(requests[1].path, "/v1/chat/completions");
    assert_eq!(requests[2].header("authorization"), None);
}

#[tokio::test]
async fn keys_come_from_lists_comma_texts_variables_and_files() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: list, base_url: <a>, model: m, api_keys: [l1, l2], api_key: unused}
    - {name: comma, base_url: <a>, model: m, api_key: \"c1, c2,, \"}
    - {name: variable, base_url: <a>, model: m, api_key: \"${ONE},x${TWO:-default}\"}
    - {name: groq, base_url: <a>, model: m}
    - {name: cerebras, base_url: <a>, model: m}
";
    let env = [
        ("ONE", "v1"),
        ("GROQ_API_KEYS", "g1,g2"),
        ("GROQ_API_KEY", "g2"),
        ("CEREBRAS_API_KEY_1", "i1"),
        ("CEREBRAS_API_KEY_3", "i3"),
    ];
    let gateway = Gateway::start_with(yaml, &[("a", &a)], &env).await;
    for target in ["list", "comma", "variable", "groq", "cerebras"] {
        for _ in 0..3 {
            assert_eq!(gateway.chat(target).send().await.status, 200, "{target}");
        }
    }
    let keys = a.keys();
    assert_eq!(keys[0..3], ["l1", "l2", "l1"]);
    assert_eq!(keys[3..6], ["c1", "c2", "c1"]);
    assert_eq!(keys[6..9], ["v1", "xdefault", "v1"]);
    assert_eq!(keys[9..12], ["g1", "g2", "g1"]);
    assert_eq!(keys[12..15], ["i1", "i3", "i1"]);
}

#[tokio::test]
async fn a_policy_ranks_the_upstreams_of_each_request_and_failures_walk_the_rest() {
    let upstreams = [
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    ];
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1}
    - {name: b, base_url: <b>, model: m, api_key: k1}
    - {name: c, base_url: <c>, model: m, api_key: k1}
  virtual:
    - {name: inner, policy: weighted, upstreams: [{name: b, weight: 3}, {name: c, weight: 1}]}
    - {name: smart, upstreams: [inner, a]}
    - {name: spare, policy: weighted, upstreams: [{name: a, weight: 0}, {name: b, weight: 0}, c]}
";
    let [a, b, c] = &upstreams;
    let gateway = Gateway::start(yaml, &[("a", a), ("b", b), ("c", c)]).await;
    for _ in 0..60 {
        assert_eq!(gateway.chat("smart").send().await.status, 200);
    }
    let counts = [a, b, c].map(|upstream| upstream.requests().len());
    assert_eq!(counts[0], 0, "{counts:?}");
    // With weights of 3 and 1 fewer than ten of sixty or more than fifty happen once in ten million runs.
    assert!((25..60).contains(&counts[1]), "{counts:?}");
    let answer = gateway.chat("spare").send().await;
    assert_eq!(answer.header("x-pointsman-upstream"), "c:m");
    c.on(Match::any(), vec![Behaviour::fails(500); 4]);
    let answer = gateway.chat("spare").send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-pointsman-upstream"), "a:m");
}
