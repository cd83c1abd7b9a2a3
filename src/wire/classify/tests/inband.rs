//! Errors inside a 2xx, without a status: words alone make no key and no model unavailable to other requests.

use super::*;
use crate::wire::providers::PROVIDERS;

/// Failures as servers, routers and agents tell them. None says that a key is wrong, a credit used up or a model gone.
const PLAIN: &[&str] = &[
    // Ollama.
    "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, check ollama server logs for details",
    "llama runner process has terminated: exit status 2",
    "model failed to load, this may be due to resource limitations",
    "model requires more system memory (12.3 GiB) than is available (7.5 GiB)",
    "timed out waiting for llama runner to start - progress 0.00",
    "an error was encountered while running the model: unexpected EOF",
    "unable to load model: /root/.ollama/models/blobs/sha256-123",
    "llama runner process no longer running: -1",
    // llama.cpp.
    "Loading model",
    "failed to process image",
    "Failed to load model: not enough memory",
    "the model is not loaded yet, unknown model state",
    // LM Studio.
    "The model has crashed without additional information. (Exit code: 6)",
    "Model unloaded.",
    "Model does not exist in memory any more: it was unloaded while it generated",
    "Channel Error",
    // vLLM, SGLang, TGI, TensorRT-LLM.
    "EngineCore encountered an issue. See stack trace (above) for the root cause.",
    "EngineDeadError: model engine died",
    "Error while generating: model engine died",
    "CUDA out of memory. Tried to allocate 2.00 GiB while the model was running",
    "Model is overloaded",
    "The server is not ready: model weights are not available on rank 1",
    "Request failed during generation: Server error: CANCELLED",
    "The model worker was not found, please retry",
    "Internal server error: model does not respond",
    "model execution was aborted because the deployment was scaled down",
    // OpenAI, Azure, Anthropic, Google and the hosts of others' models.
    "The model is currently overloaded, please try again later",
    "That model is currently overloaded with other requests. You can retry your request",
    "The server had an error while processing your request. Sorry about that!",
    "The model produced invalid content. Consider modifying your prompt",
    "The model is temporarily unavailable, the deployment is being updated",
    "The deployment is not ready",
    "Model is not available right now, please try again",
    "Model busy, retry later",
    "No endpoints found right now, please retry",
    "Upstream error from Chutes: model is not available on this node",
    "Provider returned error",
    "Service tier capacity exceeded for this model.",
    "We are currently processing too many requests for this model",
    "Deployment x is scaling up, no such model replica is ready yet",
    "the model x/y is cold",
    // LiteLLM and other routers, about their own upstreams and keys.
    "litellm.InternalServerError: InternalServerError: OpenAIException - Connection error.. Received Model Group=ma",
    "litellm.APIError: APIError: OpenAIException - model died",
    "litellm.AuthenticationError: AuthenticationError: OpenAIException - Incorrect API key provided: sk-1",
    "litellm.MidStreamFallbackError: the model stopped answering",
    "No deployments available for selected model, Try again in 5 seconds.",
    // Agents that stream what became of their tools.
    "tool weather failed: missing api key",
    "tool weather failed: Invalid API key",
    "Error calling tool: 401 Unauthorized: api key expired",
    "tool search failed: api_key is missing, set TAVILY_API_KEY",
    "MCP server github: authentication failed, unauthorized",
    "tool login failed: invalid private key",
    "tool pay failed: insufficient balance",
    "tool pay failed: insufficient funds on the account",
    "tool bank: your credit limit was exceeded",
    "tool crm: monthly budget limit reached",
    "tool search failed: daily limit of 100 searches exceeded",
    "tool search: 1000 requests per day are allowed",
    "tool train failed: model not found",
    "tool train failed: no such model: resnet",
    "tool car_search failed: unknown model 'Golf' of make VW",
    "tool shop failed: account is not active, please check your billing details",
    "tool sync: permission denied, network unreachable",
    "Sub-agent failed: The model `x` does not exist",
    "tool fetch failed: resource exhausted, quota exceeded",
    "tool mail: account locked after violation",
];

/// What says by itself that a key is wrong, a credit used up or a model gone.
const UNMISTAKABLE: &[(&str, Class)] = &[
    (
        r#"{"error":{"message":"x","code":"invalid_api_key"}}"#,
        InvalidKey,
    ),
    (
        r#"{"error":{"message":"Incorrect API key provided: sk-1. You can find your API key at https://platform.openai.com","type":"invalid_request_error"}}"#,
        InvalidKey,
    ),
    (
        r#"{"error":"Incorrect API key provided: xa***"}"#,
        InvalidKey,
    ),
    (
        r#"{"error":{"message":"API key not valid. Please pass a valid API key."}}"#,
        InvalidKey,
    ),
    (
        r#"[{"error":{"message":"m","details":[{"reason":"API_KEY_INVALID"}]}}]"#,
        InvalidKey,
    ),
    (
        r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
        InvalidKey,
    ),
    (
        r#"{"error":{"message":"x","code":"insufficient_quota"}}"#,
        QuotaExhausted,
    ),
    (
        r#"{"error":{"message":"x","type":"budget_exceeded"}}"#,
        QuotaExhausted,
    ),
    (
        r#"{"error":{"message":"Your credit balance is too low to access the Anthropic API."}}"#,
        QuotaExhausted,
    ),
    (
        r#"{"error":{"message":"x","code":"model_not_found"}}"#,
        ModelGone,
    ),
    (
        r#"{"error":{"message":"The model `x` does not exist or you do not have access to it."}}"#,
        ModelGone,
    ),
    (r#"{"error":"The model 'x/y' does not exist"}"#, ModelGone),
    (
        r#"{"error":"model 'x:7b' not found, try pulling it first"}"#,
        ModelGone,
    ),
    (r#"{"error":"model \"x\" not found"}"#, ModelGone),
    (
        r#"{"error":{"message":"Model x does not exist","param":"model"}}"#,
        ModelGone,
    ),
    // With a status it is known what the words mean.
    (
        r#"{"error":{"message":"missing api key","code":401}}"#,
        InvalidKey,
    ),
    (
        r#"{"error":{"message":"model x is not here","code":404}}"#,
        ModelGone,
    ),
    (
        r#"{"error":{"message":"Insufficient credits","code":402}}"#,
        QuotaExhausted,
    ),
];

fn kinds() -> impl Iterator<Item = &'static str> {
    PROVIDERS.iter().map(|row| row.id).chain([""])
}

#[test]
fn plain_words_take_no_key_and_no_model_away() {
    let mut wrong = Vec::new();
    assert!(PLAIN.len() >= 60, "{}", PLAIN.len());
    for (kind, words) in kinds().flat_map(|kind| PLAIN.iter().map(move |words| (kind, *words))) {
        let object = serde_json::json!({"error": {"message": words}}).to_string();
        let typed = serde_json::json!({"error": {"message": words, "type": "server_error", "code": null, "param": null}});
        let text = serde_json::json!({"error": words}).to_string();
        for body in [object, typed.to_string(), text] {
            for status in [None, Some(500)] {
                let class = inside(kind, status, &body).class;
                if matches!(class, InvalidKey | QuotaExhausted | ModelGone) {
                    wrong.push(format!("{class:?} {kind:?} {status:?} {body}"));
                }
            }
            let class = say(kind, 500, &body).class;
            if matches!(class, InvalidKey | QuotaExhausted | ModelGone) {
                wrong.push(format!("{class:?} {kind:?} 500 {body}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_unmistakable_needs_no_status() {
    for (body, class) in UNMISTAKABLE {
        assert_eq!(inside("", None, body).class, *class, "{body}");
    }
}

#[test]
fn once_content_has_come_the_key_was_right_and_the_model_was_there() {
    for (body, class) in UNMISTAKABLE {
        let late = inside("", None, body).after_content();
        let right = match class {
            QuotaExhausted => QuotaExhausted,
            _ => Transient,
        };
        assert_eq!(late.class, right, "{body}");
    }
}
