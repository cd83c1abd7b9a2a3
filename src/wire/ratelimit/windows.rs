//! The headers that describe a limit: how much remains of it, and when it is renewed.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

use super::{calendar, duration};
use crate::wire::error_doc::Doc;

/// One limit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Window {
    /// What remains; `None` when not told.
    pub(super) remaining: Option<f64>,
    /// How long until it is renewed.
    pub(super) wait: Duration,
}

/// All limits of an answer that say when they are renewed.
pub(super) fn windows(
    kind: &str,
    headers: &HeaderMap,
    doc: &Doc,
    wall_now: SystemTime,
) -> Vec<Window> {
    let mut windows = Vec::new();
    for (name, value) in headers {
        let (name, Ok(value)) = (name.as_str(), value.to_str()) else {
            continue;
        };
        if name == "ratelimit" {
            windows.extend(value.split(',').filter_map(structured));
        } else if name.contains("ratelimit") && name.contains("reset") {
            windows.extend(wait(value, wall_now).map(|wait| Window {
                remaining: remaining(kind, headers, name),
                wait,
            }));
        }
    }
    // OpenRouter repeats the header of a limit that refused inside the error.
    let inside = doc.reset().and_then(|value| wait(value, wall_now));
    windows.extend(inside.map(|wait| Window {
        remaining: Some(0.0),
        wait,
    }));
    windows
}

/// What the sibling of a reset header says. A limit of 0 or -1 is Azure's way to say that it doesn't know.
fn remaining(kind: &str, headers: &HeaderMap, reset: &str) -> Option<f64> {
    let sibling = |word: &str| -> Option<f64> {
        let value = headers.get(reset.replace("reset", word))?;
        value.to_str().ok()?.trim().parse().ok()
    };
    let unknown = sibling("limit").is_some_and(|limit| limit <= 0.0)
        || (kind == "azure_openai" && sibling("limit").is_none());
    sibling("remaining").filter(|remaining| *remaining >= 0.0 && !unknown)
}

/// `"api";r=0;t=55`, one limit of the IETF's `RateLimit` header (draft-ietf-httpapi-ratelimit-headers).
fn structured(item: &str) -> Option<Window> {
    Some(Window {
        remaining: parameter(item, "r"),
        wait: duration::from_seconds(parameter(item, "t")?)?,
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
    /// Numbers from here on are moments in seconds, then in milliseconds.
    const MOMENTS: f64 = 1e9;
    const MILLIS: f64 = 1e12;
    let text = text.trim();
    let moment = match text.parse::<f64>() {
        Ok(number) if number >= MILLIS => number / 1e3,
        Ok(number) if number >= MOMENTS => number,
        Ok(number) => return duration::from_seconds(number),
        Err(_) => match calendar::rfc3339(text) {
            Some(moment) => moment,
            None => return duration::parse(text),
        },
    };
    duration::from_seconds((moment - duration::unix_seconds(wall_now)?).max(0.0))
}
