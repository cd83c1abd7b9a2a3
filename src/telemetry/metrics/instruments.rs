//! The instruments that count as things happen.

use std::sync::OnceLock;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram, Meter};

use super::specs::{self, InstrumentKind, Spec};
use crate::domain::attempt_record::CacheLookup;

/// All instruments.
#[derive(Debug)]
pub(super) struct Instruments {
    pub(super) http: Histogram<f64>,
    pub(super) requests: Counter<u64>,
    pub(super) request_durations: Histogram<f64>,
    pub(super) request_attempts: BoundHistogram<u64>,
    pub(super) overhead: BoundHistogram<f64>,
    /// Of those that were served, and of those that were not.
    pub(super) waits: [BoundHistogram<f64>; 2],
    pub(super) attempts: Counter<u64>,
    pub(super) durations: Histogram<f64>,
    pub(super) first_chunks: Histogram<f64>,
    pub(super) usage: Histogram<u64>,
    pub(super) per_token: Histogram<f64>,
    pub(super) tokens: Counter<u64>,
    pub(super) cost: Counter<f64>,
    pub(super) ranked_places: Histogram<u64>,
    pub(super) affinity: Counter<u64>,
    pub(super) failed_conditions: Counter<u64>,
    /// By what came of the look for an answer, as in [`CacheLookup::TOLD`].
    pub(super) cache_lookups: [BoundCounter<u64>; CacheLookup::TOLD.len()],
    pub(super) saved_tokens: BoundCounter<u64>,
    pub(super) saved_cost: Counter<f64>,
    /// Used where a table has no place for a number, which does not happen.
    pub(super) stray: OnceLock<BoundCounter<u64>>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        let waits = times(meter, &specs::WAITS_TAKEN);
        let waits =
            ["admitted", "timed_out"].map(|word| waits.bind(&[KeyValue::new("result", word)]));
        let lookups = counter(meter, &specs::CACHE_LOOKUPS);
        let cache_lookups = CacheLookup::TOLD.map(|found| {
            let word = found.as_str().unwrap_or_default();
            lookups.bind(&[KeyValue::new("result", word)])
        });
        Self {
            http: times(meter, &specs::HTTP_DURATION),
            requests: counter(meter, &specs::REQUESTS),
            request_durations: times(meter, &specs::REQUEST_DURATION),
            request_attempts: counts(meter, &specs::REQUEST_ATTEMPTS).bind(&[]),
            overhead: times(meter, &specs::OVERHEAD).bind(&[]),
            waits,
            attempts: counter(meter, &specs::ATTEMPTS),
            durations: times(meter, &specs::OPERATION_DURATION),
            first_chunks: times(meter, &specs::FIRST_CHUNK),
            usage: counts(meter, &specs::TOKEN_USAGE),
            per_token: times(meter, &specs::PER_OUTPUT_TOKEN),
            tokens: counter(meter, &specs::TOKENS_USED),
            cost: sums(meter, &specs::COST),
            ranked_places: counts(meter, &specs::RANKED_PLACE),
            affinity: counter(meter, &specs::AFFINITY),
            failed_conditions: counter(meter, &specs::CONDITIONS_FAILED),
            cache_lookups,
            saved_tokens: counter(meter, &specs::CACHE_SAVED_TOKENS).bind(&[]),
            saved_cost: sums(meter, &specs::CACHE_SAVED_COST),
            stray: OnceLock::new(),
        }
    }
}

fn counter(meter: &Meter, spec: &Spec) -> Counter<u64> {
    meter
        .u64_counter(spec.name)
        .with_unit(spec.unit)
        .with_description(spec.about)
        .build()
}

fn sums(meter: &Meter, spec: &Spec) -> Counter<f64> {
    meter
        .f64_counter(spec.name)
        .with_unit(spec.unit)
        .with_description(spec.about)
        .build()
}

fn bounds(spec: &Spec) -> Vec<f64> {
    match spec.kind {
        InstrumentKind::Histogram(bounds) => bounds.to_vec(),
        InstrumentKind::Counter | InstrumentKind::Gauge => Vec::new(),
    }
}

fn times(meter: &Meter, spec: &Spec) -> Histogram<f64> {
    meter
        .f64_histogram(spec.name)
        .with_unit(spec.unit)
        .with_description(spec.about)
        .with_boundaries(bounds(spec))
        .build()
}

fn counts(meter: &Meter, spec: &Spec) -> Histogram<u64> {
    meter
        .u64_histogram(spec.name)
        .with_unit(spec.unit)
        .with_description(spec.about)
        .with_boundaries(bounds(spec))
        .build()
}
