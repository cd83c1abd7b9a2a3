//! One line per request: what was asked, where it went, how each attempt ended, how long it took.
//! No prompt and no key material.

use std::io::Write as _;
use std::time::Duration;

use tracing::{Level, enabled, info, warn};

use super::request_record::RequestRecord;
use super::{refusals, sink, stamp};
use crate::domain::routing_note::AffinityOutcome;
use crate::domain::time::Time;

/// Writes the line: at level info when the upstream's answer went back, as a warning otherwise. Of refusals under overload
/// some are left out ([`refusals`]).
pub fn emit(line: &RequestRecord) {
    let good = line.status.is_some_and(|status| status < 500) || line.status.is_none();
    let level = if good { Level::INFO } else { Level::WARN };
    if (level == Level::INFO && !enabled!(Level::INFO)) || !enabled!(Level::WARN) {
        return;
    }
    if line.attempts.is_empty() && !refusals::is_told(line.outcome, line.ended) {
        return;
    }
    if let Some(lines) = sink::json_lines() {
        sink::send(lines, line.to_json(level));
        return;
    }
    let mut attempts = String::new();
    line.push_attempts(&mut attempts);
    let obstacles = line.obstacles();
    let routed = line.routed();
    let upstream = line.attempts.last().map(|record| &record.upstream);
    let usage = line.usage.unwrap_or_default();
    let cost = line.cost();
    let trace = line.trace.as_deref();
    let flags = trace.map(|trace| format!("{:02x}", trace.flags()));
    macro_rules! line {
        ($emit:ident) => {
            $emit!(
                request_id = &*line.id,
                trace_id = trace.map(|trace| tracing::field::display(trace.trace_id)),
                span_id = trace.map(|trace| tracing::field::display(trace.span_id)),
                trace_flags = flags.as_deref(),
                client = line.client.as_deref(),
                operation = &line.operation.path()[1..],
                stream = line.stream,
                target = line.target.as_str(),
                outcome = line.outcome,
                status = line.status,
                upstream = upstream.map(tracing::field::display),
                attempts = attempts.as_str(),
                lookup = line.lookup.as_str(),
                rescue_obstacles = obstacles.as_deref(),
                ranking = routed.ranking.as_deref(),
                affinity = routed.affinity,
                left_out = routed.left_out.as_deref(),
                reserved = routed.reserved.as_deref(),
                prompt_tokens = usage.prompt_tokens,
                completion_tokens = usage.completion_tokens,
                cost = cost.map(|(amount, _)| tracing::field::display(amount)),
                cost_kind = cost.map(|(_, kind)| kind.as_str()),
                total_ms = millis(line.total()),
                first_token_ms = line.since(line.first_token).map(millis),
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

/// Why a request went where it went, as lines and spans say it.
#[derive(Default)]
pub(super) struct RoutedWords {
    /// How its targets ranked their members.
    pub(super) ranking: Option<String>,
    /// What became of its conversation.
    pub(super) affinity: Option<&'static str>,
    /// What was left out of its chain, and why.
    pub(super) left_out: Option<String>,
    /// What budgets reserved for it.
    pub(super) reserved: Option<String>,
}

impl RequestRecord {
    /// The same line as [`emit`] would write through the subscriber, written straight out: there is one for
    /// each request, and this takes a fifth of the time.
    fn to_json(&self, level: Level) -> Vec<u8> {
        let mut out = Vec::with_capacity(640);
        out.extend_from_slice(b"{\"timestamp\":\"");
        stamp::push(&mut out);
        out.extend_from_slice(b"\",\"level\":\"");
        out.extend_from_slice(level.as_str().as_bytes());
        out.extend_from_slice(b"\",\"message\":\"request\"");
        let out = &mut out;
        macro_rules! field {
            ($name:literal, $value:expr) => {
                out.extend_from_slice(concat!(",\"", $name, "\":").as_bytes());
                // Texts and numbers, written to memory: this cannot fail.
                let _ = serde_json::to_writer(&mut *out, $value);
            };
        }
        field!("request_id", &*self.id);
        if let Some(trace) = self.trace.as_deref() {
            // As OpenTelemetry wants them in logs that are not its own.
            out.extend_from_slice(b",\"trace_id\":\"");
            push_hex(out, &trace.trace_id.get().to_be_bytes());
            out.extend_from_slice(b"\",\"span_id\":\"");
            push_hex(out, &trace.span_id.get().to_be_bytes());
            out.extend_from_slice(b"\",\"trace_flags\":\"");
            push_hex(out, &[trace.flags()]);
            out.push(b'"');
        }
        if let Some(client) = self.client.as_deref() {
            field!("client", &client);
        }
        field!("operation", &&self.operation.path()[1..]);
        field!("stream", &self.stream);
        field!("target", &self.target);
        field!("outcome", &self.outcome);
        if let Some(status) = self.status {
            field!("status", &status);
        }
        let mut text = String::with_capacity(96 * self.attempts.len());
        if let Some(last) = self.attempts.last() {
            last.upstream.push_to(&mut text);
            field!("upstream", &text.as_str());
            text.clear();
        }
        self.push_attempts(&mut text);
        field!("attempts", &text.as_str());
        if let Some(lookup) = self.lookup.as_str() {
            field!("lookup", &lookup);
        }
        if let Some(obstacles) = self.obstacles() {
            field!("rescue_obstacles", &obstacles);
        }
        self.push_routed(out);
        let usage = self.usage.unwrap_or_default();
        if let Some(tokens) = usage.prompt_tokens {
            field!("prompt_tokens", &tokens);
        }
        if let Some(tokens) = usage.completion_tokens {
            field!("completion_tokens", &tokens);
        }
        if let Some((amount, kind)) = self.cost() {
            field!("cost", &amount.to_string());
            field!("cost_kind", &kind.as_str());
        }
        field!("total_ms", &millis(self.total()));
        if let Some(first) = self.since(self.first_token) {
            field!("first_token_ms", &millis(first));
        }
        out.extend_from_slice(b"}\n");
        std::mem::take(out)
    }

    /// Why it went where it went, as members of the JSON object.
    fn push_routed(&self, out: &mut Vec<u8>) {
        let RoutedWords {
            ranking,
            affinity,
            left_out,
            reserved,
        } = self.routed();
        for (name, words) in [
            ("ranking", ranking.as_deref()),
            ("affinity", affinity),
            ("left_out", left_out.as_deref()),
            ("reserved", reserved.as_deref()),
        ] {
            if let Some(words) = words {
                // Texts, written to memory: this cannot fail.
                let _ = write!(out, ",\"{name}\":");
                let _ = serde_json::to_writer(&mut *out, words);
            }
        }
    }

    /// Why it went where it went, in a few words each.
    pub(super) fn routed(&self) -> RoutedWords {
        let Some(note) = &self.routing else {
            return RoutedWords::default();
        };
        let chain = self.chain.as_deref();
        let reserved = note.budget.as_ref().map(|budget| budget.reserved);
        RoutedWords {
            ranking: note.ranked(),
            affinity: self.affinity().map(AffinityOutcome::as_str),
            left_out: chain.and_then(|chain| note.without(chain)),
            reserved: reserved.map(|reserved| reserved.to_string()),
        }
    }

    /// What kept its answer from being rescued, one after the other: `no_prefill(groq:llama) answer_differs`; `None` for
    /// nothing.
    fn obstacles(&self) -> Option<String> {
        let mut text = String::new();
        for note in &self.rescue_obstacles {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(note.obstacle.as_str());
            if let Some(upstream) = &note.upstream {
                text.push('(');
                upstream.push_to(&mut text);
                text.push(')');
            }
        }
        (!text.is_empty()).then_some(text)
    }

    fn since(&self, moment: Option<Time>) -> Option<Duration> {
        moment.map(|moment| moment.since(self.started))
    }

    /// All attempts, one after the other: `groq:llama/groq#2=rate_limited(429)@12.5ms+3.2ms`, which is where,
    /// with which key, to what end, after how long and for how long.
    fn push_attempts(&self, text: &mut String) {
        for record in &self.attempts {
            if !text.is_empty() {
                text.push(' ');
            }
            record.upstream.push_to(text);
            text.push('/');
            record.key.push_to(text);
            text.push('=');
            text.push_str(record.class.as_str());
            if let Some(status) = record.status {
                text.push('(');
                push_number(text, u64::from(status));
                text.push(')');
            }
            text.push('@');
            push_millis(text, record.started.since(self.started));
            text.push('+');
            push_millis(text, record.ended.since(record.started));
        }
    }
}

/// Two lower-case digits each, without the cost of formatting.
fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            let ten = if digit < 10 { b'0' } else { b'a' - 10 };
            out.push(ten + digit);
        }
    }
}

/// Milliseconds to a tenth, as `12.5ms` or `4ms`.
fn push_millis(text: &mut String, span: Duration) {
    let tenths = u64::try_from((span.as_micros() + 50) / 100).unwrap_or(u64::MAX);
    push_number(text, tenths / 10);
    if !tenths.is_multiple_of(10) {
        text.push('.');
        push_number(text, tenths % 10);
    }
    text.push_str("ms");
}

/// The number in decimal, without the cost of formatting.
fn push_number(text: &mut String, number: u64) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    let digit = u32::try_from(number % 10).unwrap_or_default();
    text.push(char::from_digit(digit, 10).unwrap_or('0'));
}

fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 10_000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::attempt_record::AttemptRecord;
    use crate::domain::dialect::Operation;
    use crate::domain::ids::{KeyId, Upstream};
    use crate::domain::outcome::Class;
    use crate::domain::rescue::{RescueNote, RescueObstacle};
    use crate::domain::usage::Usage;

    #[test]
    fn a_line_for_machines_is_one_json_object_with_everything_in_it() {
        let upstream = Upstream::new("groq", "a \"model\"");
        let key = KeyId {
            provider: upstream.provider.clone(),
            index: 2,
        };
        let record = AttemptRecord {
            class: Class::RateLimited,
            status: Some(429),
            ended: Time::from_millis(9),
            ..AttemptRecord::new(upstream, key, Time::from_millis(5))
        };
        let line = RequestRecord {
            id: Arc::from("req_1"),
            client: Some(Arc::from("ci")),
            operation: Operation::Chat,
            stream: true,
            target: "a\nline".to_owned(),
            chain: None,
            routing: None,
            outcome: "answered",
            status: Some(200),
            attempts: vec![record],
            refused: None,
            lookup: crate::domain::attempt_record::CacheLookup::Missed,
            saved: None,
            rescue_obstacles: vec![
                RescueNote {
                    at: Time::ZERO,
                    obstacle: RescueObstacle::NoPrefill,
                    upstream: Some(Upstream::new("groq", "m")),
                },
                RescueNote {
                    at: Time::ZERO,
                    obstacle: RescueObstacle::Diverged,
                    upstream: None,
                },
            ],
            complete: Time::ZERO,
            started: Time::ZERO,
            ended: Time::ZERO + Duration::from_micros(12_340),
            first_token: Some(Time::from_millis(10)),
            usage: Some(Usage {
                prompt_tokens: Some(3),
                ..Usage::default()
            }),
            trace: None,
        };
        let json: serde_json::Value = serde_json::from_slice(&line.to_json(Level::INFO)).unwrap();
        assert_eq!(json["target"], "a\nline");
        assert_eq!(json["client"], "ci");
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
            (&12.3.into(), &10.0.into())
        );
        assert_eq!(json["lookup"], "miss");
        assert_eq!(
            json["rescue_obstacles"],
            "no_prefill(groq:m) answer_differs"
        );
        assert!(json["timestamp"].as_str().unwrap().ends_with('Z'));
    }
}
