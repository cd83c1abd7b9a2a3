//! Hints by the name of a header or of a field of the body: `retry_after`, `retryAfterMs`, `resets_in_seconds`,
//! `quotaResetDelay`, `next_available_at`, `estimated_time`, and the rest of the family. A name is split into its words
//! and its unit; the remaining words are looked up in one table. So a new spelling needs no row, and a new name needs
//! one.

use std::time::Duration;

use serde_json::{Map, Value};

use super::moment::{self, AnswerTime};
use super::{duration, words};
use crate::wire::json;

/// What a value under a name means when its form leaves it open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum FieldValueKind {
    /// A span from now on.
    Span,
    /// A date, a time or a Unix timestamp.
    Moment,
}

/// What a name says of its value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Form {
    kind: FieldValueKind,
    /// Seconds of one unit.
    scale: f64,
    /// It is the renewal of a limit, which may have room left.
    renews: bool,
}

/// Names without their unit that say when to come back.
const SPANS: [&str; 30] = [
    "retry after",
    "retry in",
    "retry delay",
    "retry wait",
    "retry",
    "retry interval",
    "min retry delay",
    "try again in",
    "try again after",
    "wait",
    "wait time",
    "wait for",
    "time to wait",
    "backoff",
    "back off",
    "cooldown",
    "cool down",
    "cooldown remaining",
    "cooldown time",
    "cooldown period",
    "available in",
    "available after",
    "next available in",
    "estimated time",
    "estimated wait",
    "estimated wait time",
    "time remaining",
    "remaining time",
    "penalty",
    "blocked for",
];
const MOMENTS: [&str; 22] = [
    "retry at",
    "retry on",
    "retry time",
    "retry date",
    "next retry",
    "next retry at",
    "next retry time",
    "next attempt at",
    "next request at",
    "next available",
    "next available at",
    "next available time",
    "available at",
    "available again at",
    "try again at",
    "cooldown until",
    "cooldown ends at",
    "cooling until",
    "blocked until",
    "limited until",
    "rate limited until",
    "unblock at",
];
/// Names of a limit's renewal, after the name of any limit.
const RENEWAL_SPANS: [&str; 8] = [
    "reset in",
    "resets in",
    "reset after",
    "resets after",
    "reset delay",
    "until reset",
    "to reset",
    "reset remaining",
];
const RENEWAL_MOMENTS: [&str; 13] = [
    "reset",
    "resets",
    "reset at",
    "resets at",
    "reset on",
    "resets on",
    "reset time",
    "reset date",
    "reset timestamp",
    "reset time stamp",
    "renews at",
    "refresh at",
    "refreshes at",
];
/// What hides its subject: `x-` and the names of vendors before a header's own.
const PREFIXES: [&str; 3] = ["x", "ms", "http"];
/// Units beyond those of prose.
const EPOCH: [&str; 3] = ["epoch", "unix", "utc"];

/// What a name says of its value; `None` for a name that is none of these.
pub(super) fn form(name: &str) -> Option<Form> {
    let mut words = words_of(name);
    while words.len() > 1 && PREFIXES.contains(&words.first()?.as_str()) {
        words.remove(0);
    }
    let mut scale = 1.0;
    while words.len() > 1 {
        let last = words.last()?;
        if let Some(seconds) = duration::unit(last) {
            scale = seconds;
        } else if !EPOCH.contains(&last.as_str()) {
            break;
        }
        words.pop();
    }
    let name = words.join(" ");
    let of = |kind, renews| Form {
        kind,
        scale,
        renews,
    };
    // `reset` behind the name of any limit, but `retry after` alone: `last_retry_after` is something else.
    let ends = |known: &str| name == known || name.ends_with(&format!(" {known}"));
    let limited = name
        .strip_prefix("rate limit ")
        .or(name.strip_prefix("ratelimit "));
    let own = limited.unwrap_or(&name);
    if SPANS.contains(&own) {
        Some(of(FieldValueKind::Span, false))
    } else if MOMENTS.contains(&own) {
        Some(of(FieldValueKind::Moment, false))
    } else if RENEWAL_SPANS.iter().any(|known| ends(known)) {
        Some(of(FieldValueKind::Span, true))
    } else if RENEWAL_MOMENTS.iter().any(|known| ends(known)) {
        Some(of(FieldValueKind::Moment, true))
    } else {
        None
    }
}

impl Form {
    /// A reset in a header whose name says no more.
    pub(super) const RESET: Self = Self {
        kind: FieldValueKind::Span,
        scale: 1.0,
        renews: true,
    };

    /// Whether it is the renewal of a limit.
    pub(super) fn renews(self) -> bool {
        self.renews
    }

    /// A header's or a text field's value. Zero when the moment has passed.
    pub(super) fn text(self, text: &str, now: &AnswerTime) -> Option<Duration> {
        let text = text.trim();
        if let Ok(number) = text.parse::<f64>() {
            return self.number(number, now);
        }
        let date = || {
            let date = httpdate::parse_http_date(text).ok()?;
            now.until(duration::unix_seconds(date)?)
        };
        match self.kind {
            FieldValueKind::Span => duration::parse(text).or_else(|| moment::parse(text, now)),
            FieldValueKind::Moment => moment::parse(text, now).or_else(|| duration::parse(text)),
        }
        .or_else(date)
        .or_else(|| words::begins(text, now))
    }

    /// A number's value.
    fn number(self, number: f64, now: &AnswerTime) -> Option<Duration> {
        match moment::unix(number) {
            // Milliseconds of a year are not a moment.
            Some(unix) if self.scale >= 1.0 || number >= 1e12 => now.until(unix),
            _ => duration::from_seconds(number * self.scale),
        }
    }

    fn value(self, value: &Value, now: &AnswerTime) -> Option<Duration> {
        match value {
            Value::Number(number) => self.number(number.as_f64()?, now),
            Value::String(text) => self.text(text, now),
            // A protobuf duration as an object.
            Value::Object(parts) => {
                let part = |name| {
                    let value = parts.get(name)?;
                    value.as_f64().or_else(|| value.as_str()?.parse().ok())
                };
                let seconds: f64 = part("seconds")?;
                self.number(seconds + part("nanos").unwrap_or(0.0) / 1e9, now)
            }
            Value::Null | Value::Bool(_) | Value::Array(_) => None,
        }
    }
}

/// The depth of the search for hints, and the most fields that are read.
const DEPTH: u32 = 7;
const FIELDS: u32 = 500;
/// Objects under these names quote the caller's own data.
const QUOTED: [&str; 8] = [
    "input", "messages", "prompt", "request", "body", "choices", "params", "ctx",
];

/// The hints of a whole error body.
pub(super) fn of_body(body: &Value, now: &AnswerTime) -> Vec<Duration> {
    let mut walk = HintReader {
        now,
        left: FIELDS,
        found: Vec::new(),
    };
    walk.value(body, DEPTH);
    walk.found
}

struct HintReader<'a> {
    now: &'a AnswerTime,
    left: u32,
    found: Vec<Duration>,
}

impl HintReader<'_> {
    fn value(&mut self, value: &Value, depth: u32) {
        match value {
            Value::Object(fields) if depth > 0 => self.object(fields, depth),
            Value::Array(items) if depth > 0 => {
                for item in items.iter().take(20) {
                    self.value(item, depth - 1);
                }
            }
            // The words of a provider behind this one: JSON as a text.
            Value::String(text) if depth > 0 && text.trim_start().starts_with(['{', '[']) => {
                if let Some(inner) = json::error(text.as_bytes()) {
                    self.value(&inner, depth - 1);
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, fields: &Map<String, Value>, depth: u32) {
        let has_room = has_room(fields);
        for (name, value) in fields {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            let form = form(name).filter(|form| !(form.renews && has_room));
            if let Some(wait) = form.and_then(|form| form.value(value, self.now)) {
                self.found.push(wait);
            } else if !QUOTED.contains(&name.as_str()) {
                self.value(value, depth - 1);
            }
        }
    }
}

/// Whether an object describes a limit that is not used up: when that one is renewed says nothing.
fn has_room(fields: &Map<String, Value>) -> bool {
    fields.iter().any(|(name, value)| {
        let number = value
            .as_f64()
            .or_else(|| value.as_str()?.trim().parse().ok());
        let words = words_of(name);
        let has = |word: &str| words.iter().any(|it| it == word);
        match number {
            Some(left) if has("remaining") && form(name).is_none() => left > 0.0,
            Some(used) if has("used") && has("percent") => used < 100.0,
            Some(used) if has("utilization") => used < 1.0,
            _ => {
                (has("allowed") && value == &Value::Bool(true))
                    || (has("reached") && value == &Value::Bool(false))
            }
        }
    })
}

/// The words of a name, in lower case: `quotaResetDelay` and `quota_reset-delay` are the same three.
fn words_of(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut fresh, mut upper) = (true, true);
    for c in name.chars().take(64) {
        if !c.is_ascii_alphanumeric() {
            fresh = true;
            continue;
        }
        let starts = fresh || (c.is_ascii_uppercase() && !upper);
        (fresh, upper) = (false, c.is_ascii_uppercase());
        if starts {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c.to_ascii_lowercase());
        }
    }
    words
}
