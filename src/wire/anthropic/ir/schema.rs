//! JSON Schema as the API takes it for answers and strict tools: a part of the keywords. What it refuses is told in the
//! description instead, so that the model still reads it (as the AI SDK and Anthropic's own SDKs do).

use serde_json::{Map, Value, json};

/// Keywords that it refuses.
const REFUSED: [&str; 13] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];
/// Keywords with schemas by name.
const NAMED: [&str; 4] = ["properties", "$defs", "definitions", "patternProperties"];
/// Schemas are nested so deep at most: what lies deeper stays as it is.
const DEEPEST: usize = 64;

/// A schema of nothing but objects that say what they hold.
pub(super) fn strict(mut schema: Value) -> Value {
    walk(&mut schema, 0);
    schema
}

fn walk(schema: &mut Value, depth: usize) {
    let Value::Object(fields) = schema else {
        return;
    };
    if depth > DEEPEST {
        return;
    }
    let told: Vec<String> = REFUSED
        .into_iter()
        .filter_map(|name| Some(format!("{name}: {}", fields.remove(name)?)))
        .collect();
    if !told.is_empty() {
        let told = told.join(", ");
        let description = match fields.get("description").and_then(Value::as_str) {
            Some(before) => format!("{before} ({told})"),
            None => told,
        };
        fields.insert("description".to_owned(), Value::String(description));
    }
    let is_object = fields.get("type").is_some_and(|kind| names(kind, "object"))
        || fields.contains_key("properties");
    if is_object {
        fields.insert("additionalProperties".to_owned(), json!(false));
    }
    for (name, value) in fields {
        match value {
            Value::Object(schemas) if NAMED.contains(&name.as_str()) => {
                schemas.values_mut().for_each(|one| walk(one, depth + 1));
            }
            Value::Array(schemas)
                if matches!(name.as_str(), "anyOf" | "oneOf" | "allOf" | "prefixItems") =>
            {
                schemas.iter_mut().for_each(|one| walk(one, depth + 1));
            }
            value if matches!(name.as_str(), "items" | "not") => walk(value, depth + 1),
            _ => {}
        }
    }
}

fn names(kind: &Value, word: &str) -> bool {
    match kind {
        Value::String(kind) => kind == word,
        Value::Array(kinds) => kinds.iter().any(|kind| kind == word),
        _ => false,
    }
}

/// The input of a tool: an object, which the API wants to see said.
pub(super) fn input(parameters: Option<Value>) -> Value {
    let mut fields = match parameters {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    // Some write the names of types in capitals.
    fields.insert("type".to_owned(), json!("object"));
    if !fields.contains_key("properties") && !fields.contains_key("$ref") {
        fields.insert("properties".to_owned(), json!({}));
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_refused_is_told_in_words() {
        let schema = strict(json!({
            "type": "object",
            "properties": {"n": {"type": "integer", "minimum": 1, "description": "how many"},
                           "minimum": {"type": "array", "items": {"type": "object", "maxProperties": 2}}},
            "required": ["n"]
        }));
        assert_eq!(
            schema,
            json!({
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "n": {"type": "integer", "description": "how many (minimum: 1)"},
                    "minimum": {"type": "array", "items": {
                        "type": "object", "additionalProperties": false, "description": "maxProperties: 2"
                    }}
                },
                "required": ["n"]
            })
        );
    }

    #[test]
    fn a_tool_always_has_an_object_for_its_input() {
        assert_eq!(input(None), json!({"type": "object", "properties": {}}));
        let typeless = json!({"properties": {"a": {}}, "type": "OBJECT"});
        assert_eq!(input(Some(typeless))["type"], "object");
    }

    proptest! {
        #[test]
        fn a_schema_that_fits_stays_as_it_is(name in "[a-c]{1,3}") {
            let schema = json!({"type": "object", "properties": {name.clone(): {"type": "string"}},
                                "required": [name], "additionalProperties": false});
            prop_assert_eq!(strict(schema.clone()), schema);
        }
    }
}
