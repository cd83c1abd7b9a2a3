//! The order in which a provider's keys take their turns. No I/O, no clock, no logging.

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
}

impl KeyRotation {
    /// The name used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::Sticky => "sticky",
            Self::Sequential => "sequential",
            Self::LeastInFlight => "least_in_flight",
        }
    }
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
    /// `avoid` is taken only when no other key is ready. `in_flight` is asked for least-in-flight only.
    pub fn pick(
        &mut self,
        count: usize,
        avoid: Option<usize>,
        mut ready: impl FnMut(usize) -> bool,
        in_flight: impl Fn(usize) -> u32,
    ) -> Option<usize> {
        if count == 0 {
            return None;
        }
        let start = match self.kind {
            KeyRotation::Sequential => 0,
            KeyRotation::RoundRobin | KeyRotation::Sticky | KeyRotation::LeastInFlight => {
                self.cursor % count
            }
        };
        let mut in_turn = (0..count).map(|step| (start + step) % count);
        let mut usable = |index: &usize| Some(*index) != avoid && ready(*index);
        let chosen = match self.kind {
            KeyRotation::LeastInFlight => {
                in_turn.filter(usable).min_by_key(|index| in_flight(*index))
            }
            KeyRotation::RoundRobin | KeyRotation::Sticky | KeyRotation::Sequential => {
                in_turn.find(&mut usable)
            }
        };
        let chosen = chosen.or_else(|| avoid.filter(|index| *index < count && ready(*index)))?;
        self.cursor = match self.kind {
            KeyRotation::Sticky => chosen,
            KeyRotation::RoundRobin | KeyRotation::Sequential | KeyRotation::LeastInFlight => {
                chosen + 1
            }
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
            .map(|set| rotation.pick(3, None, |key| set.contains(&key), |key| [4, 1, 1][key]))
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

    #[test]
    fn the_key_to_avoid_is_taken_only_when_it_is_the_last_one() {
        let mut rotation = Rotation::new(KeyRotation::Sequential);
        assert_eq!(rotation.pick(2, Some(0), |_| true, |_| 0), Some(1));
        assert_eq!(rotation.pick(2, Some(0), |key| key == 0, |_| 0), Some(0));
        assert_eq!(rotation.pick(2, None, |_| false, |_| 0), None);
        assert_eq!(rotation.pick(0, None, |_| true, |_| 0), None);
    }
}
