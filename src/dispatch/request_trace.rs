//! The facts of a request that are recorded when it ends, in addition to its attempts. A request that is
//! dropped before its end is recorded as left by its caller.

use std::sync::Arc;

use super::budgeted::Budgeted;
use super::request::Request;
use super::reservation::OpenReservation;
use super::shared::Dispatch;
use crate::domain::attempt_record::{AttemptRecord, CacheLookup, SavedByCache};
use crate::domain::attempts::LeaseRefused;
use crate::domain::error_code::ErrorCode;
use crate::domain::ids::Upstream;
use crate::domain::outcome::Class;
use crate::domain::rescue::{RescueNote, RescueObstacle};
use crate::domain::target::Ranking;
use crate::domain::time::Time;
use crate::domain::usage::Usage;
use crate::wire::content::{RequestContent, Spoken};

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RequestEnd {
    /// An upstream's answer went back whole (its status).
    Answered(u16),
    /// An error of ours went back.
    Failed(ErrorCode),
    /// A stream had begun and was cut: it ended with an error event.
    Cut(ErrorCode),
}

/// The facts of one request, as they become known.
#[derive(Debug)]
pub(super) struct RequestTrace {
    /// What the client was charged.
    pub(super) charge: Option<OpenReservation>,
    /// What was reserved in budgets.
    pub(super) budgeted: Option<Box<Budgeted>>,
    /// How its chain was put in order, where that depends on the request.
    pub(super) ranking: Option<Ranking>,
    /// The target that was asked for, or the name of the default one.
    pub(super) target: String,
    /// When all of the request was there.
    pub(super) complete: Time,
    /// The records of the attempts under way, used if the request ends during them.
    pub(super) current: [Option<Arc<AttemptRecord>>; 2],
    /// When no upstream could take (another) attempt, and why.
    pub(super) refused: Option<(Time, LeaseRefused)>,
    /// What the stage before any upstream found.
    pub(super) lookup: CacheLookup,
    /// What that was worth.
    pub(super) saved: Option<SavedByCache>,
    /// What kept its answer from being rescued.
    pub(super) obstacles: Vec<RescueNote>,
    pub(super) first_token: Option<Time>,
    pub(super) usage: Option<Usage>,
    /// The service tier that was asked for, once the request itself may be gone.
    pub(super) tier: Option<Box<str>>,
    /// The texts of the request, where traces contain them.
    pub(super) content: Option<Box<RequestContent>>,
    pub(super) ending: Option<RequestEnd>,
}

impl RequestTrace {
    /// At the beginning of a request that was admitted.
    pub(super) fn new(
        dispatch: &Dispatch,
        request: &Request,
        target: String,
        charge: Option<OpenReservation>,
        complete: Time,
    ) -> Self {
        let traced = request.trace.as_ref().is_some_and(|trace| trace.records);
        let content = (traced && dispatch.recorder.tells_content()).then(|| {
            Box::new(RequestContent {
                request: request.doc.body().clone(),
                answer: None,
                spoken: None,
            })
        });
        Self {
            charge,
            budgeted: None,
            ranking: None,
            target,
            complete,
            current: [None, None],
            refused: None,
            lookup: CacheLookup::Off,
            saved: None,
            obstacles: Vec::new(),
            first_token: None,
            usage: None,
            tier: None,
            content,
            ending: None,
        }
    }

    /// The end of a request whose stream was not read until after its deadline: its
    /// caller did not leave, but did not read either.
    pub(super) fn overdue(&self, request: &Request, now: Time) -> Option<RequestEnd> {
        let late = request.streams() && now >= request.deadline;
        late.then(|| self.too_late(request))
    }

    /// The end of a request whose deadline has passed.
    pub(super) fn too_late(&self, request: &Request) -> RequestEnd {
        let code = ErrorCode::DeadlineExceeded;
        match self.first_token.filter(|_| request.streams()) {
            Some(_) => RequestEnd::Cut(code),
            // Nothing but comments went out.
            None => RequestEnd::Failed(code),
        }
    }

    /// Notes what keeps its answer from being rescued, or from being continued at this upstream.
    pub(super) fn meets(&mut self, at: Time, obstacle: RescueObstacle, upstream: Option<Upstream>) {
        self.obstacles.push(RescueNote {
            at,
            obstacle,
            upstream,
        });
    }

    /// Notes the text of a stream that was sent.
    pub(super) fn told(&mut self, spoken: Option<Spoken>) {
        if let Some(content) = &mut self.content {
            content.spoken = spoken;
        }
    }

    /// The request has ended after these attempts: its client pays what it used.
    pub(super) fn settle(&mut self, records: &[AttemptRecord], now: Time) {
        if let Some(charge) = self.charge.take() {
            let used = self.used(&charge, records);
            charge.reservation.settle(used, now);
        }
    }

    /// How it ended, in a word, and with which status. `halted`: the process ends. `streams`: something of its answer may
    /// have gone out before.
    pub(super) fn outcome(&self, halted: bool, streams: bool) -> (&'static str, Option<u16>) {
        match self.ending {
            Some(RequestEnd::Answered(status)) => ("answered", Some(status)),
            Some(RequestEnd::Failed(code)) => (code.as_str(), Some(code.status())),
            Some(RequestEnd::Cut(code)) if streams => (code.as_str(), Some(200)),
            Some(RequestEnd::Cut(code)) => (code.as_str(), Some(code.status())),
            // Dropped where it was, because the process ends.
            None if halted => {
                let code = ErrorCode::Draining;
                let begun = self.first_token.filter(|_| streams).map(|_| 200);
                (code.as_str(), begun.or(Some(code.status())))
            }
            None => ("caller_left", None),
        }
    }

    /// What the client pays in the end; `None`: what was estimated.
    fn used(&self, charge: &OpenReservation, records: &[AttemptRecord]) -> Option<u64> {
        let recorded = self.usage.and_then(|usage| usage.total());
        match self.ending {
            // No upstream worked for it, however much of its answer was taken.
            _ if self.lookup.is_served() => Some(0),
            Some(RequestEnd::Answered(_)) if recorded.is_some() => recorded,
            Some(RequestEnd::Failed(_)) => Some(recorded.unwrap_or(0)),
            Some(RequestEnd::Answered(status)) if status >= 400 => Some(0),
            Some(RequestEnd::Answered(_)) => Some(charge.used(None)),
            _ if self.first_token.is_some() => Some(charge.used(self.usage)),
            _ if recorded.is_some() => recorded,
            // The caller left while no attempt was under way.
            None if records
                .iter()
                .all(|record| record.class != Class::Cancelled) =>
            {
                Some(0)
            }
            _ => None,
        }
    }
}
