//! Whether a 2xx is what was asked for, and what one event of a stream says.

use std::borrow::Cow;

use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use bytes::Bytes;

use crate::domain::attempt_record::ResponseMeta;
use crate::domain::dialect::{AnswerList, Operation};
use crate::domain::usage::Usage;
use crate::wire::encoding::whole::{Unread, decoded};
use crate::wire::inspection::{ErrorDoc, Inspection, StreamEvent};
use crate::wire::sse::RawEvent;

/// Longer texts are no names.
const LONGEST: usize = 256;
/// So many reasons are told.
const REASONS: usize = 8;

/// What an answer, or one event of a streamed one, has at its top.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Envelope<'a> {
    #[serde(borrow)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow, alias = "prompt_feedback")]
    prompt_feedback: Option<&'a RawValue>,
    #[serde(borrow, alias = "usage_metadata")]
    usage_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow, alias = "response_id")]
    response_id: Option<&'a RawValue>,
    #[serde(borrow, alias = "model_version")]
    model_version: Option<&'a RawValue>,
    #[serde(borrow, alias = "total_tokens")]
    total_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    embedding: Option<&'a RawValue>,
    #[serde(borrow)]
    embeddings: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Candidate<'a> {
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(borrow, alias = "finish_reason")]
    finish_reason: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Option<Vec<Part<'a>>>,
}

/// A part, as far as it tells whether the model produced anything.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow, alias = "function_call")]
    function_call: Option<&'a RawValue>,
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
struct Feedback<'a> {
    #[serde(borrow, alias = "block_reason")]
    block_reason: Option<&'a RawValue>,
}

/// A text without escapes, as names and reasons are; empty for anything else.
fn word<'a>(raw: Option<&'a RawValue>) -> &'a str {
    let quoted = raw.and_then(|raw| raw.get().strip_prefix('"')?.strip_suffix('"'));
    quoted
        .filter(|word| !word.contains('\\'))
        .unwrap_or_default()
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "camelCase", default)]
struct Counts {
    #[serde(alias = "prompt_token_count")]
    prompt_token_count: Option<u64>,
    #[serde(alias = "tool_use_prompt_token_count")]
    tool_use_prompt_token_count: Option<u64>,
    #[serde(alias = "candidates_token_count")]
    candidates_token_count: Option<u64>,
    #[serde(alias = "thoughts_token_count")]
    thoughts_token_count: Option<u64>,
    #[serde(alias = "cached_content_token_count")]
    cached_content_token_count: Option<u64>,
    #[serde(alias = "total_token_count")]
    total_token_count: Option<u64>,
}

impl From<Counts> for Usage {
    fn from(counts: Counts) -> Self {
        let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
        };
        let prompt = sum(
            counts.prompt_token_count,
            counts.tool_use_prompt_token_count,
        );
        let rest = counts.total_token_count.zip(prompt);
        let rest = rest.map(|(total, prompt)| total.saturating_sub(prompt));
        let answer = sum(counts.candidates_token_count, counts.thoughts_token_count);
        Self {
            prompt_tokens: prompt,
            completion_tokens: answer.or(rest.filter(|rest| *rest > 0)),
            cached_tokens: counts.cached_content_token_count,
            reasoning_tokens: counts.thoughts_token_count,
        }
    }
}

impl Part<'_> {
    /// Whether the model produced something in it. A signature by itself is nothing.
    fn says(&self) -> bool {
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

impl Candidate<'_> {
    fn says(&self) -> bool {
        let parts = self
            .content
            .as_ref()
            .and_then(|content| content.parts.as_ref());
        parts.into_iter().flatten().any(Part::says)
    }

    /// Why it ended, if it did.
    fn reason(&self) -> Option<&str> {
        let reason = word(self.finish_reason);
        (!matches!(reason, "" | "FINISH_REASON_UNSPECIFIED")).then_some(reason)
    }

    /// Its place among the candidates, where it says so.
    fn place(&self, at: usize) -> usize {
        self.index
            .and_then(|index| index.get().parse().ok())
            .unwrap_or(at)
    }
}

impl<'a> Envelope<'a> {
    fn read(json: &'a [u8]) -> Option<Self> {
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
        let is_object = json.trim_ascii_start().first() == Some(&b'{');
        is_object
            .then(|| serde_json::from_slice(json).ok())
            .flatten()
    }

    fn fails(&self) -> bool {
        let error = self.error.map_or("null", RawValue::get);
        !matches!(error, "null" | "{}" | "\"\"" | "false")
    }

    /// Why the prompt was refused, if it was.
    fn blocked(&self) -> Option<&'a str> {
        let feedback: Feedback<'a> = serde_json::from_str(self.prompt_feedback?.get()).ok()?;
        let reason = word(feedback.block_reason);
        (!matches!(
            reason,
            "" | "BLOCK_REASON_UNSPECIFIED" | "BLOCKED_REASON_UNSPECIFIED"
        ))
        .then_some(reason)
    }

    fn usage(&self) -> Option<Usage> {
        let counts: Counts = serde_json::from_str(self.usage_metadata?.get()).ok()?;
        Some(Usage::from(counts)).filter(|usage| *usage != Usage::default())
    }

    fn candidates(&self) -> impl Iterator<Item = &Candidate<'a>> {
        self.candidates.iter().flatten()
    }

    /// The candidates that have ended, one bit each. A refused prompt has ended them all.
    fn finished(&self) -> u128 {
        let ended = self.candidates().enumerate().filter_map(|(at, candidate)| {
            candidate.reason()?;
            1_u128.checked_shl(u32::try_from(candidate.place(at)).ok()?)
        });
        let ended = ended.fold(0, |all, one| all | one);
        let blocked = self.candidates().next().is_none() && self.blocked().is_some();
        if blocked { u128::MAX } else { ended }
    }

    fn note(&self, answered: &mut ResponseMeta) {
        let name = |raw| -> Option<Box<str>> {
            let text = word(raw);
            (!text.is_empty() && text.len() <= LONGEST).then(|| text.into())
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
            if told.len() < REASONS && !again && reason.len() <= LONGEST {
                answered.finish_reasons.push(reason.into());
            }
        }
    }
}

/// Looks at the body of a 2xx, and notes what a good one says of itself.
pub(super) fn inspect(
    operation: Operation,
    headers: &HeaderMap,
    body: &Bytes,
    answered: Option<&mut ResponseMeta>,
) -> Inspection {
    if body.is_empty() {
        return Inspection::Malformed("the answer is empty");
    }
    match decoded(headers, body) {
        Ok(decoded) => look(operation, &decoded.body, answered),
        Err(Unread::Unseen) => Inspection::Good(None),
        Err(Unread::Broken) => Inspection::Malformed("the answer's compression is broken"),
    }
}

fn look(operation: Operation, body: &[u8], answered: Option<&mut ResponseMeta>) -> Inspection {
    let Some(envelope) = Envelope::read(body) else {
        return match listed_error(body) {
            Some(error) => Inspection::ErrorInside(error),
            None => Inspection::Malformed("the answer is not a JSON object of Gemini's API"),
        };
    };
    if envelope.fails() {
        return Inspection::ErrorInside(ErrorDoc::of_json(body, None));
    }
    let begins = |value: Option<&RawValue>, with: &[char]| {
        value.is_some_and(|value| value.get().starts_with(with))
    };
    let is_answer = match operation.spec().answer {
        AnswerList::Candidates => {
            envelope.candidates().next().is_some() || envelope.blocked().is_some()
        }
        AnswerList::Embedding => {
            begins(envelope.embedding, &['{']) || begins(envelope.embeddings, &['['])
        }
        AnswerList::Count => {
            let digit = |letter: char| letter.is_ascii_digit();
            envelope
                .total_tokens
                .is_some_and(|count| count.get().starts_with(digit))
        }
        _ => false,
    };
    if !is_answer {
        return Inspection::Malformed("the answer lacks what was asked for");
    }
    if let Some(answered) = answered {
        *answered = ResponseMeta::default();
        envelope.note(answered);
    }
    Inspection::Good(envelope.usage())
}

/// The error that a list in place of an answer holds, as servers send it to whoever asked for a stream.
fn listed_error(body: &[u8]) -> Option<ErrorDoc> {
    let body = body.trim_ascii();
    if body.first() != Some(&b'[') {
        return None;
    }
    let items: Vec<&RawValue> = serde_json::from_slice(body).ok()?;
    let mut failed = items.into_iter().filter(|item| {
        Envelope::read(item.get().as_bytes()).is_some_and(|envelope| envelope.fails())
    });
    let error = failed.next()?;
    Some(ErrorDoc::of_json(error.get().as_bytes(), None))
}

/// Looks at one event of a stream.
pub(super) fn event(event: &RawEvent) -> StreamEvent {
    let fields = event.read();
    let data = fields.data.trim_ascii();
    if fields.others && data.is_empty() {
        return last_words(event);
    }
    if data.is_empty() {
        return StreamEvent::default();
    }
    if data == b"[DONE]" {
        // Of servers that only look like Google's.
        return StreamEvent {
            life: true,
            done: true,
            ..StreamEvent::default()
        };
    }
    let Some(envelope) = Envelope::read(data) else {
        return match listed_error(data) {
            Some(error) => StreamEvent::foreign(error),
            None => StreamEvent::malformed(),
        };
    };
    if envelope.fails() {
        return StreamEvent {
            usage: envelope.usage(),
            ..StreamEvent::foreign(ErrorDoc::of_json(data, None))
        };
    }
    StreamEvent {
        life: true,
        content: envelope.candidates().any(Candidate::says),
        finished: envelope.finished(),
        usage: envelope.usage(),
        ..StreamEvent::default()
    }
}

/// What stands between events: an error as bare JSON, over several lines, is how Google's servers end a stream that
/// fails.
fn last_words(event: &RawEvent) -> StreamEvent {
    let raw = event.raw.trim_ascii();
    match Envelope::read(raw) {
        Some(envelope) if envelope.fails() => StreamEvent::foreign(ErrorDoc::of_json(raw, None)),
        Some(_) => StreamEvent::malformed(),
        None => match listed_error(raw) {
            Some(error) => StreamEvent::foreign(error),
            None if raw.contains(&b'{') || raw.contains(&b'<') => StreamEvent::malformed(),
            None => StreamEvent::default(),
        },
    }
}

/// Adds what an event says of its answer.
pub(super) fn note(answered: &mut ResponseMeta, event: &RawEvent) {
    if let Some(envelope) = Envelope::read(&event.data()) {
        envelope.note(answered);
    }
}

/// Bytes of text that an answer, or one event's data, says.
pub(super) fn text_bytes(data: &[u8]) -> u64 {
    let Some(envelope) = Envelope::read(data) else {
        return 0;
    };
    let contents = envelope
        .candidates()
        .filter_map(|candidate| candidate.content.as_ref());
    let parts = contents
        .filter_map(|content| content.parts.as_ref())
        .flatten();
    let sizes = parts.map(|part| {
        let text: Option<Cow<'_, str>> = part
            .text
            .and_then(|text| serde_json::from_str(text.get()).ok());
        let call = part.function_call.map_or(0, |call| call.get().len());
        text.map_or(0, |text| text.len()) + call
    });
    sizes.map(|size| size as u64).sum()
}

/// The count that an answer to a request for one holds.
pub(super) fn total_tokens(body: &[u8]) -> Option<u64> {
    let envelope = Envelope::read(body)?;
    serde_json::from_str::<Value>(envelope.total_tokens?.get())
        .ok()?
        .as_u64()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(raw: &str) -> StreamEvent {
        event(&RawEvent {
            raw: Bytes::copy_from_slice(raw.as_bytes()),
        })
    }

    fn data(json: &str) -> StreamEvent {
        said(&format!("data: {json}\r\n\r\n"))
    }

    fn whole(body: &str) -> Inspection {
        let body = Bytes::copy_from_slice(body.as_bytes());
        inspect(Operation::GenerateContent, &HeaderMap::new(), &body, None)
    }

    #[test]
    fn content_is_what_the_model_produced() {
        for (parts, content) in [
            (r#"[{"text":"a"}]"#, true),
            (r#"[{"text":"hm","thought":true}]"#, true),
            (r#"[{"functionCall":{"name":"f"}}]"#, true),
            (r#"[{"function_call":{"name":"f"}}]"#, true),
            (r#"[{"inlineData":{"data":"UA=="}}]"#, true),
            (r#"[{"text":""}]"#, false),
            (r#"[{"text":"","thoughtSignature":"c2ln"}]"#, false),
            ("[]", false),
        ] {
            let seen = data(&format!(
                r#"{{"candidates":[{{"content":{{"parts":{parts}}}}}]}}"#
            ));
            assert!(seen.life && seen.content == content, "{parts}");
        }
    }

    #[test]
    fn an_end_has_a_reason_and_a_refused_prompt_is_one() {
        let seen = data(
            r#"{"candidates":[{"finishReason":"STOP"},{"index":3,"finishReason":"SAFETY"},{"finishReason":"FINISH_REASON_UNSPECIFIED"}],"usageMetadata":{"promptTokenCount":5,"toolUsePromptTokenCount":2,"candidatesTokenCount":3,"thoughtsTokenCount":4,"cachedContentTokenCount":1}}"#,
        );
        assert_eq!(seen.finished, 0b1001);
        let usage = seen.usage.unwrap();
        assert_eq!(
            (usage.prompt_tokens, usage.completion_tokens),
            (Some(7), Some(7))
        );
        assert_eq!(
            (usage.cached_tokens, usage.reasoning_tokens),
            (Some(1), Some(4))
        );
        assert_ne!(
            data(r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#).finished & 1,
            0
        );
        assert_eq!(
            data(r#"{"usageMetadata":{"promptTokenCount":5}}"#).finished,
            0
        );
    }

    #[test]
    fn an_error_is_found_in_every_form() {
        for raw in [
            "data: {\"error\":{\"code\":503,\"message\":\"overloaded\"}}\n\n",
            "{\n  \"error\": {\n    \"code\": 503,\n    \"message\": \"overloaded\"\n  }\n}\n",
            "[{\"error\":{\"code\":503,\"message\":\"overloaded\"}}]\n\n",
            "data: [{\"error\":{\"code\":503,\"message\":\"overloaded\"}}]\n\n",
        ] {
            let seen = said(raw);
            let error = seen.error.unwrap();
            assert!(
                String::from_utf8_lossy(&error.body).contains("overloaded"),
                "{raw}"
            );
            assert!(seen.foreign && !seen.content);
        }
        for raw in [
            "data: <html>\n\n",
            "data: {\"candidates\"\n\n",
            "data: 1\n\n",
        ] {
            assert!(said(raw).malformed, "{raw}");
        }
        assert_eq!(said(": ping\n\n"), StreamEvent::default());
    }

    #[test]
    fn a_whole_answer_has_candidates_or_says_why_not() {
        for body in [
            r#"{"candidates":[{"finishReason":"STOP"}]}"#,
            r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":5}}"#,
        ] {
            assert!(matches!(whole(body), Inspection::Good(_)), "{body}");
        }
        for body in [
            "{}",
            "[]",
            r#"{"candidates":[]}"#,
            "<html>",
            r#"{"choices":[{}]}"#,
        ] {
            assert!(matches!(whole(body), Inspection::Malformed(_)), "{body}");
        }
        for body in [
            r#"{"error":{"code":429,"message":"m"}}"#,
            r#"[{"error":{"code":429,"message":"m"}}]"#,
        ] {
            assert!(matches!(whole(body), Inspection::ErrorInside(_)), "{body}");
        }
    }

    #[test]
    fn what_a_stream_says_of_itself_is_noted_once() {
        let mut answered = ResponseMeta::default();
        for json in [
            r#"{"responseId":"r","modelVersion":"m","candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#,
            r#"{"responseId":"r2","candidates":[{"finishReason":"STOP"}]}"#,
            r#"{"candidates":[{"finishReason":"STOP"}]}"#,
        ] {
            let raw = format!("data: {json}\n\n").into();
            note(&mut answered, &RawEvent { raw });
        }
        assert_eq!(
            (answered.id.as_deref(), answered.model.as_deref()),
            (Some("r"), Some("m"))
        );
        assert_eq!(answered.finish_reasons, ["STOP".into()]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(raw in any::<Vec<u8>>()) {
            let raw = Bytes::from(raw);
            let headers = HeaderMap::new();
            drop(inspect(Operation::GenerateContent, &headers, &raw, None));
            text_bytes(&raw);
            drop(event(&RawEvent { raw }));
        }
    }
}
