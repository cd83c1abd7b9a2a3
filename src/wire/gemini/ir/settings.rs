//! `generationConfig`: how an answer is drawn, its form, and how much the model thinks.

use serde_json::{Number, Value, json};

use crate::wire::gemini::generation::{ThinkingForm, thinking_form};
use crate::wire::gemini::names::camel;
use crate::wire::gemini::schema;
use crate::wire::ir::fields::{Encoder, fill, flag, inside, list, number, put, put_in, take, text};
use crate::wire::ir::{ChatRequest, Extra, ReasoningConfig, ResponseFormat, SamplingParams};

/// The most sequences to stop at that one request may have.
const MOST_STOPS: usize = 5;
/// What a schema is called where its dialect wants a name and Google's has none.
const SCHEMA_NAME: &str = "response";
const JSON: &str = "application/json";

/// Takes out of `generationConfig` what the neutral form has a field for.
pub(super) fn decode(fields: &mut Extra, request: &mut ChatRequest) {
    let Some(Value::Object(config)) = fields.get_mut("generationConfig") else {
        return;
    };
    camel(config);
    request.max_output_tokens = number(config, "maxOutputTokens");
    request.sampling = decode_sampling(config);
    request.format = decode_format(config);
    request.reasoning = inside(config, "thinkingConfig", |thinking| {
        camel(thinking);
        let reasoning = decode_thinking(thinking);
        (reasoning != ReasoningConfig::default() || thinking.is_empty()).then_some(reasoning)
    })
    .unwrap_or_default();
    if config.is_empty() {
        fields.remove("generationConfig");
    }
}

fn decode_sampling(config: &mut Extra) -> SamplingParams {
    SamplingParams {
        temperature: number(config, "temperature"),
        top_p: number(config, "topP"),
        top_k: number(config, "topK"),
        seed: number(config, "seed"),
        candidates: number(config, "candidateCount"),
        frequency_penalty: number(config, "frequencyPenalty"),
        presence_penalty: number(config, "presencePenalty"),
        logprobs: flag(config, "responseLogprobs"),
        top_logprobs: number(config, "logprobs"),
        stop: take(config, "stopSequences", |value| {
            let words = value.as_array()?.iter();
            words.map(|word| word.as_str().map(str::to_owned)).collect()
        })
        .unwrap_or_default(),
    }
}

fn decode_format(config: &mut Extra) -> Option<ResponseFormat> {
    let kind = config.get("responseMimeType").and_then(Value::as_str);
    let format = match kind {
        Some("text/plain") => ResponseFormat::Text,
        Some(JSON) => {
            let is_schema = |value: &Value| value.is_object().then(|| value.clone());
            let schema = take(config, "responseJsonSchema", is_schema)
                .or_else(|| take(config, "_responseJsonSchema", is_schema))
                .or_else(|| take(config, "responseSchema", is_schema));
            match schema {
                None => ResponseFormat::JsonObject,
                Some(schema) => ResponseFormat::JsonSchema {
                    name: SCHEMA_NAME.to_owned(),
                    schema: Some(schema::to_json_schema(schema)),
                    strict: None,
                    description: None,
                },
            }
        }
        // `text/x.enum` and whatever else only Google has.
        _ => return None,
    };
    config.remove("responseMimeType");
    Some(format)
}

fn decode_thinking(thinking: &mut Extra) -> ReasoningConfig {
    let mut reasoning = ReasoningConfig::default();
    let level = text(thinking, "thinkingLevel").map(|level| level.to_ascii_lowercase());
    reasoning.effort =
        level.filter(|level| !level.is_empty() && level != "thinking_level_unspecified");
    match take(thinking, "thinkingBudget", Value::as_i64) {
        Some(0) => reasoning.enabled = Some(false),
        Some(budget @ 1..) => reasoning.budget_tokens = Some(budget.into()),
        // As the model likes.
        Some(_) => reasoning.enabled = Some(true),
        None => {}
    }
    // Thoughts that are not asked for are not told, as everywhere.
    if flag(thinking, "includeThoughts") == Some(true) {
        reasoning.summary = Some("auto".to_owned());
    }
    reasoning
}

/// Writes them. `model`: who is asked.
pub(super) fn encode(
    encoder: &mut Encoder,
    fields: &mut Extra,
    request: &mut Settings,
    model: &str,
) {
    let mut config = match fields.remove("generationConfig") {
        Some(Value::Object(config)) => config,
        _ => Extra::new(),
    };
    let most = request.max_output_tokens.take();
    put(&mut config, "maxOutputTokens", most.map(Value::Number));
    encode_sampling(encoder, &mut config, std::mem::take(&mut request.sampling));
    encode_format(&mut config, request.format.take());
    let reasoning = std::mem::take(&mut request.reasoning);
    encode_thinking(encoder, &mut config, reasoning, model);
    if !config.is_empty() {
        fields.insert("generationConfig".to_owned(), Value::Object(config));
    }
}

/// What of a request goes there.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) max_output_tokens: Option<Number>,
    pub(super) sampling: SamplingParams,
    pub(super) format: Option<ResponseFormat>,
    pub(super) reasoning: ReasoningConfig,
}

fn encode_sampling(encoder: &mut Encoder, config: &mut Extra, sampling: SamplingParams) {
    let numbers = [
        ("temperature", sampling.temperature),
        ("topP", sampling.top_p),
        ("topK", sampling.top_k),
        ("seed", sampling.seed),
        ("candidateCount", sampling.candidates),
        ("frequencyPenalty", sampling.frequency_penalty),
        ("presencePenalty", sampling.presence_penalty),
        ("logprobs", sampling.top_logprobs),
    ];
    for (name, value) in numbers {
        put(config, name, value.map(Value::Number));
    }
    put(config, "responseLogprobs", sampling.logprobs);
    let mut stop = sampling.stop;
    if !encoder.same {
        let all = stop.len();
        stop.retain(|word| !word.is_empty());
        stop.truncate(MOST_STOPS);
        if stop.len() < all {
            encoder.lose(
                "sampling.stop",
                "at most five sequences, and none without a letter",
            );
        }
    }
    put(config, "stopSequences", (!stop.is_empty()).then_some(stop));
}

fn encode_format(config: &mut Extra, format: Option<ResponseFormat>) {
    match format {
        None => {}
        Some(ResponseFormat::Text) => put(config, "responseMimeType", Some("text/plain")),
        Some(ResponseFormat::JsonObject) => put(config, "responseMimeType", Some(JSON)),
        Some(ResponseFormat::JsonSchema {
            schema,
            description,
            ..
        }) => {
            put(config, "responseMimeType", Some(JSON));
            let mut schema = schema.map(schema::for_answer);
            if let Some(Value::Object(fields)) = &mut schema
                && let Some(description) = description
            {
                // The only place for it.
                fields.entry("description").or_insert(description.into());
            }
            put(config, "responseJsonSchema", schema);
        }
    }
}

/// About how many tokens of thinking an effort is worth, as Google's own endpoint for OpenAI's dialect takes it.
const BUDGETS: [(&str, u64); 6] = [
    ("minimal", 1024),
    ("low", 1024),
    ("medium", 8192),
    ("high", 24_576),
    ("xhigh", 32_768),
    ("max", 32_768),
];

fn encode_thinking(
    encoder: &mut Encoder,
    config: &mut Extra,
    reasoning: ReasoningConfig,
    model: &str,
) {
    if reasoning == ReasoningConfig::default() {
        return;
    }
    if encoder.same {
        return put_thinking(config, reasoning);
    }
    let ReasoningConfig {
        effort,
        enabled,
        budget_tokens,
        summary,
    } = reasoning;
    let off = enabled == Some(false) || effort.as_deref() == Some("none");
    let budget = budget_tokens.as_ref().and_then(Number::as_u64);
    let mut thinking = match config.remove("thinkingConfig") {
        Some(Value::Object(thinking)) => thinking,
        _ => Extra::new(),
    };
    match thinking_form(model) {
        ThinkingForm::Never if off => {}
        ThinkingForm::Never => {
            return encoder.lose("reasoning.effort", "this model does not think");
        }
        ThinkingForm::Budget {
            least,
            most,
            can_be_off,
        } => {
            let wanted = match (off, budget, effort.as_deref()) {
                (true, _, _) if can_be_off => Some(0),
                (true, _, _) => Some(least),
                (false, Some(budget), _) => Some(budget),
                (false, None, Some(effort)) => worth(effort),
                (false, None, None) => None,
            };
            let wanted = wanted.map(|wanted| match wanted {
                0 if can_be_off => 0,
                wanted => wanted.clamp(least, most),
            });
            put(&mut thinking, "thinkingBudget", wanted);
        }
        ThinkingForm::Level { minimal } => {
            let effort = effort.or_else(|| budget.map(|budget| effort_of(budget).to_owned()));
            let level = level_of(off, effort.as_deref(), minimal);
            put(&mut thinking, "thinkingLevel", level);
        }
    }
    let asks = summary.is_some() || effort_is_said(&thinking);
    if asks && !off {
        put(
            &mut thinking,
            "includeThoughts",
            Some(summary.as_deref() != Some("none")),
        );
    }
    if !thinking.is_empty() {
        config.insert("thinkingConfig".to_owned(), Value::Object(thinking));
    }
}

/// Google's own settings, as they were.
fn put_thinking(config: &mut Extra, reasoning: ReasoningConfig) {
    const PLACE: &str = "thinkingConfig";
    let level = reasoning.effort.map(|effort| effort.to_ascii_uppercase());
    put_in(config, PLACE, "thinkingLevel", level);
    let budget = match reasoning.enabled {
        Some(false) => Some(Number::from(0)),
        Some(true) => Some(Number::from(-1)),
        None => reasoning.budget_tokens,
    };
    put_in(config, PLACE, "thinkingBudget", budget.map(Value::Number));
    let tells = reasoning.summary.is_some().then_some(true);
    put_in(config, PLACE, "includeThoughts", tells);
}

/// The level for an effort. `minimal`: whether there is one below the low one.
fn level_of(off: bool, effort: Option<&str>, minimal: bool) -> Option<&'static str> {
    match (off, effort) {
        (true, _) | (_, Some("minimal")) if minimal => Some("MINIMAL"),
        (true, _) | (_, Some("minimal" | "low")) => Some("LOW"),
        (_, Some("medium")) => Some("MEDIUM"),
        (_, Some("high" | "xhigh" | "max")) => Some("HIGH"),
        _ => None,
    }
}

fn effort_is_said(thinking: &Extra) -> bool {
    thinking.contains_key("thinkingLevel") || thinking.contains_key("thinkingBudget")
}

fn worth(effort: &str) -> Option<u64> {
    let found = BUDGETS.iter().find(|(word, _)| *word == effort);
    found.map(|(_, budget)| *budget)
}

/// The effort that such a budget is about worth.
fn effort_of(budget: u64) -> &'static str {
    match budget {
        0..=2048 => "low",
        2049..=12_288 => "medium",
        _ => "high",
    }
}

/// What Google's own endpoint for OpenAI's dialect reads beside the usual fields: `extra_body.google`.
pub(super) fn take_google(extra: &mut Extra, fields: &mut Extra) {
    inside(extra, "extra_body", |body| {
        inside(body, "google", |google| {
            camel(google);
            let cached = text(google, "cachedContent");
            let thinking = take(google, "thinkingConfig", |value| value.as_object().cloned());
            let safety = list(google, "safetySettings");
            let any = cached.is_some() || thinking.is_some() || safety.is_some();
            put(fields, "cachedContent", cached);
            put(fields, "safetySettings", safety);
            if let Some(mut thinking) = thinking {
                camel(&mut thinking);
                put_in(
                    fields,
                    "generationConfig",
                    "thinkingConfig",
                    Some(Value::Object(thinking)),
                );
            }
            any.then_some(())
        })
    });
}

/// What an answer is made of, besides words: `modalities` of OpenAI's dialect.
pub(super) fn take_modalities(extra: &mut Extra, fields: &mut Extra) {
    let wanted = take(extra, "modalities", |value| {
        let all = value.as_array()?.iter();
        all.map(|one| one.as_str().map(str::to_ascii_uppercase))
            .collect::<Option<Vec<String>>>()
    });
    let wanted = wanted.filter(|wanted| *wanted != ["TEXT"]);
    if let Some(wanted) = wanted {
        fill(fields, "generationConfig", |config| {
            put(config, "responseModalities", Some(json!(wanted)));
        });
    }
}
