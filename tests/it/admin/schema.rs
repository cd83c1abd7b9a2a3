//! As much of JSON Schema as the description of the admin listener uses, and stricter: what is not described may not
//! be there.

use serde_json::Value;

/// What is wrong with `value`, each with its path.
pub fn check(document: &Value, schema: &Value, value: &Value, path: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#'));
        return check(document, target.unwrap(), value, path);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let mut all = choices.iter().map(|one| check(document, one, value, path));
        return match all.any(|wrong| wrong.is_empty()) {
            true => Vec::new(),
            false => check(document, &choices[0], value, path),
        };
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => panic!("{path}: a schema without a type"),
    };
    let is = |kind: &&str| match *kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{path}: unknown type {other}"),
    };
    if !kinds.iter().any(is) {
        return vec![format!("{path}: {value} is not {kinds:?}")];
    }
    let mut wrong = Vec::new();
    if let Some(choices) = schema["enum"].as_array().filter(|all| !all.contains(value)) {
        wrong.push(format!("{path}: {value} is not in {choices:?}"));
    }
    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
        wrong.extend(check(
            document,
            &schema["items"],
            item,
            &format!("{path}[{at}]"),
        ));
    }
    let Some(fields) = value.as_object() else {
        return wrong;
    };
    for name in schema["required"].as_array().into_iter().flatten() {
        if !fields.contains_key(name.as_str().unwrap()) {
            wrong.push(format!("{path}: {name} is missing"));
        }
    }
    let Some(properties) = schema["properties"].as_object() else {
        return wrong;
    };
    for (name, member) in fields {
        match properties.get(name) {
            Some(schema) => {
                wrong.extend(check(document, schema, member, &format!("{path}.{name}")));
            }
            None => wrong.push(format!("{path}: {name} is not described")),
        }
    }
    wrong
}
