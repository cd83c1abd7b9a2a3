//! Requests that narrow the choice themselves, and tiers that requests leave while a part of them is out.

use serde_json::{Value, json};

use crate::admin::side::Side;
use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream};

const HINTED: &str = "
clients:
  - {name: all, token: token-of-all-0123456789}
  - {name: few, token: token-of-few-0123456789, allow: [smart]}
llm:
  providers:
    - {name: a, base_url: <a>, model: ma, api_key: k, price: {input: 1, output: 2}}
    - {name: b, base_url: <a>, model: mb, api_key: k, price: {input: 0.5, output: 1}, data_policy: zdr}
    - {name: openrouter, base_url: <a>, model: mo, api_key: k}
    - {name: outside, base_url: <a>, model: mx, api_key: k}
  virtual:
    - {name: smart, hints: openrouter, upstreams: [a, b, openrouter]}
    - {name: plain, upstreams: [a, b]}
";

struct Hinted {
    gateway: Gateway,
    upstream: ScriptedUpstream,
}

impl Hinted {
    async fn start() -> Self {
        let upstream = ScriptedUpstream::start().await;
        let gateway = Gateway::start(HINTED, &[("a", &upstream)]).await;
        Self { gateway, upstream }
    }

    async fn ask(&self, client: &str, model: &str, fields: Value) -> crate::support::Answer {
        let mut body = json!({"model": model, "messages": [{"role": "user", "content": "x"}]});
        let all = body.as_object_mut().unwrap();
        all.extend(fields.as_object().unwrap().clone());
        let token = format!("Bearer token-of-{client}-0123456789");
        let call = self.gateway.post_chat(body.to_string());
        call.header("authorization", &token).send().await
    }

    /// The upstream of an answer, and the body that it got.
    async fn served(&self, client: &str, model: &str, fields: Value) -> (String, Value) {
        let answer = self.ask(client, model, fields).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let sent = self.upstream.requests().last().unwrap().json();
        (answer.header("x-pointsman-upstream").to_owned(), sent)
    }
}

#[tokio::test]
async fn hints_narrow_the_choice_and_leave_the_body() {
    let on = Hinted::start().await;
    for (fields, expected) in [
        (json!({}), "a:ma"),
        (json!({"provider": {"only": ["B", "nobody"]}}), "b:mb"),
        (json!({"provider": {"ignore": ["a"]}}), "b:mb"),
        (
            json!({"provider": {"order": ["b"]}, "route": "fallback"}),
            "b:mb",
        ),
        (json!({"provider": {"zdr": true}}), "b:mb"),
        (json!({"provider": {"max_price": {"prompt": 0.9}}}), "b:mb"),
        (json!({"models": ["mb", "smart:x"]}), "b:mb"),
        (json!({"models": ["smart"]}), "a:ma"),
        (
            json!({"provider": {"sort": "price"}, "max_tokens": 10_000}),
            "b:mb",
        ),
    ] {
        let (upstream, sent) = on.served("all", "smart", fields.clone()).await;
        assert_eq!(upstream, expected, "{fields}");
        for field in ["provider", "models", "route"] {
            assert!(sent.get(field).is_none(), "{fields}: {sent}");
        }
    }
    let fields = json!({"provider": {"only": ["a"], "quantizations": ["fp8"]}});
    let answer = on.ask("all", "smart", fields).await;
    assert_eq!(
        answer.header("x-pointsman-dropped"),
        "provider.quantizations"
    );
}

#[tokio::test]
async fn what_openrouter_follows_itself_stays_for_it() {
    let on = Hinted::start().await;
    let provider = json!({"only": ["openrouter"], "sort": "throughput", "quantizations": ["fp8"]});
    let fields = json!({"models": ["mo"], "provider": provider});
    let (upstream, sent) = on.served("all", "smart", fields).await;
    assert_eq!(upstream, "openrouter:mo");
    assert_eq!(
        sent["provider"],
        json!({"sort": "throughput", "quantizations": ["fp8"]})
    );
    assert!(
        sent.get("models").is_none(),
        "it would lead to other models"
    );
}

#[tokio::test]
async fn hints_never_widen() {
    let on = Hinted::start().await;
    for fields in [
        json!({"provider": {"only": ["outside"]}}),
        json!({"models": ["outside:mx", "mx"]}),
    ] {
        let answer = on.ask("all", "smart", fields.clone()).await;
        answer.assert_error(400, "no_upstream_matches");
        let field = match fields.get("models") {
            Some(_) => "hint_models",
            None => "hint_only",
        };
        let skipped = answer.json()["error"]["skipped"].clone();
        assert_eq!(skipped.as_array().unwrap().len(), 3, "{skipped}");
        assert_eq!(skipped[0]["reason"], field);
    }
    // A restricted client may narrow by what is followed; what is not is refused as ever.
    let (upstream, _) = on.served("few", "smart", json!({"models": ["mb"]})).await;
    assert_eq!(upstream, "b:mb");
    for fields in [
        json!({"fallbacks": ["outside"]}),
        json!({"preset": "x"}),
        json!({"Models": ["outside:mx"]}),
        json!({"extra_body": {"models": ["outside:mx"]}}),
    ] {
        let answer = on.ask("few", "smart", fields).await;
        answer.assert_error(403, "target_not_allowed");
    }
    // Without `hints` the body goes as it came.
    let (upstream, sent) = on
        .served("all", "plain", json!({"provider": {"only": ["b"]}}))
        .await;
    assert_eq!(
        (upstream.as_str(), sent["provider"]["only"][0].as_str()),
        ("a:ma", Some("b"))
    );
    let answer = on
        .ask("all", "smart", json!({"provider": {"sort": "best"}}))
        .await;
    answer.assert_error(400, "invalid_request");
    assert_eq!(answer.json()["error"]["param"], "provider.sort");
}

#[tokio::test]
async fn explain_shows_hints_and_what_tiers_take() {
    let a = ScriptedUpstream::playing([Behaviour::says("ok")]).await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: ma, api_key: k}
    - {name: b, base_url: <a>, model: mb, api_key: k}
    - {name: c, base_url: <a>, model: mc, api_key: k}
  virtual:
    - {name: smart, hints: openrouter, upstreams: [a, b]}
    - name: tiers
      spill: true
      upstreams: [{name: a, priority: 1}, {name: b, priority: 1}, {name: c, priority: 2}]
dispatch: {await_cooldown: 0s}
";
    let side = Side::start(yaml, &[("a", &a)]).await;
    let explain = async |question: Value| {
        let answer = side.post("/admin/v1/explain", &question.to_string());
        let answer = answer.send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let hints = json!({"provider": {"only": ["b"]}}).to_string();
    let told = explain(json!({"target": "smart", "hints": hints})).await;
    assert_eq!(told["detail"], "goes to b:mb");
    assert_eq!(told["ranking"][0]["by"], "hints");
    assert_eq!(told["ranking"][0]["members"][1]["reason"], "hint_only");
    let tiers = |told: &Value| {
        let tiers = told["ranking"][0]["tiers"].as_array().unwrap().iter();
        let loads = tiers.map(|tier| tier["percent"].as_u64().unwrap());
        loads.collect::<Vec<_>>()
    };
    assert_eq!(tiers(&explain(json!({"target": "tiers"})).await), [100, 0]);
    a.on(Match::model("ma"), [Behaviour::rate_limited()]);
    let served = side.gateway.chat("tiers").send().await;
    assert_eq!(served.header("x-pointsman-upstream"), "b:mb");
    let mut first = Vec::new();
    for seed in 0..40 {
        let told = explain(json!({"target": "tiers", "seed": seed})).await;
        assert_eq!(tiers(&told), [70, 30]);
        first.push(told["detail"].as_str().unwrap().to_owned());
    }
    let spilt = first.iter().filter(|to| *to == "goes to c:mc").count();
    assert!((4..20).contains(&spilt), "{spilt} of 40");
    assert!(first.iter().any(|to| to == "goes to b:mb"));
}
