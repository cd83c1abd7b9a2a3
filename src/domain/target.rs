//! Targets whose order depends on the request: trees whose nodes rank their members by a policy.
//!
//! A target whose policies are all fixed is flattened when the configuration is read (`domain/chain.rs`); only those that
//! are not stay trees. They are flattened for each request, once, so that all its attempts follow one order. No I/O,
//! no clock, no logging.

use std::collections::HashSet;
use std::sync::Arc;

use super::ids::{ProviderName, Upstream};
use super::policy::{Draw, MemberFacts, Policy};

/// A flattened target: each upstream once, where it first occurs depth first in the order of one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    /// What was asked for.
    pub target: Arc<str>,
    /// Never empty.
    pub upstreams: Vec<Upstream>,
}

/// One target and the policy that ranks its members.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// How its members are ranked.
    pub policy: Policy,
    /// Its members as configured.
    pub members: Vec<Member>,
}

/// A member of a target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The configured weight.
    pub weight: u32,
    /// All of its upstreams, in configured order.
    pub chain: Arc<Chain>,
    /// Its place in the [`Forest`], when its own order depends on the request.
    pub ranked: Option<usize>,
}

/// All targets whose order depends on the request. Members precede the targets that contain them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Forest {
    targets: Vec<Target>,
}

impl Forest {
    /// Adds a target, and returns its place; `None` when its order is always that of the configuration.
    pub fn add(&mut self, target: Target) -> Option<usize> {
        let is_fixed = target.policy.is_fixed();
        if is_fixed && target.members.iter().all(|member| member.ranked.is_none()) {
            return None;
        }
        self.targets.push(target);
        Some(self.targets.len() - 1)
    }

    /// The upstreams of target `root` in the order for one request: depth first, each upstream where it first occurs.
    /// `in_flight` says how many requests are under way at a provider.
    ///
    /// The walk keeps its own stack and looks into each target once: neither depth nor shared members make it dear.
    pub fn order(
        &self,
        root: usize,
        in_flight: &dyn Fn(&ProviderName) -> u32,
        draw: Draw<'_>,
    ) -> Vec<Upstream> {
        let mut upstreams = Vec::new();
        let mut seen = HashSet::new();
        let mut entered = HashSet::new();
        let mut stack: Vec<&Member> = Vec::new();
        let mut next = Some(root);
        loop {
            let entering = next.take().filter(|at| entered.insert(*at));
            if let Some(target) = entering.and_then(|at| self.targets.get(at)) {
                stack.extend(target.last_first(in_flight, draw));
            }
            let Some(member) = stack.pop() else {
                return upstreams;
            };
            next = member.ranked;
            if next.is_none() {
                let all = member.chain.upstreams.iter();
                upstreams.extend(all.filter(|upstream| seen.insert(*upstream)).cloned());
            }
        }
    }
}

impl Target {
    /// Its members as ranked for one request, the one to be asked first at the end.
    fn last_first(
        &self,
        in_flight: &dyn Fn(&ProviderName) -> u32,
        draw: Draw<'_>,
    ) -> impl Iterator<Item = &Member> {
        let facts = self.members.iter().map(|member| MemberFacts {
            weight: member.weight,
            in_flight: member.providers().map(in_flight).sum(),
        });
        let order = self.policy.rank(&facts.collect::<Vec<_>>(), draw);
        let ranked = order.into_iter().rev();
        ranked.filter_map(|place| self.members.get(place))
    }
}

impl Member {
    /// The providers of its upstreams, each once.
    fn providers(&self) -> impl Iterator<Item = &ProviderName> {
        let all = self.chain.upstreams.iter().enumerate();
        all.filter(|(at, upstream)| {
            let mut before = self.chain.upstreams.iter().take(*at);
            before.all(|other| other.provider != upstream.provider)
        })
        .map(|(_, upstream)| &upstream.provider)
    }
}
