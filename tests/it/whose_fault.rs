//! Whose fault a refusal is: the request's, one key's, the model's name, or of something that stood before the API.
//! What a caller notices of it: who is asked next, and who is asked for the next request.

use crate::support::{Answer, Behaviour, Gateway, Match, ScriptedUpstream};

/// A chain of two upstreams; the first is a provider of this name, with these lines of its own.
async fn chain(first: &str, lines: &str) -> (ScriptedUpstream, ScriptedUpstream, Gateway) {
    let yaml = format!(
        "
llm:
  providers:
    - {{name: {first}, base_url: <a>, model: ma, api_keys: [ka1, ka2], key_rotation: sequential, retry: {{waits: [1ms]}}{lines}}}
    - {{name: b, base_url: <b>, model: mb, api_key: kb, context_window: 200000}}
  virtual:
    - {{name: v, upstreams: [{first}, b]}}
dispatch: {{await_cooldown: 0s}}
"
    );
    let (a, b) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    b.on(Match::any(), [Behaviour::says("from b")]);
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
    (a, b, gateway)
}

async fn ask(gateway: &Gateway, target: &str) -> Answer {
    gateway.chat(target).awaits("0").send().await
}

/// A refusal of `first` sends the request to `b`, and the next request goes to `first` as before, with its first key.
async fn goes_on(first: &str, lines: &str, refusal: Behaviour, asked: usize) {
    let (a, _b, gateway) = chain(first, lines).await;
    a.on(Match::any(), [refusal]);
    let answer = ask(&gateway, "v").await;
    assert_eq!(
        (answer.status, answer.says().as_str()),
        (200, "from b"),
        "{}",
        answer.text()
    );
    assert_eq!(a.count(), asked, "{first}: attempts");
    a.on(Match::any(), [Behaviour::says("from a")]);
    let answer = ask(&gateway, "v").await;
    assert_eq!(answer.says(), "from a", "{}", answer.text());
    assert_eq!(
        a.keys().last().map(String::as_str),
        Some("ka1"),
        "{first}: a key was blamed"
    );
}

/// The same refusal as a whole answer, as an error inside a 200, and as a stream's first event.
async fn goes_on_wherever_it_is_said(
    first: &str,
    lines: &str,
    status: u16,
    body: &str,
    asked: usize,
) {
    goes_on(first, lines, Behaviour::json(status, body), asked).await;
    goes_on(first, lines, Behaviour::json(200, body), asked).await;
}

const TOO_LARGE: &str = r#"{"error":{"message":"Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 36055. The input or output tokens must be reduced in order to run successfully.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;
const NO_TOOLS: &str = r#"{"error":{"message":"No endpoints found that support tool use. To learn more about provider routing, visit: https://openrouter.ai/docs/guides/routing/provider-selection","code":404}}"#;

#[tokio::test]
async fn a_request_larger_than_the_whole_limit_goes_on_and_cools_nobody() {
    goes_on_wherever_it_is_said("openai", "", 429, TOO_LARGE, 1).await;
    goes_on_wherever_it_is_said("mine", "", 429, TOO_LARGE, 1).await;
    let afford = r#"{"error":{"message":"This request requires more credits, or fewer max_tokens. You requested up to 4096 tokens, but can only afford 512","code":402}}"#;
    goes_on_wherever_it_is_said("openrouter", "", 402, afford, 1).await;
}

#[tokio::test]
async fn a_request_too_large_for_every_limit_is_told_so_and_not_to_wait() {
    let (a, b, gateway) = chain("openai", "").await;
    let afford = r#"{"error":{"message":"You requested up to 65536 tokens, but can only afford 512","code":402}}"#;
    for (status, body, told) in [
        (429, TOO_LARGE, 429),
        (402, afford, 402),
        (200, afford, 402),
    ] {
        a.on(Match::any(), [Behaviour::json(status, body)]);
        let answer = ask(&gateway, "openai").await;
        assert_eq!((answer.status, answer.text()), (told, body));
        assert_eq!(answer.header("retry-after"), "");
        assert_eq!(answer.header("x-should-retry"), "false");
    }
    // Beside a window that is too small: what asks for less is served there.
    let overflow = Behaviour::error(
        400,
        "context_length_exceeded",
        "maximum context length is 10 tokens",
    );
    a.on(Match::any(), [Behaviour::json(402, afford)]);
    b.on(Match::any(), [overflow]);
    let answer = ask(&gateway, "v").await;
    answer.assert_error(400, "context_length_exceeded");
    for part in ["credit left: 512", "10 tokens", "or add credit"] {
        assert!(answer.text().contains(part), "{}", answer.text());
    }
}

#[tokio::test]
async fn beside_a_window_that_is_too_small_a_limit_is_waited_for_and_a_lack_of_credit_is_not() {
    let overflow = Behaviour::error(
        400,
        "context_length_exceeded",
        "maximum context length is 10 tokens",
    );
    let credit =
        r#"{"error":{"message":"Insufficient credits. Add more at the settings page","code":402}}"#;
    let invalid = r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#;
    let limit = Behaviour::rate_limited().header("retry-after", "40");
    for (other, status, code) in [
        (limit.clone(), 429, "cooling_down"),
        (Behaviour::json(402, credit), 400, "context_length_exceeded"),
        (
            Behaviour::json(401, invalid),
            400,
            "context_length_exceeded",
        ),
    ] {
        for first_too_long in [true, false] {
            let (a, b, gateway) = chain("mine", "").await;
            let (long, out) = match first_too_long {
                true => (&a, &b),
                false => (&b, &a),
            };
            long.on(Match::any(), [overflow.clone()]);
            out.on(Match::any(), [other.clone()]);
            // The second time nobody is asked who is out.
            for _ in 0..2 {
                let answer = ask(&gateway, "v").await;
                answer.assert_error(status, code);
                let seconds: Option<u64> = answer.header("retry-after").parse().ok();
                assert_eq!(seconds.is_some(), status == 429, "{}", answer.text());
                assert!(seconds.is_none_or(|seconds| (30..=40).contains(&seconds)));
            }
        }
    }
}

#[tokio::test]
async fn a_rate_of_requests_is_no_size_of_one() {
    let rate = r#"{"error":{"message":"Your request rate of 61 per minute exceeds the limit of 60","code":"rate_limit_exceeded"}}"#;
    let (a, _b, gateway) = chain("mine", "").await;
    a.on(Match::any(), [Behaviour::json(429, rate)]);
    for _ in 0..2 {
        assert_eq!(ask(&gateway, "v").await.says(), "from b");
    }
    assert_eq!(a.keys(), ["ka1", "ka2"], "both keys rest");
}

#[tokio::test]
async fn a_route_that_an_upstream_lacks_leaves_its_model_to_chat() {
    for (status, kind, body) in [
        (404, "text/plain", "404 page not found\n"),
        (405, "text/plain", "Method Not Allowed"),
        (
            404,
            "text/html",
            "<!DOCTYPE html><html><body><pre>Cannot POST /v1/x</pre></body></html>",
        ),
        (
            200,
            "application/json",
            r#"{"error":"Unexpected endpoint or method. (POST /v1/responses)"}"#,
        ),
        (
            404,
            "application/json",
            r#"{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}"#,
        ),
        (
            404,
            "application/json",
            r#"{"error":{"message":"This is a chat model and not supported in the v1/completions endpoint. Did you mean to use v1/chat/completions?","type":"invalid_request_error","param":"model","code":null}}"#,
        ),
    ] {
        let (a, b, gateway) = chain("mine", "").await;
        a.on(Match::any(), [Behaviour::body(status, kind, body)]);
        b.on(
            Match::any(),
            [Behaviour::json(
                200,
                r#"{"object":"list","data":[{"embedding":[1]}],"model":"m"}"#,
            )],
        );
        for _ in 0..4 {
            let asked = r#"{"model":"v","input":"x"}"#;
            let answer = gateway.post("/v1/embeddings", asked).send().await;
            assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        }
        assert_eq!(a.count(), 1, "{body}");
        let lone = gateway.post("/v1/embeddings", r#"{"model":"mine","input":"x"}"#);
        let lone = lone.send().await;
        let told = if status == 200 { 400 } else { status };
        assert_eq!((lone.status, lone.text()), (told, body));
        a.on(Match::any(), [Behaviour::says("from a")]);
        assert_eq!(ask(&gateway, "v").await.says(), "from a", "{body}");
        assert_eq!(a.keys().last().map(String::as_str), Some("ka1"), "{body}");
    }
}

#[tokio::test]
async fn words_about_a_model_or_a_key_in_a_stream_take_neither_away() {
    let event = |error: &str| format!("data: {{\"error\":{error}}}\n\n");
    let overloaded = event(
        r#"{"message":"The model is currently overloaded, please try again later","type":"server_error"}"#,
    );
    let died = event(r#"{"message":"Error while generating: model engine died"}"#);
    let tool = event(r#"{"message":"tool weather failed: missing api key"}"#);
    let late = event(r#"{"message":"Incorrect API key provided: k","code":"invalid_api_key"}"#);
    let chunk = crate::support::behaviour::chunk("one ");
    for events in [
        vec![overloaded],
        vec![chunk.clone(), died],
        vec![chunk.clone(), tool],
        vec![chunk, late],
    ] {
        let (a, _b, gateway) = chain("mine", "").await;
        a.on(Match::any(), [Behaviour::events(events.clone())]);
        gateway.chat_stream("mine").stream().await.text().await;
        a.on(Match::any(), [Behaviour::says("from a")]);
        assert_eq!(ask(&gateway, "v").await.says(), "from a", "{events:?}");
        assert_eq!(
            a.keys().last().map(String::as_str),
            Some("ka1"),
            "{events:?}"
        );
    }
}

#[tokio::test]
async fn a_request_that_needs_what_an_upstream_lacks_goes_on_and_takes_no_model_away() {
    goes_on_wherever_it_is_said("openrouter", "", 404, NO_TOOLS, 1).await;
    let tools = r#"{"error":{"message":"registry.ollama.ai/library/gemma3 does not support tools","type":"api_error"}}"#;
    goes_on_wherever_it_is_said("mine", "", 400, tools, 1).await;
    goes_on(
        "mine",
        "",
        Behaviour::json(404, r#"{"detail":"Not Found"}"#),
        1,
    )
    .await;
}

#[tokio::test]
async fn what_no_upstream_has_is_told_in_the_upstreams_own_words() {
    let (a, b, gateway) = chain("openrouter", "").await;
    a.on(Match::any(), [Behaviour::json(404, NO_TOOLS)]);
    let answer = ask(&gateway, "openrouter").await;
    assert_eq!((answer.status, answer.text()), (404, NO_TOOLS));
    // The other upstream's window is too small for it: what the first one lacks is still the best that can be said.
    let overflow = Behaviour::error(
        400,
        "context_length_exceeded",
        "maximum context length is 10 tokens",
    );
    b.on(Match::any(), [overflow]);
    let answer = ask(&gateway, "v").await;
    assert_eq!((answer.status, answer.text()), (404, NO_TOOLS));
    assert_eq!(answer.header("x-pointsman-upstream"), "openrouter:ma");
    // The other one may serve later.
    b.on(Match::any(), [Behaviour::rate_limited()]);
    ask(&gateway, "v").await.assert_error(429, "cooling_down");
}

#[tokio::test]
async fn a_spending_limit_of_one_key_takes_that_key_out_alone() {
    let limit = r#"{"error":{"message":"Key limit exceeded (total limit). Manage it using https://openrouter.ai/settings/keys","code":403}}"#;
    for (name, status) in [("openrouter", 403), ("mine", 403), ("mine", 200)] {
        let (a, _b, gateway) = chain(name, "").await;
        a.on(Match::key("ka1"), [Behaviour::json(status, limit)]);
        a.on(Match::key("ka2"), [Behaviour::says("from a")]);
        for _ in 0..2 {
            assert_eq!(ask(&gateway, "v").await.says(), "from a", "{name} {status}");
        }
        assert_eq!(a.keys(), ["ka1", "ka2", "ka2"], "{name} {status}");
        a.on(Match::key("ka2"), [Behaviour::json(status, limit)]);
        assert_eq!(ask(&gateway, "v").await.says(), "from b", "{name} {status}");
    }
}

#[tokio::test]
async fn a_model_that_a_router_does_not_know_is_asked_for_elsewhere() {
    let body = r#"{"error":{"message":"/chat/completions: Invalid model name passed in model=ma. Call `/v1/models` to view available models for your key.","type":"None","param":"None","code":"400"}}"#;
    let (a, _b, gateway) = chain("a", "").await;
    a.on(Match::any(), [Behaviour::json(400, body)]);
    for _ in 0..2 {
        assert_eq!(ask(&gateway, "v").await.says(), "from b");
    }
    assert_eq!(a.count(), 1, "the model is gone there");
}

#[tokio::test]
async fn what_stands_before_an_api_blames_no_model_and_no_key() {
    for refusal in [
        Behaviour::body(404, "text/plain; charset=utf-8", "404 page not found\n"),
        Behaviour::body(
            404,
            "text/html",
            "<html><head><title>404: this model was not found</title></head></html>",
        ),
        Behaviour::body(
            403,
            "text/html",
            "<html><head><title>403 Forbidden</title></head></html>",
        ),
        Behaviour::body(407, "text/plain", "Proxy Authentication Required"),
        Behaviour::json(
            424,
            r#"{"error":"Request failed during generation","error_type":"generation"}"#,
        ),
    ] {
        goes_on("a", "", refusal, 2).await;
    }
    let quoted = r#"{"error":{"message":"Provider returned error","code":404,"metadata":{"raw":"404 page not found","provider_name":"X"}}}"#;
    goes_on_wherever_it_is_said("openrouter", "", 404, quoted, 2).await;
}

#[tokio::test]
async fn a_prompt_too_long_for_a_server_goes_to_a_larger_window() {
    let small = ", context_window: 4096";
    let lmstudio = r#"{"error":"Trying to keep the first 15857 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough. Try to load the model with a larger context length, or provide a shorter input"}"#;
    let vllm = r#"{"object":"error","message":"The decoder prompt (length 10127) is longer than the maximum model length of 8192. Make sure that `max_model_len` is no smaller than the number of text tokens.","type":"BadRequestError","param":null,"code":400}"#;
    let tgi = r#"{"error":"Input validation error: `inputs` must have less than 1024 tokens. Given: 2000","error_type":"validation"}"#;
    for name in ["lmstudio", "mine"] {
        goes_on(name, small, Behaviour::json(400, lmstudio), 1).await;
        goes_on(name, small, Behaviour::json(400, vllm), 1).await;
    }
    goes_on("vllm", "", Behaviour::json(400, vllm), 1).await;
    goes_on("mine", "", Behaviour::json(422, tgi), 1).await;
}

#[tokio::test]
async fn the_same_model_with_a_larger_or_unknown_window_elsewhere_is_asked() {
    let body = r#"{"error":{"message":"This model's maximum context length is 4096 tokens. However, you requested 9000 tokens. Please reduce the length of the messages.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
    for (a_window, b_window, asked) in [
        (", context_window: 4096", ", context_window: 131072", true),
        (", context_window: 4096", "", true),
        ("", ", context_window: 8192", true),
        // The refusal itself named the window.
        ("", ", context_window: 4096", false),
        ("", "", true),
    ] {
        let yaml = format!(
            "
llm:
  providers:
    - {{name: a, base_url: <a>, model: llama-3.3-70b, api_key: ka{a_window}}}
    - {{name: b, base_url: <b>, model: llama-3.3-70b, api_key: kb{b_window}}}
  virtual:
    - {{name: v, upstreams: [a, b]}}
"
        );
        let (a, b) = (
            ScriptedUpstream::start().await,
            ScriptedUpstream::start().await,
        );
        a.on(Match::any(), [Behaviour::json(400, body)]);
        b.on(Match::any(), [Behaviour::says("from b")]);
        let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
        let answer = ask(&gateway, "v").await;
        match asked {
            true => assert_eq!(answer.says(), "from b", "{}", answer.text()),
            false => answer.assert_error(400, "context_length_exceeded"),
        }
        assert_eq!(b.count(), usize::from(asked));
    }
}

#[tokio::test]
async fn what_a_stream_says_first_is_about_the_request_as_well() {
    for event in [
        TOO_LARGE,
        NO_TOOLS,
        r#"{"error":{"code":400,"message":"the request exceeds the available context size. try increasing the context size","type":"exceed_context_size_error"}}"#,
    ] {
        let (a, b, gateway) = chain("mine", "").await;
        a.on(
            Match::any(),
            [Behaviour::events([format!("data: {event}\n\n")])],
        );
        b.on(Match::any(), [Behaviour::streams(&["from ", "b"])]);
        for _ in 0..4 {
            let text = gateway.chat_stream("v").stream().await.text().await;
            assert!(text.contains("b\""), "{text}");
        }
        assert_eq!(a.count(), 4, "a breaker or a cooldown kept requests away");
        assert!(a.keys().iter().all(|key| key == "ka1"), "a key was blamed");
    }
}
