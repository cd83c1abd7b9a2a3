//! Nothing is lost between messages and the neutral form, and what comes from other dialects fits.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use self::any::{block, object, request};
use super::words::ANSWER_TOOL;
use super::*;
use crate::wire::dialect::EventEncoder;
use crate::wire::ir::any::any_stream;
use crate::wire::ir::{ChatRequest, Losses, StreamItem};
use crate::wire::openai::for_tests as chat;
use crate::wire::sse::EventSplitter;

mod any;
mod callers;
mod foreign;

proptest! {
    #[test]
    fn a_request_comes_back_as_it_was(body in request()) {
        let read = decode_request(body.clone()).unwrap();
        let (written, losses) = encode_request(read, &Map::new());
        prop_assert_eq!(Value::Object(written), body);
        prop_assert_eq!(losses, Losses::new());
    }

    #[test]
    fn an_answer_comes_back_as_it_was(
        content in vec(block(), 0..4),
        rest in object(&json!({
            "id": ["msg_1"],
            "model": ["m"],
            "stop_reason": ["end_turn", "tool_use", "max_tokens", "pause_turn", "model_context_window_exceeded",
                "compaction", "refusal"],
            "stop_details": [{"type": "refusal", "explanation": "no"}],
            "usage": [
                {"input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 50, "output_tokens": 2},
                {"input_tokens": 1, "output_tokens": 2, "service_tier": "standard",
                    "output_tokens_details": {"thinking_tokens": 1}}
            ]
        })),
    ) {
        let mut body = rest;
        body["type"] = json!("message");
        body["role"] = json!("assistant");
        body["content"] = Value::from(content);
        let read = decode_answer(body.clone()).unwrap();
        let (written, losses) = encode_answer(read);
        prop_assert_eq!(Value::Object(written), body);
        prop_assert_eq!(losses, Losses::new());
    }

    #[test]
    fn any_stream_keeps_to_the_grammar(mut events in any_stream()) {
        events.push(vec![StreamItem::End]);
        let mut encoder = MessageEncoder::new("openai");
        let said = said(&mut encoder, events);
        grammar(&said);
        prop_assert!(encoder.event(vec![StreamItem::End]).is_empty());
    }

    #[test]
    fn any_stream_is_read_as_it_was_written(mut events in any_stream()) {
        events.push(vec![StreamItem::End]);
        let mut decoder = MessageDecoder::default();
        for data in said(&mut MessageEncoder::new("openai"), events) {
            let raw = format!("data: {data}\n\n").into();
            crate::wire::dialect::EventDecoder::event(&mut decoder, &crate::wire::sse::RawEvent { raw });
        }
    }

    #[test]
    fn any_request_of_chat_completions_fits(body in chat::any_request()) {
        let Ok(mut read) = chat::decode(body) else { return Ok(()) };
        read.model = Some("claude-haiku-4-5".to_owned());
        let (written, _) = encode_request(read, &Map::new());
        turns(&Value::Object(written));
    }
}

/// What holds of the turns of any request.
fn turns(body: &Value) {
    assert!(
        body["max_tokens"].as_u64().is_some() || body["max_tokens"].is_number(),
        "{body}"
    );
    let mut open: Vec<String> = Vec::new();
    let mut last = "assistant".to_owned();
    for message in body["messages"].as_array().unwrap() {
        let role = message["role"].as_str().unwrap();
        assert_ne!(role, last, "{body}");
        last = role.to_owned();
        let blocks = message["content"].as_array().unwrap();
        assert!(!blocks.is_empty());
        let mut texts = false;
        for block in blocks {
            match block["type"].as_str().unwrap() {
                "tool_use" => open.push(block["id"].as_str().unwrap().to_owned()),
                "tool_result" => {
                    assert!(!texts, "results come first: {body}");
                    let id = block["tool_use_id"].as_str().unwrap();
                    let at = open.iter().position(|open| open == id).unwrap();
                    open.remove(at);
                }
                "text" => {
                    texts = true;
                    assert!(!block["text"].as_str().unwrap().trim().is_empty(), "{body}");
                }
                _ => texts = true,
            }
        }
        assert!(role == "assistant" || open.is_empty(), "{body}");
    }
}

/// The data of all events.
fn said(encoder: &mut MessageEncoder, events: Vec<Vec<StreamItem>>) -> Vec<Value> {
    let mut all = Vec::new();
    for items in events {
        let mut splitter = EventSplitter::default();
        splitter.push(encoder.event(items));
        while let Ok(Some(event)) = splitter.next_event() {
            let data: Value = serde_json::from_slice(&event.data()).unwrap();
            assert_eq!(event.name(), data["type"].as_str().map(str::as_bytes));
            all.push(data);
        }
    }
    all
}

/// What holds of any stream of messages.
fn grammar(said: &[Value]) {
    let kinds: Vec<&str> = said
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds[0], "message_start");
    assert_eq!(kinds[kinds.len() - 2..], ["message_delta", "message_stop"]);
    assert_eq!(said[0]["message"]["content"], json!([]));
    assert!(said[0]["message"]["usage"]["input_tokens"].is_u64());
    let end = &said[said.len() - 2];
    assert!(end["usage"]["output_tokens"].is_u64() && end["delta"]["stop_reason"].is_string());
    let (mut next, mut open) = (0, None::<String>);
    for event in &said[1..said.len() - 2] {
        assert_eq!(event["index"], next, "{event}");
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!(open, None);
                let block = &event["content_block"];
                let kind = block["type"].as_str().unwrap();
                assert!(kind != "tool_use" || block["input"] == json!({}));
                open = Some(kind.to_owned());
            }
            "content_block_delta" => {
                let fits: &[&str] = match open.as_deref().unwrap() {
                    "text" => &["text_delta"],
                    "thinking" => &["thinking_delta", "signature_delta"],
                    "tool_use" => &["input_json_delta"],
                    _ => &[],
                };
                assert!(
                    fits.contains(&event["delta"]["type"].as_str().unwrap()),
                    "{event}"
                );
            }
            "content_block_stop" => {
                assert!(open.take().is_some());
                next += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(open, None);
}

/// A request of chat completions as the API takes it, and the names of what was lost.
fn fitted(model: &str, body: Value) -> (Value, Vec<String>) {
    let mut read: ChatRequest = chat::decode(body).unwrap();
    read.model = Some(model.to_owned());
    let (written, losses) = encode_request(read, &Map::new());
    let names = losses.into_iter().map(|loss| loss.path).collect();
    (Value::Object(written), names)
}
