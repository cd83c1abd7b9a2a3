//! Answers of upstreams that give no ids.

use super::*;

const PLAIN: &str = r#"{"model":"q","message":{"role":"assistant","content":"a","tool_calls":[{"function":{"name":"f","arguments":{}}},{"id":"x","function":{"name":"f","arguments":{}}},{"id":"x","function":{"name":"f","arguments":{}}}]},"done":true}"#;
const GEMINI: &str = r#"{"candidates":[{"content":{"parts":[{"text":"a"},{"functionCall":{"name":"f"}}]},"finishReason":"STOP"}]}"#;
const CHAT: &str = r#"{"id":"","model":"","choices":[{"index":0,"message":{"role":"assistant","content":"a","tool_calls":[{"id":"","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#;
const BEDROCK: &str = r#"{"output":{"message":{"role":"assistant","content":[{"text":"a"}]}},"stopReason":"end_turn"}"#;

fn stamp(unique: u128) -> AttemptStamp {
    AttemptStamp {
        unique,
        ..super::stamp(5)
    }
}

/// The strings behind fields of this name, anywhere.
fn all<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(name).and_then(Value::as_str));
            fields.values().for_each(|value| all(value, name, found));
        }
        Value::Array(items) => items.iter().for_each(|value| all(value, name, found)),
        _ => {}
    }
}

fn found<'a>(value: &'a Value, name: &str) -> Vec<&'a str> {
    let mut strings = Vec::new();
    all(value, name, &mut strings);
    strings
}

#[test]
fn two_answers_without_ids_have_no_id_in_common() {
    let callers = [
        (Operation::Chat, "id", "chatcmpl-"),
        (Operation::Messages, "id", "msg_"),
        (Operation::Responses, "id", "resp_"),
        (Operation::GenerateContent, "responseId", ""),
    ];
    for (upstream, body) in [
        ("ollama", PLAIN),
        ("gemini", GEMINI),
        ("openai", CHAT),
        ("bedrock", BEDROCK),
    ] {
        for (operation, field, prefix) in callers {
            let upstream = dialects::upstream(upstream).unwrap();
            let exchange = Exchange::new(operation, upstream).unwrap();
            if exchange.is_identity() {
                continue;
            }
            let asked =
                doc(&json!({"model": "asked", "messages": [], "input": [], "contents": []}));
            let told = |unique| {
                let answer = exchange.answer(
                    &asked,
                    &mut HeaderMap::new(),
                    Bytes::from_static(body.as_bytes()),
                    stamp(unique),
                    &mut Dropped::default(),
                );
                serde_json::from_slice::<Value>(&answer.unwrap()).unwrap()
            };
            let (one, other) = (told(7), told(8));
            let id = one[field].as_str().unwrap_or_default();
            let name = format!("{operation:?} at {upstream:?}: {one}");
            assert!(
                id.starts_with(prefix) && id.len() > prefix.len() + 20,
                "{name}"
            );
            for field in ["id", "responseId", "call_id"] {
                let ids = found(&one, field);
                let again = found(&other, field);
                assert!(
                    ids.iter().all(|id| *id == "x" || !again.contains(id)),
                    "{name}"
                );
                let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
                assert_eq!(distinct.len(), ids.len(), "{name}");
            }
            let model = found(&one, "model")
                .into_iter()
                .chain(found(&one, "modelVersion"));
            assert!(model.into_iter().all(|model| !model.is_empty()), "{name}");
        }
    }
}

#[test]
fn a_stream_keeps_its_made_ids_and_takes_one_that_comes_before_its_words() {
    let upstream = dialects::upstream("openai").unwrap();
    let exchange = Exchange::new(Operation::Messages, upstream).unwrap();
    let asked = doc(&json!({"model": "asked", "messages": [], "max_tokens": 5, "stream": true}));
    let chunks = |id: &str| {
        [
            json!({"id": "", "model": "", "choices": []}),
            json!({"id": id, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "a"}}]}),
            json!({"id": id, "choices": [{"index": 0, "delta": {"tool_calls": [
                {"index": 0, "id": "", "function": {"name": "f", "arguments": "{"}}]}}]}),
            json!({"id": id, "choices": [{"index": 0, "delta": {"tool_calls": [
                {"index": 0, "function": {"arguments": "}"}}]}}]}),
            json!({"id": id, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
        ]
    };
    let says = |id: &str, unique| {
        let mut translation = exchange
            .translation(&asked, &HeaderMap::new(), stamp(unique))
            .unwrap();
        let mut out = String::new();
        for chunk in chunks(id) {
            let raw = format!("data: {chunk}\n\n").into();
            for event in translation.event(&RawEvent { raw }) {
                out.push_str(&String::from_utf8_lossy(&event.raw));
            }
        }
        out
    };
    let digits = "000000000000000000000007";
    let made = says("", 7);
    assert!(made.contains(&format!(r#""id":"msg_{digits}""#)), "{made}");
    assert!(
        made.contains(&format!(r#""id":"toolu_{digits}_0""#)),
        "{made}"
    );
    assert!(made.contains(r#""model":"asked""#), "{made}");
    assert_eq!(made.matches("message_start").count(), 2, "{made}");
    let told = says("own", 7);
    assert!(told.contains(r#""id":"msg_own""#), "{told}");
}
