//! The texts of a request and its answer, in the form of OpenTelemetry's GenAI conventions: messages of a
//! role and parts (`gen_ai.input.messages` and its relatives). Media are named, not included.
//! <https://github.com/open-telemetry/semantic-conventions-genai>

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::dialect::Operation;
use crate::wire::json;
use crate::wire::sse::RawEvent;

/// The largest size of each attribute in bytes.
const LIMIT: usize = 16 * 1024;
/// The part of one text that is included.
const LONGEST: usize = LIMIT * 3 / 4;
/// The bytes of a stream that are kept.
const MOST: usize = 64 * 1024;

/// The bodies of one request, as they came and went.
#[derive(Clone, Debug)]
pub struct RequestContent {
    /// The caller's request.
    pub request: Bytes,
    /// A whole answer, readable.
    pub answer: Option<Bytes>,
    /// The text of a streamed answer.
    pub spoken: Option<Spoken>,
}

/// The text of a stream.
#[derive(Clone, Debug, Default)]
pub struct Spoken(String);

/// The attributes of a span, each in JSON.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rendered {
    /// The messages of the request, the latest if not all have room.
    pub input: Option<String>,
    /// Those of the answer.
    pub output: Option<String>,
    /// Instructions beside the messages.
    pub instructions: Option<String>,
}

#[derive(Deserialize)]
struct ContentEvent {
    #[serde(default)]
    choices: Vec<ContentChoice>,
    #[serde(default)]
    candidates: Vec<Value>,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    delta: Value,
}

#[derive(Deserialize)]
struct ContentChoice {
    #[serde(default)]
    index: u32,
    #[serde(default)]
    delta: Value,
    #[serde(default)]
    text: Value,
}

impl Spoken {
    /// Notes an event that went out: the text of the first choice.
    pub fn note(&mut self, event: &RawEvent) {
        if self.0.len() > MOST {
            return;
        }
        let event = json::value(&event.data()).map(serde_json::from_value::<ContentEvent>);
        let Some(Ok(event)) = event else {
            return;
        };
        if event.kind == "response.output_text.delta" {
            self.0.push_str(event.delta.as_str().unwrap_or_default());
        }
        if event.kind == "content_block_delta" {
            self.0
                .push_str(event.delta["text"].as_str().unwrap_or_default());
        }
        for choice in event.choices.iter().filter(|choice| choice.index == 0) {
            let delta = choice.delta.get("content").and_then(Value::as_str);
            let text = delta.or(choice.text.as_str());
            self.0.push_str(text.unwrap_or_default());
        }
        let first = event
            .candidates
            .iter()
            .find(|one| one["index"].as_u64().unwrap_or(0) == 0);
        let parts = first.and_then(|one| one.pointer("/content/parts")?.as_array());
        for part in parts
            .into_iter()
            .flatten()
            .filter(|part| part["thought"] != true)
        {
            self.0.push_str(part["text"].as_str().unwrap_or_default());
        }
    }
}

impl RequestContent {
    /// Bytes that it keeps.
    pub fn size(&self) -> usize {
        let answer = self.answer.as_ref().map_or(0, Bytes::len);
        let spoken = self.spoken.as_ref().map_or(0, |spoken| spoken.0.len());
        self.request.len() + answer + spoken
    }

    /// Renders the attributes of a span; every text goes through `mask`.
    pub fn rendered(&self, operation: Operation, mask: &dyn Fn(&str) -> String) -> Rendered {
        let teller = ContentRenderer { mask };
        let request = json::value(&self.request).unwrap_or_default();
        let input = teller.messages(&request[operation.spec().prompt]);
        let instructions = ["instructions", "system"].map(|name| teller.parts(&request[name]));
        let mut instructions = instructions.concat();
        instructions.extend(teller.parts(&request["systemInstruction"]["parts"]));
        let output = match (&self.answer, &self.spoken) {
            (Some(answer), _) => {
                let answer = json::value(answer).unwrap_or_default();
                teller.answers(&answer)
            }
            (None, Some(Spoken(text))) if !text.is_empty() => {
                vec![json!({"role": "assistant", "parts": [teller.text("text", text)]})]
            }
            _ => Vec::new(),
        };
        Rendered {
            input: fitted(&input),
            output: fitted(&output),
            instructions: fitted(&instructions),
        }
    }
}

struct ContentRenderer<'a> {
    mask: &'a dyn Fn(&str) -> String,
}

impl ContentRenderer<'_> {
    fn text(&self, kind: &str, text: &str) -> Value {
        json!({"type": kind, "content": self.masked(text)})
    }

    /// Masked, then cut: nothing that was to be masked is cut in two.
    fn masked(&self, text: &str) -> String {
        let mut text = (self.mask)(text);
        if text.len() > LONGEST {
            text.truncate(text.floor_char_boundary(LONGEST));
            text.push('…');
        }
        text
    }

    fn messages(&self, all: &Value) -> Vec<Value> {
        match all {
            Value::Array(items) => items.iter().map(|item| self.message(item)).collect(),
            Value::String(text) => {
                vec![json!({"role": "user", "parts": [self.text("text", text)]})]
            }
            _ => Vec::new(),
        }
    }

    /// A content of Gemini's API.
    fn content(&self, item: &Value) -> Value {
        let role = match item["role"].as_str() {
            Some("model") => "assistant",
            _ => "user",
        };
        let parts = item["parts"].as_array().into_iter().flatten();
        let parts: Vec<Value> = parts.map(|part| self.gemini_part(part)).collect();
        json!({"role": role, "parts": parts})
    }

    fn gemini_part(&self, part: &Value) -> Value {
        let (call, result) = (&part["functionCall"], &part["functionResponse"]);
        let field = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        match part["text"].as_str() {
            Some(text) if part["thought"] == true => self.text("reasoning", text),
            Some(text) => self.text("text", text),
            None if call.is_object() => {
                let arguments = call["args"].to_string();
                self.call(&field(call, "id"), &field(call, "name"), &arguments)
            }
            None if result.is_object() => {
                self.result(&field(result, "id"), &result["response"].to_string())
            }
            None => json!({"type": named(&field(&part["inlineData"], "mimeType"))}),
        }
    }

    fn message(&self, item: &Value) -> Value {
        if item["parts"].is_array() {
            return self.content(item);
        }
        let field = |name: &str| item[name].as_str().unwrap_or_default();
        let Some(role) = item["role"].as_str() else {
            return match (field("type"), item) {
                (_, Value::String(text)) => {
                    json!({"role": "user", "parts": [self.text("text", text)]})
                }
                ("function_call", _) => {
                    let call = self.call(field("call_id"), field("name"), field("arguments"));
                    json!({"role": "assistant", "parts": [call]})
                }
                ("function_call_output", _) => {
                    let part = self.result(field("call_id"), field("output"));
                    json!({"role": "tool", "parts": [part]})
                }
                (kind, _) => json!({"role": "user", "parts": [{"type": named(kind)}]}),
            };
        };
        let mut parts = Vec::new();
        for name in ["reasoning_content", "reasoning"] {
            let reasoning = item[name].as_str().filter(|text| !text.is_empty());
            parts.extend(reasoning.map(|text| self.text("reasoning", text)));
        }
        match role {
            "tool" => {
                let texts = self.parts(&item["content"]);
                let texts = texts.iter().filter_map(|part| part["content"].as_str());
                let text = texts.collect::<Vec<_>>().join("\n");
                // It is masked already.
                let id = field("tool_call_id");
                parts.push(json!({"type": "tool_call_response", "id": id, "response": text}));
            }
            _ => parts.extend(self.parts(&item["content"])),
        }
        for call in item["tool_calls"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let function = &call["function"];
            parts.push(self.call(
                &text(&call["id"]),
                &text(&function["name"]),
                &text(&function["arguments"]),
            ));
        }
        json!({"role": role, "parts": parts})
    }

    fn call(&self, id: &str, name: &str, arguments: &str) -> Value {
        let arguments = self.masked(arguments);
        json!({"type": "tool_call", "id": id, "name": name, "arguments": arguments})
    }

    fn result(&self, id: &str, text: &str) -> Value {
        json!({"type": "tool_call_response", "id": id, "response": self.masked(text)})
    }

    fn parts(&self, content: &Value) -> Vec<Value> {
        match content {
            Value::String(text) => vec![self.text("text", text)],
            Value::Array(parts) => parts.iter().map(|part| self.part(part)).collect(),
            _ => Vec::new(),
        }
    }

    fn part(&self, part: &Value) -> Value {
        match (&part["text"], part["type"].as_str()) {
            (Value::String(text), _) => self.text("text", text),
            (_, kind) => json!({"type": named(kind.unwrap_or_default())}),
        }
    }

    /// The messages of a whole answer.
    fn answers(&self, answer: &Value) -> Vec<Value> {
        let choices = answer["choices"].as_array().into_iter().flatten();
        let choices = choices.map(|choice| {
            let mut message = match &choice["text"] {
                Value::String(text) => {
                    json!({"role": "assistant", "parts": [self.text("text", text)]})
                }
                _ => self.message(&choice["message"]),
            };
            if let (Some(fields), Some(reason)) =
                (message.as_object_mut(), choice["finish_reason"].as_str())
            {
                fields.insert("finish_reason".to_owned(), reason.into());
            }
            message
        });
        let items = answer["output"].as_array().into_iter().flatten();
        let items = items.map(|item| self.message(item));
        let candidates = answer["candidates"].as_array().into_iter().flatten();
        let candidates = candidates.map(|candidate| {
            let mut message = self.content(&candidate["content"]);
            if let (Some(fields), Some(reason)) =
                (message.as_object_mut(), candidate["finishReason"].as_str())
            {
                // A candidate is the model's, whether it says so or not.
                fields.insert("role".to_owned(), "assistant".into());
                fields.insert("finish_reason".to_owned(), reason.into());
            }
            message
        });
        // A message of Anthropic's is the answer itself.
        let message = answer["content"].as_array().map(|_| self.message(answer));
        choices
            .chain(items)
            .chain(candidates)
            .chain(message)
            .collect()
    }
}

fn named(kind: &str) -> &str {
    match kind {
        "" => "unknown",
        kind => kind
            .get(..kind.floor_char_boundary(64))
            .unwrap_or("unknown"),
    }
}

/// As many of the last as have room, as a list; `None` when there are none.
fn fitted(all: &[Value]) -> Option<String> {
    let mut texts = Vec::new();
    let mut size = 2;
    for value in all.iter().rev() {
        let mut text = value.to_string();
        if texts.is_empty() && text.len() + 2 > LIMIT {
            // Alone too long, in many parts.
            text = json!({"role": value["role"], "parts": [{"type": "omitted"}]}).to_string();
        }
        size += text.len() + 1;
        if size > LIMIT {
            break;
        }
        texts.push(text);
    }
    texts.reverse();
    (!texts.is_empty()).then(|| format!("[{}]", texts.join(",")))
}

#[cfg(test)]
mod tests;
