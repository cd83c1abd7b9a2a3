//! Streams of messages, read event by event.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::answer::{begun_call, decode_stop, decode_usage, explanation, streamed_citation};
use super::part::{THINKING, decode_citations, is_answer};
use crate::wire::dialect::EventDecoder;
use crate::wire::ir::fields::{count, put, text};
use crate::wire::ir::{
    ChatError, ChatRole, ContentDelta, Extra, ReasoningPart, StopReason, StreamItem, ToolCallKind,
    UsageCounts,
};
use crate::wire::sse::RawEvent;

/// Reads one streamed answer. Events may come in any order, and those that nobody knows say nothing.
#[derive(Debug, Default)]
pub(in crate::wire::anthropic) struct MessageDecoder {
    blocks: BTreeMap<u64, BegunBlock>,
    /// Calls so far: other dialects count them apart.
    calls: u64,
    /// What was counted so far, as it was told.
    counts: Map<String, Value>,
    /// Whether a call of the tool that stands for the form of the answer was the answer.
    answered: bool,
}

/// A block that was begun.
#[derive(Debug)]
enum BegunBlock {
    /// A call, by its number, and whether arguments came.
    Call(u64, bool),
    /// The answer in the form of a call.
    Answer,
    /// Anything else.
    Other,
}

fn delta(delta: ContentDelta) -> StreamItem {
    StreamItem::Delta {
        candidate: 0,
        delta,
    }
}

/// A text that is not empty.
fn filled(fields: &mut Extra, name: &str) -> Option<String> {
    text(fields, name).filter(|text| !text.is_empty())
}

fn thought(part: ReasoningPart) -> ContentDelta {
    ContentDelta::Reasoning(ReasoningPart {
        maker: Some(super::super::ID.into()),
        field: THINKING,
        ..part
    })
}

fn object(fields: &mut Extra, name: &str) -> Extra {
    match fields.remove(name) {
        Some(Value::Object(inner)) => inner,
        _ => Extra::new(),
    }
}

impl EventDecoder for MessageDecoder {
    fn event(&mut self, event: &RawEvent) -> Vec<StreamItem> {
        let data = event.data();
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(&data) else {
            let ends = data.trim_ascii() == b"[DONE]";
            return ends.then_some(StreamItem::End).into_iter().collect();
        };
        let kind = text(&mut fields, "type").unwrap_or_default();
        let index = count(&mut fields, "index").unwrap_or(0);
        match kind.as_str() {
            "message_start" => self.start(object(&mut fields, "message")),
            "content_block_start" => self.begin(index, object(&mut fields, "content_block")),
            "content_block_delta" => {
                let mut said = object(&mut fields, "delta");
                let told = self.add(index, &mut said).map(delta);
                told.into_iter().chain(rest(said)).collect()
            }
            "content_block_stop" => self.close(index).map(delta).into_iter().collect(),
            "message_delta" => self.finish(fields),
            "message_stop" => vec![StreamItem::End],
            "error" => vec![StreamItem::Error(error(object(&mut fields, "error")))],
            "ping" | "" => Vec::new(),
            // One that is yet to come.
            _ => vec![delta(ContentDelta::Unknown {
                field: kind,
                value: Value::Object(fields),
            })],
        }
    }
}

/// What else an object of an event says.
fn rest(extra: Extra) -> Option<StreamItem> {
    (!extra.is_empty()).then_some(StreamItem::CandidateExtra {
        candidate: 0,
        extra,
    })
}

fn error(mut fields: Extra) -> ChatError {
    let kind = text(&mut fields, "type").unwrap_or_default();
    ChatError {
        message: text(&mut fields, "message").unwrap_or_default(),
        status: super::super::error::status_of(&kind),
        kind,
        ..ChatError::default()
    }
}

impl MessageDecoder {
    fn start(&mut self, mut message: Extra) -> Vec<StreamItem> {
        for known in ["type", "role", "content", "stop_reason", "stop_sequence"] {
            message.remove(known);
        }
        let usage = self.count(&mut message);
        let head = StreamItem::Head {
            id: text(&mut message, "id"),
            model: text(&mut message, "model"),
            created: None,
            extra: message,
        };
        let role = delta(ContentDelta::Role(ChatRole::Assistant));
        [head, role]
            .into_iter()
            .chain(usage.map(StreamItem::Usage))
            .collect()
    }

    /// Counts grow, and an event may leave out what an earlier one told: the larger one holds.
    fn count(&mut self, fields: &mut Extra) -> Option<UsageCounts> {
        let Some(Value::Object(told)) = fields.remove("usage") else {
            return None;
        };
        for (name, value) in told {
            let before = self.counts.get(&name).and_then(Value::as_u64);
            let larger = value
                .as_u64()
                .zip(before)
                .is_some_and(|(now, before)| now < before);
            if !larger && !value.is_null() {
                self.counts.insert(name, value);
            }
        }
        let mut all = Extra::new();
        put(&mut all, "usage", Some(self.counts.clone()));
        decode_usage(&mut all)
    }

    fn begin(&mut self, index: u64, mut block: Extra) -> Vec<StreamItem> {
        let kind = text(&mut block, "type").unwrap_or_default();
        let mut own = BegunBlock::Other;
        let said = match kind.as_str() {
            "text" => filled(&mut block, "text").map(ContentDelta::Text),
            THINKING => {
                let part = ReasoningPart {
                    text: filled(&mut block, THINKING),
                    signature: filled(&mut block, "signature"),
                    ..ReasoningPart::default()
                };
                let filled = part.text.is_some() || part.signature.is_some();
                filled.then(|| thought(part))
            }
            "redacted_thinking" => text(&mut block, "data").map(|data| {
                thought(ReasoningPart {
                    encrypted: Some(data),
                    ..ReasoningPart::default()
                })
            }),
            "tool_use" => self.begin_call(&mut own, &mut block),
            _ => {
                let mut block = std::mem::take(&mut block);
                put(&mut block, "type", Some(kind.as_str()));
                Some(ContentDelta::Unknown {
                    field: word_of(kind),
                    value: Value::Object(block),
                })
            }
        };
        self.blocks.insert(index, own);
        let citations = decode_citations(&mut block).into_iter();
        let citations = citations.map(ContentDelta::Citation);
        block.retain(|name, value| {
            let is_open = ["text", THINKING, "signature", "input"].contains(&name.as_str());
            !is_open && !value.is_null()
        });
        let said = said.into_iter().chain(citations).map(delta);
        said.chain(rest(block)).collect()
    }

    fn begin_call(&mut self, own: &mut BegunBlock, block: &mut Extra) -> Option<ContentDelta> {
        let call = begun_call(block)?;
        let whole = (call.arguments != "{}").then_some(call.arguments);
        if is_answer(&call.name) {
            self.answered = true;
            *own = BegunBlock::Answer;
            return whole.map(ContentDelta::Text);
        }
        let number = self.calls;
        self.calls += 1;
        *own = BegunBlock::Call(number, whole.is_some());
        Some(ContentDelta::ToolCall {
            index: number,
            id: call.id,
            name: Some(call.name),
            arguments: whole,
            kind: ToolCallKind::Function,
            signature: None,
            extra: std::mem::take(block),
        })
    }

    fn add(&mut self, index: u64, delta: &mut Extra) -> Option<ContentDelta> {
        let kind = text(delta, "type")?;
        match kind.as_str() {
            "text_delta" => filled(delta, "text").map(ContentDelta::Text),
            "thinking_delta" => filled(delta, THINKING).map(|text| {
                thought(ReasoningPart {
                    text: Some(text),
                    ..ReasoningPart::default()
                })
            }),
            "signature_delta" => filled(delta, "signature").map(|signature| {
                thought(ReasoningPart {
                    signature: Some(signature),
                    ..ReasoningPart::default()
                })
            }),
            "input_json_delta" => {
                let piece = filled(delta, "partial_json")?;
                match self.blocks.get_mut(&index)? {
                    BegunBlock::Call(number, told) => {
                        *told = true;
                        Some(arguments(*number, piece))
                    }
                    BegunBlock::Answer => Some(ContentDelta::Text(piece)),
                    BegunBlock::Other => None,
                }
            }
            "citations_delta" => streamed_citation(delta).map(ContentDelta::Citation),
            _ => Some(ContentDelta::Unknown {
                field: kind,
                value: Value::Object(std::mem::take(delta)),
            }),
        }
    }

    /// The end of a block: of a call without arguments, that there are none.
    fn close(&mut self, index: u64) -> Option<ContentDelta> {
        match self.blocks.remove(&index)? {
            BegunBlock::Call(number, false) => Some(arguments(number, "{}".to_owned())),
            _ => None,
        }
    }

    fn finish(&mut self, mut fields: Extra) -> Vec<StreamItem> {
        let usage = self.count(&mut fields);
        let mut inner = object(&mut fields, "delta");
        let refusal = explanation(&inner);
        let mut reason = decode_stop(&mut inner);
        if self.answered && self.calls == 0 && reason == Some(StopReason::ToolCalls) {
            reason = Some(StopReason::EndTurn);
        }
        let mut items = Vec::new();
        if reason == Some(StopReason::Refusal) {
            items.extend(refusal.map(ContentDelta::Refusal).map(delta));
        }
        items.extend(reason.map(|reason| StreamItem::Stop {
            candidate: 0,
            reason,
        }));
        items.extend(usage.map(StreamItem::Usage));
        // What uses a container, what a filter says, what was edited.
        inner.append(&mut fields);
        inner.retain(|_, value| !value.is_null());
        if !inner.is_empty() {
            items.push(StreamItem::Head {
                id: None,
                model: None,
                created: None,
                extra: inner,
            });
        }
        items
    }
}

/// What an unknown block is called: by its type, where it has one.
fn word_of(kind: String) -> String {
    match kind.is_empty() {
        true => "content".to_owned(),
        false => kind,
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(decoder: &mut MessageDecoder, data: &Value) -> Vec<StreamItem> {
        let raw = format!("event: x\ndata: {data}\n\n").into();
        decoder.event(&RawEvent { raw })
    }

    #[test]
    fn counts_are_merged_and_not_added() {
        let mut decoder = MessageDecoder::default();
        let start = json!({"input_tokens": 10, "cache_read_input_tokens": 100, "output_tokens": 1});
        read(
            &mut decoder,
            &json!({"type": "message_start", "message": {"usage": start}}),
        );
        let end = json!({"input_tokens": 0, "output_tokens": 20});
        let items = read(
            &mut decoder,
            &json!({"type": "message_delta", "delta": {}, "usage": end}),
        );
        let [StreamItem::Usage(counts)] = &items[..] else {
            panic!("{items:?}")
        };
        assert_eq!(
            (counts.input, counts.output, counts.cache_read),
            (Some(110), Some(20), Some(100))
        );
    }

    #[test]
    fn calls_are_counted_apart_and_one_without_arguments_has_an_object() {
        let mut decoder = MessageDecoder::default();
        let text = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
        assert!(read(&mut decoder, &text).is_empty());
        let call = json!({"type": "content_block_start", "index": 1,
            "content_block": {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}});
        let items = read(&mut decoder, &call);
        assert!(matches!(
            &items[..],
            [StreamItem::Delta {
                delta: ContentDelta::ToolCall { index: 0, .. },
                ..
            }]
        ));
        let empty = json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": ""}});
        assert!(read(&mut decoder, &empty).is_empty());
        let items = read(
            &mut decoder,
            &json!({"type": "content_block_stop", "index": 1}),
        );
        assert_eq!(items, [delta(arguments(0, "{}".to_owned()))]);
    }

    #[test]
    fn the_tool_of_the_answers_form_is_the_answer() {
        let mut decoder = MessageDecoder::default();
        let call = json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "tool_use", "id": "t", "name": "pointsman_answer", "input": {}}});
        assert!(read(&mut decoder, &call).is_empty());
        let piece = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{\"a\":1}"}});
        let items = read(&mut decoder, &piece);
        assert_eq!(items, [delta(ContentDelta::Text("{\"a\":1}".to_owned()))]);
        assert!(
            read(
                &mut decoder,
                &json!({"type": "content_block_stop", "index": 0})
            )
            .is_empty()
        );
        let end = json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}});
        let stop = StreamItem::Stop {
            candidate: 0,
            reason: StopReason::EndTurn,
        };
        assert_eq!(read(&mut decoder, &end), [stop]);
    }

    proptest! {
        #[test]
        fn nothing_panics(raw in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4),
            kinds in prop::collection::vec((0..8usize, 0..3u64, 0..5usize), 0..12)) {
            let mut decoder = MessageDecoder::default();
            for raw in raw {
                decoder.event(&RawEvent { raw: raw.into() });
            }
            let types = ["message_start", "content_block_start", "content_block_delta", "content_block_stop",
                "message_delta", "message_stop", "error", "odd"];
            let inner = [json!({"type": "text", "text": "a"}), json!({"type": "tool_use", "name": "f"}), json!(1),
                json!({"type": "input_json_delta", "partial_json": "{"}), json!({"type": "text_delta", "text": 1})];
            for (kind, index, which) in kinds {
                let inner = &inner[which];
                read(&mut decoder, &json!({"type": types[kind], "index": index, "message": inner, "delta": inner,
                    "content_block": inner, "usage": inner, "error": inner}));
            }
        }
    }
}
