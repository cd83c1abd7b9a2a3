use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::domain::dialect::Operation;
use crate::wire::dialect::EventDecoder;
use crate::wire::dialects;
use crate::wire::ir::{ChatRequest, Losses, StopReason, StreamItem};
use crate::wire::request::RequestDoc;
use crate::wire::sse::RawEvent;

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

/// The body of a caller's request as Bedrock gets it for this model, and what was lost.
fn written(operation: Operation, model: &str, body: &Value) -> (Value, Losses) {
    let doc = RequestDoc::parse(body.to_string().into()).unwrap();
    let request = dialects::caller(operation).decode_request(operation, &doc);
    let request = ChatRequest {
        model: Some(model.to_owned()),
        ..request.unwrap().unwrap()
    };
    let (body, losses) = encode_request(request, &Map::new());
    (Value::Object(body), losses)
}

fn chat(model: &str, body: &Value) -> (Value, Vec<String>) {
    let (body, losses) = written(Operation::Chat, model, body);
    (body, losses.into_iter().map(|loss| loss.path).collect())
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

#[test]
fn a_conversation_with_tools_is_turns_of_blocks() {
    let (body, lost) = chat(
        CLAUDE,
        &json!({
            "messages": [
                {"role": "system", "content": "be brief"}, user("weather?"),
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "functions.w:0", "type": "function", "function": {"name": "w", "arguments": "{\"c\":\"Bern\"}"}}]},
                {"role": "tool", "tool_call_id": "functions.w:0", "content": "12 degrees"},
                user("and now?")],
            "tools": [{"type": "function", "function": {"name": "w", "description": "d", "parameters": {"type": "object", "properties": {"c": {"type": "string"}}}}}],
            "tool_choice": "required", "max_tokens": 50, "temperature": 0.5, "stop": ["END"], "stream": true,
        }),
    );
    assert_eq!(body["system"], json!([{"text": "be brief"}]));
    let messages = body["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 3);
    let call = &messages[1]["content"][0]["toolUse"];
    assert_eq!(
        (&call["name"], &call["input"]),
        (&json!("w"), &json!({"c": "Bern"}))
    );
    let result = &messages[2]["content"][0]["toolResult"];
    assert_eq!(result["toolUseId"], call["toolUseId"]);
    assert_eq!(result["content"], json!([{"text": "12 degrees"}]));
    assert_eq!(messages[2]["content"][1], json!({"text": "and now?"}));
    let config = &body["toolConfig"];
    assert_eq!(config["toolChoice"], json!({"any": {}}));
    assert_eq!(
        config["tools"][0]["toolSpec"]["inputSchema"]["json"]["type"],
        "object"
    );
    assert_eq!(
        body["inferenceConfig"],
        json!({"maxTokens": 50, "temperature": 0.5, "stopSequences": ["END"]})
    );
    assert_eq!(
        body["additionalModelResponseFieldPaths"],
        json!(["/stop_sequence"])
    );
    assert!(body.get("stream").is_none() && body.get("model").is_none());
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn no_tool_may_be_called_is_no_tools_unless_some_were_called() {
    let tool = json!({"type": "function", "function": {"name": "w"}});
    let (body, lost) = chat(
        CLAUDE,
        &json!({"messages": [user("a")], "tools": [tool], "tool_choice": "none"}),
    );
    assert!(
        body.get("toolConfig").is_none() && lost.is_empty(),
        "{lost:?}"
    );
    let history = json!({"messages": [user("a"),
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "w", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "c", "content": ""}]});
    let (body, _) = chat("amazon.nova-pro-v1:0", &history);
    assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"]["name"], "w");
    assert!(body["toolConfig"].get("toolChoice").is_none());
    let result = &body["messages"][2]["content"][0]["toolResult"];
    assert_eq!(result["content"], json!([{"text": "(no output)"}]));
}

#[test]
fn marks_for_caches_stand_behind_what_they_mark() {
    let (body, losses) = written(
        Operation::Messages,
        CLAUDE,
        &json!({
            "max_tokens": 10,
            "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
            "messages": [{"role": "user", "content": [
                {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}, {"type": "text", "text": "b"}]}],
            "tools": [{"name": "f", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}],
        }),
    );
    let point = json!({"cachePoint": {"type": "default"}});
    assert_eq!(body["system"], json!([{"text": "s"}, point]));
    assert_eq!(
        body["messages"][0]["content"],
        json!([{"text": "a"}, {"cachePoint": {"type": "default", "ttl": "1h"}}, {"text": "b"}])
    );
    assert_eq!(body["toolConfig"]["tools"][1], point);
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn thoughts_that_claude_signed_go_back_to_claude_alone() {
    let body = json!({"max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2000},
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "c2ln"}, {"type": "redacted_thinking", "data": "ZGF0YQ=="},
            {"type": "text", "text": "a"}]}, {"role": "user", "content": "r"}]});
    let (own, losses) = written(Operation::Messages, CLAUDE, &body);
    assert_eq!(
        own["messages"][1]["content"],
        json!([
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
            {"reasoningContent": {"redactedContent": "ZGF0YQ=="}},
            {"text": "a"}])
    );
    let thinking = &own["additionalModelRequestFields"]["thinking"];
    assert_eq!(*thinking, json!({"type": "enabled", "budget_tokens": 2000}));
    assert!(losses.is_empty(), "{losses:?}");
    let (other, losses) = written(Operation::Messages, "meta.llama3-1-8b-instruct-v1:0", &body);
    assert_eq!(other["messages"][1]["content"], json!([{"text": "a"}]));
    assert!(other.get("additionalModelRequestFields").is_none());
    assert!(losses.len() >= 2, "{losses:?}");
}

#[test]
fn effort_is_told_as_each_maker_has_it() {
    let asked = json!({"messages": [user("q")], "reasoning_effort": "high"});
    let more = |model: &str| chat(model, &asked).0["additionalModelRequestFields"].clone();
    assert_eq!(
        more("us.amazon.nova-2-lite-v1:0"),
        json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}})
    );
    assert_eq!(
        more("openai.gpt-oss-20b-1:0"),
        json!({"reasoning_effort": "high"})
    );
    let (newest, _) = chat("anthropic.claude-opus-4-8", &asked);
    assert_eq!(
        newest["additionalModelRequestFields"]["thinking"]["type"],
        "adaptive"
    );
    assert_eq!(newest["outputConfig"]["effort"], "high");
    let (llama, lost) = chat("meta.llama3-1-8b-instruct-v1:0", &asked);
    assert!(llama.get("inferenceConfig").is_none());
    assert_eq!(lost, ["reasoning.effort"]);
}

#[test]
fn a_form_of_the_answer_is_held_to_as_the_model_can() {
    let asked = json!({"messages": [user("q")], "response_format": {"type": "json_schema",
        "json_schema": {"name": "n", "schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}}});
    let (claude, _) = chat(CLAUDE, &asked);
    let format = &claude["outputConfig"]["textFormat"];
    assert_eq!(format["type"], "json_schema");
    let schema = format["structure"]["jsonSchema"]["schema"]
        .as_str()
        .unwrap();
    let schema: Value = serde_json::from_str(schema).unwrap();
    assert_eq!(schema["properties"]["a"]["type"], "integer");
    let (nova, _) = chat("amazon.nova-pro-v1:0", &asked);
    assert_eq!(
        nova["toolConfig"]["toolChoice"],
        json!({"tool": {"name": "pointsman_answer"}})
    );
    let (llama, _) = chat("meta.llama3-1-8b-instruct-v1:0", &asked);
    assert!(llama.get("toolConfig").is_none());
    assert!(
        llama["system"][0]["text"]
            .as_str()
            .unwrap()
            .contains("JSON Schema")
    );
}

#[test]
fn pictures_and_documents_are_bytes_and_what_is_elsewhere_is_named() {
    let (body, lost) = chat(
        CLAUDE,
        &json!({"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            {"type": "image_url", "image_url": {"url": "https://x/a.png"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}]}],
            "seed": 1, "logprobs": true}),
    );
    let content = &body["messages"][0]["content"];
    assert_eq!(content[0]["image"]["source"]["bytes"], "AA==");
    assert_eq!(content[1]["document"]["format"], "pdf");
    assert_eq!(content[2], json!({"text": "See the document."}));
    assert_eq!(
        lost,
        [
            "messages[0].content[1].image",
            "sampling.seed",
            "sampling.logprobs"
        ]
    );
}

#[test]
fn the_configuration_fills_in_what_is_not_said() {
    let request = ChatRequest {
        model: Some(CLAUDE.to_owned()),
        max_output_tokens: Some(7.into()),
        ..ChatRequest::new("openai")
    };
    let params = json!({"inferenceConfig": {"maxTokens": 9, "topP": 0.5}, "temperature": 0.1,
        "guardrailConfig": {"guardrailIdentifier": "g"}});
    let (body, _) = encode_request(request, params.as_object().unwrap());
    assert_eq!(
        body["inferenceConfig"],
        json!({"maxTokens": 7, "topP": 0.5, "temperature": 0.1})
    );
    assert_eq!(body["guardrailConfig"]["guardrailIdentifier"], "g");
}

#[test]
fn a_count_has_the_conversation_and_the_tools() {
    let request = ChatRequest {
        max_output_tokens: Some(7.into()),
        ..ChatRequest::new("openai")
    };
    let body = encode_count(request);
    assert!(body["input"]["converse"]["messages"].is_array());
    assert!(body["input"]["converse"].get("inferenceConfig").is_none());
}

/// An answer as a caller of this operation reads it.
fn told(operation: Operation, body: &Value) -> Value {
    let doc = RequestDoc::parse(Bytes::from_static(b"{}")).unwrap();
    let answer = decode_answer(body.clone()).unwrap();
    let (body, _) = dialects::caller(operation).encode_answer(operation, &doc, answer);
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn an_answer_tells_thoughts_calls_reasons_and_counts() {
    let body = json!({
        "output": {"message": {"role": "assistant", "content": [
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
            {"text": "let me see"},
            {"toolUse": {"toolUseId": "tooluse_1", "name": "w", "input": {"c": "Bern"}}}]}},
        "stopReason": "tool_use", "metrics": {"latencyMs": 3},
        "usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 50}});
    let chat = told(Operation::Chat, &body);
    let choice = &chat["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["reasoning_content"], "hm");
    assert_eq!(
        choice["message"]["tool_calls"][0]["function"]["arguments"],
        r#"{"c":"Bern"}"#
    );
    assert_eq!(chat["usage"]["prompt_tokens"], 160);
    assert_eq!(chat["usage"]["prompt_tokens_details"]["cached_tokens"], 100);
    let message = told(Operation::Messages, &body);
    // What Claude signed stays readable for whoever hosts Claude.
    assert_eq!(
        message["content"][0],
        json!({"type": "thinking", "thinking": "hm", "signature": "c2ln"})
    );
    assert_eq!(message["usage"]["cache_creation_input_tokens"], 50);
    assert_eq!(message["usage"]["input_tokens"], 10);
}

#[test]
fn every_reason_has_its_word() {
    for (word, reason) in [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("stop_sequence", "stop"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
    ] {
        let body = json!({"output": {"message": {"role": "assistant", "content": [{"text": "a"}]}}, "stopReason": word});
        assert_eq!(
            told(Operation::Chat, &body)["choices"][0]["finish_reason"],
            reason,
            "{word}"
        );
    }
    let body = json!({"output": {"message": {"role": "assistant", "content": []}}, "stopReason": "stop_sequence",
        "additionalModelResponseFields": {"stop_sequence": "END"}});
    let answer = decode_answer(body).unwrap();
    assert_eq!(
        answer.candidates[0].stop,
        Some(StopReason::StopSequence(Some("END".to_owned())))
    );
    assert!(answer.extra.is_empty());
    for bad in [
        json!([]),
        json!({}),
        json!({"output": {"message": {"content": 1}}}),
    ] {
        assert!(decode_answer(bad).is_err());
    }
}

fn read(decoder: &mut ConverseEvents, data: &Value) -> Vec<StreamItem> {
    decoder.event(&RawEvent {
        raw: format!("data: {data}\n\n").into(),
    })
}

/// A stream as a caller of this operation reads it.
fn streamed(operation: Operation, events: &[Value]) -> String {
    let doc = RequestDoc::parse(Bytes::from_static(b"{\"stream\":true}")).unwrap();
    let mut decoder = ConverseEvents::default();
    let mut encoder = dialects::caller(operation).event_encoder(operation, &doc, "bedrock");
    let mut out = Vec::new();
    for event in events {
        let items = read(&mut decoder, event);
        if !items.is_empty() {
            out.extend_from_slice(&encoder.event(items));
        }
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn a_stream_tells_the_same_as_an_answer() {
    let block = |kind: &str, index: u64, inner: Value| match kind {
        "start" => json!({"contentBlockStart": {"contentBlockIndex": index, "start": inner}}),
        "delta" => {
            json!({"contentBlockDelta": {"contentBlockIndex": index, "delta": inner, "p": "abc"}})
        }
        _ => json!({"contentBlockStop": {"contentBlockIndex": index}}),
    };
    let events = [
        json!({"messageStart": {"role": "assistant"}}),
        block("delta", 0, json!({"reasoningContent": {"text": "hm"}})),
        block(
            "delta",
            0,
            json!({"reasoningContent": {"signature": "c2ln"}}),
        ),
        block("stop", 0, Value::Null),
        block("delta", 1, json!({"text": "let"})),
        block("stop", 1, Value::Null),
        block(
            "start",
            2,
            json!({"toolUse": {"toolUseId": "tooluse_1", "name": "w"}}),
        ),
        block("delta", 2, json!({"toolUse": {"input": "{\"c\":"}})),
        block("delta", 2, json!({"toolUse": {"input": "1}"}})),
        block("stop", 2, Value::Null),
        block(
            "start",
            3,
            json!({"toolUse": {"toolUseId": "tooluse_2", "name": "v"}}),
        ),
        block("stop", 3, Value::Null),
        json!({"messageStop": {"stopReason": "tool_use"}}),
        json!({"metadata": {"usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}, "metrics": {"latencyMs": 1}}}),
    ];
    let messages = streamed(Operation::Messages, &events);
    assert!(messages.contains(r#""signature":"c2ln""#), "{messages}");
    assert!(messages.contains(r#""stop_reason":"tool_use""#) && messages.contains("message_stop"));
    let chat = streamed(Operation::Chat, &events);
    assert!(
        chat.contains(r#""index":1"#) && chat.contains("tooluse_2"),
        "{chat}"
    );
    assert!(chat.trim_end().ends_with("data: [DONE]"), "{chat}");
}

#[test]
fn an_exception_in_a_stream_is_an_error() {
    let mut decoder = ConverseEvents::default();
    let event = json!({"exception": {"type": "throttlingException", "detail": {"message": "Too many tokens"}}});
    let [StreamItem::Error(error)] = &read(&mut decoder, &event)[..] else {
        panic!("an error")
    };
    assert_eq!(
        (error.message.as_str(), error.kind.as_str(), error.status),
        ("Too many tokens", "rate_limit_error", Some(429))
    );
    assert_eq!(error.code.as_deref(), Some("ThrottlingException"));
}

#[test]
fn the_tool_of_the_answers_form_is_the_answer() {
    let body = json!({"output": {"message": {"role": "assistant", "content": [
        {"toolUse": {"toolUseId": "t", "name": "pointsman_answer", "input": {"a": 1}}}]}}, "stopReason": "tool_use"});
    let chat = told(Operation::Chat, &body);
    assert_eq!(chat["choices"][0]["message"]["content"], r#"{"a":1}"#);
    assert_eq!(chat["choices"][0]["finish_reason"], "stop");
    let mut decoder = ConverseEvents::default();
    let start = json!({"contentBlockStart": {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "pointsman_answer"}}}});
    assert!(read(&mut decoder, &start).is_empty());
    let piece = json!({"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}}});
    assert!(matches!(
        &read(&mut decoder, &piece)[..],
        [StreamItem::Delta { .. }]
    ));
    let stop = read(
        &mut decoder,
        &json!({"messageStop": {"stopReason": "tool_use"}}),
    );
    assert!(matches!(
        &stop[..],
        [StreamItem::Stop {
            reason: StopReason::EndTurn,
            ..
        }]
    ));
}

proptest! {
    #[test]
    fn nothing_panics(raw in prop::collection::vec(any::<u8>(), 0..60), kinds in prop::collection::vec((0..8usize, 0..3u64, 0..6usize), 0..12)) {
        let mut decoder = ConverseEvents::default();
        decoder.event(&RawEvent { raw: raw.into() });
        let types = ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "exception", "odd"];
        let inner = [json!({"text": "a"}), json!({"toolUse": {"name": "f", "input": "{"}}), json!(1), json!({"toolUse": 1}),
            json!({"reasoningContent": {"text": 1, "signature": "s"}}), json!({"citation": {"location": []}})];
        for (kind, index, which) in kinds {
            let inner = &inner[which];
            read(&mut decoder, &json!({types[kind]: {"contentBlockIndex": index, "start": inner, "delta": inner, "usage": inner, "stopReason": inner}}));
            let _ = decode_answer(json!({"output": {"message": {"content": [inner, inner]}}, "usage": inner, "stopReason": "x"}));
        }
    }
}
