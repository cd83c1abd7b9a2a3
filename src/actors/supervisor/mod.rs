//! The supervisor: spawns every other actor, notices when one ends, and starts it again as the router
//! decides. Its own end is watched by [`tree`](super::tree), which starts it again with all estates.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};

use super::chaos::Chaos;
use super::estate::{Estate, Inheritance};
use super::handle::Handle;
use super::key::{Key, KeyCore};
use super::message::key::KeyMessage;
use super::message::provider::ProviderMessage;
use super::message::router::RouterMessage;
use super::message::supervisor::{Child, SupervisorMessage};
use super::provider::{Provider, ProviderCore};
use super::router::{Router, RouterCore};
use super::view::Life;
use crate::domain::restart::{Decision, RestartHistory, RestartPolicy};
use crate::runtime::clock::Clock;
use crate::telemetry::events;

/// An ended actor's state arrives a moment after the news of its end; look again after this long.
const ESTATE_POLL: Duration = Duration::from_millis(1);

/// A kind of actor: how to make one, where it is reached, and what the last incarnation left.
pub(crate) struct Post<A, M, C> {
    pub(crate) actor: A,
    pub(crate) handle: Handle<M>,
    pub(crate) inheritance: Inheritance<C>,
}

/// Every actor of the tree below the supervisor, running or not.
pub(crate) enum Seat {
    Router(Post<Router, RouterMessage, RouterCore>),
    Provider(Post<Provider, ProviderMessage, ProviderCore>),
    Key(Post<Key, KeyMessage, KeyCore>),
}

/// What the supervisor owns and leaves to its next incarnation.
pub(crate) struct SupervisorCore {
    pub(crate) seats: BTreeMap<Child, Seat>,
    running: HashMap<ActorId, Child>,
    histories: HashMap<Child, RestartHistory>,
    /// Children that ended and whose fate the router has been asked for.
    undecided: BTreeSet<Child>,
}

impl SupervisorCore {
    pub(crate) fn new(seats: BTreeMap<Child, Seat>) -> Self {
        Self {
            seats,
            running: HashMap::new(),
            histories: HashMap::new(),
            undecided: BTreeSet::new(),
        }
    }
}

/// The fixed part of the supervisor.
#[derive(Clone)]
pub(crate) struct Supervisor {
    pub(crate) router: Handle<RouterMessage>,
    pub(crate) restart: RestartPolicy,
    pub(crate) clock: Clock,
    pub(crate) chaos: Chaos,
}

impl Actor for Supervisor {
    type Msg = SupervisorMessage;
    type State = Estate<SupervisorCore>;
    type Arguments = Estate<SupervisorCore>;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        estate: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(estate)
    }

    async fn post_start(
        &self,
        myself: ActorRef<Self::Msg>,
        estate: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let Some(core) = estate.get_mut() else {
            return Ok(());
        };
        core.running.clear();
        core.undecided.clear();
        for child in core.seats.keys().cloned().collect::<Vec<_>>() {
            self.start(core, &myself, &child).await;
        }
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        estate: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        self.chaos.strike("supervisor", message.name());
        let Some(core) = estate.get_mut() else {
            return Ok(());
        };
        match message {
            SupervisorMessage::Decided(child, decision) => {
                self.carry_out(core, &myself, child, decision);
            }
            SupervisorMessage::Running(reply) => drop(reply.send(())),
            SupervisorMessage::Respawn(child) => self.start(core, &myself, &child).await,
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        estate: &mut Self::State,
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
        let Some(core) = estate.get_mut() else {
            return Ok(());
        };
        if let Some(child) = core.running.remove(&id) {
            self.ended(core, &myself, child, &reason);
        }
        Ok(())
    }
}

impl Supervisor {
    fn ended(
        &self,
        core: &mut SupervisorCore,
        myself: &ActorRef<SupervisorMessage>,
        child: Child,
        reason: &str,
    ) {
        events::actor_failed(&child.to_string(), reason);
        if let Some(seat) = core.seats.get(&child) {
            seat.mark(Life::Restarting);
        }
        // The router decides; about itself, and while it is down, the supervisor does.
        if child != Child::Router && self.ask_router(&child) {
            core.undecided.insert(child);
            return;
        }
        let history = core.histories.entry(child.clone()).or_default();
        let mut decision = history.exited(&self.restart, self.clock.now());
        if child == Child::Router && matches!(decision, Decision::Quarantine { .. }) {
            // Nothing works without the router: it always comes back.
            decision = Decision::Restart {
                after: self.restart.max_backoff,
            };
        }
        self.carry_out(core, myself, child, decision);
    }

    fn ask_router(&self, child: &Child) -> bool {
        let message = RouterMessage::Exited(child.clone());
        self.router.send(message).is_ok()
    }

    fn carry_out(
        &self,
        core: &mut SupervisorCore,
        myself: &ActorRef<SupervisorMessage>,
        child: Child,
        decision: Decision,
    ) {
        core.undecided.remove(&child);
        let after = match decision {
            Decision::Restart { after } => after,
            Decision::Quarantine { until } => {
                let span = until.since(self.clock.now());
                events::actor_quarantined(&child.to_string(), span);
                if let Some(seat) = core.seats.get(&child) {
                    seat.mark(Life::Quarantined);
                }
                span
            }
        };
        drop(myself.send_after(after, move || SupervisorMessage::Respawn(child)));
    }

    /// Starts a child with what its last incarnation left.
    async fn start(
        &self,
        core: &mut SupervisorCore,
        myself: &ActorRef<SupervisorMessage>,
        child: &Child,
    ) {
        if core.running.values().any(|running| running == child) {
            // Decided twice: a router that crashed was asked again.
            return;
        }
        let Some(seat) = core.seats.get_mut(child) else {
            return;
        };
        match seat.start(myself).await {
            Ok(Some(id)) => {
                core.running.insert(id, child.clone());
                let again = seat.mark(Life::Up);
                if again {
                    events::actor_restarted(&child.to_string());
                    self.tell_waiters(child);
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

    fn tell_waiters(&self, child: &Child) {
        let (Child::Provider(provider) | Child::Key(provider, _)) = child else {
            return;
        };
        drop(self.router.send(RouterMessage::Ready {
            provider: provider.clone(),
            slots: usize::MAX,
        }));
    }
}

impl Seat {
    /// Publishes the actor's life; says whether it had been started before.
    fn mark(&self, life: Life) -> bool {
        let cell = match self {
            Self::Router(post) => &post.actor.cell.life,
            Self::Provider(post) => &post.actor.cell.life,
            Self::Key(post) => &post.actor.cell.life,
        };
        cell.set(life);
        match (self, life) {
            (_, Life::Up) => {}
            (Self::Router(post), _) => post.handle.point_at(None),
            (Self::Provider(post), _) => post.handle.point_at(None),
            (Self::Key(post), _) => post.handle.point_at(None),
        }
        cell.restarts() > 0
    }

    async fn start(
        &mut self,
        supervisor: &ActorRef<SupervisorMessage>,
    ) -> Result<Option<ActorId>, SpawnErr> {
        match self {
            Self::Router(post) => post.start(supervisor).await,
            Self::Provider(post) => post.start(supervisor).await,
            Self::Key(post) => post.start(supervisor).await,
        }
    }
}

impl<A, M, C> Post<A, M, C>
where
    A: Actor<Msg = M, Arguments = Estate<C>> + Clone,
    M: ractor::Message,
{
    /// Spawns an incarnation; `None` while the last one has not left its state yet.
    async fn start(
        &mut self,
        supervisor: &ActorRef<SupervisorMessage>,
    ) -> Result<Option<ActorId>, SpawnErr> {
        let Ok(core) = self.inheritance.try_recv() else {
            return Ok(None);
        };
        let (estate, inheritance) = Estate::new(core);
        self.inheritance = inheritance;
        let actor = self.actor.clone();
        let (actor, _) = Actor::spawn_linked(None, actor, estate, supervisor.get_cell()).await?;
        let id = actor.get_id();
        self.handle.point_at(Some(actor));
        Ok(Some(id))
    }
}
