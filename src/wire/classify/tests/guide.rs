//! What `docs/upstreams.md` says of each upstream: its rows, what is done about it elsewhere, and texts that were seen.

use std::fmt::Write;

use super::super::tables::{COMMON, STATUSLESS};
use super::*;
use crate::wire::providers::PROVIDERS;

/// What is known of a kind of provider beside the rows of its table: where that is handled, and what it means.
const NOTES: &[(&str, &str)] = &[
    (
        "anthropic",
        "Reset headers are dates (`wire/ratelimit`). \"This request would exceed your organization's rate limit\" passes; \"Extra usage is required for long context requests\" does not.",
    ),
    (
        "azure_openai",
        "Its gateway answers with HTML pages of Azure Front Door: no answer of the API. Limits of -1 and 0 in its headers mean that nothing is known (`wire/ratelimit`).",
    ),
    (
        "bedrock",
        "The kind of error stands in `x-amzn-errortype` or `__type` (`wire/error_doc.rs`). \"Too many tokens, please wait\" is a rate, not a prompt.",
    ),
    (
        "cerebras",
        "An empty 400 or 413 is a prompt that does not fit. Daily allowances return at midnight UTC (`wire/ratelimit`).",
    ),
    (
        "cloudflare",
        "Codes stand in `errors[].code` (`wire/error_doc.rs`). The free allowance returns at midnight UTC (`wire/ratelimit`).",
    ),
    (
        "google",
        "Errors come as a list of one (`wire/error_doc.rs`). `quotaId` tells the day from the minute; the day ends at midnight in California, whatever `retryDelay` says (`wire/ratelimit`).",
    ),
    (
        "groq",
        "A 413 is about the tier's tokens per minute, not about the model's window: another upstream may take the request.",
    ),
    (
        "litellm",
        "It wraps the words of who it asked: \"litellm.NotFoundError: ... - 404 page not found\" is no answer of an API. `code` is the status as text.",
    ),
    (
        "llamacpp",
        "`n_ctx` of the error is the window (`wire/error_doc.rs`). It says 500 for what it was not started with: tools without `--jinja`, images without `--mmproj`.",
    ),
    (
        "lmstudio",
        "`error` is a text. A crashed or unloaded model is told with a 400 and comes back by itself.",
    ),
    (
        "minimax",
        "Errors come inside a 200, as `base_resp` (`wire/openai/response.rs`, `wire/error_doc.rs`).",
    ),
    (
        "ollama",
        "A prompt that does not fit may be cut in silence: set `context_window` to what the server was started with.",
    ),
    (
        "openrouter",
        "\"Provider returned error\" says nothing: `metadata.raw` has the words of the provider behind it, and what is no JSON there comes from something before that provider's API (`wire/error_doc.rs`). Its reset stands in `metadata.headers`. A 404 \"No endpoints found that ...\" is about what the request needs, \"No endpoints found for ...\" about the model.",
    ),
    ("qwen", "`insufficient_quota` is a rate here, and passes."),
    (
        "sglang",
        "Errors are flat (`object: error`), also inside streams.",
    ),
    (
        "tgi",
        "`error` is a text and `error_type` its kind (`wire/error_doc.rs`). A 424 is a failed generation, not the request's fault.",
    ),
    (
        "togetherai",
        "A 403 is a prompt that does not fit, unless its body is a page.",
    ),
    (
        "vllm",
        "Errors are flat (`object: error`) or wrapped, depending on its version; `code` is a number.",
    ),
];

/// Who says it, with which status, in which words, and what it means wherever it comes from.
const SEEN: &[(&str, u16, &str, Class)] = &[
    (
        "Azure",
        429,
        "The request exceeds the token limit for a single request.",
        TooLargeForLimit,
    ),
    (
        "Groq",
        413,
        "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 7000",
        TooLargeForLimit,
    ),
    (
        "Groq",
        429,
        "Rate limit reached on tokens per minute (TPM): Limit 6000, Used 5000, Requested 2000",
        RateLimited,
    ),
    (
        "KoboldCpp, nginx",
        413,
        "Request Entity Too Large",
        ContextOverflow,
    ),
    (
        "LiteLLM",
        400,
        "litellm.ContextWindowExceededError: ...",
        ContextOverflow,
    ),
    (
        "LiteLLM",
        400,
        "/chat/completions: Invalid model name passed in model=x. Call `/v1/models`",
        ModelGone,
    ),
    (
        "LiteLLM",
        429,
        "Budget has been exceeded! Current cost: 1.2, Max budget: 1.0",
        QuotaExhausted,
    ),
    (
        "LM Studio",
        400,
        "Trying to keep the first 15857 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens",
        ContextOverflow,
    ),
    (
        "LM Studio",
        400,
        "The model has crashed without additional information.",
        Transient,
    ),
    (
        "LMDeploy",
        400,
        "input length exceeds the session_len",
        ContextOverflow,
    ),
    (
        "Ollama",
        400,
        "\"gemma3\" does not support tools",
        Unsupported,
    ),
    (
        "OpenAI",
        404,
        "This is not a chat model and thus not supported in the v1/chat/completions endpoint.",
        NotOffered,
    ),
    (
        "OpenAI",
        429,
        "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 36055.",
        TooLargeForLimit,
    ),
    (
        "OpenRouter",
        402,
        "You requested up to 4096 tokens, but can only afford 512",
        TooLargeForLimit,
    ),
    (
        "OpenRouter",
        403,
        "Key limit exceeded (total limit).",
        QuotaExhausted,
    ),
    (
        "OpenRouter",
        404,
        "No endpoints found that support tool use.",
        Unsupported,
    ),
    ("OpenRouter", 404, "No endpoints found for x/y.", ModelGone),
    ("OpenRouter", 404, "Provider returned error", Transient),
    (
        "SGLang",
        400,
        "Requested token count exceeds the model's maximum context length of 4096 tokens.",
        ContextOverflow,
    ),
    (
        "SGLang",
        400,
        "The input (9000 tokens) is longer than the model's context length (4096 tokens).",
        ContextOverflow,
    ),
    (
        "SiliconFlow",
        400,
        "length of prompt_tokens (41000) must be less than max_seq_len (32768).",
        ContextOverflow,
    ),
    (
        "TabbyAPI",
        400,
        "Prompt length 9000 is greater than max_seq_len 8192",
        ContextOverflow,
    ),
    (
        "TensorRT-LLM, NIM",
        400,
        "Prompt length (9000) exceeds maximum input length (8192).",
        ContextOverflow,
    ),
    (
        "TGI",
        422,
        "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000",
        ContextOverflow,
    ),
    (
        "TGI",
        422,
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048.",
        ContextOverflow,
    ),
    (
        "Volcengine",
        400,
        "Input length 130000 exceeds the maximum length 98304",
        ContextOverflow,
    ),
    ("Zhipu", 400, "输入的 prompt 超长", ContextOverflow),
    (
        "llama-cpp-python",
        500,
        "Requested tokens (5000) exceed context window of 2048",
        ContextOverflow,
    ),
    (
        "llama.cpp",
        400,
        "the request exceeds the available context size. try increasing the context size",
        ContextOverflow,
    ),
    (
        "llama.cpp",
        500,
        "image input is not supported - hint: you may need to provide the mmproj",
        Unsupported,
    ),
    ("one-api, new-api", 403, "该令牌额度已用尽", QuotaExhausted),
    (
        "vLLM",
        400,
        "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set",
        Unsupported,
    ),
    (
        "vLLM",
        400,
        "The decoder prompt (length 10127) is longer than the maximum model length of 8192.",
        ContextOverflow,
    ),
    (
        "vLLM",
        400,
        "This model's maximum context length is 4096 tokens. However, you requested 9000 tokens",
        ContextOverflow,
    ),
    ("vLLM", 400, "x is not a multimodal model", Unsupported),
    ("FastAPI servers", 404, "Not Found", NotOffered),
];

/// What the document says after its beginning. `hosts`: kinds and their hosts.
pub(crate) fn sections(hosts: &[(&str, &str)]) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, hosts);
    out
}

fn write(out: &mut String, hosts: &[(&str, &str)]) -> std::fmt::Result {
    writeln!(out, "\n## Texts seen\n")?;
    writeln!(out, "Recognised under any provider's name.\n")?;
    writeln!(out, "| Who | Status | Says | Class |\n|---|---|---|---|")?;
    for (who, status, text, class) in SEEN {
        writeln!(
            out,
            "| {who} | {status} | {} | `{}` |",
            cell(text),
            class.as_str()
        )?;
    }
    writeln!(out, "\n## Every upstream\n")?;
    writeln!(
        out,
        "`src/wire/classify/tables/common.rs`, after the provider's own table.\n"
    )?;
    rows(out, COMMON.rules)?;
    writeln!(out, "\n## Errors without a status\n")?;
    writeln!(
        out,
        "Inside of a 2xx or a stream. Of the rows above, those with a status count as well, but where mere words would \
         take a key, a credit or a model away; of such only these do.\n"
    )?;
    rows(out, STATUSLESS.rules)?;
    let known = PROVIDERS.iter();
    let known = known.filter_map(|row| Some((row.id, row.errors?)));
    for (kind, table) in known {
        writeln!(out, "\n## {kind}\n")?;
        let at: Vec<String> = hosts
            .iter()
            .filter(|(of, _)| *of == kind)
            .map(|(_, host)| format!("`{host}`"))
            .collect();
        if !at.is_empty() {
            writeln!(out, "At {}.\n", at.join(", "))?;
        }
        if let Some((_, note)) = NOTES.iter().find(|(of, _)| *of == kind) {
            writeln!(out, "{note}\n")?;
        }
        rows(out, table.rules)?;
    }
    Ok(())
}

fn rows(out: &mut String, rules: &[super::super::tables::ErrorRule]) -> std::fmt::Result {
    writeln!(out, "| Status | Known by | Class |\n|---|---|---|")?;
    for rule in rules {
        let status: Vec<String> = rule.status.iter().map(u16::to_string).collect();
        let status = match status.is_empty() {
            true => "any".to_owned(),
            false => status.join(", "),
        };
        let facts: Vec<String> = rule
            .when
            .iter()
            .map(|(field, value)| format!("{} {}", name(*field), cell(value)))
            .collect();
        let facts = match facts.is_empty() {
            true => "the status alone".to_owned(),
            false => facts.join(" and "),
        };
        writeln!(out, "| {status} | {facts} | `{}` |", rule.class.as_str())?;
    }
    Ok(())
}

/// The name of a fact for readers.
fn name(field: ErrorField) -> &'static str {
    match field {
        ErrorField::Code => "`code`",
        ErrorField::Type => "`type`",
        ErrorField::Message => "words",
        ErrorField::Grpc => "`status`",
        ErrorField::Reason => "`reason`",
        ErrorField::QuotaId => "`quotaId` with",
        ErrorField::Detail => "`details.error_code`",
        ErrorField::Metadata => "`metadata.error_type`",
        ErrorField::Cloudflare => "`errors[].code`",
        ErrorField::BaseResp => "`base_resp.status_code`",
        ErrorField::Name => "`code` or `type`",
        ErrorField::Param => "`param`",
        ErrorField::Finish => "end reason",
        ErrorField::Header => "header",
        ErrorField::Body => "body",
    }
}

/// A text as code in a cell of a table. Two backticks let it hold single ones.
fn cell(text: &str) -> String {
    let text = text.replace('|', "\\|");
    match text.contains('`') {
        true => format!("`` {text} ``"),
        false => format!("`{text}`"),
    }
}

#[test]
fn every_text_that_the_guide_shows_means_what_it_says() {
    for (who, status, text, class) in SEEN {
        let body = serde_json::json!({"error": {"message": text}});
        assert_eq!(
            say("", *status, &body.to_string()).class,
            *class,
            "{who}: {text}"
        );
    }
    for (kind, _) in NOTES {
        assert!(knows(kind), "{kind}");
    }
}
