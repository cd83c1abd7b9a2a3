//! Whole answers as chunks, reasoning in front of the text.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::wire::pieces::{ReplayOptions, pieces};
use crate::wire::sse::data_event;

/// Where thoughts are told.
const THOUGHTS: [&str; 3] = ["reasoning_content", "reasoning", "reasoning_details"];

/// The chunks of a chat completion.
pub(super) fn chat(answer: Value, options: ReplayOptions) -> Option<Vec<Bytes>> {
    let mut told = ToldChunks::new(answer, "chat.completion.chunk")?;
    for choice in std::mem::take(&mut told.choices) {
        let Value::Object(mut choice) = choice else {
            return None;
        };
        let index = choice.remove("index").unwrap_or_else(|| 0.into());
        let Some(Value::Object(mut message)) = choice.remove("message") else {
            return None;
        };
        let reason = choice.remove("finish_reason");
        let mut logprobs = choice.remove("logprobs");
        let mut say = |delta: Value, logprobs: Option<Value>| {
            let mut choice = Map::new();
            choice.insert("index".to_owned(), index.clone());
            choice.insert("delta".to_owned(), delta);
            choice.insert("logprobs".to_owned(), logprobs.unwrap_or_default());
            choice.insert("finish_reason".to_owned(), Value::Null);
            told.chunk(json!([choice]), None);
        };
        let role = message.remove("role").unwrap_or_else(|| "assistant".into());
        let content = message.remove("content").unwrap_or_default();
        let begins = match &content {
            Value::Null => Value::Null,
            _ => "".into(),
        };
        say(json!({"role": role, "content": begins}), None);
        for name in THOUGHTS {
            match message.remove(name) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) => {
                    for piece in pieces(&text, options.piece) {
                        say(json!({name: piece}), None);
                    }
                }
                Some(other) => say(json!({name: other}), None),
            }
        }
        match content {
            Value::Null => {}
            Value::String(text) if text.is_empty() && logprobs.is_none() => {}
            Value::String(text) => {
                for piece in pieces(&text, options.piece) {
                    say(json!({"content": piece}), logprobs.take());
                }
            }
            other => say(json!({"content": other}), logprobs.take()),
        }
        if let Some(Value::Array(calls)) = message.remove("tool_calls") {
            for (place, mut call) in calls.into_iter().enumerate() {
                if let Value::Object(call) = &mut call {
                    call.shift_insert(0, "index".to_owned(), place.into());
                }
                say(json!({"tool_calls": [call]}), None);
            }
        }
        message.retain(|_, value| !value.is_null());
        if !message.is_empty() {
            say(Value::Object(message), None);
        }
        let mut last = Map::new();
        last.insert("index".to_owned(), index.clone());
        last.insert("delta".to_owned(), json!({}));
        last.insert("logprobs".to_owned(), logprobs.unwrap_or_default());
        last.insert("finish_reason".to_owned(), reason.unwrap_or_default());
        last.extend(choice);
        told.chunk(json!([last]), None);
    }
    Some(told.end(options))
}

/// The chunks of a text completion.
pub(super) fn completion(answer: Value, options: ReplayOptions) -> Option<Vec<Bytes>> {
    let mut told = ToldChunks::new(answer, "text_completion")?;
    for choice in std::mem::take(&mut told.choices) {
        let Value::Object(mut choice) = choice else {
            return None;
        };
        let Some(Value::String(text)) = choice.remove("text") else {
            return None;
        };
        let index = choice.remove("index").unwrap_or_else(|| 0.into());
        let reason = choice.remove("finish_reason");
        let mut rest = Some(choice);
        for piece in pieces(&text, options.piece) {
            let mut choice = Map::new();
            choice.insert("text".to_owned(), piece.into());
            choice.insert("index".to_owned(), index.clone());
            choice.insert("finish_reason".to_owned(), Value::Null);
            choice.extend(rest.take().unwrap_or_default());
            told.chunk(json!([choice]), None);
        }
        let last = json!([{"text": "", "index": index, "finish_reason": reason}]);
        told.chunk(last, None);
    }
    Some(told.end(options))
}

/// Chunks so far, and what each of them says.
struct ToldChunks {
    head: Map<String, Value>,
    choices: Vec<Value>,
    usage: Option<Value>,
    out: Vec<Bytes>,
}

impl ToldChunks {
    fn new(answer: Value, object: &str) -> Option<Self> {
        let Value::Object(mut head) = answer else {
            return None;
        };
        let Some(Value::Array(choices)) = head.remove("choices") else {
            return None;
        };
        let usage = head.remove("usage").filter(|usage| !usage.is_null());
        head.insert("object".to_owned(), object.into());
        Some(Self {
            head,
            choices,
            usage,
            out: Vec::new(),
        })
    }

    fn chunk(&mut self, choices: Value, usage: Option<Value>) {
        let mut chunk = self.head.clone();
        chunk.insert("choices".to_owned(), choices);
        if let Some(usage) = usage {
            chunk.insert("usage".to_owned(), usage);
        }
        let chunk = Value::Object(chunk).to_string();
        self.out.push(data_event(chunk.as_bytes()));
    }

    fn end(mut self, options: ReplayOptions) -> Vec<Bytes> {
        if let Some(usage) = self.usage.take().filter(|_| options.usage) {
            self.chunk(json!([]), Some(usage));
        }
        self.out.push(data_event(b"[DONE]"));
        self.out
    }
}
