//! Hints in every form that providers use, and what nonsense does.

use std::time::UNIX_EPOCH;

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

/// 2026-09-21T14:13:20Z.
const NOW: u64 = 1_790_000_000;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    map
}

fn hint(kind: &str, pairs: &[(&'static str, &str)], body: &str) -> Option<u128> {
    retry_after(kind, &headers(pairs), body.as_bytes(), now()).map(|wait| wait.as_millis())
}

#[test]
fn retry_after_in_every_form() {
    for (value, millis) in [
        ("7", Some(7000)),
        ("1.5", Some(1500)),
        (" 3 ", Some(3000)),
        ("0", None),
        ("Mon, 21 Sep 2026 14:13:40 GMT", Some(20_000)),
        ("Mon, 21 Sep 2020 13:47:00 GMT", None),
        ("Monday, 21-Sep-26 14:13:40 GMT", Some(20_000)),
        ("Mon Sep 21 14:13:40 2026", Some(20_000)),
        ("2026-09-21T14:13:40Z", Some(20_000)),
        ("1790000020", Some(20_000)),
        ("1790000020000", Some(20_000)),
        ("PT20S", Some(20_000)),
        ("20s", Some(20_000)),
        ("-1", None),
        ("NaN", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        ("9999999999", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None),
    ] {
        assert_eq!(hint("", &[("retry-after", value)], ""), millis, "{value}");
    }
    assert_eq!(
        hint("", &[("retry-after-ms", "250"), ("retry-after", "1")], ""),
        Some(250),
        "the same, rounded up"
    );
    assert_eq!(
        hint("", &[("retry-after-ms", "250"), ("retry-after", "9")], ""),
        Some(9000)
    );
    assert_eq!(
        hint("", &[("retry-after-ms", "x"), ("retry-after", "9")], ""),
        Some(9000)
    );
}

#[test]
fn the_longest_that_is_said_outright_counts() {
    let google = r#"[{"error":{"details":[{"retryDelay":"600.5s"}]}}]"#;
    assert_eq!(hint("google", &[], google), Some(600_500));
    assert_eq!(
        hint("google", &[("retry-after", "1")], google),
        Some(600_500)
    );
    let flat = r#"{"title":"Error 1015","status":429,"retryable":true,"retry_after":30}"#;
    assert_eq!(hint("", &[("retry-after", "0")], flat), Some(30_000));
    assert_eq!(hint("", &[("retry-after", "60")], flat), Some(60_000));
    let said = r#"{"error":{"message":"Please try again in 7m12s","resets_in_seconds":5}}"#;
    assert_eq!(hint("", &[("retry-after", "8")], said), Some(432_000));
    // A daily limit that comes back as a whole is stronger than a short hint; one that fills up again is not.
    let used = |name: &'static str, reset| {
        let remaining: &'static str = match name {
            "x-ratelimit-reset-requests-day" => "x-ratelimit-remaining-requests-day",
            "x-ratelimit-reset" => "x-ratelimit-remaining",
            _ => "x-ratelimit-remaining-requests",
        };
        hint(
            "",
            &[("retry-after", "1"), (remaining, "0"), (name, reset)],
            "",
        )
    };
    assert_eq!(
        used("x-ratelimit-reset-requests-day", "18000"),
        Some(18_000_000)
    );
    assert_eq!(used("x-ratelimit-reset", "1790018000"), Some(18_000_000));
    assert_eq!(used("x-ratelimit-reset-requests", "24h0m0s"), Some(1000));
    let room = [
        ("retry-after", "1"),
        ("x-ratelimit-remaining", "5"),
        ("x-ratelimit-reset", "1790018000"),
    ];
    assert_eq!(hint("", &room, ""), Some(1000));
}

#[test]
fn words_are_stronger_than_resets() {
    for (text, millis) in [
        ("Please try again in 7m12.3s. Need more?", 432_300),
        ("Please try again in 7.66s.", 7660),
        ("try again in 825ms", 825),
        ("Please retry after 26 seconds.", 26_000),
        ("Please retry in 18.5s", 18_500),
        ("Try again in 1 minute", 60_000),
    ] {
        let body = serde_json::json!({"error": {"message": text}}).to_string();
        assert_eq!(
            hint("", &[("x-ratelimit-reset-requests", "1s")], &body),
            Some(millis),
            "{text}"
        );
        assert_eq!(hint("", &[], text), Some(millis), "{text}");
    }
}

#[test]
fn the_limit_that_is_used_up_tells() {
    let groq = [
        ("x-ratelimit-remaining-requests", "14"),
        ("x-ratelimit-reset-requests", "1h2m"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "7.66s"),
    ];
    assert_eq!(hint("groq", &groq, ""), Some(7660));
    let none = [
        ("x-ratelimit-remaining-requests", "14"),
        ("x-ratelimit-reset-requests", "6m0s"),
        ("x-ratelimit-reset-tokens", "12ms"),
    ];
    assert_eq!(hint("openai", &none, ""), Some(12));
    let both = [
        ("anthropic-ratelimit-requests-remaining", "0"),
        ("anthropic-ratelimit-requests-reset", "2026-09-21T14:13:50Z"),
        ("anthropic-ratelimit-tokens-remaining", "0"),
        ("anthropic-ratelimit-tokens-reset", "2026-09-21T14:13:30Z"),
    ];
    assert_eq!(hint("anthropic", &both, ""), Some(30_000));
}

#[test]
fn resets_in_every_form() {
    for (name, value, millis) in [
        ("x-ratelimit-reset", "1790000055000", Some(55_000)),
        ("x-ratelimit-reset", "1790000055", Some(55_000)),
        ("x-ratelimit-reset", "1600000000", None),
        ("x-rate-limit-reset", "1790000055", Some(55_000)),
        ("x-ratelimit-reset-after", "55.5", Some(55_500)),
        ("x-ratelimit-reset-ms", "55", Some(55)),
        ("x-ratelimit-reset", "2026-09-21T14:14:15Z", Some(55_000)),
        ("ratelimit-reset", "55", Some(55_000)),
        (
            "ratelimit",
            "limit=100, remaining=0, reset=55",
            Some(55_000),
        ),
        ("x-ratelimit-reset-tokens", "59", Some(59_000)),
        ("x-ratelimit-reset-tokens-minute", "26.5", Some(26_500)),
        ("ratelimit", "\"api\";r=0;t=55", Some(55_000)),
        ("ratelimit", "\"a\";r=0;t=5, \"b\";r=9;t=500", Some(5000)),
        ("x-ratelimit-reset", "-1", None),
        ("x-ratelimit-reset", "later", None),
        ("x-ratelimit-reset", "99999999999999", None),
        ("ratelimit", ";;=,t=x", None),
    ] {
        let remaining = ("x-ratelimit-remaining", "0");
        assert_eq!(hint("", &[(name, value), remaining], ""), millis, "{value}");
    }
    let inside =
        r#"{"error":{"message":"m","metadata":{"headers":{"X-RateLimit-Reset":"1790000010000"}}}}"#;
    assert_eq!(hint("openrouter", &[], inside), Some(10_000));
}

/// What the body of a refusal says, at 2026-09-21T14:13:20Z.
#[test]
fn fields_of_the_body_in_every_spelling_and_place() {
    for (error, millis) in [
        (r#""retry_after":26"#, 26_000),
        (r#""retry_after":"26""#, 26_000),
        (r#""retry_after":"26s""#, 26_000),
        (r#""retry_after":"26 seconds""#, 26_000),
        (r#""retry_after":26.5"#, 26_500),
        (r#""retryAfter":26"#, 26_000),
        (r#""retry-after":26"#, 26_000),
        (r#""Retry-After":"Mon, 21 Sep 2026 14:13:40 GMT""#, 20_000),
        (r#""retry_after_ms":2600"#, 2600),
        (r#""retryAfterMs":"2600""#, 2600),
        (r#""retryAfterMillis":2600"#, 2600),
        (r#""retry_after_seconds":26"#, 26_000),
        (r#""retryAfterSeconds":26"#, 26_000),
        (r#""retry_after_minutes":2"#, 120_000),
        (r#""retry_in":"7h12m""#, 25_920_000),
        (r#""retryDelay":"24.7s""#, 24_700),
        (r#""retryDelay":{"seconds":"24","nanos":700000000}"#, 24_700),
        (r#""retry_delay":24"#, 24_000),
        (r#""resets_in_seconds":7200"#, 7_200_000),
        (r#""resets_at":1790007200"#, 7_200_000),
        (r#""resets_at":1790007200000"#, 7_200_000),
        (r#""resets_at":"2026-09-21T16:13:20Z""#, 7_200_000),
        (r#""reset_at":"2026-09-21T16:13:20.000+00:00""#, 7_200_000),
        (r#""resetAt":"2026-09-21 16:13:20""#, 7_200_000),
        (r#""reset_time":"Sep 21, 2026, 4:13 PM""#, 7_180_000),
        (r#""reset_at_ms":1790007200000"#, 7_200_000),
        (r#""reset_after":"PT2H""#, 7_200_000),
        (r#""reset_after":7200"#, 7_200_000),
        (r#""resets_in":"2h""#, 7_200_000),
        (r#""wait_seconds":32"#, 32_000),
        (r#""wait_time":"1 minute""#, 60_000),
        (r#""cooldown":45"#, 45_000),
        (r#""cooldown_seconds":45"#, 45_000),
        (r#""cooldown_until":"2026-09-21T14:14:05Z""#, 45_000),
        (r#""next_available_at":"2026-09-21T14:14:05Z""#, 45_000),
        (r#""available_at":1790000045"#, 45_000),
        (r#""estimated_time":20.5"#, 20_500),
        (r#""quotaResetDelay":"4h13m9s""#, 15_189_000),
        (r#""quotaResetTimeStamp":"2026-09-21T16:13:20Z""#, 7_200_000),
        (r#""details":[{"@type":"x"},{"retryDelay":"18s"}]"#, 18_000),
        (r#""details":{"retry_after":18}"#, 18_000),
        (r#""metadata":{"retry_after_seconds":18}"#, 18_000),
        (
            r#""metadata":{"headers":{"X-RateLimit-Reset":"1790000010000"}}"#,
            10_000,
        ),
        (r#""metadata":{"headers":{"Retry-After":"18"}}"#, 18_000),
        (
            r#""metadata":{"raw":"{\"error\":{\"retry_after\":18}}"}"#,
            18_000,
        ),
        (
            r#""primary":{"used_percent":100,"resets_in_seconds":60},"secondary":{"used_percent":12,"resets_in_seconds":9000}"#,
            60_000,
        ),
    ] {
        for body in [
            format!(r#"{{{error}}}"#),
            format!(r#"{{"error":{{"message":"Too many requests",{error}}}}}"#),
            format!(r#"[{{"error":{{{error}}}}}]"#),
        ] {
            assert_eq!(hint("", &[], &body), Some(millis), "{body}");
        }
    }
    for error in [
        r#""retry_after":0"#,
        r#""retry_after":null"#,
        r#""retry_after":true"#,
        r#""retry_after":"soon""#,
        r#""retry_after":-5"#,
        r#""resets_at":1500000000"#,
        r#""remaining":3,"reset_at":1790007200"#,
        r#""created":1790000045,"last_retry_after":7,"timeout":30"#,
        r#""input":{"retry_after":30}"#,
    ] {
        let body = format!(r#"{{"error":{{{error}}}}}"#);
        assert_eq!(hint("", &[], &body), None, "{body}");
    }
}

#[test]
fn headers_under_every_usual_name() {
    for (name, value, millis) in [
        ("retry-after", "26", 26_000),
        ("x-retry-after", "26", 26_000),
        ("retry-after-ms", "2600", 2600),
        ("x-retry-after-ms", "2600", 2600),
        ("x-ms-retry-after-ms", "2600", 2600),
        ("x-ratelimit-retry-after", "26", 26_000),
        ("x-rate-limit-retry-after", "26", 26_000),
        ("x-ratelimit-retry-after-seconds", "26", 26_000),
        ("retry-after-seconds", "26", 26_000),
    ] {
        assert_eq!(hint("", &[(name, value)], ""), Some(millis), "{name}");
    }
    for name in ["x-should-retry", "x-retry-count", "age", "date"] {
        assert_eq!(hint("", &[(name, "26")], ""), None, "{name}");
    }
    let unified = |status| {
        let pairs = [
            ("anthropic-ratelimit-unified-5h-status", status),
            ("anthropic-ratelimit-unified-5h-reset", "1790007200"),
            ("anthropic-ratelimit-unified-7d-status", "allowed"),
            ("anthropic-ratelimit-unified-7d-reset", "1790400000"),
        ];
        hint("anthropic", &pairs, "")
    };
    assert_eq!(unified("rejected"), Some(7_200_000));
    assert_eq!(unified("allowed"), None);
    let codex = [
        ("x-codex-primary-used-percent", "100"),
        ("x-codex-primary-reset-after-seconds", "7200"),
        ("x-codex-secondary-used-percent", "40"),
        ("x-codex-secondary-reset-after-seconds", "400000"),
    ];
    assert_eq!(hint("", &codex, ""), Some(7_200_000));
}

#[test]
fn sentences_in_every_form() {
    const H: u64 = 3600;
    // To the next full hour, 15:00, it is 2800 s.
    for (text, seconds) in [
        ("Please try again in 7h12m.", 7 * H + 720),
        ("Try again in 3 days 4 hours", 76 * H),
        ("try again in 3 days, 4 hours and 5 minutes", 76 * H + 300),
        ("Please retry after 26 seconds.", 26),
        ("Please retry after 26.", 26),
        ("retry after: 26", 26),
        ("Retry-After: 26", 26),
        ("Retry your request in 26s", 26),
        ("Please wait 32 seconds before trying again", 32),
        ("Please wait for 1 minute", 60),
        ("wait at least 2 minutes", 120),
        ("Please wait a minute and try again.", 60),
        ("Wait 2-3 minutes", 180),
        ("wait time: 90 seconds", 90),
        ("Your limit resets in 2h", 2 * H),
        ("It will reset in about 2 hours", 2 * H),
        ("Quota will be available again in 2 hours", 2 * H),
        ("You can send more requests in 2 hours", 2 * H),
        ("reset after 4h13m9s", 4 * H + 789),
        ("Your quota will reset after 4h13m9s.", 4 * H + 789),
        ("cooldown: 45 seconds", 45),
        ("26 seconds until the next request", 26),
        ("Try again at 15:00 UTC", 2800),
        ("try again at 3pm", 2800),
        ("available again at 3:00 PM (UTC)", 2800),
        ("You've hit your limit · resets 3pm (UTC)", 2800),
        ("resets at 5pm (Europe/Berlin)", 2800),
        ("resets Sep 21, 3pm", 2800),
        ("Please wait until 15:00:00 UTC", 2800),
        ("Your limit will reset at 2026-09-21 15:00:00", 2800),
        ("Your limit will reset at 2026-09-21T15:00:00Z.", 2800),
        ("Limit reached until 2026-09-21T15:00:00+00:00", 2800),
        ("resets on September 21, 2026 at 3:00 PM UTC", 2800),
        ("Resets at: 21 Sep 2026 15:00 GMT", 2800),
        ("reset at 1790002800", 2800),
        ("resets at midnight UTC", 9 * H + 2800),
        ("Rate limited. Next reset time is 15:00 UTC", 2800),
        ("请求过于频繁，请在26秒后重试", 26),
        ("您的限额将在 2026-09-21 15:00:00 重置", 2800),
    ] {
        let body = serde_json::json!({"error": {"message": text}}).to_string();
        assert_eq!(
            hint("", &[], &body),
            Some(u128::from(seconds) * 1000),
            "{text}"
        );
        assert_eq!(
            hint("", &[], text),
            Some(u128::from(seconds) * 1000),
            "{text}"
        );
    }
    for text in [
        "Try again later.",
        "Retry in a few moments",
        "You may retry 3 times",
        "Please try again after 3 requests",
        "available in 3 regions",
        "Rate limit of 20 requests per 60 seconds reached",
        "Limit 30000, Used 29000, Requested 5000. Visit https://a.b/c",
        "It was reset at 2025-01-01 10:00:00",
        "waiting: 14 requests",
        "resets monthly",
    ] {
        assert_eq!(hint("", &[], text), None, "{text}");
    }
}

#[test]
fn an_allowance_names_its_reason_and_a_long_time() {
    let is = |pairs: &[(&'static str, &str)], body: &str| {
        let headers = headers(pairs);
        let doc = Doc::read(&headers, body.as_bytes());
        is_allowance("", &headers, &doc, now())
    };
    let day = [
        ("x-ratelimit-remaining-requests-day", "0"),
        ("x-ratelimit-reset-requests-day", "7200"),
    ];
    assert!(is(&day, "Too many requests"));
    let hours = [("retry-after", "7200")];
    for text in [
        "You have reached your weekly limit",
        "Weekly usage limit reached for GPT",
        "You've reached your usage limit.",
        "quota exceeded",
        "5-hour limit reached",
        "You've hit your session limit",
        "limit per day",
        "monthly spend cap",
        "You reached the limit of your plan",
        r#"{"error":{"type":"usage_limit_reached"}}"#,
        r#"{"error":{"code":"weekly_limit_exceeded","message":"m"}}"#,
    ] {
        assert!(is(&hours, text), "{text}");
        assert!(!is(&[("retry-after", "60")], text), "too short: {text}");
        assert!(!is(&[], text), "no time: {text}");
    }
    for text in [
        "",
        "Rate limit reached",
        "Too many requests",
        "quota exceeded for tokens per minute",
        r#"{"error":{"code":"rate_limit_exceeded","message":"Rate limit reached"}}"#,
    ] {
        assert!(!is(&hours, text), "{text}");
    }
}

#[test]
fn a_quota_returns_when_named_else_at_the_providers_midnight() {
    let reset = |kind, message, pairs: &[(&'static str, &str)], body: &str| {
        quota_reset(kind, message, &headers(pairs), body.as_bytes(), now())
            .map(|wait| wait.as_secs())
    };
    let utc = Some(86_400 - NOW % 86_400);
    let pacific = utc.map(|wait| wait + 7 * 3600);
    assert_eq!(
        reset(
            "openrouter",
            "Rate limit exceeded: free-models-per-day",
            &[],
            ""
        ),
        utc
    );
    assert_eq!(
        reset("cerebras", "Tokens per day limit exceeded", &[], ""),
        utc
    );
    assert_eq!(
        reset(
            "cloudflare",
            "m",
            &[],
            r#"{"success":false,"errors":[{"code":3036,"message":"m"}]}"#
        ),
        utc
    );
    let google = r#"{"error":{"details":[{"violations":[{"quotaId":"RequestsPerDayPerModel"}]},{"retryDelay":"20s"}]}}"#;
    assert_eq!(reset("google", "m", &[], google), pacific);
    assert_eq!(
        reset("cerebras", "per day", &[("retry-after", "30")], ""),
        Some(30)
    );
    let idle = [
        ("x-ratelimit-remaining-requests", "5"),
        ("x-ratelimit-reset-requests", "1s"),
    ];
    assert_eq!(
        reset("openai", "You exceeded your current quota", &idle, ""),
        None
    );
    assert_eq!(
        reset("cerebras", "Tokens per month limit exceeded", &[], ""),
        None
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_fail(
        kind in "(|groq|google|openrouter|cloudflare|azure_openai)",
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 8),
        body in any::<Vec<u8>>(),
        at in 0..u64::from(u32::MAX) * 4,
    ) {
        const NAMES: [&str; 8] = [
            "retry-after", "retry-after-ms", "ratelimit", "x-ratelimit-reset", "x-ratelimit-reset-tokens",
            "anthropic-ratelimit-tokens-reset", "x-ratelimit-remaining-tokens", "x-ratelimit-limit-tokens",
        ];
        let mut map = HeaderMap::new();
        for (name, value) in NAMES.into_iter().zip(values) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                map.insert(name, value);
            }
        }
        let wall = UNIX_EPOCH + Duration::from_secs(at);
        let message = String::from_utf8_lossy(&body);
        let hints = [retry_after(&kind, &map, &body, wall), quota_reset(&kind, &message, &map, &body, wall)];
        prop_assert!(hints.into_iter().flatten().all(|hint| hint <= MAX_HINT));
    }

    #[test]
    fn no_sentence_and_no_field_makes_it_fail(
        lead in "(try again|resets|wait|until|请在|retry_after|\"resetAt\": \"|retry-after: )",
        glue in "( in| at| on| after|:|)",
        time in "([0-9]{1,20}|[0-9]{1,3}[-/.:][0-9]{1,3}[-/.:][0-9]{1,3}|(Nov|mon|tomorrow|midnight|5) ?[0-9a-z:, ]{0,12}(AM|pm|UTC|\\+99|[+-][0-9]{1,4})?|P[0-9DTHMS.]{0,12}|\\PC{0,20})",
        kind in "(|zai|google)",
        at in 0..u64::from(u32::MAX) * 4,
    ) {
        let text = format!("{lead}{glue} {time}");
        let field = serde_json::json!({"error": {"message": text, "reset_at": time, "retry_after": time}}).to_string();
        let wall = UNIX_EPOCH + Duration::from_secs(at);
        for body in [text.as_bytes(), field.as_bytes()] {
            let hint = retry_after(&kind, &HeaderMap::new(), body, wall);
            prop_assert!(hint.is_none_or(|hint| hint <= MAX_HINT && !hint.is_zero()));
        }
    }

    #[test]
    fn numbers_dates_and_spans_stay_in_range(
        value in "(-?[0-9]{1,20}(\\.[0-9]{1,5})?(ms|s|m|h|d)?|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})|try again in [0-9]{1,12} ?(s|hours)|1e[0-9]{1,4})",
        name in "(retry-after|retry-after-ms|x-ratelimit-reset|ratelimit)",
    ) {
        let mut map = HeaderMap::new();
        map.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(&value).unwrap());
        for hint in [retry_after("", &map, b"", now()), retry_after("", &HeaderMap::new(), value.as_bytes(), now())] {
            prop_assert!(hint.is_none_or(|hint| hint <= MAX_HINT));
        }
    }
}
