//! What every stream of a dialect keeps to, whatever it says. Where it ends with an error its ending is not looked at.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::streams::{Event, items, kind, number, text};

/// What is wrong with a stream.
pub fn faults(dialect: &str, events: &[Event]) -> Vec<String> {
    let mut faults = Faults::default();
    match dialect {
        "openai" => openai(events, &mut faults),
        "anthropic" => anthropic(events, &mut faults),
        "responses" => responses(events, &mut faults),
        "gemini" => gemini(events, &mut faults),
        other => panic!("no such dialect: {other}"),
    }
    faults.0
}

#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn unless(&mut self, holds: bool, fault: impl Into<String>) {
        if !holds {
            self.0.push(format!("grammar: {}", fault.into()));
        }
    }
}

fn openai(events: &[Event], faults: &mut Faults) {
    let mut ids = BTreeSet::new();
    let mut roles = BTreeSet::new();
    let mut calls: BTreeMap<u64, u64> = BTreeMap::new();
    let mut finished = BTreeSet::new();
    let (mut done, mut failed) = (false, false);
    for event in events {
        faults.unless(
            event.name.is_none() && !event.bare,
            "an event is more than data",
        );
        faults.unless(!done, "something follows [DONE]");
        if event.data == "[DONE]" {
            done = true;
            continue;
        }
        if !event.data["error"].is_null() {
            failed = true;
            continue;
        }
        faults.unless(
            text(&event.data, "/object") == "chat.completion.chunk",
            "a chunk has no object",
        );
        ids.insert(text(&event.data, "/id").to_owned());
        faults.unless(event.data["choices"].is_array(), "a chunk has no choices");
        for choice in items(&event.data, "/choices") {
            let index = number(choice, "/index");
            faults.unless(
                !finished.contains(&index),
                "something follows a finish reason",
            );
            let delta = &choice["delta"];
            faults.unless(delta.is_object(), "a choice has no delta");
            let says = delta.as_object().is_some_and(|delta| !delta.is_empty());
            if says && roles.insert(index) {
                faults.unless(
                    text(delta, "/role") == "assistant",
                    "the role does not come first",
                );
            }
            for call in items(delta, "/tool_calls") {
                faults.unless(call["index"].is_u64(), "a call has no index");
                let next = calls.entry(index).or_default();
                let at = number(call, "/index");
                if at == *next {
                    *next += 1;
                    let place = if text(call, "/type") == "custom" {
                        "/custom/name"
                    } else {
                        "/function/name"
                    };
                    let whole = !text(call, "/id").is_empty() && !text(call, place).is_empty();
                    faults.unless(whole, "a call does not begin with id and name");
                } else {
                    faults.unless(at < *next, "a call skips an index");
                }
            }
            if choice["finish_reason"].is_string() {
                finished.insert(index);
            }
        }
    }
    faults.unless(ids.len() <= 1 && !ids.contains(""), format!("ids: {ids:?}"));
    if !failed {
        faults.unless(!finished.is_empty(), "no finish reason");
        faults.unless(done, "no [DONE]");
    }
}

fn anthropic(events: &[Event], faults: &mut Faults) {
    let mut open: Option<(u64, String)> = None;
    let mut next = 0;
    let (mut started, mut delta, mut stopped, mut failed) = (false, false, false, false);
    for event in events {
        let data = &event.data;
        let kind = kind(event);
        faults.unless(
            event.name.as_deref() == Some(kind),
            format!("event {:?} is a {kind}", event.name),
        );
        faults.unless(!stopped, "something follows message_stop");
        if kind == "ping" {
            continue;
        }
        if kind == "error" {
            failed = true;
            continue;
        }
        faults.unless(
            started || kind == "message_start",
            "message_start does not come first",
        );
        let index = number(data, "/index");
        match kind {
            "message_start" => {
                faults.unless(!started, "a second message_start");
                started = true;
                faults.unless(
                    data["message"]["content"] == serde_json::json!([]),
                    "message_start has content",
                );
                faults.unless(
                    data["message"]["usage"].is_object(),
                    "message_start has no usage",
                );
            }
            "content_block_start" => {
                faults.unless(open.is_none(), "a block begins in another one");
                faults.unless(index == next, "blocks are not numbered 0, 1, 2");
                next += 1;
                let block = &data["content_block"];
                let own = text(block, "/type").to_owned();
                if own == "tool_use" {
                    faults.unless(
                        block["input"] == serde_json::json!({}),
                        "a tool_use begins with its input",
                    );
                    faults.unless(!text(block, "/id").is_empty(), "a tool_use has no id");
                }
                open = Some((index, own));
            }
            "content_block_delta" => {
                let fits = match text(data, "/delta/type") {
                    "text_delta" | "citations_delta" => "text",
                    "thinking_delta" | "signature_delta" => "thinking",
                    "input_json_delta" => "tool_use",
                    _ => "",
                };
                let fits = open
                    .as_ref()
                    .is_some_and(|(at, own)| *at == index && own.ends_with(fits));
                faults.unless(
                    fits,
                    format!("a delta {} does not fit {open:?}", data["delta"]["type"]),
                );
            }
            "content_block_stop" => {
                let own = open.take();
                faults.unless(
                    own.is_some_and(|(at, _)| at == index),
                    "a stop of a block that is not open",
                );
            }
            "message_delta" => {
                delta = true;
                faults.unless(
                    open.is_none(),
                    "message_delta comes before the end of a block",
                );
                faults.unless(
                    data["usage"]["output_tokens"].is_u64(),
                    "message_delta has no usage",
                );
            }
            "message_stop" => {
                stopped = true;
                faults.unless(delta, "message_stop without message_delta");
            }
            other => faults.unless(false, format!("no such event: {other}")),
        }
    }
    faults.unless(failed || stopped, "no message_stop");
}

/// An item of a response under way.
#[derive(Default)]
struct Item {
    id: String,
    parts: BTreeSet<u64>,
    arguments: bool,
    done: Option<Value>,
}

fn responses(events: &[Event], faults: &mut Faults) {
    let mut last = None;
    let mut open: BTreeMap<u64, Item> = BTreeMap::new();
    let (mut terminal, mut failed) = (false, false);
    for (at, event) in events.iter().enumerate() {
        let data = &event.data;
        let kind = kind(event);
        faults.unless(
            event.name.as_deref().is_none_or(|name| name == kind),
            "an event's name is not its type",
        );
        faults.unless(!terminal, "something follows the last event");
        let sequence = data["sequence_number"].as_u64();
        faults.unless(
            sequence.is_some() && sequence > last,
            format!("{kind}: sequence_number does not grow"),
        );
        last = sequence;
        let first = kind == "response.created";
        faults.unless(
            (at == 0) == first || kind == "error" || kind == "response.failed",
            "response.created does not come first",
        );
        let index = number(data, "/output_index");
        match kind {
            "response.created" | "response.in_progress" | "response.queued" => {}
            "response.output_item.added" => {
                faults.unless(index == open.len() as u64, "items are not numbered 0, 1, 2");
                let id = text(data, "/item/id").to_owned();
                faults.unless(!id.is_empty(), "an item has no id");
                open.insert(
                    index,
                    Item {
                        id,
                        ..Item::default()
                    },
                );
            }
            "response.output_item.done" => item_done(data, open.get_mut(&index), faults),
            "error" | "response.failed" => {
                failed = true;
                terminal = kind == "response.failed";
            }
            "response.completed" | "response.incomplete" => {
                terminal = true;
                faults.unless(
                    data["response"]["usage"].is_object(),
                    "the last event has no usage",
                );
                let same = items(data, "/response/output");
                let told: Vec<&Value> = open
                    .values()
                    .filter_map(|item| item.done.as_ref())
                    .collect();
                faults.unless(
                    same.iter().collect::<Vec<_>>() == told,
                    "the last event has other items",
                );
                faults.unless(told.len() == open.len(), "an item is not done");
            }
            _ => inside(kind, data, open.get_mut(&index), faults),
        }
    }
    faults.unless(failed || terminal, "no last event");
}

fn item_done(data: &Value, item: Option<&mut Item>, faults: &mut Faults) {
    let Some(item) = item else {
        return faults.unless(false, "an item is done that was not added");
    };
    faults.unless(item.done.is_none(), "an item is done twice");
    faults.unless(text(data, "/item/id") == item.id, "an item changes its id");
    let call = text(data, "/item/type") == "function_call";
    faults.unless(
        !call || item.arguments,
        "a call is done before its arguments",
    );
    item.done = Some(data["item"].clone());
}

fn inside(kind: &str, data: &Value, item: Option<&mut Item>, faults: &mut Faults) {
    let Some(item) = item.filter(|item| item.done.is_none()) else {
        return faults.unless(false, format!("{kind} outside of an item"));
    };
    faults.unless(
        text(data, "/item_id") == item.id,
        format!("{kind} has another item_id"),
    );
    let part = number(data, "/content_index");
    match kind {
        "response.content_part.added" => {
            faults.unless(item.parts.insert(part), "a part is added twice");
        }
        _ if kind.starts_with("response.output_text.") || kind.starts_with("response.refusal.") => {
            faults.unless(
                item.parts.contains(&part),
                format!("{kind} before its part"),
            );
        }
        "response.content_part.done" => {
            faults.unless(
                item.parts.contains(&part),
                "a part is done that was not added",
            );
        }
        "response.function_call_arguments.done" => item.arguments = true,
        _ => {}
    }
}

fn gemini(events: &[Event], faults: &mut Faults) {
    let (mut ended, mut counted, mut failed) = (false, false, false);
    for event in events {
        faults.unless(event.name.is_none(), "an event has a name");
        if !event.data["error"].is_null() {
            failed = true;
            continue;
        }
        faults.unless(
            !event.bare && event.data.is_object(),
            "an event is no object in data",
        );
        let candidate = &event.data["candidates"][0];
        for part in items(candidate, "/content/parts") {
            let call = part.get("functionCall");
            faults.unless(
                call.is_none_or(|call| call["name"].is_string()),
                "a call has no name",
            );
            let whole = call
                .and_then(|call| call.get("args"))
                .is_none_or(Value::is_object);
            faults.unless(whole, "arguments are no object");
            let says = part
                .get("text")
                .is_none_or(|text| text != "" || part.get("thoughtSignature").is_some());
            faults.unless(says, "a text is empty");
        }
        ended |= candidate["finishReason"].is_string()
            || event.data["promptFeedback"]["blockReason"].is_string();
        counted |= event.data["usageMetadata"].is_object();
    }
    if !failed {
        faults.unless(ended, "no finishReason");
        faults.unless(counted, "no usageMetadata");
    }
}
