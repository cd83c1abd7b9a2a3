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
    /// Whether it is a whole part of a message, with nothing in its place.
    pub part: bool,
}

impl Loss {
    /// Something else than a whole part of a message.
    pub fn new<P: Into<String>>(path: P, why: &'static str) -> Self {
        Self {
            path: path.into(),
            why,
            part: false,
        }
    }
}

/// What was lost on the way, in order.
pub type Losses = Vec<Loss>;

/// Fields that hold nothing but other fields, some of which the neutral form has: of these each one that is left has a
/// name of its own.
const CONTAINERS: [&str; 7] = [
    "delta",
    "functionCall",
    "functionResponse",
    "generationConfig",
    "output_config",
    "text",
    "thinkingConfig",
];

/// Notes everything in a bag as lost. `null`, `[]` and `{}` say nothing, so nothing is lost with them.
pub fn lose_all(losses: &mut Losses, path: &str, extra: &Extra, why: &'static str) {
    for (name, value) in extra.iter().filter(|(_, value)| says(value)) {
        let path = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        match value {
            Value::Object(fields) if CONTAINERS.contains(&name.as_str()) => {
                lose_all(losses, &path, fields, why);
            }
            _ => losses.push(Loss::new(path, why)),
        }
    }
}

/// Notes counts as lost, each by its full name. One of zero, and what is switched off, says nothing.
pub fn lose_counts(losses: &mut Losses, path: &str, extra: &Extra, why: &'static str) {
    for (name, value) in extra.iter().filter(|(_, value)| counts(value)) {
        let path = format!("{path}.{name}");
        match value {
            Value::Object(fields) => lose_counts(losses, &path, fields, why),
            _ => losses.push(Loss::new(path, why)),
        }
    }
}

fn counts(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => fields.values().any(counts),
        Value::Bool(true) => true,
    }
}

fn says(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => fields.values().any(|value| !value.is_null()),
        _ => true,
    }
}
