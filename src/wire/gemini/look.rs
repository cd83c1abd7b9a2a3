//! Whether a 2xx is what was asked for, and what one event of a stream says.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;
use serde_json::value::RawValue;

use super::envelope::{AnswerEnvelope, CandidateSummary};
use super::vertex_embeddings;
use crate::domain::attempt_record::ResponseMeta;
use crate::domain::dialect::{AnswerList, Operation};
use crate::domain::usage::Usage;
use crate::wire::inspection::{ErrorDoc, Inspection, StreamEvent};
use crate::wire::sse::RawEvent;

/// Looks at the body of a 2xx, and notes what a good one says of itself.
pub(super) fn inspect(
    operation: Operation,
    headers: &HeaderMap,
    body: &Bytes,
    answered: Option<&mut ResponseMeta>,
) -> Inspection {
    Inspection::of_body(headers, body, |body| look(operation, body, answered))
}

fn look(operation: Operation, body: &[u8], answered: Option<&mut ResponseMeta>) -> Inspection {
    let Some(envelope) = AnswerEnvelope::read(body) else {
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
            begins(envelope.embedding, &['{'])
                || begins(envelope.embeddings, &['['])
                || begins(envelope.predictions, &['['])
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
    let predicted = || {
        let tokens = vertex_embeddings::counted(envelope.predictions?.get())?;
        Some(Usage {
            prompt_tokens: Some(tokens),
            ..Usage::default()
        })
    };
    Inspection::Good(envelope.usage().or_else(predicted))
}

/// The error that a list in place of an answer holds, as servers send it to whoever asked for a stream.
fn listed_error(body: &[u8]) -> Option<ErrorDoc> {
    let body = body.trim_ascii();
    if body.first() != Some(&b'[') {
        return None;
    }
    let items: Vec<&RawValue> = serde_json::from_slice(body).ok()?;
    let mut failed = items.into_iter().filter(|item| {
        AnswerEnvelope::read(item.get().as_bytes()).is_some_and(|envelope| envelope.fails())
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
    let Some(envelope) = AnswerEnvelope::read(data) else {
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
        content: envelope.candidates().any(CandidateSummary::says),
        finished: envelope.finished(),
        usage: envelope.usage(),
        ..StreamEvent::default()
    }
}

/// What stands between events: an error as bare JSON, over several lines, is how Google's servers end a stream that
/// fails.
fn last_words(event: &RawEvent) -> StreamEvent {
    let raw = event.raw.trim_ascii();
    match AnswerEnvelope::read(raw) {
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
    if let Some(envelope) = AnswerEnvelope::read(&event.data()) {
        envelope.note(answered);
    }
}

/// Bytes of text that an answer, or one event's data, says.
pub(super) fn text_bytes(data: &[u8]) -> u64 {
    let Some(envelope) = AnswerEnvelope::read(data) else {
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
    let envelope = AnswerEnvelope::read(body)?;
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
        assert_eq!(answered.finish_reasons, [Box::<str>::from("STOP")]);
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
