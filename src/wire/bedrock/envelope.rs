//! The outer fields of answers and events: what routing and accounting look at.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::usage::Usage;
use crate::wire::raw_field::{name, object};
use crate::wire::usage;

/// A whole answer, or a count of tokens.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConverseAnswer<'a> {
    #[serde(default, borrow)]
    output: Option<&'a RawValue>,
    #[serde(default, borrow)]
    stop_reason: Option<&'a RawValue>,
    #[serde(default, borrow)]
    usage: Option<&'a RawValue>,
    #[serde(default, borrow)]
    service_tier: Option<&'a RawValue>,
    #[serde(default, borrow)]
    input_tokens: Option<&'a RawValue>,
    /// AWS's words for a failure, in either spelling.
    #[serde(default, borrow)]
    message: Option<&'a RawValue>,
    #[serde(default, borrow, rename = "Message")]
    loud: Option<&'a RawValue>,
    #[serde(default, borrow, rename = "__type")]
    kind: Option<&'a RawValue>,
}

/// An event, as `wire/framing.rs` makes it of a frame: one field, by the name of its type.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event<'a> {
    #[serde(default, borrow)]
    pub(super) content_block_start: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) content_block_delta: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) message_stop: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) metadata: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) exception: Option<&'a RawValue>,
}

impl<'a> ConverseAnswer<'a> {
    pub(super) fn read(json: &'a [u8]) -> Option<Self> {
        object(json)
    }

    /// Whether it is a failure in place of an answer.
    pub(super) fn fails(&self) -> bool {
        self.output.is_none() && (self.kind.is_some() || self.message.or(self.loud).is_some())
    }

    /// Whether there is a message in it.
    pub(super) fn has_message(&self) -> bool {
        #[derive(Deserialize)]
        struct Output<'a> {
            #[serde(borrow)]
            message: Message<'a>,
        }
        #[derive(Deserialize)]
        struct Message<'a> {
            #[serde(borrow)]
            content: &'a RawValue,
        }
        let output = self.output.map(|raw| raw.get().as_bytes());
        let message: Option<Output<'_>> = output.and_then(object);
        message.is_some_and(|output| output.message.content.get().starts_with('['))
    }

    pub(super) fn stop_reason(&self) -> Option<Box<str>> {
        name(self.stop_reason)
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        #[derive(Deserialize)]
        struct ServiceTier<'a> {
            #[serde(borrow, rename = "type")]
            kind: &'a RawValue,
        }
        let tier = self.service_tier.map(|raw| raw.get().as_bytes());
        let tier: Option<ServiceTier<'_>> = tier.and_then(object);
        usage::with_tier(usage::read_field(self.usage), tier.map(|tier| tier.kind))
    }

    /// The count, in an answer to a request for one.
    pub(super) fn tokens(&self) -> Option<u64> {
        serde_json::from_str(self.input_tokens?.get()).ok()
    }
}

impl<'a> Event<'a> {
    pub(super) fn read(json: &'a [u8]) -> Option<Self> {
        object(json)
    }

    /// Whether it has something that the model produced: a call that begins, words, thoughts.
    pub(super) fn says(&self) -> bool {
        let part = |raw: Option<&RawValue>, field: &str| {
            let value: Option<Value> = raw.and_then(|raw| serde_json::from_str(raw.get()).ok());
            value.is_some_and(|value| value.get(field).is_some_and(is_filled))
        };
        part(self.content_block_start, "start") || part(self.content_block_delta, "delta")
    }

    pub(super) fn stop_reason(&self) -> Option<Box<str>> {
        let stop: ConverseAnswer<'_> = object(self.message_stop?.get().as_bytes())?;
        stop.stop_reason()
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        let metadata: ConverseAnswer<'_> = object(self.metadata?.get().as_bytes())?;
        metadata.usage()
    }
}

/// Whether a text stands in it that is not empty, or anything that is no text.
fn is_filled(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => fields.values().any(is_filled),
        Value::Array(items) => items.iter().any(is_filled),
        Value::Bool(_) | Value::Number(_) => true,
    }
}
