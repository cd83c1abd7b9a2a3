//! What a test of a key comes to.

/// Whether a key is good, as far as a test can tell.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KeyVerdict {
    /// The provider took it, in a call that it takes with a good key only.
    Ok,
    /// The provider refuses it.
    Invalid,
    /// It is good, and its credit or its allowance is used up.
    NoCredit,
    /// It is good, and has to wait.
    RateLimited,
    /// The provider answered, and would have answered without a good key too.
    Unproven,
    /// There is no answer of the provider.
    Unreachable,
}

impl KeyVerdict {
    /// All of them, best first.
    pub const ALL: [Self; 6] = [
        Self::Ok,
        Self::RateLimited,
        Self::NoCredit,
        Self::Invalid,
        Self::Unproven,
        Self::Unreachable,
    ];

    /// Its name in tables and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Invalid => "invalid",
            Self::NoCredit => "no_credit",
            Self::RateLimited => "rate_limited",
            Self::Unproven => "unproven",
            Self::Unreachable => "unreachable",
        }
    }
}
