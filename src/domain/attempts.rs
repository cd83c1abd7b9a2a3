//! One request's way through its chain: what was tried, what may be tried next, how it ends.
//!
//! A machine without I/O: outcomes and refusals go in, the next step comes out. It keeps the limits of a
//! request (attempts, key refusals, deadline) and decides what counts against an upstream's health (laws
//! L1, L4, L7). Which key, and whether an upstream may be asked at all, is decided elsewhere.

use std::sync::Arc;
use std::time::Duration;

use super::attempt_record::AttemptRecord;
use super::blame::{self, PriorFailures};
use super::error_code::ErrorCode;
use super::ids::Upstream;
use super::limits::{DispatchPolicy, RetryPolicy};
use super::outcome::{Class, Failure, Retry};
use super::refusal::Reason;
use super::time::Time;

mod ask;
mod misfit;
mod open;
mod refused;
mod sum_up;

pub use ask::{LeaseFilter, Pin, RouteConstraints};
pub use refused::{Cause, LeaseRefused};

/// A hint longer than this is not waited for at the same upstream while another one is left.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// One candidate of a request's chain.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Where it would go.
    pub upstream: Upstream,
    /// Tokens its context window holds, when known.
    pub context_window: Option<u64>,
    /// How often it is asked again after a failure that may pass.
    pub retry: Arc<RetryPolicy>,
    /// Whether it can go on with an answer from what was sent of it.
    pub continues: bool,
}

/// What to do next.
#[derive(Clone, Debug)]
pub enum Next {
    /// Ask the router, after this wait (often none).
    Ask(Duration),
    /// Pass the upstream's own answer on to the caller: this attempt's, or the last one that said that its upstream
    /// does not have what the request needs, or has too little left of it.
    Relay,
    /// Answer with an error of ours.
    Fail(FinalError),
}

/// An error to answer with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FinalError {
    /// The code that the caller gets.
    pub code: ErrorCode,
    /// The earliest moment at which a new request could be served, when known.
    pub ready_at: Option<Time>,
}

#[derive(Clone, Debug)]
struct Slot {
    candidate: Candidate,
    closed: Option<Reason>,
    retries: u32,
    counted: bool,
    last: Option<Class>,
    /// What its last refusal for the request's size named.
    shortage: Option<RequestMisfit>,
    /// It is closed because not all of the output that is asked for fits beside the prompt, though a good part of it does.
    is_tight: bool,
    /// It failed, and is not to be asked again before then.
    not_before: Time,
}

/// The state of one request's dispatch.
#[derive(Clone, Debug)]
pub struct Attempts {
    policy: DispatchPolicy,
    /// When the request must have got somewhere; it may be put off.
    pub deadline: Time,
    /// The tokens of its prompt, 0 where they were not counted, and the most that its answer may have.
    size: (u64, u64),
    slots: Vec<Slot>,
    refused_keys: Vec<(usize, u32)>,
    avoid: Option<(usize, u32)>,
    /// The one key that holds what the request needs.
    only_key: Option<u32>,
    /// Whether it already blamed a key or a model for what may be the request's own doing.
    blamed: bool,
    attempts: u32,
    key_refusals: u32,
    records: Vec<AttemptRecord>,
    /// The earliest moment that a key that refused named as its reset.
    hinted: Option<Time>,
}

impl Attempts {
    /// A request whose prompt has `tokens` tokens and that must end at `deadline`.
    pub fn new(
        policy: DispatchPolicy,
        deadline: Time,
        tokens: u64,
        candidates: impl IntoIterator<Item = Candidate>,
    ) -> Self {
        let slots = candidates.into_iter().map(|candidate| Slot {
            closed: None,
            candidate,
            retries: 0,
            counted: false,
            last: None,
            shortage: None,
            is_tight: false,
            not_before: Time::ZERO,
        });
        let mut attempts = Self {
            policy,
            deadline,
            size: (0, 0),
            slots: slots.collect(),
            refused_keys: Vec::new(),
            avoid: None,
            only_key: None,
            blamed: false,
            attempts: 0,
            key_refusals: 0,
            records: Vec::new(),
            hinted: None,
        };
        attempts.needs(tokens, 0);
        attempts
    }

    /// The request waited for a key to become ready: keys that refused before may be asked again.
    pub fn waited(&mut self) {
        self.refused_keys.clear();
    }

    /// The attempts so far.
    pub fn records(&self) -> &[AttemptRecord] {
        &self.records
    }

    /// The same, for what is found out of them later.
    pub fn records_mut(&mut self) -> &mut [AttemptRecord] {
        &mut self.records
    }

    /// The same, taken out, once the request is over.
    pub fn take_records(&mut self) -> Vec<AttemptRecord> {
        std::mem::take(&mut self.records)
    }

    /// Attempts that counted against `max_attempts`, and refusals that counted against `max_key_refusals`.
    #[cfg(test)]
    pub(crate) fn used(&self) -> (u32, u32) {
        (self.attempts, self.key_refusals)
    }

    /// Candidate `index` is not for this request, whatever its health.
    pub fn rule_out(&mut self, index: usize, reason: Reason) {
        self.close(index, reason);
    }

    /// The first step of the request.
    pub fn start(&mut self, now: Time) -> Next {
        self.go_on(Duration::ZERO, now)
    }

    /// Whether another attempt may start beside `under_way` ones, whatever their outcomes (law L4).
    pub fn may_start_beside(&self, under_way: u32) -> bool {
        self.attempts.saturating_add(under_way) < self.policy.max_attempts
            && self.key_refusals.saturating_add(under_way) < self.policy.max_key_refusals
    }

    /// Whether an attempt at candidate `index` is still open to this request.
    pub fn is_open(&self, index: usize) -> bool {
        self.slots
            .get(index)
            .is_some_and(|slot| slot.closed.is_none())
    }

    /// An attempt is over that needs no next step: it served the request, or was given up.
    pub fn ended(&mut self, record: AttemptRecord) {
        self.attempts += 1;
        self.records.push(record);
    }

    /// A candidate refused the form in which it was asked to continue an answer: no failure counts, and the request
    /// as it was may still go there.
    pub fn rejected(&mut self, record: AttemptRecord, now: Time) -> Next {
        self.attempts += 1;
        self.records.push(record);
        self.go_on(Duration::ZERO, now)
    }

    /// An attempt at candidate `index` failed. Returns whether the failure counts against the upstream's
    /// health, and the next step. `random` is uniform in 0..1.
    pub fn failed(
        &mut self,
        index: usize,
        record: AttemptRecord,
        failure: &Failure,
        random: f64,
        now: Time,
    ) -> (bool, Next) {
        let class = failure.class;
        let key = record.key.index;
        if class.refuses_key() {
            let hint = failure.retry_after.map(|after| now + after);
            self.hinted = self.hinted.into_iter().chain(hint).min();
        }
        self.note_shortage(index, failure);
        let counts = self.failed_finally(index, record, failure);
        self.avoid = self.avoid.filter(|(avoided, _)| *avoided != index);
        let mut wait = Duration::ZERO;
        match class.retry() {
            // Where another attempt is under way the request goes on, but not here again.
            Retry::Never => {
                self.close(index, Reason::Tried);
                return (counts, Next::Relay);
            }
            Retry::NextKey => {
                self.refused_keys.push((index, key));
                if self.refusals_are_spent() {
                    self.close(index, Reason::KeysTried);
                }
            }
            Retry::SameUpstream => match self.pause(index, failure, random, now) {
                Some(pause) => {
                    wait = pause;
                    self.avoid = Some((index, key));
                }
                None => self.close(index, Reason::Tried),
            },
            Retry::NextUpstream | Retry::Elsewhere => self.close(index, Reason::Tried),
            Retry::LargerWindow => self.close_up_to_window(index, failure.window),
        }
        (counts, self.go_on(wait, now))
    }

    /// An attempt at candidate `index` failed, and no other one can follow. Returns whether the failure counts against
    /// the upstream's health.
    pub fn failed_finally(
        &mut self,
        index: usize,
        record: AttemptRecord,
        failure: &Failure,
    ) -> bool {
        self.records.push(record);
        if failure.class.refuses_key() {
            self.key_refusals += 1;
        } else {
            self.attempts += 1;
        }
        self.count(index, failure)
    }

    /// The router gave no lease.
    pub fn refused(&self, refused: &LeaseRefused, now: Time) -> FinalError {
        let ready_at = refused
            .declined
            .iter()
            .filter_map(|(_, refusal)| refusal.ready_at)
            .min();
        let code = if now >= self.deadline {
            ErrorCode::DeadlineExceeded
        } else if refused.cause == Cause::RoomFull {
            ErrorCode::WaitingRoomFull
        } else {
            self.sum_up(
                &refused.declined,
                refused.cause == Cause::WaitForbidden,
                now,
            )
        };
        // A caller whom a smaller request helps is not told to wait.
        let ready_at = ready_at.filter(|_| code != ErrorCode::ContextLengthExceeded);
        FinalError { code, ready_at }
    }

    fn go_on(&mut self, wait: Duration, now: Time) -> Next {
        if !self.slots.iter().any(|slot| slot.closed.is_none()) {
            self.loosen();
        }
        let fail = |code| {
            let limited = matches!(
                code,
                ErrorCode::UpstreamsRateLimited | ErrorCode::StateUnavailable
            );
            Next::Fail(FinalError {
                code,
                ready_at: self.hinted.filter(|_| limited),
            })
        };
        let open = self.slots.iter().filter(|slot| slot.closed.is_none());
        // What failed while another attempt was under way keeps its pause.
        let soonest = open.map(|slot| slot.not_before.since(now)).min();
        let wait = wait.max(soonest.unwrap_or_default());
        if now + wait >= self.deadline {
            return fail(ErrorCode::DeadlineExceeded);
        }
        let spent = self.attempts >= self.policy.max_attempts
            || self.key_refusals >= self.policy.max_key_refusals;
        if soonest.is_some() && !spent {
            return Next::Ask(wait);
        }
        if self.has_own_word() {
            return Next::Relay;
        }
        fail(self.sum_up(&[], false, now))
    }

    /// A wait before the same upstream is asked again, if it is to be.
    fn pause(
        &mut self,
        index: usize,
        failure: &Failure,
        random: f64,
        now: Time,
    ) -> Option<Duration> {
        let others = self
            .slots
            .iter()
            .enumerate()
            .any(|(other, slot)| other != index && slot.closed.is_none());
        let slot = self.slots.get_mut(index)?;
        if slot.retries >= slot.candidate.retry.same_upstream {
            return None;
        }
        let hint = failure.retry_after.unwrap_or(Duration::ZERO);
        // A hint is waited for like a key: not for longer than the request may wait.
        if hint > LONGEST_PAUSE && (others || hint > self.policy.await_cooldown) {
            return None;
        }
        let pause = slot
            .candidate
            .retry
            .waits
            .nth(slot.retries, random)
            .max(hint);
        if now + pause >= self.deadline {
            return None;
        }
        slot.retries += 1;
        slot.not_before = now + pause;
        Some(pause)
    }

    /// Whether the next refusal would eat up what the other open candidates need for one try each.
    fn refusals_are_spent(&self) -> bool {
        let open = self
            .slots
            .iter()
            .filter(|slot| slot.closed.is_none())
            .count();
        let others = u32::try_from(open.saturating_sub(1)).unwrap_or(u32::MAX);
        self.key_refusals.saturating_add(others) >= self.policy.max_key_refusals
    }

    /// Whether a failure at candidate `index` counts, by [`blame::counts`]; notes it for those that follow.
    fn count(&mut self, index: usize, failure: &Failure) -> bool {
        let class = failure.class;
        if failure.heard_as() != class {
            // Not the upstream's failure: it counts nowhere, and excuses no other upstream.
            return false;
        }
        let mut others = self.slots.iter().enumerate();
        let same_elsewhere = others.any(|(other, slot)| other != index && slot.last == Some(class));
        let Some(slot) = self.slots.get_mut(index) else {
            return false;
        };
        let met = PriorFailures {
            counted_here: slot.counted,
            same_elsewhere,
            doubtful_before: self.blamed,
        };
        let counts = blame::counts(failure, met);
        slot.last = Some(class);
        slot.counted |= counts && class.trips_breaker();
        self.blamed |= counts && blame::is_doubtful(failure);
        counts
    }

    fn close(&mut self, index: usize, reason: Reason) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.closed = Some(reason);
            slot.is_tight = false;
        }
    }

    /// The prompt did not fit: closes this upstream, and all whose window is known to be no larger. `named` is the
    /// window that the upstream itself named; of two that contradict each other the smaller one closes less.
    fn close_up_to_window(&mut self, index: usize, named: Option<u64>) {
        let Some(failed) = self.slots.get(index).map(|slot| slot.candidate.clone()) else {
            return;
        };
        let too_small = failed.context_window.into_iter().chain(named).min();
        for slot in &mut self.slots {
            let window = slot.candidate.context_window;
            let not_larger = window
                .zip(too_small)
                .is_some_and(|(own, small)| own <= small);
            let affected = slot.candidate.upstream == failed.upstream || not_larger;
            if affected && !slot.is_ruled_out() {
                slot.closed = Some(Reason::TooLarge);
                slot.is_tight = false;
            }
        }
    }
}

#[cfg(test)]
mod tests;
mod window;
pub use misfit::RequestMisfit;
