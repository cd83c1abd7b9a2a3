//! Fields of the Responses API that have no typed place in the neutral form, as chat completions have them.

use serde_json::{Value, json};

use super::fields::put;
use crate::wire::ir::{Extra, ToolDefinition};

/// What the Responses API has in common with chat completions, under another name or in another place.
pub(super) fn shared(extra: &mut Extra, own: &mut Extra, tools: &[ToolDefinition]) {
    if let Some(Value::Object(text)) = extra.get_mut("text") {
        put(own, "verbosity", text.remove("verbosity"));
    }
    let custom = |name: &str| {
        let mut all = tools.iter();
        all.any(|tool| matches!(tool, ToolDefinition::Custom { name: own, .. } if own == name))
    };
    let nested = |choice: &Value| {
        let name = choice.get("name")?.as_str()?;
        let kind = if custom(name) { "custom" } else { "function" };
        Some(json!({"type": kind, kind: {"name": name}}))
    };
    let choice = extra.get("tool_choice").and_then(|choice| match choice.get("type")?.as_str()? {
        "custom" | "function" => nested(choice),
        "allowed_tools" => {
            let allowed = choice.get("tools")?.as_array()?;
            let allowed: Option<Vec<Value>> = allowed.iter().map(nested).collect();
            let mode = choice.get("mode")?.as_str()?;
            Some(json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed?}}))
        }
        _ => None,
    });
    if choice.is_some() {
        extra.remove("tool_choice");
        put(own, "tool_choice", choice);
    }
}
