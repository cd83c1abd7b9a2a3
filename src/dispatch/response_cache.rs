//! The seam for answers that are there before any upstream is asked: kept from before, or asked for by an equal request
//! that is under way. What implements it decides which requests are equal and what is kept for how long; the stages of a
//! request (`dispatch/lookup.rs`, `dispatch/run.rs`) do all the rest.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderMap;

use super::request::Request;
use crate::domain::chain::Chain;
use crate::domain::dropped::Dropped;
use crate::domain::ids::{KeyId, Upstream};
use crate::store::responses::ResponseStore;

/// Keeps whole answers, and lets equal requests share one.
pub trait ResponseCache: Send + Sync {
    /// Looks for an answer to a request that was admitted and is not streamed; `chain` is what its target means. May wait
    /// for an equal request that is under way; the request's deadline bounds that, and a caller who leaves drops it. An
    /// answer goes back as it is: whatever it depends on has to be equal, such as the operation (with it the dialect), what
    /// is done with unsupported fields, and, where they matter, the client and its `accept-encoding`.
    fn get<'a>(&'a self, request: &'a Request, chain: &'a Chain) -> BoxFuture<'a, CacheAnswer>;

    /// Where answers are kept, for those who look at it and purge it; `None`: nowhere.
    fn store(&self) -> Option<&dyn ResponseStore> {
        None
    }
}

/// What a look for an answer found.
pub enum CacheAnswer {
    /// Such a request is not looked up: an upstream is asked, and nothing is kept of it.
    Excluded,
    /// An answer that was kept.
    Kept(StoredResponse),
    /// The answer that an equal request was waiting for.
    Joined(StoredResponse),
    /// There is none. This request asks an upstream, and those that are equal may wait for it.
    Missing(Box<dyn PendingAnswer>),
}

/// The place of an answer that is still to come. Dropped without an answer, because the request failed, was cut or lost
/// its caller: those that wait for it have to look again.
pub trait PendingAnswer: Send + Sync {
    /// The answer is there, with a status of success.
    fn put(self: Box<Self>, answer: StoredResponse);
}

/// A whole answer of an upstream, as it went back to a caller.
#[derive(Clone, Debug)]
pub struct StoredResponse {
    /// HTTP status, 200 to 299.
    pub status: u16,
    /// The upstream's headers that may go on.
    pub headers: HeaderMap,
    /// The body, encoded as the headers say.
    pub body: Bytes,
    /// The upstream that answered.
    pub upstream: Upstream,
    /// The key of the attempt.
    pub key: KeyId,
    /// The fields that were left out on the way to the upstream and back.
    pub dropped: Dropped,
}
