//! What becomes of a request once every candidate of its chain has said what it would: it goes, it waits, or it is
//! refused. The router decides by the same rules. No I/O, no clock, no logging.

use std::time::Duration;

use super::attempts::{Cause, Refused};
use super::refusal::{Reason, Refusal};
use super::time::Time;

/// So long an actor's restart is waited for in any case.
pub const RESTART_GRACE: Duration = Duration::from_secs(1);

/// What can be hoped for when all candidates declined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hope {
    /// Something may be ready at any moment.
    pub open_ended: bool,
    /// The earliest moment at which something will be.
    pub earliest: Option<Time>,
    /// An actor is being restarted.
    pub restart: bool,
}

impl Hope {
    /// What is left by what the candidates said.
    pub fn of(declined: &[(usize, Refusal)]) -> Self {
        let refusals = declined.iter().map(|(_, refusal)| refusal);
        let hopeful = refusals.filter(|refusal| refusal.reason.may_pass());
        Self {
            open_ended: hopeful.clone().any(|refusal| refusal.ready_at.is_none()),
            earliest: hopeful.clone().filter_map(|it| it.ready_at).min(),
            restart: hopeful.clone().any(|it| it.reason == Reason::Restarting),
        }
    }

    /// Why a request does not wait that may do so until `limit`; `may_wait` is false when its caller forbade it.
    pub fn why_not_wait(&self, may_wait: bool, limit: Time, now: Time) -> Option<Cause> {
        if !self.open_ended && self.earliest.is_none() {
            Some(Cause::NothingLeft)
        } else if now >= limit {
            Some(match may_wait {
                true => Cause::TimeUp,
                false => Cause::WaitForbidden,
            })
        } else if !self.open_ended && self.earliest.is_some_and(|earliest| earliest > limit) {
            Some(Cause::TooLate)
        } else {
            None
        }
    }
}

/// Whether a request waits for what refused it rather than walk on: its patience lasts until `end`. Only for what says
/// that the upstream works and has no room at present, and for an actor's restart, which takes milliseconds. Whoever is
/// out because it failed (an open breaker, a model that is gone, an invalid key) is walked past.
pub fn is_worth_patience(refusal: Refusal, end: Time, now: Time) -> bool {
    let reason = refusal.reason;
    let is_about_room = reason.is_capacity() || reason == Reason::Restarting;
    is_about_room
        && reason.may_pass()
        && now < end
        && refusal.ready_at.is_none_or(|ready| ready <= end)
}

/// One candidate of a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prospect {
    /// Why the request does not even ask there.
    pub closed: Option<Reason>,
    /// Whether it is let through to the keys.
    pub gate: Result<(), Refusal>,
    /// It recovers, and sends the request on to others if there are any.
    pub yields: bool,
    /// Whether one of its keys takes the request, or the best of what they say.
    pub keys: Result<(), Refusal>,
}

/// What bounds the request's waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Its caller did not forbid it.
    pub may_wait: bool,
    /// For keys.
    pub wait_until: Time,
    /// For an upstream that is preferred.
    pub patience_until: Time,
    /// For everything.
    pub deadline: Time,
    /// There is a place for it in the waiting room.
    pub has_place: bool,
}

/// What becomes of it.
#[derive(Clone, Debug)]
pub enum Forecast {
    /// It goes to this candidate, by its place in the chain.
    Goes(usize),
    /// It waits.
    Waits {
        /// What the candidates said that it came to.
        declined: Vec<(usize, Refusal)>,
        /// Until it looks again; `None`: for something that may be ready at any moment.
        until: Option<Time>,
    },
    /// Nobody can serve it in time.
    Refused(Refused),
}

/// What becomes of a request with these candidates, of which at least one is open.
pub fn forecast(prospects: &[Prospect], terms: &Terms, now: Time) -> Forecast {
    let mut declined = match walk(prospects, terms, false, now) {
        Ok(end) => return end,
        Err(declined) => declined,
    };
    let yields = |(_, refusal): &(usize, Refusal)| refusal.reason == Reason::Recovering;
    if declined.iter().any(yields) {
        declined = match walk(prospects, terms, true, now) {
            Ok(end) => return end,
            Err(declined) => declined,
        };
    }
    let hope = Hope::of(&declined);
    let grace = match hope.restart {
        true => now + RESTART_GRACE,
        false => Time::ZERO,
    };
    let limit = terms.wait_until.max(grace).min(terms.deadline);
    match hope.why_not_wait(terms.may_wait, limit, now) {
        Some(cause) => Forecast::Refused(Refused { cause, declined }),
        None => wait(declined, terms),
    }
}

/// One walk along the chain. `insists`: nobody else can serve it.
///
/// # Errors
/// What all candidates said when none takes it and none is worth waiting for there and then.
fn walk(
    prospects: &[Prospect],
    terms: &Terms,
    insists: bool,
    now: Time,
) -> Result<Forecast, Vec<(usize, Refusal)>> {
    let mut declined = Vec::new();
    let open = prospects.iter().enumerate();
    for (at, prospect) in open.filter(|(_, prospect)| prospect.closed.is_none()) {
        let said = match prospect.gate {
            Ok(()) if prospect.yields && !insists => Err(Refusal::open_ended(Reason::Recovering)),
            Ok(()) => prospect.keys,
            Err(refusal) => Err(refusal),
        };
        let Err(refusal) = said else {
            return Ok(Forecast::Goes(at));
        };
        declined.push((at, refusal));
        if is_worth_patience(refusal, terms.patience_until.min(terms.deadline), now) {
            return Ok(wait(declined, terms));
        }
    }
    Err(declined)
}

fn wait(declined: Vec<(usize, Refusal)>, terms: &Terms) -> Forecast {
    if !terms.has_place {
        let cause = Cause::RoomFull;
        return Forecast::Refused(Refused { cause, declined });
    }
    let hope = Hope::of(&declined);
    Forecast::Waits {
        until: hope.earliest.filter(|_| !hope.open_ended),
        declined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_000_000);
    const FREE: Prospect = Prospect {
        closed: None,
        gate: Ok(()),
        yields: false,
        keys: Ok(()),
    };
    const TERMS: Terms = Terms {
        may_wait: true,
        wait_until: Time::from_millis(1_030_000),
        patience_until: Time::ZERO,
        deadline: Time::from_millis(1_600_000),
        has_place: true,
    };

    fn seconds(seconds: u64) -> Time {
        NOW + Duration::from_secs(seconds)
    }

    fn cooling(until: u64) -> Prospect {
        Prospect {
            keys: Err(Refusal::until(Reason::Cooling, seconds(until))),
            ..FREE
        }
    }

    fn full() -> Prospect {
        Prospect {
            keys: Err(Refusal::open_ended(Reason::Saturated)),
            ..FREE
        }
    }

    fn told(prospects: &[Prospect], terms: Terms) -> String {
        match forecast(prospects, &terms, NOW) {
            Forecast::Goes(at) => format!("goes to {at}"),
            Forecast::Waits { until: None, .. } => "waits".to_owned(),
            Forecast::Waits {
                until: Some(until), ..
            } => format!("waits {}", until.since(NOW).as_secs()),
            Forecast::Refused(refused) => format!("{:?}", refused.cause),
        }
    }

    #[test]
    fn the_first_that_takes_it_gets_it() {
        let closed = Prospect {
            closed: Some(Reason::TooLarge),
            ..FREE
        };
        let open = Prospect {
            gate: Err(Refusal::until(Reason::CircuitOpen, seconds(5))),
            ..FREE
        };
        assert_eq!(told(&[FREE, FREE], TERMS), "goes to 0");
        assert_eq!(told(&[closed, open, cooling(1), FREE], TERMS), "goes to 3");
    }

    #[test]
    fn it_waits_for_the_earliest_as_long_as_it_may() {
        assert_eq!(told(&[cooling(20), cooling(10)], TERMS), "waits 10");
        assert_eq!(told(&[cooling(10), full()], TERMS), "waits");
        assert_eq!(told(&[cooling(31), cooling(40)], TERMS), "TooLate");
        let never = Terms {
            may_wait: false,
            wait_until: NOW,
            ..TERMS
        };
        assert_eq!(told(&[cooling(1)], never), "WaitForbidden");
        let crowded = Terms {
            has_place: false,
            ..TERMS
        };
        assert_eq!(told(&[cooling(1)], crowded), "RoomFull");
    }

    #[test]
    fn what_cannot_pass_is_not_waited_for_but_a_restart_always_is() {
        let gone = Prospect {
            keys: Err(Refusal::open_ended(Reason::NoKeys)),
            ..FREE
        };
        let restarting = Prospect {
            gate: Err(Refusal::until(Reason::Restarting, NOW)),
            ..FREE
        };
        let never = Terms {
            may_wait: false,
            wait_until: NOW,
            ..TERMS
        };
        assert_eq!(told(&[gone], TERMS), "NothingLeft");
        assert_eq!(told(&[gone, restarting], never), "waits 0");
    }

    #[test]
    fn one_that_recovers_is_passed_over_only_for_another_one() {
        let recovering = Prospect {
            yields: true,
            ..FREE
        };
        assert_eq!(told(&[recovering, FREE], TERMS), "goes to 1");
        assert_eq!(told(&[recovering, cooling(5)], TERMS), "goes to 0");
    }

    #[test]
    fn patience_waits_for_the_preferred_one_although_another_is_free() {
        let patient = Terms {
            patience_until: seconds(6),
            ..TERMS
        };
        assert_eq!(told(&[cooling(5), FREE], patient), "waits 5");
        assert_eq!(told(&[cooling(7), FREE], patient), "goes to 1");
    }

    #[test]
    fn patience_is_for_cooldowns_limits_and_restarts_alone() {
        let patient = Terms {
            patience_until: seconds(6),
            ..TERMS
        };
        let said = |refusal| {
            let gate = Prospect {
                gate: Err(refusal),
                ..FREE
            };
            told(&[gate, FREE], patient)
        };
        for reason in [
            Reason::CircuitOpen,
            Reason::ModelGone,
            Reason::Invalid,
            Reason::RetryBudget,
        ] {
            let refusal = Refusal::until(reason, seconds(5));
            assert_eq!(said(refusal), "goes to 1", "{reason:?}");
            let refusal = Refusal::open_ended(reason);
            assert_eq!(said(refusal), "goes to 1", "{reason:?}");
        }
        for reason in [
            Reason::Cooling,
            Reason::Exhausted,
            Reason::Limited,
            Reason::Paced,
            Reason::Restarting,
        ] {
            let refusal = Refusal::until(reason, seconds(5));
            assert_eq!(said(refusal), "waits 5", "{reason:?}");
        }
        for reason in [Reason::Saturated, Reason::Contended] {
            let refusal = Refusal::open_ended(reason);
            assert_eq!(said(refusal), "waits", "{reason:?}");
        }
    }
}
