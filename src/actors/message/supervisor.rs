//! Messages to the supervisor.

use std::fmt;

use tokio::sync::oneshot;

use crate::actors::spec::TreeSpec;
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

impl Child {
    /// The provider that it is, or belongs to.
    pub(crate) fn provider(&self) -> Option<&ProviderName> {
        match self {
            Self::Router => None,
            Self::Provider(name) | Self::Key(name, _) => Some(name),
        }
    }
}

/// What the supervisor understands.
#[derive(Debug)]
pub enum SupervisorMessage {
    /// From the router: what to do with a child that ended. Lost with the router: the supervisor decides.
    Decided(Child, Decision),
    /// From the tree: bring everything in line with this, then answer. Lost: the answer's port closes and the
    /// tree asks again.
    Apply(Box<TreeSpec>, oneshot::Sender<()>),
    /// From the tree's guardian: answer when everything below has been started. Lost: nobody waits longer.
    Running(oneshot::Sender<()>),
    /// From itself: the wait before a restart is over. Never lost while the supervisor lives.
    Respawn(Child),
}

impl SupervisorMessage {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Decided(..) => "Decided",
            Self::Apply(..) => "Apply",
            Self::Running(_) => "Running",
            Self::Respawn(_) => "Respawn",
        }
    }
}
