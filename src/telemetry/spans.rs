//! Makes the spans of a request from its record: one of the request, and below it one of each attempt. Pure.
//! The names are those of `telemetry/names.rs`.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::names;
use super::request_record::RequestRecord;
use crate::domain::attempt_record::{AttemptReason, AttemptRecord};
use crate::domain::hash_map::HashMap;
use crate::domain::ids::ProviderName;
use crate::domain::outcome::Class;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::time::{Anchor, Time};
use crate::domain::trace::{self, TraceContext};
use crate::wire::content::Rendered;
use crate::wire::stamp::rfc3339;

/// The most events of a span (the SDK's own limit); further ones are counted.
const MAX_EVENTS: usize = 128;

/// What spans say of a provider.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProviderLocation {
    /// Its id in the catalogue; empty for a custom one.
    pub kind: String,
    /// Where its calls go: a host's name or address; `None` where nothing leaves the process.
    pub host: Option<String>,
    /// The port of the server.
    pub port: Option<u16>,
}

/// Facts for spans that are not in the request's record.
#[derive(Clone)]
pub struct SpanDetails<'a> {
    /// The address of every provider.
    pub places: &'a HashMap<ProviderName, ProviderLocation>,
    /// A moment on both clocks.
    pub anchor: Anchor,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Masks the texts of prompts and answers; `None` when spans contain none.
    pub mask: Option<&'a dyn Fn(&str) -> String>,
}

/// All spans of a request, its own first; none without a trace. `kept` is the reason why they are sent; `said` are the
/// texts of the request and its answer.
pub fn of(
    request: &RequestRecord,
    kept: &'static str,
    scenery: &SpanDetails<'_>,
    said: Option<&Rendered>,
) -> Vec<SpanData> {
    let Some(context) = request.trace.as_deref().filter(|trace| trace.records) else {
        return Vec::new();
    };
    let spans = Spans {
        request,
        context,
        scenery,
        scope: InstrumentationScope::builder("pointsman")
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(names::SCHEMA_URL)
            .build(),
    };
    // Records are in the order in which attempts ended; spans and events follow the order in which they began.
    let mut begun: Vec<&AttemptRecord> = request.attempts.iter().collect();
    begun.sort_by_key(|record| record.started);
    let attempts = begun
        .iter()
        .enumerate()
        .filter_map(|(place, record)| spans.attempt(place, record));
    let mut all = vec![spans.request(kept, &begun)];
    all.extend(attempts);
    // Texts go to the span of the attempt that answered.
    if let (Some(said), Some(record)) = (said, answering(request)) {
        let id = record.span.map(span_id);
        let span = all
            .iter_mut()
            .find(|span| Some(span.span_context.span_id()) == id);
        let said = [
            (names::GEN_AI_INPUT, &said.input),
            (names::GEN_AI_OUTPUT, &said.output),
            (names::GEN_AI_INSTRUCTIONS, &said.instructions),
        ];
        let said = said
            .into_iter()
            .filter_map(|(name, text)| Some((name, text.clone()?)));
        let said = said.map(|(name, text)| KeyValue::new(name, text));
        if let Some(span) = span {
            span.attributes.extend(said);
        }
    }
    all
}

struct Spans<'a> {
    request: &'a RequestRecord,
    context: &'a TraceContext,
    scenery: &'a SpanDetails<'a>,
    scope: InstrumentationScope,
}

/// Why it went where it went.
fn routing(request: &RequestRecord) -> impl Iterator<Item = KeyValue> {
    let routed = request.routed();
    let words = [
        (names::RANKING, routed.ranking),
        (names::AFFINITY, routed.affinity.map(str::to_owned)),
        (names::LEFT_OUT, routed.left_out),
        (names::RESERVED, routed.reserved),
    ];
    let words = words.into_iter();
    words.filter_map(|(name, words)| Some(KeyValue::new(name, words?)))
}

impl Spans<'_> {
    fn request(&self, kept: &'static str, begun: &[&AttemptRecord]) -> SpanData {
        let (request, context) = (self.request, self.context);
        let path = request.operation.path();
        let route = request.operation.spec().route;
        let asked = if context.versioned { route } else { path };
        let name = format!("POST {route}");
        let mut attributes = vec![
            KeyValue::new(names::HTTP_METHOD, "POST"),
            KeyValue::new(names::HTTP_ROUTE, route),
            KeyValue::new(names::URL_PATH, asked),
            KeyValue::new(names::URL_SCHEME, self.scenery.scheme),
            KeyValue::new(names::REQUEST_ID, request.id.to_string()),
            KeyValue::new(names::OUTCOME, request.outcome),
            KeyValue::new(names::ATTEMPTS, count(request.attempts.len())),
            KeyValue::new(names::KEPT, kept),
        ];
        if !request.target.is_empty() {
            attributes.push(KeyValue::new(names::TARGET, request.target.clone()));
        }
        if let Some(client) = &request.client {
            attributes.push(KeyValue::new(names::CLIENT, client.to_string()));
        }
        if let Some(status) = request.status {
            attributes.push(KeyValue::new(names::HTTP_STATUS, i64::from(status)));
        }
        attributes.extend(routing(request));
        let failed = request.is_failed();
        if failed {
            attributes.push(KeyValue::new(names::ERROR_TYPE, request.outcome));
        }
        // What is in the range of the caller's mistakes is none of this server's, even 429.
        let theirs = request
            .status
            .is_some_and(|status| (400..500).contains(&status));
        let status = if failed && !theirs {
            Status::error("")
        } else {
            Status::Unset
        };
        let mut span = self.span(context.span_id, name.into(), SpanKind::Server);
        (span.start_time, span.end_time) = (self.wall(request.started), self.wall(request.ended));
        if let Some((parent, _)) = context.parent {
            span.parent_span_id = span_id(parent);
            span.parent_span_is_remote = true;
        }
        SpanData {
            attributes,
            status,
            events: self.events_of_request(begun),
            ..span
        }
    }

    fn events_of_request(&self, begun: &[&AttemptRecord]) -> SpanEvents {
        let request = self.request;
        let mut all = Vec::new();
        let mut before: Option<&AttemptRecord> = None;
        for record in begun {
            for (place, refusal) in &record.passed_over {
                // Upstreams that the request has tried already did not decline it.
                if matches!(refusal.reason, Reason::Tried | Reason::KeysTried) {
                    continue;
                }
                all.push(self.declined(*place, refusal, record.started));
            }
            if record.waited {
                let waited = record.started.since(record.asked);
                let attributes = vec![
                    KeyValue::new(names::UPSTREAM, record.upstream.to_string()),
                    KeyValue::new(names::WAITED, waited.as_secs_f64()),
                ];
                all.push(self.event(names::WAIT, record.asked, attributes));
            }
            let name = match record.reason {
                AttemptReason::First => None,
                AttemptReason::Retry | AttemptReason::NextKey => Some(names::RETRY),
                AttemptReason::Failover => Some(names::FAILOVER),
                AttemptReason::Hedge | AttemptReason::DeadlineHedge => Some(names::HEDGE),
                AttemptReason::Continue | AttemptReason::Restart => Some(names::RESCUE),
            };
            if let Some(name) = name {
                let mut attributes = vec![
                    KeyValue::new(names::UPSTREAM, record.upstream.to_string()),
                    KeyValue::new(names::KEY, record.key.to_string()),
                    KeyValue::new(names::WHY, record.reason.as_str()),
                ];
                if let Some(before) = before {
                    attributes.push(KeyValue::new(names::FROM, before.upstream.to_string()));
                    if before.ended <= record.started {
                        attributes.push(KeyValue::new(names::REASON, before.class.as_str()));
                    }
                }
                all.push(self.event(name, record.started, attributes));
            }
            before = Some(record);
        }
        if let Some((at, refused)) = &request.refused {
            for (place, refusal) in &refused.declined {
                all.push(self.declined(*place, refusal, *at));
            }
            let cause = refused.cause.as_str();
            let reason = KeyValue::new(names::REASON, cause);
            all.push(self.event(names::REFUSED, *at, vec![reason]));
        }
        for note in &request.rescue_obstacles {
            let mut attributes = vec![KeyValue::new(names::REASON, note.obstacle.as_str())];
            if let Some(upstream) = &note.upstream {
                attributes.push(KeyValue::new(names::UPSTREAM, upstream.to_string()));
            }
            all.push(self.event(names::RESCUE_OBSTACLE, note.at, attributes));
        }
        if request.outcome == "caller_left" {
            all.push(self.event(names::CALLER_LEFT, request.ended, Vec::new()));
        }
        bounded(all)
    }

    fn attempt(&self, place: usize, record: &AttemptRecord) -> Option<SpanData> {
        let request = self.request;
        let operation = names::operation(request.operation);
        let model = record.upstream.model.as_str();
        let provider = &record.upstream.provider;
        let at = self.scenery.places.get(provider);
        let kind = at
            .map(|at| at.kind.as_str())
            .filter(|kind| !kind.is_empty());
        let kind = names::provider(kind.unwrap_or(provider.as_str()));
        let mut attributes = vec![
            KeyValue::new(names::GEN_AI_OPERATION, operation),
            KeyValue::new(names::GEN_AI_PROVIDER, kind.to_owned()),
            KeyValue::new(names::GEN_AI_REQUEST_MODEL, model.to_owned()),
            KeyValue::new(names::HTTP_METHOD, "POST"),
            KeyValue::new(names::UPSTREAM, record.upstream.to_string()),
            KeyValue::new(names::KEY, record.key.to_string()),
            KeyValue::new(names::WHY, record.reason.as_str()),
            KeyValue::new(names::OUTCOME, record.class.as_str()),
        ];
        let mut add = |name, value: Option<Value>| {
            attributes.extend(value.map(|value| KeyValue::new(name, value)));
        };
        add(
            names::GEN_AI_REQUEST_STREAM,
            request.stream.then_some(Value::Bool(true)),
        );
        let host = at.and_then(|at| at.host.clone());
        add(names::SERVER_ADDRESS, host.map(Value::from));
        let port = at.and_then(|at| at.port);
        add(names::SERVER_PORT, port.map(|port| Value::I64(port.into())));
        let status = record.status.map(|status| Value::I64(status.into()));
        add(names::HTTP_STATUS, status);
        add(
            names::HTTP_RESEND,
            (place > 0).then(|| Value::I64(count(place))),
        );
        let first = record.first_token;
        let first = first.map(|first| first.since(record.started).as_secs_f64());
        add(names::GEN_AI_FIRST_CHUNK, first.map(Value::F64));
        add_answer(record, &mut add);
        let good = matches!(record.class, Class::Success | Class::Cancelled);
        let class = (!good).then(|| record.class.as_str().into());
        add(names::ERROR_TYPE, class);
        let status = if good {
            Status::Unset
        } else {
            Status::error(self.detail(record))
        };
        let name = format!("{operation} {model}");
        let mut span = self.span(record.span?, name.into(), SpanKind::Client);
        span.parent_span_id = span_id(self.context.span_id);
        (span.start_time, span.end_time) = (self.wall(record.started), self.wall(record.ended));
        Some(SpanData {
            attributes,
            status,
            events: self.events_of_attempt(record),
            links: self.links(record),
            ..span
        })
    }

    /// What went wrong, where the words are ours; an upstream's own may repeat the prompt.
    fn detail(&self, record: &AttemptRecord) -> String {
        let ours = matches!(record.class, Class::Network | Class::Timeout);
        let detail = record.detail.as_deref().unwrap_or_default();
        match self.scenery.mask {
            Some(mask) => mask(detail),
            None if ours => detail.to_owned(),
            None => String::new(),
        }
    }

    fn events_of_attempt(&self, record: &AttemptRecord) -> SpanEvents {
        let mut all = Vec::new();
        if let Some(first) = record.first_token {
            all.push(self.event(names::FIRST_TOKEN, first, Vec::new()));
        }
        if !record.dropped.is_empty() {
            let names = record.dropped.names().map(|name| name.to_owned().into());
            let names: Vec<StringValue> = names.collect();
            let fields = KeyValue::new(names::FIELDS, Value::Array(Array::String(names)));
            all.push(self.event(names::DROPPED, record.started, vec![fields]));
        }
        if record.class == Class::Cancelled {
            let reason = KeyValue::new(names::REASON, self.cancelled_by(record));
            all.push(self.event(names::CANCELLED, record.ended, vec![reason]));
        }
        bounded(all)
    }

    fn cancelled_by(&self, record: &AttemptRecord) -> &'static str {
        let request = self.request;
        let raced = is_hedge(record)
            || request
                .attempts
                .iter()
                .any(|other| self.are_twins(other, record));
        match request.outcome {
            "caller_left" if record.ended == request.ended => "caller_left",
            "deadline_exceeded" => "deadline_exceeded",
            "draining" => "draining",
            _ if raced => "hedge_lost",
            "caller_left" => "caller_left",
            _ => "abandoned",
        }
    }

    /// Whether `hedge` was begun beside `other`.
    fn are_twins(&self, hedge: &AttemptRecord, other: &AttemptRecord) -> bool {
        is_hedge(hedge)
            && hedge.span != other.span
            && (other.started..=other.ended).contains(&hedge.started)
    }

    /// From an attempt that was made beside another one to that one.
    fn links(&self, record: &AttemptRecord) -> SpanLinks {
        let twin = self
            .request
            .attempts
            .iter()
            .filter(|other| self.are_twins(record, other))
            .max_by_key(|other| other.started);
        let link = twin.and_then(|twin| {
            let kind = KeyValue::new(names::LINK, "hedge_of");
            Some(Link::new(self.span_context(twin.span?), vec![kind], 0))
        });
        let mut links = SpanLinks::default();
        links.links.extend(link);
        links
    }

    /// A candidate that could not take an attempt.
    fn declined(&self, place: usize, refusal: &Refusal, at: Time) -> Event {
        let mut attributes = vec![KeyValue::new(names::REASON, refusal.reason.as_str())];
        let chain = self.request.chain.as_ref();
        if let Some(upstream) = chain.and_then(|chain| chain.upstreams.get(place)) {
            attributes.push(KeyValue::new(names::UPSTREAM, upstream.to_string()));
        }
        if let Some(until) = refusal.ready_at.filter(|until| *until != Time::NEVER) {
            attributes.push(KeyValue::new(names::UNTIL, rfc3339(self.wall(until))));
        }
        self.event(names::DECLINED, at, attributes)
    }

    fn event(&self, name: &'static str, at: Time, attributes: Vec<KeyValue>) -> Event {
        Event::new(name, self.wall(at), attributes, 0)
    }

    fn wall(&self, time: Time) -> SystemTime {
        let anchor = self.scenery.anchor;
        let wall = anchor.wall.saturating_add(time.since(anchor.time));
        let wall = wall.saturating_sub(anchor.time.since(time));
        UNIX_EPOCH.checked_add(wall).unwrap_or(UNIX_EPOCH)
    }

    fn span_context(&self, span: trace::SpanId) -> SpanContext {
        let trace_id = TraceId::from_bytes(self.context.trace_id.get().to_be_bytes());
        // Spans that are sent count as sampled, even if upstreams got another flag.
        let flags = TraceFlags::new(self.context.flags()).with_sampled(true);
        let state = self.context.state.as_deref();
        let state = state.and_then(|state| state.parse().ok());
        let state = state.unwrap_or(TraceState::NONE);
        SpanContext::new(trace_id, span_id(span), flags, false, state)
    }

    fn span(&self, id: trace::SpanId, name: Cow<'static, str>, span_kind: SpanKind) -> SpanData {
        SpanData {
            span_context: self.span_context(id),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind,
            name,
            start_time: UNIX_EPOCH,
            end_time: UNIX_EPOCH,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// The attempt whose answer the caller has, else the last one.
fn answering(request: &RequestRecord) -> Option<&AttemptRecord> {
    let mut latest = request.attempts.iter().rev();
    let served = latest.find(|record| record.class == Class::Success);
    served.or(request.attempts.last())
}

fn is_hedge(record: &AttemptRecord) -> bool {
    matches!(
        record.reason,
        AttemptReason::Hedge | AttemptReason::DeadlineHedge
    )
}

fn span_id(id: trace::SpanId) -> SpanId {
    SpanId::from_bytes(id.get().to_be_bytes())
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn bounded(mut all: Vec<Event>) -> SpanEvents {
    all.sort_by_key(|event| event.timestamp);
    let dropped = all.len().saturating_sub(MAX_EVENTS);
    all.truncate(MAX_EVENTS);
    let mut events = SpanEvents::default();
    events.events = all;
    events.dropped_count = u32::try_from(dropped).unwrap_or(u32::MAX);
    events
}

/// Adds the metadata of an attempt's answer.
fn add_answer(record: &AttemptRecord, add: &mut impl FnMut(&'static str, Option<Value>)) {
    if let Some(answered) = record.answered.as_deref() {
        let text = |text: &Option<Box<str>>| text.as_deref().map(|text| text.to_owned().into());
        add(names::GEN_AI_RESPONSE_ID, text(&answered.id));
        add(names::GEN_AI_RESPONSE_MODEL, text(&answered.model));
        let reasons = answered.finish_reasons.iter();
        let reasons: Vec<StringValue> = reasons.map(|reason| reason.to_string().into()).collect();
        let reasons = (!reasons.is_empty()).then_some(Value::Array(Array::String(reasons)));
        add(names::GEN_AI_FINISH_REASONS, reasons);
    }
    let usage = record.usage.unwrap_or_default();
    let tokens = |tokens: Option<u64>| Some(Value::I64(i64::try_from(tokens?).ok()?));
    add(names::GEN_AI_INPUT_TOKENS, tokens(usage.prompt_tokens));
    add(names::GEN_AI_OUTPUT_TOKENS, tokens(usage.completion_tokens));
    add(names::GEN_AI_CACHED_TOKENS, tokens(usage.cached_tokens));
    let reasoning = tokens(usage.reasoning_tokens);
    add(names::GEN_AI_REASONING_TOKENS, reasoning);
    let cost = record.cost;
    add(names::COST, cost.map(|cost| cost.amount.to_string().into()));
    add(names::COST_KIND, cost.map(|cost| cost.kind.as_str().into()));
}

#[cfg(test)]
mod tests;
