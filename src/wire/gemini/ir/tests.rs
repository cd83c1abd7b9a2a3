//! Nothing is lost between Gemini's API and the neutral form, and what comes from other dialects fits.

use proptest::prelude::*;
use serde_json::{Value, json};

use any::{answer, any_json, request};

use super::request::decode_request;
use super::*;
use crate::wire::dialect::{EventDecoder, EventEncoder};
use crate::wire::gemini::tool_names::GeminiToolNames;
use crate::wire::ir::StreamItem;
use crate::wire::ir::any::any_stream;
use crate::wire::openai::for_tests as chat;
use crate::wire::sse::{EventSplitter, RawEvent};

mod any;
mod foreign;
mod pieces;

/// The same without what says nothing.
fn plain(mut body: Value) -> Value {
    let nothing = |value: &Value| *value == json!([]) || *value == json!({});
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|name, value| name != "systemInstruction" || value.get("parts").is_some());
        // A single one without its list.
        if let Some(tool) = fields
            .get("tools")
            .filter(|tools| tools.is_object())
            .cloned()
        {
            fields.insert("tools".to_owned(), json!([tool]));
        }
        for name in ["tools", "contents"] {
            if fields.get(name).is_some_and(nothing) {
                fields.remove(name);
            }
        }
        if let Some(config) = fields
            .get_mut("generationConfig")
            .and_then(Value::as_object_mut)
        {
            config.retain(|_, value| !nothing(value));
        }
        if fields.get("generationConfig").is_some_and(nothing) {
            fields.remove("generationConfig");
        }
    }
    body
}

/// Usage that is there without a count in it.
fn counted(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|name, value| name != "usageMetadata" || *value != json!({"x": 1.0}));
    }
    body
}

/// The data of all events.
pub(super) fn said(encoder: &mut ContentEncoder, events: Vec<Vec<StreamItem>>) -> Vec<Value> {
    let mut all = Vec::new();
    for items in events {
        let mut splitter = EventSplitter::default();
        splitter.push(encoder.event(items));
        while let Ok(Some(event)) = splitter.next_event() {
            assert_eq!(event.name(), None);
            all.push(serde_json::from_slice(&event.data()).unwrap());
        }
    }
    all
}

/// What holds of any stream of Gemini's.
fn check_stream(events: &[Value]) {
    let (last, others) = events.split_last().unwrap();
    for event in events {
        assert!(
            event["candidates"]
                .as_array()
                .is_some_and(|all| !all.is_empty()),
            "{event}"
        );
        for candidate in event["candidates"].as_array().into_iter().flatten() {
            assert_eq!(candidate["content"]["role"], "model");
            for part in candidate["content"]["parts"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let signs = part.get("thoughtSignature").is_some();
                assert!(part["text"] != "" || signs, "{event}");
                if let Some(call) = part.get("functionCall") {
                    assert!(call["args"].is_object() && call["name"] != "", "{event}");
                }
            }
        }
    }
    for event in others {
        assert!(
            event["candidates"]
                .as_array()
                .unwrap()
                .iter()
                .all(|one| one.get("finishReason").is_none())
        );
    }
    assert!(last["usageMetadata"].is_object());
    for candidate in last["candidates"].as_array().unwrap() {
        assert!(candidate["finishReason"].is_string(), "{last}");
    }
}

proptest! {
    #[test]
    fn nothing_of_a_request_is_lost(body in request()) {
        let Ok(decoded) = decode_request(body.clone()) else { return Ok(()) };
        let (encoded, losses) = encode_request(decoded.clone());
        prop_assert_eq!(plain(encoded.clone()), plain(body));
        prop_assert!(losses.is_empty(), "{:?}", losses);
        prop_assert_eq!(decode_request(encoded).unwrap(), decoded);
    }

    #[test]
    fn nothing_of_an_answer_is_lost(body in answer()) {
        let decoded = decode_answer(body.clone()).unwrap();
        let (encoded, losses) = encode_answer(decoded, &GeminiToolNames::default());
        prop_assert_eq!(counted(encoded), counted(body));
        prop_assert!(losses.is_empty(), "{:?}", losses);
    }

    #[test]
    fn no_body_panics(body in any_json(), raw in any::<Vec<u8>>()) {
        if let Ok(request) = decode_request(body.clone()) {
            drop(encode_request(request));
        }
        if let Ok(answer) = decode_answer(body.clone()) {
            drop(chat::encode_answer(answer));
        }
        let mut decoder = ContentDecoder::default();
        for raw in [format!("data: {body}\n\n").into_bytes(), raw] {
            decoder.event(&RawEvent { raw: raw.into() });
        }
    }

    #[test]
    fn any_stream_keeps_to_the_grammar(mut events in any_stream()) {
        events.push(vec![StreamItem::End]);
        let mut encoder = ContentEncoder::new(GeminiToolNames::default(), "");
        check_stream(&said(&mut encoder, events));
        prop_assert!(encoder.event(vec![StreamItem::End]).is_empty());
    }

    #[test]
    fn any_request_of_chat_completions_fits(body in chat::any_request()) {
        if let Ok(request) = chat::decode(body) {
            foreign::check_contents(&encode_request(request).0);
        }
    }

    #[test]
    fn any_request_fits_chat_completions_and_comes_back(body in request()) {
        let Ok(decoded) = decode_request(body) else { return Ok(()) };
        let (written, _) = chat::encode(decoded);
        foreign::check_contents(&encode_request(chat::decode(written).unwrap()).0);
    }
}
