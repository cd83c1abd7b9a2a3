//! Before anything is tried: what the request asks for, whether its client may ask for that, and what it is charged.

use std::borrow::Cow;
use std::sync::Arc;

use super::budgeted::{BudgetRefusal, Budgeted, reason};
use super::failed::Failed;
use super::request::Request;
use super::reservation::{OpenReservation, SentBytes};
use super::shared::Dispatch;
use super::tokens;
use crate::access::{Client, RateExceeded};
use crate::domain::attempt_record::CacheLookup;
use crate::domain::chain::{Chain, RankedChain, ResolveError};
use crate::domain::dialect::Operation;
use crate::domain::error_code::ErrorCode;
use crate::domain::ids::Upstream;
use crate::domain::refusal::Reason;
use crate::domain::routing_note::RoutingNote;
use crate::domain::time::Time;
use crate::telemetry::request_record::RequestRecord;

/// A request that may be served.
pub(super) struct Admitted {
    /// The target that was asked for, or the name of the default one.
    pub(super) target: String,
    /// What the target means.
    pub(super) chain: RankedChain,
    /// What its client was charged.
    pub(super) charge: Option<OpenReservation>,
    /// What is reserved in budgets, where there are any.
    pub(super) budgeted: Option<Box<Budgeted>>,
    /// Whether a kept answer was looked for.
    pub(super) lookup: CacheLookup,
}

/// A request that may not be served.
pub(super) struct NotAdmitted {
    /// The target as asked for, as far as that was looked at.
    pub(super) target: String,
    pub(super) failed: Failed,
    /// The budget that refuses it, if one does.
    pub(super) by_budget: Option<Box<BudgetRefusal>>,
    /// What the target means, where nothing but its client's tokens are used up and an answer may be kept.
    pub(super) for_tokens: Option<RankedChain>,
}

impl NotAdmitted {
    /// Refused for its target or its client.
    pub(super) fn new(target: String, failed: Failed) -> Box<Self> {
        Box::new(Self {
            target,
            failed,
            by_budget: None,
            for_tokens: None,
        })
    }
}

impl Dispatch {
    /// Finds out what the request asks for, whether its client may ask for that, and charges the client.
    pub(super) fn admit(&self, request: &Request) -> Result<Admitted, Box<NotAdmitted>> {
        let model = request.doc.model();
        let mut target = model.map_or_else(String::new, Cow::into_owned);
        let chain = match self.resolve(request) {
            Ok(chain) => chain,
            Err(failed) => return Err(NotAdmitted::new(target, failed)),
        };
        if target.is_empty() {
            chain.chain.target.as_ref().clone_into(&mut target);
        }
        match self.charged(request, tokens::estimate(&request.doc)) {
            Ok(charge) => Ok(Admitted {
                target,
                chain,
                charge,
                budgeted: None,
                lookup: CacheLookup::Off,
            }),
            Err(refused) => {
                let only_tokens = self.cache.is_some() && refused.what == "tokens";
                let message = refused.to_string();
                let failed = Failed {
                    retry_after: Some(refused.wait),
                    ..failed(request, refused.code(), message)
                };
                let mut refused = NotAdmitted::new(target, failed);
                refused.for_tokens = only_tokens.then_some(chain);
                Err(refused)
            }
        }
    }

    /// Records a request that was not admitted. Its body was complete at `complete`.
    pub(super) fn tell_refused(
        &self,
        mut request: Request,
        refused: NotAdmitted,
        complete: Time,
    ) -> Box<Failed> {
        let NotAdmitted {
            target,
            failed,
            by_budget,
            ..
        } = refused;
        let (chain, routing) = by_budget.map(|it| routing_of(*it)).unzip();
        let client = request.client.as_ref();
        let record = RequestRecord {
            client: client.map(|client| Arc::clone(client.name())),
            operation: request.operation,
            stream: request.doc.stream(),
            target,
            chain,
            routing: routing.flatten(),
            outcome: failed.code.as_str(),
            status: Some(failed.code.status()),
            attempts: Vec::new(),
            refused: None,
            lookup: CacheLookup::Off,
            saved: None,
            rescue_obstacles: Vec::new(),
            started: request.arrived,
            complete,
            ended: self.clock.now(),
            first_token: None,
            usage: None,
            trace: request.trace.take(),
            id: request.id,
        };
        self.recorder.record(record, None);
        Box::new(failed)
    }

    /// The chain that the request asks for in the order for it, if its client may.
    fn resolve(&self, request: &Request) -> Result<RankedChain, Failed> {
        let client = request.client.as_deref();
        if let Some(client) = client.filter(|client| client.is_restricted())
            && let Some(field) = request.doc.detour()
        {
            return Err(no_detour(request, client, field));
        }
        if request.operation == Operation::Passthrough {
            return Ok(RankedChain::whole(passed_chain(request)));
        }
        let resolved = self.target(request.doc.model().as_deref(), client);
        let chain = resolved.map_err(|(code, message)| Failed {
            param: Some("model"),
            ..failed(request, code, message)
        })?;
        Ok(self.ranked_for(chain, request))
    }

    /// The chain that `model` means, as configured, if that client may ask for it.
    ///
    /// # Errors
    /// The code and message of the answer.
    pub(super) fn target(
        &self,
        model: Option<&str>,
        client: Option<&Client>,
    ) -> Result<Arc<Chain>, (ErrorCode, String)> {
        let resolved = self.targets.resolve(model);
        let Some(client) = client else {
            return resolved.map_err(|error| unknown(&error));
        };
        // What a client may not ask for does not even exist for it.
        match resolved {
            Ok(chain) if client.may_ask(model, &chain) => Ok(chain),
            Ok(_) => Err(not_allowed(client, model)),
            Err(_) if model.is_some_and(|model| !client.may_name(model)) => {
                Err(not_allowed(client, model))
            }
            Err(ResolveError::UnknownTarget { name, mut near }) => {
                near.retain(|near| client.may_name(near));
                Err(unknown(&ResolveError::UnknownTarget { name, near }))
            }
            Err(error) => Err(unknown(&error)),
        }
    }

    /// Charges the client, if there is one, with a request and so many tokens.
    pub(super) fn charged(
        &self,
        request: &Request,
        tokens: u64,
    ) -> Result<Option<OpenReservation>, RateExceeded> {
        let Some(client) = &request.client else {
            return Ok(None);
        };
        let bill = client.reserve(tokens, self.clock.now())?;
        Ok(Some(OpenReservation {
            reservation: bill,
            prompt: tokens::prompt(&request.doc),
            said: SentBytes::new(request.caller()),
        }))
    }
}

/// The chain of a request that a budget refused, and why it went nowhere.
fn routing_of(refused: BudgetRefusal) -> (Arc<Chain>, Option<Box<RoutingNote>>) {
    let BudgetRefusal {
        chain: ranked,
        closed,
        note,
    } = refused;
    let unmet = ranked.ruled_out.iter();
    let unmet = unmet.map(|(place, unmet)| (*place, Reason::Unmet(*unmet)));
    let closed = closed.into_iter().enumerate();
    let closed = closed.filter_map(|(place, closed)| Some((place, reason(closed?))));
    let mut left_out: Vec<_> = closed.chain(unmet).collect();
    left_out.sort_by_key(|(place, _)| *place);
    let note = RoutingNote::of(ranked.ranking, left_out.into_iter(), Some(note));
    (ranked.chain, note)
}

/// Where a passed-through call goes: one provider, and no model that is known here.
fn passed_chain(request: &Request) -> Arc<Chain> {
    let provider = request.doc.model().unwrap_or_default();
    Arc::new(Chain {
        target: format!("passthrough/{provider}").into(),
        upstreams: vec![Upstream::new(&*provider, "passthrough")],
    })
}

fn unknown(error: &ResolveError) -> (ErrorCode, String) {
    let code = match error {
        ResolveError::UnknownTarget { .. } | ResolveError::NoModel { .. } => {
            ErrorCode::ModelNotFound
        }
        ResolveError::NoDefault => ErrorCode::NoDefaultModel,
    };
    (code, error.to_string())
}

fn not_allowed(client: &Client, model: Option<&str>) -> (ErrorCode, String) {
    let what = model.map_or_else(
        || "the default model".to_owned(),
        |model| format!("`{model}`"),
    );
    let message = format!(
        "client `{}` may not ask for {what}: GET /v1/models lists what it may",
        client.name()
    );
    (ErrorCode::TargetNotAllowed, message)
}

fn no_detour(request: &Request, client: &Client, field: &'static str) -> Failed {
    let message = format!(
        "client `{}` may not send `{field}`, which could lead past what it may ask for: name one target as `model`",
        client.name()
    );
    Failed {
        param: Some(field),
        ..failed(request, ErrorCode::TargetNotAllowed, message)
    }
}

pub(super) fn failed(request: &Request, code: ErrorCode, message: String) -> Failed {
    Failed {
        code,
        message,
        retry_after: None,
        records: Vec::new(),
        skipped: Box::default(),
        arrived: request.arrived,
        ended: request.arrived,
        param: None,
    }
}
