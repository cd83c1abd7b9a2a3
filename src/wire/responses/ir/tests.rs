//! Nothing is lost between requests and the neutral form, whatever comes every stream keeps to the grammar, and what one
//! provider made reaches it again.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::wire::dialect::{EventDecoder, EventEncoder};
use crate::wire::ir::any::any_stream;
use crate::wire::ir::{
    ChatAnswer, ChatCandidate, ChatMessage, ChatRole, ContentPart, Extra, PartBody, StopReason,
    StreamItem, ToolCall, ToolDefinition,
};
use crate::wire::request::RequestDoc;
use crate::wire::sse::{EventSplitter, RawEvent};

fn any_json() -> impl Strategy<Value = Value> {
    let words = [
        "message",
        "reasoning",
        "function_call",
        "input_text",
        "output_text",
        "summary_text",
        "assistant",
        "function",
        "custom",
        "url_citation",
        "auto",
        "",
        "x",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        Just(json!(12_345_678_901_234_567_890_u64)),
        prop::sample::select(words.to_vec()).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let names = [
            "type", "text", "role", "content", "name", "id", "call_id", "summary", "x",
        ];
        let name = prop::sample::select(names.to_vec());
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map(name, inner, 0..5)
                .prop_map(|all| all.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

/// An object with some of these fields as they are meant, and some with anything in them.
fn fields(known: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let known: Vec<_> = known
        .into_iter()
        .map(|(name, right)| {
            let value = prop_oneof![
                7 => right.prop_map(Some),
                2 => Just(None),
                1 => any_json().prop_map(Some),
            ];
            value.prop_map(move |value| value.map(|value| (name.to_owned(), value)))
        })
        .collect();
    let unknown = prop::collection::hash_map("x_[a-c]", any_json(), 0..2);
    (known, unknown)
        .prop_map(|(known, unknown)| {
            Value::Object(known.into_iter().flatten().chain(unknown).collect())
        })
        .boxed()
}

fn words() -> BoxedStrategy<Value> {
    "[a-c\u{e9}\"]{0,4}".prop_map(Value::from).boxed()
}

fn one_of(words: &[&'static str]) -> BoxedStrategy<Value> {
    prop::sample::select(words.to_vec())
        .prop_map(Value::from)
        .boxed()
}

fn list(of: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    vec(of, 0..3).prop_map(Value::from).boxed()
}

fn part() -> BoxedStrategy<Value> {
    let kinds = [
        "input_text",
        "output_text",
        "input_image",
        "input_file",
        "input_audio",
        "refusal",
        "odd",
    ];
    let citation = fields(vec![
        ("type", one_of(&["url_citation"])),
        ("url", words()),
        ("title", words()),
        ("start_index", Just(json!(1)).boxed()),
        ("end_index", Just(json!(2)).boxed()),
    ]);
    fields(vec![
        ("type", one_of(&kinds)),
        ("text", words()),
        ("annotations", list(citation)),
        ("image_url", words()),
        ("file_id", words()),
        ("file_data", words()),
        ("refusal", words()),
        (
            "input_audio",
            fields(vec![("data", words()), ("format", words())]),
        ),
    ])
}

fn item() -> BoxedStrategy<Value> {
    let kinds = [
        "message",
        "reasoning",
        "function_call",
        "custom_tool_call",
        "function_call_output",
        "custom_tool_call_output",
        "web_search_call",
    ];
    let thought = |kind| fields(vec![("type", one_of(&[kind])), ("text", words())]);
    let role = one_of(&["user", "assistant", "system", "developer", "critic"]);
    prop_oneof![
        fields(vec![
            ("role", role.clone()),
            ("content", prop_oneof![words(), list(part())].boxed())
        ]),
        fields(vec![
            ("type", one_of(&kinds)),
            ("role", role),
            (
                "content",
                prop_oneof![list(part()), list(thought("reasoning_text"))].boxed()
            ),
            ("summary", list(thought("summary_text"))),
            ("encrypted_content", words()),
            ("call_id", words()),
            ("name", words()),
            ("arguments", words()),
            ("input", words()),
            ("output", prop_oneof![words(), list(part())].boxed()),
            ("id", words()),
        ]),
    ]
    .boxed()
}

fn request() -> BoxedStrategy<Value> {
    let tool = fields(vec![
        (
            "type",
            one_of(&["function", "custom", "web_search", "namespace"]),
        ),
        ("name", words()),
        ("description", words()),
        ("parameters", fields(vec![("type", one_of(&["object"]))])),
        ("strict", any::<bool>().prop_map(Value::from).boxed()),
        ("format", fields(vec![("type", one_of(&["grammar"]))])),
    ]);
    let format = fields(vec![
        ("type", one_of(&["text", "json_object", "json_schema"])),
        ("name", words()),
        ("schema", fields(vec![("type", one_of(&["object"]))])),
        ("strict", any::<bool>().prop_map(Value::from).boxed()),
    ]);
    let named = fields(vec![
        ("type", one_of(&["function", "custom"])),
        ("name", words()),
    ]);
    let choice = prop_oneof![one_of(&["auto", "none", "required", "any"]), named];
    fields(vec![
        ("model", words()),
        ("instructions", words()),
        ("tools", list(tool)),
        ("tool_choice", choice.boxed()),
        ("temperature", Just(json!(0.5)).boxed()),
        ("top_logprobs", Just(json!(3)).boxed()),
        ("max_output_tokens", Just(json!(7)).boxed()),
        (
            "text",
            fields(vec![("format", format), ("verbosity", words())]),
        ),
        (
            "reasoning",
            fields(vec![("effort", words()), ("summary", words())]),
        ),
        ("metadata", fields(vec![("a", words())])),
        ("store", any::<bool>().prop_map(Value::from).boxed()),
        ("include", list(words())),
        ("user", words()),
    ])
    .prop_flat_map(|body| {
        vec(item(), 0..4).prop_map(move |items| {
            let mut body = body.clone();
            body["input"] = Value::from(items);
            body
        })
    })
    .boxed()
}

/// The same request in one spelling, where there are two for one meaning.
fn plain(mut body: Value) -> Value {
    for item in body["input"].as_array_mut().into_iter().flatten() {
        let is_assistant = item["role"] == "assistant";
        let is_item =
            item.get("type").is_none_or(|kind| kind == "message") && item["role"].is_string();
        let kind = if is_assistant {
            "output_text"
        } else {
            "input_text"
        };
        if let Some(text) = item
            .get("content")
            .filter(|text| is_item && text.is_string())
        {
            item["content"] = json!([{"type": kind, "text": text}]);
        }
        // A result that is a single text is that text.
        let single = match item
            .get("output")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
        {
            Some([Value::Object(part)])
                if part.len() == 2 && part.get("type") == Some(&json!("input_text")) =>
            {
                part.get("text").filter(|text| text.is_string()).cloned()
            }
            _ => None,
        };
        let is_output = item["type"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("_output"));
        if let Some(text) = single.filter(|_| is_output && item["call_id"].is_string()) {
            item["output"] = text;
        }
    }
    let format = body
        .pointer_mut("/text/format")
        .and_then(Value::as_object_mut);
    if let Some(format) = format
        && format.get("type").is_some_and(|kind| {
            ["text", "json_object", "json_schema"]
                .iter()
                .any(|own| kind == own)
        })
    {
        format.retain(|_, value| !value.is_null());
    }
    body
}

fn doc(body: &Value) -> RequestDoc {
    RequestDoc::parse(body.to_string().into()).unwrap()
}

/// All events of a stream that says this.
fn written(encoder: &mut ResponseEncoder, stream: Vec<Vec<StreamItem>>) -> Vec<Value> {
    let mut bytes = Vec::new();
    for items in stream.into_iter().chain([vec![StreamItem::End]]) {
        bytes.extend_from_slice(&encoder.event(items));
    }
    let mut splitter = EventSplitter::new(usize::MAX);
    splitter.push(Bytes::from(bytes));
    let next = || splitter.next_event().unwrap();
    std::iter::from_fn(next)
        .map(|event| {
            let value: Value = serde_json::from_slice(&event.data()).unwrap();
            assert_eq!(event.name(), value["type"].as_str().map(str::as_bytes));
            value
        })
        .collect()
}

/// What the grammar of the events says of each of them.
pub(super) fn check(events: &[Value]) {
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds[..2], ["response.created", "response.in_progress"]);
    let mut ids: BTreeMap<u64, String> = BTreeMap::new();
    let mut parts: BTreeSet<(u64, u64)> = BTreeSet::new();
    let mut done: BTreeMap<u64, Value> = BTreeMap::new();
    let mut ends: BTreeSet<(&str, (u64, u64))> = BTreeSet::new();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], json!(number));
        let kind = kinds[number];
        let index = event["output_index"].as_u64().unwrap_or(u64::MAX);
        let part = (index, event["content_index"].as_u64().unwrap_or(0));
        assert!(
            !kind.ends_with(".done") || ends.insert((kind, part)),
            "{kind} twice"
        );
        match kind {
            "response.created" | "response.in_progress" => assert!(number < 2),
            "response.output_item.added" => {
                assert_eq!(index, ids.len() as u64);
                ids.insert(index, event["item"]["id"].as_str().unwrap().to_owned());
            }
            "response.output_item.done" => {
                assert_eq!(event["item"]["id"], ids[&index].as_str());
                assert!(done.insert(index, event["item"].clone()).is_none());
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                assert_eq!(number + 1, events.len());
                assert!(event["response"]["usage"]["total_tokens"].is_u64());
                let output: Vec<Value> = done.values().cloned().collect();
                assert_eq!(event["response"]["output"], Value::from(output));
                assert_eq!(done.len(), ids.len());
            }
            _ => {
                assert_eq!(event["item_id"], ids[&index].as_str(), "{kind}");
                assert!(!done.contains_key(&index), "{kind} after its item");
                if kind == "response.content_part.added" {
                    assert!(parts.insert(part));
                } else if kind.contains("output_text")
                    || kind.contains("refusal")
                    || kind.contains("content_part")
                {
                    assert!(parts.contains(&part), "{kind} before its part");
                }
            }
        }
    }
    assert!(kinds.last().unwrap().ends_with("ed") || kinds.last().unwrap().ends_with("incomplete"));
    let unique: BTreeSet<&String> = ids.values().collect();
    assert_eq!(unique.len(), ids.len());
    let calls: Vec<&Value> = done
        .values()
        .map(|item| &item["call_id"])
        .filter(|id| !id.is_null())
        .collect();
    let distinct: BTreeSet<String> = calls.iter().map(ToString::to_string).collect();
    assert_eq!(distinct.len(), calls.len(), "{calls:?}");
}

proptest! {
    #[test]
    fn nothing_of_a_request_is_lost(body in request()) {
        let decoded = decode_request(body.clone()).unwrap();
        let (encoded, losses) = encode_request(decoded);
        prop_assert_eq!(plain(encoded), plain(body));
        prop_assert!(losses.is_empty());
    }

    #[test]
    fn any_stream_keeps_to_the_grammar(stream in any_stream(), custom in any::<bool>()) {
        let kind = if custom { "custom" } else { "function" };
        let asked = doc(&json!({"input": "x", "tools": [{"type": kind, "name": "f"}]}));
        let mut encoder = ResponseEncoder::new(&asked, "other");
        let events = written(&mut encoder, stream);
        check(&events);
        prop_assert!(encoder.event(vec![StreamItem::End]).is_empty());
    }

    #[test]
    fn what_is_streamed_is_read_again(stream in any_stream()) {
        let mut encoder = ResponseEncoder::new(&doc(&json!({"input": "x"})), "other");
        let events = written(&mut encoder, stream);
        // Of one that failed nothing is told but that.
        prop_assume!(events.last().unwrap()["type"] != "response.failed");
        let whole = decode_answer(events.last().unwrap()["response"].clone()).unwrap();
        let mut decoder = ResponseEvents::default();
        let mut again = ResponseEncoder::new(&doc(&json!({"input": "x"})), "responses");
        let items: Vec<Vec<StreamItem>> = events
            .iter()
            .map(|event| decoder.event(&RawEvent { raw: crate::wire::sse::data_event(event.to_string().as_bytes()) }))
            .collect();
        let events = written(&mut again, items);
        let other = decode_answer(events.last().unwrap()["response"].clone()).unwrap();
        let says = |answer: &ChatAnswer| {
            let parts = &answer.candidates[0].message.parts;
            parts.iter().filter_map(|part| match &part.body {
                PartBody::Text { text, .. } => Some(text.clone()),
                PartBody::ToolCall(call) => Some(call.arguments.clone()),
                PartBody::Refusal(text) => Some(text.clone()),
                _ => None,
            }).collect::<Vec<_>>()
        };
        prop_assert_eq!(says(&whole), says(&other));
    }

    #[test]
    fn no_body_and_no_event_panics(body in any_json(), bytes in vec(any::<u8>(), 0..40), kind in "[a-z_.]{0,30}") {
        drop(decode_request(body.clone()).map(settled));
        drop(decode_answer(body.clone()));
        let mut decoder = ResponseEvents::default();
        let mut odd = body;
        if let Value::Object(fields) = &mut odd {
            fields.insert("type".to_owned(), format!("response.{kind}").into());
        }
        for data in [bytes.as_slice(), odd.to_string().as_bytes()] {
            drop(decoder.event(&RawEvent { raw: crate::wire::sse::data_event(data) }));
        }
    }
}

fn settled_of(body: Value) -> crate::wire::ir::ChatRequest {
    settled(decode_request(body).unwrap())
}

#[test]
fn what_a_model_said_in_one_turn_is_one_message() {
    let request = settled_of(json!({
        "instructions": "Be kind.", "store": false, "include": ["reasoning.encrypted_content"],
        "input": [
            {"role": "user", "content": "go"},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
            {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "phase": "commentary",
                "content": [{"type": "output_text", "text": "Looking.", "annotations": []}]},
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call", "call_id": "c2", "name": "g", "namespace": "n", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "one"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "two"}]},
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        ],
        "tools": [{"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "g", "parameters": {}}]}],
    }));
    let roles: Vec<&ChatRole> = request
        .messages
        .iter()
        .map(|message| &message.role)
        .collect();
    use ChatRole::{Assistant, System, Tool, User};
    assert_eq!(roles, [&System, &User, &Assistant, &Tool, &Tool]);
    let turn = &request.messages[2];
    assert_eq!(turn.parts.len(), 4);
    assert_eq!(turn.extra.keys().collect::<Vec<_>>(), ["phase"]);
    let PartBody::ToolCall(call) = &turn.parts[3].body else {
        panic!()
    };
    assert_eq!(call.name, "n__g");
    let [ToolDefinition::Function { name, .. }] = request.tools.as_slice() else {
        panic!()
    };
    assert_eq!(name, "n__g");
    assert_eq!(
        request.extra.keys().collect::<Vec<_>>(),
        ["web_search_call"]
    );
}

#[test]
fn calls_come_back_under_the_names_that_the_caller_gave_its_tools() {
    let asked = doc(&json!({"input": "x", "tools": [
        {"type": "custom", "name": "patch"},
        {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "g"}]},
    ]}));
    let call = |id: &str, name: &str, arguments: &str| {
        ContentPart::new(PartBody::ToolCall(ToolCall {
            id: Some(id.to_owned()),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
            ..ToolCall::default()
        }))
    };
    let mut answer = ChatAnswer::new("other");
    answer.candidates.push(ChatCandidate {
        logprobs: Vec::new(),
        index: 0,
        message: ChatMessage {
            role: ChatRole::Assistant,
            parts: vec![
                call("a", "patch", r#"{"input":"*** Begin"}"#),
                call("b", "n__g", ""),
            ],
            name: None,
            extra: Extra::new(),
        },
        stop: Some(StopReason::ToolCalls),
        extra: Extra::new(),
    });
    let (response, losses) = encode_answer(&asked, answer);
    assert!(losses.is_empty(), "{losses:?}");
    assert_eq!(response["status"], "completed");
    let output = &response["output"];
    assert_eq!(output[0]["type"], "custom_tool_call");
    assert_eq!(output[0]["input"], "*** Begin");
    assert_eq!(output[0].get("arguments"), None);
    assert_eq!(
        (&output[1]["namespace"], &output[1]["name"]),
        (&json!("n"), &json!("g"))
    );
    assert_eq!(output[1]["arguments"], "{}");
}

#[test]
fn a_signature_of_a_call_comes_back_to_that_call() {
    let asked = doc(&json!({"input": "x"}));
    let mut answer = ChatAnswer::new("gemini");
    let call = ToolCall {
        id: Some("c1".to_owned()),
        name: "f".to_owned(),
        arguments: "{}".to_owned(),
        signature: Some("c2ln".to_owned()),
        ..ToolCall::default()
    };
    answer.candidates.push(ChatCandidate {
        logprobs: Vec::new(),
        index: 0,
        message: ChatMessage {
            role: ChatRole::Assistant,
            parts: vec![ContentPart::new(PartBody::ToolCall(call.clone()))],
            name: None,
            extra: Extra::new(),
        },
        stop: None,
        extra: Extra::new(),
    });
    let (response, _) = encode_answer(&asked, answer);
    let request = settled_of(json!({"input": response["output"]}));
    let [turn] = request.messages.as_slice() else {
        panic!("{request:?}")
    };
    let [part] = turn.parts.as_slice() else {
        panic!("{turn:?}")
    };
    assert_eq!(part.body, PartBody::ToolCall(call));
}
