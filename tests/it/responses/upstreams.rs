//! Callers of other dialects at upstreams that have the Responses API alone.

use serde_json::{Value, json};

use super::{NATIVE, pair};
use crate::support::behaviour::DONE;
use crate::support::{Behaviour, Match};

/// A response in events, with a thought, words and a call.
fn response_events() -> Vec<String> {
    let item = json!({"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1", "name": "f", "arguments": "{\"a\":1}"});
    let thought = json!({"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "gAAA="});
    let events = [
        json!({"type": "response.created", "response": {"id": "resp_1", "object": "response", "created_at": 7, "model": "m", "status": "in_progress", "output": []}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"id": "rs_1", "type": "reasoning", "summary": []}}),
        json!({"type": "response.reasoning_summary_text.delta", "item_id": "rs_1", "output_index": 0, "summary_index": 0, "delta": "Hm."}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": thought}),
        json!({"type": "response.output_item.added", "output_index": 1, "item": {"id": "msg_1", "type": "message", "role": "assistant", "content": []}}),
        json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 1, "content_index": 0, "delta": "Looking."}),
        json!({"type": "response.output_item.added", "output_index": 2, "item": {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "f", "arguments": ""}}),
        json!({"type": "response.function_call_arguments.done", "item_id": "fc_1", "output_index": 2, "arguments": "{\"a\":1}"}),
        json!({"type": "response.output_item.done", "output_index": 2, "item": item}),
        json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": [], "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}}}),
    ];
    let numbered = events.into_iter().enumerate().map(|(number, mut event)| {
        event["sequence_number"] = json!(number);
        format!(
            "event: {}\ndata: {event}\n\n",
            event["type"].as_str().unwrap()
        )
    });
    numbered.collect()
}

#[tokio::test]
async fn a_chat_caller_is_served_by_the_responses_api_and_gives_its_thoughts_back() {
    let (a, _b, gateway) = pair(", dialect: responses", "").await;
    a.on(
        Match::path("/v1/responses"),
        [
            Behaviour::events(response_events()),
            Behaviour::json(200, NATIVE),
        ],
    );
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let body = json!({"model": "a", "stream": true, "tools": tools, "messages": [{"role": "user", "content": "hi"}],
        "stop": ["END"], "seed": 1, "stream_options": {"include_usage": true}});
    let answer = gateway.post_chat(body.to_string()).stream().await;
    assert_eq!(answer.header("x-pointsman-dropped"), "seed, stop");
    let text = answer.text().await;
    assert!(text.ends_with(DONE), "{text}");
    let chunks: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    let last = &chunks[chunks.len() - 1];
    assert_eq!(last["usage"]["total_tokens"], 7);
    let deltas: Vec<&Value> = chunks
        .iter()
        .map(|chunk| &chunk["choices"][0]["delta"])
        .collect();
    let details = deltas
        .iter()
        .find_map(|delta| delta.get("reasoning_details"))
        .unwrap();
    let call = deltas
        .iter()
        .find_map(|delta| delta.get("tool_calls"))
        .unwrap();
    assert_eq!(call[0]["id"], "call_1");
    let turn = json!({"role": "assistant", "content": "Looking.", "reasoning_details": details, "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]});
    let body = json!({"model": "a", "tools": tools, "messages": [{"role": "user", "content": "hi"}, turn,
        {"role": "tool", "tool_call_id": "call_1", "content": "4"}]});
    let answer = gateway.post_chat(body.to_string()).send().await;
    assert_eq!(answer.says(), "native");
    let input = a.requests()[1].json()["input"].clone();
    let kinds: Vec<&Value> = input
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["type"])
        .collect();
    assert_eq!(
        kinds,
        [
            "message",
            "reasoning",
            "message",
            "function_call",
            "function_call_output"
        ]
    );
    assert_eq!(input[1]["encrypted_content"], "gAAA=");
    assert_eq!(
        input[4],
        json!({"type": "function_call_output", "call_id": "call_1", "output": "4"})
    );
    assert_eq!(a.requests()[1].json()["store"], false);
}

#[tokio::test]
async fn errors_of_a_responses_upstream_reach_a_chat_caller_in_its_form() {
    let (a, _b, gateway) = pair(", dialect: responses", "").await;
    let mut broken = response_events();
    broken.truncate(6);
    broken.push("event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":6,\"response\":{\"id\":\"resp_1\",\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"engine died\"}}}\n\n".to_owned());
    let refused = Behaviour::error(400, "invalid_value", "Invalid value: bad thing");
    let failed = r#"{"id":"r","object":"response","status":"failed","error":{"code":"server_error","message":"no luck"},"output":[]}"#;
    a.on(
        Match::any(),
        [
            refused,
            Behaviour::events(broken),
            Behaviour::json(200, failed),
        ],
    );
    let answer = gateway.chat("a").send().await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.json()["error"]["message"],
        "Invalid value: bad thing"
    );
    let text = gateway.chat_stream("a").stream().await.text().await;
    assert!(
        text.contains("engine died") && !text.contains("[DONE]"),
        "{text}"
    );
    let answer = gateway.chat("a").send().await;
    assert_eq!(answer.status, 502, "{}", answer.text());
}
