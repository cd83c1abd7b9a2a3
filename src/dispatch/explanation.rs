//! A question where a request would go, and the answer.

use std::sync::Arc;
use std::time::Duration;

use super::budgeting::CostLook;
use crate::access::Client;
use crate::domain::dropped::Unsupported;
use crate::domain::error_code::ErrorCode;
use crate::domain::hints::Hints;
use crate::domain::ids::{KeyId, Upstream};
use crate::domain::key_preference::KeyPreference;
use crate::domain::profile::Fetch;
use crate::domain::refusal::Refusal;
use crate::domain::rescue::{RescueMode, RescueObstacle};
use crate::domain::target::RankingStep;
use crate::domain::time::Time;
use crate::domain::unmet::Features;

/// The request in question.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// What it asks for; `None`: the default.
    pub target: Option<String>,
    /// Tokens of its prompt, when they matter.
    pub tokens: Option<u64>,
    /// The most tokens that its answer may have.
    pub output_tokens: Option<u64>,
    /// The client that asks; `None` where no clients are configured.
    pub client: Option<Arc<Client>>,
    /// Whether it asks for a stream.
    pub stream: bool,
    /// What it needs of a model.
    pub features: Features,
    /// The temperature that it asks for.
    pub temperature: Option<f64>,
    /// When it comes, in seconds since 1970, as far as conditions and prices are concerned; `None`: now. Upstreams, keys and
    /// budgets are as they are now in any case.
    pub at: Option<i64>,
    /// Its headers by their names in small letters, as far as they matter.
    pub headers: Vec<(String, String)>,
    /// The name of its conversation.
    pub session: Option<String>,
    /// How it narrows the choice, where its target takes that.
    pub hints: Option<Hints>,
    /// What its random numbers are made from; `None`: something that nobody chose.
    pub seed: Option<u64>,
}

/// Where a request would go, and why.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// What was asked for, by its name; empty when that means nothing.
    pub target: String,
    /// The moment that it describes.
    pub at: Time,
    /// What becomes of the request.
    pub fate: Fate,
    /// The order is made anew for each request: the next one may have another.
    pub ranked: bool,
    /// How each target on the way ranked its members, outermost first.
    pub steps: Vec<RankingStep>,
    /// What the random numbers of that were made from.
    pub seed: u64,
    /// What budgets say of it; `None` where there are none.
    pub cost: Option<CostLook>,
    /// Every upstream of the chain in order.
    pub lines: Vec<UpstreamExplanation>,
}

/// What becomes of the request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It goes to the upstream in this line, at once.
    Goes(usize),
    /// The request would wait.
    Waits {
        /// Until it looks again; `None`: for something that may be ready at any moment.
        until: Option<Time>,
        /// The line of what it waits for.
        at: usize,
    },
    /// The request would be refused.
    Refused {
        /// The error code.
        code: ErrorCode,
        /// The message.
        message: String,
        /// When to retry, if that helps.
        retry_after: Option<Duration>,
    },
}

/// One upstream of the chain.
#[derive(Clone, Debug)]
pub struct UpstreamExplanation {
    /// The upstream.
    pub upstream: Upstream,
    /// What that is to the request.
    pub standing: CandidateStanding,
    /// Tokens its models hold, when known.
    pub context_window: Option<u64>,
    /// Its provider's and its model's tags.
    pub tags: Vec<String>,
    /// How it is asked.
    pub settings: UpstreamSettings,
    /// The request would be the probe of its breaker.
    pub probe: bool,
    /// It recovers: the share that it takes, and whether this request is within it.
    pub recovery: Option<(f64, bool)>,
    /// The key that the request's conversation belongs to, where the provider keeps it at one.
    pub preference: Option<KeyPreference>,
    /// Its keys in the order in which they would be asked.
    pub keys: Vec<KeyExplanation>,
}

/// How an upstream is asked, by what holds for its provider and for the target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UpstreamSettings {
    /// Its dialect.
    pub dialect: &'static str,
    /// Where calls carry the key, or what they are let in with.
    pub auth: &'static str,
    /// Whether it is asked for responses as they are; `None` where its dialect has them, or has not.
    pub responses: Option<&'static str>,
    /// How whole answers are fetched.
    pub fetch: Fetch,
    /// What is done where its dialect has no place for something, unless the request says.
    pub unsupported: Unsupported,
    /// How a stream that broke off elsewhere is continued there; `None`: not at all.
    pub rescue: Option<RescueMode>,
    /// What keeps it from that, or from going on where the answer stopped, whatever the request is.
    pub rescue_obstacle: Option<RescueObstacle>,
}

/// What an upstream is to the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CandidateStanding {
    /// The request goes there.
    Chosen,
    /// It would come next.
    Next,
    /// It cannot take the attempt.
    Excluded(Refusal),
}

/// One key of an upstream.
#[derive(Clone, Debug)]
pub struct KeyExplanation {
    /// The key's id.
    pub id: KeyId,
    /// What it is to the request.
    pub turn: KeyTurn,
    /// Why no token could be fetched for it, if that is what keeps it out; without credentials.
    pub detail: Option<Arc<str>>,
}

/// What a key is to the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyTurn {
    /// It is the first that would take it.
    First,
    /// It would take it too.
    Ready,
    /// It cannot take the attempt.
    Excluded(Refusal),
}
