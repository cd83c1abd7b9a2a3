//! What fails, what is tried next, and what the caller sees in the end.

use crate::support::{At, Behaviour, Gateway, Match, Refusing, ScriptedUpstream, ms};

/// Two providers in a chain `v`, with short waits.
const CHAIN: &str = "
llm:
  providers:
    - name: a
      base_url: <a>
      model: ma
      api_keys: [k1]
      retry: {same_upstream: 1, waits: [60ms]}
      timeouts: {first_byte: PATIENCE, first_token: PATIENCE, response: PATIENCE}
    - {name: b, base_url: <b>, model: mb, api_keys: [kb]}
  virtual:
    - {name: v, upstreams: [{name: a}, {name: b}]}
";

async fn chain() -> (ScriptedUpstream, ScriptedUpstream, Gateway) {
    chain_with("10s").await
}

/// The chain, with so much time for an answer of `a`.
async fn chain_with(patience: &str) -> (ScriptedUpstream, ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::playing([Behaviour::says("b")]).await;
    let yaml = CHAIN.replace("PATIENCE", patience);
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
    (a, b, gateway)
}

/// `a` does this; `b` serves. Returns how often `a` was asked for one request.
async fn fails_over(behaviour: Behaviour) -> usize {
    let (a, b, gateway) = chain().await;
    a.on(Match::any(), [behaviour]);
    let answer = gateway.chat("v").send().await;
    assert_eq!((answer.status, answer.says().as_str()), (200, "b"));
    assert_eq!(answer.header("x-pointsman-upstream"), "b:mb");
    assert_eq!(
        answer.header("x-pointsman-attempts"),
        (a.count() + 1).to_string()
    );
    assert_eq!(b.count(), 1);
    a.count()
}

#[tokio::test]
async fn what_may_pass_is_tried_once_more_after_a_wait_and_then_at_the_next_upstream() {
    for status in [500, 502, 504, 408, 425, 503, 529] {
        assert_eq!(fails_over(Behaviour::fails(status)).await, 2, "{status}");
    }
    let (a, _b, gateway) = chain().await;
    a.on(Match::any(), [Behaviour::fails(500), Behaviour::says("a")]);
    assert_eq!(gateway.chat("v").send().await.says(), "a");
    let requests = a.requests();
    assert!(requests[1].at - requests[0].at >= ms(60));
}

#[tokio::test]
async fn several_retries_take_their_waits_in_turn_and_the_last_one_again() {
    let a = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let b = ScriptedUpstream::playing([Behaviour::says("b")]).await;
    let yaml = CHAIN.replace("PATIENCE", "10s").replace(
        "{same_upstream: 1, waits: [60ms]}",
        "{same_upstream: 3, waits: [120ms, 60ms]}",
    );
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
    assert_eq!(gateway.chat("v").send().await.says(), "b");
    let times: Vec<_> = a.requests().iter().map(|request| request.at).collect();
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps.len(), 3);
    for (gap, least) in gaps.iter().zip([120, 60, 60]) {
        assert!(*gap >= ms(least), "{gaps:?}");
    }
}

#[tokio::test]
async fn an_overloaded_upstream_that_names_a_time_is_not_asked_earlier() {
    let (a, _b, gateway) = chain().await;
    let busy = Behaviour::fails(503).header("retry-after", "0.4");
    a.on(Match::any(), [busy, Behaviour::says("a")]);
    assert_eq!(gateway.chat("v").send().await.says(), "a");
    let requests = a.requests();
    assert!(requests[1].at - requests[0].at >= ms(400));

    let (a, b, gateway) = chain().await;
    a.on(
        Match::any(),
        [Behaviour::fails(503).header("retry-after", "30")],
    );
    assert_eq!(
        gateway.chat("v").send().await.says(),
        "b",
        "too long to wait when another is left"
    );
    assert_eq!((a.count(), b.count()), (1, 1));
}

#[tokio::test]
async fn a_retry_prefers_another_key() {
    let a = ScriptedUpstream::playing([Behaviour::fails(500), Behaviour::says("a")]).await;
    let b = ScriptedUpstream::start().await;
    let yaml = CHAIN.replace("PATIENCE", "10s").replace("[k1]", "[k1, k2]");
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
    assert_eq!(gateway.chat("v").send().await.says(), "a");
    assert_eq!(a.keys(), ["k1", "k2"]);
}

#[tokio::test]
async fn an_upstream_that_refuses_connections_or_resets_them_is_left_for_the_next() {
    let refusing = Refusing::new();
    let b = ScriptedUpstream::playing([Behaviour::says("b")]).await;
    let yaml = CHAIN.replace("PATIENCE", "10s");
    let gateway = Gateway::start(&yaml, &[("a", &refusing), ("b", &b)]).await;
    let answer = gateway.chat("v").send().await;
    assert_eq!(
        (
            answer.says().as_str(),
            answer.header("x-pointsman-attempts")
        ),
        ("b", "3")
    );

    assert_eq!(
        fails_over(Behaviour::says("").reset(At::BeforeHead)).await,
        2
    );
    assert_eq!(
        fails_over(Behaviour::says("").close(At::BeforeHead)).await,
        2
    );
}

#[tokio::test]
async fn a_silent_upstream_is_asked_once_and_its_request_is_cancelled() {
    for at in [At::BeforeHead, At::AfterHead, At::InsidePart(0)] {
        let (a, _b, gateway) = chain_with("300ms").await;
        a.on(Match::any(), [Behaviour::says("late").hang(at)]);
        assert_eq!(gateway.chat("v").send().await.says(), "b", "{at:?}");
        assert_eq!(a.count(), 1, "{at:?}");
        a.cancelled().await;
    }
}

#[tokio::test]
async fn a_stream_whose_head_or_first_content_does_not_come_is_tried_at_the_next() {
    for at in [At::BeforeHead, At::AfterHead, At::AfterPart(1)] {
        let (a, b, gateway) = chain_with("300ms").await;
        a.on(Match::any(), [Behaviour::streams(&["late"]).hang(at)]);
        b.on(Match::any(), [Behaviour::streams(&["in time"])]);
        let text = gateway.chat_stream("v").stream().await.text().await;
        assert_eq!(crate::support::client::spoken(&text), "in time", "{at:?}");
        assert_eq!(a.count(), 1, "{at:?}");
        a.cancelled().await;
    }
}

#[tokio::test]
async fn a_2xx_that_is_no_answer_is_not_shown_to_the_caller() {
    let cases = [
        ("empty", Behaviour::body(200, "application/json", "")),
        (
            "html",
            Behaviour::body(200, "text/html", "<html><body>Welcome</body></html>"),
        ),
        ("half", Behaviour::json(200, r#"{"choices":[{"message":"#)),
        (
            "no choices",
            Behaviour::json(200, r#"{"id":"x","object":"chat.completion"}"#),
        ),
        ("empty choices", Behaviour::json(200, r#"{"choices":[]}"#)),
        ("list", Behaviour::json(200, "[]")),
        ("null", Behaviour::json(200, "null")),
        ("no content", Behaviour::body(204, "application/json", "")),
    ];
    for (name, behaviour) in cases {
        assert_eq!(fails_over(behaviour).await, 1, "{name}");
    }
}

#[tokio::test]
async fn an_error_under_a_200_is_an_error() {
    for body in [
        r#"{"error":{"message":"Provider returned error","code":502}}"#,
        r#"{"error":{"message":"The server is overloaded","type":"server_error","code":"server_error"}}"#,
        r#"{"error":"something broke"}"#,
    ] {
        fails_over(Behaviour::json(200, body)).await;
    }
}

#[tokio::test]
async fn a_rate_limit_under_a_200_takes_the_next_key() {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::start().await;
    let yaml = CHAIN.replace("PATIENCE", "10s").replace("[k1]", "[k1, k2]");
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
    let limited = r#"{"error":{"message":"Rate limit exceeded","code":429}}"#;
    a.on(Match::key("k1"), [Behaviour::json(200, limited)]);
    a.on(Match::key("k2"), [Behaviour::says("a")]);
    assert_eq!(gateway.chat("v").send().await.says(), "a");
    assert_eq!(a.keys(), ["k1", "k2"]);
}

#[tokio::test]
async fn bytes_that_are_not_http_and_answers_that_break_off_are_failures() {
    fails_over(Behaviour::raw(b"SSH-2.0-OpenSSH_9.7\r\n\r\n")).await;
    fails_over(Behaviour::raw(b"HTTP/1.1 200 OK\r\ncontent-le")).await;
    for at in [At::AfterHead, At::InsidePart(0)] {
        fails_over(Behaviour::says("cut").reset(at)).await;
        fails_over(Behaviour::says("cut").close(at)).await;
        fails_over(Behaviour::says("cut").chunked().close(at)).await;
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = ScriptedUpstream::start().await;
    let (a, _b, gateway) = chain().await;
    for status in [301, 302, 307, 308] {
        let to = format!("{}/chat/completions", elsewhere.base_url());
        a.on(
            Match::any(),
            [Behaviour::json(status, "{}").header("location", &to)],
        );
        let answer = gateway.chat("v").send().await;
        assert_ne!(answer.header("location"), to);
    }
    assert_eq!(
        elsewhere.count(),
        0,
        "the key went where nobody configured it to go"
    );
}

#[tokio::test]
async fn a_model_that_is_gone_is_left_alone_at_once() {
    let (a, b, gateway) = chain().await;
    let gone = Behaviour::error(404, "model_not_found", "The model `ma` does not exist");
    a.on(Match::model("ma"), [gone]);
    for _ in 0..3 {
        assert_eq!(gateway.chat("v").send().await.says(), "b");
    }
    assert_eq!((a.count(), b.count()), (1, 3));
    assert_eq!(
        gateway.chat("a:other").send().await.status,
        200,
        "other models are still there"
    );
}

#[tokio::test]
async fn an_invalid_key_is_quarantined_and_the_next_one_serves() {
    for status in [401, 403] {
        let a = ScriptedUpstream::start().await;
        let b = ScriptedUpstream::start().await;
        let yaml = CHAIN.replace("PATIENCE", "10s").replace("[k1]", "[k1, k2]");
        let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
        let invalid = Behaviour::error(status, "invalid_api_key", "Incorrect API key provided");
        a.on(Match::key("k1"), [invalid]);
        for _ in 0..4 {
            assert_eq!(gateway.chat("v").send().await.status, 200);
        }
        assert_eq!(a.keys(), ["k1", "k2", "k2", "k2", "k2"], "{status}");
        assert_eq!(gateway.chat("a:other").send().await.status, 200);
        assert_eq!(a.keys().last().unwrap(), "k2", "it is out for every model");
        assert_eq!(b.count(), 0);
    }
}

#[tokio::test]
async fn with_no_valid_key_left_the_error_says_so() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1, k2]}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    a.on(
        Match::any(),
        [Behaviour::error(
            401,
            "invalid_api_key",
            "Incorrect API key provided",
        )],
    );
    for _ in 0..2 {
        let answer = gateway.chat("a").send().await;
        answer.assert_error(502, "no_usable_keys");
        assert_eq!(a.count(), 2);
    }
}

const WINDOWS: &str = "
llm:
  providers:
    - {name: small, base_url: <a>, model: m, api_key: small, context_window: 4096}
    - {name: twin, base_url: <a>, model: m, api_key: twin, context_window: 4096}
    - {name: middle, base_url: <a>, model: n, api_key: middle, context_window: 6000}
    - {name: large, base_url: <a>, model: o, api_key: large, context_window: 1000000}
  virtual:
    - {name: inner, upstreams: [{name: small}, {name: twin}, {name: middle}]}
    - {name: v, upstreams: [{name: inner}, {name: large}]}
";

#[tokio::test]
async fn a_prompt_that_proves_too_long_goes_to_a_larger_window_never_to_the_same_model() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(WINDOWS, &[("a", &a)]).await;
    let overflow = Behaviour::error(
        400,
        "context_length_exceeded",
        "This model's maximum context length is 4096 tokens",
    );
    a.on(Match::key("small"), [overflow.clone()]);
    let answer = gateway.chat("v").send().await;
    assert_eq!(answer.header("x-pointsman-upstream"), "middle:n");
    assert_eq!(a.keys(), ["small", "middle"]);

    a.on(Match::any(), [overflow.clone()]);
    let answer = gateway.chat("v").send().await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "context_length_exceeded")
    );
    assert_eq!(a.keys()[2..], ["small", "middle", "large"]);

    // It is the request's fault, nobody else's.
    a.on(Match::key("small"), [Behaviour::says("short")]);
    assert_eq!(gateway.chat("v").send().await.says(), "short");
}

#[tokio::test]
async fn a_prompt_that_cannot_fit_is_not_sent() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(WINDOWS, &[("a", &a)]).await;
    // `hello ` is one token, give or take.
    let body = |target: &str, words: usize| {
        let text = "hello ".repeat(words);
        format!(r#"{{"model":"{target}","messages":[{{"role":"user","content":"{text}"}}]}}"#)
    };
    for (words, upstream) in [(3000, "small:m"), (5000, "middle:n"), (100_000, "large:o")] {
        let answer = gateway.post_chat(body("v", words)).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-pointsman-upstream"), upstream);
        assert_eq!(answer.header("x-pointsman-attempts"), "1");
    }
    let asked = a.count();
    for target in ["inner", "small"] {
        let answer = gateway.post_chat(body(target, 100_000)).send().await;
        answer.assert_error(400, "context_length_exceeded");
    }
    let output =
        r#"{"model":"small","max_tokens":5000,"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(a.count(), asked);
    // What would not fit is only the output.
    let answer = gateway.post_chat(output).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-pointsman-dropped"), "max_tokens");
}

#[tokio::test]
async fn the_callers_own_mistakes_come_back_as_they_are_and_touch_nothing() {
    let (a, b, gateway) = chain().await;
    let cases = [
        (
            400,
            r#"{"error": {"message":"bad \u0066ield","type":"invalid_request_error","code":"bad_field", "odd":1}}"#,
        ),
        (
            422,
            r#"{"detail":[{"loc":["body","messages"],"msg":"field required"}]}"#,
        ),
        (409, r#"{"error":{"message":"conflict"}}"#),
        (415, r#"{"error":{"message":"unsupported media type"}}"#),
    ];
    for (status, body) in cases {
        a.on(Match::any(), [Behaviour::json(status, body)]);
        for _ in 0..4 {
            let answer = gateway.chat("v").send().await;
            assert_eq!((answer.status, answer.text()), (status, body));
            assert_eq!(answer.header("x-pointsman-upstream"), "a:ma");
        }
    }
    assert_eq!((a.count(), b.count()), (16, 0));
    a.on(Match::any(), [Behaviour::says("a")]);
    assert_eq!(
        gateway.chat("v").send().await.says(),
        "a",
        "neither key nor upstream took harm"
    );
}

#[tokio::test]
async fn a_refusal_of_the_content_is_returned() {
    let (a, b, gateway) = chain().await;
    let refusal = Behaviour::error(
        400,
        "content_policy_violation",
        "rejected by our safety system",
    );
    a.on(Match::any(), [refusal]);
    let answer = gateway.chat("v").send().await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "content_policy_violation")
    );
    assert_eq!((a.count(), b.count()), (1, 0));
}

#[tokio::test]
async fn when_everything_failed_the_error_lists_every_attempt() {
    let (a, b, gateway) = chain().await;
    a.on(Match::any(), [Behaviour::fails(500)]);
    b.on(
        Match::any(),
        [Behaviour::error(
            404,
            "model_not_found",
            "The model `mb` does not exist",
        )],
    );
    let answer = gateway.chat("v").send().await;
    answer.assert_error(502, "upstreams_exhausted");
    assert_eq!(
        answer.attempts(),
        ["a:ma: transient", "a:ma: transient", "b:mb: model_gone"]
    );
    let error = &answer.json()["error"];
    assert_eq!(error["attempts"][0]["status"], 500);
    assert!(
        error["attempts"][0]["key"]
            .as_str()
            .unwrap()
            .starts_with("a#")
    );
    assert!(error["attempts"][2]["after_ms"].as_u64() >= Some(60));
}

#[tokio::test]
async fn when_the_last_answer_was_malformed_the_error_says_so() {
    let (a, b, gateway) = chain().await;
    for upstream in [&a, &b] {
        upstream.on(Match::any(), [Behaviour::body(200, "text/html", "<html>")]);
    }
    let answer = gateway.chat("v").send().await;
    answer.assert_error(502, "invalid_upstream_response");
    assert_eq!(answer.attempts(), ["a:ma: malformed", "b:mb: malformed"]);
}

#[tokio::test]
async fn a_chain_that_is_limited_everywhere_is_a_429_with_the_earliest_return() {
    let (a, b, gateway) = chain().await;
    a.on(
        Match::any(),
        [Behaviour::rate_limited().header("retry-after", "50")],
    );
    b.on(
        Match::any(),
        [Behaviour::rate_limited().header("retry-after", "40")],
    );
    let answer = gateway.chat("v").send().await;
    answer.assert_error(429, "upstreams_rate_limited");
    assert!((38_000..=40_000).contains(&answer.retry_after_ms()));
    assert_eq!(
        answer.attempts(),
        ["a:ma: rate_limited", "b:mb: rate_limited"]
    );
}

#[tokio::test]
async fn heads_of_unusual_size_do_no_harm() {
    let (a, _b, gateway) = chain().await;
    for size in [10_000, 60_000, 1_000_000] {
        let answer = Behaviour::says("a").header("x-long", &"x".repeat(size));
        a.on(Match::any(), [answer]);
        assert_eq!(gateway.chat("v").send().await.status, 200, "{size}");
    }
}

#[tokio::test]
async fn a_simulated_failure_fails_over_without_a_call() {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::playing([Behaviour::says("b")]).await;
    let yaml = CHAIN
        .replace("PATIENCE", "10s")
        .replace("model: ma", "model: ma\n      mock_failure_rate: 1.0");
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
    assert_eq!(gateway.chat("v").send().await.says(), "b");
    assert_eq!(a.count(), 0);
}
