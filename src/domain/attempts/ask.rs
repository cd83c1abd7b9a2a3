//! What a request asks the router for.

use crate::domain::ids::KeyId;
use crate::domain::refusal::Reason;

/// What a lease beside or after another one must be besides open to its request.
#[derive(Clone, Debug, Default)]
pub struct LeaseFilter {
    /// Not at these candidates.
    pub not_at: Vec<usize>,
    /// Not with this key: candidate and key index.
    pub not_with: Option<(usize, u32)>,
    /// At one that goes on with an answer from what was sent of it.
    pub continues: bool,
}

/// What a request asks the router for: a lease at any candidate that is still open to it.
#[derive(Clone, Debug, Default)]
pub struct RouteConstraints {
    /// By candidate: why it is closed to this request.
    pub closed: Vec<Option<Reason>>,
    /// Keys that refused this request: candidate and key index.
    pub refused_keys: Vec<(usize, u32)>,
    /// Candidate and key to take only when no other key is ready (it just failed there).
    pub avoid: Option<(usize, u32)>,
    /// Candidate and key not to take at all.
    pub not_with: Option<(usize, u32)>,
    /// The index of the one key to take, where there is no other.
    pub only_key: Option<u32>,
    /// Whether no attempt was made yet (later ones are charged to the retry budget).
    pub first: bool,
}

/// The one key that holds what a request needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pin(pub(super) KeyId);

impl Pin {
    /// To this key.
    pub fn of(key: KeyId) -> Self {
        Self(key)
    }
}
