//! One line per request: what was asked, where it went, how each attempt ended, how long it took.
//! No prompt and no key material.

use std::fmt::{self, Write as _};
use std::time::Duration;

use tracing::{Level, enabled, info, warn};

use crate::domain::attempts::Record;
use crate::domain::dialect::Operation;
use crate::domain::time::Time;

/// What the line says.
#[derive(Debug)]
pub struct RequestLine<'a> {
    /// The request's id.
    pub id: &'a str,
    /// Which route.
    pub operation: Operation,
    /// Whether the answer was to be streamed.
    pub stream: bool,
    /// The target as asked for.
    pub target: &'a str,
    /// `answered`, `caller_left`, or the code of our error.
    pub outcome: &'static str,
    /// The status that went back, if one did.
    pub status: Option<u16>,
    /// Every attempt.
    pub attempts: &'a [Record],
    /// When it arrived.
    pub started: Time,
    /// As the upstream counted.
    pub prompt_tokens: Option<u64>,
    /// As the upstream counted.
    pub completion_tokens: Option<u64>,
    /// From arrival to end.
    pub total: Duration,
    /// From arrival to the first content of a stream.
    pub first_token: Option<Duration>,
}

/// Writes the line: at level info when the upstream's answer went back, as a warning otherwise.
pub fn emit(line: &RequestLine<'_>) {
    let good = line.status.is_some_and(|status| status < 500) || line.status.is_none();
    let level = if good { Level::INFO } else { Level::WARN };
    if (level == Level::INFO && !enabled!(Level::INFO)) || !enabled!(Level::WARN) {
        return;
    }
    let mut attempts = String::with_capacity(line.attempts.len() * 48);
    for record in line.attempts {
        if !attempts.is_empty() {
            attempts.push(' ');
        }
        // Writing to a String cannot fail.
        let _ = write!(attempts, "{}", Attempt(record, line.started));
    }
    let upstream = line.attempts.last().map(|record| &record.upstream);
    macro_rules! line {
        ($emit:ident) => {
            $emit!(
                request_id = line.id,
                operation = &line.operation.path()[1..],
                stream = line.stream,
                target = line.target,
                outcome = line.outcome,
                status = line.status,
                upstream = upstream.map(tracing::field::display),
                attempts = attempts.as_str(),
                prompt_tokens = line.prompt_tokens,
                completion_tokens = line.completion_tokens,
                total_ms = millis(line.total),
                first_token_ms = line.first_token.map(millis),
                "request"
            )
        };
    }
    if good {
        line!(info);
    } else {
        line!(warn);
    }
}

fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 10_000.0).round() / 10.0
}

/// `groq:llama via groq#2: rate_limited 429 after 12.5ms for 3.2ms`, shortened.
struct Attempt<'a>(&'a Record, Time);

impl fmt::Display for Attempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(record, started) = self;
        write!(
            f,
            "{}/{}={}",
            record.upstream,
            record.key,
            record.class.as_str()
        )?;
        if let Some(status) = record.status {
            write!(f, "({status})")?;
        }
        let after = millis(record.started.since(*started));
        let took = millis(record.ended.since(record.started));
        write!(f, "@{after}ms+{took}ms")
    }
}
