//! `latency`: the lowest load first, where load is how long an upstream's answers take, times the requests that wait for it.
//!
//! Of up to three members all are compared; of more, two that are drawn at random, so that a herd of requests does not run
//! to the one that was fastest a moment ago. Peak EWMA and the load are those of Finagle (`PeakEwma`), the power of two
//! choices is Mitzenmacher's, 2001.

use std::time::Duration;

use super::routing::{Chance, Figure, LoadBy, MemberFacts, Needs, RoutingPolicy, Signal, sorted};

/// The settings of `latency`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Latency {
    /// What is measured.
    pub signal: Signal,
    /// In this time a latency loses all but 1/e of its weight.
    pub decay: Duration,
    /// What an upstream counts as that has not answered yet, while requests wait for it.
    pub start: Duration,
    /// Loads within this part of the lowest count as equal, and go at random; in millionths.
    pub band: u32,
}

const BAND: u32 = 100_000;

impl Default for Latency {
    fn default() -> Self {
        Self {
            signal: Signal::default(),
            decay: Duration::from_secs(10),
            start: Duration::from_secs(1),
            band: BAND,
        }
    }
}

/// Up to so many members are all compared.
const COMPARED: usize = 3;

impl Latency {
    fn load_by(&self) -> LoadBy {
        LoadBy {
            signal: self.signal,
            start: self.start,
        }
    }

    /// Members by load; those within the band of the lowest at random in front.
    fn by_load(&self, members: &[MemberFacts], chance: &mut Chance<'_>) -> Vec<usize> {
        let lowest = members.iter().map(|member| member.load);
        let lowest = lowest.fold(f64::INFINITY, f64::min);
        let most = lowest * (1.0 + f64::from(self.band) / 1e6);
        let keys = members.iter().map(|member| {
            let draw = (chance.draw)();
            match member.load <= most {
                true => (lowest, draw),
                false => (member.load, draw),
            }
        });
        let keys: Vec<_> = keys.collect();
        let key = |place: usize| keys.get(place).copied().unwrap_or_default();
        sorted(members.len(), key, |a, b| {
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
        })
    }
}

impl RoutingPolicy for Latency {
    fn name(&self) -> &'static str {
        "latency"
    }

    fn settings(&self) -> String {
        let usual = Self::default();
        let mut all = Vec::new();
        if self.signal != usual.signal {
            all.push(format!("signal: {}", self.signal.as_str()));
        }
        if self.decay != usual.decay {
            all.push(format!("decay: {:?}", self.decay));
        }
        if self.start != usual.start {
            all.push(format!("start: {:?}", self.start));
        }
        if self.band != usual.band {
            all.push(format!("band: {}", f64::from(self.band) / 1e6));
        }
        all.join(", ")
    }

    fn needs(&self) -> Needs<'_> {
        Needs::Load(self.load_by())
    }

    fn decay(&self) -> Option<Duration> {
        Some(self.decay)
    }

    fn figure(&self, member: &MemberFacts) -> Option<Figure> {
        Some(Figure::Load(member.load))
    }

    fn rank(&self, members: &[MemberFacts], chance: &mut Chance<'_>) -> Vec<usize> {
        let mut order = self.by_load(members, chance);
        if members.len() <= COMPARED {
            return order;
        }
        let (one, other) = two_of(members.len(), chance);
        let load = |place: usize| members.get(place).map_or(f64::INFINITY, |it| it.load);
        let winner = if load(other) < load(one) { other } else { one };
        // The others follow by their load: they are asked only when the winner is out.
        order.retain(|place| *place != winner);
        order.insert(0, winner);
        order
    }
}

/// Two different places below `count`, which is at least 2.
fn two_of(count: usize, chance: &mut Chance<'_>) -> (usize, usize) {
    let one = below(count, (chance.draw)());
    let other = below(count - 1, (chance.draw)());
    (one, if other >= one { other + 1 } else { other })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the product is at least 0 and below the count"
)]
fn below(count: usize, draw: f64) -> usize {
    ((draw * count as f64) as usize).min(count.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(loads: &[f64]) -> Vec<MemberFacts> {
        let members = loads.iter().map(|load| MemberFacts {
            load: *load,
            ..MemberFacts::default()
        });
        members.collect()
    }

    fn firsts(loads: &[f64]) -> Vec<u32> {
        let mut rng = fastrand::Rng::with_seed(5);
        let mut draw = || rng.f64();
        let mut first = vec![0; loads.len()];
        for _ in 0..1000 {
            let mut chance = Chance {
                turn: 0,
                draw: &mut draw,
            };
            first[Latency::default().rank(&members(loads), &mut chance)[0]] += 1;
        }
        first
    }

    #[test]
    fn of_up_to_three_the_lowest_load_always_wins() {
        assert_eq!(firsts(&[0.3, 0.1, 0.2]), [0, 1000, 0]);
        let equal = firsts(&[0.105, 0.1, 0.2]);
        assert!(
            equal[0] > 400 && equal[1] > 400,
            "within the band: {equal:?}"
        );
    }

    #[test]
    fn of_more_the_better_of_two_that_are_drawn() {
        let first = firsts(&[0.4, 0.3, 0.2, 0.1]);
        // The best is drawn half of the time, the worst never wins.
        assert!((430..570).contains(&first[3]) && first[0] == 0, "{first:?}");
        let mut draw = || 0.0;
        let order = Latency::default().rank(
            &members(&[0.4, 0.3, 0.2, 0.1]),
            &mut Chance {
                turn: 0,
                draw: &mut draw,
            },
        );
        assert_eq!(order, [1, 3, 2, 0], "0 and 1 are drawn; the rest by load");
    }

    #[test]
    fn load_grows_with_what_waits_and_an_unknown_idle_one_is_tried_first() {
        let policy = Latency::default().load_by();
        let ms = |ms| Some(Duration::from_millis(ms));
        assert!((policy.of(ms(200), 3) - 0.8).abs() < 1e-9);
        assert!(policy.of(None, 0) < policy.of(ms(1), 0));
        assert!((policy.of(None, 1) - 2.0).abs() < 1e-9, "start, twice");
    }
}
