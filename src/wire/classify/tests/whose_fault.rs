//! Refusals as providers, routers, self-hosted servers and what stands before them send them: whose fault each one is.

use super::*;

/// Provider's kind, status, body, class. A status of 200 is an error inside a 2xx.
type Case = (&'static str, u16, &'static str, Class);

fn check(cases: &[Case]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(kind, status, body, class)| {
            let failure = match status {
                200 => inside(kind, None, body),
                _ => say(kind, *status, body),
            };
            (failure.class != *class).then(|| {
                format!(
                    "{:?} in place of {class:?}: {kind} {status} {body}",
                    failure.class
                )
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_request_larger_than_a_limit_is_about_the_request() {
    check(&[
        (
            "openai",
            429,
            r#"{"error":{"message":"Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 36055. The input or output tokens must be reduced in order to run successfully.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
            TooLargeForLimit,
        ),
        (
            "",
            429,
            r#"{"error":{"message":"Rate limit reached for x on tokens per min (TPM): Limit: 30,000 / min. Used: 0. Requested: 36,055.","code":"rate_limit_exceeded"}}"#,
            TooLargeForLimit,
        ),
        (
            "openai",
            429,
            r#"{"error":{"message":"Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 25000, Requested 6055. Please try again in 2.1s.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            RateLimited,
        ),
        (
            "openai",
            429,
            r#"{"error":{"message":"Rate limit reached for gpt-4o on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s.","type":"requests","code":"rate_limit_exceeded"}}"#,
            RateLimited,
        ),
        (
            "groq",
            429,
            r#"{"error":{"message":"Rate limit reached for model `x` in organization `o` service tier `on_demand` on tokens per day (TPD): Limit 100000, Used 99000, Requested 2000. Please try again in 7m.","code":"rate_limit_exceeded"}}"#,
            QuotaExhausted,
        ),
        (
            "groq",
            429,
            r#"{"error":{"message":"Rate limit reached for model `x` on tokens per day (TPD): Limit 100000, Used 0, Requested 120000.","code":"rate_limit_exceeded"}}"#,
            TooLargeForLimit,
        ),
        (
            "groq",
            413,
            r#"{"error":{"message":"Request too large for model `llama` in organization `org` service tier `on_demand` on tokens per minute (TPM): Limit 6000, Requested 7000, please reduce your message size and try again.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            TooLargeForLimit,
        ),
        (
            "mine",
            413,
            r#"{"error":{"message":"Request too large for model `llama` on tokens per minute (TPM): Limit 6000, Requested 7000","code":"rate_limit_exceeded"}}"#,
            TooLargeForLimit,
        ),
        (
            "openrouter",
            402,
            r#"{"error":{"message":"This request requires more credits, or fewer max_tokens. You requested up to 4096 tokens, but can only afford 512. To increase, visit https://openrouter.ai/settings/credits","code":402}}"#,
            TooLargeForLimit,
        ),
        (
            "",
            402,
            r#"{"error":{"message":"You requested up to 4096 tokens, but can only afford 512","code":402}}"#,
            TooLargeForLimit,
        ),
        (
            "",
            200,
            r#"{"error":{"message":"You requested up to 4096 tokens, but can only afford 512","code":402}}"#,
            TooLargeForLimit,
        ),
        (
            "openrouter",
            402,
            r#"{"error":{"message":"You requested up to 4096 tokens, but can only afford 0","code":402}}"#,
            QuotaExhausted,
        ),
        (
            "openrouter",
            402,
            r#"{"error":{"message":"Insufficient credits. Add more using https://openrouter.ai/settings/credits","code":402}}"#,
            QuotaExhausted,
        ),
        (
            "",
            200,
            r#"{"error":{"message":"Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 36055.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            TooLargeForLimit,
        ),
        (
            "github_models",
            413,
            r#"{"error":{"code":"tokens_limit_reached","message":"Request body too large for gpt-4o model. Max size: 8000 tokens."}}"#,
            TooLargeForLimit,
        ),
        (
            "",
            413,
            r#"{"error":{"code":"tokens_limit_reached","message":"Request body too large for gpt-4o model. Max size: 8000 tokens."}}"#,
            TooLargeForLimit,
        ),
        (
            "azure_openai",
            429,
            r#"{"error":{"code":"429","message":"The request exceeds the token limit for a single request."}}"#,
            TooLargeForLimit,
        ),
        (
            "",
            429,
            r#"{"error":{"message":"This request needs 9000 tokens, which exceeds the limit of 8000 tokens per minute"}}"#,
            TooLargeForLimit,
        ),
        (
            "",
            429,
            r#"{"error":{"message":"Requested 9000 tokens, but the limit is 8000 per minute"}}"#,
            TooLargeForLimit,
        ),
        (
            "",
            429,
            r#"{"error":{"message":"Requests this minute: 61, limit 60"}}"#,
            RateLimited,
        ),
        (
            "",
            429,
            r#"{"error":{"message":"Input tokens used: 36055, limit 30000 tokens per minute"}}"#,
            RateLimited,
        ),
        (
            "",
            429,
            r#"{"error":{"message":"Request was rejected: 36055 tokens already used of a maximum of 30000"}}"#,
            RateLimited,
        ),
        (
            "google",
            429,
            r#"{"error":{"code":429,"message":"Quota exceeded for metric: generate_content_free_tier_requests, limit: 0","status":"RESOURCE_EXHAUSTED"}}"#,
            QuotaExhausted,
        ),
        (
            "anthropic",
            429,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your organization's rate limit of 10,000 input tokens per minute"}}"#,
            RateLimited,
        ),
        (
            "anthropic",
            429,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"Extra usage is required for long context requests."}}"#,
            TooLargeForLimit,
        ),
        (
            "",
            400,
            r#"{"error":{"message":"This model's maximum context length is 4096 tokens. However, you requested 9000 tokens (8000 in the messages, 1000 in the completion).","code":"context_length_exceeded"}}"#,
            ContextOverflow,
        ),
    ]);
}

#[test]
fn what_an_upstream_lacks_sends_the_request_on_and_blames_nobody() {
    check(&[
        (
            "openrouter",
            404,
            r#"{"error":{"message":"No endpoints found that support tool use. To learn more about provider routing, visit: https://openrouter.ai/docs/guides/routing/provider-selection","code":404}}"#,
            Unsupported,
        ),
        (
            "",
            404,
            r#"{"error":{"message":"No endpoints found that support image input","code":404}}"#,
            Unsupported,
        ),
        (
            "openrouter",
            404,
            r#"{"error":{"message":"No endpoints found matching your data policy (Free model publication). Configure: https://openrouter.ai/settings/privacy","code":404}}"#,
            Unsupported,
        ),
        (
            "openrouter",
            404,
            r#"{"error":{"message":"No endpoints found that can handle the requested parameters.","code":404,"metadata":{"error_type":"not_found"}}}"#,
            Unsupported,
        ),
        (
            "openrouter",
            404,
            r#"{"error":{"message":"No allowed providers are available for the selected model.","code":404}}"#,
            Unsupported,
        ),
        (
            "openrouter",
            404,
            r#"{"error":{"message":"No endpoints found for x/y.","code":404}}"#,
            ModelGone,
        ),
        (
            "",
            200,
            r#"{"error":{"message":"No endpoints found that support tool use.","code":404}}"#,
            Unsupported,
        ),
        (
            "ollama",
            400,
            r#"{"error":{"message":"registry.ollama.ai/library/gemma3:4b does not support tools","type":"api_error","param":null,"code":null}}"#,
            Unsupported,
        ),
        (
            "",
            400,
            r#"{"error":"\"gemma3:4b\" does not support thinking"}"#,
            Unsupported,
        ),
        (
            "",
            400,
            r#"{"object":"error","message":"\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set","type":"BadRequestError","param":null,"code":400}"#,
            Unsupported,
        ),
        (
            "vllm",
            400,
            r#"{"object":"error","message":"meta/llama is not a multimodal model","type":"BadRequestError","code":400}"#,
            Unsupported,
        ),
        (
            "vllm",
            400,
            r#"{"error":{"message":"At most 0 image(s) may be provided in one prompt.","type":"BadRequestError","code":400}}"#,
            Unsupported,
        ),
        (
            "llamacpp",
            500,
            r#"{"error":{"code":500,"message":"image input is not supported - hint: if this is unexpected, you may need to provide the mmproj","type":"server_error"}}"#,
            Unsupported,
        ),
        (
            "",
            500,
            r#"{"error":{"code":500,"message":"tools param requires --jinja flag","type":"server_error"}}"#,
            Unsupported,
        ),
        (
            "",
            501,
            r#"{"error":{"code":501,"message":"This server does not support embeddings. Start it with `--embeddings`","type":"not_supported_error"}}"#,
            Unsupported,
        ),
        (
            "groq",
            400,
            r#"{"error":{"message":"`tool calling` is not supported with this model","type":"invalid_request_error"}}"#,
            Unsupported,
        ),
        (
            "groq",
            400,
            r#"{"error":{"message":"This model does not support response format `json_schema`. See supported models at https://console.groq.com/docs","type":"invalid_request_error"}}"#,
            Unsupported,
        ),
        (
            "deepseek",
            400,
            r#"{"error":{"message":"deepseek-reasoner does not support Function Calling","type":"invalid_request_error"}}"#,
            Unsupported,
        ),
        (
            "",
            422,
            r#"{"error":{"message":"Failed to deserialize the JSON body into the target type: messages[0]: unknown variant `image_url`, expected `text` at line 1","type":"invalid_request_error"}}"#,
            Unsupported,
        ),
        (
            "openai",
            400,
            r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#,
            Unsupported,
        ),
        (
            "openai",
            400,
            r#"{"error":{"message":"Unsupported value: 'temperature' does not support 0.2 with this model.","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}"#,
            Unsupported,
        ),
        (
            "openai",
            400,
            r#"{"error":{"message":"Invalid content type. image_url is only supported by certain models.","type":"invalid_request_error","param":"messages.[0].content.[1].type","code":null}}"#,
            Unsupported,
        ),
        (
            "openai",
            404,
            r#"{"error":{"message":"This is not a chat model and thus not supported in the v1/chat/completions endpoint. Did you mean to use v1/completions?","type":"invalid_request_error","param":"model","code":null}}"#,
            Unsupported,
        ),
        (
            "openai",
            404,
            r#"{"error":{"message":"This model is only supported in v1/responses and not in v1/chat/completions.","type":"invalid_request_error","param":"model","code":null}}"#,
            Unsupported,
        ),
        (
            "openai",
            404,
            r#"{"error":{"message":"Invalid URL (POST /v1/foo)","type":"invalid_request_error","param":null,"code":null}}"#,
            Unsupported,
        ),
        (
            "groq",
            404,
            r#"{"error":{"message":"Unknown request URL: POST /openai/v1/foo. Please check the URL for typos","type":"invalid_request_error","code":"unknown_url"}}"#,
            Unsupported,
        ),
        ("", 404, r#"{"detail":"Not Found"}"#, Unsupported),
        ("", 405, r#"{"detail":"Method Not Allowed"}"#, Unsupported),
        (
            "",
            400,
            r#"{"error":{"message":"max_tokens is too large: 32000. This model supports at most 16384 completion tokens, whereas you provided 32000.","type":"invalid_request_error","param":"max_tokens","code":"invalid_value"}}"#,
            Unsupported,
        ),
        (
            "",
            400,
            r#"{"error":{"message":"messages: at least one message is required","type":"invalid_request_error"}}"#,
            CallerFault,
        ),
        (
            "",
            400,
            r#"{"error":{"message":"'temperature' must be at most 2","type":"invalid_request_error","param":"temperature"}}"#,
            CallerFault,
        ),
    ]);
}

#[test]
fn a_spending_limit_of_a_key_is_its_quota() {
    check(&[
        (
            "openrouter",
            403,
            r#"{"error":{"message":"Key limit exceeded (total limit). Manage it using https://openrouter.ai/settings/keys","code":403}}"#,
            QuotaExhausted,
        ),
        (
            "",
            403,
            r#"{"error":{"message":"Key limit exceeded (daily limit). Manage it using https://openrouter.ai/settings/keys","code":403}}"#,
            QuotaExhausted,
        ),
        (
            "",
            200,
            r#"{"error":{"message":"Key limit exceeded (total limit).","code":403}}"#,
            QuotaExhausted,
        ),
        (
            "openrouter",
            403,
            r#"{"error":{"message":"openai/gpt-4o requires moderation on X. Your input was flagged for \"violence\".","code":403,"metadata":{"reasons":["violence"],"flagged_input":"..."}}}"#,
            ContentPolicy,
        ),
        (
            "",
            400,
            r#"{"error":{"message":"Budget has been exceeded! Current cost: 1.2, Max budget: 1.0","type":"budget_exceeded","param":null,"code":"400"}}"#,
            QuotaExhausted,
        ),
        (
            "",
            429,
            r#"{"error":{"message":"ExceededBudget: User=x over budget. Spend=1.2, Budget=1.0","type":"budget_exceeded","code":"429"}}"#,
            QuotaExhausted,
        ),
        (
            "groq",
            400,
            r#"{"error":{"message":"Organization has been restricted. Please reach out to support if you believe this was in error.","type":"invalid_request_error","code":"organization_restricted"}}"#,
            InvalidKey,
        ),
        (
            "openai",
            429,
            r#"{"error":{"message":"Your account is not active, please check your billing details on our website.","type":"billing_not_active","param":null,"code":"billing_not_active"}}"#,
            QuotaExhausted,
        ),
        (
            "",
            429,
            r#"{"error":{"message":"Your account is not active, please check your billing details on our website.","type":"billing_not_active","code":"billing_not_active"}}"#,
            QuotaExhausted,
        ),
        (
            "",
            403,
            r#"{"error":{"message":"Monthly spending limit reached for this project"}}"#,
            QuotaExhausted,
        ),
        (
            "",
            403,
            r#"{"error":{"message":"You have exceeded your monthly budget"}}"#,
            QuotaExhausted,
        ),
        (
            "",
            403,
            r#"{"error":{"message":"This workspace has reached its spend limit"}}"#,
            QuotaExhausted,
        ),
        (
            "",
            403,
            r#"{"error":{"message":"该令牌额度已用尽","type":"new_api_error"}}"#,
            QuotaExhausted,
        ),
        (
            "",
            403,
            r#"{"error":{"message":"user quota is not enough","code":"insufficient_user_quota","type":"new_api_error"}}"#,
            QuotaExhausted,
        ),
        (
            "",
            429,
            r#"{"error":{"message":"API key rate limit exceeded, retry in a moment"}}"#,
            RateLimited,
        ),
        (
            "openrouter",
            402,
            r#"{"error":{"message":"Busy","code":402,"metadata":{"error_type":"in_flight_budget_exhausted"}}}"#,
            RateLimited,
        ),
    ]);
}

#[test]
fn an_answer_that_is_no_apis_may_pass_and_blames_no_request_key_or_model() {
    check(&[
        ("", 404, "404 page not found\n", Transient),
        ("openai", 404, "default backend - 404", Transient),
        (
            "",
            404,
            "The deployment could not be found on Vercel.\n\nDEPLOYMENT_NOT_FOUND",
            Transient,
        ),
        ("", 404, "modal-http: invalid function call", Transient),
        ("", 404, "", Transient),
        (
            "openrouter",
            404,
            "<html><head><title>404 Not Found</title></head><body>nginx</body></html>",
            Transient,
        ),
        (
            "",
            404,
            "<!DOCTYPE html><html><head><title>ngrok - model x not found</title></head></html>",
            Transient,
        ),
        ("", 404, "Tunnel abc.ngrok.io not found", Transient),
        (
            "",
            403,
            "<html><head><title>403 Forbidden</title></head></html>",
            Transient,
        ),
        (
            "togetherai",
            403,
            "<html><head><title>Just a moment...</title></head></html>",
            Transient,
        ),
        ("openrouter", 403, "error code: 1010", Transient),
        ("openai", 403, "", Transient),
        (
            "azure_openai",
            403,
            "<h2>Our services aren't available right now</h2>",
            Transient,
        ),
        (
            "",
            401,
            "<html><head><title>401 Authorization Required</title></head></html>",
            Transient,
        ),
        ("", 401, "Unauthorized", InvalidKey),
        (
            "",
            402,
            "<html><title>Payment required</title></html>",
            Transient,
        ),
        (
            "",
            405,
            "<html><title>405 Not Allowed</title></html>",
            Transient,
        ),
        ("", 407, "Proxy Authentication Required", Transient),
        (
            "",
            407,
            r#"{"error":{"message":"proxy authentication required"}}"#,
            Transient,
        ),
        ("", 410, "<html><title>Gone</title></html>", Transient),
        ("", 421, "Misdirected Request", Transient),
        ("", 424, "Failed dependency", Transient),
        (
            "",
            424,
            r#"{"error":"Request failed during generation: Server error: CANCELLED","error_type":"generation"}"#,
            Transient,
        ),
        ("", 429, "Too Many Requests", RateLimited),
        (
            "",
            429,
            "<html><title>429 Too Many Requests</title></html>",
            RateLimited,
        ),
        (
            "",
            499,
            r#"{"error":{"message":"client closed request"}}"#,
            Transient,
        ),
        (
            "",
            502,
            "<html><title>502 Bad Gateway</title></html>",
            Transient,
        ),
        (
            "",
            503,
            "upstream connect error or disconnect/reset before headers",
            Overloaded,
        ),
        (
            "",
            400,
            "<html><title>400 Bad Request</title></html>",
            Unsupported,
        ),
        ("", 413, "Request Entity Too Large", ContextOverflow),
        (
            "",
            404,
            r#"{"error":{"message":"litellm.NotFoundError: NotFoundError: OpenAIException - 404 page not found. Received Model Group=ma","code":"404"}}"#,
            Transient,
        ),
        (
            "openrouter",
            404,
            r#"{"error":{"message":"Provider returned error","code":404,"metadata":{"raw":"404 page not found","provider_name":"X"}}}"#,
            Transient,
        ),
        (
            "",
            404,
            r#"{"error":{"message":"Provider returned error","code":404,"metadata":{"raw":"<html>no</html>","provider_name":"X"}}}"#,
            Transient,
        ),
        (
            "openrouter",
            403,
            r#"{"error":{"message":"Provider returned error","code":403,"metadata":{"raw":"error code: 1010","provider_name":"X"}}}"#,
            Transient,
        ),
        (
            "openrouter",
            404,
            r#"{"error":{"message":"Provider returned error","code":404}}"#,
            Transient,
        ),
        (
            "openrouter",
            200,
            r#"{"error":{"message":"Provider returned error","code":404,"metadata":{"raw":"404 page not found"}}}"#,
            Transient,
        ),
        (
            "openrouter",
            404,
            r#"{"error":{"message":"Provider returned error","code":404,"metadata":{"raw":"{\"error\":{\"message\":\"The model `x` does not exist\"}}"}}}"#,
            ModelGone,
        ),
        (
            "",
            404,
            r#"{"error":{"message":"There is nothing here"}}"#,
            CallerFault,
        ),
        (
            "",
            404,
            "model 'x' not found, try pulling it first: no such model",
            ModelGone,
        ),
    ]);
}

#[test]
fn a_models_name_that_a_router_or_server_does_not_know_is_about_the_model() {
    check(&[
        (
            "",
            400,
            r#"{"error":{"message":"/chat/completions: Invalid model name passed in model=ma. Call `/v1/models` to view available models for your key.","type":"None","param":"None","code":"400"}}"#,
            ModelGone,
        ),
        (
            "",
            400,
            r#"{"error":{"message":"litellm.BadRequestError: You passed in model=ma. There is no 'model_name' with this model string","type":null,"param":null,"code":"400"}}"#,
            ModelGone,
        ),
        (
            "",
            400,
            r#"{"error":{"message":"litellm.BadRequestError: You passed in model=ma. There are no healthy deployments for this model.","code":"400"}}"#,
            Overloaded,
        ),
        (
            "",
            401,
            r#"{"error":{"message":"key not allowed to access model. This key can only access models=['a']. Tried to access b","type":"key_model_access_denied","param":"model","code":"401"}}"#,
            ModelGone,
        ),
        (
            "",
            400,
            r#"{"error":{"message":"The requested model is not supported.","code":"model_not_supported","param":"model","type":"invalid_request_error"}}"#,
            ModelGone,
        ),
        (
            "",
            400,
            r#"{"error":{"message":"Model x is not available","param":"model","type":"invalid_request_error"}}"#,
            ModelGone,
        ),
        (
            "",
            200,
            r#"{"error":{"message":"/chat/completions: Invalid model name passed in model=ma.","code":"400"}}"#,
            ModelGone,
        ),
        (
            "",
            404,
            r#"{"object":"error","message":"The model `ma` does not exist.","type":"NotFoundError","param":null,"code":404}"#,
            ModelGone,
        ),
        (
            "lmstudio",
            400,
            r#"{"error":"The model has crashed without additional information. (Exit code: 6)"}"#,
            Transient,
        ),
        (
            "",
            429,
            r#"{"error":"Model is overloaded","error_type":"overloaded"}"#,
            Overloaded,
        ),
    ]);
}

/// Kind, status, body, and the window that it names.
const OVERFLOWS: &[(&str, u16, &str, Option<u64>)] = &[
    (
        "lmstudio",
        400,
        r#"{"error":"Trying to keep the first 15857 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough. Try to load the model with a larger context length, or provide a shorter input"}"#,
        Some(4096),
    ),
    (
        "",
        400,
        r#"{"error":"Trying to keep the first 15857 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough."}"#,
        Some(4096),
    ),
    (
        "",
        400,
        r#"{"error":"The number of tokens to keep from the initial prompt is greater than the context length."}"#,
        None,
    ),
    (
        "",
        400,
        r#"{"error":"Reached context length of 4096 tokens with model (arch: qwen2) that does not currently support mid-generation context overflow."}"#,
        Some(4096),
    ),
    (
        "vllm",
        400,
        r#"{"object":"error","message":"The decoder prompt (length 10127) is longer than the maximum model length of 8192. Make sure that `max_model_len` is no smaller than the number of text tokens.","type":"BadRequestError","param":null,"code":400}"#,
        Some(8192),
    ),
    (
        "",
        400,
        r#"{"object":"error","message":"The decoder prompt (length 10127) is longer than the maximum model length of 8192.","code":400}"#,
        Some(8192),
    ),
    (
        "",
        400,
        r#"{"error":{"message":"You passed 9001 input tokens and requested 100 output tokens. However, the model's context length is only 8192 tokens","type":"BadRequestError"}}"#,
        Some(8192),
    ),
    (
        "",
        400,
        r#"{"error":{"message":"The prompt (total length 5000) is too long to fit into the model (context length 4096).","type":"BadRequestError"}}"#,
        Some(4096),
    ),
    (
        "",
        400,
        r#"{"object":"error","message":"Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of 9000 tokens: 8000 tokens from the input messages and 1000 tokens for the completion.","type":"BadRequest","code":400}"#,
        Some(4096),
    ),
    (
        "",
        400,
        r#"{"object":"error","message":"The input (9000 tokens) is longer than the model's context length (4096 tokens).","code":400}"#,
        Some(4096),
    ),
    (
        "",
        400,
        r#"{"object":"error","message":"Input length (9000 tokens) exceeds the maximum allowed length (4096 tokens). Use a shorter input or enable --allow-auto-truncate.","code":400}"#,
        Some(4096),
    ),
    (
        "",
        422,
        r#"{"error":"Input validation error: `inputs` must have less than 1024 tokens. Given: 2000","error_type":"validation"}"#,
        Some(1024),
    ),
    (
        "",
        422,
        r#"{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 1500 `inputs` tokens and 1000 `max_new_tokens`","error_type":"validation"}"#,
        Some(2048),
    ),
    (
        "nvidia_nim",
        400,
        r#"{"object":"error","message":"Prompt length (9000) exceeds maximum input length (8192). Set log level to info and check ModelRunner logs","code":400}"#,
        Some(8192),
    ),
    (
        "",
        500,
        r#"{"error":{"message":"Prompt length (9000) exceeds maximum input length (8192).","type":"internal_error"}}"#,
        Some(8192),
    ),
    (
        "",
        400,
        r#"{"error":{"message":"litellm.ContextWindowExceededError: litellm.BadRequestError: ContextWindowExceededError: x - too big","type":null,"param":null,"code":"400"}}"#,
        None,
    ),
    (
        "",
        400,
        r#"{"error":{"code":400,"message":"the request exceeds the available context size. try increasing the context size or enable context shift","type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":4096}}"#,
        Some(4096),
    ),
    (
        "",
        200,
        r#"{"code":400,"message":"the request exceeds the available context size. try increasing the context size","type":"exceed_context_size_error"}"#,
        None,
    ),
    (
        "",
        500,
        r#"{"error":{"code":500,"message":"input is too large to process. increase the physical batch size","type":"server_error"}}"#,
        None,
    ),
    (
        "",
        500,
        r#"{"error":{"code":500,"message":"Context size has been exceeded.","type":"server_error"}}"#,
        None,
    ),
    (
        "",
        400,
        r#"{"error":{"message":"the input length exceeds the context length","type":"invalid_request_error"}}"#,
        None,
    ),
    (
        "",
        400,
        r#"{"error":{"message":"Requested tokens (5000) exceed context window of 2048","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
        Some(2048),
    ),
    (
        "",
        400,
        r#"{"error":{"message":"Prompt length 9000 is greater than max_seq_len 8192"}}"#,
        Some(8192),
    ),
    (
        "",
        400,
        r#"{"code":20015,"message":"length of prompt_tokens (41000) must be less than max_seq_len (32768).","data":null}"#,
        Some(32768),
    ),
    (
        "",
        400,
        r#"{"error":{"message":"Total tokens of image and text exceed max message tokens","type":"BadRequest"}}"#,
        None,
    ),
    (
        "",
        400,
        r#"{"error":{"message":"Input length 130000 exceeds the maximum length 98304"}}"#,
        None,
    ),
    (
        "vertex",
        400,
        r#"{"error":{"code":400,"message":"Unable to submit request because the input token count is 40000 but model only supports up to 32768.","status":"INVALID_ARGUMENT"}}"#,
        Some(32768),
    ),
    (
        "",
        400,
        r#"{"error":{"code":400,"message":"The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).","status":"INVALID_ARGUMENT"}}"#,
        Some(1_048_575),
    ),
    (
        "bedrock",
        400,
        r#"{"__type":"ValidationException","message":"Malformed input request: expected maxLength: 8192, actual: 9000, please reformat your input and try again."}"#,
        Some(8192),
    ),
    (
        "cohere",
        400,
        r#"{"message":"too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000."}"#,
        Some(4081),
    ),
    (
        "",
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 213462 tokens > 200000 maximum"}}"#,
        Some(200_000),
    ),
    (
        "anthropic",
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"input length and `max_tokens` exceed context limit: 199759 + 21333 > 200000, decrease input length or `max_tokens` and try again"}}"#,
        Some(200_000),
    ),
    (
        "",
        400,
        r#"{"error":{"message":"prompt token count of 130000 exceeds the limit of 128000","code":"model_max_prompt_tokens_exceeded"}}"#,
        Some(128_000),
    ),
    (
        "mistralai",
        400,
        r#"{"object":"error","message":"Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length","type":"invalid_request_error","code":"3051"}"#,
        Some(32768),
    ),
    (
        "",
        400,
        r#"{"error":{"message":"This model's maximum context length is 65,536 tokens. However, you requested 70000 tokens","type":"invalid_request_error"}}"#,
        Some(65536),
    ),
    (
        "",
        429,
        r#"{"error":{"message":"This model's maximum context length is 4096 tokens. However, your messages resulted in 9000 tokens."}}"#,
        Some(4096),
    ),
    (
        "",
        400,
        r#"{"error":{"message":"This model's maximum prompt length is 131072 but the request contains 137894 tokens."}}"#,
        Some(131_072),
    ),
    (
        "cerebras",
        400,
        r#"{"message":"Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192","type":"invalid_request_error","code":"context_length_exceeded"}"#,
        Some(8192),
    ),
    (
        "qwen",
        400,
        r#"{"error":{"message":"Range of input length should be [1, 30720]","type":"invalid_request_error"}}"#,
        Some(30720),
    ),
    (
        "moonshot",
        400,
        r#"{"error":{"message":"Invalid request: Your request exceeded model token limit: 8192","type":"invalid_request_error"}}"#,
        Some(8192),
    ),
    (
        "",
        400,
        r#"{"error":{"code":"1261","message":"输入的 prompt 超长"}}"#,
        None,
    ),
    (
        "",
        400,
        r#"{"error":{"message":"输入内容过长，超过模型最大上下文"}}"#,
        None,
    ),
];

#[test]
fn a_prompt_that_does_not_fit_is_known_in_every_servers_words() {
    let cases: Vec<Case> = OVERFLOWS
        .iter()
        .map(|(kind, status, body, _)| (*kind, *status, *body, ContextOverflow))
        .collect();
    check(&cases);
    for (kind, status, body, window) in OVERFLOWS {
        let failure = match status {
            200 => inside(kind, None, body),
            _ => say(kind, *status, body),
        };
        assert_eq!(failure.window, *window, "{body}");
    }
}

proptest! {
    #[test]
    fn two_numbers_decide_whether_a_request_is_too_large(limit in 1u64..1_000_000, asked in 1u64..1_000_000) {
        for words in [
            format!("Rate limit reached on tokens per min (TPM): Limit {limit}, Used 0, Requested {asked}."),
            format!("You requested up to {asked} tokens, but can only afford {limit}"),
        ] {
            let body = serde_json::json!({"error": {"message": words}}).to_string();
            let class = say("", 429, &body).class;
            prop_assert_eq!(class == TooLargeForLimit, asked > limit, "{} {:?}", body, class);
        }
    }

    #[test]
    fn any_numbers_are_read(text in "(limit|requested|afford|context length|max|tokens|>|[0-9,_]{1,40}| |\\.){0,30}", status in 400u16..530) {
        let body = serde_json::json!({"error": {"message": text}}).to_string();
        let failure = say("", status, &body);
        prop_assert!(failure.window.is_none_or(|window| window >= 64));
    }
}
