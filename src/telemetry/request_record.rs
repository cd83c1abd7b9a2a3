//! All facts of a request when it has ended: the log, the metrics, the traces and the pages are made from
//! this one record. No prompt, no answer and no key material.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::attempt_record::{AttemptReason, AttemptRecord, CacheLookup, SavedByCache};
use crate::domain::attempts::LeaseRefused;
use crate::domain::chain::Chain;
use crate::domain::cost::CostKind;
use crate::domain::dialect::Operation;
use crate::domain::money::Pico;
use crate::domain::outcome::Class;
use crate::domain::refusal::Reason;
use crate::domain::rescue::RescueNote;
use crate::domain::routing_note::{AffinityOutcome, RoutingNote};
use crate::domain::time::Time;
use crate::domain::trace::TraceContext;
use crate::domain::usage::Usage;

/// One request, from arrival to end.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    /// Its id, kept or made.
    pub id: Arc<str>,
    /// The client's name; `None` where no clients are configured, or where the token was missing or unknown.
    pub client: Option<Arc<str>>,
    /// The operation of the request's route.
    pub operation: Operation,
    /// Whether the answer was to be streamed.
    pub stream: bool,
    /// The target as asked for; empty when that was not looked at.
    pub target: String,
    /// What the target means; `None` when it means nothing, or when that was not looked at.
    pub chain: Option<Arc<Chain>>,
    /// Why it went where it went; `None` where nothing of that was decided for this request.
    pub routing: Option<Box<RoutingNote>>,
    /// `answered`, `caller_left`, or the code of our error.
    pub outcome: &'static str,
    /// The status that went back, if one did.
    pub status: Option<u16>,
    /// Every attempt, in the order in which they ended.
    pub attempts: Vec<AttemptRecord>,
    /// When no upstream could take (another) attempt, and the refusal of each.
    pub refused: Option<(Time, LeaseRefused)>,
    /// Whether an answer was there before any upstream was asked.
    pub lookup: CacheLookup,
    /// What that was worth, where it served the request.
    pub saved: Option<SavedByCache>,
    /// What kept an answer that broke off from being finished by another attempt, or from being continued where it stopped.
    pub rescue_obstacles: Vec<RescueNote>,
    /// When it arrived.
    pub started: Time,
    /// When all of it was there.
    pub complete: Time,
    /// When it ended.
    pub ended: Time,
    /// When the first content of a streamed answer was there.
    pub first_token: Option<Time>,
    /// As the upstreams counted.
    pub usage: Option<Usage>,
    /// Its place in a trace, where spans are made or the caller named one.
    pub trace: Option<Arc<TraceContext>>,
}

impl RequestRecord {
    /// From arrival to end.
    pub fn total(&self) -> Duration {
        self.ended.since(self.started)
    }

    /// Whether the request was admitted: it was not refused for its target, its client or a budget.
    pub fn is_admitted(&self) -> bool {
        self.chain.is_some() && !self.is_refused_by_budget()
    }

    /// Whether a budget refused it, before anything was sent.
    pub fn is_refused_by_budget(&self) -> bool {
        let note = self.routing.as_ref();
        note.is_some_and(|note| note.is_refused())
    }

    /// Whether we failed it: an error of ours went back that is not the caller's own doing, or an answer was cut.
    pub fn is_failed(&self) -> bool {
        let ours = !matches!(
            self.outcome,
            "answered" | "caller_left" | "client_rate_limited" | "client_overloaded"
        );
        // An answer that was cut has a status of success.
        ours && self
            .status
            .is_none_or(|status| status < 400 || status == 429 || status >= 500)
    }

    /// What all attempts cost together, where that is known, and the weakest kind among their figures.
    pub fn cost(&self) -> Option<(Pico, CostKind)> {
        AttemptRecord::total_cost(&self.attempts)
    }

    /// What became of the request's conversation; `None` where none decided, or nothing was asked.
    pub fn affinity(&self) -> Option<AffinityOutcome> {
        let served = &self.attempts.last()?.upstream;
        self.routing.as_ref()?.affinity(served)
    }

    /// Upstreams that were left out because their expressions failed.
    pub fn failed_conditions(&self) -> u64 {
        let note = self.routing.iter();
        let reasons = note
            .flat_map(|note| &note.left_out)
            .map(|(_, reason)| reason);
        let failed = reasons.filter(
            |reason| matches!(reason, Reason::Unmet(unmet) if unmet.is_failed_expression()),
        );
        failed.fold(0, |count, _| count + 1)
    }

    /// The place in its chain, from 1, of the upstream that served it, where the chain was ranked for it.
    pub fn ranked_place(&self) -> Option<usize> {
        self.routing.as_ref()?.ranking.as_ref()?;
        let served = self.attempts.last()?;
        if served.class != Class::Success {
            return None;
        }
        let mut upstreams = self.chain.as_ref()?.upstreams.iter();
        let place = upstreams.position(|upstream| *upstream == served.upstream);
        place.map(|place| place + 1)
    }

    /// The attempts that were made because another upstream had failed.
    pub fn failovers(&self) -> usize {
        let attempts = self.attempts.iter();
        attempts
            .filter(|attempt| attempt.reason == AttemptReason::Failover)
            .count()
    }
}
