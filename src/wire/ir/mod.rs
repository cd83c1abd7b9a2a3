//! The neutral form of a conversation with a model, for callers and upstreams of different dialects.
//!
//! A dialect's decoder makes it from bytes, another dialect's encoder makes bytes from it. Three rules keep anything from
//! being lost in silence:
//!
//! - What the form has a field for, and what is written as that field is meant, becomes typed. Everything else stays
//!   where it stood, in the `extra` of its object: unknown fields, `null`, known fields of another type.
//! - `origin` says whose `extra` that is. An encoder of the same dialect puts it back. Any other one maps what it knows,
//!   and says of the rest what could not be carried over: a [`Loss`] each, which the caller is told of.
//! - Numbers stay as they were written; arguments of tool calls, schemas, signatures and encrypted reasoning are never
//!   parsed and written again.
//!
//! A request is a [`ChatRequest`]; a whole answer a [`ChatAnswer`]; a streamed one a sequence of [`StreamItem`]s, of
//! which those that came in one event stand together. `wire/openai/ir` is the first pair of decoder and encoder;
//! that nothing is lost on the way there and back is its property test.

mod allowed;
mod answer;
#[cfg(test)]
pub(in crate::wire) mod any;
mod assembly;
mod calls;
pub(in crate::wire) mod fields;
pub(in crate::wire) mod ids;
pub(in crate::wire) mod logprobs;
mod loss;
mod part;
mod request;
mod shape;
pub(in crate::wire) mod tier;
mod unreadable;

pub use allowed::AllowedTools;
pub(in crate::wire) use answer::bare_text;
pub use answer::{
    ChatAnswer, ChatCandidate, ChatError, ContentDelta, StopReason, StreamItem, UsageCounts,
};
pub use assembly::Assembly;
pub use logprobs::TokenLogprob;
#[cfg(test)]
pub use loss::lose_all;
pub use loss::{Extra, Loss, Losses};
pub(in crate::wire) use part::telling_field;
pub use part::{
    CacheMark, Citation, ContentPart, MediaSource, PartBody, ReasoningPart, ToolCall, ToolCallKind,
    ToolResult,
};
pub use request::{
    ChatMessage, ChatRequest, ChatRole, ReasoningConfig, ResponseFormat, SamplingParams,
    ToolChoice, ToolDefinition,
};
pub use shape::MessageShape;
pub(in crate::wire) use unreadable::PLACEHOLDER_SIGNATURE;
