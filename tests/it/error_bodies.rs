//! What an error tells its caller: what each upstream said, which ones were not asked and why, when to come back, and
//! how large the largest window is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::{Answer, Behaviour, Gateway, Match, ONE, ScriptedUpstream};

/// A chain of three.
const THREE: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1, context_window: 100}
    - {name: b, base_url: <b>, model: m, api_key: k2}
    - {name: c, base_url: <c>, model: m, api_key: k3}
  virtual:
    - {name: v, upstreams: [{name: a}, {name: b}, {name: c}]}
";

async fn lone(behaviour: Behaviour) -> (ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::playing([behaviour]).await;
    let gateway = Gateway::start(ONE, &[("a", &a)]).await;
    (a, gateway)
}

fn limited(body: &Value) -> Behaviour {
    Behaviour::json(429, &body.to_string())
}

/// The upstreams that were not asked: name, reason, and the seconds after which they are ready.
fn skipped(answer: &Answer) -> Vec<(String, String, Option<u64>)> {
    let skipped = answer.json()["error"]["skipped"].clone();
    let skipped = skipped.as_array().cloned().unwrap_or_default();
    let lines = skipped.iter().map(|line| {
        let text = |name: &str| line[name].as_str().unwrap_or("?").to_owned();
        assert!(line.get("ready_in_ms").is_some(), "{line}");
        let ready = line["ready_in_ms"].as_u64().map(|ms| ms.div_ceil(1000));
        (text("upstream"), text("reason"), ready)
    });
    lines.collect()
}

fn message(answer: &Answer) -> String {
    answer.json()["error"]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn a_usage_limit_rests_its_key_until_the_reset_that_the_body_names() {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    for error in [
        json!({"type": "usage_limit_reached", "message": "The usage limit has been reached", "plan_type": "pro",
            "resets_at": wall.as_secs() + 7200, "resets_in_seconds": 7200}),
        json!({"code": "rate_limited", "message": "You have reached your weekly limit. Try again in 2 hours."}),
        json!({"code": 429, "message": "Quota exceeded for this project.", "details": [{"quotaResetDelay": "2h0m0s"}]}),
    ] {
        let (a, gateway) = lone(limited(&json!({"error": error}))).await;
        for _ in 0..2 {
            let answer = gateway.chat("a").awaits("0").send().await;
            answer.assert_error(429, "cooling_down");
            let after = answer.retry_after_ms() / 1000;
            assert!((7100..=7200).contains(&after), "{after}: {error}");
        }
        assert_eq!(a.count(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_plain_rate_limit_of_hours_is_cut_to_the_longest_cooldown() {
    let plain = Behaviour::rate_limited().header("retry-after", "7200");
    let (_a, gateway) = lone(plain).await;
    let answer = gateway.chat("a").awaits("0").send().await;
    answer.assert_error(429, "cooling_down");
    gateway
        .chat("a")
        .awaits("0")
        .send()
        .await
        .assert_error(429, "cooling_down");
    let answer = gateway.chat("a").awaits("0").send().await;
    assert!((800_000..=900_000).contains(&answer.retry_after_ms()));
}

#[tokio::test]
async fn a_zero_in_the_head_does_not_hide_what_the_body_says() {
    let body = json!({"title": "Error 1015: You are being rate limited", "status": 429, "retryable": true, "retry_after": 30});
    let limit = Behaviour::body(429, "application/problem+json", &body.to_string())
        .header("retry-after", "0");
    let (a, gateway) = lone(limit).await;
    for _ in 0..2 {
        let answer = gateway.chat("a").awaits("0").send().await;
        answer.assert_error(429, "cooling_down");
        assert!(
            (25_000..=30_000).contains(&answer.retry_after_ms()),
            "{answer:?}"
        );
    }
    assert_eq!(a.count(), 1);
}

#[tokio::test]
async fn who_was_not_asked_is_named_with_the_reason_and_the_moment() {
    let [a, b, c] = [
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    ];
    let gateway = Gateway::start(THREE, &[("a", &a), ("b", &b), ("c", &c)]).await;
    b.on(
        Match::any(),
        [Behaviour::rate_limited().header("retry-after", "40")],
    );
    c.on(
        Match::any(),
        [Behaviour::error(500, "oops", "the disk is full")],
    );
    let long =
        json!({"model": "v", "max_tokens": 2000, "messages": [{"role": "user", "content": "hi"}]})
            .to_string();

    let answer = gateway.post_chat(long.clone()).send().await;
    assert!(
        answer.status == 502 || answer.status == 429,
        "{}",
        answer.text()
    );
    assert_eq!(
        skipped(&answer),
        [("a:m".to_owned(), "too_large".to_owned(), None)]
    );
    let attempts = answer.json()["error"]["attempts"].clone();
    let said: Vec<&str> = attempts
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["message"].as_str().unwrap())
        .collect();
    assert_eq!(said[0], "Rate limit reached", "{attempts}");
    assert_eq!(said[1], "the disk is full", "{attempts}");

    // Nothing is sent for the next one of `b` alone.
    for stream in [false, true] {
        let body = json!({"model": "b", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}).to_string();
        let answer = gateway
            .post_chat(body)
            .header("x-pointsman-await", "0")
            .send()
            .await;
        answer.assert_error(429, "cooling_down");
        let [(upstream, reason, Some(ready))] = &skipped(&answer)[..] else {
            panic!("{}", answer.text());
        };
        assert_eq!((upstream.as_str(), reason.as_str()), ("b:m", "cooling"));
        assert!((30..=40).contains(ready), "{ready}");
        let message = message(&answer);
        assert!(message.contains("b:m (cooling, ready in "), "{message}");
    }
}

#[tokio::test]
async fn what_an_upstream_said_is_cut_short_and_masked() {
    let text = format!(
        "{} {}",
        "sk-proj-AbCdEfGhIjKlMnOpQrStUvWx0123456789",
        "ü".repeat(400)
    );
    let (_a, gateway) = lone(Behaviour::error(500, "oops", &text)).await;
    let answer = gateway.chat("a").send().await;
    let said = answer.json()["error"]["attempts"][0]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(said.chars().count(), 200, "{said}");
    assert!(
        said.starts_with("[masked]") && !said.contains("AbCdEf"),
        "{said}"
    );
}

#[tokio::test]
async fn a_prompt_that_fits_nowhere_hears_of_the_largest_window() {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1, context_window: 100}
    - {name: b, base_url: <b>, model: m, api_key: k2, context_window: 300}
  virtual:
    - {name: v, upstreams: [{name: a}, {name: b}]}
";
    let gateway = Gateway::start(yaml, &[("a", &a), ("b", &b)]).await;
    for stream in [false, true] {
        let body = json!({"model": "v", "stream": stream, "max_tokens": 2000,
            "messages": [{"role": "user", "content": "hi"}]});
        let answer = gateway.post_chat(body.to_string()).send().await;
        answer.assert_error(400, "context_length_exceeded");
        let message = message(&answer);
        assert!(
            message.contains("maximum context length is 300 tokens"),
            "{message}"
        );
        assert!(message.contains("need about 20"), "{message}");
        assert_eq!(skipped(&answer).len(), 2, "{}", answer.text());
    }
    assert_eq!((a.count(), b.count()), (0, 0));
}

#[tokio::test]
async fn every_429_says_in_whole_seconds_when_to_come_back() {
    let (_a, gateway) = lone(Behaviour::rate_limited().header("retry-after-ms", "5")).await;
    let yaml_rpm = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1, limits: {rpm: 1}}
";
    let a = ScriptedUpstream::start().await;
    let narrow = Gateway::start(yaml_rpm, &[("a", &a)]).await;
    narrow.chat("a").send().await;
    let answers = [
        gateway.chat("a").awaits("0").send().await,
        narrow.chat("a").awaits("0").send().await,
    ];
    for answer in answers {
        assert_eq!(answer.status, 429, "{}", answer.text());
        let seconds: u64 = answer.header("retry-after").parse().unwrap();
        assert!(seconds >= 1 && Duration::from_secs(seconds) < Duration::from_secs(3600));
    }
}

#[tokio::test]
async fn a_request_that_is_too_large_everywhere_hears_who_refused_it_and_why() {
    let start = ScriptedUpstream::start;
    let (a, b) = tokio::join!(start(), start());
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: ma, api_key: k1, context_window: 9000}
    - {name: b, base_url: <b>, model: mb, api_key: k2}
  virtual:
    - {name: v, upstreams: [a, b]}
";
    let overflow = |window| {
        let message = format!(
            "This model's maximum context length is {window} tokens. However, you requested 50000 tokens"
        );
        Behaviour::error(400, "context_length_exceeded", &message)
    };
    a.on(Match::any(), [overflow(8192)]);
    b.on(Match::any(), [overflow(32768)]);
    let gateway = Gateway::start(yaml, &[("a", &a), ("b", &b)]).await;
    let answer = gateway.chat("v").send().await;
    answer.assert_error(400, "context_length_exceeded");
    let message = message(&answer);
    for part in [
        "maximum context length is 32768 tokens",
        "a:ma (window of 8192 tokens)",
        "b:mb (window of 32768 tokens)",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
}
