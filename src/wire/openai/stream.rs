//! What one event of a stream says: life, content, an end, usage, an error, or nothing yet.
//!
//! Deliberately tolerant: upstreams differ in missing deltas, early empty choices, usage on every chunk,
//! absent end marks, names of fields. Only what is not JSON at all is malformed.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::envelope::{Piece, ResponseEnvelope};
use super::fields::{fails, tells, word};
use super::foreign::{finite, is_error, last_words, no_object, readable};
use super::inband::{sounds_wrong, status_of};
use crate::domain::dialect::{EventForm, Operation};
use crate::wire::inspection::ErrorDoc;
use crate::wire::inspection::StreamEvent;
use crate::wire::sse::RawEvent;
use crate::wire::usage;

/// Names and types of events that only keep a connection open, as comments do.
const PINGS: [&str; 5] = ["ping", "heartbeat", "keepalive", "keep-alive", "keep_alive"];
/// Parts of the names and types of events that report a model's work without a part of its answer.
const WORK: [&str; 7] = [
    "_call",
    "delta",
    "mcp_",
    "progress",
    "reasoning",
    "thinking",
    "tool",
];

/// Looks at one event.
pub fn inspect(operation: Operation, event: &RawEvent) -> StreamEvent {
    let fields = event.read();
    if fields.others
        && let Some(said) = last_words(event)
    {
        return said;
    }
    let named_error = fields.name == Some(b"error");
    let data = fields.data.trim_ascii();
    if data.is_empty() {
        return StreamEvent::default();
    }
    if data == b"[DONE]" {
        return StreamEvent {
            life: true,
            done: true,
            ..StreamEvent::default()
        };
    }
    let text = readable(data);
    let finite_text;
    let envelope = match ResponseEnvelope::read(&text) {
        Some(envelope) => envelope,
        None => {
            finite_text = finite(&text);
            match finite_text.as_deref().and_then(ResponseEnvelope::read) {
                Some(envelope) => envelope,
                None if !named_error && is_text_ping(fields.name, &text) => {
                    return StreamEvent {
                        ping: true,
                        ..StreamEvent::default()
                    };
                }
                None => return no_object(&text, named_error),
            }
        }
    };
    let said = match operation.events() {
        EventForm::Numbered => response_event(&envelope, fields.name),
        EventForm::Chunks | EventForm::Named | EventForm::Answers => chunk(&envelope, fields.name),
    };
    if !said.failed && !named_error {
        return said.event;
    }
    StreamEvent {
        usage: said.event.usage,
        error: Some(ErrorDoc::of_json(text.as_bytes(), status_of(&envelope))),
        foreign: !is_own_form(operation, &envelope),
        ..StreamEvent::default()
    }
}

/// What a look at an object found.
struct ObjectFinding {
    event: StreamEvent,
    failed: bool,
}

/// Whether an event's name or an object's type is one of these words, or has it inside.
fn is_about(
    envelope: &ResponseEnvelope<'_>,
    name: Option<&[u8]>,
    test: impl Fn(&str) -> bool,
) -> bool {
    let name = name.and_then(|name| std::str::from_utf8(name).ok());
    test(word(envelope.kind)) || name.is_some_and(test)
}

fn is_ping(kind: &str) -> bool {
    PINGS.iter().any(|ping| kind.eq_ignore_ascii_case(ping))
}

/// Whether data that is no object only keeps a connection open: it, or its event's name, says so, or it is a text under
/// a name that no event of an answer has. A text that speaks of an error is none, whatever its name.
fn is_text_ping(name: Option<&[u8]>, data: &str) -> bool {
    let name = name.map(String::from_utf8_lossy);
    let name = name.as_deref().unwrap_or_default().trim();
    if is_ping(name) || is_ping(data.trim_matches([':', '"', '.', ' '])) {
        return true;
    }
    let own = name.is_empty() || name == "message" || name.starts_with("response");
    !own && !data.contains(['{', '[', '<']) && !sounds_wrong(data)
}

fn is_work(kind: &str) -> bool {
    WORK.iter().any(|part| kind.contains(part))
}

/// A chunk of chat or text completions.
fn chunk(envelope: &ResponseEnvelope<'_>, name: Option<&[u8]>) -> ObjectFinding {
    let choices = &envelope.choices;
    let beside = !choices.any && is_about(envelope, name, is_work);
    let mut usage = [envelope.usage, choices.usage].into_iter();
    let usage = usage.find_map(usage::read_field);
    let usage = usage.or_else(|| usage::in_x_groq(envelope.x_groq?));
    ObjectFinding {
        failed: is_error(envelope, name),
        event: StreamEvent {
            life: choices.any || (envelope.any && !is_about(envelope, name, is_ping)),
            content: choices.produced || beside,
            finished: choices.finished,
            usage: usage::with_tier(usage, envelope.service_tier),
            ..StreamEvent::default()
        },
    }
}

#[derive(Deserialize)]
struct ResponseState<'a> {
    #[serde(default, borrow)]
    usage: Option<&'a RawValue>,
    #[serde(default, borrow)]
    service_tier: Option<&'a RawValue>,
    #[serde(default, borrow)]
    status: Option<&'a RawValue>,
}

/// An event of the responses API.
fn response_event(envelope: &ResponseEnvelope<'_>, name: Option<&[u8]>) -> ObjectFinding {
    let kind = word(envelope.kind);
    let own = kind.starts_with("response.");
    let state = envelope
        .response
        .and_then(|raw| serde_json::from_str::<ResponseState<'_>>(raw.get()).ok());
    let status = state.as_ref().map_or("", |state| word(state.status));
    let finish = matches!(kind, "response.completed" | "response.incomplete");
    let ended_badly = matches!(
        kind,
        "response.failed" | "response.error" | "response.cancelled"
    ) || (finish && matches!(status, "failed" | "cancelled"));
    // Its own events have fields of many names: the code of an interpreter, the status of an item.
    let failed = if own {
        ended_badly || fails(envelope.error)
    } else {
        is_error(envelope, name)
    };
    ObjectFinding {
        failed,
        event: StreamEvent {
            life: envelope.any && !is_about(envelope, name, |kind| kind == "ping"),
            content: !finish && is_response_content(envelope, kind),
            finished: u128::from(finish),
            done: finish,
            usage: state.and_then(|state| {
                usage::with_tier(usage::read_field(state.usage), state.service_tier)
            }),
            ..StreamEvent::default()
        },
    }
}

/// Whether an event carries a part of the answer, or reports a tool call. The frame of a text that is still empty
/// (an item that is a message, a part without text) is like the role of a chat completion; what a text or a message
/// was when it is done has been sent before, piece by piece.
fn is_response_content(envelope: &ResponseEnvelope<'_>, kind: &str) -> bool {
    let frame = matches!(
        kind,
        "response.created" | "response.in_progress" | "response.queued"
    );
    let item_done = kind == "response.output_item.done";
    if frame || (kind.ends_with(".done") && !item_done) {
        return false;
    }
    let piece = |raw: Option<&RawValue>| -> bool {
        let Some(raw) = raw else { return false };
        let Ok(piece) = serde_json::from_str::<Piece<'_>>(raw.get()) else {
            return true;
        };
        let told = item_done && word(piece.kind) == "message";
        !told && (piece.produced || is_work(word(piece.kind).trim_start_matches("reasoning")))
    };
    let tool = kind.contains("_call.") || kind.contains(".mcp_");
    tool || envelope.produced || piece(envelope.item) || piece(envelope.part)
}

/// Whether clients of the operation see an error in it.
fn is_own_form(operation: Operation, envelope: &ResponseEnvelope<'_>) -> bool {
    match operation.events() {
        EventForm::Numbered => matches!(word(envelope.kind), "error" | "response.failed"),
        EventForm::Chunks | EventForm::Named | EventForm::Answers => envelope
            .error
            .is_some_and(|error| tells(Some(error)) && error.get().starts_with(['{', '"'])),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn look(operation: Operation, data: &str) -> StreamEvent {
        let raw = Bytes::from(format!("data: {data}\n\n"));
        inspect(operation, &RawEvent { raw })
    }

    /// An event that says no more than that the upstream is at work.
    fn alive() -> StreamEvent {
        StreamEvent {
            life: true,
            ..StreamEvent::default()
        }
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
            alive()
        );
        for delta in [
            r#"{"content":"a"}"#,
            r#"{"reasoning_content":"hm"}"#,
            r#"{"reasoning":"hm"}"#,
            r#"{"refusal":"no"}"#,
            r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":""}}]}"#,
            r#"{"reasoning_text":"hm"}"#,
            r#"{"role":"assistant","content":"","whatever":{"comes":["next"]}}"#,
            r#"{"content":[{"type":"text","text":"a"}]}"#,
            r#"{"content":"\ud83d"}"#,
            r#"{"content":"","content":"twice"}"#,
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
        let groq = chat(
            r#"{"choices":[],"service_tier":"flex","x_groq":{"id":"r","usage":{"prompt_tokens":3,"completion_tokens":4}}}"#,
        );
        let told = groq.usage.unwrap();
        assert_eq!(
            (told.total(), told.details.tier.as_str()),
            (Some(7), "flex")
        );
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
            assert_eq!(chat(odd), alive(), "{odd}");
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
    fn words_alone_are_an_error_of_a_stream_only_when_they_sound_like_one() {
        for fine in [
            r#"{"message":"still working"}"#,
            r#"{"message":"Searching the web"}"#,
            r#"{"type":"message","message":"thinking about it"}"#,
        ] {
            assert!(chat(fine).error.is_none(), "{fine}");
        }
        for wrong in [
            r#"{"message":"Internal server error"}"#,
            r#"{"message":"upstream timed out"}"#,
            r#"{"message":"x","type":"rate_limit_error"}"#,
            r#"{"message":"x","code":1234}"#,
        ] {
            assert!(chat(wrong).error.is_some(), "{wrong}");
        }
    }

    #[test]
    fn a_ping_in_text_is_like_a_comment() {
        let say = |event: &str| {
            let raw = Bytes::from(format!("{event}\n\n"));
            Operation::ALL.map(|operation| inspect(operation, &RawEvent { raw: raw.clone() }))
        };
        for ping in [
            "event: ping\ndata: 2026-11-29 01:00:01",
            "event: PING\ndata: {",
            "event: heartbeat\ndata: 17",
            "data: ping",
            "data: Ping",
            "data: \"ping\"",
            "data: keep-alive",
            "data: : keepalive",
            "data: heartbeat",
            "event: status\ndata: still here",
            "event: ping\ndata: {\"type\":\"ping\"}",
        ] {
            for said in say(ping) {
                let harmless = !said.malformed && said.error.is_none() && !said.life;
                assert!(harmless && !said.content, "{ping} {said:?}");
            }
        }
        for odd in [
            "data: pong?",
            "event: message\ndata: still here",
            "event: status\ndata: {\"cut",
        ] {
            assert!(say(odd).iter().all(|said| said.malformed), "{odd}");
        }
        for wrong in [
            "event: error\ndata: ping",
            "event: status\ndata: backend died",
        ] {
            assert!(
                say(wrong).iter().all(|said| said.error.is_some()),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_finish_reason_that_says_none_is_none() {
        for none in [
            r#""""#,
            r#""null""#,
            r#""none""#,
            r#""None""#,
            r#""NULL""#,
            "null",
        ] {
            let json =
                format!(r#"{{"choices":[{{"delta":{{"content":"x"}},"finish_reason":{none}}}]}}"#);
            assert_eq!(chat(&json).finished, 0, "{none}");
        }
        assert_eq!(
            chat(r#"{"choices":[{"index":100,"finish_reason":"stop"}]}"#).finished,
            1 << 100
        );
    }

    #[test]
    fn reads_the_responses_api() {
        let say = |data| look(Operation::Responses, data);
        assert_eq!(say(r#"{"type":"response.created","response":{}}"#), alive());
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
