//! Tools: flat here, with some that other dialects have not.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::fields::{Encoder, flag, put, take, text};
use crate::wire::ir::ids::{LONGEST_CALL_ID, shorten};
use crate::wire::ir::{Extra, ToolCall, ToolCallKind, ToolChoice, ToolDefinition};

/// All of them or none: a list with something else than tools in it stays as it is.
pub(super) fn decode_tools(fields: &mut Extra) -> Vec<ToolDefinition> {
    let read = |value: &Value| {
        let tools = value.as_array().filter(|tools| !tools.is_empty())?;
        tools.iter().map(decode_tool).collect()
    };
    take(fields, "tools", read).unwrap_or_default()
}

fn decode_tool(value: &Value) -> Option<ToolDefinition> {
    let mut fields = value.as_object()?.clone();
    let kind = text(&mut fields, "type")?;
    let is_named = fields.get("name").is_some_and(Value::is_string);
    match kind.as_str() {
        "function" if is_named => Some(ToolDefinition::Function {
            name: text(&mut fields, "name")?,
            description: text(&mut fields, "description"),
            parameters: take(&mut fields, "parameters", |value| {
                value.is_object().then(|| value.clone())
            }),
            strict: flag(&mut fields, "strict"),
            cache: None,
            extra: fields,
        }),
        "custom" if is_named => Some(ToolDefinition::Custom {
            name: text(&mut fields, "name")?,
            description: text(&mut fields, "description"),
            format: take(&mut fields, "format", |value| {
                value.is_object().then(|| value.clone())
            }),
            extra: fields,
        }),
        _ => Some(ToolDefinition::Native {
            kind,
            extra: fields,
        }),
    }
}

pub(super) fn decode_choice(fields: &mut Extra) -> Option<ToolChoice> {
    take(fields, "tool_choice", |value| match value {
        Value::String(word) => match word.as_str() {
            "auto" => Some(ToolChoice::Auto),
            "none" => Some(ToolChoice::Never),
            "required" => Some(ToolChoice::Required),
            _ => None,
        },
        value => {
            let name = value.get("name")?.as_str()?;
            (*value == named("function", name)).then(|| ToolChoice::Named(name.to_owned()))
        }
    })
}

fn named(kind: &str, name: &str) -> Value {
    json!({"type": kind, "name": name})
}

/// Writes a tool; `None` for one that has no place here.
pub(super) fn encode_tool(
    encoder: &mut Encoder,
    path: &str,
    tool: ToolDefinition,
) -> Option<Value> {
    let (mut own, kind) = match tool {
        ToolDefinition::Function {
            name,
            description,
            parameters,
            strict,
            cache,
            extra,
        } => {
            let mut own = encoder.begin(path, extra);
            put(&mut own, "name", Some(name));
            put(&mut own, "description", description);
            if cache.is_some() {
                encoder.lose(format!("{path}.cache_control"), super::fields::UNKNOWN);
            }
            if encoder.same {
                put(&mut own, "parameters", parameters);
                put(&mut own, "strict", strict);
            } else {
                // Both are required here. True would refuse schemas with optional properties.
                let none = || json!({"type": "object", "properties": {}});
                put(
                    &mut own,
                    "parameters",
                    Some(parameters.unwrap_or_else(none)),
                );
                put(&mut own, "strict", Some(strict.unwrap_or(false)));
            }
            (own, "function".to_owned())
        }
        ToolDefinition::Custom {
            name,
            description,
            format,
            extra,
        } => {
            let mut own = encoder.begin(path, extra);
            put(&mut own, "name", Some(name));
            put(&mut own, "description", description);
            put(&mut own, "format", format);
            (own, "custom".to_owned())
        }
        ToolDefinition::Native { kind, extra } if encoder.same => (extra, kind),
        ToolDefinition::Native { kind, .. } => {
            encoder.lose(format!("{path}.{kind}"), "another provider's own tool");
            return None;
        }
    };
    put(&mut own, "type", Some(kind));
    Some(Value::Object(own))
}

/// Writes whether a tool must be called; `is_custom` tells the two kinds of tools apart.
pub(super) fn encode_choice(choice: ToolChoice, is_custom: impl Fn(&str) -> bool) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::Never => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) if is_custom(&name) => named("custom", &name),
        ToolChoice::Named(name) => named("function", &name),
    }
}

/// What a caller calls its tools, and what they are called in other dialects: there are no namespaces there, and custom tools
/// not everywhere.
#[derive(Debug, Default)]
pub(super) struct ToolNames {
    /// By the name elsewhere: namespace and name.
    inside: HashMap<String, (String, String)>,
    custom: HashSet<String>,
}

impl ToolNames {
    /// Of the tools of a request.
    pub(super) fn of(tools: &[ToolDefinition]) -> Self {
        let mut names = Self::default();
        for tool in tools {
            names.add(None, tool);
        }
        names
    }

    /// Of the value of `tools`.
    pub(super) fn read(tools: &Value) -> Self {
        let mut fields = Extra::from_iter([("tools".to_owned(), tools.clone())]);
        Self::of(&decode_tools(&mut fields))
    }

    fn add(&mut self, namespace: Option<&str>, tool: &ToolDefinition) {
        let (name, is_custom) = match tool {
            ToolDefinition::Function { name, .. } => (name, false),
            ToolDefinition::Custom { name, .. } => (name, true),
            ToolDefinition::Native { kind, extra } if kind == "namespace" => {
                let name = extra
                    .get("name")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                for tool in namespaced(extra) {
                    self.add(Some(name), &tool);
                }
                return;
            }
            ToolDefinition::Native { .. } => return,
        };
        let flat = flat_name(namespace, name);
        if is_custom {
            self.custom.insert(flat.clone());
        }
        if let Some(namespace) = namespace {
            let parts = (namespace.to_owned(), name.clone());
            self.inside.insert(flat, parts);
        }
    }

    /// Whether the tool that has this name elsewhere is a custom one.
    pub(super) fn is_custom(&self, flat: &str) -> bool {
        self.custom.contains(flat)
    }

    /// The namespace and the name of a tool that has this name elsewhere.
    pub(super) fn own<'a>(&'a self, flat: &'a str) -> (Option<&'a str>, &'a str) {
        match self.inside.get(flat) {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, flat),
        }
    }
}

/// The tools of a namespace.
fn namespaced(extra: &Extra) -> Vec<ToolDefinition> {
    let tools = extra.get("tools").and_then(Value::as_array);
    tools
        .into_iter()
        .flatten()
        .filter_map(decode_tool)
        .collect()
}

/// The name elsewhere.
fn flat_name(namespace: Option<&str>, name: &str) -> String {
    let Some(namespace) = namespace else {
        return name.to_owned();
    };
    let mut flat = format!("{namespace}__{name}");
    shorten(&mut flat, LONGEST_CALL_ID);
    flat
}

/// The tools without namespaces.
pub(super) fn unfolded(tools: Vec<ToolDefinition>) -> Vec<ToolDefinition> {
    let mut all = Vec::with_capacity(tools.len());
    for tool in tools {
        let ToolDefinition::Native { kind, extra } = &tool else {
            all.push(tool);
            continue;
        };
        if kind != "namespace" {
            all.push(tool);
            continue;
        }
        let namespace = extra
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        for mut tool in namespaced(extra) {
            if let ToolDefinition::Function { name, .. } | ToolDefinition::Custom { name, .. } =
                &mut tool
            {
                *name = flat_name(Some(namespace), name);
            }
            all.push(tool);
        }
    }
    all
}

/// A call from the conversation, by the name that its tool has elsewhere. `extra` are the other fields of its item.
pub(super) fn unfold_call(call: &mut ToolCall, extra: &mut Extra) {
    if let Some(namespace) = text(extra, "namespace") {
        call.name = flat_name(Some(&namespace), &call.name);
    }
}

/// The input of a call of a custom tool that was called as a function, as the caller reads it.
pub(super) fn custom_call(mut call: ToolCall) -> ToolCall {
    if call.kind == ToolCallKind::Function {
        call.arguments = ToolCall::custom_input(&call.arguments);
        call.kind = ToolCallKind::Custom;
    }
    call
}
