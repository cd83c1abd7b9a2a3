//! Chains, and how they came by their order for one request.

use std::sync::Arc;

use crate::domain::ids::Upstream;
use crate::domain::policy::{Figure, Policy};
use crate::domain::spill::TierKeys;
use crate::domain::unmet::Unmet;

/// A flattened target: each upstream once, where it first occurs depth first in the order of one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    /// What was asked for.
    pub target: Arc<str>,
    /// Never empty.
    pub upstreams: Vec<Upstream>,
}

/// A chain in the order of one request.
#[derive(Clone, PartialEq, Debug)]
pub struct RankedChain {
    /// The chain; what is ruled out comes last.
    pub chain: Arc<Chain>,
    /// By place in the chain: what is not for the request, and why.
    pub ruled_out: Vec<(usize, Unmet)>,
    /// The hash of what the request's conversation is known by, where that counts.
    pub session: Option<u64>,
    /// How it came about; `None` where the order is always that of the configuration.
    pub ranking: Option<Ranking>,
}

/// How a chain was put in order.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Ranking {
    /// What its random numbers were made from.
    pub seed: u64,
    /// How each target on the way ranked its members, outermost first.
    pub steps: Vec<RankingStep>,
}

impl RankedChain {
    /// A chain with nothing ruled out.
    pub fn whole(chain: Arc<Chain>) -> Self {
        Self {
            chain,
            ruled_out: Vec::new(),
            session: None,
            ranking: None,
        }
    }

    /// Whether that place of the chain is ruled out.
    pub fn rules_out(&self, place: usize) -> bool {
        self.ruled_out.iter().any(|(at, _)| *at == place)
    }
}

/// How one target ranked its members for one request.
#[derive(Clone, PartialEq, Debug)]
pub struct RankingStep {
    /// The target.
    pub target: Arc<str>,
    /// Its policy.
    pub policy: Policy,
    /// What the request says, where that has narrowed the order that the target had found.
    pub hints: Option<String>,
    /// The request's conversation decided instead of the policy.
    pub affinity: Option<AffinityStep>,
    /// What its tiers take first, where requests spill over; in the order of their tiers.
    pub tiers: Vec<TierLoad>,
    /// Its members: those that are ranked in their order, then the others.
    pub members: Vec<RankedMember>,
}

/// Where a conversation belongs.
#[derive(Clone, PartialEq, Debug)]
pub struct AffinityStep {
    /// The member that it comes to whenever that has room, as configured.
    pub home: Arc<str>,
    /// That member's upstreams.
    pub chain: Arc<Chain>,
    /// Home takes its share already, so the request is to go elsewhere.
    pub over_bound: bool,
    /// Whether something was heard of the conversation within its time.
    pub warm: bool,
}

impl RankingStep {
    /// What decided, for operators.
    pub fn by(&self) -> &'static str {
        match (&self.hints, &self.affinity) {
            (Some(_), _) => "hints",
            (None, Some(_)) => "affinity",
            (None, None) => "policy",
        }
    }
}

/// What one tier takes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TierLoad {
    /// The tier.
    pub priority: u32,
    /// Its keys.
    pub keys: TierKeys,
    /// Of the requests, in percent.
    pub load: u32,
    /// Whether it was drawn for this one.
    pub drawn: bool,
}

/// What became of one member.
#[derive(Clone, PartialEq, Debug)]
pub struct RankedMember {
    /// As configured.
    pub name: Arc<str>,
    /// Its tier.
    pub priority: u32,
    /// What it was ranked by.
    pub figure: Option<Figure>,
    /// Why it was left out.
    pub unmet: Option<Unmet>,
}
