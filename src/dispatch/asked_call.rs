//! What one attempt asks its upstream.

use super::request::{Endpoint, Request};
use crate::domain::rescue::Prefill;
use crate::upstream::Transport;
use crate::wire::request::RequestDoc;

/// What an upstream is asked: the caller's request, or one for the rest of its answer.
#[derive(Clone, Copy)]
pub(super) struct AskedCall<'a> {
    /// The body, in the caller's dialect.
    pub(super) doc: &'a RequestDoc,
    /// Where it goes.
    pub(super) wire: &'a dyn Transport,
    /// How it says that its last message is the beginning of the answer, if it is.
    pub(super) prefill: Option<Prefill>,
    /// Whether the events of the answer stay as they come: they go on in the state of those that the caller has.
    pub(super) raw: bool,
    /// The most output that fits beside its prompt, in tokens, where that is less than it asks for.
    pub(super) output_room: Option<u64>,
    /// Whether it goes without sealed content.
    pub(super) unsealed: bool,
}

impl<'a> AskedCall<'a> {
    /// The caller's request.
    pub(super) fn of(request: &'a Request, endpoint: &'a Endpoint) -> Self {
        Self {
            doc: &request.doc,
            wire: &*endpoint.transport,
            prefill: None,
            raw: false,
            output_room: None,
            unsealed: false,
        }
    }
}
