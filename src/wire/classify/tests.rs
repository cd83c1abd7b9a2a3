//! What known answers mean, and that nothing of a key is ever shown.

pub(crate) mod guide;
mod inband;
mod known;
mod lacking;
mod whose_fault;

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderValue;
use proptest::prelude::*;

use known::KNOWN;

use super::*;
use Class::*;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_790_000_000)
}

fn say(kind: &str, status: u16, body: &str) -> Failure {
    say_to(Operation::Chat, kind, status, body)
}

fn say_to(operation: Operation, kind: &str, status: u16, body: &str) -> Failure {
    let body = Bytes::copy_from_slice(body.as_bytes());
    classify(kind, operation, status, &HeaderMap::new(), &body, now())
}

fn inside(kind: &str, status: Option<u16>, body: &str) -> Failure {
    let body = Bytes::copy_from_slice(body.as_bytes());
    classify_inband(kind, &ErrorDoc { status, body }, &HeaderMap::new(), now())
}

#[test]
fn known_answers_have_their_class() {
    for (kind, status, body, class) in KNOWN {
        let failure = match status {
            200 => inside(kind, None, body),
            _ => say(kind, *status, body),
        };
        assert_eq!(failure.class, *class, "{kind} {status} {body}");
    }
}

#[test]
fn a_bare_status_means_what_the_architecture_says() {
    for (status, class) in [
        (302, Malformed),
        (400, CallerFault),
        (401, InvalidKey),
        (402, QuotaExhausted),
        (403, InvalidKey),
        (404, CallerFault),
        (405, CallerFault),
        (408, Transient),
        (409, CallerFault),
        (410, ModelGone),
        (413, CallerFault),
        (415, CallerFault),
        (418, CallerFault),
        (422, CallerFault),
        (425, Transient),
        (429, RateLimited),
        (498, Overloaded),
        (500, Transient),
        (502, Transient),
        (503, Overloaded),
        (504, Transient),
        (520, Transient),
        (524, Transient),
        (529, Overloaded),
        (999, Transient),
    ] {
        for kind in ["", "openai", "groq", "sambanova"] {
            let failure = say(kind, status, r#"{"error":{"message":"x"}}"#);
            assert_eq!(
                (failure.class, failure.status),
                (class, Some(status)),
                "{kind} {status}"
            );
        }
    }
}

#[test]
fn what_is_said_goes_before_the_status() {
    for (status, body, class) in [
        (
            403,
            r#"{"error":{"message":"Incorrect API key provided: sk-1"}}"#,
            InvalidKey,
        ),
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens. However, you requested 9000"}}"#,
            ContextOverflow,
        ),
        (
            413,
            "<html><title>413 Request Entity Too Large</title></html>",
            ContextOverflow,
        ),
        (
            400,
            r#"{"error":{"message":"'max_tokens' is too large: 99999. This model's maximum context length is 4096 tokens"}}"#,
            Unsupported,
        ),
        (
            400,
            r#"{"error":{"code":"string_above_max_length","message":"string too long, exceeds the limit of 10"}}"#,
            CallerFault,
        ),
        (
            429,
            r#"{"error":{"message":"Too many tokens, please wait"}}"#,
            RateLimited,
        ),
        (
            404,
            r#"{"error":{"message":"The model `x` does not exist"}}"#,
            ModelGone,
        ),
        (404, r#"{"error":{"code":"model_not_found"}}"#, ModelGone),
        (404, r#"{"detail":"Not Found"}"#, NotOffered),
        (
            404,
            "<html><title>Not found</title>See our models</html>",
            Transient,
        ),
        (404, "404 page not found", Transient),
        (
            400,
            r#"{"error":{"message":"This model does not support assistant message prefill."}}"#,
            Unsupported,
        ),
        (
            400,
            r#"{"error":{"message":"m","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
            ContentPolicy,
        ),
        (
            429,
            r#"{"error":{"message":"Rate limit reached on requests per day (RPD): Limit 200","code":"rate_limit_exceeded"}}"#,
            QuotaExhausted,
        ),
        (
            422,
            r#"{"detail":[{"loc":["body"],"msg":"field required","input":"prompt is too long"}]}"#,
            CallerFault,
        ),
    ] {
        assert_eq!(say("", status, body).class, class, "{body}");
    }
    assert_eq!(
        say(
            "openai",
            500,
            r#"{"error":{"message":"x","type":"server_error"}}"#
        )
        .class,
        Transient
    );
    assert_eq!(say("google", 429, r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details"}}"#).class, RateLimited);
}

#[test]
fn a_callers_own_words_in_a_400_blame_no_key_and_no_model() {
    let kinds = [
        "",
        "anthropic",
        "bedrock",
        "deepinfra",
        "deepseek",
        "featherless",
        "google",
        "huggingface",
        "lmstudio",
        "minimax",
        "mistralai",
        "openai",
        "openrouter",
        "scaleway",
        "togetherai",
        "xai",
    ];
    for words in [
        "invalid api key",
        "API key not valid",
        "incorrect api key provided",
        "insufficient balance",
        "credit balance is too low",
        "balance exhausted",
        "no such model",
        "invalid model",
        "unknown model",
        "model not found",
        "model not exist",
        "x is not a valid model ID",
        "failed to load",
        "model_not_supported",
        "model identifier is invalid",
        "cold",
    ] {
        for (kind, status) in kinds.iter().flat_map(|kind| [(kind, 400), (kind, 422)]) {
            let message = format!("Unrecognized request argument supplied: {words}");
            let body =
                serde_json::json!({"error": {"message": message, "type": "invalid_request_error"}});
            let class = say(kind, status, &body.to_string()).class;
            // Where another upstream may know the model it is asked, and its own answer goes back if none does.
            let blameless = matches!(class, CallerFault | Unsupported);
            assert!(blameless, "{kind} {status} {words}: {class:?}");
        }
    }
}

#[test]
fn what_a_provider_says_of_a_key_or_a_model_with_a_400_is_still_known() {
    for (kind, words, class) in [
        (
            "bedrock",
            "The provided model identifier is invalid.",
            ModelGone,
        ),
        (
            "huggingface",
            "The requested model 'x' is not supported by any provider you have enabled.",
            ModelGone,
        ),
        ("openrouter", "x/y is not a valid model ID", ModelGone),
        ("mistralai", "Invalid model: x", ModelGone),
        ("deepseek", "Model Not Exist", ModelGone),
        (
            "lmstudio",
            "No models loaded. Please load a model.",
            ModelGone,
        ),
        (
            "google",
            "User location is not supported for the API use.",
            InvalidKey,
        ),
        ("featherless", "The model x/y is cold", Overloaded),
    ] {
        let body =
            serde_json::json!({"error": {"message": words, "status": "FAILED_PRECONDITION"}});
        assert_eq!(
            say(kind, 400, &body.to_string()).class,
            class,
            "{kind} {words}"
        );
    }
}

#[test]
fn only_a_403_that_speaks_of_the_key_is_held_against_it() {
    for (kind, status, body, certain) in [
        ("", 403, "{}", false),
        ("openai", 403, r#"{"error":{"message":"No."}}"#, false),
        ("groq", 403, r#"{"error":{"message":"Forbidden"}}"#, false),
        ("", 403, r#"{"error":{"code":"invalid_api_key"}}"#, true),
        ("", 403, r#"{"error":{"type":"permission_error"}}"#, true),
        ("", 403, r#"{"error":{"message":"Invalid API key"}}"#, true),
        (
            "nvidia_nim",
            403,
            r#"{"detail":"Authorization failed"}"#,
            true,
        ),
        ("", 401, "", true),
        ("", 402, "", true),
        ("", 410, "", true),
    ] {
        assert_eq!(
            say(kind, status, body).certain,
            certain,
            "{kind} {status} {body}"
        );
    }
}

#[test]
fn an_error_in_a_stream_is_known_by_its_code_else_by_its_words() {
    for (status, body, class, said) in [
        (
            Some(429),
            r#"{"message":"slow down"}"#,
            RateLimited,
            Some(429),
        ),
        (
            None,
            r#"{"error":{"message":"Provider returned error","code":502}}"#,
            Transient,
            Some(502),
        ),
        (
            None,
            r#"{"code":"429","message":"busy"}"#,
            RateLimited,
            Some(429),
        ),
        (
            None,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            Overloaded,
            None,
        ),
        (
            None,
            r#"{"error":{"message":"Rate limit exceeded","type":"rate_limit_error"}}"#,
            RateLimited,
            None,
        ),
        (
            None,
            r#"{"response":{"error":{"code":"rate_limit_exceeded","message":"m"}}}"#,
            RateLimited,
            None,
        ),
        (
            None,
            r#"{"error":"prompt is too long"}"#,
            ContextOverflow,
            None,
        ),
        (
            None,
            r#"{"choices":[{"finish_reason":"error","error":{"code":503,"message":"m"}}]}"#,
            Overloaded,
            Some(503),
        ),
        (None, r#"{"error":"boom"}"#, Transient, None),
        (Some(200), "{}", Transient, None),
    ] {
        let failure = inside("", status, body);
        assert_eq!((failure.class, failure.status), (class, said), "{body}");
    }
}

#[test]
fn the_words_are_the_upstreams_and_short() {
    assert_eq!(
        say("", 500, r#"{"error":{"message":"a\n  b\tc"}}"#).detail,
        "a b c"
    );
    assert_eq!(
        say("", 502, "<html><body>Bad gateway</body></html>").detail,
        "HTTP 502 with an HTML body"
    );
    assert_eq!(say("", 502, " ").detail, "HTTP 502 with an empty body");
    assert_eq!(say("", 500, "{}").detail, "HTTP 500 without a message");
    assert_eq!(
        say("zai", 429, r#"{"error":{"code":"1302"}}"#).detail,
        "HTTP 429 with code 1302"
    );
    assert_eq!(say("", 500, &"ä ".repeat(5000)).detail.chars().count(), 300);
    let raw = r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"bad tool\"}}"}}}"#;
    assert_eq!(say("openrouter", 400, raw).detail, "bad tool");
    let model = "no meta-llama/llama-4-maverick-17b-128e-instruct here";
    assert_eq!(say("", 500, model).detail, model);
}

#[test]
fn nothing_that_looks_like_a_key_is_shown() {
    for key in [
        "sk-proj-abcDEF123",
        "gsk_abc123DEF",
        "sk-ant-api03-xyz",
        "AIzaSyA1234567",
        "xai-1234abcd",
        "0123456789abcdef0123456789abcdef",
        "QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "a8Kd-_kE93jfkLLs0-ee3kKdl2o",
    ] {
        for text in [
            format!("bad key {key} here"),
            format!("Incorrect API key provided: {key}."),
            format!("\"{key}\""),
        ] {
            for body in [
                text.clone(),
                serde_json::json!({"error": {"message": text}}).to_string(),
            ] {
                let detail = say("", 401, &body).detail;
                assert!(
                    !detail.contains(key) && detail.contains("[masked]"),
                    "{detail}"
                );
            }
        }
    }
    assert!(
        !say("", 401, "Incorrect API key provided: hunter2")
            .detail
            .contains("hunter2")
    );
}

#[test]
fn a_compressed_error_is_read() {
    use std::io::Write;
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zip.write_all(br#"{"error":{"code":"context_length_exceeded","message":"m"}}"#)
        .unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("content-encoding", HeaderValue::from_static("gzip"));
    let failure = classify(
        "",
        Operation::Chat,
        400,
        &headers,
        &Bytes::from(zip.finish().unwrap()),
        now(),
    );
    assert_eq!(
        (failure.class, failure.detail.as_str()),
        (ContextOverflow, "m")
    );
}

#[test]
fn hints_follow_the_class() {
    let wait = |kind: &str, status: u16, body: &str| {
        say(kind, status, body)
            .retry_after
            .map(|wait| wait.as_secs())
    };
    let google = r#"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"m","details":[{"violations":[{"quotaId":"XPerDayY"}]},{"retryDelay":"18s"}]}}]"#;
    assert!(wait("google", 429, google).unwrap() > 3600);
    assert_eq!(
        wait("google", 429, &google.replace("PerDay", "PerMinute")),
        Some(18)
    );
    assert_eq!(
        wait(
            "openai",
            429,
            r#"{"error":{"code":"insufficient_quota","message":"m"}}"#
        ),
        None
    );
    assert_eq!(
        wait(
            "groq",
            429,
            r#"{"error":{"message":"on tokens per day (TPD). Please try again in 7m12.3s.","code":"rate_limit_exceeded"}}"#
        ),
        Some(432)
    );
}

proptest! {
    #[test]
    fn anything_is_classified(kind in "(|groq|google|openrouter|minimax)", status in any::<u16>(), body in any::<Vec<u8>>()) {
        let failure = classify(&kind, Operation::Chat, status, &HeaderMap::new(), &Bytes::from(body), now());
        prop_assert!(failure.class != Success && failure.detail.chars().count() <= 300 && !failure.detail.contains('\n'));
    }

    #[test]
    fn any_text_is_shown_on_one_line(text in "\\PC{0,600}") {
        let body = serde_json::json!({"error": {"message": text}}).to_string();
        prop_assert!(say("", 400, &body).detail.chars().count() <= 300);
    }
}
