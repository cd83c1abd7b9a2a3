//! Where a test makes an actor fail: a hook that every handler calls before it looks at its message.

use std::fmt;
use std::sync::Arc;

/// What is called, with the actor's name (`key groq#1`) and the message's name.
type Hook = dyn Fn(&str, &'static str) + Send + Sync;

/// Called with the actor's name (`key groq#1`) and the message's name. It may panic; that is its purpose.
#[derive(Clone, Default)]
pub struct Chaos(Option<Arc<Hook>>);

impl Chaos {
    /// A hook for tests and simulations.
    pub fn hook(hook: impl Fn(&str, &'static str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    /// Called by every handler. Without a hook it does nothing.
    pub(crate) fn strike(&self, actor: &str, message: &'static str) {
        if let Some(hook) = &self.0 {
            hook(actor, message);
        }
    }
}

impl fmt::Debug for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Chaos(hook)"
        } else {
            "Chaos(none)"
        })
    }
}
