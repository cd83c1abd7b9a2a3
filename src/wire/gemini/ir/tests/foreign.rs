//! What is asked in other dialects, as Google takes it, and what Google answers, as others read it.

use super::*;
use crate::wire::ir::{ContentDelta, PartBody, ReasoningPart, StopReason, ToolCallKind};
use crate::wire::request::RequestDoc;

/// What holds of the contents of any request: roles in turn, nothing empty, as many results as calls in the content
/// behind them.
pub(super) fn check_contents(body: &Value) {
    let contents = body["contents"].as_array().unwrap();
    let count = |content: &Value, field: &str| {
        let parts = content["parts"].as_array().into_iter().flatten();
        parts.filter(|part| part.get(field).is_some()).count()
    };
    for (at, content) in contents.iter().enumerate() {
        let expected = if at % 2 == 0 { "user" } else { "model" };
        assert_eq!(content["role"], expected, "{body}");
        let parts = content["parts"].as_array().unwrap();
        assert!(!parts.is_empty(), "{body}");
        for part in parts {
            let signed = part.get("thoughtSignature").is_some();
            assert!(part["text"] != "" || signed, "{body}");
            if let Some(call) = part.get("functionCall") {
                assert!(call["args"].is_object(), "{body}");
            }
            if let Some(result) = part.get("functionResponse") {
                assert!(
                    result["name"].is_string() && result["response"].is_object(),
                    "{body}"
                );
            }
        }
        let calls = count(content, "functionCall");
        if let Some(next) = contents.get(at + 1) {
            assert!(count(next, "functionResponse") >= calls, "{body}");
        }
    }
}

fn asked(body: Value) -> (Value, Vec<String>) {
    asked_of("gemini-3.5-flash", body)
}

fn asked_of(model: &str, body: Value) -> (Value, Vec<String>) {
    let mut request = chat::decode(body).unwrap();
    request.model = Some(model.to_owned());
    let (body, losses) = encode_request(request);
    (body, losses.into_iter().map(|loss| loss.path).collect())
}

#[test]
fn instructions_stand_by_themselves_and_later_ones_where_they_stood() {
    let (body, _) = asked(json!({"messages": [
        {"role": "system", "content": "A"}, {"role": "developer", "content": "B"},
        {"role": "user", "content": "one"}, {"role": "system", "content": "C"},
        {"role": "assistant", "content": "two"},
    ]}));
    assert_eq!(
        body["systemInstruction"],
        json!({"parts": [{"text": "A"}, {"text": "B"}]})
    );
    assert_eq!(
        body["contents"],
        json!([
            {"role": "user", "parts": [{"text": "one"}, {"text": "C"}]},
            {"role": "model", "parts": [{"text": "two"}]},
        ])
    );
    let (body, _) = asked(json!({"messages": [{"role": "system", "content": "A"}]}));
    assert_eq!(
        body,
        json!({"contents": [{"role": "user", "parts": [{"text": "A"}]}]})
    );
    let (body, _) = asked(json!({"messages": [{"role": "assistant", "content": "A"}]}));
    assert_eq!(body["contents"][0]["role"], "user");
}

fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

#[test]
fn a_model_that_makes_pictures_sees_its_own_signed() {
    let picture =
        || json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}});
    let body = json!({"messages": [
        {"role": "user", "content": [picture()]},
        {"role": "assistant", "content": [{"type": "text", "text": "Here:"}, picture(), {"type": "text", "text": "Nice."}]},
        {"role": "user", "content": "again"},
        {"role": "assistant", "content": "No."},
        {"role": "user", "content": "why"},
    ]});
    let signed = |model: &str| -> Vec<bool> {
        let (body, _) = asked_of(model, body.clone());
        let contents = body["contents"].as_array().unwrap().iter();
        let parts = contents.flat_map(|content| content["parts"].as_array().unwrap());
        parts
            .map(|part| part["thoughtSignature"] == NO_SIGNATURE)
            .collect()
    };
    let images = "gemini-3-pro-image-preview";
    assert_eq!(
        signed(images),
        [false, true, true, false, false, false, false]
    );
    assert_eq!(signed("gemini-3.5-flash"), [false; 7]);
    assert_eq!(signed("gemini-2.5-flash-image"), [false; 7]);
}

#[test]
fn results_come_in_the_order_of_their_calls_and_none_is_missing() {
    let (body, _) = asked(json!({"messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": null, "tool_calls": [
            call("a", "f", ""), call("b", "f", "{broken"), call("c", "g", "[1]")]},
        {"role": "tool", "tool_call_id": "b", "content": "two"},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "one"}]},
        {"role": "user", "content": "next"},
    ]}));
    let calls = body["contents"][1]["parts"].as_array().unwrap();
    let args: Vec<&Value> = calls
        .iter()
        .map(|part| &part["functionCall"]["args"])
        .collect();
    assert_eq!(
        args,
        [
            &json!({}),
            &json!({"arguments": "{broken"}),
            &json!({"arguments": [1]})
        ]
    );
    // The first of a step alone, where another model called.
    let signed: Vec<bool> = calls
        .iter()
        .map(|part| part.get("thoughtSignature").is_some())
        .collect();
    assert_eq!(signed, [true, false, false]);
    assert_eq!(calls[0]["thoughtSignature"], NO_SIGNATURE);
    let results = body["contents"][2]["parts"].as_array().unwrap();
    let told: Vec<(&Value, &Value)> = results
        .iter()
        .filter_map(|part| part.get("functionResponse"))
        .map(|result| (&result["name"], &result["response"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("f"), &json!({"output": "one"})),
            (&json!("f"), &json!({"output": "two"})),
            (&json!("g"), &json!({"error": "the tool gave no result"})),
        ]
    );
    assert_eq!(results[3], json!({"text": "next"}));
    let (body, _) =
        asked(json!({"messages": [{"role": "tool", "tool_call_id": "x", "content": "one"}]}));
    assert_eq!(
        body["contents"][0]["parts"][0],
        json!({"text": "Result of a tool: one"})
    );
}

#[test]
fn thoughts_go_back_to_google_alone() {
    let detail = |format: &str| json!({"type": "reasoning.text", "text": "hm", "signature": "c2ln", "format": format});
    let with = |format: &str, calls: Value| {
        asked(json!({"messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "said", "reasoning_details": [detail(format)], "tool_calls": calls},
        ]}))
    };
    let (body, losses) = with("google-gemini-v1", json!([call("a", "f", "{}")]));
    assert_eq!(
        body["contents"][1]["parts"],
        json!([
            {"text": "hm", "thought": true}, {"text": "said"},
            {"functionCall": {"id": "a", "name": "f", "args": {}}, "thoughtSignature": "c2ln"},
        ])
    );
    assert!(losses.is_empty(), "{losses:?}");
    let (body, losses) = with("anthropic-claude-v1", json!([]));
    assert_eq!(body["contents"][1]["parts"], json!([{"text": "said"}]));
    assert_eq!(losses.len(), 1);
}

#[test]
fn efforts_are_levels_or_budgets_by_the_model() {
    let thinking = |model: &str, effort: &str| {
        let body =
            json!({"messages": [{"role": "user", "content": "q"}], "reasoning_effort": effort});
        let mut request = chat::decode(body).unwrap();
        request.model = Some(model.to_owned());
        encode_request(request).0["generationConfig"]["thinkingConfig"].take()
    };
    let shown = |name: &str, value: Value| json!({name: value, "includeThoughts": true});
    for (model, effort, wanted) in [
        (
            "gemini-3.5-flash",
            "high",
            shown("thinkingLevel", json!("HIGH")),
        ),
        (
            "gemini-3.5-flash",
            "xhigh",
            shown("thinkingLevel", json!("HIGH")),
        ),
        (
            "gemini-3.5-flash",
            "none",
            json!({"thinkingLevel": "MINIMAL"}),
        ),
        (
            "gemini-3-pro-preview",
            "minimal",
            shown("thinkingLevel", json!("LOW")),
        ),
        ("gemini-2.5-flash", "none", json!({"thinkingBudget": 0})),
        ("gemini-2.5-pro", "none", json!({"thinkingBudget": 128})),
        (
            "gemini-2.5-flash",
            "low",
            shown("thinkingBudget", json!(1024)),
        ),
        (
            "gemini-2.5-flash",
            "max",
            shown("thinkingBudget", json!(24_576)),
        ),
        ("gemini-2.0-flash", "high", Value::Null),
        ("gemma-3-27b", "none", Value::Null),
    ] {
        assert_eq!(thinking(model, effort), wanted, "{model} {effort}");
    }
}

#[test]
fn what_has_no_place_is_named() {
    let (body, losses) = asked(json!({
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "q", "cache_control": {"type": "ephemeral"}},
            {"type": "file", "file": {"file_id": "file-1"}},
        ], "name": "n"}],
        "logit_bias": {"1": 1}, "parallel_tool_calls": false, "user": "u", "metadata": {"a": "b"}, "store": false,
        "service_tier": "scale", "tools": [{"type": "web_search"}], "stop": ["", "a"], "seed": 1, "n": 2,
        "response_format": {"type": "json_object"}, "extra_body": {"google": {"cached_content": "cachedContents/a"}},
    }));
    assert_eq!(
        losses,
        [
            "store",
            "logit_bias",
            "sampling.stop",
            "messages[0].name",
            "messages[0].content[0].cache_control",
            "messages[0].content[1].file_id",
            "tools[0].web_search",
            "parallel_tool_calls",
            "user",
            "metadata",
            "service_tier",
        ]
    );
    assert_eq!(body["cachedContent"], "cachedContents/a");
    assert_eq!(
        body["generationConfig"],
        json!({"seed": 1, "candidateCount": 2, "stopSequences": ["a"], "responseMimeType": "application/json"})
    );
}

#[test]
fn a_tool_of_free_text_is_a_function_of_one_text() {
    let (body, _) = asked(json!({
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "tool_calls": [
            {"id": "a", "type": "custom", "custom": {"name": "patch", "input": "*** x"}}]}],
        "tools": [{"type": "custom", "custom": {"name": "patch", "description": "d", "format": {
            "type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /.+/"}}}}],
        "tool_choice": "required",
    }));
    let declared = &body["tools"][0]["functionDeclarations"][0];
    assert_eq!(
        declared["parametersJsonSchema"]["required"],
        json!(["input"])
    );
    assert!(
        declared["description"]
            .as_str()
            .unwrap()
            .ends_with("start: /.+/")
    );
    assert_eq!(body["toolConfig"]["functionCallingConfig"]["mode"], "ANY");
    assert_eq!(
        body["contents"][1]["parts"][0]["functionCall"]["args"],
        json!({"input": "*** x"})
    );
}

/// What a client of Gemini's asks, as chat completions.
fn told(body: &Value) -> (Value, Vec<String>) {
    let doc = RequestDoc::parse(body.to_string().into()).unwrap();
    chat::encode(decode_call(&doc).unwrap())
}

#[test]
fn results_without_ids_belong_to_the_calls_by_name_and_order() {
    let calls = |names: &[&str]| {
        let all = names
            .iter()
            .map(|name| json!({"functionCall": {"name": name}}));
        json!({"role": "model", "parts": all.collect::<Vec<_>>()})
    };
    let result = |name: &str, text: &str| json!({"function_response": {"name": name, "response": {"name": name, "content": text}}});
    let (body, _) = told(&json!({"contents": [
        {"parts": [{"text": "q"}]},
        calls(&["f", "g", "f"]),
        {"role": "function", "parts": [result("g", "1"), result("f", "2"), result("f", "3")]},
    ]}));
    let sent = body["messages"][1]["tool_calls"].as_array().unwrap();
    let ids: Vec<&str> = sent
        .iter()
        .map(|call| call["id"].as_str().unwrap())
        .collect();
    assert_eq!(sent[0]["function"]["arguments"], "{}");
    let results = body["messages"].as_array().unwrap().iter().skip(2);
    let answered: Vec<(&str, bool)> = results
        .zip(["1", "2", "3"])
        .map(|(result, text)| {
            let said = result["content"].as_str().unwrap();
            (
                result["tool_call_id"].as_str().unwrap(),
                said.contains(text),
            )
        })
        .collect();
    assert_eq!(answered, [(ids[1], true), (ids[0], true), (ids[2], true)]);
}

#[test]
fn schemas_of_googles_form_are_json_schema_elsewhere() {
    let (body, losses) = told(&json!({
        "contents": [{"role": "user", "parts": [{"text": "q"}]}],
        "tools": [{"function_declarations": [
            {"name": "fs.read", "parameters": {"type": "OBJECT", "properties": {"n": {"type": "INTEGER", "nullable": true}}}},
        ]}],
        "generation_config": {"response_mime_type": "application/json", "maxOutputTokens": 5, "response_schema": {
            "type": "OBJECT", "properties": {"a": {"type": "STRING"}}}},
    }));
    let function = &body["tools"][0]["function"];
    assert_eq!(function["name"], "fs_read");
    assert_eq!(
        function["parameters"]["properties"]["n"]["type"],
        json!(["integer", "null"])
    );
    let schema = &body["response_format"]["json_schema"]["schema"];
    assert_eq!(schema["properties"]["a"]["type"], "string");
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn of_several_allowed_tools_the_others_are_not_told() {
    let declared = |name: &str| json!({"name": name});
    let (body, _) = told(&json!({
        "contents": [{"parts": [{"text": "q"}]}],
        "tools": [{"functionDeclarations": [declared("a"), declared("b"), declared("c")]}],
        "toolConfig": {"functionCallingConfig": {"mode": "any", "allowedFunctionNames": ["a", "c"]}},
    }));
    let names: Vec<&Value> = body["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| &tool["function"]["name"])
        .collect();
    assert_eq!(
        (names, &body["tool_choice"]),
        (vec![&json!("a"), &json!("c")], &json!("required"))
    );
}

#[test]
fn names_come_back_as_the_client_knows_them() {
    let names = tool_names(&json!([{"functionDeclarations": [{"name": "fs.read"}]}]));
    let mut encoder = ContentEncoder::new(names, "");
    let call = StreamItem::Delta {
        candidate: 0,
        delta: ContentDelta::ToolCall {
            index: 0,
            id: Some("a".to_owned()),
            name: Some("fs_read".to_owned()),
            arguments: Some("{\"p\":1}".to_owned()),
            kind: ToolCallKind::Function,
            signature: None,
            extra: crate::wire::ir::Extra::new(),
        },
    };
    let events = said(&mut encoder, vec![vec![call], vec![StreamItem::End]]);
    let part = &events[0]["candidates"][0]["content"]["parts"][0]["functionCall"];
    assert_eq!(
        *part,
        json!({"id": "a", "name": "fs.read", "args": {"p": 1}})
    );
}

#[test]
fn another_makers_signed_thought_comes_back_on_the_call() {
    let thought = ReasoningPart {
        text: Some("hm".to_owned()),
        signature: Some("c2ln".to_owned()),
        maker: Some("anthropic".into()),
        ..ReasoningPart::default()
    };
    let call = ContentDelta::ToolCall {
        index: 0,
        id: Some("a".to_owned()),
        name: Some("f".to_owned()),
        arguments: None,
        kind: ToolCallKind::Function,
        signature: None,
        extra: crate::wire::ir::Extra::new(),
    };
    let deltas = [ContentDelta::Reasoning(thought.clone()), call];
    let items = deltas.map(|delta| StreamItem::Delta {
        candidate: 0,
        delta,
    });
    let mut encoder = ContentEncoder::new(GeminiToolNames::default(), "");
    let events = said(&mut encoder, vec![items.to_vec(), vec![StreamItem::End]]);
    let content = events[1]["candidates"][0]["content"].clone();
    assert!(
        content["parts"][0]["thoughtSignature"]
            .as_str()
            .unwrap()
            .starts_with(CARRIED)
    );
    let request = decode_request(json!({"contents": [content]})).unwrap();
    let parts = &request.messages[0].parts;
    assert_eq!(parts[0].body, PartBody::Reasoning(thought));
    assert!(matches!(&parts[1].body, PartBody::ToolCall(call) if call.signature.is_none()));
}

#[test]
fn what_google_answers_is_read_by_clients_of_chat_completions() {
    let body = json!({
        "candidates": [{"content": {"parts": [
            {"text": "hm", "thought": true}, {"text": "Four"}, {"text": " it is."},
            {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
            {"functionCall": {"name": "f"}},
        ]}, "finishReason": "STOP"}],
    });
    let answer = chat::encode_answer(decode_answer(b"x", body).unwrap());
    let message = &answer["choices"][0]["message"];
    assert_eq!(
        (&message["content"], &message["reasoning_content"]),
        (&json!("Four it is."), &json!("hm"))
    );
    let calls = message["tool_calls"].as_array().unwrap();
    assert_eq!(
        calls[0]["extra_content"]["google"]["thought_signature"],
        "c2ln"
    );
    assert_eq!(calls[1]["function"]["arguments"], "{}");
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    let odd = json!({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]});
    let answer = decode_answer(b"x", odd).unwrap();
    assert!(matches!(
        answer.candidates[0].stop,
        Some(StopReason::Other(_))
    ));
    assert_eq!(
        chat::encode_answer(answer)["choices"][0]["finish_reason"],
        "malformed_function_call"
    );
}

#[test]
fn a_call_and_its_end_may_come_in_different_events() {
    let mut decoder = ContentDecoder::default();
    let events = [
        json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}}]}),
        json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}}]}),
        json!({"candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 9}}),
    ];
    let mut items: Vec<Vec<StreamItem>> = events
        .iter()
        .map(|data| {
            decoder.event(&RawEvent {
                raw: format!("data: {data}\n\n").into(),
            })
        })
        .collect();
    items.push(vec![StreamItem::End]);
    let text = chat::chunks(items, true);
    assert_eq!(text.matches("\"finish_reason\":\"tool_calls\"").count(), 1);
    assert_eq!(text.matches("\"name\":\"f\"").count(), 2);
    assert!(text.contains("\"index\":1") && text.contains("\"completion_tokens\":9"));
    assert!(text.ends_with("data: [DONE]\n\n"));
}
