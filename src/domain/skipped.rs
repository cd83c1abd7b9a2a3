//! The upstreams of a chain that a failed request did not ask, and why: a part of its error.
//! No I/O, no clock, no logging.

use super::attempt_record::AttemptRecord;
use super::ids::Upstream;
use super::refusal::{Reason, Refusal};
use super::time::Time;

/// One upstream that was not asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skipped {
    /// The upstream.
    pub upstream: Upstream,
    /// Why; `None`: the request ended before it was its turn.
    pub reason: Option<Reason>,
    /// When it can be asked, if that is known.
    pub ready_at: Option<Time>,
}

impl Skipped {
    /// The reason's name in error bodies.
    pub fn reason(&self) -> &'static str {
        self.reason.map_or("not_reached", Reason::as_str)
    }
}

/// Those upstreams of `chain` that none of `records` went to.
///
/// `declined` is the tree's last refusal of each place, `closed` what the request itself ruled out. Without either, the
/// refusal at the time of an attempt that passed the upstream over is used.
pub fn skipped(
    chain: &[Upstream],
    closed: &[Option<Reason>],
    declined: &[(usize, Refusal)],
    records: &[AttemptRecord],
) -> Vec<Skipped> {
    let asked = |upstream: &Upstream| records.iter().any(|record| record.upstream == *upstream);
    let places = chain.iter().enumerate();
    let unasked = places.filter(|(_, upstream)| !asked(upstream));
    let skipped = unasked.map(|(place, upstream)| {
        let by_place = |all: &[(usize, Refusal)]| {
            let said = all.iter().find(|(at, _)| *at == place);
            said.map(|(_, refusal)| *refusal)
        };
        let ruled_out = || {
            closed
                .get(place)
                .copied()
                .flatten()
                .map(Refusal::open_ended)
        };
        let passed_over = || {
            let latest_first = records.iter().rev();
            let mut said = latest_first.filter_map(|record| by_place(&record.passed_over));
            said.next()
        };
        let refusal = by_place(declined).or_else(ruled_out).or_else(passed_over);
        Skipped {
            upstream: upstream.clone(),
            reason: refusal.map(|refusal| refusal.reason),
            ready_at: refusal
                .and_then(|refusal| refusal.ready_at)
                .filter(|ready| *ready != Time::NEVER),
        }
    });
    skipped.collect()
}

#[cfg(test)]
mod tests {
    use super::super::ids::KeyId;
    use super::*;

    #[test]
    fn who_was_not_asked_is_told_with_the_latest_reason() {
        let chain: Vec<Upstream> = ["a", "b", "c", "d", "e"]
            .into_iter()
            .map(|name| Upstream::new(name, "m"))
            .collect();
        let until = |seconds: u64| Time::from_millis(seconds * 1000);
        let key = KeyId {
            provider: chain[1].provider.clone(),
            index: 1,
        };
        let mut record = AttemptRecord::new(chain[1].clone(), key, Time::ZERO);
        record.passed_over = vec![
            (0, Refusal::until(Reason::Cooling, until(5))),
            (3, Refusal::until(Reason::BreakerOpen, Time::NEVER)),
        ];
        let declined = [(0, Refusal::until(Reason::Exhausted, until(9)))];
        let closed = [None, None, Some(Reason::TooLarge), None, None];
        let told = skipped(&chain, &closed, &declined, &[record]);
        let told: Vec<_> = told
            .iter()
            .map(|one| (one.upstream.to_string(), one.reason(), one.ready_at))
            .collect();
        assert_eq!(
            told,
            [
                ("a:m".to_owned(), "quota_exhausted", Some(until(9))),
                ("c:m".to_owned(), "too_large", None),
                ("d:m".to_owned(), "breaker_open", None),
                ("e:m".to_owned(), "not_reached", None),
            ]
        );
    }
}
