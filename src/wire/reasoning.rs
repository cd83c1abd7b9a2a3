//! Whether an answer may begin with silence, because the model reasons first without any output.
//!
//! Requests and answers do not show that beforehand, so it goes by names: the models that reason by default,
//! as their makers document them. A model that is listed here by mistake loses an earlier failover; one
//! that is missing would lose answers. So families that reason at times are listed. Claude reasons only when the request
//! asks for it, and is not.

use serde_json::{Map, Value};

use super::request::RequestDoc;

/// Parts of names, one after the other, as they occur between `-`, `_`, `.`, `:`, `@` and `/`.
const REASON: &[&[&str]] = &[
    // OpenAI, and the open weights.
    &["o1"],
    &["o3"],
    &["o4"],
    &["gpt", "5"],
    &["gpt5"],
    &["gpt", "oss"],
    &["codex"],
    &["deep", "research"],
    // What says so itself: deepseek-reasoner, phi-4-reasoning, kimi-k2-thinking.
    &["reasoner"],
    &["reasoning"],
    &["thinking"],
    &["thinker"],
    // DeepSeek and its distillations, Qwen, Mistral, Z.ai, MiniMax, Moonshot.
    &["r1"],
    &["qwq"],
    &["qvq"],
    &["qwen3"],
    &["magistral"],
    &["z1"],
    &["glm", "4", "5"],
    &["glm", "4", "6"],
    &["glm", "4", "7"],
    &["glm", "5"],
    &["minimax", "m1"],
    &["minimax", "m2"],
    &["kimi", "k2", "5"],
    // Google, xAI, NVIDIA, LG.
    &["gemini", "2", "5", "pro"],
    &["gemini", "2", "5", "flash"],
    &["gemini", "3"],
    &["grok", "3", "mini"],
    &["grok", "4"],
    &["grok", "code"],
    &["nemotron"],
    &["exaone", "deep"],
];

/// The same of names that say that they do not, and of members of those families that do not.
const DO_NOT: &[&[&str]] = &[
    &["non", "reasoning"],
    &["non", "thinking"],
    &["no", "thinking"],
    &["no", "think"],
    &["nothink"],
    &["instruct"],
    &["gpt", "5", "chat"],
    &["chat", "latest"],
    &["gemini", "2", "5", "flash", "lite"],
    &["qwen3", "coder"],
];

/// Fields of requests that ask for reasoning, in the dialects of OpenAI, OpenRouter, Qwen, vLLM, Z.ai and Anthropic.
const FIELDS: [&str; 7] = [
    "reasoning_effort",
    "reasoning",
    "thinking",
    "enable_thinking",
    "thinking_budget",
    "thinking_config",
    "chat_template_kwargs",
];

/// Whether a model of this name reasons by default.
pub fn model_reasons(model: &str) -> bool {
    let parts = || model.split(['-', '_', '.', ':', '@', '/', ' ']);
    let parts: Vec<&str> = parts().collect();
    let has = |list: &[&[&str]]| {
        list.iter().any(|names| {
            let mut windows = parts.windows(names.len());
            windows.any(|window| {
                window
                    .iter()
                    .zip(*names)
                    .all(|(part, name)| fits(part, name))
            })
        })
    };
    has(REASON) && !has(DO_NOT)
}

/// The part is the name, perhaps with letters behind it (`5v`, `r1t2`), but never with more digits.
fn fits(part: &str, name: &str) -> bool {
    let Some((begin, rest)) = part.split_at_checked(name.len()) else {
        return false;
    };
    let numbered = name.ends_with(|last: char| last.is_ascii_digit());
    begin.eq_ignore_ascii_case(name)
        && (rest.is_empty()
            || (numbered && rest.starts_with(|next: char| next.is_ascii_alphabetic())))
}

/// Whether the request, or what the provider's `params` fill in, asks for reasoning.
pub fn is_asked_for(doc: &RequestDoc, params: &Map<String, Value>) -> bool {
    let written = FIELDS.iter().filter_map(|name| {
        let value = crate::wire::json::value(doc.raw(name)?)?;
        Some(asks(&value))
    });
    let filled = || {
        let of = |name: &&str| params.get(*name).filter(|_| !doc.has(name));
        FIELDS.iter().filter_map(of).any(asks)
    };
    written.into_iter().any(|asks| asks) || filled()
}

/// Anything but an express no.
fn asks(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(asks) => *asks,
        Value::Number(number) => number.as_f64().is_none_or(|number| number != 0.0),
        Value::String(word) => !["none", "off", "disabled", ""].contains(&word.trim()),
        Value::Array(list) => list.iter().any(asks),
        Value::Object(members) => {
            let telling = [
                "effort",
                "enabled",
                "type",
                "max_tokens",
                "budget_tokens",
                "enable_thinking",
                "thinking",
            ];
            let mut told = telling.iter().filter_map(|name| members.get(*name));
            told.any(asks)
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    #[test]
    fn models_that_reason_are_known_by_name() {
        for model in [
            "o1",
            "o3-mini",
            "o4-mini-2025-04-16",
            "openai/gpt-5.1-codex",
            "gpt-5",
            "GPT-5-mini",
            "gpt-oss-120b",
            "openai.gpt-oss-20b-1:0",
            "deepseek-reasoner",
            "deepseek/deepseek-r1-0528:free",
            "us.deepseek.r1-v1:0",
            "deepseek-r1-distill-llama-70b",
            "tngtech/deepseek-r1t2-chimera",
            "qwen/qwq-32b",
            "qwen3-235b-a22b-thinking-2507",
            "magistral-medium-latest",
            "moonshotai/kimi-k2-thinking",
            "gemini-2.5-pro",
            "models/gemini-3-pro-preview",
            "grok-4-0709",
            "grok-4-fast-reasoning",
            "glm-4.5v",
            "claude-sonnet-4-5-thinking",
            "sonar-deep-research",
        ] {
            assert!(model_reasons(model), "{model}");
        }
        for model in [
            "",
            "gpt-4o",
            "gpt-4.1-mini",
            "gpt-5-chat-latest",
            "gpt-5.1-chat-latest",
            "claude-sonnet-4-5-20250929",
            "llama-3.3-70b-versatile",
            "deepseek-chat",
            "gemini-2.0-flash",
            "gemini-2.5-flash-lite",
            "mistral-large-2411",
            "qwen3-30b-a3b-instruct-2507",
            "grok-4-fast-non-reasoning",
            "kimi-k2-0905-preview",
            "glm-4-flash",
            "echo",
            "m1",
        ] {
            assert!(!model_reasons(model), "{model}");
        }
    }

    #[test]
    fn requests_ask_for_it_in_many_ways() {
        let asked = |field: Value, params: Value| {
            let mut body = json!({"model": "m", "messages": []});
            body.as_object_mut()
                .unwrap()
                .extend(field.as_object().unwrap().clone());
            let doc = RequestDoc::parse(Bytes::from(body.to_string())).unwrap();
            is_asked_for(&doc, params.as_object().unwrap())
        };
        for field in [
            json!({"reasoning_effort": "low"}),
            json!({"reasoning": {"max_tokens": 2000}}),
            json!({"reasoning": {"enabled": true}}),
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
            json!({"enable_thinking": true}),
            json!({"chat_template_kwargs": {"enable_thinking": true}}),
        ] {
            assert!(asked(field.clone(), json!({})), "{field}");
            assert!(asked(json!({}), field.clone()), "{field}");
        }
        for field in [
            json!({}),
            json!({"reasoning_effort": "none"}),
            json!({"reasoning_effort": null}),
            json!({"reasoning": {"effort": "none"}}),
            json!({"thinking": {"type": "disabled"}}),
            json!({"enable_thinking": false}),
            json!({"chat_template_kwargs": {"add_generation_prompt": true}}),
        ] {
            assert!(!asked(field.clone(), json!({})), "{field}");
        }
        let off = json!({"reasoning_effort": "none"});
        assert!(
            !asked(off, json!({"reasoning_effort": "high"})),
            "the caller's word counts"
        );
    }
}
