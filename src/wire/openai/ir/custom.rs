//! Custom tools of a caller, which other dialects call as functions.

use std::collections::HashSet;

use crate::wire::ir::{ContentPart, PartBody, ToolCall, ToolCallKind};
use crate::wire::json;
use crate::wire::request::RequestDoc;

/// The names of a request's custom tools.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::wire::openai) struct CustomTools(HashSet<String>);

impl CustomTools {
    /// Of a caller's request.
    pub(in crate::wire::openai) fn of(doc: &RequestDoc) -> Self {
        let tools = doc.raw("tools").and_then(json::value).unwrap_or_default();
        let names = tools.as_array().into_iter().flatten().filter_map(|tool| {
            let name = tool.get("custom")?.get("name")?.as_str()?;
            Some(name.to_owned())
        });
        Self(names.collect())
    }

    /// Whether a call by this name is of one of them.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Makes calls of custom tools again of those that came as calls of functions.
    pub(super) fn restore(&self, parts: &mut [ContentPart]) {
        for part in parts {
            if let PartBody::ToolCall(call) = &mut part.body
                && call.kind == ToolCallKind::Function
                && self.has(&call.name)
            {
                call.arguments = ToolCall::custom_input(&call.arguments);
                call.kind = ToolCallKind::Custom;
            }
        }
    }
}
