//! Where a request goes: its candidates are tried in order until one takes it, or it waits, or it is refused.
//!
//! [`Traversal`] does that, one refusal at a time. The router drives it with the actors' answers, and [`plan`] with
//! what they have published, so what is planned is what happens. No I/O, no clock, no logging.

use std::time::Duration;

use super::attempts::Cause;
use super::ids::KeyId;
use super::key_preference::KeyPreference;
use super::provider_state::Pass;
use super::ramp::Recovery;
use super::refusal::{Reason, Refusal};
use super::time::Time;

/// How long an actor's restart is waited for in any case.
pub const RESTART_GRACE: Duration = Duration::from_secs(1);

/// What bounds a request's waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WaitLimits {
    /// Its caller did not forbid it.
    pub may_wait: bool,
    /// The latest moment until which it may wait for a key.
    pub wait_until: Time,
    /// For an upstream that is preferred.
    pub patience_until: Time,
    /// The request's deadline.
    pub deadline: Time,
}

impl WaitLimits {
    /// Until when it may wait for keys, and through the restart of an actor that ends at `grace_until`.
    pub fn until(&self, grace_until: Option<Time>) -> Time {
        let grace = grace_until.unwrap_or(Time::ZERO);
        self.wait_until.max(grace).min(self.deadline)
    }

    /// Whether a request waits for this refusal to end rather than try the next candidate: only when the upstream works
    /// and has no room at present, and for an actor's restart, which takes milliseconds. An upstream that is out
    /// because it failed (an open breaker, a model that is gone, an invalid key) is passed over.
    fn is_worth_patience(&self, refusal: Refusal, now: Time) -> bool {
        let end = self.patience_until.min(self.deadline);
        let reason = refusal.reason;
        let is_about_room = reason.is_capacity() || reason == Reason::Restarting;
        is_about_room
            && reason.may_pass()
            && now < end
            && refusal.ready_at.is_none_or(|ready| ready <= end)
    }
}

/// What can be hoped for when all candidates declined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct WaitOutlook {
    /// Something may be ready at any moment.
    open_ended: bool,
    /// The earliest moment at which something will be.
    earliest: Option<Time>,
    /// An actor is being restarted.
    restart: bool,
}

impl WaitOutlook {
    fn of(declined: &[(usize, Refusal)]) -> Self {
        let refusals = declined.iter().map(|(_, refusal)| refusal);
        let hopeful = refusals.filter(|refusal| refusal.reason.may_pass());
        Self {
            open_ended: hopeful.clone().any(|refusal| refusal.ready_at.is_none()),
            earliest: hopeful.clone().filter_map(|it| it.ready_at).min(),
            restart: hopeful.clone().any(|it| it.reason == Reason::Restarting),
        }
    }

    /// Why a request does not wait that may do so until `limit`; `may_wait` is false when its caller forbade it.
    fn why_not_wait(&self, may_wait: bool, limit: Time, now: Time) -> Option<Cause> {
        if !self.open_ended && self.earliest.is_none() {
            Some(Cause::NothingLeft)
        } else if now >= limit {
            Some(if may_wait {
                Cause::TimeUp
            } else {
                Cause::WaitForbidden
            })
        } else if !self.open_ended && self.earliest.is_some_and(|earliest| earliest > limit) {
            Some(Cause::TooLate)
        } else {
            None
        }
    }
}

/// One pass over the candidates.
#[derive(Clone, Default, Debug)]
pub struct Traversal {
    /// The candidate it is at, by its place in the order.
    pub at: usize,
    /// The refusals of earlier candidates in this pass.
    pub declined: Vec<(usize, Refusal)>,
    /// No other candidate can serve the request: an upstream that is recovering, or that was found not to have the
    /// operation, must take it.
    pub insists: bool,
}

/// What follows when no candidate took the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conclusion {
    /// The candidates are tried once more, recovering ones included.
    Again,
    /// The request waits.
    Wait,
    /// No candidate can serve it in time.
    Refuse(Cause),
}

impl Traversal {
    /// Moves on to the next of `count` candidates that is not `closed` to the request, and returns its place; `None` at
    /// the end of the order.
    pub fn advance(&mut self, closed: &[Option<Reason>], count: usize) -> Option<usize> {
        while self.at < count {
            if closed.get(self.at).copied().flatten().is_none() {
                return Some(self.at);
            }
            self.at += 1;
        }
        None
    }

    /// The present candidate declined. Returns whether the request waits for it rather than try the next one; if not,
    /// the next candidate is the present one. Only the first of the order is waited for.
    pub fn declined(&mut self, refusal: Refusal, limits: &WaitLimits, now: Time) -> bool {
        let is_first = self.declined.is_empty();
        self.declined.push((self.at, refusal));
        let waits = is_first && limits.is_worth_patience(refusal, now);
        if !waits {
            self.at += 1;
        }
        waits
    }

    /// Every open candidate has declined. `grace_until` is until when the request waits for an actor's restart, once it
    /// met one; `behind_restart` says whether those ahead of it in the waiting room wait for nothing but that.
    pub fn conclude(
        &mut self,
        limits: &WaitLimits,
        grace_until: &mut Option<Time>,
        behind_restart: impl FnOnce(&[(usize, Refusal)]) -> bool,
        now: Time,
    ) -> Conclusion {
        // Some turned it away because others might serve: they cannot.
        let yielded = |(_, refusal): &(usize, Refusal)| {
            matches!(refusal.reason, Reason::Recovering | Reason::NotOffered)
        };
        if !self.insists && self.declined.iter().any(yielded) {
            *self = Self {
                insists: true,
                ..Self::default()
            };
            return Conclusion::Again;
        }
        let hope = WaitOutlook::of(&self.declined);
        // A restart takes moments: it is waited for whatever the caller says about keys.
        let is_over = now >= limits.until(*grace_until);
        if hope.restart || (is_over && behind_restart(&self.declined)) {
            grace_until.get_or_insert(now + RESTART_GRACE);
        }
        match hope.why_not_wait(limits.may_wait, limits.until(*grace_until), now) {
            Some(cause) => Conclusion::Refuse(cause),
            None => Conclusion::Wait,
        }
    }
}

/// What is published of one candidate.
#[derive(Clone, PartialEq, Debug)]
pub struct CandidateFacts {
    /// Whether it would be offered to a key: no request waits for it already, and its provider lets the request
    /// through.
    pub gate: Result<Pass, Refusal>,
    /// Until when it counts as one without the operation that is asked for.
    pub not_offered: Option<Time>,
    /// While it recovers from an open breaker.
    pub recovery: Option<Recovery>,
    /// The key that the request's conversation belongs to, where its provider keeps it at one.
    pub preference: Option<KeyPreference>,
    /// Its keys in the order in which they would be asked, and why each would refuse.
    pub keys: Vec<(KeyId, Option<Refusal>)>,
}

impl CandidateFacts {
    /// Whether a request is taken that comes here. One that `insists` cannot be served elsewhere.
    ///
    /// # Errors
    /// Why not, and when it could: of several keys what may end first.
    pub fn verdict(&self, insists: bool) -> Result<(), Refusal> {
        let pass = self.gate?;
        if let Some(until) = self.not_offered.filter(|_| !insists) {
            return Err(Refusal::until(Reason::NotOffered, until));
        }
        // A probe is not held back.
        let yields = !pass.probe && self.recovery.is_some_and(|it| !it.admits);
        if yields && !insists {
            return Err(Refusal::open_ended(Reason::Recovering));
        }
        let mut best = None;
        for (_, refusal) in &self.keys {
            let Some(refusal) = *refusal else {
                return Ok(());
            };
            best = Some(best.map_or(refusal, |best: Refusal| best.sooner(refusal)));
        }
        Err(best.unwrap_or(Refusal::open_ended(Reason::NoKeys)))
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlanOutcome {
    /// It goes to the first candidate of the plan's order.
    Goes,
    /// It waits until then; `None`: for something that may be ready at any moment.
    Waits(Option<Time>),
    /// No candidate can serve it in time.
    Refused(Cause),
}

/// Where a request would go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// What becomes of it.
    pub outcome: PlanOutcome,
    /// The candidates that would take it, in the order in which they would be asked.
    pub order: Vec<usize>,
    /// The others, and why each is left out.
    pub skipped: Vec<(usize, Refusal)>,
    /// Those of [`skipped`](Self::skipped) that were asked before it was decided, and what they answered.
    pub declined: Vec<(usize, Refusal)>,
}

/// The plan for a request that comes at `now`, by what is published of its candidates. `closed` says which of them the
/// request itself rules out, at least one is open; `has_place` whether there is a place for it in the waiting room, and
/// `behind_restart` what [`Traversal::conclude`] says.
pub fn plan(
    candidates: &[CandidateFacts],
    closed: &[Option<Reason>],
    limits: &WaitLimits,
    has_place: bool,
    behind_restart: impl Fn(&[(usize, Refusal)]) -> bool,
    now: Time,
) -> Plan {
    let mut walk = Traversal::default();
    let mut grace_until = None;
    let wait = |declined: &[(usize, Refusal)]| {
        let hope = WaitOutlook::of(declined);
        if has_place {
            PlanOutcome::Waits(hope.earliest.filter(|_| !hope.open_ended))
        } else {
            PlanOutcome::Refused(Cause::RoomFull)
        }
    };
    // The traversal as the router makes it, with published verdicts in place of the actors' answers.
    let outcome = loop {
        let Some(at) = walk.advance(closed, candidates.len()) else {
            match walk.conclude(limits, &mut grace_until, &behind_restart, now) {
                Conclusion::Again => continue,
                Conclusion::Wait => break wait(&walk.declined),
                Conclusion::Refuse(cause) => break PlanOutcome::Refused(cause),
            }
        };
        let verdict = candidates.get(at).map(|it| it.verdict(walk.insists));
        let Some(Err(refusal)) = verdict else {
            break PlanOutcome::Goes;
        };
        if walk.declined(refusal, limits, now) {
            break wait(&walk.declined);
        }
    };
    // Then every candidate is sorted: in the order in which it would be asked, or left out with a reason.
    let goes = (outcome == PlanOutcome::Goes).then_some(walk.at);
    let mut plan = Plan {
        outcome,
        order: Vec::new(),
        skipped: Vec::new(),
        declined: walk.declined,
    };
    for (at, candidate) in candidates.iter().enumerate() {
        let said = plan.declined.iter().find(|(of, _)| *of == at);
        let said = said.map(|(_, refusal)| *refusal);
        let closed = closed.get(at).copied().flatten().map(Refusal::open_ended);
        // Candidates behind the one that takes it are not asked, but their refusals are known all the same.
        let later = || candidate.verdict(goes.is_none_or(|goes| at >= goes)).err();
        match closed.or(said).or_else(later) {
            Some(refusal) => plan.skipped.push((at, refusal)),
            None => plan.order.push(at),
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_000_000);
    const TERMS: WaitLimits = WaitLimits {
        may_wait: true,
        wait_until: Time::from_millis(1_030_000),
        patience_until: Time::ZERO,
        deadline: Time::from_millis(1_600_000),
    };

    fn candidate(gate: Result<(), Refusal>, key: Option<Refusal>) -> CandidateFacts {
        let id = KeyId {
            provider: "p".into(),
            index: 1,
        };
        CandidateFacts {
            gate: gate.map(|()| Pass { probe: false }),
            not_offered: None,
            recovery: None,
            preference: None,
            keys: vec![(id, key)],
        }
    }

    fn free() -> CandidateFacts {
        candidate(Ok(()), None)
    }

    fn recovering() -> CandidateFacts {
        let recovery = Recovery {
            share: 0.5,
            admits: false,
        };
        CandidateFacts {
            recovery: Some(recovery),
            ..free()
        }
    }

    fn seconds(seconds: u64) -> Time {
        NOW + Duration::from_secs(seconds)
    }

    fn cooling(until: u64) -> CandidateFacts {
        candidate(
            Ok(()),
            Some(Refusal::until(Reason::Cooling, seconds(until))),
        )
    }

    fn full() -> CandidateFacts {
        candidate(Ok(()), Some(Refusal::open_ended(Reason::Saturated)))
    }

    fn planned(
        candidates: &[CandidateFacts],
        closed: &[Option<Reason>],
        limits: WaitLimits,
    ) -> Plan {
        plan(candidates, closed, &limits, true, |_| false, NOW)
    }

    fn told(candidates: &[CandidateFacts], limits: WaitLimits) -> String {
        let plan = planned(candidates, &[], limits);
        match plan.outcome {
            PlanOutcome::Goes => format!("goes to {}", plan.order[0]),
            PlanOutcome::Waits(None) => "waits".to_owned(),
            PlanOutcome::Waits(Some(until)) => format!("waits {}", until.since(NOW).as_secs()),
            PlanOutcome::Refused(cause) => format!("{cause:?}"),
        }
    }

    #[test]
    fn the_first_that_takes_it_gets_it() {
        let open = candidate(Err(Refusal::until(Reason::BreakerOpen, seconds(5))), None);
        assert_eq!(told(&[free(), free()], TERMS), "goes to 0");
        let closed = [Some(Reason::TooLarge), None, None, None, None, None];
        let all = [free(), open, cooling(1), free(), full(), free()];
        let plan = planned(&all, &closed, TERMS);
        assert_eq!((plan.outcome, plan.order), (PlanOutcome::Goes, vec![3, 5]));
        let skipped = plan.skipped.iter().map(|(at, why)| (*at, why.reason));
        let expected = [
            (0, Reason::TooLarge),
            (1, Reason::BreakerOpen),
            (2, Reason::Cooling),
            (4, Reason::Saturated),
        ];
        assert_eq!(skipped.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn it_waits_for_the_earliest_as_long_as_it_may() {
        assert_eq!(told(&[cooling(20), cooling(10)], TERMS), "waits 10");
        assert_eq!(told(&[cooling(10), full()], TERMS), "waits");
        assert_eq!(told(&[cooling(31), cooling(40)], TERMS), "TooLate");
        let never = WaitLimits {
            may_wait: false,
            wait_until: NOW,
            ..TERMS
        };
        assert_eq!(told(&[cooling(1)], never), "WaitForbidden");
        let crowded = plan(&[cooling(1)], &[], &TERMS, false, |_| false, NOW);
        assert_eq!(crowded.outcome, PlanOutcome::Refused(Cause::RoomFull));
    }

    #[test]
    fn what_cannot_pass_is_not_waited_for_but_a_restart_always_is() {
        let gone = || CandidateFacts {
            keys: Vec::new(),
            ..free()
        };
        let restarting = candidate(Err(Refusal::until(Reason::Restarting, NOW)), None);
        let never = WaitLimits {
            may_wait: false,
            wait_until: NOW,
            ..TERMS
        };
        assert_eq!(told(&[gone()], TERMS), "NothingLeft");
        assert_eq!(told(&[gone(), restarting], never), "waits 0");
        let behind = plan(&[full()], &[], &never, true, |_| true, NOW);
        assert_eq!(behind.outcome, PlanOutcome::Waits(None));
    }

    #[test]
    fn one_that_recovers_is_passed_over_only_for_another_one() {
        assert_eq!(told(&[recovering(), free()], TERMS), "goes to 1");
        assert_eq!(told(&[recovering(), cooling(5)], TERMS), "goes to 0");
        let lacking = || CandidateFacts {
            not_offered: Some(Time::from_millis(600_000)),
            ..free()
        };
        assert_eq!(told(&[lacking(), free()], TERMS), "goes to 1");
        assert_eq!(told(&[lacking(), cooling(5)], TERMS), "goes to 0");
        assert_eq!(told(&[lacking()], TERMS), "goes to 0");
    }

    #[test]
    fn patience_waits_for_the_preferred_one_although_another_is_free() {
        let patient = WaitLimits {
            patience_until: seconds(6),
            ..TERMS
        };
        assert_eq!(told(&[cooling(5), free()], patient), "waits 5");
        assert_eq!(told(&[cooling(7), free()], patient), "goes to 1");
        let open = candidate(Err(Refusal::until(Reason::BreakerOpen, seconds(5))), None);
        assert_eq!(told(&[open, cooling(5), free()], patient), "goes to 2");
        assert_eq!(told(&[cooling(7), full(), free()], patient), "goes to 2");
    }

    #[test]
    fn patience_is_for_cooldowns_limits_and_restarts_alone() {
        let patient = WaitLimits {
            patience_until: seconds(6),
            ..TERMS
        };
        let said = |refusal| told(&[candidate(Err(refusal), None), free()], patient);
        for reason in [
            Reason::BreakerOpen,
            Reason::ModelGone,
            Reason::Invalid,
            Reason::NoToken,
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
