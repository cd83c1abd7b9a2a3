//! Hints when to retry: in an answer's headers, in the body's fields, in its texts.
//!
//! Every form is read; invalid values (not a number, negative, further away than [`MAX_HINT`]) are ignored,
//! and so is a zero or a moment in the past: an upstream that refuses is not ready now. Of the
//! others the longest counts. The caller clamps it.

mod allowances;
mod calendar;
mod duration;
mod fields;
mod moment;
#[cfg(test)]
mod tests;
mod windows;
mod words;
mod zone;

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use regex::Regex;

use super::error_doc::{Doc, ErrorField};
use super::providers::{self, DailyLimit, Midnight};
pub use allowances::allowances;
pub use duration::MAX_HINT;
use moment::AnswerTime;
use windows::Window;

/// From here on a hint is longer than a limit of requests or tokens per minute can explain.
const LONG: Duration = Duration::from_secs(15 * 60);

/// How long the upstream asks us to stay away, from `wall_now` on. Never zero.
///
/// Explicit hints count: in headers (`retry-after` and its relatives), in the body (`retryDelay`,
/// `resets_in_seconds` and theirs) and in words ("try again in 7.66s"); the longest of them, and a limit that is used
/// up and comes back as a whole, if that takes longer. Else the headers that say when limits are renewed: the longest
/// of those that are used up, or when none is, the shortest that may have refused. `body` is not compressed any more.
pub fn retry_after(
    kind: &str,
    headers: &HeaderMap,
    body: &[u8],
    wall_now: SystemTime,
) -> Option<Duration> {
    hint(kind, headers, &Doc::read(headers, body), wall_now)
}

fn hint(kind: &str, headers: &HeaderMap, doc: &Doc, wall_now: SystemTime) -> Option<Duration> {
    let now = AnswerTime::new(kind, wall_now)?;
    let windows = windows::windows(kind, headers, &now);
    outright(headers, doc, &windows, &now).or_else(|| {
        let unknown = windows.iter().filter(|window| !window.has_room());
        let waits = unknown.map(|window| window.wait);
        waits.filter(|wait| !wait.is_zero()).min()
    })
}

/// Whether a rate limit is really an allowance of hours or days that is used up: the answer names such a reason, and
/// a time that fits it.
pub(super) fn is_allowance(
    kind: &str,
    headers: &HeaderMap,
    doc: &Doc,
    wall_now: SystemTime,
) -> bool {
    if hint(kind, headers, doc, wall_now).is_none_or(|hint| hint < LONG) {
        return false;
    }
    let codes = [
        ErrorField::Code,
        ErrorField::Type,
        ErrorField::Reason,
        ErrorField::Metadata,
    ];
    let codes = codes.into_iter().filter_map(|field| doc.first(field));
    let said = codes.chain([doc.text()]).any(|text| {
        let is = |regex: &LazyLock<Option<Regex>>| {
            regex.as_ref().is_some_and(|regex| regex.is_match(text))
        };
        is(&ALLOWANCE) && !is(&MINUTE)
    });
    let windows = AnswerTime::new(kind, wall_now).map(|now| windows::windows(kind, headers, &now));
    let windows = windows.unwrap_or_default();
    said || windows
        .iter()
        .any(|window| window.long && window.is_used_up() && window.wait >= LONG)
}

/// Reasons that last for hours or days.
static ALLOWANCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?ix)
        quota | allowance | 额度 | 限额
        | usage[\s_-]?(?:limit|cap) | limit[\s_-]?of[\s_-]?usage | spend(?:ing)?[\s_-]?(?:limit|cap)
        | (?:hour(?:ly)?|session|daily|day|weekly|week|monthly|month|plan|subscription|billing|credit|free[\s_-]?tier)s?
          [\s_-]+(?:\w+[\s_-]+){0,3}(?:limit|cap|window)
        | (?:limit|cap)[\s_-]+(?:\w+[\s_-]+){0,3}(?:hour|day|week|month|plan|subscription)
        | per[\s_-](?:hour|day|week|month)
        | out[\s_-]of[\s_-](?:\w+[\s_-])?(?:credit|usage|message)s?",
    )
    .ok()
});

/// Reasons that do not.
static MINUTE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)per[\s_-]?(?:minute|min\b|second|sec\b)|\b[rt]p[ms]\b").ok());

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
    let says = |words: &[&str]| {
        let message = message.to_ascii_lowercase();
        words.iter().any(|word| message.contains(word))
    };
    let daily = providers::traits_of(kind).daily.filter(|limit| {
        let fact = limit
            .fact
            .is_some_and(|(field, text)| doc.says(field, text));
        fact || says(limit.words)
    });
    let midnight = |limit: DailyLimit| match limit.midnight {
        Midnight::Utc => calendar::until_utc_midnight(wall_now),
        Midnight::Pacific => calendar::until_pacific_midnight(wall_now),
    };
    // Google's retryDelay belongs to the limit per minute and is there for the daily one as well.
    if let Some(limit) = daily.filter(|limit| limit.overrides) {
        return midnight(limit);
    }
    let now = AnswerTime::new(kind, wall_now)?;
    let windows = windows::windows(kind, headers, &now);
    let named = outright(headers, &doc, &windows, &now);
    named.or_else(|| midnight(daily?))
}

/// The explicit hints, and the limits that are used up.
fn outright(
    headers: &HeaderMap,
    doc: &Doc,
    windows: &[Window],
    now: &AnswerTime,
) -> Option<Duration> {
    let mut hints = of_headers(headers, now);
    hints.extend(fields::of_body(doc.body(), now));
    hints.extend(words::all(doc.text(), now));
    let used_up = windows.iter().filter(|window| window.is_used_up());
    let longest = |windows: &mut dyn Iterator<Item = &Window>| {
        windows
            .map(|window| window.wait)
            .filter(|wait| !wait.is_zero())
            .max()
    };
    match longest_of(&hints) {
        Some(hint) => {
            let whole = longest(&mut used_up.filter(|window| window.whole));
            // Whole seconds are the same hint, rounded.
            let later = whole.filter(|wait| wait.saturating_sub(hint) >= Duration::from_secs(1));
            Some(later.unwrap_or(hint))
        }
        None => longest(&mut used_up.into_iter()),
    }
}

fn of_headers(headers: &HeaderMap, now: &AnswerTime) -> Vec<Duration> {
    let hints = headers.iter().filter_map(|(name, value)| {
        let form = fields::form(name.as_str()).filter(|form| !form.renews())?;
        form.text(value.to_str().ok()?, now)
    });
    hints.collect()
}

/// The longest that is more than zero. One in whole seconds may be another, rounded up: then the finer one counts.
fn longest_of(hints: &[Duration]) -> Option<Duration> {
    let credible = || {
        hints
            .iter()
            .copied()
            .filter(|hint| !hint.is_zero() && *hint <= MAX_HINT)
    };
    let longest = credible().max()?;
    let finer = credible().filter(|hint| {
        longest.subsec_nanos() == 0
            && hint.subsec_nanos() != 0
            && longest - *hint < Duration::from_secs(1)
    });
    Some(finer.max().unwrap_or(longest))
}
