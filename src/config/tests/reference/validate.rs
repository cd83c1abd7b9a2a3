//! As much of a JSON Schema validator as the schema needs; a keyword that it does not know is an error.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::Regex;
use serde_json::Value;

/// Patterns are few, and slow to compile.
fn is_match(pattern: &str, text: &str) -> bool {
    thread_local! {
        static COMPILED: RefCell<HashMap<String, Regex>> = RefCell::default();
    }
    COMPILED.with_borrow_mut(|compiled| {
        let new = || Regex::new(pattern).unwrap();
        let found = compiled.entry(pattern.to_owned()).or_insert_with(new);
        found.is_match(text)
    })
}

/// Whether `value` keeps to `schema`, whose `$defs` stand at its top.
///
/// # Errors
/// Where and why it doesn't; of alternatives, why the one that came furthest was refused.
pub fn accepts(schema: &Value, value: &Value) -> Result<(), String> {
    check(schema, schema, value, "")
}

fn check(root: &Value, schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    let no = |what: &str| Err(format!("{path}: {value} is {what}"));
    let Some(keywords) = schema.as_object() else {
        return match schema {
            Value::Bool(true) => Ok(()),
            _ => no("not expected"),
        };
    };
    for (keyword, rule) in keywords {
        match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" => {}
            "$ref" => {
                let name = rule.as_str().unwrap().trim_start_matches("#/$defs/");
                let part = root["$defs"].get(name);
                let part = part.unwrap_or_else(|| panic!("there is no {name}"));
                check(root, part, value, path)?;
            }
            "anyOf" => {
                let tried = rule.as_array().unwrap().iter();
                let results = tried.map(|part| check(root, part, value, path));
                let errors: Result<Vec<String>, ()> =
                    results.map(|it| it.err().ok_or(())).collect();
                if let Ok(mut errors) = errors {
                    errors.sort_by_key(|error| {
                        std::cmp::Reverse(error.split(": ").next().map(str::len))
                    });
                    return Err(errors.swap_remove(0));
                }
            }
            "type" => {
                let types = rule
                    .as_array()
                    .cloned()
                    .unwrap_or_else(|| vec![rule.clone()]);
                let is = |name: &Value| match name.as_str().unwrap() {
                    "null" => value.is_null(),
                    "boolean" => value.is_boolean(),
                    "string" => value.is_string(),
                    "number" => value.is_number(),
                    "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    other => panic!("no type {other}"),
                };
                if !types.iter().any(is) {
                    return no("of another type");
                }
            }
            "enum" if !rule.as_array().unwrap().contains(value) => return no("none of the words"),
            "enum" => {}
            "minimum" if value.is_number() && value.as_f64() < rule.as_f64() => {
                return no("too small");
            }
            "exclusiveMinimum" if value.is_number() && value.as_f64() <= rule.as_f64() => {
                return no("too small");
            }
            "maximum" if value.as_f64() > rule.as_f64() => return no("too large"),
            "minimum" | "exclusiveMinimum" | "maximum" => {}
            "pattern" => {
                let pattern = rule.as_str().unwrap();
                if value.as_str().is_some_and(|text| !is_match(pattern, text)) {
                    return no("of another form");
                }
            }
            "minItems" => {
                let least = rule.as_u64().unwrap();
                if value
                    .as_array()
                    .is_some_and(|items| (items.len() as u64) < least)
                {
                    return no("too short");
                }
            }
            "items" => {
                for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{path}/{at}"))?;
                }
            }
            "required" => {
                for name in rule.as_array().unwrap() {
                    if value
                        .as_object()
                        .is_some_and(|map| !map.contains_key(name.as_str().unwrap()))
                    {
                        return no("anything that lacks a required key");
                    }
                }
            }
            "properties" | "additionalProperties" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    let known = schema.get("properties").and_then(|known| known.get(name));
                    let rule = match (known, keyword.as_str()) {
                        (Some(known), "properties") => known,
                        (None, "additionalProperties") => rule,
                        _ => continue,
                    };
                    check(root, rule, member, &format!("{path}/{name}"))?;
                }
            }
            other => panic!("the keyword {other} is not understood"),
        }
    }
    Ok(())
}
