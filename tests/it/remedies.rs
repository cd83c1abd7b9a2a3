//! What of a request is changed so that an upstream takes it: less output, and nothing sealed that it cannot open. And what of
//! a request is not for an upstream of another dialect.

use serde_json::{Value, json};

use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream};

const TWO: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: ma, api_key: ka, retry: {same_upstream: 0}<more>}
    - {name: b, base_url: <b>, model: mb, api_key: kb}
  virtual:
    - {name: v, upstreams: [a, b]}
";

async fn two(more: &str) -> (ScriptedUpstream, ScriptedUpstream, Gateway) {
    let (a, b) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    let yaml = TWO.replace("<more>", more);
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
    (a, b, gateway)
}

fn chat(model: &str, words: usize, max_tokens: u64) -> Value {
    let text = "hello ".repeat(words);
    json!({"model": model, "max_tokens": max_tokens, "messages": [{"role": "user", "content": text}]})
}

fn refusal(message: &str) -> Behaviour {
    let body = json!({"error": {"message": message, "type": "invalid_request_error"}});
    Behaviour::json(400, &body.to_string())
}

#[tokio::test]
async fn a_model_that_gives_less_output_is_asked_once_more_for_that_and_from_then_on_at_once() {
    let (a, b, gateway) = two("").await;
    let words = "max_tokens is too large: 32000. This model supports at most 8192 completion tokens, whereas you provided 32000.";
    a.on(Match::any(), [refusal(words), Behaviour::says("served")]);
    for (asked, sent) in [
        (32_000, &[32_000, 8192][..]),
        (32_000, &[8192]),
        (100, &[100]),
    ] {
        let before = a.count();
        let body = chat("v", 1, asked).to_string();
        let answer = gateway.post_chat(body).send().await;
        assert_eq!(answer.says(), "served");
        let limits: Vec<Value> = a.requests()[before..]
            .iter()
            .map(|request| request.json()["max_tokens"].clone())
            .collect();
        assert_eq!(limits, sent);
        let named = if asked > 8192 { "max_tokens" } else { "" };
        assert_eq!(answer.header("x-pointsman-dropped"), named);
    }
    assert_eq!(b.count(), 0);
}

#[tokio::test]
async fn a_second_refusal_goes_to_the_next_upstream() {
    let (a, b, gateway) = two("").await;
    a.on(
        Match::any(),
        [refusal(
            "max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens",
        )],
    );
    b.on(Match::any(), [Behaviour::says("other")]);
    let answer = gateway
        .post_chat(chat("v", 1, 32_000).to_string())
        .send()
        .await;
    assert_eq!(answer.says(), "other");
    assert_eq!((a.count(), b.count()), (2, 1));
    assert_eq!(b.requests()[0].json()["max_tokens"], 32_000);
}

#[tokio::test]
async fn translated_requests_ask_for_less_too() {
    let (a, _b, gateway) = two(", dialect: bedrock").await;
    let refused = json!({"message": "The maximum tokens you requested exceeds the model limit of 10000. Try again with a maximum tokens value that is lower than 10000."});
    let refused = Behaviour::json(400, &refused.to_string())
        .header("x-amzn-errortype", "ValidationException");
    let served = json!({"output": {"message": {"role": "assistant", "content": [{"text": "served"}]}}, "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}});
    a.on(
        Match::any(),
        [refused, Behaviour::json(200, &served.to_string())],
    );
    let body = json!({"model": "a", "max_tokens": 32_000, "messages": [{"role": "user", "content": "hi"}]});
    let answer = gateway.post("/v1/messages", body.to_string()).send().await;
    assert_eq!(
        answer.json()["content"][0]["text"],
        "served",
        "{}",
        answer.text()
    );
    assert_eq!(answer.json()["model"], "a");
    assert_eq!(answer.header("x-pointsman-dropped"), "max_tokens");
    let sent = a.requests();
    assert_eq!(sent[1].json()["inferenceConfig"]["maxTokens"], 10_000);
}

#[tokio::test]
async fn where_a_window_holds_the_prompt_the_output_is_lowered_to_the_rest_if_nothing_holds_all() {
    let small = ", context_window: 16384";
    let (a, b, gateway) = two(small).await;
    for upstream in [&a, &b] {
        upstream.on(Match::any(), [Behaviour::says("served")]);
    }
    // The other one may hold all of it.
    let answer = gateway
        .post_chat(chat("v", 5000, 32_000).to_string())
        .send()
        .await;
    assert_eq!(answer.header("x-pointsman-upstream"), "b:mb");
    assert_eq!(b.requests()[0].json()["max_tokens"], 32_000);
    let answer = gateway
        .post_chat(chat("a", 5000, 32_000).to_string())
        .send()
        .await;
    assert_eq!(answer.says(), "served");
    assert_eq!(answer.header("x-pointsman-dropped"), "max_tokens");
    let sent = a.requests()[0].json()["max_tokens"].as_u64().unwrap();
    assert!((10_000..11_384).contains(&sent), "{sent}");
    // And where it fails, less is better than nothing.
    b.on(Match::any(), [Behaviour::fails(500)]);
    let answer = gateway
        .post_chat(chat("v", 5000, 32_000).to_string())
        .send()
        .await;
    assert_eq!(answer.header("x-pointsman-upstream"), "a:ma");
}

#[tokio::test]
async fn a_window_that_the_prompt_nearly_fills_is_told_in_the_words_of_the_callers_vendor() {
    let (a, _b, gateway) = two(", context_window: 5300").await;
    let body = chat("a", 5000, 2000).to_string();
    let answer = gateway.post("/v1/messages", body.clone()).send().await;
    assert_eq!(answer.status, 400);
    let text = answer.text();
    let words = "input length and `max_tokens` exceed context limit: ";
    let (_, numbers) = text.split_once(words).unwrap_or_else(|| panic!("{text}"));
    let (prompt, rest) = numbers.split_once(" + ").unwrap();
    assert!(
        (4900..5100).contains(&prompt.parse::<u64>().unwrap()),
        "{text}"
    );
    assert!(
        rest.starts_with("2000 > 5300, decrease input length or `max_tokens` and try again"),
        "{text}"
    );
    let answer = gateway.post_chat(body).send().await;
    answer.assert_error(400, "context_length_exceeded");
    assert!(
        answer.text().contains("2000 in the output"),
        "{}",
        answer.text()
    );
    let long = chat("a", 9000, 2000).to_string();
    let answer = gateway.post("/v1/messages", long).send().await;
    assert!(
        answer.text().contains("prompt is too long: "),
        "{}",
        answer.text()
    );
    assert_eq!(a.count(), 0);
}

const RESPONSE: &str = r#"{"id":"resp_1","object":"response","created_at":1,"model":"ma","status":"completed","output":[{"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"served","annotations":[]}]}]}"#;

fn thoughts(contents: &[&str]) -> String {
    let thought = |content: &&str| json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": content});
    let mut input: Vec<Value> = contents.iter().map(thought).collect();
    input.push(json!({"role": "user", "content": "hi"}));
    json!({"model": "a", "store": false, "include": ["reasoning.encrypted_content"], "input": input}).to_string()
}

#[tokio::test]
async fn what_is_carried_for_another_provider_never_reaches_the_responses_api() {
    let (a, _b, gateway) = two(", dialect: responses").await;
    a.on(Match::any(), [Behaviour::json(200, RESPONSE)]);
    let carried = r#"{"pointsman":1,"maker":"anthropic","signature":"c2ln"}"#;
    let body = thoughts(&[carried, "gAAAA-sealed"]);
    let answer = gateway.post("/v1/responses", body).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.header("x-pointsman-dropped"),
        "input.encrypted_content"
    );
    let sent = a.requests()[0].json();
    let input = sent["input"].as_array().unwrap();
    assert_eq!(input.len(), 2, "{sent}");
    assert_eq!(input[0]["encrypted_content"], "gAAAA-sealed");
}

#[tokio::test]
async fn sealed_content_that_cannot_be_opened_is_left_out_on_the_same_upstream() {
    let (a, _b, gateway) = two(", dialect: responses").await;
    let error = json!({"error": {"code": "invalid_encrypted_content", "type": "invalid_request_error",
        "message": "The encrypted content gAAA... could not be verified."}});
    let refused = Behaviour::json(400, &error.to_string());
    a.on(
        Match::any(),
        [refused.clone(), Behaviour::json(200, RESPONSE), refused],
    );
    let body = thoughts(&["gAAAA-sealed"]);
    let answer = gateway.post("/v1/responses", body.clone()).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.header("x-pointsman-dropped"),
        "input.encrypted_content"
    );
    assert_eq!(a.requests()[1].json()["input"].as_array().unwrap().len(), 1);
    // Once: what is refused then is refused.
    let answer = gateway.post("/v1/responses", body).send().await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(a.count(), 4);
}

#[tokio::test]
async fn headers_of_other_vendors_stay_here_and_claudes_features_have_their_place_at_bedrock() {
    let model = ", dialect: bedrock, model: anthropic.claude-sonnet-4-5-20250929-v1:0";
    let yaml = TWO.replace(", model: ma", "").replace("<more>", model);
    let (a, b) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
    let served = json!({"output": {"message": {"role": "assistant", "content": [{"text": "served"}]}}, "stopReason": "end_turn"});
    a.on(Match::any(), [Behaviour::json(200, &served.to_string())]);
    b.on(Match::any(), [Behaviour::says("served")]);
    for name in ["a", "b"] {
        let body = json!({"model": name, "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]});
        let answer = gateway
            .post("/v1/messages", body.to_string())
            .header(
                "anthropic-beta",
                "claude-code-20250219,interleaved-thinking-2025-05-14",
            )
            .header("x-session-id", "s")
            .send()
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let (at_a, at_b) = (&a.requests()[0], &b.requests()[0]);
    for request in [at_a, at_b] {
        for name in ["anthropic-beta", "x-session-id"] {
            assert_eq!(request.header(name), None, "{name}");
        }
    }
    assert_eq!(
        at_a.json()["additionalModelRequestFields"]["anthropic_beta"],
        json!(["interleaved-thinking-2025-05-14"])
    );
    let body = json!({"model": "b", "messages": [{"role": "user", "content": "hi"}]});
    let call = gateway
        .post_chat(body.to_string())
        .header("x-session-id", "s");
    call.send().await;
    assert_eq!(b.requests()[1].header("x-session-id"), Some("s"));
}
