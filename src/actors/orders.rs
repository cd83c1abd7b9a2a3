//! What an operator may order: orders go to the supervisor, which hands them to the actor that they are for.

use std::time::Duration;

use super::child::Child;
use crate::domain::ids::ModelName;

/// To a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyOrder {
    /// Take nothing for so long; `None`: until released.
    Quarantine(Option<Duration>),
    /// Cool for so long, for one model or for all (`None`).
    Cool(Option<ModelName>, Duration),
    /// Whatever keeps it away is over.
    Release,
}

/// To a provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProviderOrder {
    /// Take nothing for so long; `None`: until released.
    Quarantine(Option<Duration>),
    /// Whatever keeps it away is over, breakers included.
    Release,
}

/// An order and whom it is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// To this child, a key.
    Key(Child, KeyOrder),
    /// To this child, a provider.
    Provider(Child, ProviderOrder),
}

impl Order {
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
            Self::Key(_, KeyOrder::Release) | Self::Provider(_, ProviderOrder::Release)
        )
    }
}
