//! Streams: their events, and what a client of each dialect ends up with.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// One event of a stream.
pub struct Event {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its data as JSON, or as a text where it is none.
    pub data: Value,
    /// Whether it is JSON that stands in the stream without `data:`.
    pub bare: bool,
}

/// The events of a body.
pub fn events(body: &str) -> Vec<Event> {
    let body = body.replace("\r\n", "\n").replace('\r', "\n");
    let mut all = Vec::new();
    for block in body.split("\n\n") {
        let (mut name, mut data, mut bare) = (None, Vec::new(), Vec::new());
        for line in block.lines().filter(|line| !line.is_empty()) {
            match line.split_once(':') {
                Some(("data", value)) => data.push(value.strip_prefix(' ').unwrap_or(value)),
                Some(("event", value)) => name = Some(value.trim().to_owned()),
                Some(("" | "id" | "retry", _)) => {}
                _ => bare.push(line),
            }
        }
        let is_bare = data.is_empty() && !bare.is_empty();
        let text = if is_bare { bare } else { data }.join("\n");
        if !text.is_empty() {
            let data = serde_json::from_str(&text).unwrap_or(Value::from(text));
            all.push(Event {
                name,
                data,
                bare: is_bare,
            });
        }
    }
    all
}

/// What assertions on a stream look at.
pub fn seen(dialect: &str, events: &[Event]) -> Value {
    let types: Vec<Value> = events.iter().map(|event| kind(event).into()).collect();
    let list: Vec<Value> = events
        .iter()
        .map(|event| json!({"event": event.name, "data": event.data}))
        .collect();
    json!({"events": list, "types": types, "folded": folded(dialect, events)})
}

/// An event's type.
pub fn kind(event: &Event) -> &str {
    let own = event.data["type"]
        .as_str()
        .or_else(|| event.data["object"].as_str());
    own.or_else(|| event.data.as_str()).unwrap_or("")
}

/// What a client ends up with.
pub fn folded(dialect: &str, events: &[Event]) -> Value {
    match dialect {
        "openai" => openai(events),
        "anthropic" => anthropic(events),
        "responses" => responses(events),
        "gemini" => gemini(events),
        other => panic!("no such dialect: {other}"),
    }
}

/// A text or an empty one.
pub fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or("")
}

/// A number or 0.
pub fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or(0)
}

/// A list or an empty one.
pub fn items<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value
        .pointer(path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn keep(place: &mut Value, value: &Value) {
    if !value.is_null() {
        *place = value.clone();
    }
}

fn openai(events: &[Event]) -> Value {
    let mut out = json!({"text": "", "reasoning": "", "refusal": "", "done": false});
    let mut said: [String; 3] = Default::default();
    let mut calls: BTreeMap<u64, [String; 3]> = BTreeMap::new();
    for event in events {
        let data = &event.data;
        if data == "[DONE]" {
            out["done"] = true.into();
        }
        keep(&mut out["usage"], &data["usage"]);
        keep(&mut out["error"], &data["error"]);
        let choices = items(data, "/choices").iter();
        for choice in choices.filter(|choice| number(choice, "/index") == 0) {
            said[0] += text(choice, "/delta/content");
            let thought = ["/delta/reasoning_content", "/delta/reasoning"];
            said[1] += thought
                .map(|path| text(choice, path))
                .into_iter()
                .find(|one| !one.is_empty())
                .unwrap_or("");
            said[2] += text(choice, "/delta/refusal");
            for call in items(choice, "/delta/tool_calls") {
                let own = calls.entry(number(call, "/index")).or_default();
                own[0] += text(call, "/id");
                own[1] += text(call, "/function/name");
                own[1] += text(call, "/custom/name");
                own[2] += text(call, "/function/arguments");
                own[2] += text(call, "/custom/input");
            }
            keep(&mut out["finish_reason"], &choice["finish_reason"]);
        }
    }
    for (name, said) in ["text", "reasoning", "refusal"].into_iter().zip(said) {
        out[name] = said.into();
    }
    let calls = calls
        .into_values()
        .map(|[id, name, arguments]| json!({"id": id, "name": name, "arguments": arguments}));
    out["tool_calls"] = calls.collect();
    out
}

fn anthropic(events: &[Event]) -> Value {
    let mut out = json!({"done": false, "usage": {}});
    let mut blocks: BTreeMap<u64, (Value, String, String)> = BTreeMap::new();
    for event in events {
        let data = &event.data;
        let index = number(data, "/index");
        match kind(event) {
            "message_start" => merge(&mut out["usage"], &data["message"]["usage"]),
            "content_block_start" => {
                blocks.insert(
                    index,
                    (data["content_block"].clone(), String::new(), String::new()),
                );
            }
            "content_block_delta" => {
                if let Some((block, words, input)) = blocks.get_mut(&index) {
                    *words += text(data, "/delta/text");
                    *words += text(data, "/delta/thinking");
                    *input += text(data, "/delta/partial_json");
                    if text(data, "/delta/type") == "signature_delta" {
                        block["signature"] = data["delta"]["signature"].clone();
                    }
                }
            }
            "message_delta" => {
                merge(&mut out["usage"], &data["usage"]);
                keep(&mut out["stop_reason"], &data["delta"]["stop_reason"]);
                keep(&mut out["stop_sequence"], &data["delta"]["stop_sequence"]);
            }
            "message_stop" => out["done"] = true.into(),
            "error" => keep(&mut out["error"], &data["error"]),
            _ => {}
        }
    }
    let (mut said, mut thinking) = (String::new(), String::new());
    let (mut content, mut uses) = (Vec::new(), Vec::new());
    for (mut block, words, input) in blocks.into_values() {
        match text(&block, "/type") {
            "text" => {
                said += &words;
                block["text"] = words.into();
            }
            "thinking" => {
                thinking += &words;
                block["thinking"] = words.into();
            }
            "tool_use" => {
                // SDKs make the input of the fragments alone.
                let input = if input.is_empty() {
                    "{}".to_owned()
                } else {
                    input
                };
                block["input"] = serde_json::from_str(&input).unwrap_or(Value::from(input));
                uses.push(
                    json!({"id": block["id"], "name": block["name"], "input": block["input"]}),
                );
            }
            _ => {}
        }
        content.push(block);
    }
    out["text"] = said.into();
    out["thinking"] = thinking.into();
    out["content"] = content.into();
    out["tool_uses"] = uses.into();
    out
}

fn merge(into: &mut Value, more: &Value) {
    for (name, value) in more.as_object().into_iter().flatten() {
        into[name.as_str()] = value.clone();
    }
}

fn responses(events: &[Event]) -> Value {
    let mut out = json!({"done": false});
    let (mut said, mut reasoning) = (String::new(), String::new());
    let mut output: BTreeMap<u64, Value> = BTreeMap::new();
    for event in events {
        let data = &event.data;
        match kind(event) {
            "response.output_text.delta" => said += text(data, "/delta"),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                reasoning += text(data, "/delta");
            }
            "response.output_item.done" => {
                output.insert(number(data, "/output_index"), data["item"].clone());
            }
            "error" => out["error"] = data.clone(),
            end @ ("response.completed" | "response.incomplete" | "response.failed") => {
                out["terminal"] = end.into();
                out["done"] = (end != "response.failed").into();
                let response = &data["response"];
                keep(&mut out["status"], &response["status"]);
                keep(&mut out["usage"], &response["usage"]);
                keep(&mut out["error"], &response["error"]);
                keep(
                    &mut out["incomplete_reason"],
                    &response["incomplete_details"]["reason"],
                );
            }
            _ => {}
        }
    }
    let calls = output.values().filter_map(|item| match text(item, "/type") {
        "function_call" => Some(json!({"call_id": item["call_id"], "name": item["name"], "arguments": item["arguments"]})),
        "custom_tool_call" => Some(json!({"call_id": item["call_id"], "name": item["name"], "arguments": item["input"]})),
        _ => None,
    });
    out["calls"] = calls.collect();
    out["output"] = output.into_values().collect();
    out["text"] = said.into();
    out["reasoning"] = reasoning.into();
    out
}

fn gemini(events: &[Event]) -> Value {
    let mut out = json!({"done": false});
    let (mut said, mut thoughts, mut calls) = (String::new(), String::new(), Vec::new());
    for event in events {
        let data = &event.data;
        keep(&mut out["usage"], &data["usageMetadata"]);
        keep(&mut out["error"], &data["error"]);
        keep(
            &mut out["block_reason"],
            &data["promptFeedback"]["blockReason"],
        );
        let candidate = &data["candidates"][0];
        keep(&mut out["finish_reason"], &candidate["finishReason"]);
        for part in items(candidate, "/content/parts") {
            let place = if part["thought"] == true {
                &mut thoughts
            } else {
                &mut said
            };
            *place += text(part, "/text");
            if let Some(call) = part.get("functionCall") {
                calls.push(call.clone());
            }
        }
    }
    let ended = !out["finish_reason"].is_null() || !out["block_reason"].is_null();
    out["done"] = (ended && out["error"].is_null()).into();
    out["text"] = said.into();
    out["thoughts"] = thoughts.into();
    out["calls"] = calls.into();
    out
}
