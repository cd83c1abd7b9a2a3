//! Answers that clients and we ourselves put together from the pieces of a stream.

use serde_json::{Value, json};

use super::*;
use crate::wire::gemini::ID;
use crate::wire::ir::{Assembly, ChatRole, ContentDelta, ContentPart, PartBody, ReasoningPart};
use crate::wire::request::RequestDoc;

fn delta(delta: ContentDelta) -> StreamItem {
    StreamItem::Delta {
        candidate: 0,
        delta,
    }
}

fn asked(body: &Value) -> crate::wire::ir::ChatRequest {
    let doc = RequestDoc::parse(body.to_string().into()).unwrap();
    decode_call(&doc).unwrap()
}

fn thinks(text: &str, signature: Option<&str>, maker: &'static str) -> PartBody {
    PartBody::Reasoning(ReasoningPart {
        text: Some(text.to_owned()),
        signature: signature.map(str::to_owned),
        maker: Some(maker.into()),
        ..ReasoningPart::default()
    })
}

#[test]
fn a_fetched_answer_tells_a_thought_once_and_keeps_what_is_carried_of_it() {
    let words = ContentDelta::Reasoning(ReasoningPart {
        text: Some("hm".to_owned()),
        ..ReasoningPart::default()
    });
    let seal = ContentDelta::Reasoning(ReasoningPart {
        signature: Some("c2ln".to_owned()),
        maker: Some("anthropic".into()),
        ..ReasoningPart::default()
    });
    let mut encoder = ContentEncoder::new(GeminiToolNames::default(), "anthropic");
    let stream = vec![
        vec![delta(words)],
        vec![delta(seal)],
        vec![delta(ContentDelta::Text("ok".to_owned()))],
        vec![StreamItem::End],
    ];
    let mut decoder = ContentDecoder::default();
    let mut assembly = Assembly::new(ID);
    for event in said(&mut encoder, stream) {
        let raw = format!("data: {event}\n\n").into();
        assembly.add(decoder.event(&RawEvent { raw }));
    }
    let (answer, _) = assembly.finish().unwrap();
    let (body, _) = encode_answer(answer, &GeminiToolNames::default());
    let content = &body["candidates"][0]["content"];
    let text = content.to_string();
    assert_eq!(text.matches("hm").count(), 1, "{text}");
    assert_eq!(text.matches(CARRIED).count(), 1, "{text}");
    let request = asked(&json!({"contents": [content]}));
    let parts: Vec<_> = request.messages[0]
        .parts
        .iter()
        .map(|one| &one.body)
        .collect();
    assert_eq!(
        parts,
        [
            &thinks("hm", Some("c2ln"), "anthropic"),
            &ContentPart::text("ok").body
        ]
    );
}

#[test]
fn pieces_that_a_client_keeps_one_by_one_are_one_answer() {
    let model = |part: Value| json!({"role": "model", "parts": [part]});
    let call = |name: &str| json!({"functionCall": {"name": name, "args": {}}});
    let result =
        |name: &str| json!({"functionResponse": {"name": name, "response": {"output": "1"}}});
    let request = asked(&json!({"contents": [
        {"role": "user", "parts": [{"text": "q"}]},
        model(json!({"text": "H", "thought": true})),
        model(json!({"text": "m.", "thought": true})),
        model(json!({"text": "Hel"})),
        model(json!({"text": "lo", "thoughtSignature": "c2ln"})),
        model(json!({"text": "!"})),
        model(call("f")),
        model(call("g")),
        {"role": "model"},
        {"role": "user", "parts": [result("f"), result("g")]},
    ]}));
    let roles: Vec<_> = request.messages.iter().map(|one| &one.role).collect();
    assert_eq!(
        roles,
        [&ChatRole::User, &ChatRole::Assistant, &ChatRole::User]
    );
    let parts = &request.messages[1].parts;
    assert_eq!(parts[0].body, thinks("Hm.", None, ID));
    assert_eq!(parts[1].body, ContentPart::text("Hello!").body);
    let (body, _) = chat::encode(request);
    assert_eq!(body["messages"][1]["content"], "Hello!");
    let calls = body["messages"][1]["tool_calls"].as_array();
    assert_eq!(calls.map(Vec::len), Some(2));
    assert_eq!(body["messages"][3]["role"], "tool");
}

#[test]
fn a_thought_that_a_call_carries_stands_in_front_of_the_words_of_its_turn() {
    let mut encoder = ContentEncoder::new(GeminiToolNames::default(), "anthropic");
    let seal = ContentDelta::Reasoning(ReasoningPart {
        text: Some("hm".to_owned()),
        signature: Some("c2ln".to_owned()),
        maker: Some("anthropic".into()),
        ..ReasoningPart::default()
    });
    let call = ContentDelta::ToolCall {
        index: 0,
        id: Some("a".to_owned()),
        name: Some("f".to_owned()),
        arguments: Some("{}".to_owned()),
        kind: crate::wire::ir::ToolCallKind::Function,
        signature: None,
        extra: crate::wire::ir::Extra::new(),
    };
    let said = ContentDelta::Text("I look.".to_owned());
    let events = [
        vec![delta(seal)],
        vec![delta(said)],
        vec![delta(call)],
        vec![StreamItem::End],
    ];
    let mut carried = None;
    for items in events {
        let event = String::from_utf8(encoder.event(items).to_vec()).unwrap();
        for data in event.lines().filter_map(|line| line.strip_prefix("data: ")) {
            let event: Value = serde_json::from_str(data).unwrap();
            let parts = event["candidates"][0]["content"]["parts"]
                .as_array()
                .cloned();
            let mut parts = parts.unwrap_or_default().into_iter();
            carried = parts
                .find(|part| part.get("functionCall").is_some())
                .or(carried);
        }
    }
    let request = asked(&json!({"contents": [
        {"role": "user", "parts": [{"text": "q"}]},
        {"role": "model", "parts": [{"text": "I look."}, carried.unwrap()]},
    ]}));
    let words: Vec<&str> = request.messages[1]
        .parts
        .iter()
        .map(|part| part.body.word())
        .collect();
    assert_eq!(words, ["reasoning", "text", "tool_calls"]);
}

#[test]
fn what_stands_in_place_of_a_signature_is_nothing_to_lose() {
    let mut request = asked(&json!({"contents": [
        {"role": "user", "parts": [{"text": "q"}]},
        {"role": "model", "parts": [
            {"text": "", "thoughtSignature": NO_SIGNATURE},
            {"functionCall": {"name": "f"}, "thoughtSignature": NO_SIGNATURE}]},
    ]}));
    request.drop_placeholder_signatures();
    let [part] = &request.messages[1].parts[..] else {
        panic!("{:?}", request.messages[1].parts)
    };
    assert!(matches!(&part.body, PartBody::ToolCall(call) if call.signature.is_none()));
}
