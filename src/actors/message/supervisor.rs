//! Messages to the supervisor.

use std::fmt;

use tokio::sync::oneshot;

use crate::domain::ids::ProviderName;
use crate::domain::restart::Decision;

/// An actor of the tree, by what it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Child {
    /// The router.
    Router,
    /// A provider.
    Provider(ProviderName),
    /// A provider's key, by its place from 0.
    Key(ProviderName, usize),
}

impl fmt::Display for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Router => f.write_str("router"),
            Self::Provider(name) => write!(f, "provider {name}"),
            Self::Key(provider, index) => write!(f, "key {provider}#{}", index + 1),
        }
    }
}

/// What the supervisor understands.
#[derive(Debug)]
pub enum SupervisorMessage {
    /// From the router: what to do with a child that ended. Lost with the router: the supervisor decides.
    Decided(Child, Decision),
    /// From the tree's guardian: answer when everything below has been started. Lost: nobody waits longer.
    Running(oneshot::Sender<()>),
    /// From itself: the wait before a restart is over. Never lost while the supervisor lives.
    Respawn(Child),
}

impl SupervisorMessage {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Decided(..) => "Decided",
            Self::Running(_) => "Running",
            Self::Respawn(_) => "Respawn",
        }
    }
}
