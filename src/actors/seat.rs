//! The places of the tree's actors: how each is made, where it is reached, what its last incarnation left.

use ractor::{Actor, ActorId, ActorRef, SpawnErr};

use super::estate::{Estate, Inheritance, Renew};
use super::handle::Handle;
use super::key::{Key, KeyCore};
use super::message::key::KeyMessage;
use super::message::provider::ProviderMessage;
use super::message::router::RouterMessage;
use super::message::supervisor::SupervisorMessage;
use super::provider::{Provider, ProviderCore};
use super::router::{Router, RouterCore};
use super::view::Life;

/// A kind of actor: how to make one, where it is reached, and what the last incarnation left.
pub(crate) struct Post<A, M, C> {
    pub(crate) actor: A,
    pub(crate) handle: Handle<M>,
    pub(crate) inheritance: Inheritance<C>,
    /// The next incarnation does not get what the last one left as it is.
    pub(crate) anew: bool,
}

/// Every actor of the tree below the supervisor, running or not.
pub(crate) enum Seat {
    Router(Post<Router, RouterMessage, RouterCore>),
    Provider(Post<Provider, ProviderMessage, ProviderCore>),
    Key(Post<Key, KeyMessage, KeyCore>),
}

impl Seat {
    /// Publishes the actor's life; says whether it had been started before.
    pub(crate) fn mark(&self, life: Life) -> bool {
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

    /// The next incarnation is to begin anew.
    pub(crate) fn abandon(&mut self) {
        match self {
            Self::Router(post) => post.anew = true,
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
            Self::Provider(post) => post.start(supervisor).await,
            Self::Key(post) => post.start(supervisor).await,
        }
    }
}

impl<A, M, C> Post<A, M, C>
where
    A: Actor<Msg = M, Arguments = Estate<C>> + Renew<C> + Clone,
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
        let core = match std::mem::take(&mut self.anew) {
            true => self.actor.renewed(core),
            false => core,
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
