//! Schemas of tools and answers: JSON Schema on the one side, and what Google takes for one on the other.
//!
//! Google has two forms. `parameters` and `responseSchema` hold a message of its own, after OpenAPI: types in capitals,
//! `nullable`, 64-bit numbers as texts. `parametersJsonSchema` and `responseJsonSchema` hold JSON Schema, and are what is
//! written here. Only schemas are walked, by the keywords that hold schemas: a property that is called `type` is not one.

use serde_json::{Map, Value, json};

/// Keywords that hold one schema.
const ONE: [&str; 9] = [
    "items",
    "additionalProperties",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
    "unevaluatedProperties",
];
/// Keywords that hold a list of schemas.
const LIST: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];
/// Keywords that hold schemas by names.
const NAMED: [&str; 5] = [
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
];

/// What an answer's schema may say: Google's reference of `responseJsonSchema`.
const HONOURED: [&str; 20] = [
    "$anchor",
    "$defs",
    "$id",
    "$ref",
    "additionalProperties",
    "anyOf",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "oneOf",
    "prefixItems",
    "properties",
    "propertyOrdering",
    "required",
    "title",
];

/// Calls `each` for a schema and every schema inside of it, the innermost first.
fn walk(schema: &mut Value, each: &mut impl FnMut(&mut Map<String, Value>)) {
    let Value::Object(fields) = schema else {
        return;
    };
    for (name, value) in fields.iter_mut() {
        match value {
            Value::Object(inner) if NAMED.contains(&name.as_str()) => {
                inner.values_mut().for_each(|value| walk(value, each));
            }
            Value::Array(all) if LIST.contains(&name.as_str()) || name == "items" => {
                all.iter_mut().for_each(|value| walk(value, each));
            }
            value if ONE.contains(&name.as_str()) => walk(value, each),
            _ => {}
        }
    }
    each(fields);
}

/// A schema in either of Google's forms as JSON Schema.
pub(super) fn to_json_schema(mut schema: Value) -> Value {
    camel_keywords(&mut schema);
    walk(&mut schema, &mut |fields| {
        small_type(fields);
        numbers(fields);
        nullable(fields);
        order_properties(fields);
        if let Some(example) = fields.remove("example") {
            fields.entry("examples").or_insert(json!([example]));
        }
        // Google's word for a text with an `enum`: no format of JSON Schema.
        if fields.get("format") == Some(&json!("enum")) {
            fields.remove("format");
        }
    });
    schema
}

/// Properties in the order that Google's own keyword says; others follow. Elsewhere models write them as they stand.
fn order_properties(fields: &mut Map<String, Value>) {
    let Some(Value::Array(order)) = fields.shift_remove("propertyOrdering") else {
        return;
    };
    let Some(Value::Object(properties)) = fields.get_mut("properties") else {
        return;
    };
    let mut before = std::mem::take(properties);
    for name in order.iter().filter_map(Value::as_str) {
        if let Some(property) = before.get_mut(name)
            && !properties.contains_key(name)
        {
            properties.insert(name.to_owned(), property.take());
        }
    }
    for (name, property) in before {
        properties.entry(name).or_insert(property);
    }
}

/// The other names of Google's own keywords.
fn camel_keywords(schema: &mut Value) {
    const NAMES: [(&str, &str); 12] = [
        ("any_of", "anyOf"),
        ("max_items", "maxItems"),
        ("max_length", "maxLength"),
        ("max_properties", "maxProperties"),
        ("min_items", "minItems"),
        ("min_length", "minLength"),
        ("min_properties", "minProperties"),
        ("one_of", "oneOf"),
        ("prefix_items", "prefixItems"),
        ("property_ordering", "propertyOrdering"),
        ("additional_properties", "additionalProperties"),
        ("defs", "$defs"),
    ];
    let Value::Object(fields) = schema else {
        return;
    };
    for (snake, camel) in NAMES {
        // Behind them stand schemas: they have to be known before these are walked.
        if let Some(value) = fields.remove(snake) {
            fields.entry(camel).or_insert(value);
        }
    }
    for (name, value) in fields.iter_mut() {
        match value {
            Value::Object(inner) if NAMED.contains(&name.as_str()) => {
                inner.values_mut().for_each(camel_keywords);
            }
            Value::Array(all) if LIST.contains(&name.as_str()) || name == "items" => {
                all.iter_mut().for_each(camel_keywords);
            }
            value if ONE.contains(&name.as_str()) => camel_keywords(value),
            _ => {}
        }
    }
}

/// Types in small letters.
fn small_type(fields: &mut Map<String, Value>) {
    const TYPES: [&str; 7] = [
        "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL",
    ];
    let small = |value: &mut Value| {
        if let Value::String(word) = value
            && TYPES.contains(&word.as_str())
        {
            word.make_ascii_lowercase();
        }
    };
    match fields.get_mut("type") {
        Some(Value::Array(all)) => all.iter_mut().for_each(small),
        Some(word) if *word == "TYPE_UNSPECIFIED" => {
            fields.remove("type");
        }
        Some(word) => small(word),
        None => {}
    }
}

/// Numbers that are written as texts, as 64-bit numbers are in the JSON form of protocol buffers.
fn numbers(fields: &mut Map<String, Value>) {
    const NAMES: [&str; 8] = [
        "maxItems",
        "minItems",
        "maxLength",
        "minLength",
        "maxProperties",
        "minProperties",
        "maximum",
        "minimum",
    ];
    for name in NAMES {
        let number = fields.get(name).and_then(Value::as_str);
        if let Some(number) = number.and_then(|text| text.parse::<i64>().ok()) {
            fields.insert(name.to_owned(), number.into());
        }
    }
}

/// `nullable: true` as JSON Schema says it.
fn nullable(fields: &mut Map<String, Value>) {
    let Some(Value::Bool(may_be_null)) = fields.remove("nullable") else {
        return;
    };
    if !may_be_null {
        return;
    }
    match fields.get_mut("type") {
        Some(Value::Array(types)) if !types.contains(&json!("null")) => types.push(json!("null")),
        Some(Value::String(word)) if word != "null" => {
            let both = json!([word, "null"]);
            fields.insert("type".to_owned(), both);
        }
        Some(_) => {}
        None => {
            if let Some(Value::Array(any)) = fields.get_mut("anyOf") {
                any.push(json!({"type": "null"}));
            }
        }
    }
    if let Some(Value::Array(values)) = fields.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

/// JSON Schema as Google honours it: a constant as the only value of an enumeration, and without the name of its own
/// language.
pub(super) fn for_tool(mut schema: Value) -> Value {
    walk(&mut schema, &mut |fields| {
        constant(fields);
        fields.remove("$schema");
    });
    schema
}

/// The same for an answer, whose schema may have fewer keywords. What is left out only makes it say less.
pub(super) fn for_answer(schema: Value) -> Value {
    let mut schema = for_tool(schema);
    walk(&mut schema, &mut |fields| {
        merge_bounds(fields);
        if let Some(defs) = fields.remove("definitions") {
            fields.entry("$defs").or_insert(defs);
        }
        if let Some(Value::String(at)) = fields.get_mut("$ref") {
            *at = at.replace("#/definitions/", "#/$defs/");
        }
        let refers = fields.contains_key("$ref");
        // Beside a reference nothing else may stand.
        fields.retain(|name, _| match refers {
            true => name.starts_with('$'),
            false => name == "type" || HONOURED.contains(&name.as_str()),
        });
    });
    schema
}

fn constant(fields: &mut Map<String, Value>) {
    if let Some(value) = fields.remove("const") {
        if !fields.contains_key("type")
            && let Some(kind) = type_of(&value)
        {
            fields.insert("type".to_owned(), kind.into());
        }
        fields.entry("enum").or_insert(json!([value]));
    }
}

/// Open bounds of whole numbers as closed ones.
fn merge_bounds(fields: &mut Map<String, Value>) {
    let whole = fields.get("type") == Some(&json!("integer"));
    for (open, closed, step) in [
        ("exclusiveMinimum", "minimum", 1),
        ("exclusiveMaximum", "maximum", -1),
    ] {
        let bound = fields.get(open).and_then(Value::as_i64).filter(|_| whole);
        if let Some(bound) = bound {
            fields
                .entry(closed)
                .or_insert(bound.saturating_add(step).into());
        }
    }
}

fn type_of(value: &Value) -> Option<&'static str> {
    Some(match value {
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::Null => "null",
        Value::Array(_) | Value::Object(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_form_becomes_json_schema() {
        let schema = json!({
            "type": "OBJECT", "propertyOrdering": ["type"], "required": ["type"],
            "properties": {
                "type": {"type": "STRING", "nullable": true, "enum": ["A", "STRING"], "format": "enum"},
                "n": {"type": "ARRAY", "min_items": "2", "items": {"type": "INTEGER"}, "example": [1]},
                "x": {"any_of": [{"type": "NUMBER"}, {"type": "BOOLEAN"}], "nullable": true},
                "any_of": {"type": "STRING"},
            },
        });
        assert_eq!(
            to_json_schema(schema),
            json!({
                "type": "object", "required": ["type"],
                "properties": {
                    "type": {"type": ["string", "null"], "enum": ["A", "STRING", null]},
                    "n": {"type": "array", "minItems": 2, "items": {"type": "integer"}, "examples": [[1]]},
                    "x": {"anyOf": [{"type": "number"}, {"type": "boolean"}, {"type": "null"}]},
                    "any_of": {"type": "string"},
                },
            })
        );
    }

    #[test]
    fn properties_stand_in_the_order_that_was_asked_for() {
        let text = json!({"type": "STRING"});
        let schema = json!({
            "type": "OBJECT", "property_ordering": ["c", "none", "a", "c", 1],
            "properties": {"a": text, "b": text, "c": {"properties": {"y": text, "x": text}, "propertyOrdering": ["x"]}},
        });
        let told = to_json_schema(schema);
        let names = |schema: &Value| -> Vec<String> {
            let properties = schema["properties"].as_object().unwrap();
            properties.keys().cloned().collect()
        };
        assert_eq!(names(&told), ["c", "a", "b"]);
        assert_eq!(names(&told["properties"]["c"]), ["x", "y"]);
        assert_eq!(told["properties"]["a"], json!({"type": "string"}));
        assert!(!told.to_string().contains("rdering"), "{told}");
    }

    #[test]
    fn json_schema_stays_what_it_is_but_for_constants() {
        let schema = json!({
            "$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "additionalProperties": false,
            "properties": {
                "const": {"type": "string"},
                "op": {"anyOf": [{"type": "string", "const": "insert"}, {"const": 2}]},
                "n": {"type": "integer", "exclusiveMinimum": 0},
            },
        });
        let told = for_tool(schema.clone());
        assert_eq!(
            told,
            json!({
                "type": "object", "additionalProperties": false,
                "properties": {
                    "const": {"type": "string"},
                    "op": {"anyOf": [{"type": "string", "enum": ["insert"]}, {"type": "integer", "enum": [2]}]},
                    "n": {"type": "integer", "exclusiveMinimum": 0},
                },
            })
        );
        let answer = for_answer(schema);
        assert_eq!(
            answer["properties"]["n"],
            json!({"type": "integer", "minimum": 1})
        );
    }

    #[test]
    fn beside_a_reference_nothing_else_stands_in_an_answer() {
        let schema = json!({
            "properties": {"at": {"$ref": "#/definitions/P", "description": "where"}},
            "definitions": {"P": {"type": "object", "pattern": "x"}},
        });
        assert_eq!(
            for_answer(schema),
            json!({"properties": {"at": {"$ref": "#/$defs/P"}}, "$defs": {"P": {"type": "object"}}})
        );
    }
}
