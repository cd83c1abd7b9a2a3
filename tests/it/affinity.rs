//! What a provider holds for one key: answers that others refer to, sealed thoughts, sessions. Requests go back to that key;
//! where it is out, they say so, or do without.

use serde_json::json;

use crate::support::gateway::Place;
use crate::support::temp::TempDir;
use crate::support::{Answer, Behaviour, Gateway, Match, ScriptedUpstream, until};

const SETUP: &str = "
llm:
  providers:
    - name: a
      base_url: <a>
      model: m
      responses: native
      api_keys: [sk-one-0123456789, sk-two-0123456789]
dispatch: {await_cooldown: 0s}
";

const SEAL: &str =
    "gAAAAABsealed-by-somebody-0123456789012345678901234567890123456789012345678901234567890123";

fn response(id: &str, output: &str) -> String {
    format!(
        r#"{{"id":"{id}","object":"response","status":"completed","model":"m","output":[{output}]}}"#
    )
}

fn message() -> &'static str {
    r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"ok"}]}"#
}

async fn setup() -> (ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::start().await;
    a.on(
        Match::any(),
        [Behaviour::json(200, &response("resp_other1", message()))],
    );
    let gateway = Gateway::start(SETUP, &[("a", &a)]).await;
    (a, gateway)
}

fn key(answer: &Answer) -> &str {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("x-pointsman-key")
}

#[tokio::test]
async fn an_answer_that_is_referred_to_is_looked_for_with_the_key_that_has_it() {
    let (a, gateway) = setup().await;
    let post = |body: serde_json::Value| gateway.post("/v1/responses", body.to_string());
    let events = [
        r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_two22","status":"in_progress","output":[]}}"#,
        r#"{"type":"response.output_text.delta","sequence_number":1,"delta":"ok","output_index":0,"content_index":0,"item_id":"msg_1"}"#,
        r#"{"type":"response.completed","sequence_number":2,"response":{"id":"resp_two22","status":"completed","output":[]}}"#,
    ];
    let events = events.map(|data| {
        let kind = data.split('"').nth(3).unwrap();
        format!("event: {kind}\ndata: {data}\n\n")
    });
    a.on(
        Match::key("sk-one-0123456789"),
        [Behaviour::json(200, &response("resp_one11", message()))],
    );
    a.on(Match::key("sk-two-0123456789"), [Behaviour::events(events)]);
    let first = post(json!({"model": "a", "input": "x"})).send().await;
    assert_eq!(key(&first), "a#1");
    let second = post(json!({"model": "a", "input": "x", "stream": true}))
        .send()
        .await;
    assert_eq!(key(&second), "a#2");
    a.on(
        Match::key("sk-two-0123456789"),
        [Behaviour::json(200, &response("resp_two33", message()))],
    );
    for _ in 0..3 {
        for (id, owner) in [("resp_one11", "a#1"), ("resp_two22", "a#2")] {
            let next = post(json!({"model": "a", "input": "y", "previous_response_id": id}))
                .send()
                .await;
            assert_eq!(key(&next), owner);
        }
    }
    a.on(
        Match::key("sk-two-0123456789"),
        [Behaviour::rate_limited().header("retry-after", "9")],
    );
    let refers = || post(json!({"model": "a", "input": "y", "previous_response_id": "resp_two22"}));
    for _ in 0..2 {
        let gone = refers().send().await;
        gone.assert_error(409, "state_unavailable");
        assert!(gone.retry_after_ms() > 7000, "{}", gone.text());
    }
    // What nobody knows of goes anywhere.
    let unknown =
        post(json!({"model": "a", "input": "y", "previous_response_id": "resp_unknown9"}));
    assert_eq!(key(&unknown.send().await), "a#1");
}

#[tokio::test]
async fn sealed_thoughts_go_back_to_their_key_or_are_left_out_and_named() {
    let (a, gateway) = setup().await;
    let post = |body: serde_json::Value| gateway.post("/v1/responses", body.to_string());
    let reasoning =
        json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": SEAL});
    let sealed = format!("{reasoning},{}", message());
    a.on(
        Match::any(),
        [Behaviour::json(200, &response("resp_sealed1", &sealed))],
    );
    let include = json!(["reasoning.encrypted_content"]);
    let first = post(json!({"model": "a", "input": "x", "store": false, "include": include}))
        .send()
        .await;
    assert_eq!(key(&first), "a#1");
    let next = || {
        post(
            json!({"model": "a", "store": false, "include": include, "input": [{"role": "user", "content": "x"}, reasoning, {"role": "user", "content": "y"}]}),
        )
    };
    for _ in 0..3 {
        let answer = next().send().await;
        assert_eq!(
            (key(&answer), answer.header("x-pointsman-dropped")),
            ("a#1", "")
        );
    }
    assert_eq!(
        a.requests().pop().unwrap().json()["input"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    a.on(
        Match::key("sk-one-0123456789"),
        [Behaviour::rate_limited().header("retry-after", "60")],
    );
    a.on(
        Match::key("sk-two-0123456789"),
        [Behaviour::json(200, &response("resp_open11", message()))],
    );
    for _ in 0..2 {
        let answer = next().send().await;
        assert_eq!(key(&answer), "a#2");
        assert_eq!(
            answer.header("x-pointsman-dropped"),
            "input.encrypted_content"
        );
        let input = a.requests().pop().unwrap().json()["input"].clone();
        assert_eq!(input.as_array().unwrap().len(), 2, "{input}");
    }
}

#[tokio::test]
async fn a_session_stays_with_a_key_that_can_and_a_key_that_is_named_is_meant() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(SETUP, &[("a", &a)]).await;
    let chat = |affinity: &str| gateway.chat("a").header("x-pointsman-affinity", affinity);
    let owner = key(&chat("session-1").send().await).to_owned();
    for _ in 0..3 {
        gateway.chat("a").send().await;
        assert_eq!(key(&chat("session-1").send().await), owner);
    }
    for name in ["a#2", "a#1", "a#2", "a#2"] {
        assert_eq!(key(&chat(name).send().await), name);
    }
    let limited = Behaviour::rate_limited().header("retry-after", "60");
    let (of_owner, other) = match &*owner {
        "a#1" => ("sk-one-0123456789", "a#2"),
        _ => ("sk-two-0123456789", "a#1"),
    };
    a.on(Match::key(of_owner), [limited]);
    for _ in 0..3 {
        assert_eq!(
            key(&chat("session-1").send().await),
            other,
            "it can go elsewhere"
        );
    }
    chat(&owner)
        .send()
        .await
        .assert_error(409, "state_unavailable");
    chat("a#9")
        .send()
        .await
        .assert_error(409, "state_unavailable");
    chat(" ").send().await.assert_error(400, "invalid_request");
}

#[tokio::test]
async fn who_holds_what_outlives_the_process() {
    let (dir, a) = (TempDir::new(), ScriptedUpstream::start().await);
    let state = dir.path().join("state.json").display().to_string();
    let yaml = format!("state: {{path: <state>}}{SETUP}");
    let places: [(&str, &dyn Place); 2] = [("a", &a), ("state", &state)];
    a.on(
        Match::key("sk-one-0123456789"),
        [Behaviour::json(200, &response("resp_other1", message()))],
    );
    a.on(
        Match::key("sk-two-0123456789"),
        [Behaviour::json(200, &response("resp_kept22", message()))],
    );
    let gateway = Gateway::start(&yaml, &places).await;
    for _ in 0..2 {
        gateway
            .post("/v1/responses", r#"{"model":"a","input":"x"}"#)
            .send()
            .await;
    }
    until("the state to be written", async || {
        let text = std::fs::read_to_string(&state).unwrap_or_default();
        text.contains("resp_kept22")
    })
    .await;
    let told = std::fs::read_to_string(&state).unwrap();
    assert!(!told.contains("sk-two"), "{told}");
    drop(gateway);
    let gateway = Gateway::start(&yaml, &places).await;
    for _ in 0..3 {
        let body = r#"{"model":"a","input":"x","previous_response_id":"resp_kept22"}"#;
        let answer = gateway.post("/v1/responses", body).send().await;
        assert_eq!(key(&answer), "a#2");
    }
}

/// An answer of Anthropic's with these blocks, and what else is in it.
fn claude(content: &serde_json::Value, more: &serde_json::Value) -> Behaviour {
    let mut body = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
        "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    Behaviour::json(200, &body.to_string())
}

async fn of_dialect(dialect: &str) -> (ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::start().await;
    let yaml = SETUP.replace(
        "      responses: native\n",
        &format!("      dialect: {dialect}\n"),
    );
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    (a, gateway)
}

#[tokio::test]
async fn a_container_is_looked_for_with_the_key_that_made_it() {
    let events = [
        r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"ok"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","container":{"id":"container_two22","expires_at":"2030-01-01T00:00:00Z"}},"usage":{"output_tokens":2}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let events = events.map(|data| {
        let kind = data.split('"').nth(3).unwrap();
        format!("event: {kind}\ndata: {data}\n\n")
    });
    let (a, gateway) = of_dialect("anthropic").await;
    let text = json!([{"type": "text", "text": "ok"}, {"type": "bash_code_execution_tool_result", "tool_use_id": "srvtoolu_1",
        "content": {"type": "bash_code_execution_result", "content": [{"type": "bash_code_execution_output", "file_id": "file_made1"}]}}]);
    let container =
        json!({"container": {"id": "container_one11", "expires_at": "2030-01-01T00:00:00Z"}});
    a.on(Match::key("sk-one-0123456789"), [claude(&text, &container)]);
    a.on(Match::key("sk-two-0123456789"), [Behaviour::events(events)]);
    let asks = |more: serde_json::Value| {
        let mut body =
            json!({"model": "a", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        gateway.post("/v1/messages", body.to_string())
    };
    assert_eq!(key(&asks(json!({})).send().await), "a#1");
    assert_eq!(key(&asks(json!({"stream": true})).send().await), "a#2");
    a.on(
        Match::any(),
        [claude(&json!([{"type": "text", "text": "ok"}]), &json!({}))],
    );
    a.on(
        Match::key("sk-two-0123456789"),
        [claude(&json!([{"type": "text", "text": "ok"}]), &json!({}))],
    );
    for _ in 0..3 {
        for (held, owner) in [("container_one11", "a#1"), ("container_two22", "a#2")] {
            for container in [
                json!(held),
                json!({"id": held, "skills": [{"type": "anthropic", "skill_id": "pdf", "version": "latest"}]}),
            ] {
                let answer = asks(json!({"container": container})).send().await;
                assert_eq!(key(&answer), owner);
            }
        }
        let file = json!({"messages": [{"role": "user", "content": [{"type": "container_upload", "file_id": "file_made1"}]}]});
        assert_eq!(key(&asks(file).send().await), "a#1");
    }
    let limited = Behaviour::rate_limited().header("retry-after", "9");
    a.on(Match::key("sk-two-0123456789"), [limited]);
    for _ in 0..2 {
        let gone = asks(json!({"container": "container_two22"})).send().await;
        assert_eq!(gone.status, 409, "{}", gone.text());
        assert!(
            gone.text().contains("state_unavailable") || gone.text().contains("the key that holds"),
            "{}",
            gone.text()
        );
    }
}

const SIGNED: &str = "EqQBCkgIARABGAIiQL2UoU0b1OHYi+yCHpBY7U6FQW8/FcoLewocJQPa2HnmLM+NECy50y44F/kD4SULFXi57buI9fAvyBwtyjlOiO0SDE3+r3spdg6PLOo9PBoMma2ku5OTAoR46j9VIjDRlvNmBvff7YW4WI9oU8XagaOBSxLPxElrhyuxppEn7m6bfT40dqBSTDrfiw4FYB4qEPETTI6TA6wtjGAAqmFqKTo=";

#[tokio::test]
async fn thoughts_go_back_to_the_key_that_signed_them_and_whole_to_another_where_it_is_out() {
    let (a, gateway) = of_dialect("anthropic").await;
    let thought = json!({"type": "thinking", "thinking": "hm", "signature": SIGNED});
    let content = json!([thought, {"type": "text", "text": "ok"}]);
    let plain = json!([{"type": "text", "text": "ok"}]);
    a.on(
        Match::key("sk-one-0123456789"),
        [claude(&plain, &json!({}))],
    );
    a.on(
        Match::key("sk-two-0123456789"),
        [claude(&content, &json!({}))],
    );
    let asks = |messages: serde_json::Value| {
        let body = json!({"model": "a", "max_tokens": 9, "messages": messages});
        gateway.post("/v1/messages", body.to_string())
    };
    let first = json!([{"role": "user", "content": "x"}]);
    assert_eq!(key(&asks(first.clone()).send().await), "a#1");
    assert_eq!(key(&asks(first.clone()).send().await), "a#2");
    let next = json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": [thought, {"type": "text", "text": "ok"}]}, {"role": "user", "content": "y"}]);
    for _ in 0..3 {
        assert_eq!(key(&asks(next.clone()).send().await), "a#2");
    }
    // A signature is its maker's, not the key's: without the key it goes on as it is.
    a.on(
        Match::key("sk-two-0123456789"),
        [Behaviour::rate_limited().header("retry-after", "9")],
    );
    for _ in 0..2 {
        let answer = asks(next.clone()).send().await;
        assert_eq!(
            (key(&answer), answer.header("x-pointsman-dropped")),
            ("a#1", "")
        );
        assert_eq!(a.requests().pop().unwrap().json()["messages"], next);
    }
}

#[tokio::test]
async fn signatures_that_a_chat_caller_gives_back_or_that_are_streamed_are_known_too() {
    let (a, gateway) = of_dialect("gemini").await;
    let say = |parts: serde_json::Value, end: bool| {
        let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
        if end {
            candidate["finishReason"] = json!("STOP");
        }
        json!({"candidates": [candidate], "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}, "modelVersion": "m", "responseId": "r"})
    };
    let call =
        json!([{"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": SIGNED}]);
    let streamed = [
        say(json!([{"text": "ok"}]), false),
        say(json!([{"text": "!"}]), false),
        say(call.clone(), true),
    ];
    let streamed = streamed.map(|one| format!("data: {one}\n\n"));
    let plain = Behaviour::json(200, &say(json!([{"text": "ok"}]), true).to_string());
    a.on(Match::key("sk-one-0123456789"), [plain.clone()]);
    a.on(
        Match::key("sk-two-0123456789"),
        [Behaviour::events(streamed)],
    );
    let contents = |more: &[serde_json::Value]| {
        let first = json!({"role": "user", "parts": [{"text": "x"}]});
        let all = [&[first][..], more].concat();
        json!({"contents": all}).to_string()
    };
    let path = "/v1beta/models/a:generateContent";
    assert_eq!(key(&gateway.post(path, contents(&[])).send().await), "a#1");
    let stream = "/v1beta/models/a:streamGenerateContent?alt=sse";
    assert_eq!(
        key(&gateway.post(stream, contents(&[])).send().await),
        "a#2"
    );
    a.on(Match::key("sk-two-0123456789"), [plain]);
    let more = [
        json!({"role": "model", "parts": call}),
        json!({"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"b": 2}}}]}),
    ];
    for _ in 0..3 {
        let answer = gateway.post(path, contents(&more)).send().await;
        assert_eq!(key(&answer), "a#2");
    }
    let messages = json!([{"role": "user", "content": "x"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"},
            "extra_content": {"google": {"thought_signature": SIGNED}}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "b"}]);
    for _ in 0..3 {
        let body = json!({"model": "a", "messages": messages}).to_string();
        assert_eq!(key(&gateway.post_chat(body).send().await), "a#2");
    }
}
