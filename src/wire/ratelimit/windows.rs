//! The headers that describe a limit: how much remains of it, and when it is renewed.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

use super::duration;
use super::fields::{self, Form};
use super::moment::AnswerTime;
use crate::wire::providers::traits_of;

/// One rate limit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Window {
    /// What remains; `None` when the answer does not say.
    pub(super) remaining: Option<f64>,
    /// How long until it is renewed.
    pub(super) wait: Duration,
    /// Nothing of it comes back before then. False where it may fill up little by little, which `retry-after` knows
    /// better: OpenAI, Groq, Anthropic and others name the moment at which all of it is there again.
    pub(super) whole: bool,
    /// It is named after a day or a longer time.
    pub(super) long: bool,
    /// It is about tokens: what remains may be too little for one request.
    pub(super) tokens: bool,
}

impl Window {
    /// Nothing is left of it.
    pub(super) fn is_used_up(&self) -> bool {
        self.remaining == Some(0.0)
    }

    /// There is room, so it is another limit that refused.
    pub(super) fn has_room(&self) -> bool {
        !self.tokens && self.remaining.is_some_and(|remaining| remaining > 0.0)
    }
}

/// All limits of an answer that say when they are renewed.
pub(super) fn windows(kind: &str, headers: &HeaderMap, now: &AnswerTime) -> Vec<Window> {
    let mut windows = Vec::new();
    for (name, value) in headers {
        let (name, Ok(value)) = (name.as_str(), value.to_str()) else {
            continue;
        };
        if name == "ratelimit" && value.contains("remaining=") {
            windows.extend(structured(&value.replace(',', ";")));
            continue;
        }
        if name == "ratelimit" {
            windows.extend(value.split(',').filter_map(structured));
            continue;
        }
        let form = fields::form(name).filter(|form| form.renews());
        let limit = name.contains("ratelimit") || name.contains("rate-limit");
        if !name.contains("reset") || !(limit || form.is_some()) {
            continue;
        }
        let Some(wait) = form.unwrap_or(Form::RESET).text(value, now) else {
            continue;
        };
        let long = ["day", "daily", "week", "month"]
            .iter()
            .any(|period| name.contains(period));
        let dated = duration::parse(value).is_none() && !name.starts_with("anthropic");
        windows.push(Window {
            remaining: remaining(kind, headers, name),
            wait,
            whole: long || dated,
            long,
            tokens: name.contains("token"),
        });
    }
    windows
}

/// What the siblings of a reset header say. A limit of 0 or -1 is Azure's way to say that it doesn't know.
fn remaining(kind: &str, headers: &HeaderMap, reset: &str) -> Option<f64> {
    let sibling = |word: &str| -> Option<&str> {
        // `x-ratelimit-reset-tokens` and `x-ratelimit-remaining-tokens`; `…-reset-after` and `…-remaining`.
        let replaced = headers.get(reset.replace("reset", word));
        let stem = || headers.get(format!("{}{word}", reset.split_once("reset")?.0));
        replaced.or_else(stem)?.to_str().ok().map(str::trim)
    };
    let number = |word: &str| -> Option<f64> { sibling(word)?.parse().ok() };
    if let Some(status) = sibling("status") {
        // Anthropic's unified limits.
        return match status {
            "rejected" | "exceeded" | "blocked" => Some(0.0),
            _ => Some(1.0),
        };
    }
    if let Some(percent) = number("used-percent") {
        return Some((100.0 - percent).max(0.0));
    }
    let unknown = number("limit").is_some_and(|limit| limit <= 0.0)
        || (traits_of(kind).tells_limits && number("limit").is_none());
    number("remaining").filter(|remaining| *remaining >= 0.0 && !unknown)
}

/// `"api";r=0;t=55`, one limit of the IETF's `RateLimit` header (draft-ietf-httpapi-ratelimit-headers), or in earlier
/// drafts `limit=100; remaining=50; reset=30`.
fn structured(item: &str) -> Option<Window> {
    let reset = parameter(item, "t").or_else(|| parameter(item, "reset"))?;
    Some(Window {
        remaining: parameter(item, "r").or_else(|| parameter(item, "remaining")),
        wait: duration::from_seconds(reset)?,
        whole: true,
        long: ["day", "daily", "week", "month"]
            .iter()
            .any(|period| item.contains(period)),
        tokens: item.contains("token"),
    })
}

/// A number among an item's parameters.
pub(super) fn parameter(item: &str, name: &str) -> Option<f64> {
    let mut values = item.split(';').filter_map(|part| {
        let (key, value) = part.trim().split_once('=')?;
        (key == name).then(|| value.parse().ok()).flatten()
    });
    values.next()
}

/// A moment or a span in any form: RFC 3339, Unix milliseconds or seconds, seconds from now, Go's durations.
pub(super) fn wait(text: &str, wall_now: SystemTime) -> Option<Duration> {
    Form::RESET.text(text, &AnswerTime::new("", wall_now)?)
}
