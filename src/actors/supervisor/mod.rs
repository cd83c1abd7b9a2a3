//! The supervisor: spawns every other actor, notices when one ends, and starts it again as the router
//! decides. Its own end is watched by [`tree`](super::tree), which starts it again with all states.

mod running;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;

use self::running::RunningChildren;
use super::admin_command::AdminCommand;
use super::child::Child;
use super::child_slot::ChildSlot;
use super::handoff::{OnEnd, StateHandoff};
use super::message::fleet::FleetMessage;
use super::message::key::KeyMessage;
use super::message::provider::ProviderMessage;
use super::message::router::RouterMessage;
use super::message::supervisor::SupervisorMessage;
use super::reconcile::{self, Common};
use super::spec::TreeSpec;
use super::status::Life;
use crate::domain::hash_map::HashMap;
use crate::domain::ids::ProviderName;
use crate::domain::restart::{Decision, RestartHistory, RestartPolicy};
use crate::runtime::task;
use crate::telemetry::events;

/// An ended actor's state arrives a moment after the news of its end; look again after this long.
const ESTATE_POLL: Duration = Duration::from_millis(1);

/// So many children are started or stopped before other tasks of the same thread get their turn: with thousands of keys
/// requests would wait for all of them. Some twenty microseconds each.
const TURN: usize = 32;

/// What the supervisor owns and leaves to its next incarnation.
pub(crate) struct SupervisorCore {
    pub(crate) slots: BTreeMap<Child, ChildSlot>,
    running: RunningChildren,
    histories: HashMap<Child, RestartHistory>,
    /// How many keys each provider that is gone had.
    places: HashMap<ProviderName, usize>,
    /// Children that ended and whose fate the router has been asked for.
    undecided: BTreeSet<Child>,
}

impl OnEnd for SupervisorCore {}

impl SupervisorCore {
    pub(crate) fn new(seats: BTreeMap<Child, ChildSlot>) -> Self {
        Self {
            slots: seats,
            running: RunningChildren::default(),
            histories: HashMap::default(),
            places: HashMap::default(),
            undecided: BTreeSet::new(),
        }
    }
}

/// The fixed part of the supervisor.
#[derive(Clone)]
pub(crate) struct SupervisorActor {
    pub(crate) common: Common,
    pub(crate) restart: RestartPolicy,
}

impl Actor for SupervisorActor {
    type Msg = SupervisorMessage;
    type State = StateHandoff<SupervisorCore>;
    type Arguments = StateHandoff<SupervisorCore>;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        handoff: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(handoff)
    }

    async fn post_start(
        &self,
        myself: ActorRef<Self::Msg>,
        handoff: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let Some(core) = handoff.get_mut() else {
            return Ok(());
        };
        core.running.clear();
        core.undecided.clear();
        let children: Vec<_> = core.slots.keys().cloned().collect();
        self.start_all(core, &myself, children).await;
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        handoff: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        self.common.fault_hook.fire("supervisor", message.name());
        let Some(core) = handoff.get_mut() else {
            return Ok(());
        };
        match message {
            SupervisorMessage::Decided(child, decision) => {
                self.carry_out(core, &myself, child, decision);
            }
            SupervisorMessage::Apply(spec, reply) => {
                self.apply(core, &myself, &spec).await;
                // The sender may be gone; the command is carried out all the same.
                let _ = reply.send(());
            }
            SupervisorMessage::Running(reply) => drop(reply.send(())),
            SupervisorMessage::Manual(order, reply) => {
                if order.revives() {
                    // One that runs, or is about to, is left alone.
                    self.start(core, &myself, order.child()).await;
                }
                hand_on(core, order, reply);
            }
            SupervisorMessage::Respawn(child) => self.start(core, &myself, &child).await,
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        handoff: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (id, reason) = match event {
            SupervisionEvent::ActorFailed(who, error) => (who.get_id(), error.to_string()),
            SupervisionEvent::ActorTerminated(who, _, reason) => {
                (who.get_id(), reason.unwrap_or_else(|| "stopped".to_owned()))
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {
                return Ok(());
            }
        };
        let Some(core) = handoff.get_mut() else {
            return Ok(());
        };
        if let Some(child) = core.running.ended(id) {
            self.ended(core, &myself, child, &reason);
        }
        Ok(())
    }
}

impl SupervisorActor {
    /// Brings everything in line with `spec`. What stays goes on undisturbed.
    async fn apply(
        &self,
        core: &mut SupervisorCore,
        myself: &ActorRef<SupervisorMessage>,
        spec: &TreeSpec,
    ) {
        // Requests go on meanwhile, however many keys there are.
        let mut difference = task::long(|| {
            reconcile::reconcile(&mut core.slots, &mut core.places, spec, &self.common)
        });
        std::mem::take(&mut difference.replaced)
            .into_iter()
            .for_each(stop);
        let started = std::mem::take(&mut difference.started);
        started.iter().for_each(|child| core.running.remove(child));
        self.start_all(core, myself, started).await;
        let leaving = std::mem::take(&mut difference.leaving);
        self.common
            .fault_hook
            .fire("supervisor", "Apply, before it is seen");
        difference.publish(&self.common);
        self.common
            .fault_hook
            .fire("supervisor", "Apply, after it was seen");
        for (count, (child, slot)) in leaving.into_iter().enumerate() {
            if (count + 1).is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
            // The end of a removed child needs no decision.
            core.running.remove(&child);
            core.undecided.remove(&child);
            core.histories.remove(&child);
            stop(slot);
        }
        for provider in &spec.providers {
            self.tell_waiters(&provider.name);
        }
        if let Some(fleet) = &self.common.fleet {
            // Without an incarnation the next one looks by itself.
            drop(fleet.handle.send(FleetMessage::Configured));
        }
    }

    fn ended(
        &self,
        core: &mut SupervisorCore,
        myself: &ActorRef<SupervisorMessage>,
        child: Child,
        reason: &str,
    ) {
        events::actor_failed(&child.to_string(), reason);
        if let Some(slot) = core.slots.get(&child) {
            slot.publish_life(Life::Restarting);
        }
        // The router decides; about itself, and while it is down, the supervisor does.
        if child != Child::Router && self.ask_router(&child) {
            core.undecided.insert(child);
            return;
        }
        let history = core.histories.entry(child.clone()).or_default();
        let mut decision = history.exited(&self.restart, self.common.clock.now());
        if child == Child::Router && matches!(decision, Decision::Quarantine { .. }) {
            // Nothing works without the router: it always comes back.
            decision = Decision::Restart {
                after: self.restart.max_backoff,
                anew: true,
            };
        }
        self.carry_out(core, myself, child, decision);
    }

    fn ask_router(&self, child: &Child) -> bool {
        let message = RouterMessage::Exited(child.clone());
        self.common.router.send(message).is_ok()
    }

    fn carry_out(
        &self,
        core: &mut SupervisorCore,
        myself: &ActorRef<SupervisorMessage>,
        child: Child,
        decision: Decision,
    ) {
        core.undecided.remove(&child);
        let (after, anew) = match decision {
            Decision::Restart { after, anew } => (after, anew),
            Decision::Quarantine { until } => {
                let span = until.since(self.common.clock.now());
                events::actor_quarantined(&child.to_string(), span);
                if let Some(slot) = core.slots.get(&child) {
                    slot.publish_life(Life::Quarantined);
                }
                (span, true)
            }
        };
        let runs = core.running.has(&child);
        if anew
            && !runs
            && let Some(slot) = core.slots.get_mut(&child)
        {
            events::actor_state_abandoned(&child.to_string());
            slot.abandon();
        }
        drop(myself.send_after(after, move || SupervisorMessage::Respawn(child)));
    }

    /// Starts children, and lets other tasks have their turns in between.
    async fn start_all(
        &self,
        core: &mut SupervisorCore,
        myself: &ActorRef<SupervisorMessage>,
        children: Vec<Child>,
    ) {
        for some in children.chunks(TURN) {
            for child in some {
                self.start(core, myself, child).await;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Starts a child with what its last incarnation left.
    async fn start(
        &self,
        core: &mut SupervisorCore,
        myself: &ActorRef<SupervisorMessage>,
        child: &Child,
    ) {
        if core.running.has(child) {
            // Decided twice: a router that crashed was asked again.
            return;
        }
        let Some(slot) = core.slots.get_mut(child) else {
            return;
        };
        match slot.start(myself).await {
            Ok(Some(id)) => {
                core.running.insert(id, child.clone());
                let again = slot.publish_life(Life::Up);
                if again {
                    events::actor_restarted(&child.to_string());
                    child
                        .provider()
                        .into_iter()
                        .for_each(|name| self.tell_waiters(name));
                }
                if *child == Child::Router {
                    // Questions that the last router did not answer.
                    core.undecided.iter().for_each(|child| {
                        self.ask_router(child);
                    });
                }
            }
            Ok(None) => {
                let child = child.clone();
                drop(myself.send_after(ESTATE_POLL, move || SupervisorMessage::Respawn(child)));
            }
            Err(error) => self.ended(core, myself, child.clone(), &error.to_string()),
        }
    }

    fn tell_waiters(&self, provider: &ProviderName) {
        drop(self.common.router.send(RouterMessage::Ready {
            provider: provider.clone(),
            slots: usize::MAX,
        }));
    }
}

/// Hands a command to the child that it is for. Without one, or while it is down, the answer's port closes.
fn hand_on(core: &SupervisorCore, order: AdminCommand, reply: oneshot::Sender<()>) {
    match (core.slots.get(order.child()), order) {
        (Some(ChildSlot::Key(post)), AdminCommand::Key(_, order)) => {
            drop(post.handle.send(KeyMessage::Manual(order, reply)));
        }
        (Some(ChildSlot::Provider(post)), AdminCommand::Provider(_, order)) => {
            drop(post.handle.send(ProviderMessage::Manual(order, reply)));
        }
        _ => {}
    }
}

/// Lets an actor end once its leases have.
fn stop(slot: ChildSlot) {
    match slot {
        ChildSlot::Provider(post) => post.handle.close(),
        ChildSlot::Key(post) => drop(post.handle.send(KeyMessage::Retire)),
        ChildSlot::Router(_) | ChildSlot::Fleet(_) => {}
    }
}
