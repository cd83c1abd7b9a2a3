//! Rate limits: the next key, the wait, and the answers when neither helps.

use std::time::{Instant, SystemTime};

use crate::support::{At, Behaviour, Gate, Gateway, Match, ScriptedUpstream, ms};

/// One provider, keys as given, and a usual cooldown that no test outlives.
fn keys(keys: &str) -> String {
    format!(
        "
llm:
  providers:
    - {{name: a, base_url: <a>, model: m, api_keys: [{keys}], cooldown: {{default: 60s}}}}
"
    )
}

fn limited(header: &str, value: &str) -> Behaviour {
    Behaviour::rate_limited().header(header, value)
}

#[tokio::test]
async fn a_limited_key_gives_way_to_the_next_and_is_not_asked_while_it_cools() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&keys("k1, k2"), &[("a", &a)]).await;
    a.on(Match::key("k1"), [limited("retry-after", "30")]);
    for _ in 0..5 {
        let answer = gateway.chat("a").send().await;
        assert_eq!((answer.status, answer.says().as_str()), (200, "ok"));
    }
    assert_eq!(a.keys(), ["k1", "k2", "k2", "k2", "k2", "k2"]);
}

#[tokio::test]
async fn the_answer_names_the_key_that_served_and_counts_the_attempts() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&keys("k1, k2"), &[("a", &a)]).await;
    a.on(Match::key("k1"), [limited("retry-after", "30")]);
    let answer = gateway.chat("a").send().await;
    assert_eq!(answer.header("x-pointsman-attempts"), "2");
    assert_eq!(answer.header("x-pointsman-upstream"), "a:m");
    assert!(answer.header("x-pointsman-key").starts_with("a#"));
}

/// One key and a hint: the request waits as long as told, no less, and then succeeds with the same key.
#[tokio::test]
async fn every_form_of_retry_after_is_obeyed_by_a_request_that_waits() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&keys("k1"), &[("a", &a)]).await;
    let date = httpdate::fmt_http_date(SystemTime::now() + ms(2500));
    // The name, the value, the least wait: dates have whole seconds.
    let cases = [
        ("retry-after-ms", "250", 250),
        ("retry-after-ms", "250.5", 250),
        ("retry-after", "0.25", 250),
        ("retry-after", "1", 1000),
        ("retry-after", date.as_str(), 500),
    ];
    let waits = cases.iter().enumerate().map(|(at, (name, value, least))| {
        let model = format!("m{at}");
        let script = [limited(name, value), Behaviour::says("ok")];
        a.on(Match::model(&model), script);
        let call = gateway.chat(&format!("a:{model}"));
        async move {
            let answer = call.send().await;
            assert_eq!(answer.status, 200, "{name}: {value}: {}", answer.text());
            (model, ms(*least), format!("{name}: {value}"))
        }
    });
    for (model, least, hint) in futures_util::future::join_all(waits).await {
        let requests = a.requests();
        let of_model = || {
            requests
                .iter()
                .filter(|request| request.model.as_ref() == Some(&model))
        };
        let times: Vec<Instant> = of_model().map(|request| request.at).collect();
        assert_eq!(times.len(), 2, "{hint}");
        let waited = times[1] - times[0];
        assert!(waited >= least, "{hint}: waited {waited:?}");
    }
}

#[tokio::test]
async fn a_hint_that_makes_no_sense_means_the_configured_cooldown() {
    let a = ScriptedUpstream::start().await;
    let yaml = keys("k1").replace("60s", "150ms");
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    for nonsense in [
        "soon",
        "-3",
        "NaN",
        "inf",
        "",
        "Wed, 99 Foo 2020 00:00:00 GMT",
    ] {
        a.on(
            Match::any(),
            [limited("retry-after", nonsense), Behaviour::says("ok")],
        );
        let started = Instant::now();
        let answer = gateway.chat("a").send().await;
        assert_eq!(answer.status, 200, "{nonsense}");
        assert!(started.elapsed() >= ms(150), "{nonsense}");
    }
}

#[tokio::test]
async fn a_hint_longer_than_the_maximum_is_cut_to_it() {
    let a = ScriptedUpstream::start().await;
    let yaml = keys("k1").replace("default: 60s", "default: 100ms, max: 200ms");
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    a.on(
        Match::any(),
        [limited("retry-after", "86400"), Behaviour::says("ok")],
    );
    assert_eq!(gateway.chat("a").send().await.status, 200);
}

#[tokio::test]
async fn reset_headers_tell_when_there_is_no_retry_after() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&keys("k1"), &[("a", &a)]).await;
    let limited = Behaviour::rate_limited()
        .header("x-ratelimit-remaining-requests", "0")
        .header("x-ratelimit-reset-requests", "200ms");
    a.on(Match::any(), [limited, Behaviour::says("ok")]);
    let answer = gateway.chat("a").send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let requests = a.requests();
    assert!(requests[1].at - requests[0].at >= ms(200));
}

#[tokio::test]
async fn a_caller_who_does_not_wait_hears_at_once_when_to_come_back() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&keys("k1, k2"), &[("a", &a)]).await;
    a.on(Match::key("k1"), [limited("retry-after", "20")]);
    a.on(Match::key("k2"), [limited("retry-after", "10")]);
    for asked in [2, 2] {
        let answer = gateway.chat("a").awaits("0").send().await;
        answer.assert_error(429, "cooling_down");
        let after = answer.retry_after_ms();
        assert!(
            (8000..=10_000).contains(&after),
            "the sooner of the two: {after}"
        );
        assert_eq!(a.count(), asked, "a key that cools is not asked");
    }
}

#[tokio::test]
async fn a_wait_that_would_outlast_the_budget_is_not_begun() {
    let a = ScriptedUpstream::start().await;
    let yaml = format!("{}dispatch: {{await_cooldown: 1m}}\n", keys("k1"));
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    // A wait that is begun would take longer than the test.
    a.on(Match::any(), [limited("retry-after", "120")]);
    for call in [
        gateway.chat("a"),
        gateway.chat("a"),
        gateway.chat("a").awaits("30s"),
    ] {
        let answer = call.send().await;
        answer.assert_error(429, "upstreams_rate_limited");
        assert!((100_000..=120_000).contains(&answer.retry_after_ms()));
    }
    assert_eq!(a.count(), 1);
}

#[tokio::test]
async fn the_callers_own_budget_counts() {
    let a = ScriptedUpstream::start().await;
    let yaml = format!("{}dispatch: {{await_cooldown: 0}}\n", keys("k1"));
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    let script = [limited("retry-after-ms", "150"), Behaviour::says("ok")];
    a.on(Match::any(), script.clone());
    gateway
        .chat("a")
        .send()
        .await
        .assert_error(429, "cooling_down");
    assert_eq!(gateway.chat("a").awaits("5s").send().await.status, 200);
    let wrong = gateway.chat("a").awaits("a while").send().await;
    wrong.assert_error(400, "invalid_request");
}

#[tokio::test]
async fn the_upstream_that_is_ready_first_serves_while_the_other_still_cools() {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1}
    - {name: b, base_url: <b>, model: m, api_key: k2}
  virtual:
    - {name: v, upstreams: [{name: a}, {name: b}]}
";
    let gateway = Gateway::start(yaml, &[("a", &a), ("b", &b)]).await;
    a.on(Match::any(), [limited("retry-after", "20")]);
    b.on(
        Match::any(),
        [limited("retry-after-ms", "250"), Behaviour::says("b")],
    );
    let answer = gateway.chat("v").send().await;
    assert_eq!((answer.status, answer.says().as_str()), (200, "b"));
    assert_eq!((a.count(), b.count()), (1, 2));
    let requests = b.requests();
    assert!(requests[1].at - requests[0].at >= ms(250));
}

#[tokio::test]
async fn a_chain_is_walked_from_its_first_upstream_again_after_the_cooldown() {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::start().await;
    let c = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k}
    - {name: b, base_url: <b>, model: m, api_key: k}
    - {name: c, base_url: <c>, model: m, api_key: k}
  virtual:
    - {name: x, upstreams: [{name: a}, {name: b}]}
    - {name: y, upstreams: [{name: x}, {name: c}]}
";
    let gateway = Gateway::start(yaml, &[("a", &a), ("b", &b), ("c", &c)]).await;
    for (name, upstream) in [("a", &a), ("b", &b), ("c", &c)] {
        upstream.on(Match::any(), [Behaviour::says(name)]);
    }
    let asks = async || gateway.chat("y").send().await.says();
    assert_eq!(asks().await, "a");
    a.on(
        Match::any(),
        [limited("retry-after-ms", "1500"), Behaviour::says("a")],
    );
    assert_eq!(asks().await, "b");
    b.on(Match::any(), [limited("retry-after", "60")]);
    assert_eq!(asks().await, "c");
    crate::support::until("the first upstream's return", async || asks().await == "a").await;
    assert_eq!(asks().await, "a");
}

#[tokio::test]
async fn by_default_a_key_cools_for_the_model_only() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&keys("k1"), &[("a", &a)]).await;
    a.on(Match::model("tight"), [limited("retry-after", "30")]);
    let tight = gateway.chat("a:tight").awaits("0").send().await;
    assert_eq!(tight.status, 429);
    assert_eq!(gateway.chat("a:roomy").awaits("0").send().await.status, 200);
}

#[tokio::test]
async fn with_scope_key_a_limit_of_one_model_closes_the_key_for_all() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1], cooldown: {scope: key}}
  virtual:
    - {name: v, upstreams: [{name: \"a:one\"}, {name: \"a:two\"}]}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    a.on(Match::model("one"), [limited("retry-after", "30")]);
    gateway
        .chat("v")
        .awaits("0")
        .send()
        .await
        .assert_error(429, "cooling_down");
    assert_eq!(a.models(), ["one"]);
}

#[tokio::test]
async fn with_scope_provider_one_limit_rests_all_its_keys() {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1, k2, k3], cooldown: {scope: provider}}
    - {name: b, base_url: <b>, model: m, api_key: k}
  virtual:
    - {name: v, upstreams: [{name: a}, {name: b}]}
";
    let gateway = Gateway::start(yaml, &[("a", &a), ("b", &b)]).await;
    a.on(Match::any(), [limited("retry-after", "30")]);
    for _ in 0..3 {
        assert_eq!(gateway.chat("v").send().await.status, 200);
    }
    assert_eq!((a.count(), b.count()), (1, 3));
}

#[tokio::test]
async fn a_later_and_shorter_report_does_not_shorten_a_cooldown() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&keys("k1"), &[("a", &a)]).await;
    let (long, short) = (Gate::new(), Gate::new());
    a.on(
        Match::any(),
        [
            limited("retry-after", "20").gate(At::BeforeHead, &long),
            limited("retry-after", "1").gate(At::BeforeHead, &short),
        ],
    );
    let first = gateway.chat("a").awaits("0").spawn();
    a.wait_for(1).await;
    let second = gateway.chat("a").awaits("0").spawn();
    a.wait_for(2).await;
    long.open();
    assert_eq!(first.await.unwrap().status, 429);
    short.open();
    for answer in [
        second.await.unwrap(),
        gateway.chat("a").awaits("0").send().await,
    ] {
        answer.assert_error(429, "cooling_down");
        assert!(
            answer.retry_after_ms() > 15_000,
            "{}",
            answer.retry_after_ms()
        );
    }
}

#[tokio::test]
async fn limits_without_a_hint_double_while_they_repeat_up_to_the_maximum() {
    let a = ScriptedUpstream::start().await;
    let yaml = keys("k1").replace("default: 60s", "default: 200ms, max: 600ms");
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    let limit = Behaviour::rate_limited;
    a.on(
        Match::any(),
        [
            limit(),
            limit(),
            limit(),
            limit(),
            Behaviour::says("ok"),
            limit(),
            Behaviour::says("ok"),
        ],
    );
    assert_eq!(gateway.chat("a").send().await.status, 200);
    assert_eq!(gateway.chat("a").send().await.status, 200);
    let times: Vec<Instant> = a.requests().iter().map(|request| request.at).collect();
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (gap, least) in gaps.iter().zip([200, 400, 600, 600]) {
        assert!(*gap >= ms(least), "{gaps:?}");
    }
    assert!(
        gaps[3] < ms(1500),
        "not doubled beyond the maximum: {gaps:?}"
    );
    assert!(
        gaps[5] >= ms(200) && gaps[5] < gaps[3],
        "a success starts anew: {gaps:?}"
    );
}

#[tokio::test]
async fn a_cooldown_of_zero_means_none() {
    let a = ScriptedUpstream::start().await;
    let yaml = keys("k1, k2").replace("60s", "0s");
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    a.on(
        Match::any(),
        [Behaviour::rate_limited(), Behaviour::says("ok")],
    );
    assert_eq!(gateway.chat("a").awaits("0").send().await.status, 200);
    assert_eq!(gateway.chat("a").awaits("0").send().await.status, 200);
    assert_eq!(a.keys(), ["k1", "k2", "k1"]);
}

#[tokio::test]
async fn credit_that_is_used_up_rests_the_key_for_an_hour() {
    for refusal in [
        Behaviour::fails(402),
        Behaviour::error(429, "insufficient_quota", "You exceeded your current quota"),
    ] {
        let a = ScriptedUpstream::start().await;
        let gateway = Gateway::start(&keys("k1, k2"), &[("a", &a)]).await;
        a.on(Match::key("k1"), [refusal.clone()]);
        assert_eq!(gateway.chat("a").send().await.status, 200);
        assert_eq!(gateway.chat("a").send().await.status, 200);
        assert_eq!(a.keys(), ["k1", "k2", "k2"]);
        a.on(Match::key("k2"), [refusal]);
        let answer = gateway.chat("a").send().await;
        assert_eq!(answer.status, 429, "{}", answer.text());
        assert!(
            answer.retry_after_ms() > 50 * 60_000,
            "{}",
            answer.retry_after_ms()
        );
    }
}

#[tokio::test]
async fn cooldowns_by_provider_name_and_default_are_looked_up_in_that_order() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  cooldown: {quick: 0.2, default: 40}
  providers:
    - {name: quick, base_url: <a>, model: m, api_key: k1}
    - {name: slow, base_url: <a>, model: m, api_key: k2}
    - {name: own, base_url: <a>, model: m, api_key: k3, cooldown: 20s}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    a.on(
        Match::key("k1"),
        [Behaviour::rate_limited(), Behaviour::says("ok")],
    );
    assert_eq!(gateway.chat("quick").send().await.status, 200);
    for (target, key, least, most) in [
        ("slow", "k2", 35_000, 40_000),
        ("own", "k3", 15_000, 20_000),
    ] {
        a.on(Match::key(key), [Behaviour::rate_limited()]);
        let answer = gateway.chat(target).awaits("0").send().await;
        answer.assert_error(429, "cooling_down");
        assert!(
            (least..=most).contains(&answer.retry_after_ms()),
            "{target}"
        );
    }
}
