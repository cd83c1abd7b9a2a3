//! How the blocks of a conversation are written: the Messages API has one form, Bedrock's Converse, which is made after
//! it, another. Turns and parameters are made to fit in the same way for both.

use std::fmt;

use serde_json::{Value, json};

use super::part::{THINKING, encode_part};
use crate::wire::ir::ContentPart;
use crate::wire::ir::fields::Encoder;

/// A form of blocks.
pub(in crate::wire) trait Blocks: fmt::Debug {
    /// The blocks that say a part; none where there is no place for it, which `encoder` notes.
    fn part(&mut self, encoder: &mut Encoder, path: &str, part: ContentPart) -> Vec<Value>;

    /// Words. They stand in the field `text`.
    fn text(&self, text: &str) -> Value;

    /// What stands for the result of a call, by its id, of which the caller does not tell.
    fn no_result(&self, id: &str, words: &str) -> Value;

    /// Whether a block is a thought.
    fn is_thought(&self, block: &Value) -> bool;
}

/// Those of the Messages API.
#[derive(Debug)]
pub(super) struct MessageBlocks;

impl Blocks for MessageBlocks {
    fn part(&mut self, encoder: &mut Encoder, path: &str, part: ContentPart) -> Vec<Value> {
        encode_part(encoder, path, part).into_iter().collect()
    }

    fn text(&self, text: &str) -> Value {
        json!({"type": "text", "text": text})
    }

    fn no_result(&self, id: &str, words: &str) -> Value {
        json!({"type": "tool_result", "tool_use_id": id, "content": words, "is_error": true})
    }

    fn is_thought(&self, block: &Value) -> bool {
        let kind = block.get("type").and_then(Value::as_str);
        matches!(kind, Some(THINKING | "redacted_thinking"))
    }
}
