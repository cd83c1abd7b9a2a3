//! A process's part of what may be spent in a window, in a fleet: it spends no more than it has claimed.

use crate::domain::fleet::money::{self, GivenClaim};
use crate::domain::money::Pico;

/// A window that begins so soon, in seconds, is asked about already, so that nobody waits for it.
pub(super) const AHEAD: i64 = 10;
/// Who wanted nothing for so many counts, half a second each, is idle.
const IDLE: u32 = 10;
/// Of what is left one is to have such a part at hand.
const AT_HAND: u64 = 32;

/// What is claimed of one window. Amounts in units of [`money`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct WindowClaim {
    pub(super) number: i64,
    pub(super) claimed: u64,
    /// All have spent at least this.
    pub(super) heard: u64,
    /// What nobody has claimed; `None`: not told yet.
    pub(super) left: Option<u64>,
    /// How often some of it was given up: an answer to what was asked before that is none any more.
    pub(super) given_up: u64,
}

/// What is claimed, and what is wanted.
#[derive(Clone, Default, Debug)]
pub(super) struct MeterClaim {
    pub(super) window: WindowClaim,
    /// Of the window after it.
    pub(super) next: WindowClaim,
    /// Spent since the process began, in this window.
    pub(super) used: Pico,
    /// What was used when it was last counted, and in about the ten seconds before.
    counted: u64,
    recent: u64,
    /// The largest reservation of late.
    usual: u64,
    /// What a request was refused for, beyond what is claimed.
    pub(super) need: u64,
    /// Counts since a request wanted something.
    idle: u32,
}

impl MeterClaim {
    /// Another window has begun.
    pub(super) fn roll(&mut self, number: i64) {
        let next = std::mem::take(&mut self.next);
        self.window = match next.number == number {
            true => next,
            false => WindowClaim {
                number,
                ..WindowClaim::default()
            },
        };
        self.used = Pico::ZERO;
        self.counted = 0;
        self.need = 0;
        self.idle = 0;
    }

    /// The store has answered.
    pub(super) fn given(&mut self, number: i64, given_up: u64, given: GivenClaim) {
        let window = if number == self.window.number {
            self.need = 0;
            &mut self.window
        } else if number > self.window.number {
            self.next.number = number;
            &mut self.next
        } else {
            return;
        };
        if window.given_up == given_up {
            window.claimed = given.claimed;
        }
        window.heard = window.heard.max(given.spent);
        window.left = Some(given.left);
    }

    /// What may have been spent here in all.
    pub(super) fn claimed(&self) -> Pico {
        money::of_units(self.window.claimed)
    }

    /// What all have spent, as far as was heard.
    pub(super) fn heard(&self) -> Pico {
        money::of_units(self.window.heard)
    }

    /// A request wants to spend that, beside what is `reserved`.
    pub(super) fn note_wanted(&mut self, reserved: Pico, estimate: Pico) {
        self.idle = 0;
        let estimate = money::spent_units(estimate);
        self.usual = self.usual.max(estimate);
        let taken = money::spent_units(self.used.plus(reserved));
        let missing = taken.saturating_add(estimate);
        let missing = missing.saturating_sub(self.window.claimed);
        self.need = self.need.max(missing);
    }

    /// How much more is wanted. What is not needed is kept to no longer.
    pub(super) fn wants(&mut self, reserved: Pico, amount: u64) -> u64 {
        let used = money::spent_units(self.used);
        self.recent -= self.recent.div_ceil(20);
        self.recent = self
            .recent
            .saturating_add(used.saturating_sub(self.counted));
        self.counted = used;
        let at_hand = self.window.left.unwrap_or(amount) / AT_HAND;
        let target = self.recent.max(self.usual).saturating_mul(2).max(at_hand);
        self.usual -= self.usual.div_ceil(20);
        let taken = used.saturating_add(money::spent_units(reserved));
        let unspent = self.window.claimed.saturating_sub(taken);
        self.idle = self.idle.saturating_add(1);
        let is_gone = |wanted: u64| self.window.left.is_some_and(|left| left < wanted);
        // When nothing is left parts that serve nobody are put together: those that are too small for a request here, and
        // those of who wants nothing.
        let is_too_small = self.need > 0 && is_gone(self.need);
        let is_idle = self.idle > IDLE && is_gone(1);
        let kept = match () {
            () if is_too_small || is_idle => 0,
            () if unspent > target.saturating_mul(2) => target,
            () => unspent,
        };
        if kept < unspent {
            self.window.claimed = taken.saturating_add(kept);
            self.window.given_up += 1;
        }
        if is_too_small {
            self.need = self.need.saturating_add(unspent);
        }
        match is_idle {
            true => self.need,
            false => target.saturating_sub(kept).max(self.need),
        }
    }
}

impl MeterClaim {
    /// What a window is begun with: as much as this one went on with.
    pub(super) fn wants_first(&self, amount: u64, reserved: Pico) -> u64 {
        let busy = self.recent.max(self.usual).saturating_mul(2);
        let reserved = money::spent_units(reserved);
        busy.max(amount / AT_HAND).saturating_add(reserved)
    }
}

/// What a ledger knows of its fleet.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct FleetPart {
    /// The store cannot be asked: of how many parts each process may then spend one; 0: none.
    pub(super) lost: Option<u64>,
}
