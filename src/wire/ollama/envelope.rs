//! The outer fields of answers and lines: what routing and accounting look at.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::usage::Usage;
use crate::wire::inspection::ErrorDoc;
use crate::wire::raw_field::{inner, name, object, says};

/// Why an answer ended of which only that is told.
const STOP: &str = "stop";

/// A whole answer, or a line of one.
#[derive(Default, Deserialize)]
pub(super) struct OllamaAnswer<'a> {
    #[serde(default, borrow)]
    model: Option<&'a RawValue>,
    #[serde(default, borrow)]
    message: Option<&'a RawValue>,
    #[serde(default, borrow)]
    done: Option<&'a RawValue>,
    #[serde(default, borrow)]
    done_reason: Option<&'a RawValue>,
    #[serde(default, borrow)]
    prompt_eval_count: Option<&'a RawValue>,
    #[serde(default, borrow)]
    eval_count: Option<&'a RawValue>,
    #[serde(default, borrow)]
    embeddings: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    /// The status of an error, by either name.
    #[serde(default, borrow)]
    status: Option<&'a RawValue>,
    #[serde(default, borrow)]
    status_code: Option<&'a RawValue>,
}

/// What a message says, as far as that is looked at.
#[derive(Default, Deserialize)]
struct OllamaMessage<'a> {
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(default, borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(default, borrow)]
    images: Option<&'a RawValue>,
}

fn number<T: for<'de> Deserialize<'de>>(raw: Option<&RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

impl<'a> OllamaAnswer<'a> {
    pub(super) fn read(json: &'a [u8]) -> Option<Self> {
        object(json)
    }

    /// The failure that stands in place of an answer, or of the rest of one.
    pub(super) fn failure(&self, json: &[u8]) -> Option<ErrorDoc> {
        if !says(self.error) {
            return None;
        }
        let status = number(self.status_code).or_else(|| number(self.status));
        let status = status.filter(|status: &u16| (400..600).contains(status));
        Some(ErrorDoc::of_json(json, status))
    }

    /// Whether there is a message in it.
    pub(super) fn has_message(&self) -> bool {
        self.message
            .is_some_and(|message| message.get().starts_with('{'))
    }

    /// Whether there are vectors in it.
    pub(super) fn has_embeddings(&self) -> bool {
        self.embeddings
            .is_some_and(|list| list.get().starts_with('['))
    }

    /// Whether it is the last of its answer; `None` where it does not say.
    pub(super) fn done(&self) -> Option<bool> {
        number(self.done)
    }

    /// Whether it has something that the model produced: words, thoughts, calls, pictures.
    pub(super) fn says(&self) -> bool {
        let message: OllamaMessage<'_> = inner(self.message);
        let fields = [
            message.content,
            message.thinking,
            message.tool_calls,
            message.images,
        ];
        fields.into_iter().any(says)
    }

    pub(super) fn model(&self) -> Option<Box<str>> {
        name(self.model)
    }

    /// Why it ended, where it has.
    pub(super) fn reason(&self) -> Option<Box<str>> {
        (self.done() == Some(true)).then(|| name(self.done_reason).unwrap_or_else(|| STOP.into()))
    }

    /// The counts, which stand where it ends.
    pub(super) fn usage(&self) -> Option<Usage> {
        let (prompt, answer) = (number(self.prompt_eval_count), number(self.eval_count));
        (prompt.is_some() || answer.is_some()).then_some(Usage {
            prompt_tokens: prompt,
            completion_tokens: answer,
            ..Usage::default()
        })
    }
}
