//! A question that takes a request's way through the actors and changes nothing: what each of them would say to it now.
//!
//! It goes router → provider → key as a route does, so what is ahead of it in their mailboxes is settled before it, as it
//! would be before a request. Each answers for itself; whoever asked puts the answers together.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::domain::chain::Chain;
use crate::domain::client::Standing;
use crate::domain::forecast::Prospect;
use crate::domain::ids::KeyId;
use crate::domain::provider_state::Pass;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::time::Time;

/// What a request would bring along.
#[derive(Debug)]
pub struct Inquiry {
    /// The flattened chain.
    pub chain: Arc<Chain>,
    /// Tokens that it would reserve with a key.
    pub tokens: u64,
    /// The configuration that it would begin under.
    pub generation: u64,
    /// For whom it would wait.
    pub standing: Standing,
}

/// What the router says.
#[derive(Debug)]
pub struct RouterWord {
    /// Whether it would get a place in the waiting room.
    pub has_place: bool,
    /// In the order of the chain.
    pub candidates: Vec<CandidateWord>,
}

/// What the router says of one candidate.
#[derive(Debug)]
pub struct CandidateWord {
    /// Others wait for it already.
    pub contended: Option<Refusal>,
    /// Where its provider answers, or why it cannot.
    pub provider: Result<oneshot::Receiver<ProviderWord>, Refusal>,
}

/// What a provider says of one of its upstreams.
#[derive(Debug)]
pub struct ProviderWord {
    /// Whether the upstream may be asked.
    pub gate: Result<Pass, Refusal>,
    /// While it recovers from an open breaker.
    pub recovery: Option<Recovery>,
    /// Its keys in the order in which it would come to them.
    pub keys: Vec<KeyWord>,
}

/// An upstream that takes a growing share.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Recovery {
    /// From a tenth to 1.
    pub share: f64,
    /// Whether the next request is within it.
    pub admits: bool,
}

/// What a provider says of one of its keys.
#[derive(Debug)]
pub struct KeyWord {
    /// Which.
    pub id: KeyId,
    /// Where the key answers, or why it would not be asked.
    pub answer: Result<oneshot::Receiver<Result<(), Refusal>>, Refusal>,
}

/// All of it put together.
#[derive(Clone, PartialEq, Debug)]
pub struct Told {
    /// When.
    pub at: Time,
    /// Whether it would get a place in the waiting room.
    pub has_place: bool,
    /// In the order of the chain.
    pub candidates: Vec<Heard>,
}

/// What was heard of one candidate.
#[derive(Clone, PartialEq, Debug)]
pub struct Heard {
    /// Whether it would be asked for a key: not contended, and let through by its provider.
    pub gate: Result<Pass, Refusal>,
    /// While it recovers from an open breaker.
    pub recovery: Option<Recovery>,
    /// Its keys in the order in which its provider would come to them, and what each would say.
    pub keys: Vec<(KeyId, Result<(), Refusal>)>,
}

impl Heard {
    /// What that comes down to for the request, which does not even ask there if the candidate is `closed` to it.
    pub fn prospect(&self, closed: Option<Reason>) -> Prospect {
        let said = self.keys.iter().map(|(_, said)| *said);
        let best = said.reduce(|one, other| match (one, other) {
            (Err(one), Err(other)) => Err(one.sooner(other)),
            _ => Ok(()),
        });
        let probe = self.gate.is_ok_and(|pass| pass.probe);
        Prospect {
            closed,
            gate: self.gate.map(drop),
            // A probe is not held back.
            yields: !probe && self.recovery.is_some_and(|it| !it.admits),
            keys: best.unwrap_or(Err(Refusal::open_ended(Reason::NoKeys))),
        }
    }
}

/// The router has not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the router is being restarted and has not answered within 2 s: ask again")]
pub struct NoAnswer;
