//! A provider's keys as of one configuration, and which of them are worth asking by what they have published.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::actors::handle::Handle;
use crate::actors::message::key::KeyMessage;
use crate::actors::route::PlanRequest;
use crate::actors::status::{KeyStatus, Life};
use crate::domain::breaker::BreakerPolicy;
use crate::domain::ids::{KeyId, ModelName, ProviderName, Upstream};
use crate::domain::key_preference::KeyPreference;
use crate::domain::limits::RetryBudgetPolicy;
use crate::domain::persisted::Fingerprint;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::rotation::{KeyConversation, KeyHome, KeyRotation, Rotation};
use crate::domain::secret::ApiKey;
use crate::domain::session_affinity;
use crate::domain::time::Time;

/// When to look again at a key or a provider whose actor is being restarted.
pub(crate) const RESTART_POLL: Duration = Duration::from_millis(5);

/// A provider's keys and settings, as of one configuration.
#[derive(Debug)]
pub(crate) struct KeyRing {
    pub(crate) endpoint: String,
    /// By what the provider at this home is known again after a restart.
    pub(crate) fingerprint: Option<Fingerprint>,
    /// By place, from 0. A place stays its key's; when the key is gone it stays empty.
    pub(crate) keys: Vec<Option<KeySlot>>,
    /// The places in the configured order of the keys; last those that only earlier requests may use.
    pub(crate) order: Vec<usize>,
    /// Where they keep prompts, in the same order.
    pub(crate) homes: Vec<KeyHome>,
    /// The names of the accounts that these belong to, in the same order.
    pub(crate) accounts: Vec<Option<Arc<str>>>,
    pub(crate) rotation: KeyRotation,
    /// For a rate limit.
    pub(crate) longest_cooldown: Duration,
    pub(crate) breaker: BreakerPolicy,
    pub(crate) retry_budget: RetryBudgetPolicy,
}

impl KeyRing {
    /// The keys that a request of this generation may use, in the order in which they would be offered to it, with the
    /// refusal of each that would decline. `turn` is the rotation's position.
    pub(crate) fn in_turn(
        &self,
        turn: usize,
        upstream: &Upstream,
        request: &PlanRequest,
        now: Time,
    ) -> Vec<(KeyId, Option<Refusal>)> {
        let slots = self.order.iter().map(|place| {
            let seat = self.seat(*place)?;
            seat.is_for(request.generation)
                .then(|| (seat, seat.why_not(&upstream.model, request.tokens, now)))
        });
        let slots: Vec<_> = slots.collect();
        let mut met = Vec::with_capacity(slots.len());
        let mut rotation = Rotation::at(self.rotation, turn);
        let busy = |turn: usize| match slots.get(turn) {
            Some(Some((seat, _))) => seat.in_flight(),
            Some(None) | None => 0,
        };
        loop {
            // Those that would not be asked are met on the way to the next that would be.
            let mut ready = |turn: usize| {
                let Some(Some((_, why_not))) = slots.get(turn) else {
                    return false;
                };
                let is_new = !met.contains(&turn);
                if is_new && why_not.is_some() {
                    met.push(turn);
                }
                is_new && why_not.is_none()
            };
            let conversation = self.conversation(request.session, &upstream.provider);
            let next = rotation.pick(slots.len(), None, conversation, &mut ready, busy);
            let Some(next) = next else { break };
            met.push(next);
        }
        let told = met.into_iter().filter_map(|turn| slots.get(turn)?.as_ref());
        told.map(|(seat, why_not)| (seat.status.id.clone(), *why_not))
            .collect()
    }

    /// The key that the conversation of that hash belongs to, where keys are chosen by that. `why_not` says why the key at
    /// a place cannot be asked.
    pub(crate) fn preference(
        &self,
        session: Option<u64>,
        upstream: &Upstream,
        why_not: impl Fn(usize) -> Option<Reason>,
    ) -> Option<KeyPreference> {
        if self.rotation != KeyRotation::Affinity {
            return None;
        }
        let conversation = self.conversation(session, &upstream.provider)?;
        let place = |turn: usize| self.order.get(turn).copied();
        let busy = |turn: usize| {
            let seat = place(turn).and_then(|place| self.seat(place));
            seat.map_or(0, KeySlot::in_flight)
        };
        let (turn, over_bound) = conversation.home(busy)?;
        let home = place(turn)?;
        Some(KeyPreference {
            home: self.seat(home)?.status.id.clone(),
            account: self.accounts.get(turn).cloned().flatten(),
            over_bound,
            out: why_not(home),
        })
    }

    /// The conversation of that hash, as far as this provider is concerned.
    pub(super) fn conversation(
        &self,
        session: Option<u64>,
        provider: &ProviderName,
    ) -> Option<KeyConversation<'_>> {
        Some(KeyConversation {
            // Else the first keys of all providers would have the same conversations.
            session: session? ^ session_affinity::hash(provider.as_str().as_bytes()),
            homes: &self.homes,
        })
    }

    pub(crate) fn seat(&self, place: usize) -> Option<&KeySlot> {
        self.keys.get(place)?.as_ref()
    }
}

/// A key as its provider sees it.
#[derive(Clone, Debug)]
pub(crate) struct KeySlot {
    pub(crate) status: Arc<KeyStatus>,
    /// Leases that have not ended.
    pub(crate) live: Arc<AtomicU32>,
    pub(crate) handle: Handle<KeyMessage>,
    pub(crate) material: Arc<Option<ApiKey>>,
    /// The configuration that brought it. A request that began under an earlier one never gets it.
    pub(crate) since: u64,
    /// The configuration that has it no longer. It stays for requests that began under an earlier one.
    pub(crate) until: Option<u64>,
}

impl KeySlot {
    /// Whether it may serve a request that began under that configuration.
    pub(super) fn is_for(&self, generation: u64) -> bool {
        self.since <= generation && self.until.is_none_or(|until| generation < until)
    }

    /// Its leases that have not ended.
    pub(super) fn in_flight(&self) -> u32 {
        self.live.load(Ordering::Relaxed)
    }

    /// Why the key is not worth asking, as far as it is published.
    pub(crate) fn why_not(&self, model: &ModelName, tokens: u64, now: Time) -> Option<Refusal> {
        if !self.handle.is_up() {
            return Some(match self.status.life.get() {
                Life::Quarantined => Refusal::open_ended(Reason::Quarantined),
                Life::Up | Life::Restarting => {
                    Refusal::until(Reason::Restarting, now + RESTART_POLL)
                }
            });
        }
        // The lasting reason comes first: a free place is of no use while the key cools.
        let full = || Refusal::open_ended(Reason::Saturated);
        let refusal = self.status.refusal(model, tokens, now);
        refusal.or_else(|| self.status.looks_full().then(full))
    }
}
