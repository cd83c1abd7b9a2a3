//! Where a test makes an actor fail: a hook that every handler calls before it looks at its message.

use std::fmt;
use std::sync::Arc;

/// What is called, with the actor's name (`key groq#1`) and the message's name.
type HookFn = dyn Fn(&str, &'static str) + Send + Sync;

/// Whether the state of the actor of that name is spoilt with the present message.
#[cfg(test)]
type StateSpoiler = dyn Fn(&str) -> bool + Send + Sync;

/// Called with the actor's name (`key groq#1`) and the message's name. It may panic; that is its purpose.
#[derive(Clone, Default)]
pub struct FaultHook {
    hook: Option<Arc<HookFn>>,
    #[cfg(test)]
    spoiler: Option<Arc<StateSpoiler>>,
}

impl FaultHook {
    /// A hook for tests and simulations.
    #[cfg(feature = "internals")]
    pub fn hook(hook: impl Fn(&str, &'static str) + Send + Sync + 'static) -> Self {
        Self {
            hook: Some(Arc::new(hook)),
            #[cfg(test)]
            spoiler: None,
        }
    }

    /// A hook that spoils an actor's state: from then on it fails at every message, until it has another state.
    #[cfg(test)]
    pub(crate) fn spoiler(spoils: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self {
            hook: None,
            spoiler: Some(Arc::new(spoils)),
        }
    }

    /// Called by every handler that has a state.
    ///
    /// # Panics
    /// When it is spoilt.
    #[cfg(test)]
    pub(crate) fn spoil(&self, actor: &str, spoilt: &mut bool) {
        *spoilt |= self.spoiler.as_ref().is_some_and(|spoils| spoils(actor));
        assert!(!*spoilt, "chaos: {actor} has a spoilt state");
    }

    /// Called by every handler. Without a hook it does nothing.
    pub(crate) fn fire(&self, actor: &str, message: &'static str) {
        if let Some(hook) = &self.hook {
            hook(actor, message);
        }
    }
}

impl fmt::Debug for FaultHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.hook.is_some() {
            "Chaos(hook)"
        } else {
            "Chaos(none)"
        })
    }
}
