//! Calls of a streamed response while they are told.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::fields::put;
use super::open::{ItemPlace, ResponseLog};
use super::seal::Seal;
use super::tools::{ToolNames, custom_call};
use crate::wire::ir::{ToolCall, ToolCallKind};

/// A call of a tool.
#[derive(Debug, Default)]
pub(super) struct CallItem {
    call: ToolCall,
    /// Where it stands, once it has begun.
    place: Option<ItemPlace>,
    /// It is a custom tool's for the caller, and came as a function's: its input is only known at its end.
    wrapped: bool,
    /// Its signature went out.
    signed: bool,
}

/// An item that carries a call's signature.
pub(super) fn carrier_of(id: String, origin: &str, call_id: String, signature: String) -> Value {
    let seal = Seal {
        maker: Some(origin.to_owned()),
        call: Some((call_id, signature)),
        ..Seal::default()
    };
    let mut item = Map::new();
    put(&mut item, "id", Some(id));
    put(&mut item, "type", Some("reasoning"));
    put(&mut item, "summary", Some(Vec::<Value>::new()));
    put(&mut item, "encrypted_content", seal.write());
    Value::Object(item)
}

impl CallItem {
    /// What is known of it before it begins.
    pub(super) fn learn(&mut self, id: Option<String>, name: Option<String>, kind: ToolCallKind) {
        if self.place.is_some() {
            return;
        }
        self.call.id = self.call.id.take().or(id).filter(|id| !id.is_empty());
        if let Some(name) = name.filter(|_| self.call.name.is_empty()) {
            self.call.name = name;
            self.call.kind = kind;
        }
    }

    /// Its signature.
    pub(super) fn sign(&mut self, signature: String) {
        self.call.signature = Some(signature);
    }

    /// Whether it has a signature, sent or not.
    pub(super) fn is_signed(&self) -> bool {
        self.call.signature.is_some() || self.signed
    }

    /// Its id and its signature, where that was not sent.
    pub(super) fn unsent_signature(&mut self) -> Option<(String, String)> {
        let id = self.call.id.clone()?;
        let signature = self.call.signature.take()?;
        self.signed = true;
        Some((id, signature))
    }

    /// Whether it has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.place.is_some()
    }

    /// Whether it can begin.
    pub(super) fn has_name(&self) -> bool {
        !self.call.name.is_empty()
    }

    /// An id for it, where it has none or another call has had the same.
    pub(super) fn give_id(&mut self, spare: String, used: &mut HashSet<String>) {
        let own = self.call.id.take().filter(|id| !used.contains(id));
        let mut id = own.unwrap_or(spare);
        while !used.insert(id.clone()) {
            id.push('_');
        }
        self.call.id = Some(id);
    }

    fn is_custom(&self, names: &ToolNames) -> bool {
        self.call.kind == ToolCallKind::Custom || names.is_custom(&self.call.name)
    }

    /// How the id of its item begins.
    pub(super) fn prefix(&self, names: &ToolNames) -> &'static str {
        if self.is_custom(names) { "ctc" } else { "fc" }
    }

    /// It begins, with what came of it before.
    pub(super) fn begin(&mut self, events: &mut ResponseLog, id: String, names: &ToolNames) {
        self.wrapped = self.is_custom(names) && self.call.kind == ToolCallKind::Function;
        let early = std::mem::take(&mut self.call.arguments);
        let item = self.item(&id, "in_progress", names);
        let index = events.begin_item(item);
        self.place = Some(ItemPlace { id, index });
        self.argue(events, &early);
    }

    /// More of its arguments.
    pub(super) fn argue(&mut self, events: &mut ResponseLog, more: &str) {
        if more.is_empty() {
            return;
        }
        self.call.arguments.push_str(more);
        if let Some(place) = self.place.as_ref().filter(|_| !self.wrapped) {
            let kind = match self.call.kind {
                ToolCallKind::Function => "response.function_call_arguments.delta",
                ToolCallKind::Custom => "response.custom_tool_call_input.delta",
            };
            place.say(events, kind, [("delta", more.into())]);
        }
    }

    /// It is whole, or cut.
    pub(super) fn end(mut self, events: &mut ResponseLog, cut: bool, names: &ToolNames) {
        let Some(place) = self.place.take() else {
            return;
        };
        if self.wrapped {
            self.call = custom_call(self.call);
            let input = self.call.arguments.as_str();
            let fields = [("delta", input.into())];
            place.say(events, "response.custom_tool_call_input.delta", fields);
        } else if self.call.kind == ToolCallKind::Function && self.call.arguments.is_empty() {
            // Clients parse an empty text as JSON, and fail.
            self.call.arguments = "{}".to_owned();
            let fields = [("delta", "{}".into())];
            place.say(events, "response.function_call_arguments.delta", fields);
        }
        let all = self.call.arguments.as_str();
        match self.call.kind {
            ToolCallKind::Function => {
                let (_, name) = names.own(&self.call.name);
                let fields = [("arguments", all.into()), ("name", name.into())];
                place.say(events, "response.function_call_arguments.done", fields);
            }
            ToolCallKind::Custom => {
                let fields = [("input", all.into())];
                place.say(events, "response.custom_tool_call_input.done", fields);
            }
        }
        let status = if cut { "incomplete" } else { "completed" };
        let item = self.item(&place.id, status, names);
        events.end_item(place.index, item);
    }

    fn item(&self, id: &str, status: &str, names: &ToolNames) -> Value {
        let (namespace, name) = names.own(&self.call.name);
        let (kind, input) = match self.is_custom(names) {
            true => ("custom_tool_call", "input"),
            false => ("function_call", "arguments"),
        };
        let mut item = Map::new();
        item.insert(input.to_owned(), self.call.arguments.as_str().into());
        put(&mut item, "id", Some(id));
        put(&mut item, "type", Some(kind));
        put(&mut item, "call_id", self.call.id.clone());
        put(&mut item, "name", Some(name));
        put(&mut item, "namespace", namespace);
        item.insert("status".to_owned(), json!(status));
        Value::Object(item)
    }
}
