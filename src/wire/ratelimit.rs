//! When to come back, as an upstream tells it: in headers, in the body's details, in its words.
//!
//! Every form is tried in a fixed order and the first that makes sense is believed; nonsense (not a number,
//! negative, further away than [`MAX_HINT`]) is as if it were not there. The caller clamps.

mod allowances;
mod calendar;
mod duration;
#[cfg(test)]
mod tests;
mod windows;

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use regex::Regex;

use super::error_doc::{Doc, Field};
pub use allowances::allowances;
pub use duration::MAX_HINT;
use windows::Window;

/// How long the upstream asks us to stay away, from `wall_now` on.
///
/// The order: `retry-after-ms`, `retry-after` (seconds or a date), `RetryInfo.retryDelay` in the body, "try
/// again in 7.66s" in its message, then the headers that say when a limit is reset. Of those the longest whose
/// limit is used up counts; when none is, the shortest, since it can't be told which one refused. `body` is not
/// compressed any more. A moment in the past is a wait of zero.
pub fn retry_after(
    kind: &str,
    headers: &HeaderMap,
    body: &[u8],
    wall_now: SystemTime,
) -> Option<Duration> {
    let doc = Doc::read(headers, body);
    explicit(headers, &doc, wall_now).or_else(|| {
        let windows = windows::windows(kind, headers, &doc, wall_now);
        used_up(&windows).or_else(|| {
            let waits = windows.iter().map(|window| window.wait);
            waits.filter(|wait| !wait.is_zero()).min()
        })
    })
}

/// When an exhausted allowance returns, from `wall_now` on: the moment the upstream names, else the midnight
/// at which this provider renews its daily allowances; `None` when it takes a human to pay.
///
/// `message` is the error's text. A header that describes a limit which isn't used up says nothing about the
/// allowance and is not asked.
pub fn quota_reset(
    kind: &str,
    message: &str,
    headers: &HeaderMap,
    body: &[u8],
    wall_now: SystemTime,
) -> Option<Duration> {
    let doc = Doc::read(headers, body);
    let daily = |words: &[&str]| {
        let message = message.to_ascii_lowercase();
        words.iter().any(|word| message.contains(word))
    };
    // Google's retryDelay belongs to the limit per minute and is there for the daily one as well.
    if kind == "google" && (doc.says(Field::QuotaId, "PerDay") || daily(&["per day", "perday"])) {
        return calendar::until_pacific_midnight(wall_now);
    }
    let named = explicit(headers, &doc, wall_now)
        .or_else(|| used_up(&windows::windows(kind, headers, &doc, wall_now)));
    named.or_else(|| {
        let midnight = match kind {
            "openrouter" => daily(&["per-day", "per day", "daily"]),
            "cerebras" => daily(&["per day", "daily"]),
            "cloudflare" => doc.says(Field::Cloudflare, "3036") || daily(&["daily"]),
            "moonshot" => daily(&["tpd"]),
            "bedrock" => daily(&["per day"]),
            _ => false,
        };
        midnight
            .then(|| calendar::until_utc_midnight(wall_now))
            .flatten()
    })
}

/// The longest wait of the limits that are used up.
fn used_up(windows: &[Window]) -> Option<Duration> {
    let empty = windows
        .iter()
        .filter(|window| window.remaining == Some(0.0));
    empty.map(|window| window.wait).max()
}

/// What the upstream says in so many words.
fn explicit(headers: &HeaderMap, doc: &Doc, wall_now: SystemTime) -> Option<Duration> {
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    header("retry-after-ms")
        .and_then(|text| duration::from_seconds(text.parse::<f64>().ok()? / 1e3))
        .or_else(|| header("retry-after").and_then(|text| seconds_or_date(text, wall_now)))
        .or_else(|| duration::parse(doc.retry_delay()?))
        .or_else(|| in_words(doc.text()))
        .filter(|hint| *hint <= MAX_HINT)
}

/// `Retry-After`: RFC 9110 section 10.2.3, and fractions of a second.
fn seconds_or_date(text: &str, wall_now: SystemTime) -> Option<Duration> {
    duration::parse(text).or_else(|| {
        let date = httpdate::parse_http_date(text).ok()?;
        Some(date.duration_since(wall_now).unwrap_or_default())
    })
}

static TRY_AGAIN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:try again|retry)\s+(?:in|after)\s+([0-9][0-9a-zµ. ]{0,40})").ok()
});

/// "Please try again in 7m12.3s."
fn in_words(text: &str) -> Option<Duration> {
    let found = TRY_AGAIN.as_ref()?.captures(text)?;
    duration::prefix(found.get(1)?.as_str())
}
