//! Under overload a process refuses more requests than the log should have: of each kind of refusal a limited number of
//! lines a second is logged, and once a second one line gives the number of the others.
//!
//! Only requests for which nothing was sent are left out. Metrics and traces are not affected.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::domain::error_code::ErrorCode;
use crate::domain::time::Time;

/// Lines of one code in a second.
const PER_SECOND: u64 = 10;
/// The interval of the lines that give the number of the others.
const EVERY: Duration = Duration::from_secs(1);

static OVERLOADED: Thinned = Thinned::new();
static WAITING_ROOM_FULL: Thinned = Thinned::new();
static CLIENT_OVERLOADED: Thinned = Thinned::new();
static CLIENT_RATE_LIMITED: Thinned = Thinned::new();
static CLIENT_BUDGET_EXHAUSTED: Thinned = Thinned::new();

/// The refusals of one kind.
struct Thinned {
    /// The second of the last one, and in the last [`COUNT`] bits how many it had.
    seen: AtomicU64,
    left_out: AtomicU64,
}

const COUNT: u32 = 8;

impl Thinned {
    const fn new() -> Self {
        Self {
            seen: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
        }
    }

    /// Whether the refusal at `now` is logged.
    fn admits(&self, now: Time) -> bool {
        let second = now.as_nanos() / 1_000_000_000;
        let admitted = self.seen.fetch_update(Relaxed, Relaxed, |seen| {
            let count = seen & ((1 << COUNT) - 1);
            if seen >> COUNT == second {
                (count < PER_SECOND).then(|| seen + 1)
            } else {
                Some(second << COUNT | 1)
            }
        });
        if admitted.is_err() {
            self.left_out.fetch_add(1, Relaxed);
        }
        admitted.is_ok()
    }

    /// How many were left out since the last time.
    fn take(&self) -> Option<u64> {
        Some(self.left_out.swap(0, Relaxed)).filter(|count| *count > 0)
    }
}

/// Whether a request that ended like this at `now`, before anything was sent for it, is logged.
pub(super) fn is_told(outcome: &str, now: Time) -> bool {
    let kinds = [
        (ErrorCode::Overloaded, &OVERLOADED),
        (ErrorCode::WaitingRoomFull, &WAITING_ROOM_FULL),
        (ErrorCode::ClientOverloaded, &CLIENT_OVERLOADED),
        (ErrorCode::ClientRateLimited, &CLIENT_RATE_LIMITED),
        (ErrorCode::ClientBudgetExhausted, &CLIENT_BUDGET_EXHAUSTED),
    ];
    let mut kinds = kinds.into_iter();
    let kind = kinds.find(|(code, _)| code.as_str() == outcome);
    kind.is_none_or(|(_, thinned)| thinned.admits(now))
}

/// Logs how many lines were left out since the last time, if any were.
pub fn tell() {
    let overloaded = OVERLOADED.take();
    let waiting_room_full = WAITING_ROOM_FULL.take();
    let client_overloaded = CLIENT_OVERLOADED.take();
    let client_rate_limited = CLIENT_RATE_LIMITED.take();
    let client_budget_exhausted = CLIENT_BUDGET_EXHAUSTED.take();
    let all = [
        overloaded,
        waiting_room_full,
        client_overloaded,
        client_rate_limited,
        client_budget_exhausted,
    ];
    if all.iter().any(Option::is_some) {
        tracing::warn!(
            overloaded,
            waiting_room_full,
            client_overloaded,
            client_rate_limited,
            client_budget_exhausted,
            "refusals not logged"
        );
    }
}

/// Does that once a second, and never ends.
pub async fn telling() {
    loop {
        tokio::time::sleep(EVERY).await;
        tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_second_are_logged_and_the_rest_is_counted() {
        let thinned = Thinned::new();
        for second in [0, 1, 7] {
            let now = |n: u64| Time::from_millis(1000 * second + n);
            let logged = (0..900_u64).filter(|n| thinned.admits(now(*n))).count();
            assert_eq!(logged, 10, "in second {second}");
            assert_eq!(thinned.take(), Some(890));
        }
        assert_eq!(thinned.take(), None);
    }

    #[test]
    fn what_is_no_refusal_of_ours_is_always_logged() {
        for outcome in ["answered", "caller_left", "upstreams_rate_limited"] {
            assert!((0..99).all(|_| is_told(outcome, Time::ZERO)), "{outcome}");
        }
    }
}
