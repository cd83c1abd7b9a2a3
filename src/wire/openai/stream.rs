//! What one event of a stream says: content, an end, usage, an error, or nothing yet.
//!
//! Deliberately tolerant: upstreams differ in missing deltas, early empty choices, usage on every chunk,
//! absent end marks. Only what is not JSON at all is malformed.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::usage::{self, Usage};
use crate::domain::dialect::Operation;
use crate::wire::sse::RawEvent;

/// An error found inside a 2xx: in a stream, or in place of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErrorDoc {
    /// The HTTP status it names, if it does.
    pub status: Option<u16>,
    /// The JSON in which it came.
    pub body: Bytes,
}

/// What one event says. All flags may be false: a comment, or a head without content.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StreamEvent {
    /// Text, reasoning, a refusal, or a part of a tool call.
    pub content: bool,
    /// The choices that are complete (a finish reason, a completed response): one bit each, by index.
    pub finished: u64,
    /// Nothing follows.
    pub done: bool,
    /// Not what was asked for.
    pub malformed: bool,
    /// Token counts, if it carries any.
    pub usage: Option<Usage>,
    /// An error.
    pub error: Option<ErrorDoc>,
}

/// Looks at one event.
pub fn inspect(operation: Operation, event: &RawEvent) -> StreamEvent {
    let data = event.data();
    if data.is_empty() {
        return StreamEvent::default();
    }
    if data.as_ref() == b"[DONE]" {
        return StreamEvent {
            done: true,
            ..StreamEvent::default()
        };
    }
    let said = match operation {
        Operation::Responses => response_event(&data),
        Operation::Chat
        | Operation::Completions
        | Operation::Embeddings
        | Operation::Moderations => chunk(&data),
    };
    // A list would fill a struct too, field by field.
    let object = data.trim_ascii_start().first() == Some(&b'{');
    let Some(mut said) = said.filter(|_| object) else {
        return StreamEvent {
            malformed: true,
            ..StreamEvent::default()
        };
    };
    if event.name() == Some(b"error") && said.error.is_none() {
        said.error = Some(error_doc(&data, None));
    }
    said
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(default, borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(default, borrow)]
    usage: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    status_code: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default, borrow)]
    index: Option<&'a RawValue>,
    #[serde(default, borrow)]
    delta: Option<Delta<'a>>,
    #[serde(default, borrow)]
    message: Option<Delta<'a>>,
    #[serde(default, borrow)]
    text: Option<&'a RawValue>,
    #[serde(default, borrow)]
    finish_reason: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reasoning_details: Option<&'a RawValue>,
    #[serde(default, borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(default, borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(default, borrow)]
    function_call: Option<&'a RawValue>,
    #[serde(default, borrow)]
    audio: Option<&'a RawValue>,
    #[serde(default, borrow)]
    images: Option<&'a RawValue>,
}

/// Whether something is really there: not absent, not null, not an empty string, list or object.
fn filled(value: Option<&RawValue>) -> bool {
    value.is_some_and(|value| !matches!(value.get(), "null" | "\"\"" | "[]" | "{}"))
}

impl Delta<'_> {
    fn has_content(&self) -> bool {
        [
            self.content,
            self.reasoning_content,
            self.reasoning,
            self.reasoning_details,
            self.refusal,
            self.tool_calls,
            self.function_call,
            self.audio,
            self.images,
        ]
        .into_iter()
        .any(filled)
    }
}

/// The bits of the choices that a chunk completes.
fn finished(choices: &[Choice<'_>]) -> u64 {
    let complete = choices.iter().filter(|choice| filled(choice.finish_reason));
    complete.fold(0, |bits, choice| {
        let index = choice
            .index
            .and_then(|index| index.get().parse::<u32>().ok());
        bits | 1u64.checked_shl(index.unwrap_or(0)).unwrap_or(0)
    })
}

/// A chunk of chat or text completions.
fn chunk(data: &[u8]) -> Option<StreamEvent> {
    let chunk: Chunk<'_> = serde_json::from_slice(data).ok()?;
    let choices = chunk.choices.unwrap_or_default();
    let finish_reasons = choices.iter().filter_map(|choice| choice.finish_reason);
    let broke = finish_reasons
        .clone()
        .any(|reason| reason.get() == "\"error\"");
    let content = choices.iter().any(|choice| {
        let parts = [choice.delta.as_ref(), choice.message.as_ref()];
        filled(choice.text) || parts.into_iter().flatten().any(Delta::has_content)
    });
    let stray_status = chunk.status_code.is_some() && choices.is_empty();
    let error = (filled(chunk.error) || broke || stray_status).then(|| {
        let status = chunk
            .status_code
            .and_then(|status| status.get().trim_matches('"').parse().ok());
        error_doc(data, status)
    });
    Some(StreamEvent {
        content,
        finished: if broke { 0 } else { finished(&choices) },
        done: false,
        malformed: false,
        usage: chunk
            .usage
            .and_then(|raw| usage::read(raw.get().as_bytes())),
        error,
    })
}

#[derive(Deserialize)]
struct ResponseEvent<'a> {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default, borrow)]
    response: Option<ResponseState<'a>>,
    #[serde(default, borrow)]
    item: Option<Item<'a>>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ResponseState<'a> {
    #[serde(default, borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(rename = "type", default, borrow)]
    kind: Option<&'a RawValue>,
}

/// An event of the responses API.
fn response_event(data: &[u8]) -> Option<StreamEvent> {
    let event: ResponseEvent<'_> = serde_json::from_slice(data).ok()?;
    let kind = event.kind.as_deref().unwrap_or_default();
    let finish = matches!(kind, "response.completed" | "response.incomplete");
    let failed =
        matches!(kind, "response.failed" | "error") || (kind.is_empty() && filled(event.error));
    let new_call = kind == "response.output_item.added"
        && event
            .item
            .and_then(|item| item.kind)
            .is_some_and(|kind| kind.get().contains("call"));
    Some(StreamEvent {
        content: kind.ends_with(".delta") || new_call,
        finished: u64::from(finish),
        done: finish,
        malformed: false,
        usage: event
            .response
            .and_then(|response| usage::read(response.usage?.get().as_bytes())),
        error: failed.then(|| error_doc(data, None)),
    })
}

fn error_doc(data: &[u8], status: Option<u16>) -> ErrorDoc {
    ErrorDoc {
        status,
        body: Bytes::copy_from_slice(data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(operation: Operation, data: &str) -> StreamEvent {
        let raw = Bytes::from(format!("data: {data}\n\n"));
        inspect(operation, &RawEvent { raw })
    }

    fn chat(data: &str) -> StreamEvent {
        look(Operation::Chat, data)
    }

    #[test]
    fn a_role_alone_is_no_content_and_every_kind_of_content_is() {
        assert_eq!(
            chat(
                r#"{"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#
            ),
            StreamEvent::default()
        );
        for delta in [
            r#"{"content":"a"}"#,
            r#"{"reasoning_content":"hm"}"#,
            r#"{"reasoning":"hm"}"#,
            r#"{"refusal":"no"}"#,
            r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":""}}]}"#,
        ] {
            assert!(
                chat(&format!(r#"{{"choices":[{{"delta":{delta}}}]}}"#)).content,
                "{delta}"
            );
        }
        assert!(look(Operation::Completions, r#"{"choices":[{"text":"a"}]}"#).content);
    }

    #[test]
    fn tells_the_end_the_usage_and_the_end_mark() {
        let last = chat(
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
        );
        assert!(last.finished == 1 && !last.content);
        assert_eq!(last.usage.unwrap().total(), Some(7));
        assert!(chat("[DONE]").done);
        let usage = chat(r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#);
        assert!(usage.finished == 0 && usage.usage.is_some());
    }

    #[test]
    fn tolerates_what_upstreams_leave_out() {
        for odd in [
            r#"{"choices":[]}"#,
            r#"{"choices":[{"index":0}]}"#,
            r#"{"choices":null,"usage":null}"#,
            r#"{"id":"x"}"#,
        ] {
            assert_eq!(chat(odd), StreamEvent::default(), "{odd}");
        }
    }

    #[test]
    fn finds_errors_in_all_their_forms() {
        assert!(
            chat(r#"{"error":{"message":"overloaded","code":503}}"#)
                .error
                .is_some()
        );
        assert!(chat(r#"{"error":"boom"}"#).error.is_some());
        assert_eq!(
            chat(r#"{"status_code":429,"message":"slow down"}"#)
                .error
                .unwrap()
                .status,
            Some(429)
        );
        assert!(
            chat(r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#)
                .error
                .is_some()
        );
        let named = Bytes::from_static(b"event: error\ndata: {\"message\":\"x\"}\n\n");
        assert!(
            inspect(Operation::Chat, &RawEvent { raw: named })
                .error
                .is_some()
        );
        assert!(chat(r#"{"error":null,"choices":[]}"#).error.is_none());
        for text in ["{not json", "[]", "[[{}]]", "1", "null"] {
            assert!(chat(text).malformed, "{text}");
        }
    }

    #[test]
    fn reads_the_responses_api() {
        let say = |data| look(Operation::Responses, data);
        assert_eq!(
            say(r#"{"type":"response.created","response":{}}"#),
            StreamEvent::default()
        );
        assert!(say(r#"{"type":"response.output_text.delta","delta":"a"}"#).content);
        assert!(
            say(r#"{"type":"response.output_item.added","item":{"type":"function_call"}}"#).content
        );
        let end = say(
            r#"{"type":"response.completed","response":{"usage":{"input_tokens":1,"output_tokens":2}}}"#,
        );
        assert!(end.finished == 1 && end.done);
        assert_eq!(end.usage.unwrap().total(), Some(3));
        assert!(
            say(r#"{"type":"response.failed","response":{"error":{"code":"server_error"}}}"#)
                .error
                .is_some()
        );
    }
}
