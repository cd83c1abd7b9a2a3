use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::dialect::Operation;
use crate::wire::dialect::EventDecoder;
use crate::wire::dialects;
use crate::wire::framing::Framing;
use crate::wire::ir::{ChatRequest, ContentDelta, PartBody, StopReason, StreamItem};
use crate::wire::request::RequestDoc;
use crate::wire::sse::{EventSplitter, RawEvent};

/// The body of a caller's request as Ollama gets it, and what was lost.
fn written(operation: Operation, body: &Value, params: &Value) -> (Value, Vec<String>) {
    let doc = RequestDoc::parse(body.to_string().into()).unwrap();
    let request = dialects::caller(operation).decode_request(operation, &doc);
    let request = ChatRequest {
        model: Some("qwen3:8b".to_owned()),
        ..request.unwrap().unwrap()
    };
    let params = params.as_object().cloned().unwrap_or_default();
    let (body, losses) = encode_request(request, &params);
    let losses = losses.into_iter().map(|loss| loss.path).collect();
    (Value::Object(body), losses)
}

fn chat(body: &Value) -> (Value, Vec<String>) {
    written(Operation::Chat, body, &Value::Null)
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

#[test]
fn a_conversation_with_tools_has_objects_for_arguments_and_names_for_results() {
    let (body, lost) = chat(&json!({
        "messages": [
            {"role": "developer", "content": "be brief"}, user("weather?"),
            {"role": "assistant", "content": null, "reasoning_content": "They ask.", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "w", "arguments": "{\"city\":\"Bern\"}"}},
                {"id": "c2", "type": "function", "function": {"name": "now", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "c2", "content": "8"},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "rain"}]}],
        "tools": [{"type": "function", "function": {"name": "w"}}], "stream": true, "store": false,
        "max_tokens": 50, "temperature": 0.5, "stop": "END", "seed": 7, "user": "u",
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    }));
    assert_eq!(
        body,
        json!({
            "model": "qwen3:8b", "stream": true, "format": {"type": "object"},
            "messages": [
                {"role": "system", "content": "be brief"}, {"role": "user", "content": "weather?"},
                {"role": "assistant", "content": "", "thinking": "They ask.", "tool_calls": [
                    {"id": "c1", "function": {"name": "w", "arguments": {"city": "Bern"}}},
                    {"id": "c2", "function": {"name": "now", "arguments": {}}}]},
                {"role": "tool", "content": "8", "tool_name": "now", "tool_call_id": "c2"},
                {"role": "tool", "content": "rain", "tool_name": "w", "tool_call_id": "c1"}],
            "tools": [{"type": "function", "function": {"name": "w", "parameters": {"type": "object", "properties": {}}}}],
            "options": {"num_predict": 50, "temperature": 0.5, "stop": ["END"], "seed": 7},
        })
    );
    assert_eq!(lost, ["store", "user"]);
}

#[test]
fn pictures_go_as_bare_base64_and_addresses_are_named() {
    let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let (body, lost) = chat(
        &json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "What?"},
        image("data:image/png;base64,aGk="), image("https://x.example/a.png"), image("data:image/png,raw")]}]}),
    );
    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": "What?", "images": ["aGk="]}])
    );
    assert_eq!(
        lost,
        [
            "messages[0].content[2].image",
            "messages[0].content[3].image"
        ]
    );
    assert_eq!(body["stream"], false, "Ollama streams unless it is told");
}

#[test]
fn extensions_go_where_ollama_has_them_and_count_more_than_other_words() {
    let asked = json!({
        "messages": [user("hi")], "temperature": 0.5, "reasoning_effort": "high", "max_tokens": 9,
        "options": {"temperature": 0.1, "num_ctx": 8192}, "keep_alive": "10m", "think": false, "truncate": false,
        "repetition_penalty": 1.1, "num_gpu": 1, "format": "json", "chat_template": "x",
    });
    let params = json!({"options": {"num_ctx": 1, "mirostat": 1}, "keep_alive": 0, "max_tokens": 3, "top_p": 0.9, "shift": false});
    let (body, lost) = written(Operation::Chat, &asked, &params);
    assert_eq!(
        body["options"],
        json!({"temperature": 0.1, "num_ctx": 8192, "num_predict": 9, "repeat_penalty": 1.1, "num_gpu": 1,
            "mirostat": 1, "top_p": 0.9})
    );
    let set = ["keep_alive", "think", "truncate", "format", "shift"].map(|name| body[name].clone());
    assert_eq!(
        set,
        [
            json!("10m"),
            json!(false),
            json!(false),
            json!("json"),
            json!(false)
        ]
    );
    assert_eq!(lost, ["chat_template"]);
    let odd = json!({"messages": [user("hi")], "options": "fast", "think": 1});
    assert_eq!(chat(&odd).1, ["think", "options"]);
}

#[test]
fn a_choice_of_tools_is_said_by_what_tools_there_are() {
    let tools = json!([{"type": "function", "function": {"name": "a"}}, {"type": "function", "function": {"name": "b"}}]);
    let names = |choice: Value| {
        let (body, lost) =
            chat(&json!({"messages": [user("hi")], "tools": tools, "tool_choice": choice}));
        let tools = body["tools"].as_array().cloned().unwrap_or_default();
        let names: Vec<Value> = tools
            .iter()
            .map(|tool| tool["function"]["name"].clone())
            .collect();
        (json!(names), lost)
    };
    let named = |name: &str| json!({"type": "function", "function": {"name": name}});
    let allowed =
        json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named("b")]}});
    for (choice, left, lost) in [
        (json!("auto"), json!(["a", "b"]), vec![]),
        (json!("none"), json!([]), vec![]),
        (json!("required"), json!(["a", "b"]), vec!["tool_choice"]),
        (named("b"), json!(["b"]), vec!["tool_choice"]),
        (named("c"), json!(["a", "b"]), vec![]),
        (allowed, json!(["b"]), vec![]),
    ] {
        let lost: Vec<String> = lost.into_iter().map(str::to_owned).collect();
        assert_eq!(names(choice.clone()), (left, lost), "{choice}");
    }
}

#[test]
fn thoughts_of_other_makers_stay_out_and_ollamas_own_come_back() {
    let written = |content: Value| {
        let body = json!({"max_tokens": 10, "messages": [user("hi"), {"role": "assistant", "content": content}, user("so?")]});
        written(Operation::Messages, &body, &Value::Null)
    };
    let claude = json!([{"type": "thinking", "thinking": "hm", "signature": "c2ln"}, {"type": "text", "text": "hello"}]);
    let (body, lost) = written(claude);
    assert_eq!(
        body["messages"][1],
        json!({"role": "assistant", "content": "hello"})
    );
    assert_eq!(lost, ["messages[1].content[0].reasoning"]);
    // As the caller got it from Ollama.
    let answer = decode_answer(
        br#"{"message":{"role":"assistant","thinking":"hm","content":"hello"},"done":true}"#,
    );
    let doc = RequestDoc::parse(Bytes::from_static(b"{}")).unwrap();
    let caller = dialects::caller(Operation::Messages);
    let (said, _) = caller.encode_answer(Operation::Messages, &doc, answer.unwrap());
    let said: Value = serde_json::from_slice(&said).unwrap();
    let (body, lost) = written(said["content"].clone());
    assert_eq!(
        body["messages"][1],
        json!({"role": "assistant", "content": "hello", "thinking": "hm"})
    );
    assert!(lost.is_empty(), "{lost:?}");
    // Words of a thought that another provider signed stand there twice.
    let (body, lost) = chat(
        &json!({"messages": [user("hi"), {"role": "assistant", "content": "hello", "reasoning_content": "hm",
        "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1"}]}]}),
    );
    assert!(body["messages"][1].get("thinking").is_none());
    assert_eq!(lost, ["messages[1].content[1].reasoning_details"]);
}

#[test]
fn a_whole_answer_is_words_thoughts_and_calls() {
    let body = json!({
        "model": "qwen3:8b", "created_at": "2025-01-01T00:00:00.123Z", "done": true, "done_reason": "stop",
        "message": {"role": "assistant", "content": "See.", "thinking": "hm", "tool_calls": [
            {"function": {"name": "w", "arguments": {"city": "Bern"}}}, {"id": "own", "function": {"name": "now"}}, {"function": {}}]},
        "total_duration": 5, "load_duration": 1, "prompt_eval_count": 10, "eval_count": 5, "logprobs": [{"token": "S"}],
    });
    let read = |body: &Value| decode_answer(body.to_string().as_bytes()).unwrap();
    let answer = read(&body);
    let one = &answer.candidates[0];
    assert_eq!(one.stop, Some(StopReason::ToolCalls));
    let calls: Vec<_> = one
        .message
        .parts
        .iter()
        .filter_map(|part| match &part.body {
            PartBody::ToolCall(call) => Some((
                call.id.as_deref(),
                call.name.as_str(),
                call.arguments.as_str(),
            )),
            _ => None,
        })
        .collect();
    let told = [
        (None, "w", r#"{"city":"Bern"}"#),
        (Some("own"), "now", "{}"),
    ];
    assert_eq!(calls, told);
    assert!(matches!(
        &one.message.parts[..2],
        [thought, text] if thought.body.word() == "reasoning" && text.body.word() == "text"
    ));
    assert_eq!(answer.extra.keys().collect::<Vec<_>>(), ["logprobs"]);
    assert_eq!(answer.usage.as_ref().unwrap().total, Some(15));
    for (reason, stop) in [
        (json!("length"), StopReason::Length),
        (json!("load"), StopReason::Other("load".to_owned())),
        (Value::Null, StopReason::EndTurn),
    ] {
        let body = json!({"message": {"role": "assistant", "content": ""}, "done": true, "done_reason": reason});
        assert_eq!(read(&body).candidates[0].stop, Some(stop));
    }
}

/// What the lines of a stream say that comes in pieces of so many bytes.
fn items(raw: &[u8], size: usize) -> Vec<StreamItem> {
    let mut headers = HeaderMap::new();
    let kind = HeaderValue::from_static("application/x-ndjson");
    headers.insert(header::CONTENT_TYPE, kind);
    let mut framing = Framing::of(&headers, true, 1 << 20).unwrap();
    let mut splitter = EventSplitter::new(usize::MAX);
    let (mut decoder, mut all) = (LineDecoder::default(), Vec::new());
    let mut read = |events: Bytes| {
        splitter.push(events);
        while let Some(event) = splitter.next_event().unwrap() {
            all.extend(decoder.event(&event));
        }
    };
    for piece in raw.chunks(size) {
        read(framing.push(piece).unwrap());
    }
    read(framing.finish().unwrap());
    all
}

#[test]
fn lines_are_read_one_by_one() {
    let raw = concat!(
        r#"{"model":"m","created_at":"t0","message":{"role":"assistant","content":"","thinking":"hm"},"done":false}"#,
        "\n\n",
        r#"{"model":"m","created_at":"t1","message":{"role":"assistant","content":"Hel"},"done":false}"#,
        "\r\n",
        r#"{"model":"m","created_at":"t2","message":{"role":"assistant","content":"","tool_calls":[{"function":{"index":0,"name":"f","arguments":{}}},{"function":{"index":1,"name":"g","arguments":{"a":1}}}]},"done":false}"#,
        "\n",
        r#"{"model":"m","created_at":"t3","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2,"total_duration":1}"#,
    );
    let all = items(raw.as_bytes(), 7);
    let calls: Vec<_> = all
        .iter()
        .filter_map(|item| match item {
            StreamItem::Delta {
                delta:
                    ContentDelta::ToolCall {
                        index,
                        name,
                        arguments,
                        id: None,
                        ..
                    },
                ..
            } => Some((*index, name.clone()?, arguments.clone()?)),
            _ => None,
        })
        .collect();
    let [(0, f, none), (1, g, some)] = &calls[..] else {
        panic!("{calls:?}")
    };
    assert_eq!(
        (&**f, &**none, &**g, &**some),
        ("f", "{}", "g", r#"{"a":1}"#)
    );
    let [.., stop, StreamItem::Usage(usage), StreamItem::End] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!(usage.total, Some(5));
    assert_eq!(
        *stop,
        StreamItem::Stop {
            candidate: 0,
            reason: StopReason::ToolCalls
        }
    );
    assert!(matches!(&all[0], StreamItem::Head { model: Some(model), .. } if model == "m"));
    let failed = items(b"{\"error\":\"no memory\",\"status\":503}\n", 3);
    let [StreamItem::Error(error)] = &failed[..] else {
        panic!("{failed:?}")
    };
    assert_eq!(
        (error.message.as_str(), error.status),
        ("no memory", Some(503))
    );
}

#[test]
fn probabilities_stand_in_front_of_their_words_and_those_of_thoughts_are_named() {
    let line = |message: Value| json!({"model": "m", "message": message, "done": false, "logprobs": [{"token": "a", "logprob": -0.5}]});
    let kinds = |message: Value| -> Vec<String> {
        let all = items(format!("{}\n", line(message)).as_bytes(), 9);
        let deltas = all.into_iter().filter_map(|item| match item {
            StreamItem::Delta { delta, .. } => Some(match delta {
                ContentDelta::Logprobs(_) => "probabilities".to_owned(),
                ContentDelta::Text(text) => text,
                ContentDelta::Reasoning(_) => "thought".to_owned(),
                ContentDelta::Unknown { field, .. } => format!("lost {field}"),
                other => format!("{other:?}"),
            }),
            _ => None,
        });
        deltas.collect()
    };
    assert_eq!(kinds(json!({"content": "a"})), ["probabilities", "a"]);
    assert_eq!(
        kinds(json!({"content": "", "thinking": "a"})),
        ["lost logprobs", "thought"]
    );
}

/// Lines that are nearly those of Ollama.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let message = prop_oneof![
        Just(json!({"role": "assistant", "content": "a\u{e9}"})),
        Just(json!({"thinking": "hm"})),
        Just(
            json!({"tool_calls": [{"function": {"name": "f", "arguments": {"a": [1]}}}, 1, {"function": "x"}]})
        ),
        Just(json!({"images": ["aGk=", 2], "content": 5, "more": {"a": 1}})),
        Just(json!("text")),
    ];
    let known = (message, any::<bool>()).prop_map(|(message, done)| {
        let line = json!({"model": "m", "message": message, "done": done, "eval_count": 1, "done_reason": "odd"});
        line.to_string().into_bytes()
    });
    prop_oneof![
        4 => known,
        1 => Just(br#"{"error":"x"}"#.to_vec()),
        1 => Just(Vec::new()),
        1 => prop::collection::vec(any::<u8>(), 0..30),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(raw in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_answer(&raw);
        let _ = items(&raw, 9);
        let event = RawEvent { raw: raw.into() };
        let _ = LineDecoder::default().event(&event);
    }

    #[test]
    fn any_split_of_lines_says_the_same(lines in prop::collection::vec(line(), 0..8), size in 1usize..60, ends in any::<bool>()) {
        let mut raw = lines.join(&b'\n');
        if ends {
            raw.push(b'\n');
        }
        prop_assert_eq!(items(&raw, size), items(&raw, usize::MAX));
    }

    #[test]
    fn any_request_has_a_model_a_mode_and_messages_with_roles(
        roles in prop::collection::vec(prop::sample::select(vec!["system", "user", "assistant", "tool", "function", "odd"]), 0..6),
        text in "[a-c \"\\\\\u{e9}]{0,6}",
    ) {
        let messages: Vec<Value> = roles.iter().map(|role| json!({"role": role, "content": text, "name": "n", "tool_call_id": "c"})).collect();
        let (body, _) = chat(&json!({"messages": messages}));
        prop_assert!(body["model"].is_string() && body["stream"].is_boolean());
        for message in body["messages"].as_array().unwrap() {
            prop_assert!(["system", "user", "assistant", "tool"].contains(&message["role"].as_str().unwrap()));
            prop_assert!(message["content"].is_string());
        }
    }
}

#[test]
fn an_answer_without_a_message_is_none() {
    for body in ["", "[]", "{}", r#"{"message":"x"}"#] {
        assert!(decode_answer(body.as_bytes()).is_err(), "{body}");
    }
}
