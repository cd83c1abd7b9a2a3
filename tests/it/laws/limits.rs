//! Laws of hints: whatever an upstream's headers and body say about its limits, what is believed of it is in range,
//! and where nothing but a plain `retry-after` is said, it is believed to the second; a zero says nothing.
//!
//! The input is an answer (`answer.rs`).

use std::time::Duration;

use pointsman::wire::ratelimit::{MAX_HINT, allowances, quota_reset, retry_after};

use super::answer::Answer;

const MONTH: Duration = Duration::from_secs(31 * 86_400);

pub fn hold(data: &[u8]) {
    let answer = Answer::read(data);
    let (kind, headers, body) = (answer.kind.as_str(), &answer.headers, &answer.body);
    let hint = retry_after(kind, headers, body, answer.wall_now);
    assert!(hint.is_none_or(|hint| hint <= MAX_HINT), "{hint:?}");
    let message = String::from_utf8_lossy(body);
    let reset = quota_reset(kind, &message, headers, body, answer.wall_now);
    assert!(reset.is_none_or(|reset| reset <= MAX_HINT), "{reset:?}");
    for one in allowances(kind, headers, answer.wall_now) {
        assert!(one.remaining >= 0.0 && one.remaining.is_finite(), "{one:?}");
        let limit = one.limit;
        assert!(
            limit.is_none_or(|limit| limit > 0.0 && one.remaining <= limit && limit.is_finite()),
            "{one:?}"
        );
        assert!(!one.reset.is_zero() && one.reset <= MONTH, "{one:?}");
        assert!(one.period <= MONTH, "{one:?}");
    }
    assert!(hint.is_none_or(|hint| !hint.is_zero()), "{hint:?}");
    let plain = headers
        .get("retry-after")
        .filter(|_| headers.len() == 1 && body.is_empty())
        .and_then(|value| value.to_str().ok())
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse::<u64>().ok())
        .filter(|seconds| *seconds <= MAX_HINT.as_secs());
    if let Some(seconds) = plain {
        let expected = (seconds > 0).then_some(Duration::from_secs(seconds));
        assert_eq!(hint, expected);
    }
}
