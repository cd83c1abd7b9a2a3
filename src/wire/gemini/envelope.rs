//! What an answer of Google's has at its top, read without building any of it: for events of streams and whole answers.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::attempt_record::ResponseMeta;
use crate::domain::usage::Usage;
use crate::wire::raw_field::{LONGEST_NAME, object, says};
use crate::wire::usage;

/// So many reasons are told.
const REASONS: usize = 8;

/// What an answer, or one event of a streamed one, has at its top.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AnswerEnvelope<'a> {
    #[serde(borrow)]
    pub(super) candidates: Option<Vec<CandidateSummary<'a>>>,
    #[serde(borrow, alias = "prompt_feedback")]
    pub(super) prompt_feedback: Option<&'a RawValue>,
    #[serde(borrow, alias = "usage_metadata")]
    pub(super) usage_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow, alias = "response_id")]
    pub(super) response_id: Option<&'a RawValue>,
    #[serde(borrow, alias = "model_version")]
    pub(super) model_version: Option<&'a RawValue>,
    #[serde(borrow, alias = "total_tokens")]
    pub(super) total_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) embedding: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) embeddings: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) predictions: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CandidateSummary<'a> {
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) content: Option<ContentSummary<'a>>,
    #[serde(borrow, alias = "finish_reason")]
    finish_reason: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ContentSummary<'a> {
    #[serde(borrow)]
    pub(super) parts: Option<Vec<PartSummary<'a>>>,
}

/// A part, as far as it tells whether the model produced anything.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PartSummary<'a> {
    #[serde(borrow)]
    pub(super) text: Option<&'a RawValue>,
    #[serde(borrow, alias = "function_call")]
    pub(super) function_call: Option<&'a RawValue>,
    #[serde(borrow, alias = "inline_data")]
    inline_data: Option<&'a RawValue>,
    #[serde(borrow, alias = "file_data")]
    file_data: Option<&'a RawValue>,
    #[serde(borrow, alias = "executable_code")]
    executable_code: Option<&'a RawValue>,
    #[serde(borrow, alias = "code_execution_result")]
    code_execution_result: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PromptFeedback<'a> {
    #[serde(borrow, alias = "block_reason")]
    block_reason: Option<&'a RawValue>,
}

/// A text without escapes, as names and reasons are; empty for anything else.
fn word(raw: Option<&RawValue>) -> &str {
    let quoted = raw.and_then(|raw| raw.get().strip_prefix('"')?.strip_suffix('"'));
    quoted
        .filter(|word| !word.contains('\\'))
        .unwrap_or_default()
}

impl PartSummary<'_> {
    /// Whether the model produced something in it. A signature by itself is nothing.
    pub(super) fn says(&self) -> bool {
        let text = self.text.map_or("", RawValue::get);
        let others = [
            self.function_call,
            self.inline_data,
            self.file_data,
            self.executable_code,
            self.code_execution_result,
        ];
        !matches!(text, "" | "\"\"" | "null")
            || others
                .into_iter()
                .flatten()
                .any(|value| value.get() != "null")
    }
}

impl CandidateSummary<'_> {
    pub(super) fn says(&self) -> bool {
        let parts = self
            .content
            .as_ref()
            .and_then(|content| content.parts.as_ref());
        parts.into_iter().flatten().any(PartSummary::says)
    }

    /// Why it ended, if it did.
    pub(super) fn reason(&self) -> Option<&str> {
        let reason = word(self.finish_reason);
        (!matches!(reason, "" | "FINISH_REASON_UNSPECIFIED")).then_some(reason)
    }

    /// Its place among the candidates, where it says so.
    pub(super) fn place(&self, at: usize) -> usize {
        self.index
            .and_then(|index| index.get().parse().ok())
            .unwrap_or(at)
    }
}

impl<'a> AnswerEnvelope<'a> {
    pub(super) fn read(json: &'a [u8]) -> Option<Self> {
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
        object(json)
    }

    pub(super) fn fails(&self) -> bool {
        says(self.error)
    }

    /// Why the prompt was refused, if it was.
    pub(super) fn blocked(&self) -> Option<&'a str> {
        let feedback: PromptFeedback<'a> =
            serde_json::from_str(self.prompt_feedback?.get()).ok()?;
        let reason = word(feedback.block_reason);
        (!matches!(
            reason,
            "" | "BLOCK_REASON_UNSPECIFIED" | "BLOCKED_REASON_UNSPECIFIED"
        ))
        .then_some(reason)
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        usage::read_field(self.usage_metadata).filter(|usage| *usage != Usage::default())
    }

    pub(super) fn candidates(&self) -> impl Iterator<Item = &CandidateSummary<'a>> {
        self.candidates.iter().flatten()
    }

    /// The candidates that have ended, one bit each. A refused prompt has ended them all.
    pub(super) fn finished(&self) -> u128 {
        let ended = self.candidates().enumerate().filter_map(|(at, candidate)| {
            candidate.reason()?;
            1_u128.checked_shl(u32::try_from(candidate.place(at)).ok()?)
        });
        let ended = ended.fold(0, |all, one| all | one);
        let blocked = self.candidates().next().is_none() && self.blocked().is_some();
        if blocked { u128::MAX } else { ended }
    }

    pub(super) fn note(&self, answered: &mut ResponseMeta) {
        let name = |raw| -> Option<Box<str>> {
            let text = word(raw);
            (!text.is_empty() && text.len() <= LONGEST_NAME).then(|| text.into())
        };
        answered.id = answered.id.take().or_else(|| name(self.response_id));
        answered.model = answered.model.take().or_else(|| name(self.model_version));
        let candidates = self.candidates().enumerate();
        let reasons = candidates
            .filter_map(|(at, candidate)| Some((candidate.place(at), candidate.reason()?)));
        let blocked = self.blocked().map(|reason| (0, reason));
        for (index, reason) in reasons.chain(blocked) {
            let told = &answered.finish_reasons;
            let again = told.len() > index && told.iter().any(|other| **other == *reason);
            if told.len() < REASONS && !again && reason.len() <= LONGEST_NAME {
                answered.finish_reasons.push(reason.into());
            }
        }
    }
}
