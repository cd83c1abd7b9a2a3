//! What ranking counts: requests on their way to each upstream that a policy may choose, and the turns of targets. Numbers
//! of their own, as each changes with every request; [`PendingGuard`] takes back what it added.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::chain::{Chain, Targets};
use crate::domain::hash_map::HashMap;
use crate::domain::ids::{ProviderName, Upstream};
use crate::domain::policy::Needs;
use crate::domain::rotation::KeyRotation;
use crate::domain::time::Time;

/// Places for conversations: 32 KiB.
const PLACES: usize = 8192;

/// The counts under one configuration.
#[derive(Debug, Default)]
pub struct RoutingState {
    /// Requests on their way, by upstream; only those that some target ranks.
    pending: HashMap<Upstream, Arc<AtomicU32>>,
    /// By the target's place in the forest.
    turns: Box<[AtomicU64]>,
    /// When conversations were last heard of, in seconds from 1, by the last bits of their hashes. Two that share a place are
    /// taken for one, which only makes both count as warm. Empty where no target keeps conversations together.
    heard: Arc<[AtomicU32]>,
    /// Some condition or upstream speaks of what requests have.
    pub(super) reads_features: bool,
    /// The providers that keep conversations at keys.
    keyed: Vec<ProviderName>,
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
            heard: match before.filter(|before| !before.heard.is_empty()) {
                Some(before) => Arc::clone(&before.heard),
                None if all.iter().any(|target| target.affinity.is_some()) => {
                    (0..PLACES).map(|_| AtomicU32::new(0)).collect()
                }
                None => Arc::default(),
            },
            turns: all.iter().map(|_| AtomicU64::new(0)).collect(),
            reads_features: knows
                || whens.any(|when| when.has.each().next().is_some() || when.custom.is_some())
                || all
                    .iter()
                    .any(|target| matches!(target.policy.needs(), Needs::Expression(_))),
            keyed: Vec::new(),
        }
    }

    /// The same with these providers, by how their keys rotate.
    #[must_use]
    pub fn with_keys<'a>(
        mut self,
        providers: impl Iterator<Item = (&'a ProviderName, KeyRotation)>,
    ) -> Self {
        let keyed = providers.filter(|(_, rotation)| *rotation == KeyRotation::Affinity);
        self.keyed = keyed.map(|(name, _)| name.clone()).collect();
        self
    }

    /// Whether that provider keeps conversations at keys.
    pub(super) fn is_keyed(&self, provider: &ProviderName) -> bool {
        self.keyed.contains(provider)
    }

    /// Whether some provider of the chain keeps conversations at keys.
    pub(super) fn keeps_at_keys(&self, chain: &Chain) -> bool {
        let mut all = chain.upstreams.iter();
        !self.keyed.is_empty() && all.any(|upstream| self.is_keyed(&upstream.provider))
    }

    /// Requests on their way to an upstream.
    pub(super) fn pending(&self, upstream: &Upstream) -> u32 {
        let count = self.pending.get(upstream);
        count.map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Notes a request of a conversation, and returns whether the last one is no longer ago than `ttl`.
    pub(super) fn heard_of(&self, session: u64, ttl: Duration, now: Time) -> bool {
        let place = usize::try_from(session).unwrap_or(0) % PLACES;
        let Some(place) = self.heard.get(place) else {
            return true;
        };
        let seconds = now.since(Time::ZERO).as_secs() + 1;
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        let last = place.swap(seconds, Ordering::Relaxed);
        last > 0 && u64::from(seconds.saturating_sub(last)) <= ttl.as_secs()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::chain::{MemberEntry, ProviderEntry, VirtualEntry};
    use crate::domain::session_affinity::AffinityPolicy;

    fn targets() -> Targets {
        let providers = ["a", "b"].map(|name| ProviderEntry {
            name: name.into(),
            model: Some("m".into()),
            models: Vec::new(),
            builtin: false,
            added: false,
        });
        let entry = VirtualEntry {
            affinity: Some(AffinityPolicy::default()),
            ..VirtualEntry::ordered("v", ["a", "b"].map(MemberEntry::from))
        };
        Targets::build(&providers, &[entry], None).unwrap()
    }

    #[test]
    fn a_request_counts_until_it_ends_also_over_a_reload() {
        let targets = targets();
        let state = RoutingState::new(&targets, false, None);
        let chain = targets.resolve(Some("v")).unwrap();
        let upstream = &chain.upstreams[1];
        let guard = state.enter(&chain, 1);
        let next = RoutingState::new(&targets, false, Some(&state));
        assert_eq!((state.pending(upstream), next.pending(upstream)), (1, 1));
        drop(guard);
        assert_eq!(next.pending(upstream), 0);
        drop(state.enter(&chain, 9));
    }

    #[test]
    fn a_conversation_is_warm_for_its_time() {
        let state = RoutingState::new(&targets(), false, None);
        let ttl = Duration::from_secs(60);
        let heard = |seconds: u64| state.heard_of(77, ttl, Time::from_millis(seconds * 1000));
        assert_eq!([0, 60, 121, 122].map(heard), [false, true, false, true]);
        assert!(RoutingState::default().heard_of(77, ttl, Time::ZERO));
    }

    #[test]
    fn turns_are_taken_by_requests_alone() {
        let state = RoutingState::new(&targets(), false, None);
        let turns = [true, false, true, true].map(|taken| state.turn(0, taken));
        assert_eq!(turns, [0, 1, 1, 2]);
    }
}
