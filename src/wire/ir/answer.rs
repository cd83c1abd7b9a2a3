//! What a model answers, whole or in a stream, and how it fails.

use serde_json::{Number, Value};

use super::logprobs::TokenLogprob;
use super::loss::Extra;
use super::part::{Citation, ContentPart, PartBody, ReasoningPart, ToolCallKind};
use super::request::{ChatMessage, ChatRole};

/// A whole answer.
#[derive(Clone, PartialEq, Debug)]
pub struct ChatAnswer {
    /// The dialect that it was read from: whose `extra` it has.
    pub origin: &'static str,
    /// Its id at the provider.
    pub id: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// Seconds since 1970.
    pub created: Option<Number>,
    /// The answers, usually one.
    pub candidates: Vec<ChatCandidate>,
    /// The tokens that it took.
    pub usage: Option<UsageCounts>,
    /// The queue that served it, in OpenAI's words (`wire/ir/tier.rs`).
    pub service_tier: Option<String>,
    /// What else its dialect says.
    pub extra: Extra,
}

/// One of the answers.
#[derive(Clone, PartialEq, Debug)]
pub struct ChatCandidate {
    /// From 0.
    pub index: u64,
    /// What the model says.
    pub message: ChatMessage,
    /// Why it ended; `None` when unknown.
    pub stop: Option<StopReason>,
    /// How probable its tokens were, where that was asked for.
    pub logprobs: Vec<TokenLogprob>,
    /// What else its dialect says.
    pub extra: Extra,
}

/// Why an answer ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StopReason {
    /// The model had no more to say.
    EndTurn,
    /// One of the caller's stop sequences came: which one, if known.
    StopSequence(Option<String>),
    /// The limit of tokens, or the end of the context window.
    Length,
    /// It calls tools and waits for what they answer.
    ToolCalls,
    /// A filter stopped it.
    ContentFilter,
    /// The model refused to answer.
    Refusal,
    /// It is to be asked to go on.
    Pause,
    /// Another reason, by its dialect's word.
    Other(String),
}

/// Token counts. Each is `None` when unknown.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct UsageCounts {
    /// The prompt, cached tokens included.
    pub input: Option<u64>,
    /// The answer, reasoning included.
    pub output: Option<u64>,
    /// Both, as the upstream adds it up.
    pub total: Option<u64>,
    /// The part of the prompt that was read from a cache.
    pub cache_read: Option<u64>,
    /// The part of the prompt that was written to a cache.
    pub cache_write: Option<u64>,
    /// The part of the answer that was reasoning.
    pub reasoning: Option<u64>,
    /// What else its dialect counts.
    pub extra: Extra,
}

/// A failure in place of an answer, or of the rest of one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChatError {
    /// A message for people.
    pub message: String,
    /// OpenAI's `type` of it, such as `rate_limit_error`: each dialect has words for these.
    pub kind: String,
    /// The provider's code, or ours.
    pub code: Option<String>,
    /// The field at fault.
    pub param: Option<String>,
    /// The HTTP status that it has, or would have.
    pub status: Option<u16>,
}

/// One thing that a streamed answer says.
#[derive(Clone, PartialEq, Debug)]
pub enum StreamItem {
    /// About the answer as a whole; a later one takes the place of an earlier one.
    Head {
        /// Its id at the provider.
        id: Option<String>,
        /// The model that answers.
        model: Option<String>,
        /// Seconds since 1970.
        created: Option<Number>,
        /// What else its dialect says.
        extra: Extra,
    },
    /// A piece of a candidate's message.
    Delta {
        /// Which candidate, from 0.
        candidate: u64,
        /// The new piece of content.
        delta: ContentDelta,
    },
    /// A candidate ends.
    Stop {
        /// Which candidate, from 0.
        candidate: u64,
        /// The reason.
        reason: StopReason,
    },
    /// What else its dialect says of a candidate.
    CandidateExtra {
        /// Which candidate, from 0.
        candidate: u64,
        /// The fields of the object that have no other place.
        extra: Extra,
    },
    /// What it took, so far or in all.
    Usage(UsageCounts),
    /// The queue that serves it, in OpenAI's words.
    ServiceTier(String),
    /// It failed: nothing follows.
    Error(ChatError),
    /// It is whole: nothing follows.
    End,
}

/// A piece of a message.
#[derive(Clone, PartialEq, Debug)]
pub enum ContentDelta {
    /// Whose the message is.
    Role(ChatRole),
    /// More text.
    Text(String),
    /// How probable the tokens of the text were that follows in the same event, or went before.
    Logprobs(Vec<TokenLogprob>),
    /// A whole picture, sound or file.
    Media(PartBody),
    /// Where the last words are from.
    Citation(Citation),
    /// More reasoning.
    Reasoning(ReasoningPart),
    /// More of a refusal.
    Refusal(String),
    /// More of a call.
    ToolCall {
        /// Counts the calls of the message, from 0.
        index: u64,
        /// With its first piece.
        id: Option<String>,
        /// With its first piece.
        name: Option<String>,
        /// More of its arguments.
        arguments: Option<String>,
        /// What kind of tool.
        kind: ToolCallKind,
        /// A signature of the reasoning that led to it.
        signature: Option<String>,
        /// What else its dialect says.
        extra: Extra,
    },
    /// A piece that the neutral form does not know.
    Unknown {
        /// The field that it came from.
        field: String,
        /// The value as it was written.
        value: Value,
    },
}

impl ChatAnswer {
    /// An empty one that is read from a dialect of this name.
    pub fn new(origin: &'static str) -> Self {
        Self {
            origin,
            id: None,
            model: None,
            created: None,
            candidates: Vec::new(),
            usage: None,
            service_tier: None,
            extra: Extra::new(),
        }
    }

    /// Makes one text of texts in a row of which nothing more is said: whole answers of some dialects come in pieces, and
    /// clients of others read the first piece alone.
    pub fn join_texts(&mut self) {
        for candidate in &mut self.candidates {
            let parts = &mut candidate.message.parts;
            let pieces = std::mem::replace(parts, Vec::with_capacity(parts.len()));
            for mut part in pieces {
                let last = parts.last_mut().and_then(bare_text);
                match (last, bare_text(&mut part)) {
                    (Some(text), Some(more)) => text.push_str(more),
                    _ => parts.push(part),
                }
            }
        }
    }
}

/// The text of a part that is nothing else.
pub(in crate::wire) fn bare_text(part: &mut ContentPart) -> Option<&mut String> {
    match &mut part.body {
        PartBody::Text { text, citations }
            if citations.is_empty() && part.cache.is_none() && part.extra.is_empty() =>
        {
            Some(text)
        }
        _ => None,
    }
}
