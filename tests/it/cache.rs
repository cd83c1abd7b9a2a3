//! Kept answers: which requests they serve, what they say of themselves, and what is never kept.

mod dialects;
mod joined;
mod streams;

use serde_json::{Value, json};

use crate::admin::side::Side;
use crate::support::client::{Answer, Call};
use crate::support::{Behaviour, Match, ScriptedUpstream, until};

/// A gateway that keeps answers, with these settings of `cache`, and more configuration.
pub struct Scene {
    pub upstream: ScriptedUpstream,
    pub side: Side,
}

impl Scene {
    /// With upstream `a` of the dialect `openai` and all that `more` says.
    pub async fn new(cache: &str, more: &str) -> Self {
        let upstream = ScriptedUpstream::start().await;
        let yaml = format!(
            "
cache: {{{cache}}}
llm:
  providers:
    - {{name: a, base_url: <a>, api_key: k, price: {{input: 1, output: 10}}}}
    - {{name: steady, base_url: <a>, api_key: k, retry: {{same_upstream: 0}}, circuit_breaker: {{failure_threshold: 100}}}}
    - {{name: fills, base_url: <a>, api_key: k, params: {{temperature: 0}}}}
    - {{name: private, base_url: <a>, api_key: k, cache: {{enabled: false}}}}
    - {{name: quick, base_url: <a>, api_key: k, cache: {{when: always}}}}
  virtual:
    - {{name: both, upstreams: ['a:m', 'private:m']}}
{more}"
        );
        let side = Side::start(&yaml, &[("a", &upstream)]).await;
        Self { upstream, side }
    }

    /// A deterministic question, changed by `with`.
    pub fn ask(&self, with: &Value) -> Call<'_> {
        self.side.gateway.post_chat(question(with).to_string())
    }

    pub async fn asked(&self, with: &Value) -> Answer {
        self.ask(with).send().await
    }

    /// Waits until the kept answer to such a question is out of date: whoever wants nothing else is told that there is none.
    pub async fn until_out_of_date(&self, with: &Value) {
        until("the kept answer to be out of date", async || {
            let ask = self.ask(with).header("cache-control", "only-if-cached");
            ask.send().await.status == 504
        })
        .await;
    }

    pub fn plays(&self, behaviours: impl IntoIterator<Item = Behaviour>) {
        self.upstream.on(Match::any(), behaviours);
    }
}

/// A request whose answer is always the same, with other fields or without some (`null`).
pub fn question(with: &Value) -> Value {
    let mut body = json!({
        "model": "a:m", "temperature": 0,
        "messages": [{"role": "user", "content": "hi"}],
    });
    for (name, value) in with.as_object().unwrap() {
        match value {
            Value::Null => drop(body.as_object_mut().unwrap().remove(name)),
            value => body[name] = value.clone(),
        }
    }
    body
}

/// What its answer says of the cache.
pub fn result(answer: &Answer) -> &str {
    answer.header("x-pointsman-cache")
}

#[tokio::test]
async fn an_equal_question_is_answered_without_its_upstream() {
    let scene = Scene::new("ttl: 300s", "").await;
    scene.plays([Behaviour::says("first"), Behaviour::says("second")]);
    let miss = scene.asked(&json!({})).await;
    assert_eq!((miss.says().as_str(), result(&miss)), ("first", "miss"));
    assert_eq!(
        miss.header("cache-status"),
        "pointsman; fwd=uri-miss; stored"
    );
    assert_eq!(miss.header("x-pointsman-cost"), "0.000023");
    let hit = scene.asked(&json!({})).await;
    assert_eq!(result(&hit), "hit");
    assert_eq!(hit.text(), miss.text());
    assert_eq!(hit.header("x-pointsman-cost"), "0");
    assert_eq!(hit.header("x-pointsman-attempts"), "0");
    assert_eq!(hit.header("x-pointsman-upstream"), "a:m");
    assert_eq!(hit.header("cache-control"), "private, no-store");
    assert!(
        hit.header("cache-status")
            .starts_with("pointsman; hit; ttl=")
    );
    assert!(
        matches!(hit.header("age"), "0" | "1" | "2"),
        "{}",
        hit.header("age")
    );
    assert_ne!(hit.header("x-request-id"), miss.header("x-request-id"));
    assert!(hit.header("content-type").starts_with("application/json"));
    assert_eq!(scene.upstream.count(), 1);
    let line = scene.side.gateway.logged("\"lookup\":\"hit\"").await;
    assert!(line.contains("\"outcome\":\"answered\""), "{line}");
}

#[tokio::test]
async fn questions_that_mean_the_same_are_equal_and_no_others() {
    let scene = Scene::new("", "").await;
    scene.plays([Behaviour::says("x")]);
    assert_eq!(result(&scene.asked(&json!({})).await), "miss");
    for same in [
        json!({"temperature": 0.0}),
        json!({"user": "u", "metadata": {"a": "b"}}),
        json!({"store": false, "service_tier": "flex"}),
    ] {
        assert_eq!(result(&scene.asked(&same).await), "hit", "{same}");
    }
    let reordered =
        r#"{"messages":[{"content":"hi","role":"user"}],"temperature":0e0,"model":"a:m"}"#;
    let answer = scene.side.gateway.post_chat(reordered).send().await;
    assert_eq!(result(&answer), "hit");
    assert_eq!(scene.upstream.count(), 1);
    for other in [
        json!({"top_p": 1}),
        json!({"seed": 1}),
        json!({"seed": 2}),
        json!({"parallel_tool_calls": true}),
        json!({"unknown": 1}),
        json!({"model": "a:n"}),
        json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}),
    ] {
        assert_eq!(result(&scene.asked(&other).await), "miss", "{other}");
        assert_eq!(result(&scene.asked(&other).await), "hit", "{other}");
    }
    let beta = scene
        .ask(&json!({}))
        .header("openai-beta", "x")
        .send()
        .await;
    assert_eq!(result(&beta), "miss");
}

#[tokio::test]
async fn what_may_be_answered_in_other_ways_is_not_looked_up() {
    let scene = Scene::new("", "").await;
    scene.plays([Behaviour::says("x")]);
    for never in [
        json!({"temperature": null}),
        json!({"temperature": null, "seed": 1}),
        json!({"temperature": 0.5}),
        json!({"tools": [{"type": "web_search"}]}),
        json!({"store": true}),
        json!({"web_search_options": {}}),
        json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a/b"}}]}]}),
        json!({"model": "private:m"}),
        json!({"model": "both"}),
    ] {
        let before = scene.upstream.count();
        for _ in 0..2 {
            let word = scene
                .asked(&never)
                .await
                .header("x-pointsman-cache")
                .to_owned();
            assert!(matches!(&*word, "bypass" | ""), "{never}: {word}");
        }
        assert_eq!(scene.upstream.count(), before + 2, "{never}");
    }
    for kept in [
        json!({"model": "fills:m", "temperature": null}),
        json!({"model": "quick:m", "temperature": 1}),
    ] {
        assert_eq!(result(&scene.asked(&kept).await), "miss", "{kept}");
        assert_eq!(result(&scene.asked(&kept).await), "hit", "{kept}");
    }
}

#[tokio::test]
async fn answers_that_did_not_end_by_themselves_are_not_kept() {
    let scene = Scene::new("max_entry: 2KiB", "").await;
    let with = |reason: &str| {
        let text = crate::support::behaviour::completion("x").replace("\"stop\"", reason);
        Behaviour::json(200, &text)
    };
    for (number, bad) in [
        with("\"length\""),
        with("\"content_filter\""),
        with("null"),
        Behaviour::says(&"x".repeat(4000)),
        Behaviour::error(400, "bad", "no"),
    ]
    .into_iter()
    .enumerate()
    {
        let model = format!("m{number}");
        let ask = json!({"model": format!("a:{model}")});
        scene
            .upstream
            .on(Match::model(&model), [bad, Behaviour::says("y")]);
        let first = scene.asked(&ask).await;
        assert_eq!(result(&first), "miss", "{number}");
        assert_eq!(
            first.header("cache-status"),
            "pointsman; fwd=uri-miss",
            "{number}"
        );
        let second = scene.asked(&ask).await;
        assert_eq!(
            (result(&second), second.says().as_str()),
            ("miss", "y"),
            "{number}"
        );
        assert_eq!(result(&scene.asked(&ask).await), "hit", "{number}");
    }
}

#[tokio::test]
async fn callers_say_what_they_want_of_it() {
    let scene = Scene::new("", "").await;
    scene.plays((0..9).map(|number| Behaviour::says(&number.to_string())));
    let says = |word: &'static str, own: &'static str| {
        let call = scene.ask(&json!({}));
        let call = if word.is_empty() {
            call
        } else {
            call.header("cache-control", word)
        };
        let call = if own.is_empty() {
            call
        } else {
            call.header("x-pointsman-cache", own)
        };
        async move {
            let answer = call.send().await;
            let word = result(&answer).to_owned();
            (word, answer.says())
        }
    };
    let is = |word: &str, text: &str| (word.to_owned(), text.to_owned());
    scene
        .ask(&json!({}))
        .header("cache-control", "only-if-cached")
        .send()
        .await
        .assert_error(504, "not_cached");
    assert_eq!(scene.upstream.count(), 0);
    assert_eq!(says("no-store", "").await, is("bypass", "0"));
    assert_eq!(says("", "off").await, is("bypass", "1"));
    assert_eq!(says("", "").await, is("miss", "2"));
    assert_eq!(says("only-if-cached", "").await, is("hit", "2"));
    assert_eq!(says("no-store", "").await, is("bypass", "3"));
    assert_eq!(says("max-age=60", "").await, is("hit", "2"));
    assert_eq!(says("min-fresh=100", "").await, is("hit", "2"));
    assert_eq!(says("min-fresh=1000", "").await, is("miss", "4"));
    assert_eq!(says("no-cache", "").await, is("miss", "5"));
    assert_eq!(says("", "").await, is("hit", "5"));
    let forced = json!({"temperature": 1});
    for word in ["miss", "hit"] {
        let call = scene.ask(&forced).header("x-pointsman-cache", "force");
        assert_eq!(result(&call.send().await), word);
    }
    let wrong = scene.ask(&json!({})).header("x-pointsman-cache", "yes");
    wrong.send().await.assert_error(400, "invalid_request");
}

#[tokio::test]
async fn each_client_has_its_own_answers_unless_they_are_shared() {
    for (scope, other) in [("client", "miss"), ("shared", "hit")] {
        let scene = Scene::new(
            &format!("scope: {scope}"),
            "clients: [{name: ci, token: token-of-ci-0123}, {name: web, token: token-of-web-0123}]",
        )
        .await;
        scene.plays([Behaviour::says("x")]);
        let by = |name: &str, word: &'static str| {
            let token = format!("Bearer token-of-{name}-0123");
            let call = scene.ask(&json!({})).header("authorization", &token);
            if word.is_empty() {
                call
            } else {
                call.header("x-pointsman-cache", word)
            }
        };
        assert_eq!(result(&by("ci", "").send().await), "miss");
        assert_eq!(result(&by("ci", "").send().await), "hit");
        assert_eq!(result(&by("web", "").send().await), other, "{scope}");
        // Who shares answers may not decide for others which are good enough.
        let forced = scene
            .ask(&json!({"temperature": 1}))
            .header("authorization", "Bearer token-of-ci-0123")
            .header("x-pointsman-cache", "force");
        let word = if scope == "client" { "miss" } else { "bypass" };
        assert_eq!(result(&forced.send().await), word);
    }
}

#[tokio::test]
async fn a_hit_is_a_request_but_takes_no_tokens_and_no_budget() {
    let scene = Scene::new(
        "",
        "clients: [{name: ci, token: token-of-ci-0123, limits: {rpm: 4, tpm: 60}, budgets: [{amount: 0.00003, every: total}]}]",
    )
    .await;
    scene.plays([Behaviour::says("x")]);
    let ask = |with: Value| {
        let call = scene.ask(&with);
        call.header("authorization", "Bearer token-of-ci-0123")
    };
    let small = json!({"max_tokens": 1});
    assert_eq!(result(&ask(small.clone()).send().await), "miss");
    // Neither has what another question needs any more.
    let refused = ask(json!({"max_tokens": 50, "seed": 1})).send().await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert_eq!(result(&ask(small.clone()).send().await), "hit");
    assert_eq!(result(&ask(small.clone()).send().await), "hit");
    until_refused(ask(small.clone()), ask(small)).await;
    assert_eq!(scene.upstream.count(), 1);
}

/// The requests of a minute are used up within these two.
async fn until_refused(one: Call<'_>, other: Call<'_>) {
    let one = one.send().await;
    let refused = match one.status {
        200 => other.send().await,
        _ => one,
    };
    refused.assert_error(429, "client_rate_limited");
    assert!(
        refused.text().contains("requests a minute"),
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn what_is_out_of_date_serves_where_no_upstream_can() {
    let scene = Scene::new("ttl: 1ms, stale_if_error: 1h", "").await;
    scene.plays([
        Behaviour::says("old"),
        Behaviour::fails(500),
        Behaviour::fails(500),
        Behaviour::error(400, "bad", "no"),
    ]);
    assert_eq!(result(&scene.asked(&json!({})).await), "miss");
    scene.until_out_of_date(&json!({})).await;
    let stale = scene.asked(&json!({})).await;
    assert_eq!((result(&stale), stale.says().as_str()), ("stale", "old"));
    assert!(!stale.header("age").is_empty());
    assert_eq!(scene.upstream.count(), 3);
    // Its own fault is no reason.
    let refused = scene.asked(&json!({})).await;
    assert_eq!((refused.status, result(&refused)), (400, "miss"));
}

#[tokio::test]
async fn what_is_kept_and_saved_is_counted() {
    let upstream = ScriptedUpstream::start().await;
    upstream.on(Match::any(), [Behaviour::says("x")]);
    let yaml = "
cache: {}
llm: {providers: [{name: a, base_url: <a>, api_key: k, price: {input: 1, output: 10}}]}
";
    let side = Side::start(yaml, &[("a", &upstream)]).await;
    for with in [json!({}), json!({}), json!({}), json!({"temperature": 1})] {
        let call = side.gateway.post_chat(question(&with).to_string());
        assert_eq!(call.send().await.status, 200);
    }
    let seen = async || side.get("/metrics").send().await.text().to_owned();
    for line in [
        "pointsman_cache_lookups_total{result=\"hit\"} 2",
        "pointsman_cache_lookups_total{result=\"miss\"} 1",
        "pointsman_cache_lookups_total{result=\"bypass\"} 1",
        "pointsman_cache_saved_tokens_total 10",
        "pointsman_cache_saved_cost_total 0.000046",
        "pointsman_cache_entries 1",
        "pointsman_cache_limit_bytes 268435456",
    ] {
        until(line, async || seen().await.lines().any(|it| it == line)).await;
    }
    let told = side.get("/admin/v1/requests").send().await.json();
    let told = &told["requests"][1];
    assert_eq!(
        (&told["cache"], &told["saved"]),
        (&json!("hit"), &json!("0.000023"))
    );
}

#[tokio::test]
async fn nothing_is_said_of_it_where_nothing_is_kept() {
    let scene = Scene::new("enabled: false", "").await;
    scene.plays([Behaviour::says("x")]);
    for _ in 0..2 {
        let answer = scene.asked(&json!({})).await;
        assert_eq!((result(&answer), answer.header("cache-status")), ("", ""));
    }
    assert_eq!(scene.upstream.count(), 2);
}
