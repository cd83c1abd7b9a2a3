//! Streamed answers, read event by event.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::exception::Exception;
use super::answer::{OWN, decode_citation, decode_stop, decode_usage, served, signed_by};
use super::words::REASONING;
use crate::domain::error_code;
use crate::wire::anthropic::ir::is_answer;
use crate::wire::dialect::EventDecoder;
use crate::wire::ir::fields::{count, text};
use crate::wire::ir::{
    ChatError, ChatRole, ContentDelta, Extra, ReasoningPart, StopReason, StreamItem, ToolCallKind,
    telling_field,
};
use crate::wire::sse::RawEvent;

/// Reads one streamed answer. Events may come in any order, and those that nobody knows say nothing.
#[derive(Debug, Default)]
pub(in crate::wire::bedrock) struct ConverseEvents {
    blocks: BTreeMap<u64, Block>,
    /// Calls so far: other dialects count them apart.
    calls: u64,
    /// Whether a call of the tool that stands for the form of the answer was the answer.
    answered: bool,
}

/// A call that was begun; other blocks need no beginning.
#[derive(Debug)]
enum Block {
    /// By its number, and whether arguments came.
    Call(u64, bool),
    /// The answer in the form of a call.
    Answer,
    /// One that Bedrock runs itself.
    Theirs,
}

impl EventDecoder for ConverseEvents {
    fn event(&mut self, event: &RawEvent) -> Vec<StreamItem> {
        let Ok(Value::Object(fields)) = serde_json::from_slice(&event.data()) else {
            return Vec::new();
        };
        fields
            .into_iter()
            .flat_map(|(kind, value)| match value {
                Value::Object(fields) => self.one(&kind, fields),
                _ => Vec::new(),
            })
            .collect()
    }
}

impl ConverseEvents {
    fn one(&mut self, kind: &str, mut fields: Extra) -> Vec<StreamItem> {
        let index = count(&mut fields, "contentBlockIndex").unwrap_or(0);
        let said = match kind {
            "messageStart" => Some(ContentDelta::Role(ChatRole::Assistant)),
            "contentBlockStart" => self.begin(index, inner(&mut fields, "start")),
            "contentBlockDelta" => return self.add(index, inner(&mut fields, "delta")),
            "contentBlockStop" => self.close(index),
            "messageStop" => return self.stop(fields),
            "metadata" => {
                let usage = decode_usage(&mut fields).map(StreamItem::Usage);
                let tier = served(&mut fields).map(StreamItem::ServiceTier);
                fields.retain(|name, _| !OWN.contains(&name.as_str()));
                let more = (!fields.is_empty()).then_some(StreamItem::Head {
                    id: None,
                    model: None,
                    created: None,
                    extra: fields,
                });
                let items = usage.into_iter().chain(tier).chain(more);
                return items.chain([StreamItem::End]).collect();
            }
            "exception" => return vec![StreamItem::Error(error(fields))],
            // One that is yet to come.
            _ => Some(ContentDelta::Unknown {
                field: kind.to_owned(),
                value: Value::Object(fields),
            }),
        };
        said.map(delta).into_iter().collect()
    }

    fn begin(&mut self, index: u64, mut start: Extra) -> Option<ContentDelta> {
        let Some(Value::Object(mut call)) = start.remove("toolUse") else {
            return (!start.is_empty()).then(|| unknown(start));
        };
        if call.contains_key("type") {
            self.blocks.insert(index, Block::Theirs);
            start.insert("toolUse".to_owned(), Value::Object(call));
            return Some(unknown(start));
        }
        let name = text(&mut call, "name").unwrap_or_default();
        if is_answer(&name) {
            self.answered = true;
            self.blocks.insert(index, Block::Answer);
            return None;
        }
        let number = self.calls;
        self.calls += 1;
        self.blocks.insert(index, Block::Call(number, false));
        Some(ContentDelta::ToolCall {
            index: number,
            id: text(&mut call, "toolUseId"),
            name: Some(name),
            arguments: None,
            kind: ToolCallKind::Function,
            signature: None,
            extra: Extra::new(),
        })
    }

    fn add(&mut self, index: u64, mut fields: Extra) -> Vec<StreamItem> {
        let mut said = Vec::new();
        said.extend(filled(&mut fields, "text").map(ContentDelta::Text));
        if let Some(Value::Object(mut call)) = fields.remove("toolUse") {
            let piece = filled(&mut call, "input");
            said.extend(piece.and_then(|piece| self.argue(index, piece)));
        }
        if let Some(Value::Object(thought)) = fields.remove(REASONING) {
            said.extend(think(thought));
        }
        let citation = fields.remove("citation").and_then(decode_citation);
        said.extend(citation.map(ContentDelta::Citation));
        if !fields.is_empty() {
            said.push(unknown(fields));
        }
        said.into_iter().map(delta).collect()
    }

    /// More of the arguments of a call.
    fn argue(&mut self, index: u64, piece: String) -> Option<ContentDelta> {
        match self.blocks.get_mut(&index)? {
            Block::Call(number, told) => {
                *told = true;
                Some(arguments(*number, piece))
            }
            Block::Answer => Some(ContentDelta::Text(piece)),
            Block::Theirs => None,
        }
    }

    /// The end of a block: of a call without arguments, that there are none.
    fn close(&mut self, index: u64) -> Option<ContentDelta> {
        match self.blocks.remove(&index)? {
            Block::Call(number, false) => Some(arguments(number, "{}".to_owned())),
            _ => None,
        }
    }

    fn stop(&self, mut fields: Extra) -> Vec<StreamItem> {
        let reason = decode_stop(&mut fields).map(|reason| match reason {
            StopReason::ToolCalls if self.answered && self.calls == 0 => StopReason::EndTurn,
            reason => reason,
        });
        let reason = reason.map(|reason| StreamItem::Stop {
            candidate: 0,
            reason,
        });
        let extra = (!fields.is_empty()).then_some(StreamItem::CandidateExtra {
            candidate: 0,
            extra: fields,
        });
        extra.into_iter().chain(reason).collect()
    }
}

fn delta(delta: ContentDelta) -> StreamItem {
    StreamItem::Delta {
        candidate: 0,
        delta,
    }
}

/// A text with something in it.
fn filled(fields: &mut Extra, name: &str) -> Option<String> {
    text(fields, name).filter(|text| !text.is_empty())
}

fn inner(fields: &mut Extra, name: &str) -> Extra {
    match fields.remove(name) {
        Some(Value::Object(inner)) => inner,
        _ => Extra::new(),
    }
}

fn unknown(fields: Extra) -> ContentDelta {
    ContentDelta::Unknown {
        field: telling_field(&fields).unwrap_or("content").to_owned(),
        value: Value::Object(fields),
    }
}

fn arguments(index: u64, piece: String) -> ContentDelta {
    ContentDelta::ToolCall {
        index,
        id: None,
        name: None,
        arguments: Some(piece),
        kind: ToolCallKind::Function,
        signature: None,
        extra: Extra::new(),
    }
}

/// A piece of a thought: words, its signature, or what only its maker can read.
fn think(mut thought: Extra) -> Option<ContentDelta> {
    let signature = filled(&mut thought, "signature");
    let encrypted = filled(&mut thought, "redactedContent");
    let words = filled(&mut thought, "text");
    if signature.is_none() && encrypted.is_none() && words.is_none() {
        return None;
    }
    let signed = signature.is_some() || encrypted.is_some();
    Some(ContentDelta::Reasoning(ReasoningPart {
        text: words,
        // Words come before it is known whether they will be signed.
        maker: signed.then(|| signed_by(true).into()),
        signature,
        encrypted,
        field: REASONING,
        ..ReasoningPart::default()
    }))
}

fn error(fields: Extra) -> ChatError {
    let read = Exception::read(&Value::Object(fields).to_string());
    let status = read.status();
    ChatError {
        message: read.message,
        kind: error_code::kind_of(status.unwrap_or(500)).to_owned(),
        code: (!read.name.is_empty()).then_some(read.name),
        param: None,
        status,
    }
}
