//! What whole answers and events of streams say of themselves, for routing and accounting.

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::error::status_of;
use crate::domain::attempt_record::ResponseMeta;
use crate::domain::dialect::Operation;
use crate::domain::usage::Usage;
use crate::wire::inspection::{ErrorDoc, Inspection, StreamEvent};
use crate::wire::raw_field::{inner, name, object, says};
use crate::wire::readable::looks_like_events;
use crate::wire::sse::{EventSplitter, RawEvent};
use crate::wire::usage;

/// The fields of a body, or of an event's data.
#[derive(Default, Deserialize)]
struct Fields<'a> {
    #[serde(default, rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    model: Option<&'a RawValue>,
    #[serde(default, borrow)]
    stop_reason: Option<&'a RawValue>,
    #[serde(default, borrow)]
    usage: Option<&'a RawValue>,
    #[serde(default, borrow)]
    input_tokens: Option<&'a RawValue>,
    #[serde(default, borrow)]
    message: Option<&'a RawValue>,
    #[serde(default, borrow)]
    delta: Option<&'a RawValue>,
    #[serde(default, borrow)]
    content_block: Option<&'a RawValue>,
}

fn is(raw: Option<&RawValue>, word: &str) -> bool {
    name(raw).is_some_and(|name| &*name == word)
}

/// An error, wherever its type says what status it would have had.
fn error_doc(body: &[u8], error: Option<&RawValue>) -> ErrorDoc {
    let kind = name(inner::<Fields<'_>>(error).kind);
    let status = kind.and_then(|kind| status_of(&kind));
    ErrorDoc::of_json(body, status)
}

/// Looks at the body of a 2xx, and notes what a good one says of itself.
pub(super) fn whole(
    operation: Operation,
    headers: &HeaderMap,
    body: &Bytes,
    answered: Option<&mut ResponseMeta>,
) -> Inspection {
    Inspection::of_body(headers, body, |body| look(operation, body, answered))
}

fn look(operation: Operation, body: &[u8], answered: Option<&mut ResponseMeta>) -> Inspection {
    let body = body.trim_ascii();
    let Some(fields) = object::<Fields<'_>>(body) else {
        return match looks_like_events(body) {
            Some(true) => events(body),
            _ => Inspection::Malformed("the answer is not a JSON object"),
        };
    };
    if is(fields.kind, "error") || says(fields.error) {
        return Inspection::ErrorInside(error_doc(body, fields.error));
    }
    if operation.counts() {
        return match fields.input_tokens {
            Some(_) => Inspection::Good(None),
            None => Inspection::Malformed("the answer has no count of tokens"),
        };
    }
    if !fields
        .content
        .is_some_and(|content| content.get().starts_with('['))
    {
        return match says(fields.message) {
            true => Inspection::ErrorInside(ErrorDoc::of_json(body, None)),
            false => Inspection::Malformed("the answer lacks what was asked for"),
        };
    }
    if let Some(answered) = answered {
        *answered = ResponseMeta {
            id: name(fields.id),
            model: name(fields.model),
            finish_reasons: name(fields.stop_reason).into_iter().collect(),
        };
    }
    Inspection::Good(usage::read_field(fields.usage))
}

/// An event stream in place of a whole answer: the error that it tells, if it tells one.
fn events(text: &[u8]) -> Inspection {
    let mut splitter = EventSplitter::default();
    splitter.push(Bytes::copy_from_slice(text));
    while let Ok(Some(event)) = splitter.next_event() {
        let said = event_of(&event);
        if let Some(error) = said.error {
            return Inspection::ErrorInside(error);
        }
        if said.content || said.done || said.malformed {
            break;
        }
    }
    Inspection::Malformed("asked for a whole answer, got an event stream")
}

/// Looks at one event of a stream.
pub(super) fn event_of(event: &RawEvent) -> StreamEvent {
    let sse = event.read();
    let data = sse.data.trim_ascii();
    let named_error = sse.name == Some(b"error");
    if data.is_empty() {
        return match last_words(event, sse.others) {
            Some(words) => StreamEvent::foreign(ErrorDoc::of_words(&words)),
            None => StreamEvent::default(),
        };
    }
    if data == b"[DONE]" {
        return StreamEvent {
            life: true,
            done: true,
            ..StreamEvent::default()
        };
    }
    let Some(fields) = object::<Fields<'_>>(data) else {
        return match (named_error, sse.name) {
            (true, _) => StreamEvent::foreign(ErrorDoc::of_words(&String::from_utf8_lossy(data))),
            (false, Some(b"ping")) => StreamEvent {
                ping: true,
                ..StreamEvent::default()
            },
            _ => StreamEvent::malformed(),
        };
    };
    let kind = name(fields.kind).unwrap_or_default();
    if named_error || &*kind == "error" || says(fields.error) {
        return StreamEvent {
            error: Some(error_doc(data, fields.error)),
            foreign: &*kind != "error" || !named_error,
            ..StreamEvent::default()
        };
    }
    let quiet = StreamEvent {
        life: true,
        ..StreamEvent::default()
    };
    match &*kind {
        "ping" => StreamEvent::default(),
        "message_start" => StreamEvent {
            // What is told of the answer here is a placeholder.
            usage: usage::read_field(inner::<Fields<'_>>(fields.message).usage).map(|usage| {
                Usage {
                    completion_tokens: None,
                    ..usage
                }
            }),
            ..quiet
        },
        "content_block_start" => StreamEvent {
            content: begins(fields.content_block),
            ..quiet
        },
        "content_block_delta" => StreamEvent {
            content: adds(fields.delta),
            ..quiet
        },
        "message_delta" => StreamEvent {
            finished: u128::from(name(inner::<Fields<'_>>(fields.delta).stop_reason).is_some()),
            usage: usage::read_field(fields.usage),
            ..quiet
        },
        "message_stop" => StreamEvent {
            done: true,
            ..quiet
        },
        _ => quiet,
    }
}

/// What a server wrote between events when it broke down: an error in JSON, without `data:`.
fn last_words(event: &RawEvent, others: bool) -> Option<String> {
    if !others {
        return None;
    }
    let lines: Vec<&[u8]> = event.others().collect();
    let words = lines.join(&b'\n');
    let value: Value = serde_json::from_slice(&words).ok()?;
    let error = value.get("error").is_some() || value.get("message").is_some();
    error.then(|| json!(value).to_string())
}

/// Whether the beginning of a block is content already: a call is, an empty text is not.
fn begins(block: Option<&RawValue>) -> bool {
    let Some(Value::Object(block)) = block.and_then(|raw| serde_json::from_str(raw.get()).ok())
    else {
        return false;
    };
    let filled = |name: &str| {
        block
            .get(name)
            .and_then(Value::as_str)
            .is_some_and(|text| !text.is_empty())
    };
    match block.get("type").and_then(Value::as_str) {
        Some("text") => filled("text"),
        Some("thinking") => filled("thinking"),
        _ => true,
    }
}

/// Whether a delta has anything in it beside its type.
fn adds(delta: Option<&RawValue>) -> bool {
    let Some(Value::Object(delta)) = delta.and_then(|raw| serde_json::from_str(raw.get()).ok())
    else {
        return false;
    };
    let filled = |(name, value): (&String, &Value)| {
        let empty = value.is_null() || value.as_str().is_some_and(str::is_empty);
        name != "type" && !empty
    };
    delta.iter().any(filled)
}

/// Adds what an event says of its answer.
pub(super) fn note(answered: &mut ResponseMeta, event: &RawEvent) {
    let data = event.data();
    let Some(fields) = object::<Fields<'_>>(&data) else {
        return;
    };
    let message = inner::<Fields<'_>>(fields.message);
    answered.id = answered.id.take().or_else(|| name(message.id));
    answered.model = answered.model.take().or_else(|| name(message.model));
    let reason = name(inner::<Fields<'_>>(fields.delta).stop_reason);
    if let Some(reason) = reason.filter(|_| answered.finish_reasons.is_empty()) {
        answered.finish_reasons.push(reason);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(name: &str, data: &str) -> RawEvent {
        RawEvent {
            raw: format!("event: {name}\ndata: {data}\n\n").into(),
        }
    }

    fn see(data: &str) -> StreamEvent {
        event_of(&event("x", data))
    }

    #[test]
    fn the_events_of_a_stream_say_what_they_are() {
        let start = see(
            r#"{"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":10,"cache_read_input_tokens":100,"cache_creation_input_tokens":50,"output_tokens":1}}}"#,
        );
        assert!(start.life && !start.content);
        let usage = start.usage.unwrap();
        assert_eq!(
            (usage.prompt_tokens, usage.cached_tokens),
            (Some(160), Some(100))
        );
        let text =
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
        assert!(!see(text).content);
        let call = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#;
        assert!(see(call).content);
        for (delta, content) in [
            (r#"{"type":"text_delta","text":"a"}"#, true),
            (r#"{"type":"text_delta","text":""}"#, false),
            (r#"{"type":"input_json_delta","partial_json":""}"#, false),
            (r#"{"type":"signature_delta","signature":"x"}"#, true),
            (r#"{"type":"future_delta","more":{"a":1}}"#, true),
        ] {
            let data = format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}}}"#);
            assert_eq!(see(&data).content, content, "{delta}");
        }
        let end = see(
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}"#,
        );
        assert_eq!(
            (end.finished, end.usage.unwrap().completion_tokens),
            (1, Some(9))
        );
        assert!(see(r#"{"type":"message_stop"}"#).done);
        assert_eq!(see(r#"{"type":"ping"}"#), StreamEvent::default());
        assert!(see(r#"{"type":"future_event"}"#).life);
        assert!(see("{cut").malformed);
    }

    #[test]
    fn an_error_names_the_status_that_it_would_have_had() {
        let data = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        let said = event_of(&event("error", data));
        assert_eq!(said.error.unwrap().status, Some(529));
        assert!(!said.foreign);
        let bare = RawEvent {
            raw: Bytes::from_static(b"{\"error\":{\"type\":\"api_error\",\"message\":\"x\"}}\n\n"),
        };
        assert!(event_of(&bare).error.is_some());
        let body = Bytes::from(data);
        let headers = HeaderMap::new();
        let Inspection::ErrorInside(error) = whole(Operation::Messages, &headers, &body, None)
        else {
            panic!("an error")
        };
        assert_eq!(error.status, Some(529));
    }

    #[test]
    fn whole_answers_and_counts_have_their_own_shape() {
        let see = |operation, body: &'static str| {
            whole(
                operation,
                &HeaderMap::new(),
                &Bytes::from_static(body.as_bytes()),
                None,
            )
        };
        let good = r#"{"type":"message","content":[],"stop_reason":"refusal","usage":{"input_tokens":3,"output_tokens":4}}"#;
        let Inspection::Good(Some(usage)) = see(Operation::Messages, good) else {
            panic!("an answer")
        };
        assert_eq!(usage.total(), Some(7));
        let count = r#"{"input_tokens":403}"#;
        assert_eq!(
            see(Operation::CountMessageTokens, count),
            Inspection::Good(None)
        );
        for bad in ["[]", "{}", count, "<html>"] {
            assert!(
                matches!(see(Operation::Messages, bad), Inspection::Malformed(_)),
                "{bad}"
            );
        }
    }

    #[test]
    fn an_answer_says_who_it_is() {
        let mut answered = ResponseMeta::default();
        for data in [
            r#"{"type":"message_start","message":{"id":"msg_1","model":"m"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"}}"#,
        ] {
            note(&mut answered, &event("x", data));
        }
        assert_eq!(answered.id.as_deref(), Some("msg_1"));
        assert_eq!(answered.model.as_deref(), Some("m"));
        assert_eq!(answered.finish_reasons, [Box::<str>::from("tool_use")]);
    }

    proptest! {
        #[test]
        fn nothing_panics(raw in prop::collection::vec(any::<u8>(), 0..80), json in r#"\{"(type|error|delta|usage|message)":[\[\]{}",a-z0-9]{0,20}\}"#) {
            event_of(&RawEvent { raw: raw.clone().into() });
            let event = RawEvent { raw: format!("data: {json}\n\n").into() };
            event_of(&event);
            note(&mut ResponseMeta::default(), &event);
            whole(Operation::Messages, &HeaderMap::new(), &raw.into(), None);
        }
    }
}
