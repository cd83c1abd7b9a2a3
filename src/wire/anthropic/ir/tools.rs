//! Tools, and which of them must be called.

use serde_json::Value;

use super::super::model::ModelRules;
use super::schema;
use crate::wire::ir::fields::{Encoder, cache_mark, flag, list, put, put_cache_mark, take, text};
use crate::wire::ir::{Extra, ToolChoice, ToolDefinition};

/// All of them or none: a list with something else than tools in it stays as it is.
pub(super) fn decode_tools(fields: &mut Extra) -> Vec<ToolDefinition> {
    let Some(tools) = list(fields, "tools") else {
        return Vec::new();
    };
    let read: Option<Vec<ToolDefinition>> = tools.iter().map(decode_tool).collect();
    read.unwrap_or_else(|| {
        fields.insert("tools".to_owned(), Value::Array(tools));
        Vec::new()
    })
}

fn decode_tool(value: &Value) -> Option<ToolDefinition> {
    let mut fields = value.as_object()?.clone();
    match fields.get("type") {
        None => {}
        Some(Value::String(kind)) if kind == "custom" => {
            fields.insert("type".to_owned(), Value::Null);
        }
        Some(Value::String(kind)) => {
            let kind = kind.clone();
            fields.remove("type");
            return Some(ToolDefinition::Native {
                kind,
                extra: fields,
            });
        }
        Some(_) => return None,
    }
    Some(ToolDefinition::Function {
        name: text(&mut fields, "name")?,
        description: text(&mut fields, "description"),
        parameters: take(&mut fields, "input_schema", |value| {
            value.is_object().then(|| value.clone())
        }),
        strict: flag(&mut fields, "strict"),
        cache: cache_mark(&mut fields),
        extra: fields,
    })
}

/// A tool; `None` for one that another provider runs.
pub(super) fn encode_tool(
    encoder: &mut Encoder,
    rules: &ModelRules,
    path: &str,
    tool: ToolDefinition,
) -> Option<Value> {
    match tool {
        ToolDefinition::Function {
            name,
            description,
            parameters,
            strict,
            cache,
            extra,
        } => {
            let same = encoder.same;
            let mut own = encoder.begin(path, extra);
            if own.get("type") == Some(&Value::Null) {
                put(&mut own, "type", Some("custom"));
            }
            put(&mut own, "name", Some(name));
            put(&mut own, "description", description);
            let is_strict = strict == Some(true) && !same;
            let parameters = match (same, is_strict && rules.schema) {
                (true, _) => parameters,
                (false, false) => Some(schema::input(parameters)),
                (false, true) => Some(schema::strict(schema::input(parameters))),
            };
            put(&mut own, "input_schema", parameters);
            if is_strict && !rules.schema {
                encoder.lose(format!("{path}.strict"), "the model has no strict tools");
            }
            let strict = strict.filter(|strict| same || (*strict && rules.schema));
            put(&mut own, "strict", strict);
            put_cache_mark(&mut own, cache);
            Some(Value::Object(own))
        }
        ToolDefinition::Native { kind, mut extra } if encoder.same => {
            put(&mut extra, "type", Some(kind));
            Some(Value::Object(extra))
        }
        custom @ ToolDefinition::Custom { .. } => {
            encode_tool(encoder, rules, path, custom.into_function())
        }
        ToolDefinition::Native { kind, .. } => {
            encoder.lose(format!("{path}.{kind}"), "another provider's own tool");
            None
        }
    }
}

/// Whether a tool must be called, and whether several may be at once. What has other fields stays as it is.
pub(super) fn decode_choice(fields: &mut Extra) -> (Option<ToolChoice>, Option<bool>) {
    let read = |value: &Value| {
        let mut inner = value.as_object()?.clone();
        let kind = text(&mut inner, "type")?;
        let name = text(&mut inner, "name");
        let choice = match (kind.as_str(), name) {
            ("auto", None) => ToolChoice::Auto,
            ("any", None) => ToolChoice::Required,
            ("none", None) => ToolChoice::Never,
            ("tool", Some(name)) => ToolChoice::Named(name),
            _ => return None,
        };
        let apart = flag(&mut inner, "disable_parallel_tool_use");
        let fits = inner.is_empty() && (choice != ToolChoice::Never || apart.is_none());
        fits.then(|| (Some(choice), apart.map(|apart| !apart)))
    };
    take(fields, "tool_choice", read).unwrap_or_default()
}

/// The same as the API has it, where both are one object.
pub(super) fn encode_choice(
    encoder: &mut Encoder,
    choice: Option<ToolChoice>,
    parallel: Option<bool>,
) -> Option<Value> {
    // Alone, the flag that is the default anyway needs no object.
    let parallel = parallel.filter(|parallel| encoder.same || !parallel);
    let choice = match (choice, parallel) {
        (None, None) => return None,
        (None, Some(_)) => ToolChoice::Auto,
        (Some(choice), _) => choice,
    };
    let mut fields = Extra::new();
    let never = choice == ToolChoice::Never;
    let (kind, name) = match choice {
        ToolChoice::Auto => ("auto", None),
        ToolChoice::Required => ("any", None),
        ToolChoice::Never => ("none", None),
        ToolChoice::Named(name) => ("tool", Some(name)),
    };
    put(&mut fields, "type", Some(kind));
    put(&mut fields, "name", name);
    let apart = parallel.map(|parallel| !parallel).filter(|_| !never);
    put(&mut fields, "disable_parallel_tool_use", apart);
    Some(Value::Object(fields))
}
