//! Where a request would go now: the plan, from what the waiting room holds and the other actors have published.

use super::{ProviderSlot, RouterActor, RouterCore, down, is_behind_a_restart};
use crate::actors::route::{PlanRequest, Planned};
use crate::domain::ids::Upstream;
use crate::domain::plan::{CandidateFacts, plan};
use crate::domain::provider_state::Pass;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::time::Time;

impl RouterActor {
    /// The plan for a request that would come now. Changes nothing.
    pub(super) fn plan(&self, core: &RouterCore, request: &PlanRequest) -> Planned {
        let (now, table) = (self.clock.now(), self.table.load());
        let upstreams = request.chain.upstreams.iter();
        let candidates = upstreams.map(|upstream| {
            let mut facts = match table.providers.get(&upstream.provider) {
                Some(seat) => published(seat, upstream, request, now),
                None => out(Refusal::open_ended(Reason::NoKeys)),
            };
            let class = request.standing.priority;
            if let Some(refusal) = self.obstacle(core, upstream, class, request.generation, now) {
                facts.gate = Err(refusal);
            }
            facts
        });
        let candidates: Vec<_> = candidates.collect();
        let has_place = core
            .room
            .has_place_for(&request.standing, table.max_waiting);
        let behind_restart = |declined: &[(usize, Refusal)]| {
            is_behind_a_restart(core, &request.chain, declined, now)
        };
        let closed = &request.ask.closed;
        Planned {
            at: now,
            plan: plan(
                &candidates,
                closed,
                &request.limits,
                has_place,
                behind_restart,
                now,
            ),
            candidates,
        }
    }
}

fn out(refusal: Refusal) -> CandidateFacts {
    CandidateFacts {
        gate: Err(refusal),
        not_offered: None,
        recovery: None,
        preference: None,
        keys: Vec::new(),
    }
}

/// What a provider and its keys have published of one upstream.
fn published(
    seat: &ProviderSlot,
    upstream: &Upstream,
    request: &PlanRequest,
    now: Time,
) -> CandidateFacts {
    if !seat.handle.is_up() {
        return out(down(seat.status.life.get(), now));
    }
    let (ring, model) = (seat.ring.load(), &upstream.model);
    let view = seat.status.view();
    // A status of an earlier address does not apply to this one, but an operator's hold does.
    let operation = request.operation;
    let (gate, not_offered, recovery) = if view.home == ring.endpoint {
        (
            view.gate(model, Some(operation), now),
            view.upstream(model)
                .and_then(|it| it.absences.not_offered(operation, now)),
            view.recovery(model, now),
        )
    } else {
        let held = view.held.filter(|until| now < *until).map(Refusal::held);
        (held.map_or(Ok(Pass { probe: false }), Err), None, None)
    };
    CandidateFacts {
        gate,
        not_offered,
        recovery,
        preference: ring.preference(request.session, upstream, |place| {
            let seat = ring.seat(place)?;
            let why_not = seat.why_not(model, request.tokens, now)?;
            Some(why_not.reason)
        }),
        keys: ring.in_turn(seat.status.turn(), upstream, request, now),
    }
}
