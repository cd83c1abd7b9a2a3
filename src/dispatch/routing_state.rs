//! What ranking counts: requests on their way to each upstream that a policy may choose, and the turns of targets. Numbers
//! of their own, as each changes with every request; [`PendingGuard`] takes back what it added.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::domain::chain::{Chain, Targets};
use crate::domain::hash_map::HashMap;
use crate::domain::ids::Upstream;

/// The counts under one configuration.
#[derive(Debug, Default)]
pub struct RoutingState {
    /// Requests on their way, by upstream; only those that some target ranks.
    pending: HashMap<Upstream, Arc<AtomicU32>>,
    /// By the target's place in the forest.
    turns: Box<[AtomicU64]>,
    /// Some condition or upstream speaks of what requests have.
    pub(super) reads_features: bool,
}

impl RoutingState {
    /// The counts for these targets; those of upstreams that were there before go on. `knows` says whether something is
    /// known of what upstreams can do.
    pub fn new(targets: &Targets, knows: bool, before: Option<&Self>) -> Self {
        let all = targets.forest().targets();
        let members = || all.iter().flat_map(|target| &target.members);
        let upstreams = members().flat_map(|member| &member.chain.upstreams);
        let pending = upstreams.map(|upstream| {
            let known = before.and_then(|before| before.pending.get(upstream));
            (upstream.clone(), known.cloned().unwrap_or_default())
        });
        let mut whens = members().filter_map(|member| member.when.as_ref());
        Self {
            pending: pending.collect(),
            turns: all.iter().map(|_| AtomicU64::new(0)).collect(),
            reads_features: knows || whens.any(|when| when.has.each().next().is_some()),
        }
    }

    /// Requests on their way to an upstream.
    pub(super) fn pending(&self, upstream: &Upstream) -> u32 {
        let count = self.pending.get(upstream);
        count.map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// A target's turn; the next request has the next one if this is `taken`.
    pub(super) fn turn(&self, target: usize, taken: bool) -> u64 {
        let turn = self.turns.get(target);
        turn.map_or(0, |turn| {
            turn.fetch_add(u64::from(taken), Ordering::Relaxed)
        })
    }

    /// Counts a request on its way to that place of its chain.
    pub(super) fn enter(&self, chain: &Chain, place: usize) -> PendingGuard {
        let upstream = chain.upstreams.get(place);
        let count = upstream.and_then(|upstream| self.pending.get(upstream));
        if let Some(count) = count {
            count.fetch_add(1, Ordering::Relaxed);
        }
        PendingGuard(count.cloned())
    }
}

/// One request in the count of an upstream, until this is dropped.
#[derive(Debug, Default)]
pub(super) struct PendingGuard(Option<Arc<AtomicU32>>);

impl Drop for PendingGuard {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
