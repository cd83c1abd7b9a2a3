//! Streamed answers, read line by line.

use serde_json::Value;

use super::answer::{
    THINKING, decode_call, decode_stop, decode_usage, filled, images, message_of, thought,
    without_own,
};
use crate::domain::error_code;
use crate::wire::dialect::EventDecoder;
use crate::wire::ir::fields::{count, flag, list, take, text};
use crate::wire::ir::{
    ChatError, ContentDelta, Extra, PartBody, StreamItem, TokenLogprob, ToolCall, ToolCallKind,
    logprobs,
};
use crate::wire::json;
use crate::wire::sse::RawEvent;

/// Reads one streamed answer: each line has what came since the last one.
#[derive(Debug, Default)]
pub(in crate::wire::ollama) struct LineDecoder {
    /// Calls so far.
    calls: u64,
    /// Whether it was told who answers.
    told: bool,
}

impl EventDecoder for LineDecoder {
    fn event(&mut self, event: &RawEvent) -> Vec<StreamItem> {
        let data = event.data();
        match json::whole_object(&data) {
            Some(fields) => self.line(fields),
            None => Vec::new(),
        }
    }
}

impl LineDecoder {
    fn line(&mut self, mut fields: Extra) -> Vec<StreamItem> {
        if let Some(error) = error(&mut fields) {
            return vec![StreamItem::Error(error)];
        }
        let mut items = Vec::new();
        let model = text(&mut fields, "model");
        if !self.told && model.is_some() {
            self.told = true;
            items.push(StreamItem::Head {
                id: None,
                model,
                created: None,
                extra: Extra::new(),
            });
        }
        let message = message_of(&mut fields);
        let said = message.map(|message| self.message(message));
        let said = said.unwrap_or_default();
        // In front of the words that they are of.
        let tokens = take(&mut fields, "logprobs", logprobs::read);
        items.extend(tokens.map(|tokens| delta(weighed(tokens, &said))));
        items.extend(said.into_iter().map(delta));
        let done = flag(&mut fields, "done") == Some(true);
        let usage = decode_usage(&mut fields);
        let reason = done.then(|| decode_stop(&mut fields, self.calls > 0));
        without_own(&mut fields);
        if !fields.is_empty() {
            items.push(StreamItem::CandidateExtra {
                candidate: 0,
                extra: fields,
            });
        }
        items.extend(reason.map(|reason| StreamItem::Stop {
            candidate: 0,
            reason,
        }));
        items.extend(usage.map(StreamItem::Usage));
        items.extend(done.then_some(StreamItem::End));
        items
    }

    /// What is new of the message.
    fn message(&mut self, mut message: Extra) -> Vec<ContentDelta> {
        let mut said = Vec::new();
        let words = filled(&mut message, THINKING);
        said.extend(words.map(|words| ContentDelta::Reasoning(thought(words))));
        said.extend(filled(&mut message, "content").map(ContentDelta::Text));
        said.extend(images(&mut message).map(|image| match image {
            PartBody::Unknown { field, value } => ContentDelta::Unknown {
                field: field.to_owned(),
                value,
            },
            image => ContentDelta::Media(image),
        }));
        let calls = list(&mut message, "tool_calls").unwrap_or_default();
        for value in calls {
            said.push(match decode_call(value) {
                Ok(call) => self.call(call),
                Err(value) => ContentDelta::Unknown {
                    field: "tool_calls".to_owned(),
                    value,
                },
            });
        }
        said.extend(
            message
                .into_iter()
                .filter(|(_, value)| says(value))
                .map(|(field, value)| ContentDelta::Unknown { field, value }),
        );
        said
    }

    /// A call, which comes whole.
    fn call(&mut self, call: ToolCall) -> ContentDelta {
        let index = self.calls;
        self.calls += 1;
        ContentDelta::ToolCall {
            index,
            id: call.id,
            name: Some(call.name),
            arguments: Some(call.arguments),
            kind: ToolCallKind::Function,
            signature: None,
            extra: Extra::new(),
        }
    }
}

/// How probable the tokens of a line are: of one that has nothing but thoughts they are of no words of the answer.
fn weighed(tokens: Vec<TokenLogprob>, said: &[ContentDelta]) -> ContentDelta {
    let thinks = |said: &ContentDelta| matches!(said, ContentDelta::Reasoning(_));
    match !said.is_empty() && said.iter().all(thinks) {
        true => ContentDelta::Unknown {
            field: "logprobs".to_owned(),
            value: Value::Null,
        },
        false => ContentDelta::Logprobs(tokens),
    }
}

fn delta(delta: ContentDelta) -> StreamItem {
    StreamItem::Delta {
        candidate: 0,
        delta,
    }
}

/// Whether there is something in a field that nobody knows.
fn says(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// The failure that a line tells, if it does.
fn error(fields: &mut Extra) -> Option<ChatError> {
    let error = fields.remove("error").filter(says)?;
    let message = match error {
        Value::String(words) => words,
        Value::Object(mut inner) => text(&mut inner, "message").unwrap_or_default(),
        other => other.to_string(),
    };
    let status = count(fields, "status_code").or_else(|| count(fields, "status"));
    let status = status.and_then(|status| u16::try_from(status).ok());
    Some(ChatError {
        message,
        kind: error_code::kind_of(status.unwrap_or(500)).to_owned(),
        code: None,
        param: None,
        status,
    })
}
