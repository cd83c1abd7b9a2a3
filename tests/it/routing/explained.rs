//! What `explain` and stories say of budgets that refuse a request or send it elsewhere, of the keys of conversations, and of
//! requests of another kind or at another time.

use serde_json::{Value, json};

use super::explain;
use super::stories::story;
use crate::admin::side::Side;
use crate::support::client::{Answer, Call};
use crate::support::{At, Behaviour, Gate, Match, ScriptedUpstream, until};

const BOUNDED: &str = "
clients:
  - {name: ci, token: token-of-ci-0123456789, budgets: [{amount: 0.05, every: day}]}
  - {name: web, token: token-of-web-0123456789, budgets: [{amount: 0.01, every: day, then: spare}, {amount: 9, every: total}]}
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k, tags: [eu], price: {input: 0, output: 1000}}
    - {name: b, base_url: <a>, model: m, api_key: k, model_tags: {m: [small]}, price: {input: 0, output: 2000}}
    - {name: c, base_url: <a>, model: m, api_key: k}
  virtual:
    - {name: v, policy: cost, upstreams: [b, a, {name: c, when: {stream: true}}]}
    - {name: unknown, upstreams: [c]}
    - {name: spare, upstreams: [a]}
";

fn ask<'a>(side: &'a Side, client: &str, model: &str) -> Call<'a> {
    let messages = json!([{"role": "user", "content": "hi"}]);
    let body = json!({"model": model, "max_tokens": 100, "messages": messages});
    let token = format!("Bearer token-of-{client}-0123456789");
    let call = side.gateway.post_chat(body.to_string());
    call.header("authorization", &token)
}

async fn told(side: &Side, answer: &Answer) -> Value {
    story(side, answer.header("x-request-id")).await
}

#[tokio::test]
async fn what_a_budget_refuses_is_explained_with_every_step_and_has_a_story() {
    let a = ScriptedUpstream::start().await;
    let side = Side::start(BOUNDED, &[("a", &a)]).await;
    let question = json!({"target": "v", "client": "ci", "tokens": 10, "output_tokens": 100});
    let explained = explain(&side, question).await;
    assert_eq!(explained["answer"], "refused");
    assert_eq!(explained["code"], "client_budget_exhausted");
    let members = explained["ranking"][0]["members"].as_array().unwrap();
    let ranked: Vec<_> = members
        .iter()
        .map(|it| (&it["name"], &it["reason"]))
        .collect();
    let none = &Value::Null;
    let expected = [
        (&json!("a"), none),
        (&json!("b"), none),
        (&json!("c"), &json!("when_stream")),
    ];
    assert_eq!(ranked, expected);
    let candidates = explained["candidates"].as_array().unwrap().iter();
    let seen: Vec<_> = candidates
        .map(|it| (&it["reason"], &it["estimate"], &it["budget"]["amount"]))
        .collect();
    assert_eq!(
        seen,
        [
            (&json!("budget"), &json!("0.100000"), &json!("0.050000")),
            (&json!("budget"), &json!("0.200000"), &json!("0.050000")),
            (&json!("when_stream"), none, none),
        ]
    );
    let first = &explained["candidates"][0];
    assert_eq!(
        (&first["tags"], &first["keys"][0]["id"]),
        (&json!(["eu"]), &json!("a#1"))
    );
    let detail = first["detail"].as_str().unwrap();
    let said = "client `ci` of 0.050000 per day has 0.000000 spent and 0.000000 reserved, until 2";
    assert!(detail.contains(said), "{detail}");

    let refused = ask(&side, "ci", "v").send().await;
    refused.assert_error(429, "client_budget_exhausted");
    let story = told(&side, &refused).await;
    assert_eq!(
        (&story["status"], &story["tries"]),
        (&json!(429), &json!([]))
    );
    assert_eq!(story["chain"], json!(["a:m", "b:m", "c:m"]));
    let routing = &story["routing"];
    assert_eq!(
        routing["ranking"][0]["members"][0]["figure"]["cost"],
        "0.100000"
    );
    let out = routing["left_out"].as_array().unwrap().iter();
    let out: Vec<_> = out.map(|it| it["reason"].clone()).collect();
    assert_eq!(out, ["budget", "budget", "when_stream"]);
    let by = &routing["budget"]["refused_by"];
    assert_eq!(
        (&by["amount"], &by["spent"]),
        (&json!("0.050000"), &json!("0.000000"))
    );
    assert!(by["ends_at"].as_i64().unwrap() > 1_700_000_000, "{by}");

    // Without a price, waiting does not help.
    let question = json!({"target": "unknown", "client": "ci"});
    let explained = explain(&side, question).await;
    assert_eq!(
        (&explained["status"], &explained["code"]),
        (&json!(403), &json!("unpriced_model"))
    );
    let candidate = &explained["candidates"][0];
    assert_eq!(
        (&candidate["upstream"], &candidate["reason"]),
        (&json!("c:m"), &json!("unpriced"))
    );
    assert_eq!(candidate["budget"]["amount"], "0.050000");
    let refused = ask(&side, "ci", "unknown").send().await;
    refused.assert_error(403, "unpriced_model");
    let routing = told(&side, &refused).await["routing"].clone();
    assert_eq!(
        routing["left_out"],
        json!([{"upstream": "c:m", "reason": "unpriced"}])
    );
    assert_eq!(a.count(), 0, "nothing was sent");
}

#[tokio::test]
async fn a_client_that_goes_on_asking_displaces_no_other_story() {
    let a = ScriptedUpstream::start().await;
    let side = Side::start(BOUNDED, &[("a", &a)]).await;
    for _ in 0..40 {
        let refused = ask(&side, "ci", "v").send().await;
        refused.assert_error(429, "client_budget_exhausted");
    }
    let kept = side.get("/admin/v1/requests?limit=100").send().await.json();
    let kept = kept["requests"].as_array().unwrap().len();
    assert!((10..=20).contains(&kept), "{kept}");
}

#[tokio::test]
async fn a_budget_that_names_another_target_is_followed() {
    let a = ScriptedUpstream::start().await;
    let side = Side::start(BOUNDED, &[("a", &a)]).await;
    let question = json!({"target": "v", "client": "web", "output_tokens": 100});
    let explained = explain(&side, question).await;
    assert_eq!(
        (&explained["target"], &explained["answer"]),
        (&json!("spare"), &json!("goes_now"))
    );
    let by = explained["steered_by"].as_str().unwrap();
    assert!(by.contains("client `web`"), "{by}");
    let answer = ask(&side, "web", "v").send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let routing = told(&side, &answer).await["routing"].clone();
    assert_eq!(routing["budget"]["steered_by"], by);
}

const KINDS: &str = "
llm:
  providers:
    - {name: night, base_url: <a>, model: m, api_key: k, price: {input: 1, output: 1, off_peak: [{hours: '00:00-06:00', input: 0, output: 0}]}}
    - {name: day, base_url: <a>, model: m, api_key: k, price: {input: 0.5, output: 0.5}}
  virtual:
    - {name: hours, upstreams: [{name: night, when: {hours: '22:00-06:00'}}, day]}
    - {name: cheap, policy: cost, upstreams: [day, night]}
";

#[tokio::test]
async fn a_request_at_another_time_is_explained_by_its_hours_and_prices() {
    let a = ScriptedUpstream::start().await;
    let side = Side::start(KINDS, &[("a", &a)]).await;
    for (target, at, first) in [
        ("hours", "2027-01-31T23:00:00Z", "night:m"),
        ("hours", "2027-01-31T12:00:00Z", "day:m"),
        ("cheap", "2027-01-31T03:00:00Z", "night:m"),
        ("cheap", "2027-01-31T12:00:00Z", "day:m"),
    ] {
        let question = json!({"target": target, "at": at, "tokens": 100});
        let explained = explain(&side, question).await;
        assert_eq!(
            explained["candidates"][0]["upstream"], first,
            "{target} {at}"
        );
    }
    let wrong = json!({"at": "tomorrow"}).to_string();
    let answer = side.post("/admin/v1/explain", &wrong).send().await;
    assert_eq!(answer.status, 400, "{}", answer.text());
}

const ACCOUNTS: &str = "
llm:
  providers:
    - name: a
      base_url: <a>
      model: m
      key_rotation: affinity
      api_keys:
        - {key: sk-planted-k1, account: x}
        - {key: sk-planted-k2, account: x}
        - {key: sk-planted-k3, account: y}
";

#[tokio::test]
async fn the_key_of_a_conversation_is_told_and_why_it_went_to_another_one() {
    let a = ScriptedUpstream::start().await;
    let side = Side::start(ACCOUNTS, &[("a", &a)]).await;
    let talk = || side.gateway.chat("a").header("x-session-id", "s");
    let affinity = async |answer: &Answer| {
        let story = told(&side, answer).await;
        let tries = story["tries"].as_array().unwrap();
        tries.last().unwrap()["key_affinity"].clone()
    };
    let first = talk().send().await;
    let served = told(&side, &first).await["key"].clone();
    let at_home = affinity(&first).await;
    assert_eq!(
        (&at_home["home"], &at_home["outcome"]),
        (&served, &json!("home"))
    );
    let account = if served == "a#3" { "y" } else { "x" };
    assert_eq!(at_home["account"], account);
    let question = || json!({"target": "a", "session": "s"});
    let explained = explain(&side, question()).await["candidates"][0].clone();
    let expected = json!({"home": served, "account": account, "over_bound": false, "reason": null});
    assert_eq!(explained["key_affinity"], expected);
    assert_eq!(explained["keys"][0]["id"], served);

    // A second request at once is above the share of that key.
    let gate = Gate::new();
    a.on(
        Match::any(),
        [Behaviour::says("ok").gate(At::BeforeHead, &gate)],
    );
    let held = talk().spawn();
    a.wait_for(2).await;
    let explained = explain(&side, question()).await["candidates"][0].clone();
    assert_eq!(explained["key_affinity"]["over_bound"], true);
    let second = talk().spawn();
    a.wait_for(3).await;
    gate.open();
    held.await.unwrap();
    let moved = affinity(&second.await.unwrap()).await;
    assert_eq!(
        (&moved["home"], &moved["outcome"]),
        (&served, &json!("over_bound"))
    );

    // Its key cools down after a rate limit.
    let home = format!("k{}", &served.as_str().unwrap()[2..]);
    let limited = || Behaviour::rate_limited().header("retry-after", "60");
    a.on(Match::any(), [Behaviour::says("ok")]);
    a.on(Match::key(&home), [limited()]);
    let moved = affinity(&talk().send().await).await;
    assert_eq!(
        (&moved["outcome"], &moved["reason"]),
        (&json!("moved"), &json!("tried"))
    );
    until("the key to cool", async || {
        let explained = explain(&side, question()).await["candidates"][0].clone();
        explained["key_affinity"]["reason"] == "cooling"
    })
    .await;
    let moved = affinity(&talk().send().await).await;
    assert_eq!(
        (&moved["outcome"], &moved["reason"]),
        (&json!("moved"), &json!("cooling"))
    );
    // Without a conversation there is nothing to tell.
    let explained = explain(&side, json!({"target": "a"})).await;
    assert_eq!(explained["candidates"][0]["key_affinity"], Value::Null);
}
