//! Which answer a request gets that no upstream served: an upstream's own, or one code for all that was tried and
//! declined.
//!
//! Upstreams that are not for the request at all have no say, unless there is no other: then that is the answer, with the
//! reason of each. Of the others, what the caller can do about it decides. The first rule that holds:
//! 1. All upstreams say that this request is not for them: the last own answer that tells what is lacking goes back, for
//!    no error of ours says more. But where it is too long for one and too large for the limit of another, that is said of both.
//! 2. It is too long for some, and all others refuse it for reasons that are known. If one of these has room again soon,
//!    waiting helps, and the answer is the limit's with its time. Else asking for less is all that helps:
//!    `context_length_exceeded`, with what each upstream is too small by.
//! 3. All are of one kind: gone, invalid keys, limits.
//! 4. The rest is mixed.

use std::time::Duration;

use super::{Attempts, Slot};
use crate::domain::error_code::ErrorCode;
use crate::domain::outcome::Class;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::time::Time;

/// A used-up quota that returns within this is waited for; later, a caller who can ask for less is told that. As long as
/// `cooldown.max` by default: what rests for longer was called an allowance already when it was read.
const SOON: Duration = Duration::from_secs(15 * 60);

/// What an upstream is to the request at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    /// The request does not fit into its window.
    TooLong,
    /// The request is not for it otherwise.
    Misfit,
    /// It has room again at some time.
    Limited { soon: bool },
    /// It does not know the model.
    Gone,
    /// Its keys are of no use.
    Invalid,
    /// It failed.
    Failed,
}

impl Slot {
    fn is_too_long(&self) -> bool {
        self.closed == Some(Reason::TooLarge) || self.last == Some(Class::ContextOverflow)
    }

    pub(super) fn is_ruled_out(&self) -> bool {
        matches!(
            self.closed,
            Some(Reason::Unmet(_) | Reason::Budget | Reason::Unpriced)
        )
    }

    fn is_limited(&self) -> bool {
        self.last == Some(Class::TooLargeForLimit)
    }
}

impl Attempts {
    /// Whether nothing failed but what the request asks for, and an upstream said what it lacks or how little is left
    /// of a limit or a credit: no error of ours says more to the caller.
    pub(super) fn has_own_word(&self) -> bool {
        let mut tried = self.slots.iter().filter_map(|slot| slot.last);
        let tells = |class: Class| class.is_misfit() && class != Class::ContextOverflow;
        let told = |slot: &Slot| slot.last.is_some_and(tells);
        self.slots.iter().any(told)
            && tried.all(Class::is_misfit)
            && !(self.slots.iter().any(Slot::is_too_long)
                && self.slots.iter().any(Slot::is_limited))
    }

    /// One code for all that was tried and `declined`.
    pub(super) fn sum_up(
        &self,
        declined: &[(usize, Refusal)],
        wait_forbidden: bool,
        now: Time,
    ) -> ErrorCode {
        let failed = |slot: &Slot| slot.last.is_some_and(Class::trips_breaker);
        if self.only_key.is_some() && !self.slots.iter().any(failed) {
            return ErrorCode::StateUnavailable;
        }
        let slots = self.slots.iter().enumerate();
        let slots = slots.filter(|(_, slot)| !slot.is_ruled_out());
        if slots.clone().next().is_none() && !self.slots.is_empty() {
            return ErrorCode::NoUpstreamMatches;
        }
        let is_cut_off = |(_, refusal): &(usize, Refusal)| refusal.reason == Reason::FleetLost;
        // How it ended at each upstream.
        let endings = slots.map(|(index, slot)| {
            let said = declined.iter().find(|(of, _)| *of == index);
            self.ending(slot, said.map(|(_, refusal)| *refusal), now)
        });
        let endings: Vec<Ending> = endings.collect();
        let any = |ending| endings.contains(&ending);
        let all = |known: &[Ending]| endings.iter().all(|ending| known.contains(ending));
        let (soon, late) = (
            Ending::Limited { soon: true },
            Ending::Limited { soon: false },
        );
        let (too_long, misfit) = (Ending::TooLong, Ending::Misfit);
        let come_back = match wait_forbidden {
            true => ErrorCode::CoolingDown,
            false => ErrorCode::UpstreamsRateLimited,
        };
        let last = self.records.last().map(|record| record.class);
        // The rules of the module, in their order.
        if !declined.is_empty() && declined.iter().all(is_cut_off) {
            ErrorCode::FleetUnavailable
        } else if any(too_long) && !any(Ending::Failed) {
            match any(soon) {
                true => come_back,
                false => ErrorCode::ContextLengthExceeded,
            }
        } else if all(&[misfit]) {
            match self.slots.iter().any(Slot::is_limited) {
                true => ErrorCode::UpstreamsRateLimited,
                false => ErrorCode::ContextLengthExceeded,
            }
        } else if all(&[misfit, Ending::Gone]) {
            ErrorCode::ModelNotFound
        } else if all(&[misfit, Ending::Invalid]) {
            ErrorCode::NoUsableKeys
        } else if all(&[misfit, Ending::Invalid, soon, late]) {
            come_back
        } else if last == Some(Class::Malformed) {
            ErrorCode::InvalidUpstreamResponse
        } else {
            ErrorCode::UpstreamsExhausted
        }
    }

    fn ending(&self, slot: &Slot, declined: Option<Refusal>, now: Time) -> Ending {
        let said = declined.map(|refusal| refusal.reason).or(slot.closed);
        let ready_at = declined
            .and_then(|refusal| refusal.ready_at)
            .or(self.hinted);
        let limited = |quota: bool| Ending::Limited {
            soon: !quota || ready_at.is_some_and(|ready| ready <= now + SOON),
        };
        match (slot.last, said) {
            (_, Some(Reason::TooLarge)) | (Some(Class::ContextOverflow), _) => Ending::TooLong,
            (Some(class), _) if class.is_misfit() => Ending::Misfit,
            // A key that will be ready outweighs another that was refused for good.
            (_, Some(Reason::Cooling | Reason::Limited | Reason::Saturated)) => limited(false),
            (Some(Class::ModelGone), _) | (None, Some(Reason::ModelGone)) => Ending::Gone,
            (Some(Class::InvalidKey), _)
            | (None, Some(Reason::Invalid | Reason::NoKeys | Reason::Quarantined | Reason::Held)) => {
                Ending::Invalid
            }
            (Some(Class::QuotaExhausted), _) | (None, Some(Reason::Exhausted)) => limited(true),
            (Some(Class::RateLimited), _) => limited(false),
            (None, Some(reason)) if reason.is_capacity() => limited(false),
            _ => Ending::Failed,
        }
    }
}
