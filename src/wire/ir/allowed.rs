//! `tool_choice` of the type `allowed_tools`: OpenAI's two APIs have it, nested and flat, and no field of the neutral form.

use serde_json::{Map, Value};

use super::request::{ChatRequest, ToolChoice, ToolDefinition};

/// Some of the tools, of which the model may call one, or must.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AllowedTools {
    /// The names of the tools.
    pub names: Vec<String>,
    /// Whether one of them must be called.
    pub required: bool,
}

impl AllowedTools {
    /// Takes the choice out of a request.
    pub fn take(request: &mut ChatRequest) -> Option<Self> {
        let choice = request.extra.get("tool_choice")?.as_object()?;
        let allowed = Self::read(choice)?;
        request.extra.remove("tool_choice");
        Some(allowed)
    }

    fn read(choice: &Map<String, Value>) -> Option<Self> {
        let inner = match choice.get("type")?.as_str()? {
            "allowed_tools" => choice.get("allowed_tools").and_then(Value::as_object),
            _ => None,
        };
        let inner = inner.or_else(|| choice.contains_key("tools").then_some(choice))?;
        let tools = inner.get("tools")?.as_array()?;
        let name = |tool: &Value| {
            let name = tool.pointer("/function/name").or_else(|| tool.get("name"));
            name.and_then(Value::as_str).map(str::to_owned)
        };
        Some(Self {
            names: tools.iter().filter_map(name).collect(),
            required: inner.get("mode").is_some_and(|mode| mode == "required"),
        })
    }

    /// Makes of it what every dialect has: no tools but these, and whether one must be called.
    pub fn apply(&self, request: &mut ChatRequest) {
        request.tools.retain(|tool| match tool {
            ToolDefinition::Function { name, .. } => self.names.contains(name),
            ToolDefinition::Custom { .. } | ToolDefinition::Native { .. } => true,
        });
        request.tool_choice = Some(match self.required {
            true => ToolChoice::Required,
            false => ToolChoice::Auto,
        });
    }
}
