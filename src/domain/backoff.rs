//! How long to wait before the next try: a list of waits, or exponential growth with jitter.
//! No I/O, no clock, no logging; randomness is an argument.

use std::time::Duration;

/// Waits between tries at the same upstream.
#[derive(Clone, PartialEq, Debug)]
pub enum Waits {
    /// These waits in turn; the last one repeats. An empty list means no wait.
    List(Vec<Duration>),
    /// `initial · factorⁿ`, at most `max`, spread by ± `jitter` (a share, 0..=1).
    Exponential {
        /// The first wait.
        initial: Duration,
        /// Growth per try, at least 1.
        factor: f64,
        /// The longest wait before jitter.
        max: Duration,
        /// The share by which a wait may be shorter or longer, 0..=1.
        jitter: f64,
    },
}

impl Waits {
    /// The wait before retry number `retry` (0 for the first). `random` is uniform in 0..1.
    pub fn nth(&self, retry: u32, random: f64) -> Duration {
        match self {
            Self::List(waits) => {
                let index = usize::try_from(retry).unwrap_or(usize::MAX);
                waits
                    .get(index)
                    .or_else(|| waits.last())
                    .copied()
                    .unwrap_or(Duration::ZERO)
            }
            Self::Exponential {
                initial,
                factor,
                max,
                jitter,
            } => {
                let exponent = i32::try_from(retry.min(64)).unwrap_or(64);
                let grown = initial.as_secs_f64() * factor.max(1.0).powi(exponent);
                let base = grown.min(max.as_secs_f64());
                let spread = 1.0 + jitter.clamp(0.0, 1.0) * (2.0 * random.clamp(0.0, 1.0) - 1.0);
                Duration::try_from_secs_f64(base * spread).unwrap_or(*max)
            }
        }
    }
}

impl Default for Waits {
    fn default() -> Self {
        Self::List(vec![Duration::from_millis(250)])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_last_wait_of_a_list_repeats() {
        let waits = Waits::List(vec![3 * MS, 5 * MS, 6 * MS]);
        let seen: Vec<_> = (0..5).map(|n| waits.nth(n, 0.5)).collect();
        assert_eq!(seen, [3 * MS, 5 * MS, 6 * MS, 6 * MS, 6 * MS]);
        assert_eq!(Waits::List(Vec::new()).nth(0, 0.5), Duration::ZERO);
    }

    #[test]
    fn exponential_waits_double_up_to_the_maximum() {
        let waits = Waits::Exponential {
            initial: 500 * MS,
            factor: 2.0,
            max: 8000 * MS,
            jitter: 0.0,
        };
        let seen: Vec<_> = (0..6).map(|n| waits.nth(n, 0.9).as_millis()).collect();
        assert_eq!(seen, [500, 1000, 2000, 4000, 8000, 8000]);
    }

    proptest! {
        #[test]
        fn jitter_stays_within_its_share(retry in 0u32..200, random in 0.0f64..1.0, jitter in 0.0f64..=1.0) {
            let waits = Waits::Exponential { initial: 100 * MS, factor: 2.0, max: 10_000 * MS, jitter };
            let plain = Waits::Exponential { initial: 100 * MS, factor: 2.0, max: 10_000 * MS, jitter: 0.0 };
            let base = plain.nth(retry, 0.5).as_secs_f64();
            let wait = waits.nth(retry, random).as_secs_f64();
            prop_assert!(wait >= base * (1.0 - jitter) - 1e-9 && wait <= base * (1.0 + jitter) + 1e-9);
        }
    }
}
