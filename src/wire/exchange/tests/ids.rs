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

const CALLERS: [Operation; 4] = [
    Operation::Chat,
    Operation::Messages,
    Operation::Responses,
    Operation::GenerateContent,
];
const UPSTREAMS: [&str; 6] = [
    "openai",
    "anthropic",
    "responses",
    "gemini",
    "ollama",
    "bedrock",
];

/// A caller's request in which each of these calls has had its result.
fn asked(operation: Operation, ids: &[&str]) -> RequestDoc {
    let turns = |one: &dyn Fn(&str) -> [Value; 2]| -> Vec<Value> {
        let begin = match operation {
            Operation::GenerateContent => json!({"role": "user", "parts": [{"text": "go"}]}),
            _ => json!({"role": "user", "content": "go"}),
        };
        let turns = ids.iter().flat_map(|id| one(id));
        std::iter::once(begin).chain(turns).collect()
    };
    doc(&match operation {
        Operation::Messages => json!({"model": "m", "max_tokens": 9, "messages": turns(&|id| [
            json!({"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "f", "input": {}}]}),
            json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "r"}]}),
        ])}),
        Operation::Responses => json!({"model": "m", "input": turns(&|id| [
            json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"}),
            json!({"type": "function_call_output", "call_id": id, "output": "r"}),
        ])}),
        Operation::GenerateContent => json!({"model": "m", "contents": turns(&|id| [
            json!({"role": "model", "parts": [{"functionCall": {"id": id, "name": "f", "args": {}}}]}),
            json!({"role": "user", "parts": [{"functionResponse": {"id": id, "name": "f", "response": {"output": "r"}}}]}),
        ])}),
        _ => json!({"model": "m", "messages": turns(&|id| [
            json!({"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]}),
            json!({"role": "tool", "tool_call_id": id, "content": "r"}),
        ])}),
    })
}

/// An upstream's answer with one call.
fn called(upstream: &str, id: &str) -> Bytes {
    let function = json!({"name": "f", "arguments": "{}"});
    let answer = match upstream {
        "openai" => {
            json!({"choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant",
            "tool_calls": [{"id": id, "type": "function", "function": function}]}}]})
        }
        "anthropic" => json!({"type": "message", "role": "assistant", "stop_reason": "tool_use",
            "content": [{"type": "tool_use", "id": id, "name": "f", "input": {}}]}),
        "responses" => json!({"object": "response", "status": "completed", "output": [
            {"type": "function_call", "id": "fc_1", "call_id": id, "name": "f", "arguments": "{}"}]}),
        "gemini" => json!({"candidates": [{"finishReason": "STOP",
            "content": {"role": "model", "parts": [{"functionCall": {"id": id, "name": "f", "args": {}}}]}}]}),
        "ollama" => {
            json!({"model": "q", "done": true, "message": {"role": "assistant", "content": "",
            "tool_calls": [{"id": id, "function": {"name": "f", "arguments": {}}}]}})
        }
        _ => json!({"stopReason": "tool_use", "output": {"message": {"role": "assistant",
            "content": [{"toolUse": {"toolUseId": id, "name": "f", "input": {}}}]}}}),
    };
    answer.to_string().into()
}

/// The id of the call in an answer or an event.
fn call_in(value: &Value) -> Option<&str> {
    let told = |value: &Value, name: &str, id: &str| value.get(name)?.get(id).map(Value::is_string);
    match value {
        Value::Array(items) => items.iter().find_map(call_in),
        Value::Object(fields) => match fields.get("type").and_then(Value::as_str) {
            Some("tool_use") => value.get("id")?.as_str(),
            Some("function_call") => value.get("call_id")?.as_str(),
            Some("function") if fields.contains_key("id") => value.get("id")?.as_str(),
            _ if told(value, "functionCall", "id").is_some() => {
                value.get("functionCall")?.get("id")?.as_str()
            }
            _ => fields.values().find_map(call_in),
        },
        _ => None,
    }
}

fn between(operation: Operation, upstream: &str) -> Option<Exchange> {
    let exchange = Exchange::new(operation, dialects::upstream(upstream).unwrap()).unwrap();
    Some(exchange).filter(|exchange| !exchange.is_identity())
}

#[test]
fn a_call_of_an_id_that_the_conversation_has_gets_one_of_its_own() {
    for operation in CALLERS {
        for (upstream, id) in UPSTREAMS
            .into_iter()
            .flat_map(|upstream| ["call_0", "functions.f:0", "a\"b"].map(|id| (upstream, id)))
        {
            let Some(exchange) = between(operation, upstream) else {
                continue;
            };
            let told = |history: &[&str], unique| {
                let answer = exchange.answer(
                    &asked(operation, history),
                    &mut HeaderMap::new(),
                    called(upstream, id),
                    stamp(unique),
                    &mut Dropped::default(),
                );
                let answer: Value = serde_json::from_slice(&answer.unwrap()).unwrap();
                call_in(&answer).unwrap_or_default().to_owned()
            };
            let name = format!("{operation:?} at {upstream}: {id}");
            let one = told(&["other"], 7);
            assert!(
                operation == Operation::Messages || one == id,
                "{name}: {one}"
            );
            let two = told(&["other", &one], 8);
            let three = told(&[&one, &two], 9);
            let distinct = std::collections::BTreeSet::from([&one, &two, &three]);
            assert_eq!(distinct.len(), 3, "{name}: {distinct:?}");
        }
    }
}

#[test]
fn a_streamed_call_of_an_id_that_the_conversation_has_gets_one_of_its_own() {
    for operation in CALLERS {
        let Some(exchange) = between(operation, "openai") else {
            continue;
        };
        let told = |history: &[&str]| {
            let mut translation = exchange
                .translation(&asked(operation, history), &HeaderMap::new(), stamp(7))
                .unwrap();
            let mut out = Vec::new();
            for choice in [
                json!({"delta": {"tool_calls": [{"index": 0, "id": "call_0", "function": {"name": "f", "arguments": "{"}}]}}),
                // Some repeat the id with each piece.
                json!({"delta": {"tool_calls": [{"index": 0, "id": "call_0", "function": {"arguments": "}"}}]}}),
                json!({"delta": {}, "finish_reason": "tool_calls"}),
            ] {
                let chunk = json!({"id": "a", "choices": [choice]});
                let raw = format!("data: {chunk}\n\n").into();
                out.extend(translation.event(&RawEvent { raw }));
            }
            out.extend(translation.end());
            let events: Vec<Value> = out
                .iter()
                .filter_map(|event| serde_json::from_slice(&event.data()).ok())
                .collect();
            let ids: std::collections::BTreeSet<_> = events
                .iter()
                .filter_map(call_in)
                .map(str::to_owned)
                .collect();
            assert_eq!(ids.len(), 1, "{operation:?}: {events:?}");
            ids.into_iter().next().unwrap_or_default()
        };
        assert_eq!(told(&["call_1"]), "call_0", "{operation:?}");
        assert_ne!(told(&["call_0"]), "call_0", "{operation:?}");
    }
}

#[test]
fn calls_of_one_id_are_told_apart_for_another_dialect() {
    for operation in CALLERS {
        for upstream in UPSTREAMS {
            let Some(exchange) = between(operation, upstream) else {
                continue;
            };
            let asked = asked(operation, &["call_0", "call_1", "call_0"]);
            let call = exchange.outgoing(&asked, "m", &Map::new(), false).unwrap();
            let body: Value = serde_json::from_slice(&call.body).unwrap();
            let mut ids = Vec::new();
            ids_in(&body, &mut ids);
            let wanted = [
                "call_0", "call_0", "call_1", "call_1", "call_0_2", "call_0_2",
            ];
            assert_eq!(ids, wanted, "{operation:?} at {upstream}: {body}");
        }
    }
}

/// The ids of calls and results, in order.
fn ids_in<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let is_id = name.ends_with("id") || name.ends_with("Id");
                found.extend(value.as_str().filter(|_| is_id));
                ids_in(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|value| ids_in(value, found)),
        _ => {}
    }
}

#[test]
fn a_call_behind_another_answers_text_has_an_id_of_its_own() {
    use crate::wire::overlap::Overlap;

    for operation in [
        Operation::Messages,
        Operation::Responses,
        Operation::GenerateContent,
    ] {
        let exchange = between(operation, "ollama").unwrap();
        let told = |unique| {
            let asked = asked(operation, &["call_0"]);
            let events = |translation: &mut Translation, message: &Value| {
                let line = json!({"model": "q", "message": message, "done": false});
                let raw = format!("data: {line}\n\n").into();
                translation.event(&RawEvent { raw }).collect::<Vec<_>>()
            };
            let mut first = exchange
                .translation(&asked, &HeaderMap::new(), stamp(1))
                .unwrap();
            let caller = dialects::caller(operation);
            let mut sent = Transcript::of(operation, caller.sent_events());
            for event in events(&mut first, &json!({"role": "assistant", "content": "so"})) {
                sent.note(&event);
            }
            let splice = ItemSplice::new(Overlap::restarted("so"), Usage::default());
            let mut second = exchange
                .resumed(&asked, &sent, splice, stamp(unique))
                .unwrap();
            let call = json!({"function": {"name": "f", "arguments": {}}});
            let message = json!({"role": "assistant", "content": "so", "tool_calls": [call]});
            let mut all = events(&mut second, &message);
            all.extend(second.end());
            let mut events = all.iter().filter_map(|event| {
                let event: Value = serde_json::from_slice(&event.data()).ok()?;
                call_in(&event).map(str::to_owned)
            });
            events.next()
        };
        let (one, other) = (told(7), told(8));
        assert!(one.is_some() && one != other, "{operation:?}: {one:?}");
    }
}
