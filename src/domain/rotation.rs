//! The order in which a provider's keys take their turns. No I/O, no clock, no logging.

use super::session_affinity::{self, BOUND, Seat};

/// How a provider chooses among its ready keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum KeyRotation {
    /// One step per attempt.
    #[default]
    RoundRobin,
    /// The same key until it refuses, then the next one.
    Sticky,
    /// The first ready key in configured order.
    Sequential,
    /// The key with the fewest requests in flight; ties in turn.
    LeastInFlight,
    /// The account, and in it the key, of the request's conversation, where its prompt is cached; as for
    /// [`LeastInFlight`](Self::LeastInFlight) where the request has none.
    Affinity,
}

/// Where a key is as far as caches of prompts are concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyHome {
    /// The hash of its account's name: keys of one account share a cache.
    pub account: u64,
    /// The hash of its own name.
    pub key: u64,
}

impl KeyHome {
    /// The home of the key at that place, from 0. A key without an account is one of its own.
    pub fn new(place: usize, account: Option<&str>) -> Self {
        let key = session_affinity::hash(format!("key {}", place + 1).as_bytes());
        let account = account.map(|name| session_affinity::hash(name.as_bytes()));
        Self {
            account: account.unwrap_or(key),
            key,
        }
    }
}

/// A request's conversation and the keys that it may go to.
#[derive(Clone, Copy)]
pub struct KeyConversation<'a> {
    /// The hash of what it is known by.
    pub session: u64,
    /// The homes of all keys, by turn.
    pub homes: &'a [KeyHome],
}

impl KeyConversation<'_> {
    /// The turn of the conversation's own key, and whether that, or its account, has its share of the requests in flight
    /// already, so that another one comes first. `None` without keys.
    pub fn home(&self, in_flight: impl Fn(usize) -> u32) -> Option<(usize, bool)> {
        let (order, home) = self.order(in_flight);
        let home = home?;
        Some((home, order.first() != Some(&home)))
    }

    /// All turns in the conversation's order: its account first, and in each account its key first. An account, or a key
    /// in it, that has more than its share of the requests in flight comes after those that have not. Also the turn that
    /// would come first if nothing were in flight.
    fn order(&self, in_flight: impl Fn(usize) -> u32) -> (Vec<usize>, Option<usize>) {
        let home = |turn: &usize| self.homes.get(*turn);
        let mut turns: Vec<usize> = (0..self.homes.len()).collect();
        turns.sort_by_key(|turn| home(turn).map(|home| home.account));
        let accounts: Vec<&[usize]> = turns
            .chunk_by(|one, other| {
                home(one).map(|it| it.account) == home(other).map(|it| it.account)
            })
            .collect();
        let seats = accounts.iter().map(|turns| Seat {
            name: turns.first().and_then(home).map_or(0, |home| home.account),
            weight: u32::try_from(turns.len()).unwrap_or(u32::MAX),
            load: turns
                .iter()
                .map(|turn| in_flight(*turn))
                .fold(0, u32::saturating_add),
        });
        let seats: Vec<Seat> = seats.collect();
        let (accounts_in_order, home_account) =
            session_affinity::order_and_home(self.session, &seats, BOUND);
        let mut order = Vec::with_capacity(turns.len());
        let mut home_turn = None;
        let in_order = accounts_in_order.into_iter();
        for (at, turns) in in_order.filter_map(|at| Some((at, accounts.get(at)?))) {
            let seats = turns.iter().map(|turn| Seat {
                name: home(turn).map_or(0, |home| home.key),
                weight: 1,
                load: in_flight(*turn),
            });
            let seats: Vec<Seat> = seats.collect();
            let (places, home) = session_affinity::order_and_home(self.session, &seats, BOUND);
            if home_account == Some(at) {
                home_turn = home.and_then(|at| turns.get(at).copied());
            }
            order.extend(places.into_iter().filter_map(|at| turns.get(at).copied()));
        }
        (order, home_turn)
    }
}

impl KeyRotation {
    /// The name used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::Sticky => "sticky",
            Self::Sequential => "sequential",
            Self::LeastInFlight => "least_in_flight",
            Self::Affinity => "affinity",
        }
    }

    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::RoundRobin,
        Self::Sticky,
        Self::Sequential,
        Self::LeastInFlight,
        Self::Affinity,
    ];
}

/// The position of the rotation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rotation {
    kind: KeyRotation,
    cursor: usize,
}

impl Rotation {
    /// A rotation that begins at the first key.
    pub fn new(kind: KeyRotation) -> Self {
        Self { kind, cursor: 0 }
    }

    /// A rotation whose next turn is that of key `turn`.
    pub fn at(kind: KeyRotation, turn: usize) -> Self {
        Self { kind, cursor: turn }
    }

    /// The position, for [`at`](Self::at).
    pub fn turn(&self) -> usize {
        self.cursor
    }

    /// The configuration says otherwise now.
    pub fn configure(&mut self, kind: KeyRotation) {
        self.kind = kind;
    }

    /// The index of the next key among `count`, of those for which `ready` holds, and moves on.
    ///
    /// `avoid` is taken only when no other key is ready. `in_flight` is asked for least-in-flight and affinity only,
    /// `conversation` counts for affinity only.
    pub fn pick(
        &mut self,
        count: usize,
        avoid: Option<usize>,
        conversation: Option<KeyConversation<'_>>,
        mut ready: impl FnMut(usize) -> bool,
        in_flight: impl Fn(usize) -> u32,
    ) -> Option<usize> {
        if count == 0 {
            return None;
        }
        let start = match self.kind {
            KeyRotation::Sequential => 0,
            KeyRotation::RoundRobin
            | KeyRotation::Sticky
            | KeyRotation::LeastInFlight
            | KeyRotation::Affinity => self.cursor % count,
        };
        let mut in_turn = (0..count).map(|step| (start + step) % count);
        let mut usable = |index: &usize| Some(*index) != avoid && ready(*index);
        let conversation = conversation.filter(|_| self.kind == KeyRotation::Affinity);
        if let Some(conversation) = conversation {
            let order = conversation.order(in_flight).0.into_iter();
            let chosen = order.filter(|index| *index < count).find(&mut usable);
            return chosen.or_else(|| avoid.filter(|index| *index < count && ready(*index)));
        }
        let chosen = match self.kind {
            KeyRotation::LeastInFlight | KeyRotation::Affinity => {
                in_turn.filter(usable).min_by_key(|index| in_flight(*index))
            }
            KeyRotation::RoundRobin | KeyRotation::Sticky | KeyRotation::Sequential => {
                in_turn.find(&mut usable)
            }
        };
        let chosen = chosen.or_else(|| avoid.filter(|index| *index < count && ready(*index)))?;
        self.cursor = match self.kind {
            KeyRotation::Sticky => chosen,
            KeyRotation::RoundRobin
            | KeyRotation::Sequential
            | KeyRotation::LeastInFlight
            | KeyRotation::Affinity => chosen + 1,
        };
        Some(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(kind: KeyRotation, ready: &[&[usize]]) -> Vec<Option<usize>> {
        let mut rotation = Rotation::new(kind);
        ready
            .iter()
            .map(|set| {
                rotation.pick(
                    3,
                    None,
                    None,
                    |key| set.contains(&key),
                    |key| [4, 1, 1][key],
                )
            })
            .collect()
    }

    const ALL: &[usize] = &[0, 1, 2];

    #[test]
    fn round_robin_takes_one_step_per_attempt() {
        let seen = picks(KeyRotation::RoundRobin, &[ALL, ALL, ALL, ALL, &[0, 1], ALL]);
        assert_eq!(seen, [0, 1, 2, 0, 1, 2].map(Some));
    }

    #[test]
    fn sticky_stays_until_its_key_is_not_ready() {
        let seen = picks(KeyRotation::Sticky, &[ALL, ALL, &[1, 2], ALL, ALL]);
        assert_eq!(seen, [0, 0, 1, 1, 1].map(Some));
    }

    #[test]
    fn sequential_returns_to_the_first_ready_key() {
        let seen = picks(KeyRotation::Sequential, &[ALL, &[1, 2], &[2], ALL]);
        assert_eq!(seen, [0, 1, 2, 0].map(Some));
    }

    #[test]
    fn least_in_flight_breaks_ties_in_turn() {
        let seen = picks(KeyRotation::LeastInFlight, &[ALL, ALL, ALL, &[0]]);
        assert_eq!(seen, [1, 2, 1, 0].map(Some));
    }

    /// Two accounts of two keys each, and a key of its own.
    fn homes() -> Vec<KeyHome> {
        let accounts = [Some("a"), Some("a"), Some("b"), Some("b"), None];
        let homes = accounts.into_iter().enumerate();
        homes
            .map(|(place, account)| KeyHome::new(place, account))
            .collect()
    }

    fn home_of(session: u64, loads: [u32; 5], out: &[usize]) -> usize {
        let homes = homes();
        let conversation = KeyConversation {
            session,
            homes: &homes,
        };
        let mut rotation = Rotation::new(KeyRotation::Affinity);
        let ready = |key: usize| !out.contains(&key);
        let picked = rotation.pick(5, None, Some(conversation), ready, |key| loads[key]);
        picked.unwrap()
    }

    #[test]
    fn a_conversation_has_a_key_and_keeps_it() {
        let mut first = [0; 5];
        for session in 0..5000u64 {
            let session = session.wrapping_mul(0x1234_5678_9abc_def1);
            let home = home_of(session, [0; 5], &[]);
            assert_eq!(home, home_of(session, [0; 5], &[]));
            first[home] += 1;
        }
        assert!(
            first.iter().all(|count| (850..1150).contains(count)),
            "{first:?}"
        );
    }

    #[test]
    fn while_its_key_is_out_it_goes_to_the_other_of_the_account_and_comes_home() {
        for session in 0..200u64 {
            let home = home_of(session, [0; 5], &[]);
            let elsewhere = home_of(session, [0; 5], &[home]);
            if home < 4 {
                assert_eq!(elsewhere, home ^ 1);
                let other_account = home_of(session, [0; 5], &[home, home ^ 1]);
                assert_ne!(other_account / 2, home / 2);
            }
            assert_eq!(home_of(session, [0; 5], &[]), home);
        }
    }

    #[test]
    fn an_account_takes_no_more_than_its_bounded_share() {
        let mut loads = [0u32; 5];
        for _ in 0..20 {
            loads[home_of(3, loads, &[])] += 1;
        }
        let account = [loads[0] + loads[1], loads[2] + loads[3], loads[4]];
        // 1.25 times two fifths, and one fifth, of 20.
        assert!(
            account[0] <= 10 && account[1] <= 10 && account[2] <= 5,
            "{loads:?}"
        );
    }

    #[test]
    fn a_conversation_knows_its_key_while_that_is_over_its_bound() {
        let homes = homes();
        for session in 0..200u64 {
            let conversation = KeyConversation {
                session,
                homes: &homes,
            };
            let home = home_of(session, [0; 5], &[]);
            assert_eq!(conversation.home(|_| 0), Some((home, false)));
            let busy = |turn: usize| if turn == home { 9 } else { 0 };
            assert_eq!(conversation.home(busy), Some((home, true)));
        }
    }

    #[test]
    fn without_a_conversation_affinity_takes_the_idlest_key() {
        let mut rotation = Rotation::new(KeyRotation::Affinity);
        let mut pick = || rotation.pick(3, None, None, |_| true, |key| [4, 1, 1][key]);
        assert_eq!([pick(), pick(), pick()], [1, 2, 1].map(Some));
    }

    #[test]
    fn the_key_to_avoid_is_taken_only_when_it_is_the_last_one() {
        let mut rotation = Rotation::new(KeyRotation::Sequential);
        assert_eq!(rotation.pick(2, Some(0), None, |_| true, |_| 0), Some(1));
        assert_eq!(
            rotation.pick(2, Some(0), None, |key| key == 0, |_| 0),
            Some(0)
        );
        assert_eq!(rotation.pick(2, None, None, |_| false, |_| 0), None);
        assert_eq!(rotation.pick(0, None, None, |_| true, |_| 0), None);
    }
}
