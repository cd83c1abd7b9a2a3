//! Requests and answers of chat completions, by the kinds of mistakes that adapters are known for.

use super::*;
use crate::wire::dialect::EventDecoder;

#[test]
fn instructions_lead_and_later_ones_stay_where_they_are() {
    let (body, _) = fitted(
        "claude-sonnet-4-5",
        json!({"messages": [
            {"role": "system", "content": "Rule A."}, {"role": "developer", "content": "Rule B."},
            {"role": "user", "content": "hi"}, {"role": "system", "content": "Rule C."}
        ]}),
    );
    assert_eq!(body["system"].as_array().unwrap().len(), 2);
    let messages = body["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 1);
    assert!(
        messages[0]["content"][1]["text"]
            .as_str()
            .unwrap()
            .contains("Rule C.")
    );
}

#[test]
fn results_are_one_turn_and_ids_fit_and_agree() {
    let (body, _) = fitted(
        "m",
        json!({"messages": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": "", "tool_calls": [
                {"id": "functions.w:0", "type": "function", "function": {"name": "w", "arguments": ""}},
                {"id": "functions.w:1", "type": "function", "function": {"name": "w", "arguments": "{\"a\":1}"}}]},
            {"role": "tool", "tool_call_id": "functions.w:1", "content": "b"},
            {"role": "user", "content": "and"},
            {"role": "tool", "tool_call_id": "functions.w:0", "content": ""},
        ], "tools": [{"type": "function", "function": {"name": "w"}}]}),
    );
    turns(&body);
    let messages = body["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 3);
    let calls = messages[1]["content"].as_array().unwrap();
    assert_eq!(calls.len(), 2, "no empty text");
    assert_eq!(calls[0]["input"], json!({}));
    assert_eq!(messages[2]["content"][0]["tool_use_id"], calls[1]["id"]);
    assert_eq!(messages[2]["content"][1]["tool_use_id"], calls[0]["id"]);
    assert_eq!(body["tools"][0]["input_schema"]["type"], "object");
}

#[test]
fn what_is_not_answered_is_and_an_orphan_is_words() {
    let (body, _) = fitted(
        "m",
        json!({"messages": [
            {"role": "tool", "tool_call_id": "gone", "content": "orphan"},
            {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "w", "arguments": "{"}}]},
            {"role": "user", "content": "never mind"},
        ]}),
    );
    turns(&body);
    assert_eq!(body["messages"][0]["content"][0]["text"], "orphan");
    assert_eq!(body["messages"][2]["content"][0]["is_error"], true);
    // The tools of the history are declared, and cannot be called.
    assert_eq!(body["tools"][0]["name"], "w");
    assert_eq!(body["tool_choice"], json!({"type": "none"}));
}

#[test]
fn the_choice_of_tools_and_parallel_calls_are_one_object() {
    let tools =
        json!([{"type": "function", "function": {"name": "w", "parameters": {"type": "object"}}}]);
    for (fields, expected) in [
        (
            json!({"parallel_tool_calls": false}),
            json!({"type": "auto", "disable_parallel_tool_use": true}),
        ),
        (json!({"parallel_tool_calls": true}), Value::Null),
        (
            json!({"tool_choice": "none", "parallel_tool_calls": false}),
            json!({"type": "none"}),
        ),
        (json!({"tool_choice": "required"}), json!({"type": "any"})),
        (
            json!({"tool_choice": {"type": "function", "function": {"name": "w"}}}),
            json!({"type": "tool", "name": "w"}),
        ),
    ] {
        let mut body = fields;
        body["messages"] = json!([{"role": "user", "content": "hi"}]);
        body["tools"] = tools.clone();
        let (body, _) = fitted("claude-opus-4-8", body);
        assert_eq!(body["tool_choice"], expected);
    }
}

#[test]
fn parameters_keep_to_what_the_model_takes() {
    let asked = json!({"messages": [{"role": "user", "content": "hi"}], "temperature": 1.7, "top_p": 0.9,
        "stop": ["\n", "END", ""], "seed": 1, "n": 1, "presence_penalty": 0, "user": "u"});
    let (body, lost) = fitted("claude-haiku-4-5", asked.clone());
    assert_eq!(body["temperature"], 1);
    assert_eq!(body["stop_sequences"], json!(["END"]));
    assert_eq!(body["metadata"]["user_id"], "u");
    assert!(body["max_tokens"].as_u64().unwrap() >= 1024);
    assert_eq!(
        lost,
        [
            "sampling.temperature",
            "sampling.top_p",
            "sampling.stop",
            "sampling.seed"
        ]
    );
    let (body, lost) = fitted("claude-opus-4-8", asked);
    assert_eq!(body["temperature"], Value::Null);
    assert!(lost.contains(&"sampling.temperature".to_owned()));
}

#[test]
fn effort_is_adaptive_where_it_can_be_and_a_budget_below_the_limit_elsewhere() {
    let asked = |most: Value| {
        json!({"messages": [{"role": "user", "content": "hi"}], "reasoning_effort": "high", "max_completion_tokens": most,
            "temperature": 0.2})
    };
    let (body, _) = fitted("claude-opus-4-8", asked(json!(4000)));
    assert_eq!(body["thinking"], json!({"type": "adaptive"}));
    assert_eq!(body["output_config"]["effort"], "high");
    assert_eq!(body["max_tokens"], 4000);
    let (body, lost) = fitted("claude-sonnet-4-5", asked(json!(4000)));
    let budget = body["thinking"]["budget_tokens"].as_u64().unwrap();
    assert!((1024..4000).contains(&budget));
    assert_eq!(body["temperature"], Value::Null);
    assert_eq!(lost, ["sampling.temperature"]);
    let (body, lost) = fitted("claude-sonnet-4-5", asked(json!(100)));
    assert_eq!(body["thinking"], Value::Null);
    assert_eq!(lost, ["reasoning.effort"]);
    let (body, _) = fitted("claude-sonnet-4-5", asked(Value::Null));
    assert!(body["max_tokens"].as_u64() > body["thinking"]["budget_tokens"].as_u64());
}

#[test]
fn a_form_of_answer_is_a_format_a_tool_or_words() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
    let asked = json!({"messages": [{"role": "user", "content": "hi"}], "response_format": {"type": "json_schema",
        "json_schema": {"name": "out", "strict": true, "schema": schema}}});
    let (body, _) = fitted("claude-opus-5", asked.clone());
    assert_eq!(
        body["output_config"]["format"],
        json!({"type": "json_schema", "schema": schema})
    );
    let (body, _) = fitted("claude-3-5-haiku", asked);
    assert_eq!(
        body["tool_choice"],
        json!({"type": "tool", "name": ANSWER_TOOL})
    );
    assert_eq!(
        body["tools"][0]["input_schema"]["properties"]["a"]["type"],
        "string"
    );
    let asked = json!({"messages": [{"role": "user", "content": "hi"}], "response_format": {"type": "json_object"}});
    let (body, _) = fitted("claude-opus-5", asked);
    assert!(body["system"][0]["text"].as_str().unwrap().contains("JSON"));
    let answer = json!({"content": [{"type": "tool_use", "id": "t", "name": ANSWER_TOOL, "input": {"a": "b"}}],
        "stop_reason": "tool_use"});
    let answer = chat::encode_answer(decode_answer(answer).unwrap());
    assert_eq!(answer["choices"][0]["message"]["content"], r#"{"a":"b"}"#);
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
}

#[test]
fn media_go_in_the_forms_that_are_taken() {
    let (body, lost) = fitted(
        "m",
        json!({"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,UA==", "detail": "high"}},
            {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
            {"type": "image_url", "image_url": {"url": "data:image/svg+xml;base64,UA=="}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,UA=="}},
            {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,aGk="}},
            {"type": "input_audio", "input_audio": {"data": "UA==", "format": "wav"}},
            {"type": "text", "text": "sum up", "cache_control": {"type": "ephemeral"}},
        ]}]}),
    );
    let blocks = body["messages"][0]["content"].as_array().unwrap();
    assert_eq!(
        blocks[0]["source"],
        json!({"type": "base64", "media_type": "image/jpeg", "data": "UA=="})
    );
    assert_eq!(
        blocks[1]["source"],
        json!({"type": "url", "url": "https://x.example/a.png"})
    );
    assert_eq!(blocks[2]["source"]["media_type"], "application/pdf");
    assert_eq!(blocks[2]["title"], "a.pdf");
    assert_eq!(
        blocks[3]["source"],
        json!({"type": "text", "media_type": "text/plain", "data": "hi"})
    );
    assert_eq!(blocks[4]["cache_control"], json!({"type": "ephemeral"}));
    assert_eq!(
        lost,
        [
            "messages[0].content[0].detail",
            "messages[0].content[2]",
            "messages[0].content[5]"
        ]
    );
}

#[test]
fn a_signed_thought_comes_back_and_any_other_does_not() {
    let answer = json!({"id": "msg_1", "model": "m", "content": [
        {"type": "thinking", "thinking": "Look it up.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "eHg="},
        {"type": "tool_use", "id": "toolu_1", "name": "w", "input": {}}], "stop_reason": "tool_use",
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 50, "output_tokens": 20}});
    let answer = chat::encode_answer(decode_answer(answer).unwrap());
    assert_eq!(answer["usage"]["prompt_tokens"], 160);
    assert_eq!(answer["usage"]["total_tokens"], 180);
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    let message = &answer["choices"][0]["message"];
    assert_eq!(message["reasoning_content"], "Look it up.");
    let (body, _) = fitted(
        "claude-opus-4-8",
        json!({"messages": [{"role": "user", "content": "hi"}, message,
            {"role": "tool", "tool_call_id": "toolu_1", "content": "cold"}]}),
    );
    let blocks = body["messages"][1]["content"].as_array().unwrap();
    assert_eq!(
        blocks[0],
        json!({"type": "thinking", "thinking": "Look it up.", "signature": "c2ln"})
    );
    assert_eq!(
        blocks[1],
        json!({"type": "redacted_thinking", "data": "eHg="})
    );
    assert_eq!(blocks[2]["type"], "tool_use");
    let (body, lost) = fitted(
        "claude-opus-4-8",
        json!({"messages": [{"role": "user", "content": "hi"},
            {"role": "assistant", "content": "ok", "reasoning_content": "hm", "reasoning_details": [
                {"type": "reasoning.encrypted", "data": "x", "format": "google-gemini-v1"}]},
            {"role": "user", "content": "more"}]}),
    );
    assert_eq!(body["messages"][1]["content"].as_array().unwrap().len(), 1);
    assert_eq!(lost, ["messages[1].content[0]"]);
}

#[test]
fn a_last_word_of_the_assistant_is_a_prefill_or_is_followed() {
    let asked = json!({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Well, "}]});
    let (body, _) = fitted("claude-haiku-4-5", asked.clone());
    assert_eq!(body["messages"][1]["content"][0]["text"], "Well,");
    let (body, _) = fitted("claude-opus-4-8", asked);
    assert_eq!(body["messages"][2]["role"], "user");
}

#[test]
fn a_whole_answer_of_chat_completions_is_a_message() {
    let answer = |message: Value, reason: &str| {
        let body = json!({"id": "c1", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 75}}});
        Value::Object(encode_answer(chat::decode_answer(body).unwrap()).0)
    };
    let said = answer(
        json!({"role": "assistant", "content": null, "refusal": "I cannot."}),
        "stop",
    );
    assert_eq!(said["stop_reason"], "refusal");
    assert_eq!(
        said["content"],
        json!([{"type": "text", "text": "I cannot."}])
    );
    assert_eq!(said["usage"]["input_tokens"], 25);
    assert_eq!(said["usage"]["cache_read_input_tokens"], 75);
    assert_eq!(said["id"], "msg_c1");
    let call = json!([{"id": "call_1", "type": "function", "function": {"name": "w", "arguments": "{\"c\":\"Os"}}]);
    let said = answer(json!({"role": "assistant", "tool_calls": call}), "length");
    assert_eq!(said["stop_reason"], "max_tokens");
    assert_eq!(said["content"][0]["type"], "text");
    let said = answer(json!({"role": "assistant", "tool_calls": call}), "stop");
    assert_eq!(said["stop_reason"], "tool_use");
    assert_eq!(
        said["content"][0]["input"],
        json!({"arguments": "{\"c\":\"Os"})
    );
}

#[test]
fn a_stream_of_messages_is_one_of_chunks() {
    let mut decoder = MessageDecoder::default();
    let mut all = Vec::new();
    for data in [
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 5, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "ping"}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "ok"}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ] {
        let raw = format!("data: {data}\n\n").into();
        all.push(decoder.event(&crate::wire::sse::RawEvent { raw }));
    }
    let text = chat::chunks(all, true);
    assert!(text.contains(r#""reasoning_content":"hm""#), "{text}");
    assert!(text.contains(r#""format":"anthropic-claude-v1""#), "{text}");
    assert!(
        text.contains(r#""completion_tokens":9"#) && text.contains(r#""prompt_tokens":5"#),
        "{text}"
    );
    assert!(text.ends_with("data: [DONE]\n\n"));
}

#[test]
fn calls_that_are_told_in_turns_become_blocks_one_after_the_other() {
    let chunk = |calls: Value| json!({"id": "c", "choices": [{"index": 0, "delta": {"tool_calls": calls}}]});
    let call = |index: u64, name: Option<&str>, arguments: &str| match name {
        Some(name) => json!({"index": index, "id": format!("call_{index}"), "type": "function",
            "function": {"name": name, "arguments": arguments}}),
        None => json!({"index": index, "function": {"arguments": arguments}}),
    };
    let mut encoder = MessageEncoder::new("openai");
    let mut events: Vec<_> = [
        json!([call(0, Some("w"), ""), call(1, Some("w"), "")]),
        json!([call(0, None, "{\"c\":")]),
        json!([call(1, None, "{\"c\":\"Rome\"}")]),
        json!([call(0, None, "\"Oslo\"}")]),
        json!([call(2, Some("v"), "{}")]),
    ]
    .into_iter()
    .map(|calls| chat::decode_chunk(chunk(calls)))
    .collect();
    events.push(vec![StreamItem::End]);
    let said = said(&mut encoder, events);
    grammar(&said);
    let mut inputs = std::collections::BTreeMap::<u64, String>::new();
    for event in said
        .iter()
        .filter(|event| event["type"] == "content_block_delta")
    {
        let piece = event["delta"]["partial_json"].as_str().unwrap();
        inputs
            .entry(event["index"].as_u64().unwrap())
            .or_default()
            .push_str(piece);
    }
    let inputs: Vec<String> = inputs.into_values().collect();
    assert_eq!(inputs.len(), 3);
    assert!(
        inputs.contains(&r#"{"c":"Oslo"}"#.to_owned())
            && inputs.contains(&r#"{"c":"Rome"}"#.to_owned())
    );
    assert_eq!(said[said.len() - 2]["delta"]["stop_reason"], "tool_use");
}
