//! Limits that upstreams tell in their answers are kept before they refuse; and the goals of `docs/pacing.md`.

use std::time::{Duration, Instant};

use crate::pacing_sim::{Kind, Setup, play};
use crate::support::{At, Behaviour, Gate, Gateway, Match, ScriptedUpstream, ms};

const TWO_KEYS: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1, k2]}
";

const ONE_KEY: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1}
";

/// An answer after which nothing is left of a limit for so long.
fn last_one(unit: &str, reset: &str) -> Behaviour {
    told(Behaviour::says("ok"), unit, "0", reset)
}

fn told(behaviour: Behaviour, unit: &str, remaining: &str, reset: &str) -> Behaviour {
    behaviour
        .header(&format!("x-ratelimit-limit-{unit}"), "1000")
        .header(&format!("x-ratelimit-remaining-{unit}"), remaining)
        .header(&format!("x-ratelimit-reset-{unit}"), reset)
}

#[tokio::test]
async fn a_key_with_nothing_left_is_not_asked_and_the_other_one_is() {
    let a = ScriptedUpstream::playing([Behaviour::says("ok")]).await;
    a.on(Match::key("k1"), [last_one("requests", "30s")]);
    let gateway = Gateway::start(TWO_KEYS, &[("a", &a)]).await;
    for _ in 0..5 {
        assert_eq!(gateway.chat("a").awaits("0").send().await.status, 200);
    }
    assert_eq!(a.keys(), ["k1", "k2", "k2", "k2", "k2"]);
    let other = gateway.chat("a:other").send().await;
    assert_eq!(other.status, 200);
    assert_eq!(a.keys()[5], "k1", "other models have limits of their own");
}

#[tokio::test]
async fn a_request_waits_for_the_reset_instead_of_being_refused_upstream() {
    let a = ScriptedUpstream::playing([last_one("requests", "700ms"), Behaviour::says("ok")]).await;
    let gateway = Gateway::start(ONE_KEY, &[("a", &a)]).await;
    assert_eq!(gateway.chat("a").send().await.status, 200);
    let refused = gateway.chat("a").awaits("0").send().await;
    refused.assert_error(429, "cooling_down");
    assert!((1..=700).contains(&refused.retry_after_ms()));
    assert_eq!(a.count(), 1, "nothing was sent");
    let started = Instant::now();
    assert_eq!(gateway.chat("a").send().await.status, 200);
    assert!(started.elapsed() > ms(200), "{:?}", started.elapsed());
    assert_eq!(a.count(), 2);
}

#[tokio::test]
async fn tokens_are_reserved_before_a_request_is_sent() {
    let a = ScriptedUpstream::playing([Behaviour::says("ok")]).await;
    a.on(
        Match::key("k1"),
        [told(Behaviour::says("ok"), "tokens", "500", "30s")],
    );
    let gateway = Gateway::start(TWO_KEYS, &[("a", &a)]).await;
    let request = |tokens: u32| {
        let body = format!(r#"{{"model":"a","messages":[],"max_tokens":{tokens}}}"#);
        gateway.post_chat(body)
    };
    for tokens in [10, 10, 900, 900, 900, 100, 100] {
        assert_eq!(request(tokens).awaits("0").send().await.status, 200);
    }
    let keys = a.keys();
    assert_eq!(
        keys[..5],
        ["k1", "k2", "k2", "k2", "k2"],
        "too large for what is left"
    );
    assert!(keys[5..].contains(&"k1".to_owned()), "a small one fits");
}

#[tokio::test]
async fn the_headers_of_a_stream_count_before_its_end() {
    let a = ScriptedUpstream::playing([Behaviour::says("ok")]).await;
    let gate = Gate::new();
    let held = Behaviour::streams(&["one", "two"]).gate(At::AfterPart(2), &gate);
    a.on(Match::key("k1"), [told(held, "requests", "0", "30s")]);
    let gateway = Gateway::start(TWO_KEYS, &[("a", &a)]).await;
    let stream = gateway.chat_stream("a").stream().await;
    assert_eq!(stream.status, 200);
    for _ in 0..3 {
        assert_eq!(gateway.chat("a").send().await.status, 200);
    }
    assert_eq!(a.keys(), ["k1", "k2", "k2", "k2"]);
    gate.open();
}

#[tokio::test]
async fn nonsense_and_resets_in_the_past_hold_nobody_back() {
    for (remaining, reset) in [
        ("0", "0s"),
        ("0", "1589999999"),
        ("-1", "30s"),
        ("x", "30s"),
        ("0", "soon"),
    ] {
        let answer = told(Behaviour::says("ok"), "requests", remaining, reset);
        let a = ScriptedUpstream::playing([answer]).await;
        let gateway = Gateway::start(ONE_KEY, &[("a", &a)]).await;
        for _ in 0..3 {
            let answer = gateway.chat("a").awaits("0").send().await;
            assert_eq!(answer.status, 200, "{remaining} {reset}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn learning_can_be_switched_off() {
    let a = ScriptedUpstream::playing([last_one("requests", "30s")]).await;
    let yaml = ONE_KEY.replace("api_key: k1", "api_key: k1, pacing: {learn: false}");
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    for _ in 0..3 {
        assert_eq!(gateway.chat("a").awaits("0").send().await.status, 200);
    }
}

#[test]
fn at_three_times_the_demand_upstreams_refuse_less_than_one_in_a_thousand() {
    for (kind, rpm, tpm) in [
        (Kind::Bucket, 60, 10_000_000),
        (Kind::Window, 60, 10_000_000),
        (Kind::Window, 6000, 60_000),
    ] {
        let setup = Setup {
            kind,
            headers: true,
            learn: true,
            keys: 2,
            rpm,
            tpm,
            demand: 3.0,
            tokens: 2000,
            warm_up: Duration::from_secs(180),
            // Whole windows only: one more or less must not decide.
            measured: Duration::from_secs(3600),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let figures = runtime.block_on(play(setup));
        assert!(figures.per_thousand() <= 1.0, "{setup:?}: {figures:?}");
        assert!(figures.used >= 0.95, "{setup:?}: {figures:?}");
    }
}
