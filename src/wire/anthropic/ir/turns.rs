//! Conversations of other dialects as turns: instructions beside them, user and assistant one after the other, every call
//! answered in the very next turn and by results that come first in it, no block of white space alone.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::model::ModelRules;
use super::blocks::Blocks;
use super::ids::CallIds;
use super::part::says;
use super::words::UNKNOWN;
use crate::wire::ir::fields::{Encoder, cache_mark};
use crate::wire::ir::{ChatMessage, ChatRole, ContentPart, PartBody, ToolResult};

/// What the user says where the API wants a turn of theirs and the caller has none.
const GO_ON: &str = "Continue.";
/// What stands before the first turn of an assistant.
const BEGIN: &str = ".";
/// What a call answered of which the caller does not tell.
const NO_RESULT: &str = "no result was given";

/// A conversation as it is written.
#[derive(Debug)]
pub(super) struct Turns<'a> {
    blocks: &'a mut dyn Blocks,
    /// The instructions beside the turns.
    system: Vec<Value>,
    /// Those that are complete.
    turns: Vec<Turn>,
    last: Option<Turn>,
    /// The names of the tools that were called.
    pub(super) called: BTreeSet<String>,
    /// Whether the turn that the last results answer has calls, and does not begin with a thought: models that think by
    /// budget refuse it.
    pub(super) unsigned_loop: bool,
    ids: CallIds,
    takes_prefill: bool,
}

/// What one side says before the other does.
#[derive(Debug, Default)]
struct Turn {
    is_assistant: bool,
    results: Vec<Value>,
    rest: Vec<Value>,
}

impl<'a> Turns<'a> {
    /// From the messages of another dialect.
    pub(super) fn new(
        blocks: &'a mut dyn Blocks,
        encoder: &mut Encoder,
        rules: &ModelRules,
        messages: Vec<ChatMessage>,
    ) -> Self {
        let mut all = Self {
            blocks,
            system: Vec::new(),
            turns: Vec::new(),
            last: None,
            called: BTreeSet::new(),
            unsigned_loop: false,
            ids: CallIds::default(),
            takes_prefill: rules.prefill,
        };
        for (at, mut message) in messages.into_iter().enumerate() {
            mark_last(&mut message);
            let path = format!("messages[{at}]");
            let extra = std::mem::take(&mut message.extra);
            let _ = encoder.begin(&path, extra);
            if message.name.is_some() && message.role != ChatRole::Tool {
                encoder.lose(format!("{path}.name"), UNKNOWN);
            }
            all.add(encoder, &path, message);
        }
        all.complete();
        all
    }

    fn add(&mut self, encoder: &mut Encoder, path: &str, message: ChatMessage) {
        let instructs = matches!(message.role, ChatRole::System | ChatRole::Developer);
        if instructs && self.last.is_none() {
            for (at, part) in message.parts.into_iter().filter(says).enumerate() {
                let path = format!("{path}.content[{at}]");
                match part.body {
                    PartBody::Text { .. } => {
                        let blocks = self.blocks.part(encoder, &path, part);
                        self.system.extend(blocks);
                    }
                    body => encoder.lose_part(&path, body.word(), "instructions are texts"),
                }
            }
            return;
        }
        let is_assistant = message.role == ChatRole::Assistant;
        let parts = match is_assistant {
            true => without_doubles(message.parts),
            false => message.parts,
        };
        for (at, part) in parts.into_iter().enumerate() {
            self.add_part(
                encoder,
                &format!("{path}.content[{at}]"),
                is_assistant,
                instructs,
                part,
            );
        }
    }

    fn add_part(
        &mut self,
        encoder: &mut Encoder,
        path: &str,
        is_assistant: bool,
        instructs: bool,
        mut part: ContentPart,
    ) {
        if !says(&part) {
            return;
        }
        match &mut part.body {
            PartBody::Text { text, .. } if instructs => {
                // Later instructions stay where they are: moved to the front they would change what is cached, and what
                // thoughts were signed with.
                *text = format!("<system>\n{text}\n</system>");
            }
            PartBody::Image { .. } | PartBody::Audio { .. } | PartBody::Document { .. }
                if is_assistant =>
            {
                let why = "the turns of the model have words and calls";
                return encoder.lose_part(path, part.body.word(), why);
            }
            PartBody::ToolCall(call) => {
                self.called.insert(call.name.clone());
                self.turn(true);
                call.id = Some(self.ids.call(call.id.as_deref()));
            }
            PartBody::ToolResult(result) => match self.ids.result(&result.call_id) {
                Some(id) => result.call_id = id,
                None => return self.add_orphan(encoder, path, result),
            },
            _ => {}
        }
        let is_result = matches!(part.body, PartBody::ToolResult(_));
        // Whoever's message it stands in: these are the model's own.
        let is_models = matches!(part.body, PartBody::ToolCall(_) | PartBody::Reasoning(_));
        let blocks = self.blocks.part(encoder, path, part);
        if blocks.is_empty() {
            return;
        }
        let turn = self.turn(is_models || (is_assistant && !is_result));
        match is_result {
            true => turn.results.extend(blocks),
            false => turn.rest.extend(blocks),
        }
    }

    /// A result of no call that waits for one: what it says is kept.
    fn add_orphan(&mut self, encoder: &mut Encoder, path: &str, result: &mut ToolResult) {
        let blocks: Vec<Value> = std::mem::take(&mut result.content)
            .into_iter()
            .filter(says)
            .flat_map(|part| self.blocks.part(encoder, path, part))
            .collect();
        self.turn(false).rest.extend(blocks);
    }

    /// The turn of that side, which goes on or begins. What ends is answered for first.
    fn turn(&mut self, is_assistant: bool) -> &mut Turn {
        if self
            .last
            .as_ref()
            .is_some_and(|turn| turn.is_assistant != is_assistant)
        {
            self.complete();
            self.turns.extend(self.last.take());
        }
        self.last.get_or_insert_with(|| Turn {
            is_assistant,
            ..Turn::default()
        })
    }

    /// Answers the calls that the last turn, the user's, leaves open.
    fn complete(&mut self) {
        let Some(turn) = self.last.as_mut().filter(|turn| !turn.is_assistant) else {
            return;
        };
        for id in self.ids.unanswered() {
            let block = self.blocks.no_result(&id, NO_RESULT);
            turn.results.push(block);
        }
        let before = self.turns.last().and_then(|turn| turn.rest.first());
        self.unsigned_loop =
            !turn.results.is_empty() && !before.is_some_and(|block| self.blocks.is_thought(block));
    }

    /// Adds an instruction beside the turns.
    pub(super) fn instruct(&mut self, words: &str) {
        let block = self.blocks.text(words);
        self.system.push(block);
    }

    /// The instructions and the messages.
    pub(super) fn finish(mut self) -> (Vec<Value>, Vec<Value>) {
        self.turns.extend(self.last.take());
        self.turns = alternating(std::mem::take(&mut self.turns));
        if self.turns.is_empty()
            && let Some(last) = self.system.pop()
        {
            self.turns.push(Turn {
                rest: vec![last],
                ..Turn::default()
            });
        }
        let say = |text: &str| Turn {
            rest: vec![self.blocks.text(text)],
            ..Turn::default()
        };
        if self.turns.first().is_some_and(|turn| turn.is_assistant) {
            self.turns.insert(0, say(BEGIN));
        }
        let ends = self.turns.last().is_some_and(|turn| turn.is_assistant);
        if ends && !self.ids.waits() {
            match self.takes_prefill {
                true => self.trim(),
                false => self.turns.push(say(GO_ON)),
            }
        }
        let messages = self.turns.into_iter().map(|turn| {
            let role = if turn.is_assistant {
                "assistant"
            } else {
                "user"
            };
            let content: Vec<Value> = turn.results.into_iter().chain(turn.rest).collect();
            json!({"role": role, "content": content})
        });
        (self.system, messages.collect())
    }

    /// A last text of the assistant may not end with white space.
    fn trim(&mut self) {
        let last = self.turns.last_mut().and_then(|turn| turn.rest.last_mut());
        if let Some(Value::String(text)) = last.and_then(|block| block.get_mut("text")) {
            text.truncate(text.trim_end().len());
        }
    }
}

/// The turns in which something is said, one side after the other.
fn alternating(turns: Vec<Turn>) -> Vec<Turn> {
    let mut all: Vec<Turn> = Vec::with_capacity(turns.len());
    for turn in turns {
        if turn.results.is_empty() && turn.rest.is_empty() {
            continue;
        }
        match all.last_mut() {
            Some(last) if last.is_assistant == turn.is_assistant => {
                last.results.extend(turn.results);
                last.rest.extend(turn.rest);
            }
            _ => all.push(turn),
        }
    }
    all
}

/// Chat completions and their relatives tell a thought in words, and once more signed: the signed one counts.
fn without_doubles(parts: Vec<ContentPart>) -> Vec<ContentPart> {
    let signed = |part: &ContentPart| match &part.body {
        PartBody::Reasoning(thought) => thought.signature.is_some() || thought.encrypted.is_some(),
        _ => false,
    };
    if !parts.iter().any(signed) {
        return parts;
    }
    let keeps = |part: &ContentPart| !matches!(part.body, PartBody::Reasoning(_)) || signed(part);
    parts.into_iter().filter(keeps).collect()
}

/// A mark for the cache beside a message stands for its last part, as OpenRouter and LiteLLM have it.
fn mark_last(message: &mut ChatMessage) {
    if let Some(mark) = cache_mark(&mut message.extra)
        && let Some(last) = message.parts.last_mut()
    {
        last.cache.get_or_insert(mark);
    }
}
