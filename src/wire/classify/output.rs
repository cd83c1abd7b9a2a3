//! What a refusal says that the same upstream takes: how much output the model gives at most, or how much fits beside the
//! prompt, and that it takes the request without what is sealed.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::size::{compile, number};
use crate::domain::outcome::Class;
use crate::domain::remedy::{Remedy, least_output};
use crate::wire::error_doc::{Doc, ErrorField};

/// The most output of a model; `N` stands for a number, `M` for the field of the limit.
static MOST: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    const FIELD: &str =
        r"max(?:imum)?[_ ]?(?:\w{1,12}[_ ])?(?:output[_ ]?|completion[_ ]?|new[_ ]?)?tokens";
    let patterns = [
        // Anthropic: "max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens".
        r"\bM\b[^\d]{0,12}N\s*>\s*(?P<limit>N)\b.{0,60}\boutput\b",
        // Bedrock: "The maximum tokens you requested exceeds the model limit of 10000".
        r"\btokens you requested exceeds? the model limit of\s*(?P<limit>N)",
        // Gemini: "maxOutputTokens value of 9000 but the supported range is from 1 (inclusive) to 8193 (exclusive)".
        r"\bM\b.{0,80}\brange is from N \(inclusive\) to (?P<above>N) \(exclusive\)",
        r"\bM\b.{0,80}\brange is from N \(inclusive\) to (?P<limit>N) \(inclusive\)",
        // OpenAI: "max_tokens is too large: 32000. This model supports at most 8192 completion tokens".
        r"\bsupports at most\s*(?P<limit>N) (?:completion |output |new )?tokens",
        // DeepSeek, Qwen, Zhipu: "the valid range of max_tokens is [1, 8192]".
        r"\bM\b.{0,40}\[\s*N\s*,\s*(?P<limit>N)\s*\]",
        // Groq, Cohere, pydantic: "`max_tokens` must be less than or equal to `8192`".
        r"\bM\b[^\d]{0,40}?(?:\b(?:less than or equal to|at most|not exceed|not be (?:greater|more|larger) than|no more than|cannot exceed|up to)|<=|=<)[^\d\w]{0,4}(?P<limit>N)",
        r"\bM\b[^\d]{0,40}?\b(?:less than|below|smaller than)[^\d\w]{0,4}(?P<above>N)",
        // OpenAI of any integer: "Invalid 'max_output_tokens': … Expected a value <= 32768, but got 100000 instead".
        r"\bM\b[^\d]{0,80}?\bexpected a value (?:<=|less than or equal to)\s*(?P<limit>N)",
        // "max_tokens (100000) exceeds the maximum of 65536", "max_tokens of 9000 is larger than the model's limit 8192".
        r"\bM\b[^\d]{0,24}(?:N[^\d]{0,12})?\b(?:exceeds?|exceeded|larger than|greater than|above|over|more than|too (?:large|high|big|many))\b[^\d]{0,60}?\b(?:limit|maximum|max|most|allowed)\b[^\d]{0,40}(?P<limit>N)",
        // "The maximum number of output tokens is 4096".
        r"\bmax(?:imum)? (?:allowed )?(?:number of )?(?:output|completion|new) tokens\b[^\d]{0,40}(?P<limit>N)",
    ];
    let patterns = patterns.iter().map(|text| text.replace('M', FIELD));
    patterns.filter_map(|text| compile(&text)).collect()
});

/// What says that the numbers are of the window, and not of the output alone.
static OF_THE_WINDOW: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(
        r"\b(?:context (?:length|limit|size|window)|context_length|input length|sum of|inputs|prompt tokens|input tokens|per[ -](?:minute|day|hour))\b|\btokens\b[^\w]{0,3}\+",
    )
});

/// A window with what of it the prompt takes.
static BESIDE_THE_PROMPT: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = [
        // Anthropic: "exceed context limit: 188240 + 21333 > 200000".
        r"\bcontext limit: (?P<prompt>N) \+ N > (?P<window>N)",
        // OpenAI, OpenRouter, vLLM: "maximum context length is 8192 tokens. However, you requested 9000 tokens (1000 in the
        // messages, 8000 in the completion)".
        r"\bmaximum context length is (?P<window>N) tokens\b.{0,60}?\brequested (?:about )?(?P<sum>N) tokens \(.{0,120}?(?P<output>N) in the (?:completion|output)",
        // vLLM: "maximum context length is 4096 tokens and your request has 1000 input tokens".
        r"\bmaximum context length is (?P<window>N) tokens\b.{0,80}?\b(?:your request has|your prompt contains|the prompt contains)(?: at least)? (?P<prompt>N) (?:input |prompt )?tokens",
        // TGI: "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 3000 `inputs` tokens".
        r"\bmax_new_tokens\b[^\d]{0,20}<= (?P<window>N)\b[^\d]{0,12}given: (?P<prompt>N)",
    ];
    patterns.iter().filter_map(|text| compile(text)).collect()
});

/// What says that sealed content cannot be opened.
static SEALED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compile(
        r"\bencrypted[ _]content\b.{0,160}?\b(?:could not be|can(?:not|'t) be|failed to|unable to|invalid)\b",
    )
});

/// The most output that the model gives, where the refusal names it and is about nothing else.
pub(super) fn limit(status: Option<u16>, doc: &Doc) -> Option<u64> {
    if !matches!(status, None | Some(400 | 422)) {
        return None;
    }
    let text = doc.text().as_bytes();
    if OF_THE_WINDOW.as_ref().is_none_or(|of| of.is_match(text)) {
        return None;
    }
    let found = MOST.iter().find_map(|regex| {
        let found = regex.captures(text)?;
        let below = || number(&found, "above").map(|above| above.saturating_sub(1));
        number(&found, "limit").or_else(below)
    });
    found.filter(|limit| *limit > 0)
}

/// What fits beside the prompt, where the refusal of a prompt that is too long names that and it is worth asking for.
fn room(doc: &Doc) -> Option<u64> {
    let text = doc.text().as_bytes();
    let (window, prompt) = BESIDE_THE_PROMPT.iter().find_map(|regex| {
        let found = regex.captures(text)?;
        let told = |name| number(&found, name);
        let prompt = told("prompt").or_else(|| told("sum")?.checked_sub(told("output")?));
        Some((number(&found, "window")?, prompt?))
    })?;
    let room = window.saturating_sub(prompt);
    (room >= least_output(window)).then_some(room)
}

/// What the upstream takes instead, if the refusal says that.
pub(super) fn remedy(class: Class, status: Option<u16>, doc: &Doc) -> Option<Remedy> {
    let less = |most, of_model| Remedy::LessOutput { most, of_model };
    match class {
        Class::Unsupported => limit(status, doc).map(|most| less(most, true)),
        Class::ContextOverflow => room(doc).map(|most| less(most, false)),
        Class::CallerFault => {
            let code = doc.says(ErrorField::Code, "invalid_encrypted_content");
            let words = || {
                let text = doc.text().as_bytes();
                SEALED.as_ref().is_some_and(|sealed| sealed.is_match(text))
            };
            (code || words()).then_some(Remedy::Unsealed)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    fn doc(message: &str) -> Doc {
        let body = serde_json::json!({"error": {"message": message}}).to_string();
        Doc::read(&HeaderMap::new(), &Bytes::from(body))
    }

    #[test]
    fn every_pattern_compiles() {
        assert_eq!((MOST.len(), BESIDE_THE_PROMPT.len()), (11, 4));
        assert!(OF_THE_WINDOW.is_some() && SEALED.is_some());
    }

    #[test]
    fn the_most_output_is_read_from_every_vendors_words() {
        for (words, most) in [
            (
                "The maximum tokens you requested exceeds the model limit of 10000. Try again with a maximum tokens value that is lower than 10000.",
                10_000,
            ),
            (
                "max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens for claude-3-5-sonnet-20241022",
                8192,
            ),
            (
                "Unable to submit request because it has a maxOutputTokens value of 10000 but the supported range is from 1 (inclusive) to 8193 (exclusive). Update the value and try again.",
                8192,
            ),
            (
                "max_tokens is too large: 32000. This model supports at most 8,192 completion tokens, whereas you provided 32000.",
                8192,
            ),
            (
                "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
                8192,
            ),
            ("Range of max_tokens should be [1, 16384]", 16_384),
            (
                "`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less than the `context_window` for this model",
                8192,
            ),
            (
                "too many tokens: max tokens must be less than or equal to 4096, the maximum output length for this model - received 9999.",
                4096,
            ),
            (
                "Invalid 'max_output_tokens': integer above maximum value. Expected a value <= 32768, but got 100000 instead.",
                32_768,
            ),
            ("max_tokens (100000) exceeds the maximum of 65536", 65_536),
            (
                "max_completion_tokens of 9000 is larger than the model's limit of 4096",
                4096,
            ),
            (
                "max_tokens: Input should be less than or equal to 8192",
                8192,
            ),
            ("The maximum number of output tokens is 4096", 4096),
            ("max_tokens must be less than 4097", 4096),
        ] {
            assert_eq!(limit(Some(400), &doc(words)), Some(most), "{words}");
        }
    }

    #[test]
    fn other_numbers_are_no_limit_of_the_output() {
        for words in [
            "'max_tokens' is too large: 99999. This model's maximum context length is 4096 tokens",
            "Requests with max_tokens > 4096 must have stream=true",
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 1 instead.",
            "max_tokens must be greater than thinking.budget_tokens",
            "`temperature` must be less than or equal to 2",
            "Rate limit reached: max_tokens 9000 exceeds the limit of 8000 tokens per minute",
            "prompt is too long: 213462 tokens > 200000 maximum",
        ] {
            assert_eq!(limit(Some(400), &doc(words)), None, "{words}");
        }
    }

    #[test]
    fn what_fits_beside_the_prompt_is_the_windows_rest() {
        for (words, most) in [
            (
                "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or `max_tokens` and try again",
                Some(11_760),
            ),
            (
                "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (1000 in the messages, 8000 in the completion).",
                Some(7192),
            ),
            (
                "This endpoint's maximum context length is 131072 tokens. However, you requested about 204800 tokens (4800 of text input, 200000 in the output).",
                Some(126_272),
            ),
            (
                "'max_tokens' is too large: 4096. This model's maximum context length is 4096 tokens and your request has 1000 input tokens (4096 > 4096 - 1000).",
                Some(3096),
            ),
            (
                "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 3000 `inputs` tokens and 2000 `max_new_tokens`",
                Some(1096),
            ),
            (
                "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (8100 in the messages, 900 in the completion).",
                None,
            ),
            (
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
                None,
            ),
        ] {
            let remedy = remedy(Class::ContextOverflow, Some(400), &doc(words));
            let less = most.map(|most| Remedy::LessOutput {
                most,
                of_model: false,
            });
            assert_eq!(remedy, less, "{words}");
        }
    }

    #[test]
    fn content_that_cannot_be_opened_can_be_left_out() {
        let body = r#"{"error":{"message":"x","code":"invalid_encrypted_content"}}"#;
        let coded = Doc::read(&HeaderMap::new(), &Bytes::from_static(body.as_bytes()));
        for doc in [
            coded,
            doc(
                "The encrypted content gAAA for item rs_1 could not be verified. Reason: Encrypted content could not be decrypted or parsed.",
            ),
        ] {
            let remedy = remedy(Class::CallerFault, Some(400), &doc);
            assert_eq!(remedy, Some(Remedy::Unsealed));
        }
    }
}
