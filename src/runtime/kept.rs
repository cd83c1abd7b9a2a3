//! What an answer holds until its caller has it.

use std::any::Any;
use std::sync::Arc;

/// Kept until the last byte of the answer has gone to its connection, or that ends: put among the extensions of a
/// response, it is the listener that lets go of it.
#[derive(Clone)]
pub struct Kept(Arc<dyn Any + Send + Sync>);

impl Kept {
    /// Keeps `what` until it is dropped.
    pub fn new(what: impl Any + Send + Sync) -> Self {
        Self(Arc::new(what))
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kept({})", Arc::strong_count(&self.0))
    }
}
