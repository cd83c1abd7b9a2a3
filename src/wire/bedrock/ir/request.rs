//! Requests.

use serde_json::{Map, Value, json};

use super::super::model::{ConverseRules, Effort, TopK};
use super::block::{ConverseBlocks, cache_point};
use super::words::UNKNOWN;
use crate::wire::anthropic::ir::encode_foreign;
use crate::wire::ir::fields::{Encoder, cache_mark, fill, put, put_in, text};
use crate::wire::ir::tier::{Tier, TierWords};
use crate::wire::ir::{ChatRequest, Extra, Losses, ReasoningConfig};

/// What stands beside a document without words: Converse wants some.
const SEE: &str = "See the document.";
/// The parameters of all models, in the Messages API's words and in Converse's.
const COMMON: [(&str, &str); 4] = [
    ("max_tokens", "maxTokens"),
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("stop_sequences", "stopSequences"),
];
/// The most notes that a request may have, and the longest one, in bytes.
const MOST_NOTES: usize = 16;
const LONGEST_NOTE: usize = 256;

/// Parameters that only some models know.
const MORE: &str = "additionalModelRequestFields";

/// Writes the body of a request, and says what has no place in it. `params` are filled in where it does not say: fields of
/// Converse, and the common parameters by their usual names too.
pub(in crate::wire::bedrock) fn encode_request(
    mut request: ChatRequest,
    params: &Map<String, Value>,
) -> (Extra, Losses) {
    let rules = ConverseRules::of(request.model.as_deref().unwrap_or_default());
    let mut encoder = Encoder::new(request.origin, super::super::ID, UNKNOWN);
    let mut body = Extra::new();
    request.stream = None;
    others(&mut encoder, &mut body, &mut request);
    if rules.effort != Effort::Claude {
        let reasoning = std::mem::take(&mut request.reasoning);
        think(&mut encoder, &mut body, rules.effort, &reasoning);
    }
    let limited = request.max_output_tokens.is_some() || params.contains_key("max_tokens");
    let mut blocks = ConverseBlocks::new(rules);
    let mut fields = encode_foreign(&mut encoder, &mut blocks, rules.rules, request, params);
    if !limited && !rules.is_claude {
        fields.remove("max_tokens");
    }
    for name in ["system", "messages"] {
        if let Some(value) = fields.remove(name) {
            body.insert(name.to_owned(), value);
        }
    }
    body.entry("messages").and_modify(|messages| {
        messages
            .as_array_mut()
            .into_iter()
            .flatten()
            .for_each(explain);
    });
    tools(&mut encoder, &rules, &mut fields, &mut body);
    parameters(&mut encoder, &rules, &mut fields, &mut body);
    complete(&mut body, params);
    (body, encoder.losses)
}

/// The body of a request that only counts the tokens of this one.
pub(in crate::wire::bedrock) fn encode_count(request: ChatRequest) -> Value {
    let (mut body, _) = encode_request(request, &Map::new());
    body.retain(|name, _| ["messages", "system", "toolConfig", MORE].contains(&name.as_str()));
    json!({"input": {"converse": body}})
}

/// Who asks, notes and the queue: the Messages API has other places for these.
fn others(encoder: &mut Encoder, body: &mut Extra, request: &mut ChatRequest) {
    for (name, user) in [
        ("user", request.user.take()),
        (
            "safety_identifier",
            text(&mut request.extra, "safety_identifier"),
        ),
    ] {
        if user.is_some_and(|user| !user.is_empty()) {
            encoder.lose(name, UNKNOWN);
        }
    }
    let notes = std::mem::take(&mut request.metadata);
    let fits = |text: &str| {
        let usual = |c: char| c.is_ascii_alphanumeric() || " \t:_@$#=/+,-.".contains(c);
        text.len() <= LONGEST_NOTE && text.chars().all(usual)
    };
    let fit = |(name, value): (&String, &Value)| {
        !name.is_empty() && fits(name) && value.as_str().is_some_and(fits)
    };
    if notes.len() <= MOST_NOTES && notes.iter().all(fit) {
        put(
            body,
            "requestMetadata",
            (!notes.is_empty()).then_some(notes),
        );
    } else {
        encoder.lose(
            "metadata",
            "notes are short texts of letters and digits here",
        );
    }
    let tier = request.service_tier.take().unwrap_or_default();
    let tier = match TierWords::Bedrock.asked(&tier) {
        Tier::Word(word) => Some(word),
        Tier::Usual => None,
        Tier::Missing => {
            encoder.lose("service_tier", "Converse has no such tier");
            None
        }
    };
    put_in(body, "serviceTier", "type", tier);
}

/// How much a model is to think that is not Claude.
fn think(encoder: &mut Encoder, body: &mut Extra, effort: Effort, asked: &ReasoningConfig) {
    let word = asked.effort.as_deref().filter(|word| !word.is_empty());
    let off = asked.enabled == Some(false) || word == Some("none");
    let on = word.is_some() || asked.enabled == Some(true) || asked.budget_tokens.is_some();
    let level = match word {
        Some("minimal" | "low") => "low",
        Some("high" | "xhigh" | "max") => "high",
        _ => "medium",
    };
    match effort {
        Effort::Nova if off => put_in(
            body,
            MORE,
            "reasoningConfig",
            Some(json!({"type": "disabled"})),
        ),
        Effort::Nova if on => {
            let config = json!({"type": "enabled", "maxReasoningEffort": level});
            put_in(body, MORE, "reasoningConfig", Some(config));
        }
        Effort::Named if on && !off => put_in(body, MORE, "reasoning_effort", Some(level)),
        Effort::None if on && !off => {
            encoder.lose(
                "reasoning.effort",
                "the model cannot be told how much to think",
            );
        }
        _ => {}
    }
}

/// A document stands beside words.
fn explain(message: &mut Value) {
    let Some(Value::Array(blocks)) = message.get_mut("content") else {
        return;
    };
    let has = |name: &str| blocks.iter().any(|block| block.get(name).is_some());
    if has("document") && !has("text") {
        blocks.push(json!({"text": SEE}));
    }
}

/// Whether calls or their results stand in the conversation.
fn has_calls(body: &Extra) -> bool {
    let messages = body.get("messages").and_then(Value::as_array);
    let contents = messages
        .into_iter()
        .flatten()
        .filter_map(|message| message.get("content")?.as_array());
    let is_call =
        |block: &Value| block.get("toolUse").is_some() || block.get("toolResult").is_some();
    contents.flatten().any(is_call)
}

/// Tools, and which of them must be called. Converse cannot say that none may be: where nothing was called so far, there are
/// none then.
fn tools(encoder: &mut Encoder, rules: &ConverseRules, fields: &mut Extra, body: &mut Extra) {
    let Some(Value::Array(tools)) = fields.remove("tools") else {
        return;
    };
    let mut all = Vec::with_capacity(tools.len());
    for (at, tool) in tools.into_iter().enumerate() {
        let Value::Object(mut tool) = tool else {
            continue;
        };
        let mark = cache_mark(&mut tool);
        all.push(spec(tool));
        match mark {
            Some(mark) if rules.caches => all.push(cache_point(&mark)),
            Some(_) => encoder.lose(
                format!("tools[{at}].cache_control"),
                "the model has no cache",
            ),
            None => {}
        }
    }
    let choice = fields.remove("tool_choice").unwrap_or_default();
    let kind = choice
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if choice.get("disable_parallel_tool_use") == Some(&Value::Bool(true)) {
        encoder.lose("parallel_tool_calls", UNKNOWN);
    }
    let choice = match kind {
        "none" if !has_calls(body) => return,
        "none" => {
            encoder.lose(
                "tool_choice",
                "Converse cannot forbid what was called before",
            );
            None
        }
        "any" => Some(json!({"any": {}})),
        "tool" => Some(json!({"tool": {"name": choice.get("name")}})),
        // What is not said means the same, and not all models take it.
        _ => None,
    };
    let mut config = Extra::new();
    put(&mut config, "tools", Some(all));
    put(&mut config, "toolChoice", choice);
    put(body, "toolConfig", Some(config));
}

fn spec(mut tool: Extra) -> Value {
    let mut spec = Extra::new();
    let description = text(&mut tool, "description");
    put(&mut spec, "name", text(&mut tool, "name"));
    put(
        &mut spec,
        "description",
        description.filter(|words| !words.is_empty()),
    );
    put_in(
        &mut spec,
        "inputSchema",
        "json",
        tool.remove("input_schema"),
    );
    put(&mut spec, "strict", tool.remove("strict"));
    json!({"toolSpec": spec})
}

/// All other parameters, from where the Messages API has them.
fn parameters(encoder: &mut Encoder, rules: &ConverseRules, fields: &mut Extra, body: &mut Extra) {
    for (name, own) in COMMON {
        put_in(body, "inferenceConfig", own, fields.remove(name));
    }
    let stops = body
        .get("inferenceConfig")
        .is_some_and(|config| config.get("stopSequences").is_some());
    if stops && rules.is_claude {
        put(
            body,
            "additionalModelResponseFieldPaths",
            Some(json!(["/stop_sequence"])),
        );
    }
    if let Some(top_k) = fields.remove("top_k") {
        match rules.top_k {
            TopK::Plain => put_in(body, MORE, "top_k", Some(top_k)),
            TopK::Nested => {
                put_in(body, MORE, "inferenceConfig", Some(json!({"topK": top_k})));
            }
            TopK::Nowhere => encoder.lose("sampling.top_k", "the model does not take it here"),
        }
    }
    put_in(body, MORE, "thinking", fields.remove("thinking"));
    if let Some(Value::Object(mut config)) = fields.remove("output_config") {
        put_in(body, "outputConfig", "effort", config.remove("effort"));
        let schema = config
            .remove("format")
            .and_then(|mut format| Some(format.get_mut("schema")?.take()));
        let format = schema.map(|schema| {
            let schema = json!({"schema": schema.to_string(), "name": "answer"});
            json!({"type": "json_schema", "structure": {"jsonSchema": schema}})
        });
        put_in(body, "outputConfig", "textFormat", format);
    }
}

/// Fills in what the configuration adds where the request does not say: fields of the request, and fields of such objects
/// in it as `inferenceConfig`.
fn complete(body: &mut Extra, params: &Map<String, Value>) {
    for (name, value) in params {
        let common = COMMON.into_iter().find(|(usual, _)| usual == name);
        match (common, value) {
            (Some((_, own)), value) => fill(body, "inferenceConfig", |inner| {
                inner.entry(own).or_insert_with(|| value.clone());
            }),
            (None, Value::Object(more)) => fill(body, name, |inner| {
                for (name, value) in more {
                    inner.entry(name).or_insert_with(|| value.clone());
                }
            }),
            (None, value) => drop(body.entry(name).or_insert_with(|| value.clone())),
        }
    }
}
