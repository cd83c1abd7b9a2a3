//! Callers of the Responses API at upstreams that know chat completions alone.

use serde_json::{Value, json};

use super::{NATIVE, ask, chat_only, pair, paths, stream, types};
use crate::support::behaviour::{DONE, chunk, event, finish, role};
use crate::support::{At, Behaviour, Match};

fn codex(input: &[Value]) -> Value {
    json!({
        "model": "a", "stream": true, "store": false, "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "s1", "text": {"verbosity": "low"}, "reasoning": {"summary": "auto"},
        "parallel_tool_calls": true, "tool_choice": "auto", "client_metadata": {"a": "b"},
        "input": input,
        "tools": [
            {"type": "function", "name": "shell", "description": "Runs.", "strict": false,
                "parameters": {"type": "object", "properties": {"command": {"type": "string"}}}},
            {"type": "custom", "name": "apply_patch", "description": "Patches.",
                "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}},
            {"type": "namespace", "name": "agents", "tools": [
                {"type": "function", "name": "spawn", "parameters": {"type": "object", "properties": {}}}]},
            {"type": "web_search", "external_web_access": true},
            {"type": "tool_search", "execution": "client"},
        ],
    })
}

fn first_turn() -> Vec<Value> {
    vec![
        json!({"type": "message", "id": "msg_a", "role": "developer", "content": [{"type": "input_text", "text": "Rules."}]}),
        json!({"type": "message", "id": "msg_b", "role": "user", "content": [{"type": "input_text", "text": "go"}]}),
    ]
}

fn delta(fields: &Value) -> String {
    let chunk = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": fields, "finish_reason": null}]});
    event(&chunk.to_string())
}

/// A call of each kind of tool, in pieces, after a thought.
fn calls() -> Behaviour {
    let call = |index: u64, id: &str, name: &str, arguments: &str| {
        delta(
            &json!({"tool_calls": [{"index": index, "id": id, "type": "function",
            "function": {"name": name, "arguments": arguments}}]}),
        )
    };
    let more = |index: u64, arguments: &str| {
        delta(&json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}))
    };
    let usage = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],
        "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}});
    Behaviour::events([
        role(),
        delta(&json!({"reasoning_content": "Hmm."})),
        call(0, "call_1", "shell", "{\"comm"),
        call(1, "call_2", "apply_patch", "{\"input\":"),
        more(0, "and\":\"ls\"}"),
        more(1, "\"*** Begin\"}"),
        call(2, "call_3", "agents__spawn", ""),
        finish("tool_calls"),
        event(&usage.to_string()),
        DONE.to_owned(),
    ])
}

#[tokio::test]
async fn codex_works_with_an_upstream_that_knows_functions_alone() {
    let (a, _b, gateway) = pair("", "").await;
    let refusal = Behaviour::json(
        400,
        r#"{"error":{"message":"tools.1.type: Input should be 'function'","type":"invalid_request_error"}}"#,
    );
    chat_only(&a, [refusal, calls(), Behaviour::streams(&["done"])]);
    let events = stream(&gateway, &codex(&first_turn())).await;
    let numbers: Vec<u64> = events
        .iter()
        .map(|event| event["sequence_number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    assert_eq!(last["response"]["usage"]["total_tokens"], 13);
    let output = last["response"]["output"].as_array().unwrap();
    let told: Vec<(&Value, &Value)> = output
        .iter()
        .map(|item| (&item["type"], &item["name"]))
        .collect();
    let (reasoning, function, custom) = (
        json!("reasoning"),
        json!("function_call"),
        json!("custom_tool_call"),
    );
    assert_eq!(
        told,
        [
            (&reasoning, &Value::Null),
            (&function, &json!("shell")),
            (&custom, &json!("apply_patch")),
            (&function, &json!("spawn")),
        ]
    );
    assert_eq!(output[1]["arguments"], r#"{"command":"ls"}"#);
    assert_eq!(output[2]["input"], "*** Begin");
    assert_eq!(
        (&output[3]["namespace"], &output[3]["arguments"]),
        (&json!("agents"), &json!("{}"))
    );

    // Codex sends back the items, and what its tools said.
    let mut input = first_turn();
    input.extend(output.iter().cloned());
    input.extend([
        json!({"type": "function_call_output", "id": "fco_1", "call_id": "call_3", "output": "spawned"}),
        json!({"type": "function_call_output", "call_id": "call_1",
            "output": [{"type": "input_image", "image_url": "data:image/png;base64,UA==", "detail": "original"}]}),
        json!({"type": "custom_tool_call_output", "call_id": "call_2", "output": "patched"}),
    ]);
    let again = gateway
        .post("/v1/responses", codex(&input).to_string())
        .stream()
        .await;
    let dropped = again.header("x-pointsman-dropped").to_owned();
    let text = again.text().await;
    assert!(text.contains("response.completed"), "{text}");
    for name in [
        "web_search",
        "tool_search",
        "prompt_cache_key",
        "client_metadata",
    ] {
        assert!(
            dropped.split(", ").any(|one| one == name),
            "{name} in {dropped}"
        );
    }
    let requests = a.requests();
    let body = requests.last().unwrap().json();
    let roles: Vec<&Value> = body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| &message["role"])
        .collect();
    assert_eq!(
        roles,
        [
            "system",
            "user",
            "assistant",
            "tool",
            "tool",
            "tool",
            "user"
        ]
    );
    assert_eq!(body["messages"][2]["reasoning_content"], "Hmm.");
    let sent: Vec<&Value> = body["messages"][2]["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| &call["function"])
        .collect();
    assert_eq!(
        sent[1],
        &json!({"name": "apply_patch", "arguments": "{\"input\":\"*** Begin\"}"})
    );
    assert_eq!(sent[2]["name"], "agents__spawn");
    assert_eq!(body["messages"][6]["content"][0]["type"], "image_url");
    let tools: Vec<&Value> = body["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| &tool["type"])
        .collect();
    assert_eq!(tools, ["function", "function", "function"]);
    assert_eq!(body["stream_options"]["include_usage"], true);
    // The route and the custom tools were tried once.
    let chat = "/v1/chat/completions";
    assert_eq!(paths(&a), ["/v1/responses", chat, chat, chat]);
}

#[tokio::test]
async fn a_translated_stream_that_breaks_ends_with_a_failed_response() {
    for behaviour in [
        Behaviour::events([role(), chunk("Once upon")]).close(At::AfterPart(2)),
        Behaviour::events([
            role(),
            chunk("Once upon"),
            event(r#"{"error":{"message":"overloaded","code":502}}"#),
        ]),
    ] {
        let (a, _b, gateway) = pair(", responses: translate", "").await;
        a.on(Match::any(), [behaviour]);
        let events = stream(
            &gateway,
            &json!({"model": "a", "input": "hi", "stream": true}),
        )
        .await;
        let (last, before) = events.split_last().unwrap();
        assert_eq!(last["type"], "response.failed", "{:?}", types(&events));
        assert_eq!(last["sequence_number"], before.len());
        assert_eq!(last["response"]["error"]["code"], "server_error");
        assert_eq!(last["response"]["id"], events[0]["response"]["id"]);
        assert!(!types(&events).contains(&"response.completed"));
    }
}

#[tokio::test]
async fn a_stream_without_an_end_mark_is_completed_here() {
    let (a, _b, gateway) = pair(", responses: translate", "").await;
    a.on(
        Match::any(),
        [Behaviour::events([role(), chunk("all"), finish("length")])],
    );
    let events = stream(
        &gateway,
        &json!({"model": "a", "input": "hi", "stream": true}),
    )
    .await;
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(
        last["response"]["incomplete_details"]["reason"],
        "max_output_tokens"
    );
    assert_eq!(last["response"]["output"][0]["status"], "incomplete");
}

#[tokio::test]
async fn a_failed_upstream_is_made_up_for_by_one_of_another_form() {
    let (a, b, gateway) = pair(", responses: translate", "").await;
    a.on(Match::any(), [Behaviour::fails(503)]);
    b.on(Match::path("/v1/responses"), [Behaviour::json(200, NATIVE)]);
    let answer = ask(&gateway, &json!({"model": "v", "input": "hi"})).await;
    assert_eq!(
        (answer.text(), answer.header("x-pointsman-attempts")),
        (NATIVE, "2")
    );
}

#[tokio::test]
async fn what_another_provider_holds_is_asked_for_in_vain() {
    let (a, _b, gateway) = pair(", responses: translate", "").await;
    for (field, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!({"id": "conv_1"})),
        ("input", json!([{"type": "item_reference", "id": "msg_1"}])),
    ] {
        let mut body = json!({"model": "a", "input": "hi"});
        body[field] = value;
        let answer = ask(&gateway, &body).await;
        assert_eq!(
            (answer.status, &*answer.code()),
            (409, "state_unavailable"),
            "{}",
            answer.text()
        );
        assert_eq!(answer.json()["error"]["param"], field);
        assert_eq!(answer.header("x-should-retry"), "false");
    }
    assert_eq!(a.count(), 0);
}

#[tokio::test]
async fn what_has_no_place_is_named_or_refused() {
    let body = json!({"model": "a", "input": "hi", "truncation": "auto", "max_tool_calls": 3, "metadata": {"a": "b"}});
    let (a, _b, gateway) = pair(", responses: translate", "").await;
    let answer = ask(&gateway, &body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("x-pointsman-dropped"),
        "metadata, max_tool_calls, truncation"
    );
    let refused = gateway
        .post("/v1/responses", body.to_string())
        .header("x-pointsman-unsupported", "reject")
        .send()
        .await;
    assert_eq!(
        (refused.status, &*refused.code()),
        (400, "unsupported_field"),
        "{}",
        refused.text()
    );
    assert_eq!(refused.json()["error"]["param"], "metadata");
    assert!(refused.text().contains("truncation"));
    let odd = gateway
        .post("/v1/responses", body.to_string())
        .header("x-pointsman-unsupported", "maybe")
        .send()
        .await;
    odd.assert_error(400, "invalid_request");
    assert_eq!(a.count(), 1);
}

#[tokio::test]
async fn a_provider_or_a_chain_that_refuses_goes_on_to_one_that_can_say_it() {
    let mut body = json!({"model": "v", "input": "hi", "truncation": "auto"});
    for (provider, chain) in [
        (", responses: translate, unsupported: reject", ""),
        (", responses: translate", ", unsupported: reject"),
    ] {
        let (a, b, gateway) = pair(provider, chain).await;
        b.on(Match::path("/v1/responses"), [Behaviour::json(200, NATIVE)]);
        let answer = ask(&gateway, &body).await;
        assert_eq!(answer.text(), NATIVE);
        assert_eq!(answer.header("x-pointsman-dropped"), "");
        assert_eq!(a.count(), 0);
        body["model"] = json!("v");
        let forgiven = gateway
            .post("/v1/responses", body.to_string())
            .header("x-pointsman-unsupported", "drop")
            .send()
            .await;
        assert_eq!(forgiven.header("x-pointsman-dropped"), "truncation");
        assert_eq!(a.count(), 1);
    }
}
