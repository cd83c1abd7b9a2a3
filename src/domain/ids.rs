//! Names and numbers of the things a request meets. Cheap to clone; no I/O.

use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Arc::from(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name! {
    /// A provider's configured name, such as `groq`.
    ProviderName
}
name! {
    /// A model as its provider spells it, such as `llama-3.3-70b-versatile`.
    ModelName
}

name! {
    /// A process of a fleet: where it runs and which start of it this is, such as `web-1.3f9a0c21`.
    FleetNode
}

/// One thing that a request can be sent to: a provider and a model. Shown as `groq:llama-3.3-70b`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Upstream {
    /// The provider of the API.
    pub provider: ProviderName,
    /// Which model of it.
    pub model: ModelName,
}

impl Upstream {
    /// The upstream `provider:model`.
    pub fn new(provider: impl Into<ProviderName>, model: impl Into<ModelName>) -> Self {
        Self {
            provider: provider.into(),
            model: model.into(),
        }
    }

    /// Adds it to `text` as shown, without the cost of formatting.
    pub fn push_to(&self, text: &mut String) {
        text.push_str(self.provider.as_str());
        text.push(':');
        text.push_str(self.model.as_str());
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.provider, self.model)
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// One API key of a provider by its place in the configuration, shown as `groq#2`. Never key material.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId {
    /// The provider of the key.
    pub provider: ProviderName,
    /// Its place among the provider's keys, from 1.
    pub index: u32,
}

impl KeyId {
    /// Adds it to `text` as shown, without the cost of formatting.
    pub fn push_to(&self, text: &mut String) {
        text.push_str(self.provider.as_str());
        text.push('#');
        match u8::try_from(self.index) {
            Ok(index) if index < 10 => text.push(char::from(b'0' + index)),
            _ => text.push_str(&self.index.to_string()),
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.provider, self.index)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A lease's number, unique within the process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LeaseId(pub u64);
