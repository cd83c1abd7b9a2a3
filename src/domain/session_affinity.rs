//! Which member a conversation goes to, so that its prompt is found in that member's cache: always the same one, as long as
//! that does not have to carry more than its share.
//!
//! Rendezvous hashing (Thaler and Ravishankar, 1996), weighted by exponential variates, with bounded loads (Mirrokni,
//! Thorup and Zadimoghaddam, 2017): a member takes at most `bound` times its share of the requests in flight. No state is
//! kept, so nothing has to be forgotten: a member that is out is passed over like any other, and has its conversations
//! back when it is well. No I/O, no clock, no logging.

use std::time::Duration;

/// By what requests of one conversation are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AffinityBy {
    /// What the request says of its session, else the beginning of its prompt.
    #[default]
    Auto,
    /// Headers alone.
    Header,
    /// The user that it names, else its client.
    User,
}

impl AffinityBy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Header, Self::User];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Header => "header",
            Self::User => "user",
        }
    }
}

/// The usual bound.
pub const BOUND: f64 = 1.25;

/// How a target keeps conversations together.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AffinityPolicy {
    /// By what they are known.
    pub by: AffinityBy,
    /// How many times its share of the requests in flight a member takes; at least 1.
    pub bound: f64,
    /// After so long without a request nothing of a conversation is in a cache any more: its next request goes home only
    /// where that is within the mere share.
    pub ttl: Duration,
}

impl Default for AffinityPolicy {
    fn default() -> Self {
        Self {
            by: AffinityBy::default(),
            bound: BOUND,
            ttl: Duration::from_secs(60 * 60),
        }
    }
}

/// A member as far as affinity is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seat {
    /// The hash of its name.
    pub name: u64,
    /// Its share.
    pub weight: u32,
    /// Its requests in flight.
    pub load: u32,
}

#[cfg(test)]
fn order(session: u64, seats: &[Seat], bound: f64) -> Vec<usize> {
    order_and_home(session, seats, bound).0
}

/// The places of all seats for a conversation: those that have room in their order for it, then the full ones in the same
/// order, then those of weight 0; and the place where the conversation is at home: the first in its order, whether or not that has room. `None`
/// where no seat has a weight.
pub fn order_and_home(session: u64, seats: &[Seat], bound: f64) -> (Vec<usize>, Option<usize>) {
    let in_flight: u64 = seats.iter().map(|seat| u64::from(seat.load)).sum();
    let weights: u64 = seats.iter().map(|seat| u64::from(seat.weight)).sum();
    let keys = seats.iter().enumerate().map(|(place, seat)| {
        let weight = f64::from(seat.weight);
        let distance = -uniform(session ^ seat.name).ln() / weight;
        let cap = cap(bound, in_flight + 1, weight, weights);
        let class = match seat.weight {
            0 => 2u8,
            _ if f64::from(seat.load) + 1.0 <= cap => 0,
            _ => 1,
        };
        (class, distance, place)
    });
    let mut keys: Vec<_> = keys.collect();
    keys.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let weighted = keys.iter().filter(|(class, ..)| *class < 2);
    let home = weighted.min_by(|a, b| a.1.total_cmp(&b.1));
    let home = home.map(|(.., place)| *place);
    (keys.into_iter().map(|(.., place)| place).collect(), home)
}

/// How many requests a member takes of `in_flight`, the new one included: its share times the bound, rounded up.
fn cap(bound: f64, in_flight: u64, weight: f64, weights: u64) -> f64 {
    // Without the rounding error that would make 4.000001 of 4, and then 5.
    const SLACK: f64 = 1e-9;
    (bound * number(in_flight) * weight / number(weights.max(1)) - SLACK).ceil()
}

/// A number in 0..1 that depends on every bit of a hash; never 0. The mixing is that of SplitMix64 (Steele, Lea and Flood, 2014).
pub fn uniform(bits: u64) -> f64 {
    let mut mixed = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    // 53 bits, in the middle of their steps.
    (number(mixed >> 11) + 0.5) / number(1 << 53)
}

/// The hash of a name: FNV-1a, the same in every process, so that conversations find their places after a restart.
pub fn hash(text: &[u8]) -> u64 {
    let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    text.iter().fold(0xcbf2_9ce4_8422_2325, add)
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seats(loads: &[u32]) -> Vec<Seat> {
        let seats = loads.iter().enumerate().map(|(n, load)| Seat {
            name: hash(format!("m{n}").as_bytes()),
            weight: 1,
            load: *load,
        });
        seats.collect()
    }

    #[test]
    fn caps_are_the_share_times_the_bound() {
        for (in_flight, expected) in [(1, 1.0), (4, 2.0), (10, 4.0), (16, 5.0), (100, 32.0)] {
            assert!(
                (cap(1.25, in_flight, 1.0, 4) - expected).abs() < 1e-9,
                "{in_flight}"
            );
        }
        let growing = (1..=10).map(|m| cap(1.25, m, 1.0, 4));
        assert_eq!(
            growing.collect::<Vec<_>>(),
            [1., 1., 1., 2., 2., 2., 3., 3., 3., 4.]
        );
    }

    #[test]
    fn of_ten_requests_of_one_session_its_home_takes_as_many_as_its_cap() {
        let mut loads = [0u32; 4];
        let home = order(7, &seats(&loads), 1.25)[0];
        for _ in 0..10 {
            let place = order(7, &seats(&loads), 1.25)[0];
            loads[place] += 1;
        }
        assert_eq!(loads[home], 4, "{loads:?}");
        assert!(loads.iter().all(|load| *load <= 4) && loads.iter().sum::<u32>() == 10);
        // The others follow in the session's order.
        let idle = order(7, &seats(&[0; 4]), 1.25);
        assert!(
            loads[idle[1]] >= loads[idle[2]] && loads[idle[2]] >= loads[idle[3]],
            "{loads:?}"
        );
    }

    #[test]
    fn sessions_spread_by_weight_and_those_of_none_come_last() {
        let mut all = seats(&[0, 0, 0]);
        all[1].weight = 3;
        all[2].weight = 0;
        let mut first = [0u32; 3];
        for session in 0..10_000u64 {
            let order = order(session.wrapping_mul(0x1234_5678_9abc_def1), &all, 1.25);
            first[order[0]] += 1;
            assert_eq!(order[2], 2);
        }
        assert!((2_300..2_700).contains(&first[0]), "{first:?}");
    }

    proptest! {
        #[test]
        fn a_member_that_leaves_moves_only_its_own_sessions(session in any::<u64>(), gone in 0usize..5) {
            let all = seats(&[0; 5]);
            let before = order(session, &all, 2.0);
            let mut rest = all.clone();
            rest.remove(gone);
            let after = order(session, &rest, 2.0);
            let after: Vec<_> = after.iter().map(|place| rest[*place].name).collect();
            let expected: Vec<_> = before.iter().filter(|place| **place != gone).map(|place| all[*place].name).collect();
            prop_assert_eq!(after, expected);
        }

        #[test]
        fn there_is_always_room_for_one_more(session in any::<u64>(), loads in prop::collection::vec(0u32..50, 1..8)) {
            let all = seats(&loads);
            let total: u64 = loads.iter().map(|load| u64::from(*load)).sum();
            let first = order(session, &all, 1.0)[0];
            let cap = cap(1.0, total + 1, 1.0, u64::try_from(loads.len()).unwrap());
            prop_assert!(f64::from(loads[first]) < cap);
        }
    }
}
