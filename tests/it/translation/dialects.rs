//! What a program of each dialect does: where it sends its request, how it continues a conversation, and how a plain answer
//! of an upstream looks.

use serde_json::{Value, json};

/// Where the client sends its request, with the model in the path where it belongs there.
pub fn path(dialect: &str, model: &str, stream: bool) -> String {
    match dialect {
        "openai" => "/v1/chat/completions".to_owned(),
        "anthropic" => "/v1/messages".to_owned(),
        "responses" => "/v1/responses".to_owned(),
        "gemini" if stream => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
        "gemini" => format!("/v1beta/models/{model}:generateContent"),
        other => panic!("no such dialect: {other}"),
    }
}

/// The path of the API root that a provider of the dialect has.
pub fn version(dialect: &str) -> &'static str {
    if dialect == "gemini" { "v1beta" } else { "v1" }
}

/// Whether the model and the wish for a stream stand in the body.
pub fn model_in_body(dialect: &str) -> bool {
    dialect != "gemini"
}

/// Headers that every client of the dialect sends.
pub fn headers(dialect: &str) -> &'static [(&'static str, &'static str)] {
    match dialect {
        "anthropic" => &[("anthropic-version", "2023-06-01")],
        _ => &[],
    }
}

/// The ids of the calls in a whole answer, in order.
pub fn call_ids(dialect: &str, answer: &Value) -> Vec<String> {
    let of = |path: &str, kind: &str, id: &str| {
        let all = answer
            .pointer(path)
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let calls = all.filter(|one| {
            kind.is_empty() || one["type"].as_str().is_some_and(|own| own.ends_with(kind))
        });
        calls
            .map(|one| {
                one.pointer(id)
                    .and_then(Value::as_str)
                    .unwrap_or("")
                    .to_owned()
            })
            .collect()
    };
    match dialect {
        "openai" => of("/choices/0/message/tool_calls", "", "/id"),
        "anthropic" => of("/content", "tool_use", "/id"),
        "responses" => of("/output", "call", "/call_id"),
        _ => {
            let parts = answer
                .pointer("/candidates/0/content/parts")
                .and_then(Value::as_array);
            let calls = parts
                .into_iter()
                .flatten()
                .filter_map(|part| part.get("functionCall"));
            calls
                .map(|call| call["id"].as_str().unwrap_or("").to_owned())
                .collect()
        }
    }
}

/// The conversation with an answer and more behind it: the field, and its new value.
pub fn continued(
    dialect: &str,
    request: &Value,
    answer: &Value,
    append: &[Value],
) -> (&'static str, Value) {
    let (field, turn) = match dialect {
        "openai" => ("messages", vec![answer["choices"][0]["message"].clone()]),
        "anthropic" => (
            "messages",
            vec![json!({"role": "assistant", "content": answer["content"]})],
        ),
        "responses" => (
            "input",
            answer["output"].as_array().cloned().unwrap_or_default(),
        ),
        _ => ("contents", vec![answer["candidates"][0]["content"].clone()]),
    };
    let mut all = match &request[field] {
        Value::String(text) => vec![json!({"role": "user", "content": text})],
        Value::Array(all) => all.clone(),
        _ => Vec::new(),
    };
    all.extend(turn);
    all.extend(append.iter().cloned());
    (field, all.into())
}

/// A plain whole answer.
pub fn plain(dialect: &str) -> Value {
    match dialect {
        "openai" => {
            json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}})
        }
        "anthropic" => json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 5, "output_tokens": 2}}),
        "responses" => {
            json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed",
            "error": null, "incomplete_details": null, "model": "m", "parallel_tool_calls": true, "tool_choice": "auto",
            "tools": [], "output": [{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "ok", "annotations": []}]}],
            "usage": {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 2,
                "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 7}})
        }
        _ => {
            json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "ok"}]}, "finishReason": "STOP",
            "index": 0}], "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}})
        }
    }
}

/// The frames of a plain streamed answer: names and data.
pub fn plain_stream(dialect: &str) -> Vec<(Option<&'static str>, String)> {
    let named = |events: Vec<Value>| {
        let known = |event: &Value| -> Option<&'static str> {
            [
                "message_start",
                "content_block_start",
                "content_block_delta",
                "content_block_stop",
                "message_delta",
                "message_stop",
                "response.created",
                "response.output_item.added",
                "response.content_part.added",
                "response.output_text.delta",
                "response.output_text.done",
                "response.content_part.done",
                "response.output_item.done",
                "response.completed",
            ]
            .into_iter()
            .find(|name| event["type"] == *name)
        };
        events
            .into_iter()
            .map(|event| (known(&event), event.to_string()))
            .collect()
    };
    match dialect {
        "openai" => {
            let chunk = |delta: Value, reason: Value| {
                let chunk = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
                (None, chunk.to_string())
            };
            let usage = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],
                "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}});
            vec![
                chunk(json!({"role": "assistant", "content": "ok"}), Value::Null),
                chunk(json!({}), "stop".into()),
                (None, usage.to_string()),
                (None, "[DONE]".to_owned()),
            ]
        }
        "anthropic" => named(vec![
            json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
                "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 5, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ok"}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
                "usage": {"output_tokens": 2}}),
            json!({"type": "message_stop"}),
        ]),
        "responses" => {
            let part = json!({"type": "output_text", "text": "ok", "annotations": []});
            let item = json!({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]});
            named(vec![
                json!({"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1", "object": "response",
                    "status": "in_progress", "output": []}}),
                json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": {"id": "msg_1",
                    "type": "message", "role": "assistant", "status": "in_progress", "content": []}}),
                json!({"type": "response.content_part.added", "sequence_number": 2, "item_id": "msg_1", "output_index": 0,
                    "content_index": 0, "part": {"type": "output_text", "text": "", "annotations": []}}),
                json!({"type": "response.output_text.delta", "sequence_number": 3, "item_id": "msg_1", "output_index": 0,
                    "content_index": 0, "delta": "ok", "logprobs": []}),
                json!({"type": "response.output_text.done", "sequence_number": 4, "item_id": "msg_1", "output_index": 0,
                    "content_index": 0, "text": "ok", "logprobs": []}),
                json!({"type": "response.content_part.done", "sequence_number": 5, "item_id": "msg_1", "output_index": 0,
                    "content_index": 0, "part": part}),
                json!({"type": "response.output_item.done", "sequence_number": 6, "output_index": 0, "item": item}),
                json!({"type": "response.completed", "sequence_number": 7, "response": {"id": "resp_1", "object": "response",
                    "status": "completed", "output": [item], "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}}}),
            ])
        }
        _ => vec![(None, plain("gemini").to_string())],
    }
}
