//! What a caller says of the key that its request is to go to.

use crate::domain::ids::KeyId;

/// The key that a request is to go to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AffinityChoice {
    /// This one and no other.
    Key(KeyId),
    /// The one that served the last request of this session, as long as it can.
    Session(Box<str>),
}
