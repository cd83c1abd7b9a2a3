//! One line per request: what was asked, where it went, how each attempt ended, how long it took.
//! No prompt and no key material.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use tracing::{Level, enabled, info, warn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use super::sink;

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
    if let Some(lines) = sink::json_lines() {
        // Full: the line is lost, the request is not.
        drop(lines.try_send(line.to_json(level)));
        return;
    }
    let attempts = line.attempts_text();
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

impl RequestLine<'_> {
    /// The same line as [`emit`] would write through the subscriber, written straight out: there is one for
    /// each request, and this takes a third of the time.
    fn to_json(&self, level: Level) -> Vec<u8> {
        let mut out = Vec::with_capacity(640);
        out.extend_from_slice(b"{\"timestamp\":\"");
        let mut time = String::with_capacity(32);
        // Writing to memory cannot fail, here and below.
        let _ = SystemTime.format_time(&mut Writer::new(&mut time));
        out.extend_from_slice(time.as_bytes());
        let _ = write!(out, "\",\"level\":\"{level}\",\"message\":\"request\"");
        let text = |out: &mut Vec<u8>, name: &str, value: &str| {
            let _ = write!(out, ",\"{name}\":");
            let _ = serde_json::to_writer(out, value);
        };
        let number = |out: &mut Vec<u8>, name: &str, value: Option<u64>| {
            if let Some(value) = value {
                let _ = write!(out, ",\"{name}\":{value}");
            }
        };
        text(&mut out, "request_id", self.id);
        text(&mut out, "operation", &self.operation.path()[1..]);
        let _ = write!(out, ",\"stream\":{}", self.stream);
        text(&mut out, "target", self.target);
        text(&mut out, "outcome", self.outcome);
        number(&mut out, "status", self.status.map(u64::from));
        if let Some(last) = self.attempts.last() {
            text(&mut out, "upstream", &last.upstream.to_string());
        }
        text(&mut out, "attempts", &self.attempts_text());
        number(&mut out, "prompt_tokens", self.prompt_tokens);
        number(&mut out, "completion_tokens", self.completion_tokens);
        let _ = write!(out, ",\"total_ms\":{}", millis(self.total));
        if let Some(first) = self.first_token {
            let _ = write!(out, ",\"first_token_ms\":{}", millis(first));
        }
        out.extend_from_slice(b"}\n");
        out
    }

    /// All attempts, one after the other.
    fn attempts_text(&self) -> String {
        let mut text = String::with_capacity(self.attempts.len() * 64);
        for record in self.attempts {
            if !text.is_empty() {
                text.push(' ');
            }
            // Writing to a String cannot fail.
            let _ =
                fmt::Write::write_fmt(&mut text, format_args!("{}", Attempt(record, self.started)));
        }
        text
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{KeyId, Upstream};
    use crate::domain::outcome::Class;

    #[test]
    fn a_line_for_machines_is_one_json_object_with_everything_in_it() {
        let upstream = Upstream::new("groq", "a \"model\"");
        let record = Record {
            key: KeyId {
                provider: upstream.provider.clone(),
                index: 2,
            },
            upstream,
            class: Class::RateLimited,
            status: Some(429),
            started: Time::from_millis(5),
            ended: Time::from_millis(9),
        };
        let line = RequestLine {
            id: "req_1",
            operation: Operation::Chat,
            stream: true,
            target: "a\nline",
            outcome: "answered",
            status: Some(200),
            attempts: &[record],
            started: Time::ZERO,
            prompt_tokens: Some(3),
            completion_tokens: None,
            total: Duration::from_micros(12_340),
            first_token: Some(Duration::from_millis(10)),
        };
        let json: serde_json::Value = serde_json::from_slice(&line.to_json(Level::INFO)).unwrap();
        assert_eq!(json["target"], "a\nline");
        assert_eq!(json["operation"], "chat/completions");
        assert_eq!(json["upstream"], "groq:a \"model\"");
        assert_eq!(
            json["attempts"],
            "groq:a \"model\"/groq#2=rate_limited(429)@5ms+4ms"
        );
        assert_eq!(
            (&json["prompt_tokens"], json.get("completion_tokens")),
            (&3.into(), None)
        );
        assert_eq!(
            (&json["total_ms"], &json["first_token_ms"]),
            (&12.3.into(), &10.into())
        );
        assert!(json["timestamp"].as_str().unwrap().ends_with('Z'));
    }
}
