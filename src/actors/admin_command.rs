//! What an operator may order: orders go to the supervisor, which hands them to the actor that they are for.

use std::time::Duration;

use super::child::Child;
use crate::domain::ids::ModelName;

/// To a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyCommand {
    /// Take nothing for so long; `None`: until released.
    Hold(Option<Duration>),
    /// Cool for so long, for one model or for all (`None`).
    Cool(Option<ModelName>, Duration),
    /// Whatever keeps it away is over.
    Release,
}

/// To a provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProviderCommand {
    /// Take nothing for so long; `None`: until released.
    Hold(Option<Duration>),
    /// Whatever keeps it away is over, breakers included.
    Release,
}

/// An order and whom it is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AdminCommand {
    /// To this child, a key.
    Key(Child, KeyCommand),
    /// To this child, a provider.
    Provider(Child, ProviderCommand),
}

impl AdminCommand {
    /// Whom it is for.
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
