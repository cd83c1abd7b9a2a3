//! What is counted of a request when it has ended.

use std::time::Duration;

use opentelemetry::KeyValue;

use super::instruments::Instruments;
use super::tables::{INPUT, OUTPUT, OfUpstream, Tables};
use crate::domain::attempt_record::{AttemptRecord, CacheLookup};
use crate::domain::attempts::Cause;
use crate::domain::dialect::Operation;
use crate::domain::outcome::{Class, Retry};
use crate::domain::time::Time;
use crate::domain::usage::Usage;
use crate::telemetry::request_record::RequestRecord;

/// Counts a request and its attempts.
pub(super) fn record(request: &RequestRecord, instruments: &Instruments, tables: &Tables) {
    count_request(request, instruments, tables);
    // It reached dispatch, even if no upstream could be asked, or was served without them, and its caller waited for the
    // end.
    let dispatched =
        !request.attempts.is_empty() || request.refused.is_some() || request.lookup.is_served();
    if dispatched && request.outcome != "caller_left" {
        let durations = tables.request_durations(instruments, target(request));
        if let Some(durations) = durations {
            durations.record(request.total().as_secs_f64());
        }
    }
    if request.routing.is_some() {
        ranked(request, instruments, tables);
    }
    cached(request, instruments);
    for record in &request.attempts {
        attempt(request, record, instruments, tables);
    }
    let attempts = u64::try_from(request.attempts.len()).unwrap_or(u64::MAX);
    instruments.request_attempts.record(attempts);
    let [admitted, timed_out] = &instruments.waits;
    let waited = request.attempts.iter().filter(|record| record.waited);
    for record in waited {
        admitted.record(seconds(record.asked, record.started));
    }
    match &request.refused {
        None if attempts > 0 => {
            let own = request.total().saturating_sub(elsewhere(request));
            instruments.overhead.record(own.as_secs_f64());
        }
        Some((at, refused)) if refused.cause == Cause::TimeUp => {
            let ends = request.attempts.iter().map(|record| record.ended);
            let since = ends.max().unwrap_or(request.complete);
            timed_out.record(seconds(since, *at));
        }
        _ => {}
    }
}

/// A request that was refused on arrival.
pub(super) fn count_request(request: &RequestRecord, instruments: &Instruments, tables: &Tables) {
    let client = request.client.as_deref();
    let requests = tables.requests(instruments, client, target(request), request.outcome);
    requests.add(1);
    let key = (request.operation, request.status, request.outcome);
    let duration = tables.http.get(key, || {
        let route = request.operation.spec().route;
        // A caller that leaves is no error.
        let error =
            (!matches!(request.outcome, "answered" | "caller_left")).then_some(request.outcome);
        let status = request.status.map(i64::from);
        let labels = [
            error.map(|error| KeyValue::new("error.type", error)),
            Some(KeyValue::new("http.request.method", "POST")),
            status.map(|status| KeyValue::new("http.response.status_code", status)),
            Some(KeyValue::new("http.route", route)),
        ];
        let labels: Vec<KeyValue> = labels.into_iter().flatten().collect();
        instruments.http.bind(&labels)
    });
    duration.record(request.total().as_secs_f64());
}

/// What was asked for; it may have several names.
fn target(request: &RequestRecord) -> &str {
    request
        .chain
        .as_ref()
        .map_or(&*request.target, |it| &*it.target)
}

/// What came of the look for an answer that is there, and what that saved.
fn cached(request: &RequestRecord, instruments: &Instruments) {
    let all = CacheLookup::TOLD.iter().zip(&instruments.cache_lookups);
    let mut own = all.filter(|(found, _)| **found == request.lookup);
    if let Some((_, count)) = own.next() {
        count.add(1);
    }
    if let Some(saved) = request.saved.filter(|_| request.lookup.is_served()) {
        instruments.saved_tokens.add(saved.tokens);
        instruments.saved_cost.add(saved.cost.to_f64(), &[]);
    }
}

/// Where a request was served that its target was ranked for.
fn ranked(request: &RequestRecord, instruments: &Instruments, tables: &Tables) {
    let target = target(request);
    if let Some(place) = request.ranked_place() {
        let places = tables.ranked_places(instruments, target);
        let place = u64::try_from(place).unwrap_or(u64::MAX);
        places.into_iter().for_each(|places| places.record(place));
    }
    if let Some(outcome) = request.affinity() {
        let counts = tables.affinity(instruments, target, outcome);
        counts.into_iter().for_each(|count| count.add(1));
    }
    let failed = request.failed_conditions();
    if failed > 0 {
        let count = tables.failed_conditions(instruments, target);
        count.into_iter().for_each(|count| count.add(failed));
    }
}

fn attempt(
    request: &RequestRecord,
    record: &AttemptRecord,
    instruments: &Instruments,
    tables: &Tables,
) {
    let (number, table) = tables.upstream(&record.upstream);
    let attempts = table.attempts(instruments, record.class, record.reason);
    attempts.add(1);
    let durations = table.durations(instruments, request.operation, record.class);
    durations.record(seconds(record.started, record.ended));
    if let Some(usage) = record.usage {
        tokens(request.operation, usage, table, instruments);
        per_token(record, usage, table, instruments);
    }
    if let Some(cost) = &record.cost {
        let client = request.client.as_deref();
        let costs = tables.costs(instruments, client, (number, table), cost.kind);
        if let Some(costs) = costs {
            costs.add(cost.amount.to_f64());
        }
    }
    if let Some(first) = record.first_token {
        let first_chunks = table.first_chunks(instruments, request.operation);
        first_chunks.record(seconds(record.started, first));
    }
}

fn tokens(operation: Operation, usage: Usage, table: &OfUpstream, instruments: &Instruments) {
    for (direction, count) in [
        (INPUT, usage.prompt_tokens),
        (OUTPUT, usage.completion_tokens),
    ] {
        if let Some(count) = count {
            let usage = table.usage(instruments, operation, direction);
            usage.record(count);
        }
    }
    for (kind, count) in [
        (INPUT, usage.prompt_tokens),
        (OUTPUT, usage.completion_tokens),
        ("cached_input", usage.cached_tokens),
        ("cache_write", Some(u64::from(usage.details.cache_write))),
        ("reasoning", usage.reasoning_tokens),
    ] {
        if let Some(count) = count.filter(|count| *count > 0) {
            table.tokens(instruments, kind).add(count);
        }
    }
}

/// Of a stream, the first of its tokens left out: that one is waited for, not written.
fn per_token(record: &AttemptRecord, usage: Usage, table: &OfUpstream, instruments: &Instruments) {
    let count = usage.completion_tokens.unwrap_or_default();
    let (Some(first), Some(rest)) = (record.first_token, count.checked_sub(1)) else {
        return;
    };
    if let (Ok(rest @ 1..), Class::Success) = (u32::try_from(rest), record.class) {
        let each = seconds(first, record.ended) / f64::from(rest);
        table.per_token(instruments).record(each);
    }
}

/// The time that was spent waiting for others: the caller's body, a key, the pause before a retry, upstreams.
/// Overlapping times count once.
fn elsewhere(request: &RequestRecord) -> Duration {
    let mut covered = request.complete.since(request.started);
    let mut until = request.complete;
    let mut add = |from: Time, to: Time| {
        let from = from.max(until);
        if to > from {
            covered += to.since(from);
            until = to;
        }
    };
    // In the order in which they ended; for the union they are needed by their start.
    let mut in_order: [Option<&AttemptRecord>; MOST] = [None; MOST];
    let records = request.attempts.iter().take(MOST);
    let count = records.clone().count();
    for (place, record) in in_order.iter_mut().zip(records) {
        *place = Some(record);
    }
    if let Some(known) = in_order.get_mut(..count) {
        known.sort_unstable_by_key(|record| record.map(|record| record.started));
    }
    let (mut before, mut paused) = (request.complete, false);
    for record in in_order.into_iter().flatten() {
        // The pause is made before it is known whether the same upstream can still be asked.
        if paused {
            add(before, record.asked);
        }
        paused = record.class.retry() == Retry::SameUpstream;
        if record.waited {
            add(record.asked, record.started);
        }
        add(record.started, record.ended);
        before = before.max(record.ended);
    }
    covered
}

/// More attempts than a request may have by default; of those beyond nothing is subtracted.
const MOST: usize = 48;

fn seconds(from: Time, to: Time) -> f64 {
    to.since(from).as_secs_f64()
}
