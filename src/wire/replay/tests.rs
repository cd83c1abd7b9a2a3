//! Each dialect's answers are told, and put together again.

use serde_json::json;

use super::*;
use crate::wire::collected::CollectedAnswer;
use crate::wire::request::RequestDoc;
use crate::wire::sse::RawEvent;

fn again(operation: Operation, answer: &Value, piece: usize) -> Value {
    let options = ReplayOptions { usage: true, piece };
    let events = events(operation, answer.to_string().as_bytes(), options).unwrap();
    let mut collected = CollectedAnswer::new(operation).unwrap();
    for raw in events {
        collected.add(&RawEvent { raw });
    }
    let doc = RequestDoc::parse(Bytes::from_static(b"{}")).unwrap();
    let (body, losses) = collected.whole(&doc).unwrap();
    assert!(losses.is_empty(), "{losses:?}");
    serde_json::from_slice(&body).unwrap()
}

fn answers() -> [(Operation, Value); 5] {
    [
        (
            Operation::Chat,
            json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
                {"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": "abc",
                 "reasoning_content": "hm so", "tool_calls": [{"id": "t", "type": "function",
                 "function": {"name": "f", "arguments": "{\"a\":1}"}}]}}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}),
        ),
        (
            Operation::Completions,
            json!({"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [
                {"text": "abcdef", "index": 0, "finish_reason": "stop", "logprobs": {"tokens": ["abc", "def"]}}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}),
        ),
        (
            Operation::Messages,
            json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [
                {"type": "thinking", "thinking": "hm so", "signature": "s"},
                {"type": "text", "text": "abc"},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}],
                "stop_reason": "tool_use", "stop_sequence": null,
                "usage": {"input_tokens": 10, "output_tokens": 5}}),
        ),
        (
            Operation::Responses,
            json!({"id": "r", "object": "response", "status": "completed", "model": "m", "output": [
                {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm so"}]},
                {"type": "message", "id": "ms", "status": "completed", "role": "assistant",
                 "content": [{"type": "output_text", "text": "abc", "annotations": []}]},
                {"type": "function_call", "id": "fc", "status": "completed", "call_id": "t", "name": "f", "arguments": "{}"}],
                "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}}),
        ),
        (
            Operation::GenerateContent,
            json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "hm so", "thought": true},
                {"text": "abc"}, {"functionCall": {"name": "f", "args": {"a": 1}}}]}, "finishReason": "STOP", "index": 0}],
                "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
                "modelVersion": "m", "responseId": "r"}),
        ),
    ]
}

/// With the members of each object sorted.
fn sorted(value: &Value) -> Vec<u8> {
    let body = value.to_string();
    crate::wire::canonical::object(body.as_bytes(), |_, value| value == b"null").unwrap()
}

#[test]
fn an_answer_that_is_told_says_what_it_said() {
    for (operation, answer) in answers() {
        for piece in [usize::MAX, 2] {
            let mut told = again(operation, &answer, piece);
            if let Some(choice) = told
                .pointer_mut("/choices/0")
                .and_then(Value::as_object_mut)
            {
                choice.retain(|_, value| !value.is_null());
            }
            let (told, answer) = (sorted(&told), sorted(&answer));
            assert_eq!(
                String::from_utf8_lossy(&told),
                String::from_utf8_lossy(&answer),
                "{operation:?} {piece}"
            );
        }
    }
}

#[test]
fn thoughts_come_before_the_text_and_counts_only_when_they_are_asked_for() {
    let [(operation, answer), ..] = answers();
    let of = |usage| {
        let options = ReplayOptions {
            usage,
            piece: usize::MAX,
        };
        let events = events(operation, answer.to_string().as_bytes(), options).unwrap();
        let text = events.concat();
        String::from_utf8(text).unwrap()
    };
    let text = of(true);
    let places = [
        "hm so",
        "abc",
        "\"f\"",
        "tool_calls\"",
        "prompt_tokens",
        "[DONE]",
    ];
    let places = places.map(|mark| text.rfind(mark).unwrap());
    assert!(places[0] < places[1] && places[1] < places[2], "{text}");
    assert!(places[2] < places[4] && places[4] < places[5], "{text}");
    assert!(!of(false).contains("prompt_tokens"));
}

#[test]
fn what_has_no_streams_is_not_told() {
    let options = ReplayOptions {
        usage: true,
        piece: usize::MAX,
    };
    assert_eq!(events(Operation::Embeddings, b"{}", options), None);
    assert_eq!(events(Operation::Chat, b"{}", options), None);
}
