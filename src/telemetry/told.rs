//! Everything that is known of a request when it has ended: what the log, the metrics, the traces and the pages tell of
//! it is taken from this one place. No prompt, no answer and no key material.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::attempts::Refused;
use crate::domain::chain::Chain;
use crate::domain::dialect::Operation;
use crate::domain::record::Record;
use crate::domain::time::Time;
use crate::domain::trace::TraceContext;
use crate::wire::openai::usage::Usage;

/// One request, from arrival to end.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its id, kept or made.
    pub id: Arc<str>,
    /// The client's name; `None` where nobody has to identify, or where nobody did.
    pub client: Option<Arc<str>>,
    /// Which route.
    pub operation: Operation,
    /// Whether the answer was to be streamed.
    pub stream: bool,
    /// The target as asked for; empty when that was not looked at.
    pub target: String,
    /// What the target means; `None` when it means nothing, or when that was not looked at.
    pub chain: Option<Arc<Chain>>,
    /// `answered`, `caller_left`, or the code of our error.
    pub outcome: &'static str,
    /// The status that went back, if one did.
    pub status: Option<u16>,
    /// Every attempt, in the order in which they ended.
    pub attempts: Vec<Record>,
    /// When nobody could take (another) attempt, and what each said.
    pub refused: Option<(Time, Refused)>,
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

impl Told {
    /// From arrival to end.
    pub fn total(&self) -> Duration {
        self.ended.since(self.started)
    }

    /// Whether we failed it: an error of ours went back that is not the caller's own doing, or an answer was cut.
    pub fn is_failed(&self) -> bool {
        let ours = self.outcome != "answered" && self.outcome != "caller_left";
        // An answer that was cut has a status of success.
        ours && self
            .status
            .is_none_or(|status| status < 400 || status == 429 || status >= 500)
    }

    /// The attempts at another upstream than the attempt before.
    pub fn failovers(&self) -> usize {
        let pairs = self.attempts.windows(2);
        pairs
            .filter(|pair| matches!(pair, [one, other] if one.upstream != other.upstream))
            .count()
    }
}
