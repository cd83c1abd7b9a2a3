//! The actors of the tree, by what they are.

use std::fmt;

use crate::domain::ids::ProviderName;

/// An actor of the tree, by what it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Child {
    /// The router's actor.
    Router,
    /// A provider's actor.
    Provider(ProviderName),
    /// A provider's key, by its place from 0.
    Key(ProviderName, usize),
    /// The fleet's actor. It comes last: it asks the others when it starts.
    Fleet,
}

impl fmt::Display for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Router => f.write_str("router"),
            Self::Fleet => f.write_str("fleet"),
            Self::Provider(name) => write!(f, "provider {name}"),
            Self::Key(provider, index) => write!(f, "key {provider}#{}", index + 1),
        }
    }
}

impl Child {
    /// The provider that it is, or belongs to.
    pub(crate) fn provider(&self) -> Option<&ProviderName> {
        match self {
            Self::Router | Self::Fleet => None,
            Self::Provider(name) | Self::Key(name, _) => Some(name),
        }
    }
}
