//! Blocks of content.

use serde_json::{Value, json};

use super::super::model::ConverseRules;
use super::media::{self, DocumentNames};
use super::words::{REASONING, UNKNOWN};
use crate::wire::anthropic;
use crate::wire::anthropic::ir::{Blocks, input_of, says};
use crate::wire::ir::fields::Encoder;
use crate::wire::ir::{CacheMark, ContentPart, PartBody, ReasoningPart, ToolResult};

/// What a tool answered that answered nothing: no block may be empty.
const NOTHING: &str = "(no output)";

/// Those of Converse, for a model with these rules.
#[derive(Debug)]
pub(super) struct ConverseBlocks {
    rules: ConverseRules,
    names: DocumentNames,
}

impl ConverseBlocks {
    pub(super) fn new(rules: ConverseRules) -> Self {
        Self {
            rules,
            names: DocumentNames::default(),
        }
    }

    /// The block of a part; `None` where it has no place.
    fn block(&mut self, encoder: &mut Encoder, path: &str, body: PartBody) -> Option<Value> {
        let word = body.word().to_owned();
        let lost = |encoder: &mut Encoder, why| {
            encoder.lose_part(path, &word, why);
            None
        };
        match body {
            PartBody::Text { text, citations } => {
                if !citations.is_empty() {
                    encoder.lose(format!("{path}.citations"), UNKNOWN);
                }
                Some(self.text(&text))
            }
            PartBody::Refusal(text) => Some(self.text(&text)),
            PartBody::Image { source, detail } => {
                if detail.is_some_and(|detail| detail != "auto") {
                    encoder.lose(format!("{path}.detail"), UNKNOWN);
                }
                media::image(&source).map_or_else(|why| lost(encoder, why), Some)
            }
            PartBody::Audio { data, format } => {
                let block = media::audio(&data, &format);
                block.or_else(|| lost(encoder, "Converse does not know the form of the sound"))
            }
            PartBody::Document { source, name } => {
                let block = self.names.document(&source, name.as_deref());
                block.map_or_else(|why| lost(encoder, why), Some)
            }
            PartBody::ToolCall(call) => {
                if call.signature.is_some() {
                    encoder.lose(format!("{path}.signature"), "only its maker can read it");
                }
                let input = input_of(call.kind, &call.arguments);
                let id = call.id.unwrap_or_default();
                Some(json!({"toolUse": {"toolUseId": id, "name": call.name, "input": input}}))
            }
            PartBody::ToolResult(result) => Some(self.result(encoder, path, result)),
            PartBody::Reasoning(thought) => {
                let block = self.thought(thought);
                block.or_else(|| lost(encoder, "a thought goes back to its maker only"))
            }
            PartBody::Unknown { .. } => lost(encoder, UNKNOWN),
        }
    }

    fn result(&mut self, encoder: &mut Encoder, path: &str, result: ToolResult) -> Value {
        let mut content = Vec::new();
        for (at, part) in result.content.into_iter().filter(says).enumerate() {
            let path = format!("{path}.content[{at}]");
            if part.cache.is_some() {
                encoder.lose(format!("{path}.cache_control"), UNKNOWN);
            }
            let _ = encoder.begin(&path, part.extra);
            let fits = matches!(
                part.body,
                PartBody::Text { .. }
                    | PartBody::Refusal(_)
                    | PartBody::Image { .. }
                    | PartBody::Document { .. }
            );
            match fits {
                true => content.extend(self.block(encoder, &path, part.body)),
                false => encoder.lose_part(
                    &path,
                    part.body.word(),
                    "a result has texts, images and documents",
                ),
            }
        }
        if content.is_empty() {
            content.push(self.text(NOTHING));
        }
        let mut block = json!({"toolUseId": result.call_id, "content": content});
        if result.is_error == Some(true) && self.rules.tells_failures {
            block["status"] = json!("error");
        }
        json!({"toolResult": block})
    }

    /// A thought that Claude signed; one of another maker would make it refuse the whole request.
    fn thought(&self, thought: ReasoningPart) -> Option<Value> {
        if !self.rules.keeps_thoughts {
            return None;
        }
        let known = thought.maker.as_deref().map(|maker| maker == anthropic::ID);
        let signature = thought.signature.filter(|signature| !signature.is_empty());
        match (thought.encrypted, signature) {
            (Some(data), _) if known == Some(true) => {
                Some(json!({REASONING: {"redactedContent": data}}))
            }
            // Of makers that are not told only Claude's signs thoughts in words.
            (None, Some(signature)) if known.unwrap_or(true) => {
                let words =
                    json!({"text": thought.text.unwrap_or_default(), "signature": signature});
                Some(json!({REASONING: {"reasoningText": words}}))
            }
            _ => None,
        }
    }
}

/// Where the part of a prompt ends that is to be cached. Five minutes is what is meant without a word.
pub(super) fn cache_point(mark: &CacheMark) -> Value {
    match mark.ttl.as_deref() {
        Some("1h") => json!({"cachePoint": {"type": "default", "ttl": "1h"}}),
        _ => json!({"cachePoint": {"type": "default"}}),
    }
}

impl Blocks for ConverseBlocks {
    fn part(&mut self, encoder: &mut Encoder, path: &str, part: ContentPart) -> Vec<Value> {
        let ContentPart { body, cache, extra } = part;
        if !matches!(body, PartBody::Reasoning(_)) {
            // What stands beside a thought tells of its maker.
            let _ = encoder.begin(path, extra);
        }
        let Some(block) = self.block(encoder, path, body) else {
            return Vec::new();
        };
        match cache {
            None => vec![block],
            Some(mark) if self.rules.caches => vec![block, cache_point(&mark)],
            Some(_) => {
                encoder.lose(format!("{path}.cache_control"), "the model has no cache");
                vec![block]
            }
        }
    }

    fn text(&self, text: &str) -> Value {
        json!({"text": text})
    }

    fn no_result(&self, id: &str, words: &str) -> Value {
        json!({"toolResult": {"toolUseId": id, "content": [self.text(words)]}})
    }

    fn is_thought(&self, block: &Value) -> bool {
        block.get(REASONING).is_some()
    }
}
