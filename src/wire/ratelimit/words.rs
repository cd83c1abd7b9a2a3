//! Hints in sentences: "Please try again in 7m12.3s", "resets at 5pm (UTC)", "wait for 1 minute", "until 17:30 UTC".
//!
//! A sentence leads up to a time by words from one list; what follows them is a span or a moment in any form.

use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use super::moment::AnswerTime;
use super::{duration, moment};

/// Where a sentence begins to speak of the time, and the small words between that and the time itself.
static LEADS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let verbs = [
        r"retry[-_ ]?after",
        r"re-?tr(?:y|ies|ied|ying)",
        r"again",
        r"(?:another|more|next) (?:requests?|messages?|attempts?|tokens)",
        r"resets?",
        r"resett?ing",
        r"renew(?:s|ed|al)?",
        r"refresh(?:es|ed)?",
        r"replenish(?:es|ed)?",
        r"restored",
        r"available",
        r"back(?: online)?",
        r"resumes?",
        r"lifted",
        r"unblocked",
        r"wait(?:ing)?(?: time)?",
        r"cool(?:s|ing)?[- ]?down(?: period)?",
        r"remaining time",
        r"time remaining",
        r"until",
    ];
    let small = r#"at least|up to|in|after|at|on|for|until|by|from|is|are|be|will|ends|time|again|about|approximately|approx\.?|around|another|only|the|this|your|it|requests?|limits?|quota|automatically"#;
    let chinese = "请在?|将在|将于|等待|于";
    Regex::new(&format!(
        r#"(?i)(?:\b(?:{})\b|{chinese})(?P<glue>(?:[\s:=(~"'`*]|\b(?:{small})\b)*)"#,
        verbs.join("|")
    ))
    .ok()
});

/// A span before its sentence's verb: "26 seconds until the next request", "30秒后重试".
static TRAILS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)(\d[^\n;!?]{0,40}?)(?:\s+(?:until|before)\b|之?后|以后)").ok()
});

/// The words that say whether a span or a time of day follows; the last one decides.
static PREPOSITIONS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:(?P<span>at least|in|after|for|wait|waiting|cool)|at|until|on|by)\b").ok()
});

/// Whether a span follows these words, rather than a time of day.
fn leads_to_a_span(lead: &str) -> bool {
    let prepositions = PREPOSITIONS.as_ref().map(|regex| regex.captures_iter(lead));
    let last = prepositions.and_then(Iterator::last);
    last.is_some_and(|found| found.name("span").is_some())
}

/// Every hint in a text. Zero for a moment that has passed.
pub(super) fn all(text: &str, now: &AnswerTime) -> Vec<Duration> {
    let (Some(leads), Some(trails)) = (LEADS.as_ref(), TRAILS.as_ref()) else {
        return Vec::new();
    };
    let led = leads.captures_iter(text).filter_map(|found| {
        let lead = found.get(0)?;
        let rest = text.get(lead.end()..)?;
        when(rest, leads_to_a_span(lead.as_str()), now)
    });
    let trailing = trails
        .captures_iter(text)
        .filter_map(|found| duration::prefix(found.get(1)?.as_str()));
    led.chain(trailing).collect()
}

/// The time with which a field's text begins, such as "30 seconds or so"; small words before it are skipped.
pub(super) fn begins(text: &str, now: &AnswerTime) -> Option<Duration> {
    let text = ["in ", "after ", "at ", "on "]
        .iter()
        .find_map(|word| text.strip_prefix(word))
        .unwrap_or(text);
    when(text, true, now)
}

/// The time with which a text begins. `spans`: `01:30:00` is a span, not a time of day, and a number without a unit
/// is seconds.
fn when(text: &str, spans: bool, now: &AnswerTime) -> Option<Duration> {
    let span = || {
        let token = text.split([' ', ',', ';', ')']).next()?;
        let token = token.trim_end_matches('.');
        let zoned = text.get(token.len()..).is_some_and(|rest| {
            ["UTC", "GMT", "(", "Z"]
                .iter()
                .any(|zone| rest.trim_start().starts_with(zone))
        });
        let whole = (token.contains(':') && !zoned) || token.starts_with(['P', 'p']);
        let clock = || duration::parse(token).filter(|_| whole);
        duration::prefix(text).or_else(clock)
    };
    let moment = || moment::prefix(text, now);
    let found = if spans {
        span().or_else(moment)
    } else {
        moment().or_else(span)
    };
    found.or_else(|| duration::bare(text).filter(|_| spans))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_regular_expression_compiles() {
        assert!(LEADS.is_some() && TRAILS.is_some() && PREPOSITIONS.is_some());
    }
}
