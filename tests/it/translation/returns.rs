//! What an answer holds that has to come back with the next request: calls of custom tools and their results, thoughts that
//! their maker signed, pictures that the model made. Whole, and from a stream.

use serde_json::{Value, json};

use super::features::{Pair, sent as stream_of};
use super::streams;

/// A dialect's answer that calls `shell` with `ls`, as a function with one text, whole and streamed.
fn calling(upstream: &str) -> (Value, Value) {
    let arguments = r#"{"input":"ls"}"#;
    match upstream {
        "anthropic" => (
            json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
                "content": [{"type": "tool_use", "id": "c1", "name": "shell", "input": {"input": "ls"}}],
                "usage": {"input_tokens": 1, "output_tokens": 1}}),
            json!([
                {"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
                    "usage": {"input_tokens": 1, "output_tokens": 1}}},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "c1", "name": "shell", "input": {}}},
                {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{\"inp"}},
                {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "ut\":\"ls\"}"}},
                {"type": "content_block_stop", "index": 0},
                {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
                {"type": "message_stop"},
            ]),
        ),
        "gemini" => {
            let said = json!({"candidates": [{"content": {"role": "model", "parts": [
                {"functionCall": {"id": "c1", "name": "shell", "args": {"input": "ls"}}}]}, "finishReason": "STOP", "index": 0}]});
            (said.clone(), json!([said]))
        }
        "bedrock" => (
            json!({"output": {"message": {"role": "assistant", "content": [
                {"toolUse": {"toolUseId": "c1", "name": "shell", "input": {"input": "ls"}}}]}}, "stopReason": "tool_use"}),
            json!([
                {"messageStart": {"role": "assistant"}},
                {"contentBlockStart": {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "c1", "name": "shell"}}}},
                {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"toolUse": {"input": arguments}}}},
                {"contentBlockStop": {"contentBlockIndex": 0}},
                {"messageStop": {"stopReason": "tool_use"}},
                {"metadata": {"usage": {"inputTokens": 1, "outputTokens": 1}}},
            ]),
        ),
        "openai" => (
            json!({"id": "x", "object": "chat.completion", "choices": [{"index": 0, "finish_reason": "tool_calls",
                "message": {"role": "assistant", "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "shell", "arguments": arguments}}]}}]}),
            json!([
                {"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [
                    {"index": 0, "id": "c1", "type": "function", "function": {"name": "shell", "arguments": ""}}]}}]},
                {"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"tool_calls": [
                    {"index": 0, "function": {"arguments": "{\"input\":"}}]}}]},
                {"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"tool_calls": [
                    {"index": 0, "function": {"arguments": "\"ls\"}"}}]}, "finish_reason": "tool_calls"}]},
                "[DONE]",
            ]),
        ),
        other => panic!("no such dialect: {other}"),
    }
}

/// A request with a custom tool, its call and the call's result.
fn asking(caller: &str) -> Value {
    match caller {
        "responses" => json!({
            "input": [{"role": "user", "content": "Look."},
                {"type": "custom_tool_call", "call_id": "c0", "name": "shell", "input": "ls"},
                {"type": "custom_tool_call_output", "call_id": "c0", "output": "a.txt"}],
            "tools": [{"type": "custom", "name": "shell", "format": {"type": "grammar", "syntax": "regex", "definition": "[a-z]+"}}],
        }),
        "openai" => json!({
            "messages": [{"role": "user", "content": "Look."},
                {"role": "assistant", "tool_calls": [{"id": "c0", "type": "custom", "custom": {"name": "shell", "input": "ls"}}]},
                {"role": "tool", "tool_call_id": "c0", "content": "a.txt"}],
            "tools": [{"type": "custom", "custom": {"name": "shell",
                "format": {"type": "grammar", "grammar": {"syntax": "regex", "definition": "[a-z]+"}}}}],
        }),
        other => panic!("no such dialect: {other}"),
    }
}

#[test]
fn calls_of_custom_tools_are_plain_texts_to_their_caller() {
    for (caller, upstream) in [
        ("responses", "anthropic"),
        ("responses", "gemini"),
        ("responses", "bedrock"),
        ("responses", "openai"),
        ("openai", "anthropic"),
        ("openai", "gemini"),
        ("openai", "bedrock"),
    ] {
        let pair = Pair { caller, upstream };
        let (whole, stream) = calling(upstream);
        let (answer, _) = pair.answer(&pair.doc(&asking(caller), false), &whole);
        let doc = pair.doc(&asking(caller), true);
        let (said, _) = pair.stream(&doc, &stream_of(upstream, &stream), usize::MAX);
        let events = streams::events(&said);
        let case = format!("{caller} to {upstream}: {answer} {said}");
        if caller == "openai" {
            let call = &answer["choices"][0]["message"]["tool_calls"][0];
            let custom =
                json!({"id": "c1", "type": "custom", "custom": {"name": "shell", "input": "ls"}});
            assert_eq!(*call, custom, "{case}");
            let pieces = events.iter().flat_map(|event| {
                let calls = event.data["choices"][0]["delta"]["tool_calls"].as_array();
                calls.cloned().unwrap_or_default()
            });
            let pieces: Vec<Value> = pieces.collect();
            assert_eq!(pieces[0]["type"], "custom", "{case}");
            let input = pieces
                .iter()
                .filter_map(|piece| piece["custom"]["input"].as_str());
            assert_eq!(input.collect::<String>(), "ls", "{case}");
        } else {
            let last = events.last().unwrap().data["response"].clone();
            for response in [&answer, &last] {
                let call = &response["output"][0];
                assert_eq!(call["type"], "custom_tool_call", "{case}");
                assert_eq!(
                    (&call["input"], &call["name"]),
                    (&json!("ls"), &json!("shell")),
                    "{case}"
                );
            }
        }
        // And they go in again, with what came of them.
        let plain = upstream == "openai";
        let sent = match plain {
            true => pair.plain_request(&asking(caller)),
            false => pair.request(&asking(caller)).unwrap().body,
        };
        let sent = String::from_utf8_lossy(&sent).into_owned();
        let input = match plain {
            true => r#""arguments":"{\"input\":\"ls\"}""#,
            false => r#"{"input":"ls"}"#,
        };
        assert!(
            sent.contains(input) && sent.contains("a.txt"),
            "{case}\n{sent}"
        );
        assert!(!sent.contains("no result"), "{case}\n{sent}");
    }
}

/// The contents that Gemini's client keeps of an answer to `upstream`'s body: of a stream one for each event.
fn kept(pair: Pair, whole: &Value, stream: &Value) -> [Vec<Value>; 2] {
    let asked = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    let (answer, _) = pair.answer(&pair.doc(&asked, false), whole);
    let (said, _) = pair.stream(
        &pair.doc(&asked, true),
        &stream_of(pair.upstream, stream),
        usize::MAX,
    );
    let content = |answer: &Value| answer["candidates"][0]["content"].clone();
    let pieces = streams::events(&said)
        .iter()
        .map(|event| content(&event.data))
        .collect();
    [vec![content(&answer)], pieces]
}

/// The request in which they come back.
fn again(pair: Pair, kept: Vec<Value>) -> Value {
    let mut contents = vec![json!({"role": "user", "parts": [{"text": "hi"}]})];
    contents.extend(
        kept.into_iter()
            .filter(|content| content.get("parts").is_some()),
    );
    contents.push(json!({"role": "user", "parts": [{"text": "again"}]}));
    let call = pair.request(&json!({"contents": contents})).unwrap();
    serde_json::from_slice(&call.body).unwrap()
}

#[test]
fn signed_thoughts_reach_their_maker_again_through_geminis_clients() {
    let pair = Pair {
        caller: "gemini",
        upstream: "anthropic",
    };
    let thought = json!({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"});
    let whole = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "content": [thought, {"type": "text", "text": "ok"}], "usage": {"input_tokens": 1, "output_tokens": 1}});
    let stream = json!([
        {"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
            "usage": {"input_tokens": 1, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "H"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "m."}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "ok"}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]);
    for kept in kept(pair, &whole, &stream) {
        let body = again(pair, kept);
        let turn = &body["messages"][1]["content"];
        assert_eq!(
            *turn,
            json!([thought, {"type": "text", "text": "ok"}]),
            "{body}"
        );
    }
    let pair = Pair {
        caller: "gemini",
        upstream: "responses",
    };
    let sealed = json!({"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "ZW5j"});
    let said = json!({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "ok", "annotations": []}]});
    let whole = json!({"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": [sealed, said]});
    let stream = json!([
        {"type": "response.created", "response": {"id": "resp_1", "model": "m", "output": []}},
        {"type": "response.reasoning_summary_text.delta", "item_id": "rs_1", "output_index": 0, "summary_index": 0, "delta": "Hm."},
        {"type": "response.output_item.done", "output_index": 0, "item": sealed},
        {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 1, "content_index": 0, "delta": "ok"},
        {"type": "response.output_item.done", "output_index": 1, "item": said},
        {"type": "response.completed", "response": whole},
    ]);
    for kept in kept(pair, &whole, &stream) {
        let body = again(pair, kept);
        let input = body["input"].as_array().unwrap();
        assert_eq!(input[1]["encrypted_content"], "ZW5j", "{body}");
        assert_eq!(input[1]["summary"][0]["text"], "Hm.", "{body}");
        assert_eq!(input[2]["content"][0]["text"], "ok", "{body}");
    }
}

#[test]
fn pictures_of_a_model_come_back_to_it() {
    let image = json!({"inlineData": {"mimeType": "image/png", "data": "aGk="}});
    let said = json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "Here:"}, image]}, "finishReason": "STOP", "index": 0}]});
    let user = |words: &str| json!({"role": "user", "content": words});
    for caller in ["openai", "responses"] {
        let pair = Pair {
            caller,
            upstream: "gemini",
        };
        let field = if caller == "openai" {
            "messages"
        } else {
            "input"
        };
        let (answer, _) = pair.answer(&pair.doc(&json!({field: [user("Draw.")]}), false), &said);
        let own = match caller {
            "openai" => vec![answer["choices"][0]["message"].clone()],
            _ => answer["output"].as_array().unwrap().clone(),
        };
        let mut all = vec![user("Draw.")];
        all.extend(own);
        all.push(user("Redder."));
        let call = pair.request(&json!({field: all})).unwrap();
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(
            body["contents"][1]["parts"],
            json!([{"text": "Here:"}, image]),
            "{body}"
        );
        assert_eq!(body["contents"][1]["role"], "model", "{body}");
    }
}
