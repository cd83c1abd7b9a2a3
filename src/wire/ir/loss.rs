//! What has no field in the neutral form, and what could not be carried over.

use serde_json::{Map, Value};

/// Fields of an object that have no other place in the neutral form, as their dialect writes them.
pub type Extra = Map<String, Value>;

/// A part of a body that the other dialect cannot express; also why a body cannot be read at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loss {
    /// Its path in the body it was read from, such as `messages[2].audio`.
    pub path: String,
    /// Why it has no place on the other side, for people.
    pub why: &'static str,
}

/// What was lost on the way, in order.
pub type Losses = Vec<Loss>;

/// Notes everything in a bag as lost. `null` says nothing, so nothing is lost with it.
pub fn lose_all(losses: &mut Losses, path: &str, extra: &Extra, why: &'static str) {
    let told = extra.iter().filter(|(_, value)| !value.is_null());
    losses.extend(told.map(|(name, _)| Loss {
        path: match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        },
        why,
    }));
}
