//! The places of the tree's actors: how each is made, where it is reached, what its last incarnation left.

use ractor::{Actor, ActorId, ActorRef, SpawnErr};

use super::fleet::{FleetActor, FleetCore};
use super::handle::Handle;
use super::handoff::{OnEnd, Renew, StateHandoff, StateReceiver};
use super::key::{KeyActor, KeyCore};
use super::message::fleet::FleetMessage;
use super::message::key::KeyMessage;
use super::message::provider::ProviderMessage;
use super::message::router::RouterMessage;
use super::message::supervisor::SupervisorMessage;
use super::provider::{ProviderActor, ProviderCore};
use super::router::{RouterActor, RouterCore};
use super::status::Life;

/// A kind of actor: how to make one, where it is reached, and what the last incarnation left.
pub(crate) struct ActorSlot<A, M, C> {
    pub(crate) actor: A,
    pub(crate) handle: Handle<M>,
    pub(crate) receiver: StateReceiver<C>,
    /// The next incarnation does not get what the last one left as it is.
    pub(crate) anew: bool,
}

/// Every actor of the tree below the supervisor, running or not.
pub(crate) enum ChildSlot {
    Router(ActorSlot<RouterActor, RouterMessage, RouterCore>),
    Fleet(ActorSlot<FleetActor, FleetMessage, FleetCore>),
    Provider(ActorSlot<ProviderActor, ProviderMessage, ProviderCore>),
    Key(ActorSlot<KeyActor, KeyMessage, KeyCore>),
}

impl ChildSlot {
    /// Publishes the actor's life; says whether it had been started before.
    pub(crate) fn publish_life(&self, life: Life) -> bool {
        let cell = match self {
            Self::Router(post) => &post.actor.status.life,
            Self::Fleet(post) => &post.actor.status.life,
            Self::Provider(post) => &post.actor.status.life,
            Self::Key(post) => &post.actor.status.life,
        };
        cell.set(life);
        match (self, life) {
            (_, Life::Up) => {}
            (Self::Router(post), _) => post.handle.point_at(None),
            (Self::Fleet(post), _) => post.handle.point_at(None),
            (Self::Provider(post), _) => post.handle.point_at(None),
            (Self::Key(post), _) => post.handle.point_at(None),
        }
        cell.restarts() > 0
    }

    /// The next incarnation is to begin anew.
    pub(crate) fn abandon(&mut self) {
        match self {
            Self::Router(post) => post.anew = true,
            Self::Fleet(post) => post.anew = true,
            Self::Provider(post) => post.anew = true,
            Self::Key(post) => post.anew = true,
        }
    }

    pub(crate) async fn start(
        &mut self,
        supervisor: &ActorRef<SupervisorMessage>,
    ) -> Result<Option<ActorId>, SpawnErr> {
        match self {
            Self::Router(post) => post.start(supervisor).await,
            Self::Fleet(post) => post.start(supervisor).await,
            Self::Provider(post) => post.start(supervisor).await,
            Self::Key(post) => post.start(supervisor).await,
        }
    }
}

impl<A, M, C> ActorSlot<A, M, C>
where
    A: Actor<Msg = M, Arguments = StateHandoff<C>> + Renew<C> + Clone,
    M: ractor::Message,
    C: OnEnd,
{
    /// Spawns an incarnation; `None` while the last one has not left its state yet.
    async fn start(
        &mut self,
        supervisor: &ActorRef<SupervisorMessage>,
    ) -> Result<Option<ActorId>, SpawnErr> {
        let Ok(core) = self.receiver.try_recv() else {
            return Ok(None);
        };
        let core = if std::mem::take(&mut self.anew) {
            self.actor.renewed(core)
        } else {
            core
        };
        let (handoff, inheritance) = StateHandoff::new(core);
        self.receiver = inheritance;
        let actor = self.actor.clone();
        let (actor, _) = Actor::spawn_linked(None, actor, handoff, supervisor.get_cell()).await?;
        let id = actor.get_id();
        self.handle.point_at(Some(actor));
        Ok(Some(id))
    }
}
