//! Tools, and whether one must be called.

use serde_json::{Value, json};

use crate::wire::gemini::names::camel;
use crate::wire::gemini::schema;
use crate::wire::gemini::tool_names::GeminiToolNames;
use crate::wire::ir::fields::{Encoder, inside, list, put, put_in, take, text};
use crate::wire::ir::{Extra, ToolChoice, ToolDefinition};

/// The field of a function that stands for a tool which takes a text of any form.
const INPUT: &str = "input";

/// The declared functions, and Google's own tools, each of which is a tool of its own here.
pub(super) fn decode(fields: &mut Extra, names: &GeminiToolNames) -> Vec<ToolDefinition> {
    let groups = match list(fields, "tools") {
        Some(groups) => groups,
        None => {
            // Claude's and others' clients send empty lists, which other dialects refuse.
            take(fields, "tools", |value| {
                value.as_array().filter(|all| all.is_empty()).map(drop)
            });
            take(fields, "tools", |value| {
                value.is_object().then(|| value.clone())
            })
            .into_iter()
            .collect()
        }
    };
    let mut tools = Vec::new();
    for group in groups {
        let Value::Object(mut group) = group else {
            continue;
        };
        camel(&mut group);
        let declared = list(&mut group, "functionDeclarations").unwrap_or_default();
        group.retain(|name, value| name != "functionDeclarations" && !value.is_null());
        tools.extend(declared.into_iter().map(|one| decode_function(one, names)));
        tools.extend(group.into_iter().map(|(kind, settings)| {
            let mut extra = Extra::new();
            extra.insert(kind.clone(), settings);
            ToolDefinition::Native { kind, extra }
        }));
    }
    tools
}

/// A declaration without a name stays as it is.
fn decode_function(mut value: Value, names: &GeminiToolNames) -> ToolDefinition {
    let name = value
        .as_object_mut()
        .and_then(|fields| text(fields, "name"));
    let (Some(name), Value::Object(mut fields)) = (name, value.take()) else {
        let kind = "functionDeclarations".to_owned();
        let extra = [(kind.clone(), json!([value]))].into_iter().collect();
        return ToolDefinition::Native { kind, extra };
    };
    camel(&mut fields);
    let is_schema = |value: &Value| value.is_object().then(|| value.clone());
    let schema = take(&mut fields, "parametersJsonSchema", is_schema)
        .or_else(|| take(&mut fields, "parameters", is_schema));
    ToolDefinition::Function {
        name: names.sent(name),
        description: text(&mut fields, "description"),
        parameters: schema.map(schema::to_json_schema),
        strict: None,
        cache: None,
        extra: fields,
    }
}

/// The names of all declared functions of these tools.
pub(in crate::wire::gemini) fn names(tools: &Value) -> GeminiToolNames {
    let groups = tools.as_array();
    let declared = groups.into_iter().flatten().filter_map(|group| {
        crate::wire::gemini::names::get(group, "functionDeclarations")?.as_array()
    });
    let names = declared
        .flatten()
        .filter_map(|one| one.get("name")?.as_str());
    GeminiToolNames::of(names)
}

/// Whether one must be called; and the names of those that may be, where not all of them may.
pub(super) fn decode_choice(
    fields: &mut Extra,
    names: &GeminiToolNames,
) -> (Option<ToolChoice>, Option<Vec<String>>) {
    let read = inside(fields, "toolConfig", |config| {
        camel(config);
        inside(config, "functionCallingConfig", |calling| {
            camel(calling);
            let mode = calling.get("mode")?.as_str()?.to_ascii_uppercase();
            let allowed = match calling.get("allowedFunctionNames") {
                // They count in this mode alone.
                Some(Value::Array(all)) if mode == "ANY" => {
                    let names = all.iter().map(|name| name.as_str().map(str::to_owned));
                    names.collect::<Option<Vec<String>>>()?
                }
                Some(Value::Array(all)) if all.is_empty() => Vec::new(),
                None => Vec::new(),
                Some(_) => return None,
            };
            let choice = match mode.as_str() {
                "AUTO" | "MODE_UNSPECIFIED" => ToolChoice::Auto,
                "ANY" => ToolChoice::Required,
                "NONE" => ToolChoice::Never,
                // `VALIDATED` and what is to come.
                _ => return None,
            };
            calling.remove("mode");
            calling.remove("allowedFunctionNames");
            let allowed = allowed.into_iter().map(|name| names.sent(name));
            Some((choice, allowed.collect::<Vec<String>>()))
        })
    });
    match read {
        None => (None, None),
        Some((ToolChoice::Required, allowed)) => match allowed.as_slice() {
            [] => (Some(ToolChoice::Required), None),
            [one] => (Some(ToolChoice::Named(one.clone())), None),
            _ => (Some(ToolChoice::Required), Some(allowed)),
        },
        Some((choice, _)) => (Some(choice), None),
    }
}

/// Writes the tools of a request.
pub(super) fn encode(encoder: &mut Encoder, fields: &mut Extra, tools: Vec<ToolDefinition>) {
    let mut functions = Vec::new();
    let mut groups = Vec::new();
    for (at, tool) in tools.into_iter().enumerate() {
        match tool.into_function() {
            ToolDefinition::Function {
                name,
                description,
                parameters,
                strict,
                cache,
                extra,
            } => {
                if cache.is_some() && !encoder.same {
                    let path = format!("tools[{at}].cache_control");
                    encoder.lose(path, super::fields::UNKNOWN);
                }
                if strict == Some(true) && !encoder.same {
                    encoder.lose(format!("tools[{at}].strict"), super::fields::UNKNOWN);
                }
                let mut own = encoder.begin(&format!("tools[{at}]"), extra);
                put(&mut own, "name", Some(name));
                put(&mut own, "description", description);
                let schema = parameters.map(schema::for_tool);
                put(&mut own, "parametersJsonSchema", schema);
                functions.push(Value::Object(own));
            }
            ToolDefinition::Native { extra, .. } if encoder.same => {
                groups.push(Value::Object(extra));
            }
            ToolDefinition::Native { kind, .. } => {
                encoder.lose(format!("tools[{at}].{kind}"), "another provider's own tool");
            }
            // It is a function by now.
            ToolDefinition::Custom { name, .. } => {
                encoder.lose(format!("tools[{at}].{name}"), "a tool without a form");
            }
        }
    }
    if !functions.is_empty() {
        groups.insert(0, json!({"functionDeclarations": functions}));
    }
    put(fields, "tools", (!groups.is_empty()).then_some(groups));
}

/// The arguments of a call of such a tool.
pub(super) fn custom_arguments(input: &str) -> Value {
    json!({INPUT: input})
}

/// Writes whether one must be called, perhaps one of the allowed ones.
pub(super) fn encode_choice(
    fields: &mut Extra,
    choice: Option<ToolChoice>,
    allowed: Option<Vec<String>>,
) {
    let (mode, only) = match choice {
        None => return,
        Some(ToolChoice::Auto) => ("AUTO", None),
        Some(ToolChoice::Never) => ("NONE", None),
        Some(ToolChoice::Required) => ("ANY", allowed),
        Some(ToolChoice::Named(name)) => ("ANY", Some(vec![name])),
    };
    let mut calling = Extra::new();
    put(&mut calling, "mode", Some(mode));
    put(&mut calling, "allowedFunctionNames", only);
    put_in(
        fields,
        "toolConfig",
        "functionCallingConfig",
        Some(Value::Object(calling)),
    );
}
