//! What the word of another process may do here: how long it is believed. A process with a wrong clock, a bug or bad
//! intentions keeps a key away for so long at most, and then has to say it again.

use std::time::Duration;

use super::fact::FactKind;

/// A rate limit, a model that is gone and a breaker: minutes.
pub const USUAL: Duration = Duration::from_secs(10 * 60);
/// A quota: a monthly one, as for the key's own reports.
pub const QUOTA: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// A key that its provider refuses: as long as its own longest wait for a probe.
pub const INVALID: Duration = Duration::from_secs(60 * 60);

/// How long a fact of this kind is believed from when it was written.
pub const fn longest(kind: FactKind) -> Duration {
    match kind {
        FactKind::Exhausted => QUOTA,
        FactKind::Invalid => INVALID,
        FactKind::Cooling | FactKind::ProviderCooling | FactKind::Gone | FactKind::Opened => USUAL,
    }
}

/// What is left of it here: of `left` when it was written, `age` ago.
pub fn believed(kind: FactKind, left: Duration, age: Duration) -> Duration {
    left.min(longest(kind)).saturating_sub(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lie_is_believed_for_minutes_and_a_quota_for_a_month() {
        let year = Duration::from_secs(366 * 86_400);
        for kind in FactKind::ALL {
            let longest = longest(kind);
            assert_eq!(believed(kind, year, Duration::ZERO), longest, "{kind:?}");
            assert_eq!(believed(kind, longest, longest), Duration::ZERO);
        }
        assert_eq!(longest(FactKind::Cooling), Duration::from_secs(600));
        let hour = Duration::from_secs(3600);
        assert_eq!(believed(FactKind::Exhausted, 9 * hour, hour), 8 * hour);
    }
}
