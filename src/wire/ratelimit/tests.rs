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
        ("0", Some(0)),
        ("Mon, 21 Sep 2026 14:13:40 GMT", Some(20_000)),
        ("Mon, 21 Sep 2020 13:47:00 GMT", Some(0)),
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
        hint("", &[("retry-after-ms", "250"), ("retry-after", "9")], ""),
        Some(250)
    );
    assert_eq!(
        hint("", &[("retry-after-ms", "x"), ("retry-after", "9")], ""),
        Some(9000)
    );
}

#[test]
fn the_body_is_asked_after_the_headers() {
    let google = r#"[{"error":{"details":[{"retryDelay":"600.5s"}]}}]"#;
    assert_eq!(hint("google", &[], google), Some(600_500));
    assert_eq!(hint("google", &[("retry-after", "1")], google), Some(1000));
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
        ("x-ratelimit-reset", "1600000000", Some(0)),
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
