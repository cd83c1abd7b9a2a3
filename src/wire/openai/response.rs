//! Whether a 2xx is really an answer to what was asked.

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::answered;
use super::envelope::ResponseEnvelope;
use super::fields::word;
use super::foreign::{finite, list_error, readable as text_of};
use super::inband::{Place, is_certain, is_likely, status_of};
use super::stream;
use crate::domain::attempt_record::ResponseMeta;
use crate::domain::dialect::{AnswerList, EventForm, Operation};
use crate::wire::inspection::{ErrorDoc, Inspection};
use crate::wire::raw_field::name;
use crate::wire::readable::looks_like_events;
use crate::wire::sse::EventSplitter;
use crate::wire::usage;

/// Looks at the body of a 2xx.
#[cfg(test)]
fn inspect(operation: Operation, headers: &HeaderMap, body: &Bytes) -> Inspection {
    inspect_closer(operation, headers, body, None)
}

/// What an answer says that only counts the tokens of a prompt.
pub fn counted(body: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct InputCount {
        input_tokens: u64,
    }
    let counted: InputCount = serde_json::from_slice(body).ok()?;
    Some(counted.input_tokens)
}

/// Looks at the body of a 2xx, and notes what a good one says of itself.
pub fn inspect_closer(
    operation: Operation,
    headers: &HeaderMap,
    body: &Bytes,
    answered: Option<&mut ResponseMeta>,
) -> Inspection {
    Inspection::of_body(headers, body, |body| look(operation, body, answered))
}

fn look(operation: Operation, body: &[u8], answered: Option<&mut ResponseMeta>) -> Inspection {
    // Read as text once, and not again field by field.
    let text = text_of(body);
    let text = text.trim_ascii();
    let failed = |status| Inspection::ErrorInside(ErrorDoc::of_json(text.as_bytes(), status));
    let finite_text;
    let envelope = match ResponseEnvelope::read(text) {
        Some(envelope) => Some(envelope),
        None => {
            finite_text = finite(text);
            finite_text.as_deref().and_then(ResponseEnvelope::read)
        }
    };
    let Some(envelope) = envelope else {
        if list_error(text) {
            return failed(None);
        }
        return match looks_like_events(text.as_bytes()) {
            Some(true) => events(operation, text),
            _ => Inspection::Malformed("the answer is not a JSON object"),
        };
    };
    let list = |value: Option<&RawValue>| value.is_some_and(|value| value.get().starts_with('['));
    let is_answer = match operation.spec().answer {
        AnswerList::Choices => envelope.choices.any,
        AnswerList::Data => list(envelope.data),
        AnswerList::Results => list(envelope.results),
        AnswerList::Ranking => list(envelope.results) || list(envelope.data),
        AnswerList::Any => !is_likely(&envelope, Place::Answer),
        AnswerList::Output => list(envelope.output),
        // No operation of this dialect.
        AnswerList::Content | AnswerList::Candidates | AnswerList::Embedding => false,
        AnswerList::Count => counted(text.as_bytes()).is_some(),
    };
    let numbered = operation.events() == EventForm::Numbered;
    let ended_badly = numbered && word(envelope.status) == "failed";
    if ended_badly || is_certain(&envelope) || (!is_answer && is_likely(&envelope, Place::Answer)) {
        return failed(status_of(&envelope));
    }
    if !is_answer {
        return Inspection::Malformed("the answer lacks what was asked for");
    }
    if let Some(answered) = answered {
        *answered = ResponseMeta {
            id: name(envelope.id),
            model: name(envelope.model),
            finish_reasons: answered::reasons(text),
        };
    }
    let usage = usage::read_field(envelope.usage);
    let usage = usage::with_tier(usage, envelope.service_tier);
    Inspection::Good(usage::with_pieces(usage, operation, text.as_bytes()))
}

/// An event stream in place of a whole answer: its error event, if it has one.
fn events(operation: Operation, text: &str) -> Inspection {
    let mut splitter = EventSplitter::default();
    splitter.push(Bytes::copy_from_slice(text.as_bytes()));
    while let Ok(Some(event)) = splitter.next_event() {
        let said = stream::inspect(operation, &event);
        if let Some(error) = said.error {
            return Inspection::ErrorInside(error);
        }
        if said.content || said.done || said.malformed {
            break;
        }
    }
    Inspection::Malformed("asked for a whole answer, got an event stream")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use http::header;

    use super::*;

    fn see(operation: Operation, body: &str) -> Inspection {
        inspect(
            operation,
            &HeaderMap::new(),
            &Bytes::copy_from_slice(body.as_bytes()),
        )
    }

    #[test]
    fn tool_calls_null_and_empty_content_are_answers() {
        for message in [
            r#"{"role":"assistant","content":null,"tool_calls":[{"id":"c"}]}"#,
            r#"{"role":"assistant","content":""}"#,
        ] {
            let body = format!(
                r#"{{"choices":[{{"message":{message}}}],"usage":{{"prompt_tokens":1,"completion_tokens":2}}}}"#
            );
            let Inspection::Good(usage) = see(Operation::Chat, &body) else {
                panic!("{body}")
            };
            assert_eq!(usage.unwrap().total(), Some(3));
        }
    }

    #[test]
    fn each_operation_has_its_own_shape() {
        assert!(matches!(
            see(Operation::Embeddings, r#"{"data":[]}"#),
            Inspection::Good(None)
        ));
        assert!(matches!(
            see(Operation::Moderations, r#"{"results":[]}"#),
            Inspection::Good(_)
        ));
        assert!(matches!(
            see(Operation::Responses, r#"{"output":[],"error":null}"#),
            Inspection::Good(_)
        ));
        assert!(matches!(
            see(Operation::Chat, r#"{"data":[]}"#),
            Inspection::Malformed(_)
        ));
    }

    #[test]
    fn an_error_under_a_2xx_is_found() {
        for body in [
            r#"{"error":{"message":"Provider returned error","code":502}}"#,
            r#"{"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#,
            r#"{"success":false,"errors":[{"code":3040}]}"#,
            r#"{"code":"429","message":"busy"}"#,
            r#"[{"error":{"code":503,"message":"The model is overloaded."}}]"#,
        ] {
            assert!(
                matches!(see(Operation::Chat, body), Inspection::ErrorInside(_)),
                "{body}"
            );
        }
    }

    #[test]
    fn what_is_no_answer_is_malformed() {
        for body in [
            "",
            "<html>",
            "[]",
            "[[{}]]",
            "{}",
            r#"{"choices":[]}"#,
            r#"{"choices":"#,
            "null",
        ] {
            assert!(
                matches!(see(Operation::Chat, body), Inspection::Malformed(_)),
                "{body}"
            );
        }
    }

    #[test]
    fn a_compressed_answer_is_looked_into() {
        let zip = |text: &str| {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            Bytes::from(encoder.finish().unwrap())
        };
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_ENCODING,
            http::HeaderValue::from_static("gzip"),
        );
        let good = zip(r#"{"choices":[{}]}"#);
        assert!(matches!(
            inspect(Operation::Chat, &headers, &good),
            Inspection::Good(_)
        ));
        assert!(matches!(
            inspect(Operation::Chat, &headers, &zip("<html>")),
            Inspection::Malformed(_)
        ));
        let cut = good.slice(..good.len() - 9);
        assert!(matches!(
            inspect(Operation::Chat, &headers, &cut),
            Inspection::Malformed(_)
        ));
    }
}
