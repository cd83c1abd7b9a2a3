//! Whether an actor that ended is started again, when, and when to give up for a while.
//!
//! The vocabulary (intensity, window, quarantine) is that of OTP supervisors; unlike there, reaching the
//! intensity does not take the parent down: the actor stays down for a while and requests use others.
//! No I/O, no clock, no logging.

use std::collections::VecDeque;
use std::time::Duration;

use super::time::Time;

/// How often an actor may fail before it is quarantined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RestartPolicy {
    /// The exits inside `window` that are answered by a restart; one more leads to quarantine.
    pub max_restarts: usize,
    /// The window's length.
    pub window: Duration,
    /// Wait before the second restart inside the window; doubles with each one. The first is at once.
    pub backoff: Duration,
    /// The longest wait before a restart.
    pub max_backoff: Duration,
    /// How long a quarantined actor stays down.
    pub quarantine: Duration,
    /// After this many exits inside `window` the next incarnation inherits the state that was left; after more of them,
    /// and after a quarantine, it starts from the published state, because the inherited one may be the cause.
    pub inherited: usize,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            max_restarts: 5,
            window: Duration::from_secs(30),
            backoff: Duration::from_millis(10),
            max_backoff: Duration::from_secs(1),
            quarantine: Duration::from_secs(60),
            inherited: 2,
        }
    }
}

/// What to do with an actor that ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Start it again after this wait.
    Restart {
        /// Zero means at once.
        after: Duration,
        /// Without the state that was left.
        anew: bool,
    },
    /// Leave it down until then, and start it without the state that was left.
    Quarantine {
        /// When it is started again.
        until: Time,
    },
}

/// One actor's exits inside the window.
#[derive(Clone, Debug, Default)]
pub struct RestartHistory {
    exits: VecDeque<Time>,
}

impl RestartHistory {
    /// The actor ended at `now`: what now?
    pub fn exited(&mut self, policy: &RestartPolicy, now: Time) -> Decision {
        while self
            .exits
            .front()
            .is_some_and(|first| now.since(*first) > policy.window)
        {
            self.exits.pop_front();
        }
        self.exits.push_back(now);
        let earlier = self.exits.len() - 1;
        if earlier >= policy.max_restarts {
            self.exits.clear();
            return Decision::Quarantine {
                until: now + policy.quarantine,
            };
        }
        let after = match u32::try_from(earlier).unwrap_or(u32::MAX) {
            0 => Duration::ZERO,
            n => policy
                .backoff
                .saturating_mul(1u32.checked_shl(n - 1).unwrap_or(u32::MAX))
                .min(policy.max_backoff),
        };
        Decision::Restart {
            after,
            anew: earlier >= policy.inherited,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_at_once_then_slower_then_quarantines() {
        let policy = RestartPolicy::default();
        let mut history = RestartHistory::default();
        let waits: Vec<_> = (0..5)
            .map(|_| history.exited(&policy, Time::ZERO))
            .collect();
        let expected = [0, 10, 20, 40, 80].map(|ms| Decision::Restart {
            after: Duration::from_millis(ms),
            anew: ms >= 20,
        });
        assert_eq!(waits, expected);
        assert_eq!(
            history.exited(&policy, Time::ZERO),
            Decision::Quarantine {
                until: Time::ZERO + policy.quarantine
            }
        );
    }

    #[test]
    fn exits_far_apart_are_each_restarted_at_once() {
        let policy = RestartPolicy::default();
        let mut history = RestartHistory::default();
        for n in 0..100u64 {
            let now = Time::from_millis(n * 31_000);
            assert_eq!(
                history.exited(&policy, now),
                Decision::Restart {
                    after: Duration::ZERO,
                    anew: false,
                }
            );
        }
    }
}
