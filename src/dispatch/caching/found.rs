//! What a look for an answer finds.

use super::marks::CacheResult;
use super::place::{CachePlace, RenderedAnswer};
use crate::store::responses::KeptAnswer;

/// What was found.
pub(in crate::dispatch) enum Looked {
    /// Nothing is kept of such a target, nor joined.
    Off,
    /// Such a request is not looked up.
    Bypassed,
    /// An answer that was kept.
    Found(Box<FoundAnswer>),
    /// There is none, and no upstream is to be asked. `why`: what of the request keeps it from being looked up, if
    /// anything does.
    NotCached {
        /// A field, or what else it is.
        why: Option<&'static str>,
    },
    /// There is none.
    Missed(Box<CachePlace>),
}

/// An answer that serves a request without an upstream.
#[derive(Debug)]
pub(in crate::dispatch) struct FoundAnswer {
    pub(super) kept: KeptAnswer,
    pub(super) rendered: RenderedAnswer,
    pub(super) mark: CacheResult,
}
