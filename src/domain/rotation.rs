//! In which order the keys of one provider are asked. No I/O.

/// How a provider's keys take turns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum KeyRotation {
    /// One step per attempt: a, b, c, a…
    #[default]
    RoundRobin,
    /// The key that served last, until it cannot.
    Sticky,
    /// Always from the first key; the others only when it cannot.
    Sequential,
    /// The key with the fewest requests under way.
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
