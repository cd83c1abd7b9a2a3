//! Floor 5: a request's own task. It asks the tree for a lease, sends, classifies, settles, and passes the
//! answer on; after a failure that can be hidden it asks again. All waiting and all I/O of a request happen
//! here, and dropping it gives everything back.

mod attempt;
mod events;
mod relay;
mod run;
mod story;
mod tokens;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

pub use relay::Relay;

use crate::actors::tree::Dispatcher;
use crate::domain::attempts::Record;
use crate::domain::chain::Targets;
use crate::domain::dialect::Operation;
use crate::domain::error_code::ErrorCode;
use crate::domain::ids::{KeyId, ProviderName, Upstream};
use crate::domain::limits::{DispatchPolicy, RetryPolicy, Timeouts};
use crate::domain::time::Time;
use crate::runtime::clock::Clock;
use crate::upstream::Upstream as Wire;
use crate::wire::openai::request::RequestDoc;

/// What dispatch needs to know of one provider.
pub struct Endpoint {
    /// Its catalogue id, for its ways of saying no; empty for a custom one.
    pub kind: String,
    /// Where its calls go.
    pub wire: Arc<dyn Wire>,
    /// Headers that every call carries.
    pub headers: HeaderMap,
    /// Filled into a request that has none.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// Tokens its models hold, when known.
    pub context_window: Option<u64>,
    /// How long the parts of an attempt may take.
    pub timeouts: Timeouts,
    /// How often it is asked again.
    pub retry: Arc<RetryPolicy>,
}

/// Everything a request's task needs. One per process, shared.
pub struct Dispatch {
    /// The way into the tree.
    pub dispatcher: Dispatcher,
    /// What may be asked for.
    pub targets: Arc<Targets>,
    /// By name.
    pub endpoints: HashMap<ProviderName, Arc<Endpoint>>,
    /// What bounds a request.
    pub policy: DispatchPolicy,
    /// The clock.
    pub clock: Clock,
}

/// A request as the data listener took it.
#[derive(Debug)]
pub struct Request {
    /// Its id, kept or made.
    pub id: Arc<str>,
    /// What is asked for.
    pub operation: Operation,
    /// When it arrived.
    pub arrived: Time,
    /// Its body.
    pub doc: RequestDoc,
    /// The caller's headers that may go on.
    pub headers: HeaderMap,
    /// The caller's deadline, if shorter than ours.
    pub deadline: Option<Duration>,
    /// The caller's word on waiting for a key.
    pub await_cooldown: Option<Duration>,
}

/// An upstream's answer on its way to the caller.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The upstream's headers that may go on.
    pub headers: HeaderMap,
    /// The body.
    pub body: AnswerBody,
    /// Who answered.
    pub upstream: Upstream,
    /// With which key.
    pub key: KeyId,
    /// Attempts made, this one included.
    pub attempts: usize,
}

/// A body that is there, or that is still coming.
#[derive(Debug)]
pub enum AnswerBody {
    /// Whole.
    Full(Bytes),
    /// A stream whose first content is there.
    Stream(Box<Relay>),
}

/// A request that ends with an error of ours.
#[derive(Debug)]
pub struct Failed {
    /// Which.
    pub code: ErrorCode,
    /// For the caller.
    pub message: String,
    /// When a new request may be served.
    pub retry_after: Option<Duration>,
    /// What was tried.
    pub records: Vec<Record>,
    /// When it arrived.
    pub arrived: Time,
    /// The field at fault, if one is.
    pub param: Option<&'static str>,
}
