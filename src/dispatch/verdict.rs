//! The error of a failed request: when to retry, what happened, what to do.

use std::fmt::Write as _;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};

use crate::domain::attempts::{Attempts, FinalError, RequestMisfit};
use crate::domain::error_code::ErrorCode;
use crate::domain::skipped::Skipped;
use crate::domain::time::Time;
use crate::wire::dialect::CallerDialect;
use crate::wire::overlong::Overlong;

/// The number of upstreams that were not asked that a message names; the error body has all of them.
const NAMED: usize = 3;
/// The number of too small upstreams that a message names with their sizes: the caller chooses among them.
const NAMED_SHORT: usize = 6;

/// When a new request may be served.
pub(super) fn retry_after(verdict: FinalError, now: Time) -> Option<Duration> {
    let ready = verdict.ready_at.map(|ready_at| ready_at.since(now));
    // The time at which a place is free is unknown, but it is likely to be soon.
    let soon = verdict.code.status() == 429 || verdict.code == ErrorCode::Overloaded;
    ready.or(soon.then_some(Duration::from_secs(1)))
}

/// An upstream's own 429 on its way to the caller says in whole seconds when to come back: some clients read no other
/// form, and give up without one.
pub(super) fn come_back(status: u16, headers: &mut HeaderMap, hint: Option<Duration>) {
    if status != 429 {
        return;
    }
    let told = headers.get(header::RETRY_AFTER);
    let told = told.and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    if told.is_none_or(|seconds| seconds == 0) {
        let seconds = hint.map_or(1, whole_seconds).max(1);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
}

/// An upstream's own answer that says that this request is larger than a limit or the credit left: asking again, which
/// clients do by themselves after such a status, never helps. `x-should-retry` is what OpenAI's and Anthropic's clients
/// go by.
pub(super) fn stay_away(headers: &mut HeaderMap) {
    headers.remove(header::RETRY_AFTER);
    headers.remove("retry-after-ms");
    headers.insert("x-should-retry", HeaderValue::from_static("false"));
}

/// A failed request, as its message needs it.
pub(super) struct FailedRequest<'a> {
    /// What it asked for.
    pub(super) target: &'a str,
    /// How many attempts were made.
    pub(super) tried: usize,
    /// The upstreams that were not asked.
    pub(super) skipped: &'a [Skipped],
    pub(super) attempts: &'a Attempts,
    /// How the caller is spoken to.
    pub(super) caller: &'static dyn CallerDialect,
    pub(super) now: Time,
}

impl FailedRequest<'_> {
    /// For the caller: what happened and what to do.
    pub(super) fn message(&self, code: ErrorCode) -> String {
        let tried = match self.tried {
            0 => "nothing was sent".to_owned(),
            1 => "1 attempt was made".to_owned(),
            n => format!("{n} attempts were made"),
        };
        let what = match code {
            ErrorCode::UpstreamsRateLimited => {
                "every upstream is rate limited or at its limits, and waiting would take too long: retry later"
            }
            ErrorCode::CoolingDown => {
                "every upstream is cooling down, and the request forbids waiting: retry later"
            }
            ErrorCode::WaitingRoomFull => {
                "every upstream is busy, and too many requests wait already: retry later"
            }
            ErrorCode::NoUsableKeys => {
                "no upstream has a usable API key: check the keys (`pointsman check`)"
            }
            ErrorCode::StateUnavailable => {
                "the key that holds what the request refers to cannot be used now: retry later, or send the content itself"
            }
            ErrorCode::ContextLengthExceeded => return self.too_long(&tried),
            ErrorCode::NoUpstreamMatches => {
                "no upstream is for a request like this one: conditions of the target, or what its models are known to lack, rule out all of them"
            }
            ErrorCode::Overloaded => {
                "too many bytes of bodies and answers are held (server.max_buffered): retry later"
            }
            ErrorCode::DeadlineExceeded => "the deadline passed before any upstream had answered",
            ErrorCode::InvalidUpstreamResponse => "the last upstream's answer was malformed",
            _ => "every upstream failed",
        };
        format!("`{}`: {what} ({tried}{})", self.target, self.not_asked())
    }

    /// The prompt fits nowhere: in the words by which the caller's clients know such an error.
    fn too_long(&self, tried: &str) -> String {
        let mut text = format!(
            "`{}`: the prompt and the requested output do not fit into the context window of any upstream. ",
            self.target
        );
        let counted = self.attempts.tokens();
        let size = Overlong {
            prompt: counted.map(|(prompt, _)| prompt),
            output: counted.map_or(0, |(_, output)| output),
            window: self.attempts.largest_window(),
        };
        text.push_str(&self.caller.too_long(size));
        let credit = self.write_shortages(&mut text);
        let or = if credit { ", or add credit" } else { "" };
        // Writing to a text never fails.
        let _ = write!(
            text,
            " Shorten the prompt or ask for less output{or} ({tried})"
        );
        text
    }

    /// The first upstreams that the request is too large for, and by what; whether one of them lacks credit.
    fn write_shortages(&self, text: &mut String) -> bool {
        let all: Vec<_> = self.attempts.shortages().collect();
        for (place, (upstream, shortage)) in all.iter().take(NAMED_SHORT).enumerate() {
            let lead = if place == 0 { " Too large for: " } else { ", " };
            let _ = write!(text, "{lead}{upstream} ({})", reason(*shortage));
        }
        match all.len() {
            0 => {}
            1..=NAMED_SHORT => text.push('.'),
            many => {
                let _ = write!(text, " and {} more.", many - NAMED_SHORT);
            }
        }
        let credit =
            |(_, shortage): &(_, RequestMisfit)| matches!(shortage, RequestMisfit::Credit(_));
        all.iter().any(credit)
    }

    /// The first upstreams that were not asked, and why.
    fn not_asked(&self) -> String {
        let mut text = String::new();
        for (place, one) in self.skipped.iter().take(NAMED).enumerate() {
            let lead = if place == 0 { "; not asked: " } else { ", " };
            let _ = write!(text, "{lead}{} ({}", one.upstream, one.reason());
            if let Some(ready) = one.ready_at {
                let _ = write!(text, ", ready in {}", span(ready.since(self.now)));
            }
            text.push(')');
        }
        match self.skipped.len().saturating_sub(NAMED) {
            0 => {}
            more => {
                let _ = write!(text, " and {more} more");
            }
        }
        text
    }
}

/// By what a request is too large.
fn reason(shortage: RequestMisfit) -> String {
    match shortage {
        RequestMisfit::Window(Some(tokens)) => format!("window of {tokens} tokens"),
        RequestMisfit::Window(None) => "its window".to_owned(),
        RequestMisfit::Limit(Some(tokens)) => format!("limit for one request: {tokens}"),
        RequestMisfit::Limit(None) => "limit for one request".to_owned(),
        RequestMisfit::Credit(Some(tokens)) => format!("credit left: {tokens}"),
        RequestMisfit::Credit(None) => "credit left".to_owned(),
        RequestMisfit::Feature => "does not have what is asked for".to_owned(),
    }
}

/// Seconds, rounded up.
fn whole_seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

/// A span in its largest sensible unit, rounded up.
fn span(span: Duration) -> String {
    let seconds = whole_seconds(span);
    match seconds {
        0..=120 => format!("{seconds} s"),
        121..=7200 => format!("{} min", seconds.div_ceil(60)),
        7201..=172_800 => format!("{} h", seconds.div_ceil(3600)),
        _ => format!("{} days", seconds.div_ceil(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_429_that_goes_on_always_says_when_in_whole_seconds() {
        let told = |value: Option<&'static str>, hint: Option<u64>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(value));
            }
            come_back(429, &mut headers, hint.map(Duration::from_millis));
            headers[header::RETRY_AFTER].to_str().unwrap().to_owned()
        };
        assert_eq!(told(Some("7"), Some(9000)), "7");
        assert_eq!(told(Some("0"), None), "1");
        assert_eq!(told(Some("0.5"), Some(1500)), "2");
        assert_eq!(told(None, None), "1");
        let mut headers = HeaderMap::new();
        come_back(400, &mut headers, None);
        assert!(headers.is_empty());
    }

    #[test]
    fn spans_are_told_in_their_largest_unit() {
        let told = |seconds| span(Duration::from_secs(seconds));
        assert_eq!(
            [told(40), told(900), told(7200), told(7201), told(900_000)],
            ["40 s", "15 min", "120 min", "3 h", "11 days"]
        );
        assert_eq!(span(Duration::from_millis(1)), "1 s");
    }
}
