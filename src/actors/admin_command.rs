//! The commands of an operator: they go to the supervisor, which hands each to the actor that it is for.

use std::time::Duration;

use super::child::Child;
use crate::domain::ids::ModelName;

/// A command for a key's actor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyCommand {
    /// Admit nothing for this long; `None`: until a release.
    Hold(Option<Duration>),
    /// Cool for this long, for one model or for all (`None`).
    Cool(Option<ModelName>, Duration),
    /// Whatever keeps it away is over.
    Release,
}

/// A command for a provider's actor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProviderCommand {
    /// Admit nothing for this long; `None`: until a release.
    Hold(Option<Duration>),
    /// Whatever keeps it away is over, breakers included.
    Release,
}

/// A command and the actor that it is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AdminCommand {
    /// To this child, a key.
    Key(Child, KeyCommand),
    /// To this child, a provider.
    Provider(Child, ProviderCommand),
}

impl AdminCommand {
    /// The actor that the command is for.
    pub(crate) fn child(&self) -> &Child {
        match self {
            Self::Key(child, _) | Self::Provider(child, _) => child,
        }
    }

    /// Whether it also starts an actor that failed too often.
    pub(crate) fn revives(&self) -> bool {
        matches!(
            self,
            Self::Key(_, KeyCommand::Release) | Self::Provider(_, ProviderCommand::Release)
        )
    }
}
