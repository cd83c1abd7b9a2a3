//! What goes into dispatch: a request, and the endpoints that it may go to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::affinity_choice::AffinityChoice;
use super::native::NativeOperations;
use super::output_limits::OutputLimits;
use super::payload::Payload;
use super::token_failures::TokenFailures;
use crate::access::Client;
use crate::domain::client::Requester;
use crate::domain::dialect::Operation;
use crate::domain::dropped::{Dropped, Unsupported};
use crate::domain::finish::FinishCriteria;
use crate::domain::hint_fields::DataPolicy;
use crate::domain::limits::{RetryPolicy, Timeouts};
use crate::domain::outcome::Failure;
use crate::domain::profile::Fetch;
use crate::domain::rescue::Prefill;
use crate::domain::secret::ApiKey;
use crate::domain::tags::ProviderTags;
use crate::domain::time::Time;
use crate::domain::trace::TraceContext;
use crate::domain::unmet::KnownCapabilities;
use crate::upstream::Transport;
use crate::upstream::access::ProviderAccess;
use crate::wire::auth::AuthScheme;
use crate::wire::dialect::CallerDialect;
use crate::wire::dialects::{self, Dialect};
use crate::wire::hints::RequestHints;
use crate::wire::request::RequestDoc;

/// What dispatch needs to know of one provider.
pub struct Endpoint {
    /// Its catalogue id, for its ways of saying no; empty for a custom one.
    pub kind: String,
    /// The dialect of the upstream.
    pub dialect: Dialect,
    /// Where its calls go.
    pub transport: Arc<dyn Transport>,
    /// Headers that every call carries.
    pub headers: HeaderMap,
    /// What else gives access to it and to the way there: credentials in the query of its URL, its proxy's password.
    pub credentials: Arc<[ApiKey]>,
    /// Filled into a request that has none.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// Tokens its models hold, when known.
    pub context_window: Option<u64>,
    /// The largest whole answer in bytes, as received.
    pub max_answer: usize,
    /// The largest event of a stream, in bytes.
    pub max_event: usize,
    /// How long the parts of an attempt may take.
    pub timeouts: Timeouts,
    /// How often it is asked again.
    pub retry: Arc<RetryPolicy>,
    /// Whether its calls say which trace they belong to.
    pub trace_context: bool,
    /// Whether its calls carry the caller's `user-agent` behind our own.
    pub forward_user_agent: bool,
    /// Where its calls carry the key; `None`: as its dialect has it.
    pub auth: Option<AuthScheme>,
    /// What lets its calls in where a key is no text that is sent.
    pub access: Option<Arc<ProviderAccess>>,
    /// How it is asked to go on with an answer; `None` when it cannot be.
    pub prefill: Option<Continuation>,
    /// What is done where its dialect has no place for something, if neither the caller nor the target says.
    pub unsupported: Unsupported,
    /// Whether it has the operations that not all providers of its dialect have.
    pub native: NativeOperations,
    /// How much output its models give at most.
    pub output_limits: OutputLimits,
    /// Why its keys have no tokens.
    pub tokens: TokenFailures,
    /// Whether clients may call any path of it.
    pub passthrough: bool,
    /// How whole answers are fetched, if its configuration says that.
    pub fetch: Option<Fetch>,
    /// The factor of its scores.
    pub base_priority: f64,
    /// What it does with prompts.
    pub data_policy: DataPolicy,
    /// What is known of what its models can do.
    pub capabilities: KnownCapabilities,
    /// What expressions may ask for.
    pub tags: ProviderTags,
}

/// How an upstream is asked to go on from the beginning of an answer.
pub struct Continuation {
    /// What the request says.
    pub form: Prefill,
    /// Where it goes, if not where all calls go.
    pub transport: Option<Arc<dyn Transport>>,
}

/// A request as the data listener took it.
pub struct Request {
    /// Its id, kept or made.
    pub id: Arc<str>,
    /// What is asked for.
    pub operation: Operation,
    /// When the request arrived.
    pub arrived: Time,
    /// The request's body.
    pub doc: RequestDoc,
    /// The caller's headers that may go on.
    pub headers: HeaderMap,
    /// When its answer must have ended ([`DispatchPolicy::deadline_of`](crate::domain::limits::DispatchPolicy::deadline_of)).
    pub deadline: Time,
    /// A streamed answer must begin within this span of its arrival, if the caller hangs up otherwise.
    pub begins_within: Option<Duration>,
    /// How long the caller waits for each next byte of a streamed answer, if it says so.
    pub silence: Option<Duration>,
    /// The caller's word on waiting for a key.
    pub await_cooldown: Option<Duration>,
    /// The client; `None` where no clients are configured.
    pub client: Option<Arc<Client>>,
    /// What is done where an upstream's dialect has no place for something, as far as the caller or its target says.
    pub unsupported: Option<Unsupported>,
    /// What the caller says of the key that it is to go to.
    pub affinity: Option<AffinityChoice>,
    /// Whether its whole answer is fetched as a stream.
    pub fetched: bool,
    /// What was left out of it, because nobody could read it any more.
    pub left_out: Dropped,
    /// How it narrows the choice of its target; the fields that say so are no longer in its body.
    pub hints: Option<Box<RequestHints>>,
    /// What it carries beside its body's document.
    pub payload: Option<Payload>,
    /// Its place in a trace, where spans are made or the caller named one.
    pub trace: Option<Arc<TraceContext>>,
}

impl Request {
    /// Whether its caller gets a stream.
    pub(super) fn streams(&self) -> bool {
        self.doc.stream() && !self.fetched
    }

    /// When something of the answer must be there.
    pub(super) fn begins_by(&self) -> Time {
        let begins = self.begins_within.map(|span| self.arrived + span);
        begins.map_or(self.deadline, |begins| begins.min(self.deadline))
    }

    /// Lets go of what is needed only to ask an upstream: the body and the headers. What was read of them stays.
    pub(super) fn release(&mut self) {
        self.doc.release();
        self.headers = HeaderMap::new();
        self.payload = None;
    }

    /// What its caller speaks.
    pub(super) fn caller(&self) -> &'static dyn CallerDialect {
        dialects::caller(self.operation)
    }

    /// Whether it may go on after an attempt that failed like this.
    pub(super) fn may_repeat(&self, failure: &Failure) -> bool {
        let payload = self.payload.as_ref();
        payload.is_none_or(|payload| payload.fault().is_none() && payload.may_repeat(failure))
    }

    /// What the answer is to have.
    pub(super) fn wanted(&self) -> FinishCriteria {
        FinishCriteria {
            choices: self.doc.choices(),
            usage: self.caller().asks_for_usage(&self.doc),
        }
    }

    /// The client and class under which it waits.
    pub(super) fn standing(&self) -> Requester {
        let client = self.client.as_ref();
        client.map_or_else(Requester::default, |client| client.standing())
    }
}

impl fmt::Debug for Request {
    /// The caller's headers may hold its token, the body holds its prompt: both stay out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("id", &self.id)
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}
