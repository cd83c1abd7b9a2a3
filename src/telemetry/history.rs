//! Counts of the requests that ended in the last quarter of an hour, in steps of five seconds, and of the attempts of
//! the last minute.
//!
//! Writing neither waits nor allocates, and nothing has to be cleared: each counter carries the step that it
//! counts for, and the first write of a later step starts it anew.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::request_record::RequestRecord;
use crate::domain::ids::Upstream;
use crate::domain::outcome::Class;
use crate::domain::time::Time;

/// How long a step is.
pub const STEP: Duration = Duration::from_secs(5);
/// How many steps are kept: a quarter of an hour.
pub const STEPS: usize = 180;
/// The span of the flow of attempts: the last minute, the step under way included.
const FLOW_STEPS: usize = 12;
/// The most pairs of target and upstream that are counted separately; further ones count as [`OTHER`].
const MOST_FLOWS: usize = 4096;
/// The name for targets and upstreams that are not configured.
pub const OTHER: &str = "other";

/// Times below 64 µs share one bucket; above, each doubling has eight equal parts, so that no quantile is off by
/// more than an eighth; 2^30 µs (18 minutes) and more share one bucket.
const LEAST_BITS: u32 = 6;
const MOST_BITS: u32 = 30;
const PARTS_BITS: u32 = 3;
const PARTS: u64 = 1 << PARTS_BITS;
/// One for what is below, 24 doublings of eight, one for what is above.
const BUCKETS: usize = 1 + 24 * 8 + 1;

/// One step of the history. Quantiles are of the requests that did not fail, because fast errors would hide
/// slowness; `None` where there was none.
#[derive(Clone, PartialEq, Debug)]
pub struct Point {
    /// When the step began.
    pub at: Time,
    /// Requests that ended in it.
    pub requests: u64,
    /// Those of them that failed ([`RequestRecord::is_failed`]).
    pub failed: u64,
    /// How often they went on to another upstream.
    pub failovers: u64,
    /// From arrival to end: half of them were faster, 95 and 99 of a hundred.
    pub total: Option<[Duration; 3]>,
    /// From arrival to the first content of a stream, likewise.
    pub first_token: Option<[Duration; 3]>,
}

/// What was sent where in the last minute, counted when its request ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flow {
    /// What was asked for, or [`OTHER`].
    pub target: String,
    /// Where it went, as `provider:model`, or [`OTHER`].
    pub upstream: String,
    /// The number of attempts.
    pub attempts: u64,
    /// Those of them that the upstream failed.
    pub failed: u64,
}

/// The history of this process.
#[derive(Debug)]
pub struct History {
    steps: Box<[HistoryStep]>,
    routes: ArcSwap<Routes>,
}

/// The step that a count is of, and the count: 32 bits each.
#[derive(Default, Debug)]
struct Counter(AtomicU64);

impl Counter {
    /// Counts in a step. A write after a later step has begun is dropped.
    fn add(&self, step: u32, more: u32) {
        let counted = |seen: u64| {
            let (of, count) = parts(seen);
            let count = if of == step { count } else { 0 };
            let next = u64::from(step) << 32 | u64::from(count.saturating_add(more));
            (of <= step).then_some(next)
        };
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted);
    }

    fn get(&self, step: u32) -> u64 {
        let (of, count) = parts(self.0.load(Ordering::Relaxed));
        if of == step { u64::from(count) } else { 0 }
    }
}

fn parts(packed: u64) -> (u32, u32) {
    let low = u32::try_from(packed & u64::from(u32::MAX)).unwrap_or_default();
    (u32::try_from(packed >> 32).unwrap_or_default(), low)
}

#[derive(Debug)]
struct HistoryStep {
    requests: Counter,
    failed: Counter,
    failovers: Counter,
    total: Spread,
    first_token: Spread,
}

/// How often each time was seen.
#[derive(Debug)]
struct Spread([Counter; BUCKETS]);

impl Spread {
    fn new() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }

    fn add(&self, step: u32, time: Duration) {
        if let Some(counter) = self.0.get(bucket(time)) {
            counter.add(step, 1);
        }
    }

    /// The times that 500, 950 and 990 of a thousand do not exceed.
    fn quantiles(&self, step: u32) -> Option<[Duration; 3]> {
        let counts: Vec<u64> = self.0.iter().map(|counter| counter.get(step)).collect();
        let all: u64 = counts.iter().sum();
        (all > 0).then(|| [500, 950, 990].map(|permille| quantile(&counts, all, permille)))
    }
}

fn quantile(counts: &[u64], all: u64, permille: u64) -> Duration {
    let rank = (all * permille).div_ceil(1000).max(1);
    let mut before = 0;
    for (at, count) in counts.iter().enumerate() {
        if before + count >= rank {
            let (low, high) = bounds(at);
            // As if those of a bucket were spread evenly over it.
            let micros = low + (high - low) * (2 * (rank - before) - 1) / (2 * count);
            return Duration::from_micros(micros);
        }
        before += count;
    }
    Duration::ZERO
}

fn bucket(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let Some(bits) = micros.checked_ilog2().filter(|bits| *bits >= LEAST_BITS) else {
        return 0;
    };
    if bits >= MOST_BITS {
        return BUCKETS - 1;
    }
    let part = (micros >> (bits - PARTS_BITS)) % PARTS;
    let doubling = u64::from(bits - LEAST_BITS);
    usize::try_from(1 + doubling * PARTS + part).unwrap_or(BUCKETS - 1)
}

/// The least time of a bucket and the least of the next one, in microseconds.
fn bounds(bucket: usize) -> (u64, u64) {
    let Some(at) = u64::try_from(bucket).unwrap_or_default().checked_sub(1) else {
        return (0, 1 << LEAST_BITS);
    };
    let (doubling, part) = (at / PARTS, PARTS + at % PARTS);
    let low = |part: u64| part << doubling << (LEAST_BITS - PARTS_BITS);
    let last = bucket == BUCKETS - 1;
    (low(part), low(if last { part } else { part + 1 }))
}

/// The pairs that are counted separately.
#[derive(Default, Debug)]
struct Routes {
    known: HashMap<Box<str>, HashMap<Upstream, Arc<AttemptCounts>>>,
    other: Arc<AttemptCounts>,
}

#[derive(Default, Debug)]
struct AttemptCounts {
    attempts: [Counter; FLOW_STEPS],
    failed: [Counter; FLOW_STEPS],
}

impl Routes {
    fn counts(&self, target: &str, upstream: &Upstream) -> &AttemptCounts {
        let known = self.known.get(target).and_then(|it| it.get(upstream));
        known.unwrap_or(&self.other)
    }
}

impl Default for History {
    fn default() -> Self {
        let step = |_| HistoryStep {
            requests: Counter::default(),
            failed: Counter::default(),
            failovers: Counter::default(),
            total: Spread::new(),
            first_token: Spread::new(),
        };
        Self {
            steps: (0..STEPS).map(step).collect(),
            routes: ArcSwap::default(),
        }
    }
}

impl History {
    /// Sets the chains that are counted separately; counts of those that stay are kept.
    pub fn follow<'a>(&self, chains: impl IntoIterator<Item = (&'a str, &'a [Upstream])>) {
        let old = self.routes.load();
        let mut routes = Routes {
            known: HashMap::new(),
            other: Arc::clone(&old.other),
        };
        let pairs = chains.into_iter().flat_map(|(target, upstreams)| {
            let upstreams = upstreams.iter();
            upstreams.map(move |upstream| (target, upstream))
        });
        for (target, upstream) in pairs.take(MOST_FLOWS) {
            let counted = old.known.get(target).and_then(|it| it.get(upstream));
            let counts = counted.map(Arc::clone).unwrap_or_default();
            let known = routes.known.entry(target.into()).or_default();
            known.insert(upstream.clone(), counts);
        }
        self.routes.store(Arc::new(routes));
    }

    /// Counts a request that has ended: some additions to atomics.
    pub fn ended(&self, request: &RequestRecord) {
        let step = step_of(request.ended);
        let Some(slot) = self.slot(step) else {
            return;
        };
        slot.requests.add(step, 1);
        if request.is_failed() {
            slot.failed.add(step, 1);
        } else if request.is_admitted() {
            slot.total.add(step, request.total());
            if let Some(time) = request.first_token {
                slot.first_token.add(step, time.since(request.started));
            }
        }
        let failovers = request.failovers();
        if failovers > 0 {
            let failovers = u32::try_from(failovers).unwrap_or(u32::MAX);
            slot.failovers.add(step, failovers);
        }
        if request.attempts.is_empty() {
            return;
        }
        let routes = self.routes.load();
        let at = flow_slot(step);
        for record in &request.attempts {
            let counts = routes.counts(&request.target, &record.upstream);
            if let Some(counter) = counts.attempts.get(at) {
                counter.add(step, 1);
            }
            if let Some(counter) = counts.failed.get(at).filter(|_| is_failure(record.class)) {
                counter.add(step, 1);
            }
        }
    }

    /// At most the last [`STEPS`] steps as seen at `now`, none from before the start, oldest first; the last one is
    /// still under way.
    pub fn points(&self, now: Time) -> Vec<Point> {
        let last = step_of(now);
        let steps = (0..u32::try_from(STEPS).unwrap_or(u32::MAX)).rev();
        steps
            .filter_map(|back| last.checked_sub(back))
            .filter_map(|step| {
                let slot = self.slot(step)?;
                Some(Point {
                    at: Time::ZERO + STEP * step,
                    requests: slot.requests.get(step),
                    failed: slot.failed.get(step),
                    failovers: slot.failovers.get(step),
                    total: slot.total.quantiles(step),
                    first_token: slot.first_token.quantiles(step),
                })
            })
            .collect()
    }

    /// What was sent where in the last minute as seen at `now`, by target, the most attempts first.
    pub fn flows(&self, now: Time) -> Vec<Flow> {
        let last = step_of(now);
        let sum = |counters: &[Counter; FLOW_STEPS]| -> u64 {
            let steps = (0..u32::try_from(FLOW_STEPS).unwrap_or_default())
                .filter_map(|back| last.checked_sub(back));
            steps
                .filter_map(|step| Some(counters.get(flow_slot(step))?.get(step)))
                .sum()
        };
        let flow = |target: &str, upstream: String, counts: &AttemptCounts| Flow {
            target: target.to_owned(),
            upstream,
            attempts: sum(&counts.attempts),
            failed: sum(&counts.failed),
        };
        let routes = self.routes.load();
        let known = routes.known.iter().flat_map(|(target, upstreams)| {
            let each = upstreams.iter();
            each.map(move |(upstream, counts)| flow(target, upstream.to_string(), counts))
        });
        let mut flows: Vec<Flow> = known.filter(|flow| flow.attempts > 0).collect();
        flows.sort_by(|a, b| {
            let by_target = a.target.cmp(&b.target);
            let by_size = by_target.then(b.attempts.cmp(&a.attempts));
            by_size.then(a.upstream.cmp(&b.upstream))
        });
        let other = flow(OTHER, OTHER.to_owned(), &routes.other);
        flows.extend(Some(other).filter(|flow| flow.attempts > 0));
        flows
    }

    fn slot(&self, step: u32) -> Option<&HistoryStep> {
        self.steps.get(usize::try_from(step).ok()? % STEPS)
    }
}

/// Steps since the start.
fn step_of(at: Time) -> u32 {
    let seconds = at.since(Time::ZERO).as_secs();
    u32::try_from(seconds / STEP.as_secs()).unwrap_or(u32::MAX)
}

fn flow_slot(step: u32) -> usize {
    usize::try_from(step).unwrap_or_default() % FLOW_STEPS
}

/// Whether the upstream failed. A caller's fault is no failure, nor is an attempt
/// whose answer was no longer needed.
fn is_failure(class: Class) -> bool {
    !matches!(
        class,
        Class::Success | Class::CallerFault | Class::ContentPolicy | Class::Cancelled
    )
}

#[cfg(test)]
mod tests;
