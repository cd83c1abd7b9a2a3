//! What has no field in the neutral form, and what could not be carried over.

use serde_json::{Map, Value};

/// Fields of an object that have no other place in the neutral form, as their dialect writes them.
pub type Extra = Map<String, Value>;

/// A part of a body that the other dialect cannot express; also why a body cannot be read at all.
///
/// What stands in an `extra` is named as its dialect writes it, a typed field by its place in the neutral form, such as
/// `sampling.stop`: each caller has a table of what it calls these ([`spelling`](crate::wire::spelling)). A native tool ends in its
/// kind, `tools[1].web_search`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loss {
    /// Its path in the body it was read from, such as `messages[2].audio`.
    pub path: String,
    /// Why it has no place on the other side, for people.
    pub why: &'static str,
}

/// What was lost on the way, in order.
pub type Losses = Vec<Loss>;

/// Notes everything in a bag as lost. `null`, `[]` and `{}` say nothing, so nothing is lost with them.
pub fn lose_all(losses: &mut Losses, path: &str, extra: &Extra, why: &'static str) {
    let says = |value: &Value| match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    };
    let told = extra.iter().filter(|(_, value)| says(value));
    losses.extend(told.map(|(name, _)| Loss {
        path: match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        },
        why,
    }));
}
