//! What each upstream did since the process began, as the page of an older gateway (`GET /stats`) tells it: calls that
//! served and that failed, tokens, and how long those that served took.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::request_record::RequestRecord;
use crate::domain::attempt_record::AttemptRecord;
use crate::domain::hash_map::HashMap;
use crate::domain::ids::Upstream;
use crate::domain::outcome::Class;

/// So many of the latest times are told.
const KEPT: usize = 16;

/// Counts by upstream.
#[derive(Debug, Default)]
pub struct Totals {
    upstreams: ArcSwap<HashMap<Upstream, Arc<Counts>>>,
}

#[derive(Debug)]
struct Counts {
    served: AtomicU64,
    failed: AtomicU64,
    /// Failures since the last call that served.
    in_a_row: AtomicU64,
    input: AtomicU64,
    output: AtomicU64,
    /// In nanoseconds.
    shortest: AtomicU64,
    longest: AtomicU64,
    sum: AtomicU64,
    latest: [AtomicU64; KEPT],
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            served: AtomicU64::default(),
            failed: AtomicU64::default(),
            in_a_row: AtomicU64::default(),
            input: AtomicU64::default(),
            output: AtomicU64::default(),
            shortest: AtomicU64::new(u64::MAX),
            longest: AtomicU64::default(),
            sum: AtomicU64::default(),
            latest: std::array::from_fn(|_| AtomicU64::default()),
        }
    }
}

/// The counts of one upstream.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UpstreamTotals {
    /// Calls that served.
    pub served: u64,
    /// Calls that did not.
    pub failed: u64,
    /// Of these, those since the last one that served.
    pub failed_in_a_row: u64,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// The shortest and the longest time of a call that served.
    pub range: Option<(Duration, Duration)>,
    /// All of these times together.
    pub sum: Duration,
    /// The latest of them, in no order.
    pub latest: Vec<Duration>,
}

impl Totals {
    /// Sets the upstreams that are counted; counts of those that stay are kept.
    pub fn follow<'a>(&self, upstreams: impl IntoIterator<Item = &'a Upstream>) {
        let old = self.upstreams.load();
        let mut new: HashMap<Upstream, Arc<Counts>> = HashMap::default();
        for upstream in upstreams {
            let counted = old.get(upstream).map(Arc::clone);
            new.entry(upstream.clone())
                .or_insert_with(|| counted.unwrap_or_default());
        }
        self.upstreams.store(Arc::new(new));
    }

    /// Counts the calls of a request that has ended: some additions to atomics.
    pub(super) fn ended(&self, request: &RequestRecord) {
        let upstreams = self.upstreams.load();
        for record in &request.attempts {
            if let Some(counts) = upstreams.get(&record.upstream) {
                counts.add(record);
            }
        }
    }

    /// The counts of an upstream; `None` for one that is not counted.
    pub fn of(&self, upstream: &Upstream) -> Option<UpstreamTotals> {
        let upstreams = self.upstreams.load();
        upstreams.get(upstream).map(|counts| counts.read())
    }
}

impl Counts {
    fn add(&self, record: &AttemptRecord) {
        if let Some(usage) = record.usage {
            self.input
                .fetch_add(usage.prompt_tokens.unwrap_or(0), Relaxed);
            self.output
                .fetch_add(usage.completion_tokens.unwrap_or(0), Relaxed);
        }
        match record.class {
            Class::Success => {}
            // Its caller left, or another attempt was faster: that says nothing of the upstream.
            Class::Cancelled => return,
            _ => {
                self.failed.fetch_add(1, Relaxed);
                self.in_a_row.fetch_add(1, Relaxed);
                return;
            }
        }
        let took = record.ended.since(record.started).as_nanos();
        let took = u64::try_from(took).unwrap_or(u64::MAX);
        let before = self.served.fetch_add(1, Relaxed);
        self.in_a_row.store(0, Relaxed);
        self.shortest.fetch_min(took, Relaxed);
        self.longest.fetch_max(took, Relaxed);
        self.sum.fetch_add(took, Relaxed);
        let place = usize::try_from(before).unwrap_or(0) % KEPT;
        if let Some(latest) = self.latest.get(place) {
            latest.store(took, Relaxed);
        }
    }

    fn read(&self) -> UpstreamTotals {
        let nanos = |count: &AtomicU64| Duration::from_nanos(count.load(Relaxed));
        let served = self.served.load(Relaxed);
        let kept = usize::try_from(served).unwrap_or(KEPT).min(KEPT);
        UpstreamTotals {
            served,
            failed: self.failed.load(Relaxed),
            failed_in_a_row: self.in_a_row.load(Relaxed),
            input_tokens: self.input.load(Relaxed),
            output_tokens: self.output.load(Relaxed),
            range: (served > 0).then(|| (nanos(&self.shortest), nanos(&self.longest))),
            sum: nanos(&self.sum),
            latest: self.latest.iter().take(kept).map(nanos).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::KeyId;
    use crate::domain::time::Time;
    use crate::domain::usage::Usage;

    fn attempt(upstream: &Upstream, class: Class, millis: u64) -> AttemptRecord {
        let key = KeyId {
            provider: upstream.provider.clone(),
            index: 1,
        };
        AttemptRecord {
            class,
            ended: Time::from_millis(millis),
            usage: Some(Usage {
                prompt_tokens: Some(10),
                completion_tokens: Some(3),
                ..Usage::default()
            }),
            ..AttemptRecord::new(upstream.clone(), key, Time::ZERO)
        }
    }

    #[test]
    fn calls_are_counted_and_those_of_upstreams_that_stay_go_on() {
        let (one, other) = (Upstream::new("a", "m"), Upstream::new("b", "m"));
        let totals = Totals::default();
        totals.follow([&one]);
        let count = |record: &AttemptRecord| {
            if let Some(counts) = totals.upstreams.load().get(&record.upstream) {
                counts.add(record);
            }
        };
        for (class, millis) in [
            (Class::Success, 100),
            (Class::Success, 300),
            (Class::Overloaded, 5),
            (Class::Cancelled, 9),
        ] {
            count(&attempt(&one, class, millis));
        }
        count(&attempt(&other, Class::Success, 1));
        totals.follow([&one, &other]);
        let millis = Duration::from_millis;
        let expected = UpstreamTotals {
            served: 2,
            failed: 1,
            failed_in_a_row: 1,
            input_tokens: 40,
            output_tokens: 12,
            range: Some((millis(100), millis(300))),
            sum: millis(400),
            latest: vec![millis(100), millis(300)],
        };
        assert_eq!(totals.of(&one), Some(expected));
        assert_eq!(totals.of(&other), Some(UpstreamTotals::default()));
        assert_eq!(totals.of(&Upstream::new("c", "m")), None);
    }
}
