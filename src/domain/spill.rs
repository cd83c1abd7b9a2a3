//! How many of a target's requests leave its first tier while a part of that is out. No I/O, no clock, no logging.
//!
//! The formula is Envoy's for its priority levels (`overprovisioning_factor` 1.4, `healthy_panic_threshold` 50 %): a tier
//! keeps `min(100, floor(healthy percent · 1.4))` of what comes to it, and the rest goes on to the next one. At 72 % of its
//! keys a tier keeps all, at 71 % 99, at 60 % 84, at 50 % 70, at 25 % 35 percent.

/// When a tier's requests go on to the next tier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spill {
    /// What a healthy percent counts, in hundredths: 140 lets a tier keep everything until it has lost more than 28 % of
    /// its keys.
    pub overprovisioning: u32,
    /// A tier below this many percent of its keys is in panic when all tiers together cannot take everything: if all are,
    /// each gets its share by the number of its keys.
    pub panic: u32,
}

impl Default for Spill {
    fn default() -> Self {
        Self {
            overprovisioning: 140,
            panic: 50,
        }
    }
}

/// The keys of one tier that serve this request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TierKeys {
    /// Those that would be offered a request now.
    pub usable: u32,
    /// All of them.
    pub all: u32,
}

impl TierKeys {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            usable: self.usable.saturating_add(other.usable),
            all: self.all.saturating_add(other.all),
        }
    }

    /// Those that are usable, in percent, rounded down.
    pub fn percent(self) -> u32 {
        share(self.usable.min(self.all), self.all)
    }
}

/// `part` of `whole` in percent, rounded down.
fn share(part: u32, whole: u32) -> u32 {
    let percent = (u64::from(part) * 100).checked_div(u64::from(whole));
    percent.map_or(0, |percent| u32::try_from(percent).unwrap_or(u32::MAX))
}

impl Spill {
    /// The percent of requests that each tier takes first. The sum is 100, unless there are no tiers.
    pub fn loads(self, tiers: &[TierKeys]) -> Vec<u32> {
        let health = |tier: &TierKeys| {
            let percent = u64::from(tier.percent()) * u64::from(self.overprovisioning) / 100;
            u32::try_from(percent.min(100)).unwrap_or(100)
        };
        let health: Vec<u32> = tiers.iter().map(health).collect();
        let total: u32 = health.iter().fold(0, |sum, one| sum.saturating_add(*one));
        if total >= 100 {
            let mut left = 100;
            let take = |health: &u32| {
                let taken = (*health).min(left);
                left -= taken;
                taken
            };
            return health.iter().map(take).collect();
        }
        let loads = if tiers.iter().all(|tier| tier.percent() < self.panic) {
            let keys = tiers.iter().map(|tier| tier.all);
            let sum = keys.clone().fold(0, u32::saturating_add);
            keys.map(|all| share(all, sum)).collect::<Vec<_>>()
        } else {
            health.iter().map(|one| share(*one, total)).collect()
        };
        with_remainder(loads)
    }

    /// The place of the tier that a request goes to first, for a number drawn from 0..1.
    pub fn first(loads: &[u32], draw: f64) -> usize {
        let point = draw * 100.0;
        let mut sum = 0;
        let place = loads.iter().position(|load| {
            sum += load;
            point < f64::from(sum)
        });
        place.unwrap_or(0)
    }
}

/// What rounding down has left goes to the first tier that takes anything, or to the first.
fn with_remainder(mut loads: Vec<u32>) -> Vec<u32> {
    let sum: u32 = loads.iter().sum();
    let place = loads.iter().position(|load| *load > 0).unwrap_or(0);
    if let Some(load) = loads.get_mut(place) {
        *load += 100_u32.saturating_sub(sum);
    }
    loads
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tiers(keys: &[(u32, u32)]) -> Vec<TierKeys> {
        let tiers = keys.iter();
        tiers
            .map(|(usable, all)| TierKeys {
                usable: *usable,
                all: *all,
            })
            .collect()
    }

    fn loads(keys: &[(u32, u32)]) -> Vec<u32> {
        Spill::default().loads(&tiers(keys))
    }

    #[test]
    fn the_first_tier_keeps_what_its_healthy_part_takes() {
        for (healthy, kept) in [
            (100, 100),
            (72, 100),
            (71, 99),
            (60, 84),
            (50, 70),
            (25, 35),
            (0, 0),
        ] {
            assert_eq!(
                loads(&[(healthy, 100), (5, 5)]),
                [kept, 100 - kept],
                "{healthy}"
            );
        }
        assert_eq!(loads(&[(1, 2), (1, 4), (3, 3)]), [70, 30, 0]);
        assert_eq!(loads(&[(1, 4), (1, 4), (3, 3)]), [35, 35, 30]);
    }

    #[test]
    fn tiers_that_cannot_take_everything_share_it_by_their_health() {
        // 35 and 35 of 100.
        assert_eq!(loads(&[(1, 4), (1, 4)]), [50, 50], "panic: by their keys");
        assert_eq!(loads(&[(0, 9), (0, 3)]), [75, 25], "panic: by their keys");
        // 77 and 14 of 91.
        assert_eq!(
            loads(&[(55, 100), (1, 10)]),
            [85, 15],
            "one is above the threshold"
        );
    }

    #[test]
    fn one_tier_takes_everything_and_none_nothing() {
        assert_eq!(loads(&[(0, 2)]), [100]);
        assert_eq!(loads(&[(0, 0)]), [100]);
        assert_eq!(loads(&[]), [0; 0]);
        assert_eq!(Spill::first(&[], 0.5), 0);
    }

    #[test]
    fn a_tier_is_drawn_by_its_load() {
        let first = |draw| Spill::first(&[70, 0, 30], draw);
        assert_eq!([0.0, 0.699, 0.7, 0.999].map(first), [0, 0, 2, 2]);
    }

    proptest! {
        #[test]
        fn loads_are_a_hundred_percent_together(
            keys in prop::collection::vec((any::<u32>(), any::<u32>()), 1..6),
            overprovisioning in any::<u32>(),
            panic in 0u32..101,
            draw in 0.0f64..1.0,
        ) {
            let spill = Spill { overprovisioning, panic };
            let loads = spill.loads(&tiers(&keys));
            prop_assert_eq!(loads.iter().sum::<u32>(), 100);
            let first = Spill::first(&loads, draw);
            prop_assert!(loads[first] > 0);
        }
    }
}
