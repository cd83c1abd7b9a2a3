//! What a provider would say to a request that came now, and in which order it would ask its keys.

use tokio::sync::oneshot;

use super::{Provider, ProviderCore};
use crate::actors::inquiry::{Inquiry, KeyWord, ProviderWord, Recovery};
use crate::actors::message::key::KeyMessage;
use crate::domain::ids::{ModelName, Upstream};
use crate::domain::provider_state::Pass;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::time::Time;

impl Provider {
    /// As [`offer`](Self::offer), but nothing is counted, and every key is asked that looks ready.
    pub(super) fn explain(
        &self,
        core: &ProviderCore,
        inquiry: &Inquiry,
        at: usize,
        reply: oneshot::Sender<ProviderWord>,
    ) {
        let Some(upstream) = inquiry.chain.upstreams.get(at) else {
            return;
        };
        let now = self.clock.now();
        // To an earlier address, which nothing is known about any more.
        let elsewhere = inquiry.generation < core.moved;
        let (gate, recovery) = match elsewhere {
            true => (Ok(Pass { probe: false }), None),
            false => (
                look(core, &upstream.model, now),
                core.state.recovery(&upstream.model, now),
            ),
        };
        let recovery = recovery.map(|(share, admits)| Recovery { share, admits });
        let word = ProviderWord {
            gate,
            recovery,
            keys: self.ask_keys(core, inquiry, upstream, now),
        };
        // Whoever asked may have given up.
        let _ = reply.send(word);
    }

    /// The keys in the order in which the route would come to them: those that it would be offered to are asked, of
    /// the others it is told why they are passed over.
    fn ask_keys(
        &self,
        core: &ProviderCore,
        inquiry: &Inquiry,
        upstream: &Upstream,
        now: Time,
    ) -> Vec<KeyWord> {
        let (ring, model, tokens) = (&core.ring, &upstream.model, inquiry.tokens);
        let seats = ring.order.iter().map(|place| {
            let seat = ring.seat(*place)?;
            seat.is_for(inquiry.generation)
                .then(|| (seat, seat.why_not(model, tokens, now)))
        });
        let seats: Vec<_> = seats.collect();
        let mut met = vec![false; seats.len()];
        let mut words = Vec::new();
        let mut rotation = core.rotation;
        let busy = |turn: usize| match seats.get(turn) {
            Some(Some((seat, _))) => seat.cell.in_flight(),
            _ => 0,
        };
        loop {
            let ready = |turn: usize| {
                let (Some(Some((seat, why_not))), Some(met)) = (seats.get(turn), met.get_mut(turn))
                else {
                    return false;
                };
                let (Some(why_not), false) = (why_not, *met) else {
                    return !*met;
                };
                *met = true;
                let answer = Err(*why_not);
                let id = seat.cell.id.clone();
                words.push(KeyWord { id, answer });
                false
            };
            let Some(turn) = rotation.pick(seats.len(), None, ready, busy) else {
                return words;
            };
            let (Some(Some((seat, _))), Some(met)) = (seats.get(turn), met.get_mut(turn)) else {
                return words;
            };
            *met = true;
            let (reply, answer) = oneshot::channel();
            let question = KeyMessage::Explain {
                model: model.clone(),
                tokens,
                reply,
            };
            let soon = Refusal::until(Reason::Restarting, now + super::RESTART_POLL);
            let sent = seat.handle.send(question);
            words.push(KeyWord {
                id: seat.cell.id.clone(),
                answer: sent.map(|()| answer).map_err(|_| soon),
            });
        }
    }
}

/// The gate, as it would be after it is noticed that a probe was lost.
fn look(core: &ProviderCore, model: &ModelName, now: Time) -> Result<Pass, Refusal> {
    let gate = core.state.gate(model, true, now);
    let lost = |refusal: &Refusal| {
        let probe = core.probes.get(model);
        refusal.reason == Reason::CircuitOpen
            && probe.is_some_and(|probe| probe.strong_count() == 0)
    };
    match gate {
        Err(refusal) if lost(&refusal) => Ok(Pass { probe: true }),
        gate => gate,
    }
}
