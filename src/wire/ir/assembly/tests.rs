//! Answers put together from streams.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::wire::dialects;
use crate::wire::sse::RawEvent;

fn assembled(chunks: &[Value]) -> (ChatAnswer, Losses) {
    let dialect = dialects::usual();
    let mut decoder = dialect.own_event_decoder();
    let mut assembly = Assembly::new(dialect.id());
    for chunk in chunks {
        let raw = Bytes::from(format!("data: {chunk}\n\n"));
        assembly.add(decoder.event(&RawEvent { raw }));
    }
    assembly.finish().unwrap()
}

#[test]
fn chunks_become_one_completion() {
    let chunk = |choice: Value| json!({"id": "c1", "object": "chat.completion.chunk", "created": 5, "model": "m", "system_fingerprint": "fp", "choices": [choice], "obfuscation": "xx"});
    let (answer, losses) = assembled(&[
        chunk(
            json!({"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": {"content": [{"token": "a"}]}}),
        ),
        chunk(json!({"index": 0, "delta": {"reasoning_content": "th"}})),
        chunk(json!({"index": 0, "delta": {"reasoning_content": "ink"}})),
        chunk(
            json!({"index": 0, "delta": {"content": "Hel"}, "logprobs": {"content": [{"token": "b"}]}}),
        ),
        chunk(json!({"index": 1, "delta": {"content": "other"}, "finish_reason": "length"})),
        chunk(json!({"index": 0, "delta": {"content": "lo", "future": 1}})),
        chunk(
            json!({"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"a\""}}]}}),
        ),
        chunk(
            json!({"index": 0, "delta": {"tool_calls": [{"index": 1, "id": "t2", "type": "function", "function": {"name": "g", "arguments": ""}}]}}),
        ),
        chunk(
            json!({"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}}),
        ),
        chunk(json!({"index": 0, "delta": {}, "finish_reason": "tool_calls"})),
        json!({"id": "c1", "object": "chat.completion.chunk", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}),
    ]);
    let caller = dialects::usual_caller();
    let doc = crate::wire::request::RequestDoc::parse(Bytes::from_static(b"{}")).unwrap();
    let (body, _) = caller.encode_answer(crate::domain::dialect::Operation::Chat, &doc, answer);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(
        (&body["id"], &body["created"], &body["system_fingerprint"]),
        (&json!("c1"), &json!(5), &json!("fp"))
    );
    assert_eq!(body["usage"]["total_tokens"], 5);
    assert!(body.get("obfuscation").is_none(), "{body}");
    let message = &body["choices"][0]["message"];
    assert_eq!(message["content"], "Hello");
    assert_eq!(message["reasoning_content"], "think");
    assert_eq!(message["role"], "assistant");
    assert_eq!(
        message["tool_calls"],
        json!([
            {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
            {"id": "t2", "type": "function", "function": {"name": "g", "arguments": ""}},
        ])
    );
    assert_eq!(body["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(
        body["choices"][0]["logprobs"]["content"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        (
            &body["choices"][1]["message"]["content"],
            &body["choices"][1]["finish_reason"]
        ),
        (&json!("other"), &json!("length"))
    );
    assert!(losses.len() <= 1, "{losses:?}");
}

/// The message of a completion that was fetched as chunks with these deltas.
fn message(deltas: &[Value]) -> Value {
    let chunk = |delta: &Value| json!({"choices": [{"index": 0, "delta": delta}]});
    let (answer, losses) = assembled(&deltas.iter().map(chunk).collect::<Vec<_>>());
    assert!(losses.is_empty(), "{losses:?}");
    let caller = dialects::usual_caller();
    let doc = crate::wire::request::RequestDoc::parse(Bytes::from_static(b"{}")).unwrap();
    let (body, _) = caller.encode_answer(crate::domain::dialect::Operation::Chat, &doc, answer);
    let mut body: Value = serde_json::from_slice(&body).unwrap();
    assert!(body["choices"][0].get("delta").is_none(), "{body}");
    body["choices"][0]["message"].take()
}

#[test]
fn pictures_and_sounds_of_chunks_are_in_the_message() {
    let image = |data: &str| json!({"type": "image_url", "image_url": {"url": data}});
    let told = message(&[
        json!({"role": "assistant", "content": "", "refusal": null, "tool_calls": []}),
        json!({"content": "Look", "images": [image("data:a")], "audio": {"id": "a1", "transcript": "Lo"}}),
        json!({"images": [image("data:b")], "audio": {"data": "YQ==", "transcript": "ok"}}),
        json!({"audio": {"data": "YmM=", "expires_at": 5}, "channel": "final"}),
        json!({"channel": "final"}),
    ]);
    assert_eq!(
        told,
        json!({
            "role": "assistant", "content": "Look", "channel": "final",
            "images": [image("data:a"), image("data:b")],
            "audio": {"id": "a1", "transcript": "Look", "data": "YWJj", "expires_at": 5},
        })
    );
}

#[test]
fn thoughts_that_stand_in_several_fields_are_whole_in_each() {
    let detail = |text: &str| json!([{"type": "reasoning.text", "index": 0, "text": text}]);
    let told = message(&[
        json!({"reasoning": "h", "reasoning_content": "h", "reasoning_details": detail("h")}),
        json!({"reasoning": "m", "reasoning_content": "m", "reasoning_details": detail("m")}),
        json!({"content": "ok"}),
    ]);
    assert_eq!(
        (&told["reasoning"], &told["reasoning_content"]),
        (&json!("hm"), &json!("hm"))
    );
    assert_eq!(told["reasoning_details"], detail("hm"));
}

#[test]
fn details_of_reasoning_are_joined_by_their_index() {
    let chunk = |details: Value| json!({"choices": [{"index": 0, "delta": {"reasoning_details": details}}]});
    let (answer, _) = assembled(&[
        chunk(json!([{"type": "reasoning.text", "index": 0, "text": "a"}])),
        chunk(json!([{"type": "reasoning.text", "index": 0, "text": "b", "signature": "s"}])),
        chunk(json!([{"type": "reasoning.encrypted", "index": 1, "data": "x"}])),
    ]);
    let caller = dialects::usual_caller();
    let doc = crate::wire::request::RequestDoc::parse(Bytes::from_static(b"{}")).unwrap();
    let (body, _) = caller.encode_answer(crate::domain::dialect::Operation::Chat, &doc, answer);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        body["choices"][0]["message"]["reasoning_details"],
        json!([
            {"type": "reasoning.text", "index": 0, "text": "ab", "signature": "s"},
            {"type": "reasoning.encrypted", "index": 1, "data": "x"},
        ])
    );
}

proptest! {
    #[test]
    fn text_in_any_pieces_is_the_text(pieces in prop::collection::vec("\\PC{0,8}", 0..12)) {
        let chunks: Vec<Value> = pieces.iter().map(|text| json!({"choices": [{"index": 0, "delta": {"content": text}}]})).collect();
        let (answer, _) = assembled(&chunks);
        let said: String = answer.candidates.iter().flat_map(|one| &one.message.parts).map(|part| match &part.body {
            PartBody::Text { text, .. } => text.clone(),
            other => panic!("{other:?}"),
        }).collect();
        prop_assert_eq!(said, pieces.concat());
    }
}
