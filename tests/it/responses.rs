//! The Responses API: at providers that have it, at those that know chat completions alone, and for chat callers at
//! upstreams that have nothing else. What a translation leaves out is named.

use serde_json::{Value, json};

use crate::support::behaviour::{DONE, chunk, event, finish, role};
use crate::support::{Answer, At, Behaviour, Gateway, Match, ScriptedUpstream};

/// A provider `a` with these settings, and `b` behind it in the chain `v`.
async fn pair(a_more: &str, virtual_more: &str) -> (ScriptedUpstream, ScriptedUpstream, Gateway) {
    let (a, b) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    let yaml = format!(
        "llm:
  providers:
    - {{name: a, base_url: <a>, model: m, api_key: k1, retry: {{same_upstream: 0}}{a_more}}}
    - {{name: b, base_url: <b>, model: m, api_key: k2, retry: {{same_upstream: 0}}}}
  virtual: [{{name: v, upstreams: [a, b]{virtual_more}}}]
dispatch: {{await_cooldown: 0s}}
"
    );
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
    (a, b, gateway)
}

/// It has chat completions and nothing else.
fn chat_only(upstream: &ScriptedUpstream, chat: impl IntoIterator<Item = Behaviour>) {
    upstream.on(
        Match::any(),
        [Behaviour::error(404, "not_found", "Not Found")],
    );
    upstream.on(Match::path("/v1/chat/completions"), chat);
}

fn paths(upstream: &ScriptedUpstream) -> Vec<String> {
    upstream
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect()
}

async fn ask(gateway: &Gateway, body: &Value) -> Answer {
    gateway.post("/v1/responses", body.to_string()).send().await
}

/// The events of a streamed response.
async fn stream(gateway: &Gateway, body: &Value) -> Vec<Value> {
    let stream = gateway
        .post("/v1/responses", body.to_string())
        .stream()
        .await;
    assert_eq!(stream.status, 200);
    let text = stream.text().await;
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| panic!("{text}")))
        .collect()
}

fn types(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

const NATIVE: &str = r#"{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"m","output":[{"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"native","annotations":[]}]}],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}"#;

#[tokio::test]
async fn a_provider_without_the_route_is_asked_for_it_once() {
    let (a, _b, gateway) = pair("", "").await;
    chat_only(&a, [Behaviour::says("hello")]);
    for _ in 0..3 {
        let answer = ask(&gateway, &json!({"model": "a", "input": "hi"})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["output"][0]["content"][0]["text"], "hello");
        assert_eq!(answer.header("x-pointsman-attempts"), "1");
    }
    let (route, chat) = ("/v1/responses", "/v1/chat/completions");
    assert_eq!(paths(&a), [route, chat, chat, chat]);
}

#[tokio::test]
async fn a_provider_with_the_route_gets_bytes_as_they_came() {
    for (more, path) in [
        ("", "/v1/responses"),
        (", responses: native", "/v1/responses"),
        (", dialect: responses", "/v1/responses"),
        (", responses: translate", "/v1/chat/completions"),
    ] {
        let (a, _b, gateway) = pair(more, "").await;
        a.on(Match::path("/v1/responses"), [Behaviour::json(200, NATIVE)]);
        let body =
            r#"{"model":"m", "input":[{"type":"future","z":1.0}],"previous_response_id":null}"#;
        let answer = gateway
            .post("/v1/responses", body.replace("\"m\"", "\"a\""))
            .send()
            .await;
        assert_eq!(paths(&a), [path], "{more}");
        if path == "/v1/responses" {
            assert_eq!(answer.text(), NATIVE, "{more}");
            assert_eq!(
                String::from_utf8(a.requests()[0].body.clone()).unwrap(),
                body
            );
        }
    }
}

#[tokio::test]
async fn a_request_about_an_unknown_model_is_not_one_about_the_route() {
    let (a, b, gateway) = pair("", "").await;
    let gone = Behaviour::error(404, "model_not_found", "The model `m` does not exist");
    a.on(Match::any(), [gone]);
    b.on(Match::path("/v1/responses"), [Behaviour::json(200, NATIVE)]);
    let answer = ask(&gateway, &json!({"model": "v", "input": "hi"})).await;
    assert_eq!(answer.text(), NATIVE);
    assert_eq!(paths(&a), ["/v1/responses"]);
}

/// What Codex sends, but for the length of its texts.
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

#[tokio::test]
async fn what_an_upstream_has_nothing_like_is_not_supported() {
    let (a, b, gateway) = pair(", dialect: responses", "").await;
    let body = |model: &str| json!({"model": model, "input": "hi"}).to_string();
    let lone = gateway.post("/v1/embeddings", body("a")).send().await;
    assert_eq!(
        (lone.status, &*lone.code()),
        (501, "not_supported"),
        "{}",
        lone.text()
    );
    b.on(
        Match::any(),
        [Behaviour::json(200, r#"{"object":"list","data":[]}"#)],
    );
    let other = gateway.post("/v1/embeddings", body("v")).send().await;
    assert_eq!(other.status, 200);
    assert_eq!(a.count(), 0);
}

#[tokio::test]
async fn tokens_are_counted_by_who_can_and_else_here() {
    let (a, b, gateway) = pair(", dialect: responses", "").await;
    let counted = r#"{"object":"response.input_tokens","input_tokens":403}"#;
    a.on(
        Match::path("/v1/responses/input_tokens"),
        [Behaviour::json(200, counted)],
    );
    b.on(
        Match::any(),
        [Behaviour::error(404, "not_found", "Not Found")],
    );
    let count = |model: &str| json!({"model": model, "input": "hi"}).to_string();
    let route = "/v1/responses/input_tokens";
    let native = gateway.post(route, count("a")).send().await;
    assert_eq!(native.text(), counted);
    let messages = json!({"model": "a", "messages": [{"role": "user", "content": "hi"}]});
    let other = gateway.post("/v1/messages/count_tokens", messages.to_string());
    let other = other.send().await;
    assert_eq!(
        other.json(),
        json!({"input_tokens": 403}),
        "{}",
        other.text()
    );
    let sent = a.requests()[1].json();
    let names: Vec<&String> = sent.as_object().unwrap().keys().collect();
    assert_eq!(names, ["input", "model"]);
    let here = gateway.post(route, count("b")).send().await;
    assert_eq!(here.json()["object"], "response.input_tokens");
    assert_eq!(here.header("x-pointsman-counted-by"), "tokenizer");
}

#[tokio::test]
async fn a_choice_among_tools_is_written_as_each_dialect_has_it() {
    let (a, b, gateway) = pair(", dialect: responses", "").await;
    let tools = json!([{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "g"}}]);
    a.on(Match::any(), [Behaviour::json(200, NATIVE)]);
    let nested = json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
        {"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "g"}}]}});
    let flat = json!({"type": "allowed_tools", "mode": "required", "tools": [
        {"type": "function", "name": "f"}, {"type": "custom", "name": "g"}]});
    let body = json!({"model": "a", "messages": [{"role": "user", "content": "hi"}], "tools": tools, "tool_choice": nested});
    let answer = gateway.post_chat(body.to_string()).send().await;
    assert_eq!(
        (answer.status, answer.header("x-pointsman-dropped")),
        (200, "")
    );
    assert_eq!(a.requests()[0].json()["tool_choice"], flat);
    let tools = json!([{"type": "function", "name": "f"}, {"type": "custom", "name": "g"}]);
    chat_only(&b, [Behaviour::says("ok")]);
    let body = json!({"model": "b", "input": "hi", "tools": tools, "tool_choice": flat});
    let answer = ask(&gateway, &body).await;
    assert_eq!(
        (answer.status, answer.header("x-pointsman-dropped")),
        (200, "")
    );
    assert_eq!(b.requests()[1].json()["tool_choice"], nested);
}
