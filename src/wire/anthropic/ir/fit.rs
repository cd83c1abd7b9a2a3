//! Parameters of other dialects as the API takes them, by what the model takes.

use serde_json::{Map, Number, Value, json};

use super::super::model::{ModelRules, Sampling, Thinking};
use super::schema;
use super::tools::encode_choice;
use super::words::{ANSWER_TOOL, UNKNOWN};
use crate::wire::ir::fields::{Encoder, put, put_in, text};
use crate::wire::ir::tier::{Tier, TierWords};
use crate::wire::ir::{
    AllowedTools, CacheMark, ChatRequest, ContentPart, Extra, ResponseFormat, SamplingParams,
    ToolChoice,
};
use crate::wire::token;

/// The least that a budget for thinking may be.
const LEAST_BUDGET: u64 = 1024;
/// The limit of tokens of a request that thinks and names none.
const THINKING_TOKENS: u64 = 32_000;
/// With thinking by budget `top_p` is at least so much.
const LEAST_TOP_P: f64 = 0.95;
/// The longest `metadata.user_id`, in bytes.
const LONGEST_USER: usize = 256;

/// What is known of a call while its parameters are made to fit.
#[derive(Debug)]
pub(super) struct FitContext {
    pub(super) rules: ModelRules,
    /// Whether the caller declares tools.
    pub(super) declared: bool,
    /// Whether tools stand there that were only called before.
    pub(super) stubs: bool,
    /// See [`Turns`](super::turns::Turns).
    pub(super) unsigned_loop: bool,
    /// What the model is told of the form of its answer.
    pub(super) instruction: Option<String>,
}

/// Extensions of other dialects that the neutral form has no field for, and the API has.
pub(super) fn read_extensions(request: &mut ChatRequest) {
    if request.user.is_none() {
        request.user = text(&mut request.extra, "safety_identifier");
    }
    // Words are all that there is here.
    if request.extra.get("modalities") == Some(&json!(["text"])) {
        request.extra.remove("modalities");
    }
    if let Some(allowed) = AllowedTools::take(request) {
        allowed.apply(request);
    }
    for message in &mut request.messages {
        message.parts.iter_mut().for_each(read_breakpoint);
    }
}

/// OpenAI's mark for the cache.
fn read_breakpoint(part: &mut ContentPart) {
    let mark = part.extra.remove("prompt_cache_breakpoint");
    if mark.is_some_and(|mark| !mark.is_null()) {
        part.cache.get_or_insert(CacheMark::default());
    }
}

/// A tool that was called before, and may not be called now.
pub(super) fn stub(name: &str) -> Value {
    json!({"name": name, "input_schema": schema::input(None)})
}

/// The form of the answer: as the model holds to one, by a tool that it must call, or in words.
pub(super) fn format(
    call: &mut FitContext,
    fields: &mut Extra,
    tools: &mut Vec<Value>,
    request: &mut ChatRequest,
) {
    let (schema, description) = match request.format.take() {
        None | Some(ResponseFormat::Text) => return,
        Some(ResponseFormat::JsonObject) => (None, None),
        Some(ResponseFormat::JsonSchema {
            schema,
            description,
            ..
        }) => (schema, description),
    };
    let Some(schema) = schema else {
        let words = "Answer with one JSON object and nothing else: no code fence, no other words.";
        call.instruction = Some(words.to_owned());
        return;
    };
    if call.rules.schema {
        let format = json!({"type": "json_schema", "schema": schema::strict(schema)});
        put_in(fields, "output_config", "format", Some(format));
    } else if !call.declared && call.rules.forced_choice {
        let description = description.unwrap_or_else(|| "Gives the answer.".to_owned());
        tools.push(json!({
            "name": ANSWER_TOOL, "description": description, "input_schema": schema::input(Some(schema)),
        }));
        call.stubs = false;
        request.tool_choice = Some(ToolChoice::Named(ANSWER_TOOL.to_owned()));
        request.parallel_tool_calls = None;
    } else {
        let words = "When you give your answer, it is one JSON object and nothing else, that fits this JSON Schema: ";
        call.instruction = Some(format!("{words}{schema}"));
    }
}

/// Which tool must be called. Some models cannot be made to.
pub(super) fn choice(
    encoder: &mut Encoder,
    call: &FitContext,
    request: &mut ChatRequest,
) -> Option<Value> {
    let answers = request.tool_choice == Some(ToolChoice::Named(ANSWER_TOOL.to_owned()));
    if call.stubs {
        return Some(json!({"type": "none"}));
    }
    if !call.declared && !answers {
        return None;
    }
    if is_forced(request) && !call.rules.forced_choice {
        encoder.lose("tool_choice", "the model cannot be made to call a tool");
        request.tool_choice = Some(ToolChoice::Auto);
    }
    encode_choice(
        encoder,
        request.tool_choice.clone(),
        request.parallel_tool_calls,
    )
}

fn is_forced(request: &ChatRequest) -> bool {
    matches!(
        request.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Named(_))
    )
}

/// The limit of tokens, which the API wants in every request, and how the model is to think, which counts towards it.
pub(super) fn limits(
    encoder: &mut Encoder,
    call: &FitContext,
    fields: &mut Extra,
    request: &mut ChatRequest,
    params: &Map<String, Value>,
) {
    let asked = request.max_output_tokens.take();
    let asked = asked.or_else(|| params.get("max_tokens")?.as_number().cloned());
    let reasoning = std::mem::take(&mut request.reasoning);
    let effort = reasoning
        .effort
        .as_deref()
        .filter(|effort| !effort.is_empty());
    let off = reasoning.enabled == Some(false) || effort == Some("none");
    let on = effort.is_some() || reasoning.budget_tokens.is_some() || reasoning.enabled.is_some();
    let usual = call.rules.max_tokens;
    let mut most = asked.clone().unwrap_or_else(|| usual.into());
    if off {
        if call.rules.always_thinks {
            let said = effort.map_or("reasoning", |_| "reasoning.effort");
            encoder.lose(said, "the model always thinks");
        } else if call.rules.thinks_unless_told {
            put(fields, "thinking", Some(json!({"type": "disabled"})));
        }
    } else if on && call.rules.thinking == Thinking::Adaptive {
        let display = reasoning.summary.as_ref().map(|_| "summarized");
        let mut thinking = json!({"type": "adaptive"});
        if let (Some(display), Some(inner)) = (display, thinking.as_object_mut()) {
            put(inner, "display", Some(display));
        }
        put(fields, "thinking", Some(thinking));
        let effort = effort.or_else(|| effort_of(reasoning.budget_tokens.as_ref()));
        put_in(fields, "output_config", "effort", effort.map(level));
        if asked.is_none() {
            most = THINKING_TOKENS.into();
        }
    } else if on {
        match budget(
            call,
            request,
            effort,
            reasoning.budget_tokens.as_ref(),
            asked.as_ref(),
        ) {
            Some(budget) => {
                let thinking = json!({"type": "enabled", "budget_tokens": budget});
                put(fields, "thinking", Some(thinking));
                if asked.is_none() {
                    most = budget.saturating_add(usual).into();
                }
            }
            None => encoder.lose("reasoning.effort", "the model cannot think here"),
        }
    }
    put(fields, "max_tokens", Some(Value::Number(most)));
}

/// Levels of effort as the API has them.
fn level(effort: &str) -> &str {
    match effort {
        "minimal" => "low",
        other => other,
    }
}

/// The effort that comes nearest to a budget.
fn effort_of(budget: Option<&Number>) -> Option<&'static str> {
    Some(match budget?.as_u64()? {
        0..4096 => "low",
        4096..16_384 => "medium",
        _ => "high",
    })
}

/// The budget for thinking; `None` where there is no room for one, or thinking is refused beside the rest of the request.
fn budget(
    call: &FitContext,
    request: &ChatRequest,
    effort: Option<&str>,
    budget: Option<&Number>,
    most: Option<&Number>,
) -> Option<u64> {
    let refused = is_forced(request) || call.unsigned_loop;
    if call.rules.thinking == Thinking::Never || refused {
        return None;
    }
    let wanted = budget.and_then(Number::as_u64).unwrap_or(match effort {
        Some("minimal") => LEAST_BUDGET,
        Some("low") => 2048,
        Some("high") => 16_384,
        Some("xhigh" | "max") => 24_576,
        _ => 8192,
    });
    let wanted = wanted.max(LEAST_BUDGET);
    let Some(most) = most.and_then(Number::as_u64) else {
        return Some(wanted);
    };
    // A quarter remains for the answer.
    let room = most - most / 4;
    (most > LEAST_BUDGET).then(|| wanted.min(room.max(LEAST_BUDGET)))
}

/// How the answer is drawn.
pub(super) fn sampling(
    encoder: &mut Encoder,
    call: &FitContext,
    fields: &mut Extra,
    request: &mut ChatRequest,
) {
    let mut sampling = std::mem::take(&mut request.sampling);
    let thinks = fields
        .get("thinking")
        .is_some_and(|thinking| thinking["type"] != "disabled");
    let float = |number: &Number| number.as_f64().unwrap_or_default();
    let mut temperature = sampling.temperature.take();
    if let Some(number) = &temperature
        && !(0.0..=1.0).contains(&float(number))
    {
        encoder.lose("sampling.temperature", "it is 0 to 1 here");
        temperature = Some(Number::from(u8::from(float(number) > 0.0)));
    }
    let mut takes = [true; 3];
    match call.rules.sampling {
        Sampling::All => {}
        Sampling::One => takes[1] = temperature.is_none(),
        Sampling::None => takes = [false; 3],
    }
    if thinks && call.rules.sampling != Sampling::None {
        takes[0] &= temperature
            .as_ref()
            .is_some_and(|number| float(number) >= 1.0);
        takes[1] &= sampling
            .top_p
            .as_ref()
            .is_some_and(|number| float(number) >= LEAST_TOP_P);
        takes[2] = false;
    }
    let all = [
        ("sampling.temperature", temperature),
        ("sampling.top_p", sampling.top_p.take()),
        ("sampling.top_k", sampling.top_k.take()),
    ];
    for ((name, value), takes) in all.into_iter().zip(takes) {
        match value {
            Some(value) if takes => {
                let own = name.trim_start_matches("sampling.");
                put(fields, own, Some(Value::Number(value)));
            }
            Some(_) => encoder.lose(name, "the model does not take it here"),
            None => {}
        }
    }
    other_sampling(encoder, fields, sampling);
}

/// Words to stop at, and what has no place.
fn other_sampling(encoder: &mut Encoder, fields: &mut Extra, sampling: SamplingParams) {
    let float = |number: &Number| number.as_f64().unwrap_or_default();
    let (words, blank): (Vec<String>, Vec<String>) = sampling
        .stop
        .into_iter()
        .partition(|word| !word.trim().is_empty());
    if !blank.is_empty() {
        encoder.lose(
            "sampling.stop",
            "a word to stop at is more than white space",
        );
    }
    put(
        fields,
        "stop_sequences",
        (!words.is_empty()).then_some(words),
    );
    let neutral = |number: &Number, neutral: f64| (float(number) - neutral).abs() < f64::EPSILON;
    for (name, value, usual) in [
        ("sampling.candidates", sampling.candidates, 1.0),
        (
            "sampling.frequency_penalty",
            sampling.frequency_penalty,
            0.0,
        ),
        ("sampling.presence_penalty", sampling.presence_penalty, 0.0),
    ] {
        if value.is_some_and(|value| !neutral(&value, usual)) {
            encoder.lose(name, UNKNOWN);
        }
    }
    for (name, told) in [
        ("sampling.seed", sampling.seed.is_some()),
        ("sampling.logprobs", sampling.logprobs == Some(true)),
        ("sampling.top_logprobs", sampling.top_logprobs.is_some()),
    ] {
        if told {
            encoder.lose(name, UNKNOWN);
        }
    }
}

/// The rest of a request.
pub(super) fn others(encoder: &mut Encoder, fields: &mut Extra, request: ChatRequest) {
    put(fields, "stream", request.stream);
    let user = request.user.filter(|user| !user.is_empty());
    let user = user.map(|user| match user.len() > LONGEST_USER {
        true => token::mixed(b"user", user.as_bytes()),
        false => user,
    });
    put_in(fields, "metadata", "user_id", user);
    if !request.metadata.is_empty() {
        encoder.lose("metadata", UNKNOWN);
    }
    let tier = request.service_tier.as_deref();
    let tier = tier.and_then(|tier| match TierWords::Anthropic.asked(tier) {
        Tier::Word(word) => Some(word),
        Tier::Usual => None,
        Tier::Missing => {
            encoder.lose("service_tier", "the Messages API has no such tier");
            None
        }
    });
    put(fields, "service_tier", tier);
}
