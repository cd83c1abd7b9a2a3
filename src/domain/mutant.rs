//! Deliberate bugs, to prove that the simulation would catch them. Each is planted for one thread at a time; a
//! release build contains none of them: there [`on`] is always false. No I/O, no clock, no logging.

/// One bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// A lease that ends tells nobody.
    SettleForgotten,
    /// A stream whose caller leaves keeps its lease.
    CancelledStreamKeepsLease,
    /// A cooling key is asked.
    CooldownIgnored,
    /// A later and shorter Retry-After shortens a cooldown.
    CooldownShortened,
    /// Retry-After is not looked at.
    HintIgnored,
    /// A key that was found invalid stays in use.
    InvalidKeyKept,
    /// An open breaker lets everything through.
    BreakerIgnored,
    /// A half-open breaker lets a second probe through.
    TwoProbes,
    /// The breaker counts the caller's own faults.
    CallerFaultTrips,
    /// A request that fails alike everywhere counts everywhere.
    PoisonCounts,
    /// One attempt more than allowed.
    OneAttemptMore,
    /// A key that refused is asked again at once by the same request.
    RefusedKeyAgain,
    /// Extra attempts are not limited.
    RetryBudgetIgnored,
    /// Who waits for a key waits beyond the deadline.
    DeadlineIgnored,
    /// A cut stream ends with `[DONE]`.
    CutLooksComplete,
    /// An event goes out twice.
    EventTwice,
    /// One attempt is not told to the caller.
    AttemptNotTold,
    /// A key's state is lost in a crash.
    StateLostAtCrash,
    /// A request whose route is lost in a crash gives up.
    LostRouteGivesUp,
    /// The loser of a race goes on.
    LoserGoesOn,
    /// A rescue goes on with another answer than the one that was begun.
    DivergedGoesOn,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::SettleForgotten,
        Self::CancelledStreamKeepsLease,
        Self::CooldownIgnored,
        Self::CooldownShortened,
        Self::HintIgnored,
        Self::InvalidKeyKept,
        Self::BreakerIgnored,
        Self::TwoProbes,
        Self::CallerFaultTrips,
        Self::PoisonCounts,
        Self::OneAttemptMore,
        Self::RefusedKeyAgain,
        Self::RetryBudgetIgnored,
        Self::DeadlineIgnored,
        Self::CutLooksComplete,
        Self::EventTwice,
        Self::AttemptNotTold,
        Self::StateLostAtCrash,
        Self::LostRouteGivesUp,
        Self::LoserGoesOn,
        Self::DivergedGoesOn,
    ];
}

#[cfg(debug_assertions)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Whether the bug is planted in this thread.
#[cfg(debug_assertions)]
pub fn on(mutant: Mutant) -> bool {
    PLANTED.get() == Some(mutant)
}

/// Never.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn on(_: Mutant) -> bool {
    false
}

/// Plants a bug in this thread, or removes it.
#[cfg(debug_assertions)]
pub fn plant(mutant: Option<Mutant>) {
    PLANTED.set(mutant);
}

/// Does nothing: a release build has no bugs of this kind.
#[cfg(not(debug_assertions))]
pub const fn plant(_: Option<Mutant>) {}
