//! What the official SDKs send and read that a body written by hand does not show. `tests/sdk` has the SDKs themselves.

use serde_json::{Value, json};

use crate::support::behaviour::{DONE, event, finish, role};
use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream};

/// A gateway before one upstream of this dialect.
async fn over(dialect: &str, model: &str) -> (ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::start().await;
    let yaml = format!(
        "llm:\n  providers:\n    - {{name: a, dialect: {dialect}, base_url: <a>, model: {model}, api_key: k1}}\n"
    );
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    (a, gateway)
}

async fn post(gateway: &Gateway, path: &str, body: &Value) -> Value {
    let answer = gateway.post(path, body.to_string()).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

const GENERATE: &str = "/v1beta/models/a:generateContent";

fn user(parts: &Value) -> Value {
    json!({"role": "user", "parts": parts})
}

#[tokio::test]
async fn bytes_in_the_alphabet_for_urls_are_the_usual_base64_elsewhere() {
    // Google's SDK for Python writes bytes so, its API takes both.
    let (a, gateway) = over("openai", "m").await;
    let data = |data: &str, kind: &str| json!({"inlineData": {"data": data, "mimeType": kind}});
    let parts = json!([
        data("-_-_", "image/png"),
        data("+/-_", "application/pdf"),
        data("__8", "audio/wav")
    ]);
    post(&gateway, GENERATE, &json!({"contents": [user(&parts)]})).await;
    let sent = a.requests()[0].json();
    let content = &sent["messages"][0]["content"];
    assert_eq!(content[0]["image_url"]["url"], "data:image/png;base64,+/+/");
    assert_eq!(
        content[1]["file"]["file_data"],
        "data:application/pdf;base64,+/+/"
    );
    assert_eq!(content[2]["input_audio"]["data"], "//8=");
}

/// Reasoning that nobody signed, then a call.
fn thinks_and_calls(stream: bool) -> Behaviour {
    let call = json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": "w", "arguments": "{}"}});
    if !stream {
        let message = json!({"role": "assistant", "content": null, "reasoning_content": "Hm, ü?? ok", "tool_calls": [call]});
        let choice = json!({"index": 0, "message": message, "finish_reason": "tool_calls"});
        return Behaviour::json(200, &json!({"id": "c", "choices": [choice]}).to_string());
    }
    let delta = |delta: &Value| {
        event(&json!({"id": "c", "choices": [{"index": 0, "delta": delta}]}).to_string())
    };
    Behaviour::events([
        role(),
        delta(&json!({"reasoning_content": "Hm, ü"})),
        delta(&json!({"reasoning_content": "?? ok"})),
        delta(&json!({"tool_calls": [call]})),
        finish("tool_calls"),
        DONE.to_owned(),
    ])
}

#[tokio::test]
async fn unsigned_reasoning_comes_back_on_the_call_that_it_led_to() {
    let (a, gateway) = over("openai", "m").await;
    let ask = user(&json!([{"text": "hi"}]));
    let tools = json!([{"functionDeclarations": [{"name": "w"}]}]);
    for stream in [false, true] {
        a.on(
            Match::any(),
            [thinks_and_calls(stream), Behaviour::says("done")],
        );
        let body = json!({"contents": [ask], "tools": tools});
        let method = match stream {
            true => "/v1beta/models/a:streamGenerateContent",
            false => GENERATE,
        };
        let said = post(&gateway, method, &body).await;
        let answers = match said {
            Value::Array(answers) => answers,
            whole => vec![whole],
        };
        let parts = answers
            .iter()
            .filter_map(|answer| answer["candidates"][0]["content"]["parts"].as_array());
        let parts: Vec<Value> = parts.flatten().cloned().collect();
        let thoughts = parts.iter().filter(|part| part["thought"] == true);
        let thought: String = thoughts.filter_map(|part| part["text"].as_str()).collect();
        assert_eq!(thought, "Hm, ü?? ok");
        let call = parts.last().unwrap();
        let signature = call["thoughtSignature"].as_str().unwrap();
        // The SDK for Python writes what it read in the alphabet for URLs; the Gemini CLI sends no thoughts back.
        let signature = signature.replace('+', "-").replace('/', "_");
        let model = json!({"role": "model", "parts": [{"functionCall": call["functionCall"], "thoughtSignature": signature}]});
        let result =
            user(&json!([{"functionResponse": {"name": "w", "response": {"output": "21"}}}]));
        let body = json!({"contents": [ask, model, result], "tools": tools});
        post(&gateway, GENERATE, &body).await;
        let sent = a.requests().last().unwrap().json();
        let assistant = &sent["messages"][1];
        assert_eq!(assistant["reasoning_content"], "Hm, ü?? ok", "{assistant}");
        assert_eq!(assistant["tool_calls"][0]["function"]["name"], "w");
    }
}

#[tokio::test]
async fn what_a_tool_says_is_taken_out_of_what_an_sdk_puts_it_in() {
    let (a, gateway) = over("openai", "m").await;
    let ask = user(&json!([{"text": "hi"}]));
    let call = json!({"role": "model", "parts": [{"functionCall": {"name": "w", "args": {}}}]});
    let cases = [
        (json!({"output": "21"}), "21"),
        // Google's SDK for Python, when it calls functions by itself.
        (json!({"result": "21"}), "21"),
        (json!({"result": {"t": 21}}), r#"{"t":21}"#),
        (json!({"error": "no"}), "no"),
        // Vercel's AI SDK.
        (json!({"name": "w", "content": "21"}), "21"),
        (
            json!({"name": "other", "content": "21"}),
            r#"{"name":"other","content":"21"}"#,
        ),
        (json!({"name": "w"}), r#"{"name":"w"}"#),
        (
            json!({"result": 1, "unit": "C"}),
            r#"{"result":1,"unit":"C"}"#,
        ),
    ];
    for (response, said) in cases {
        let part = json!({"functionResponse": {"name": "w", "response": response}});
        let body = json!({"contents": [ask, call, user(&json!([part]))]});
        post(&gateway, GENERATE, &body).await;
        let sent = a.requests().last().unwrap().json();
        assert_eq!(sent["messages"][2]["content"], said, "{response}");
    }
}

#[tokio::test]
async fn texts_in_a_row_are_one_text_of_an_answer() {
    let (a, gateway) = over("gemini", "gemini-3.5-flash").await;
    let parts = json!([
        {"text": "think", "thought": true}, {"text": "{\"a\""}, {"text": ": 1}"},
        {"functionCall": {"name": "w", "args": {}}, "thoughtSignature": "c2ln"}, {"text": "x"}, {"text": "y"},
    ]);
    let candidate = json!({"content": {"role": "model", "parts": parts}, "finishReason": "STOP"});
    let said = json!({"candidates": [candidate]}).to_string();
    a.on(Match::any(), [Behaviour::json(200, &said)]);
    let body =
        json!({"model": "a", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let said = post(&gateway, "/v1/messages", &body).await;
    let blocks = said["content"].as_array().unwrap();
    let texts = blocks.iter().filter_map(|block| block["text"].as_str());
    assert_eq!(texts.collect::<Vec<_>>(), ["{\"a\": 1}", "xy"]);
    let body = json!({"model": "a", "input": "hi"});
    let said = post(&gateway, "/v1/responses", &body).await;
    let items = said["output"].as_array().unwrap();
    let texts = items
        .iter()
        .filter_map(|item| item["content"].as_array())
        .flatten();
    let texts: Vec<&str> = texts.filter_map(|part| part["text"].as_str()).collect();
    assert!(texts.contains(&"{\"a\": 1}"), "{said}");
}

#[tokio::test]
async fn the_responses_api_is_asked_for_reasoning_that_can_come_back() {
    for (model, thinking, asked) in [
        ("gpt-5.2", json!(null), true),
        (
            "some-model",
            json!({"type": "enabled", "budget_tokens": 2000}),
            true,
        ),
        ("gpt-4o", json!(null), false),
        ("some-model", json!({"type": "disabled"}), false),
    ] {
        let (a, gateway) = over("responses", model).await;
        let part = json!({"type": "output_text", "text": "ok", "annotations": []});
        let item = json!({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]});
        let said =
            json!({"id": "resp_1", "object": "response", "status": "completed", "output": [item]});
        a.on(Match::any(), [Behaviour::json(200, &said.to_string())]);
        let schema = json!({"type": "object", "properties": {}, "additionalProperties": false});
        let mut body = json!({
            "model": "a", "max_tokens": 4000, "messages": [{"role": "user", "content": "hi"}],
            "output_config": {"format": {"type": "json_schema", "schema": schema}},
        });
        if !thinking.is_null() {
            body["thinking"] = thinking;
        }
        post(&gateway, "/v1/messages", &body).await;
        let sent = a.requests()[0].json();
        let include = asked.then(|| json!(["reasoning.encrypted_content"]));
        assert_eq!(sent.get("include"), include.as_ref(), "{model} {sent}");
        // It refuses a schema without a name, which Anthropic's have not.
        let name = sent["text"]["format"]["name"].as_str();
        assert!(name.is_some_and(|name| !name.is_empty()), "{sent}");
    }
}

#[tokio::test]
async fn sampling_is_left_out_where_a_model_that_reasons_refuses_it() {
    // The Gemini CLI and aider send a temperature whatever the model is.
    let cases = [
        ("o4-mini", json!({}), true),
        ("gpt-5-mini", json!({}), true),
        ("gpt-5.2", json!({}), false),
        ("gpt-5.2", json!({"thinkingLevel": "HIGH"}), true),
        ("gpt-5.2", json!({"thinkingBudget": 2000}), true),
        ("gpt-4o", json!({}), false),
    ];
    for (model, thinking, refused) in cases {
        for dialect in ["openai", "responses"] {
            let (a, gateway) = over(dialect, model).await;
            let config = json!({"temperature": 0.5, "topP": 0.95, "thinkingConfig": thinking});
            let body =
                json!({"contents": [user(&json!([{"text": "hi"}]))], "generationConfig": config});
            let answer = gateway.post(GENERATE, body.to_string()).send().await;
            let sent = a.requests()[0].json();
            let told = [sent.get("temperature"), sent.get("top_p")];
            assert_eq!(
                told,
                [
                    (!refused).then_some(&json!(0.5)),
                    (!refused).then_some(&json!(0.95))
                ],
                "{model} {sent}"
            );
            if dialect == "openai" {
                let dropped = answer.header("x-pointsman-dropped");
                assert_eq!(
                    dropped.contains("temperature"),
                    refused,
                    "{model} {dropped}"
                );
            }
        }
    }
}
