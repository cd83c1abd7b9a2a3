//! When a key may be asked again: one cooldown, which later and shorter reports never shorten (law L5).
//! No I/O, no clock, no logging.

use std::time::Duration;

use super::persisted::PersistedCooldown;
use super::time::Time;

/// What a rate limit cools.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CooldownScope {
    /// The key for the model that was asked.
    #[default]
    KeyModel,
    /// The key for all models.
    Key,
    /// All keys of the provider.
    Provider,
}

/// How long a rate-limited key stays away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CooldownPolicy {
    /// When the upstream names no time. Zero means not at all.
    pub default: Duration,
    /// The longest cooldown for a rate limit; hints and repetition are clamped to it.
    pub max: Duration,
    /// What cools: a key for a model, a key or the provider.
    pub scope: CooldownScope,
}

impl Default for CooldownPolicy {
    fn default() -> Self {
        Self {
            default: Duration::from_secs(60),
            max: Duration::from_secs(15 * 60),
            scope: CooldownScope::default(),
        }
    }
}

/// Repeated limits beyond this number make a cooldown no longer.
const MOST_STRIKES: u32 = 17;

/// One cooldown: ready, or cooling until a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cooldown {
    until: Time,
    strikes: u32,
}

impl Cooldown {
    /// A rate limit was reported at `now`, with or without a hint. Returns the end of the cooldown.
    ///
    /// Without a hint the configured time doubles with each report in a row, up to `policy.max`.
    pub fn limited(&mut self, hint: Option<Duration>, policy: &CooldownPolicy, now: Time) -> Time {
        // Reports of requests that were sent before the cooldown began are the same limit, not a repetition.
        if now >= self.until {
            self.strikes = self.strikes.saturating_add(1);
        }
        let doublings = self.strikes.min(MOST_STRIKES).saturating_sub(1);
        let span = hint.unwrap_or_else(|| policy.default.saturating_mul(1 << doublings));
        self.extend(now + span.min(policy.max))
    }

    /// Stays away until `until`, unless it already stays away for longer. Returns the end.
    pub fn extend(&mut self, until: Time) -> Time {
        self.until = self.until.max(until);
        self.until
    }

    /// A success: the next limit starts from the configured time again. A running cooldown goes on.
    pub fn succeeded(&mut self) {
        self.strikes = 0;
    }

    /// What of it outlives the process: nothing once it is over.
    pub fn persisted(&self, now: Time) -> Option<PersistedCooldown> {
        (self.until > now).then_some(PersistedCooldown {
            until: self.until,
            strikes: self.strikes,
        })
    }

    /// As it was, but for an end after `latest`, which it never had.
    pub fn restored(memory: PersistedCooldown, latest: Time) -> Self {
        Self {
            until: memory.until.min(latest),
            strikes: memory.strikes.min(MOST_STRIKES),
        }
    }

    /// The moment from which it is ready, when that is still to come.
    pub fn cooling(&self, now: Time) -> Option<Time> {
        (self.until > now).then_some(self.until)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn without_a_hint_the_time_doubles_up_to_the_maximum() {
        let policy = CooldownPolicy::default();
        let mut cooldown = Cooldown::default();
        let mut now = Time::ZERO;
        let mut spans = Vec::new();
        for _ in 0..6 {
            let until = cooldown.limited(None, &policy, now);
            spans.push(until.since(now).as_secs());
            now = until;
        }
        assert_eq!(spans, [60, 120, 240, 480, 900, 900]);
        cooldown.succeeded();
        assert_eq!(cooldown.limited(None, &policy, now).since(now), 60 * S);
    }

    #[test]
    fn reports_during_a_cooldown_are_not_repetitions() {
        let policy = CooldownPolicy::default();
        let mut cooldown = Cooldown::default();
        for _ in 0..10 {
            cooldown.limited(None, &policy, Time::ZERO);
        }
        assert_eq!(cooldown.cooling(Time::ZERO), Some(Time::ZERO + 60 * S));
    }

    #[test]
    fn a_default_of_zero_means_no_cooldown() {
        let policy = CooldownPolicy {
            default: Duration::ZERO,
            ..CooldownPolicy::default()
        };
        let mut cooldown = Cooldown::default();
        cooldown.limited(None, &policy, Time::ZERO);
        assert_eq!(cooldown.cooling(Time::ZERO), None);
    }

    proptest! {
        #[test]
        fn l5_a_later_report_never_shortens(reports in prop::collection::vec((0u64..100, prop::option::of(0u64..10_000)), 1..40)) {
            let policy = CooldownPolicy::default();
            let mut cooldown = Cooldown::default();
            let mut now = Time::ZERO;
            let mut end = Time::ZERO;
            for (step, hint) in reports {
                now = now + S * u32::try_from(step).unwrap_or(0);
                let until = cooldown.limited(hint.map(Duration::from_secs), &policy, now);
                prop_assert!(until >= end);
                prop_assert!(until.since(now) <= policy.max.max(end.since(now)));
                end = until;
            }
        }
    }
}
