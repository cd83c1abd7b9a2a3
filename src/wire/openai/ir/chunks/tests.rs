//! Whatever another dialect says, the caller reads a stream of chunks.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::wire::ir::any::any_stream;
use crate::wire::sse::{EventSplitter, RawEvent};

/// The data of all events.
fn said(encoder: &mut ForeignChunks, events: Vec<Vec<StreamItem>>) -> Vec<String> {
    let mut all = Vec::new();
    for items in events {
        let mut splitter = EventSplitter::default();
        splitter.push(encoder.event(items));
        while let Ok(Some(event)) = splitter.next_event() {
            all.push(data(&event));
        }
    }
    all
}

fn data(event: &RawEvent) -> String {
    String::from_utf8(event.data().into_owned()).unwrap()
}

fn delta(delta: ContentDelta) -> StreamItem {
    StreamItem::Delta {
        candidate: 0,
        delta,
    }
}

/// What holds of any stream of chunks.
fn check(said: &[String], wants_usage: bool) {
    let (last, chunks) = said.split_last().unwrap();
    assert_eq!(last, "[DONE]");
    let mut ids = std::collections::BTreeSet::new();
    let mut open: std::collections::BTreeMap<u64, (u64, bool)> = Default::default();
    let mut usages = 0;
    for chunk in chunks {
        let chunk: Value = serde_json::from_str(chunk).unwrap();
        assert_eq!(chunk["object"], "chat.completion.chunk");
        ids.insert(chunk["id"].as_str().unwrap().to_owned());
        let choices = chunk["choices"].as_array().unwrap();
        if choices.is_empty() {
            assert!(chunk["usage"].is_object());
            usages += 1;
        }
        assert!(usages == 0 || choices.is_empty(), "only counts at the end");
        for choice in choices {
            let index = choice["index"].as_u64().unwrap();
            let first = !open.contains_key(&index);
            let (calls, finished) = open.entry(index).or_default();
            assert!(!*finished, "{chunk}");
            assert_eq!(choice["delta"]["role"].is_string(), first, "{chunk}");
            for call in choice["delta"]["tool_calls"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let place = call["index"].as_u64().unwrap();
                if call["id"].is_string() {
                    assert_eq!(place, *calls);
                    let kind = call["type"].as_str().unwrap();
                    assert!(call[kind]["name"].is_string());
                    *calls += 1;
                }
                assert!(place < *calls);
            }
            *finished = choice["finish_reason"].is_string();
        }
    }
    assert!(ids.len() == 1 && open.values().all(|(_, finished)| *finished));
    assert!(usages <= usize::from(wants_usage));
}

proptest! {
    #[test]
    fn any_stream_keeps_to_the_grammar(mut events in any_stream(), wants_usage in any::<bool>()) {
        events.push(vec![StreamItem::End]);
        let mut encoder = ForeignChunks::new(wants_usage, CustomTools::default());
        check(&said(&mut encoder, events), wants_usage);
        prop_assert!(encoder.event(vec![StreamItem::End]).is_empty());
    }
}

#[test]
fn arguments_of_none_become_an_object_and_indexes_count_calls_alone() {
    let call = |index, name: Option<&str>, arguments: Option<&str>| {
        delta(ContentDelta::ToolCall {
            index,
            id: name.map(|name| format!("id_{name}")),
            name: name.map(str::to_owned),
            arguments: arguments.map(str::to_owned),
            kind: ToolCallKind::Function,
            signature: None,
            extra: Extra::new(),
        })
    };
    let mut encoder = ForeignChunks::new(false, CustomTools::default());
    let said = said(
        &mut encoder,
        vec![
            vec![call(1, Some("f"), None)],
            vec![call(4, Some("g"), None)],
            vec![call(4, None, Some("{\"a\":1}"))],
            vec![StreamItem::Stop {
                candidate: 0,
                reason: StopReason::EndTurn,
            }],
            vec![StreamItem::End],
        ],
    );
    check(&said, false);
    let all = said.join("\n");
    assert!(
        all.contains(r#"{"index":0,"id":"id_f","type":"function""#),
        "{all}"
    );
    assert!(
        all.contains(r#"{"index":0,"function":{"arguments":"{}"}}"#),
        "{all}"
    );
    assert!(all.contains(r#""finish_reason":"tool_calls""#), "{all}");
}

#[test]
fn what_is_signed_comes_in_one_piece_with_its_words_and_its_maker() {
    let thought = |text: Option<&str>, signature: Option<&str>| {
        delta(ContentDelta::Reasoning(ReasoningPart {
            text: text.map(str::to_owned),
            signature: signature.map(str::to_owned),
            maker: Some("anthropic".into()),
            ..ReasoningPart::default()
        }))
    };
    let mut encoder = ForeignChunks::new(false, CustomTools::default());
    let said = said(
        &mut encoder,
        vec![
            vec![thought(Some("Look "), None)],
            vec![thought(Some("it up."), None)],
            vec![thought(None, Some("c2ln"))],
            vec![StreamItem::End],
        ],
    );
    check(&said, false);
    let signed: Value = serde_json::from_str(&said[2]).unwrap();
    assert_eq!(
        signed["choices"][0]["delta"]["reasoning_details"],
        json!([{"type": "reasoning.text", "text": "Look it up.", "signature": "c2ln",
                "format": "anthropic-claude-v1"}])
    );
}
