//! What one failure touches, class by class: the key, the key for one model, the upstream, or nothing.

use crate::support::{At, Behaviour, Gateway, Match, ScriptedUpstream};

/// Keys in order, so that the first one is asked whenever it may be.
const SETUP: &str = "
llm:
  providers:
    - name: a
      base_url: <a>
      model: m1
      api_keys: [k1, k2]
      key_rotation: sequential
      retry: {same_upstream: 0}
      timeouts: {response: 3s}
      circuit_breaker: {failure_threshold: 3, recovery_time: 60s}
    - {name: b, base_url: <b>, model: mb, api_key: kb}
  virtual:
    - {name: v, upstreams: [a, b]}
";

/// Who is asked next: the key, or nobody.
type Next = Option<&'static str>;

struct Case {
    class: &'static str,
    failure: Behaviour,
    /// After one failure with `k1` at `m1`: the next for `m1`, and for another model.
    after_one: (Next, Next),
    /// After one in each of three requests.
    after_three: (Next, Next),
}

fn cases() -> Vec<Case> {
    const UNTOUCHED: (Next, Next) = (Some("k1"), Some("k1"));
    const OPEN: (Next, Next) = (None, Some("k1"));
    let case = |class, failure, after_one, after_three| Case {
        class,
        failure,
        after_one,
        after_three,
    };
    let never = |class, failure| case(class, failure, UNTOUCHED, UNTOUCHED);
    let breaker = |class, failure| case(class, failure, UNTOUCHED, OPEN);
    const OTHER_KEY: (Next, Next) = (Some("k2"), Some("k2"));
    let key = |class, failure| case(class, failure, OTHER_KEY, OTHER_KEY);
    vec![
        never("caller_fault", Behaviour::fails(422)),
        never(
            "context_overflow",
            Behaviour::error(400, "context_length_exceeded", "maximum context length"),
        ),
        never(
            "content_policy",
            Behaviour::error(400, "content_filter", "The response was filtered"),
        ),
        case(
            "model_gone",
            Behaviour::error(404, "model_not_found", "The model `m1` does not exist"),
            OPEN,
            OPEN,
        ),
        case(
            "rate_limited",
            Behaviour::rate_limited(),
            (Some("k2"), Some("k1")),
            (Some("k2"), Some("k1")),
        ),
        key(
            "quota_exhausted",
            Behaviour::error(429, "insufficient_quota", "You exceeded your current quota"),
        ),
        key(
            "invalid_key",
            Behaviour::error(401, "invalid_api_key", "Incorrect API key provided"),
        ),
        breaker("overloaded", Behaviour::fails(503)),
        breaker("transient", Behaviour::fails(500)),
        breaker("network", Behaviour::says("").reset(At::BeforeHead)),
        breaker("timeout", Behaviour::says("").hang(At::BeforeHead)),
        breaker("malformed", Behaviour::body(200, "text/html", "<html>")),
    ]
}

/// The key that serves `model` now, without any waiting.
async fn next(gateway: &Gateway, a: &ScriptedUpstream, model: &str) -> Option<String> {
    let before = a.count();
    gateway.chat(&format!("a:{model}")).awaits("0").send().await;
    a.keys().get(before).cloned()
}

#[tokio::test]
async fn each_class_touches_what_it_says_and_nothing_else() {
    let cases = cases().into_iter().map(|case| async move {
        for (failures, expected) in [(1, case.after_one), (3, case.after_three)] {
            let a = ScriptedUpstream::start().await;
            let b = ScriptedUpstream::start().await;
            let gateway = Gateway::start(SETUP, &[("a", &a), ("b", &b)]).await;
            let failing = Match::key("k1").and_model("m1");
            a.on(failing.clone(), [case.failure.clone()]);
            for _ in 0..failures {
                gateway.chat("v").send().await;
            }
            let line = gateway.logged(&format!("={}", case.class)).await;
            assert!(line.contains("a:m1/a#1"), "{line}");
            a.on(failing, [Behaviour::says("ok")]);
            let seen = (
                next(&gateway, &a, "m1").await,
                next(&gateway, &a, "m2").await,
            );
            let seen = (seen.0.as_deref(), seen.1.as_deref());
            assert_eq!(seen, expected, "{} x {failures}", case.class);
            let elsewhere = gateway.chat("b").send().await;
            assert_eq!(elsewhere.status, 200, "{}: another provider", case.class);
        }
    });
    futures_util::future::join_all(cases).await;
}
