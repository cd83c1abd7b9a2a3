//! Requests, written.

use std::collections::HashSet;

use serde_json::{Number, Value, json};

use super::fields::{Encoder, UNKNOWN, encoder, put, put_in};
use super::item::{OTHER, THOUGHTS};
use super::part::encode_part;
use super::seal::Seal;
use super::tools::{encode_choice, encode_tool};
use crate::wire::ir::ids::{LONGEST_CALL_ID, disguise, shorten};
use crate::wire::ir::tier::{Tier, TierWords};
use crate::wire::ir::{
    ChatMessage, ChatRequest, ChatRole, ContentPart, Extra, Losses, PartBody, ReasoningConfig,
    ReasoningPart, ResponseFormat, SamplingParams, ToolCall, ToolCallKind, ToolDefinition,
    ToolResult,
};
use crate::wire::reasoning::{OffSwitch, off_switch};

/// The fewest tokens that may be asked for.
const LEAST_TOKENS: u64 = 16;
/// Fields of chat completions that are the same here.
const SHARED: [&str; 6] = [
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "store",
    "moderation",
];

/// Writes the body of a request, and says what has no place in it.
pub(in crate::wire::responses) fn encode_request(mut request: ChatRequest) -> (Value, Losses) {
    let mut encoder = encoder(request.origin);
    let shared = shared(&mut request);
    let mut fields = encoder.begin("", request.extra);
    fields.extend(shared);
    let model = request.model.clone().unwrap_or_default();
    put(&mut fields, "model", request.model);
    let mut items = InputItems::new(&mut encoder);
    for (at, message) in request.messages.into_iter().enumerate() {
        items.add(&format!("messages[{at}]"), message);
    }
    let items = items.all;
    put(&mut fields, "input", Some(items));
    let custom: HashSet<String> = request.tools.iter().filter_map(custom_name).collect();
    let tools = request.tools.into_iter().enumerate();
    let tools: Vec<Value> = tools
        .filter_map(|(at, tool)| encode_tool(&mut encoder, &format!("tools[{at}]"), tool))
        .collect();
    let any = !tools.is_empty();
    put(&mut fields, "tools", any.then_some(tools));
    let choice = request.tool_choice.filter(|_| any || encoder.same);
    let choice =
        choice.map(|choice| encode_choice(choice, |name| !encoder.same && custom.contains(name)));
    put(&mut fields, "tool_choice", choice);
    let parallel = request.parallel_tool_calls.filter(|_| any || encoder.same);
    put(&mut fields, "parallel_tool_calls", parallel);
    encode_sampling(&mut encoder, &mut fields, request.sampling);
    let limit = request.max_output_tokens.map(|limit| match limit.as_u64() {
        Some(tokens) if tokens < LEAST_TOKENS && !encoder.same => LEAST_TOKENS.into(),
        _ => limit,
    });
    put(&mut fields, "max_output_tokens", limit.map(Value::Number));
    let format = request.format.map(|format| match encoder.same {
        true => encode_format(format),
        false => encode_format(format.named()),
    });
    put_in(&mut fields, "text", "format", format);
    let effort = effort(&mut encoder, &model, &mut request.reasoning);
    put_in(&mut fields, "reasoning", "effort", effort);
    put_in(
        &mut fields,
        "reasoning",
        "summary",
        request.reasoning.summary,
    );
    put(&mut fields, "stream", request.stream);
    if encoder.same {
        put(&mut fields, "user", request.user);
    } else if let Some(mut user) = request.user {
        disguise(&mut user, LONGEST_CALL_ID);
        fields.entry("safety_identifier").or_insert(user.into());
    }
    let metadata = request.metadata;
    put(
        &mut fields,
        "metadata",
        (!metadata.is_empty()).then_some(metadata),
    );
    let tier = request.service_tier.and_then(|tier| {
        let word = match TierWords::OpenAi.asked(&tier) {
            _ if encoder.same => Some(tier.as_str()),
            Tier::Word(word) => Some(word),
            Tier::Usual | Tier::Missing => None,
        };
        word.map(str::to_owned)
    });
    put(&mut fields, "service_tier", tier);
    if !encoder.same {
        // Other dialects keep nothing unless they are told to.
        fields.entry("store").or_insert(false.into());
    }
    (Value::Object(fields), encoder.losses)
}

fn custom_name(tool: &ToolDefinition) -> Option<String> {
    match tool {
        ToolDefinition::Custom { name, .. } => Some(name.clone()),
        _ => None,
    }
}

/// What chat completions have in common with the Responses API.
fn shared(request: &mut ChatRequest) -> Extra {
    let mut own = Extra::new();
    if request.origin != crate::wire::openai::ID {
        return own;
    }
    for name in SHARED {
        put(&mut own, name, request.extra.remove(name));
    }
    if let Some(choice) = request.extra.get("tool_choice").and_then(flat_choice) {
        request.extra.remove("tool_choice");
        own.insert("tool_choice".to_owned(), choice);
    }
    let verbosity = request.extra.remove("verbosity");
    put_in(&mut own, "text", "verbosity", verbosity);
    own
}

/// A choice of tools that chat completions wrap in objects of their own.
fn flat_choice(choice: &Value) -> Option<Value> {
    let kind = choice.get("type")?.as_str()?;
    let inner = choice.get(kind)?;
    if kind != "allowed_tools" {
        let name = inner.get("name")?;
        return Some(json!({"type": kind, "name": name}));
    }
    let tools = inner.get("tools")?.as_array()?;
    let tools: Option<Vec<Value>> = tools.iter().map(flat_choice).collect();
    let mode = inner.get("mode")?;
    Some(json!({"type": kind, "mode": mode, "tools": tools?}))
}

/// How much the model is to think, in this API's one word for it.
fn effort(encoder: &mut Encoder, model: &str, reasoning: &mut ReasoningConfig) -> Option<String> {
    let told = reasoning.effort.take();
    if reasoning.enabled == Some(false) && told.is_none() {
        match off_switch(model) {
            OffSwitch::Effort => return Some("none".to_owned()),
            OffSwitch::Missing => encoder.lose("reasoning", "the model always reasons"),
            OffSwitch::Needless => {}
        }
    }
    told.or_else(|| effort_of(reasoning.budget_tokens.as_ref()?))
}

/// An effort for a number of tokens of thinking.
fn effort_of(budget: &Number) -> Option<String> {
    let effort = match budget.as_u64()? {
        0 => return None,
        1..=4096 => "low",
        4097..=16_384 => "medium",
        _ => "high",
    };
    Some(effort.to_owned())
}

fn encode_sampling(encoder: &mut Encoder, fields: &mut Extra, sampling: SamplingParams) {
    put(
        fields,
        "temperature",
        sampling.temperature.map(Value::Number),
    );
    put(fields, "top_p", sampling.top_p.map(Value::Number));
    put(
        fields,
        "top_logprobs",
        sampling.top_logprobs.map(Value::Number),
    );
    if sampling.logprobs == Some(true) && !encoder.same {
        put(
            fields,
            "include",
            Some(json!(["message.output_text.logprobs"])),
        );
    }
    let one = sampling.candidates.as_ref().and_then(Number::as_u64) == Some(1);
    let lost = [
        ("sampling.top_k", sampling.top_k.is_some()),
        ("sampling.seed", sampling.seed.is_some()),
        ("sampling.candidates", sampling.candidates.is_some() && !one),
        (
            "sampling.frequency_penalty",
            sampling.frequency_penalty.is_some(),
        ),
        (
            "sampling.presence_penalty",
            sampling.presence_penalty.is_some(),
        ),
        ("sampling.stop", !sampling.stop.is_empty()),
    ];
    for (path, _) in lost.into_iter().filter(|(_, lost)| *lost) {
        encoder.lose(path, UNKNOWN);
    }
}

fn encode_format(format: ResponseFormat) -> Value {
    match format {
        ResponseFormat::Text => json!({"type": "text"}),
        ResponseFormat::JsonObject => json!({"type": "json_object"}),
        ResponseFormat::JsonSchema {
            name,
            schema,
            strict,
            description,
        } => {
            let mut fields = Extra::new();
            put(&mut fields, "type", Some("json_schema"));
            put(&mut fields, "name", Some(name));
            put(&mut fields, "schema", schema);
            put(&mut fields, "strict", strict);
            put(&mut fields, "description", description);
            Value::Object(fields)
        }
    }
}

/// The items of an input, as they come together.
struct InputItems<'e> {
    encoder: &'e mut Encoder,
    all: Vec<Value>,
    /// Calls of custom tools: their results have another type.
    custom: HashSet<String>,
}

impl<'e> InputItems<'e> {
    fn new(encoder: &'e mut Encoder) -> Self {
        Self {
            encoder,
            all: Vec::new(),
            custom: HashSet::new(),
        }
    }

    /// Adds what one message says: words together, and calls, results and thoughts each as an item of their own.
    fn add(&mut self, path: &str, message: ChatMessage) {
        let mut base = Some(self.encoder.begin(path, message.extra));
        if message.name.is_some() {
            self.encoder.lose(format!("{path}.name"), UNKNOWN);
        }
        let role = message.role;
        let mut words = Vec::new();
        let mut thoughts = Vec::new();
        let (results, others): (Vec<_>, Vec<_>) = message
            .parts
            .into_iter()
            .partition(|part| matches!(part.body, PartBody::ToolResult(_)));
        let is_empty = results.is_empty() && others.is_empty();
        // Results have to follow their calls, whatever the user says beside them.
        for (at, mut part) in results.into_iter().chain(others).enumerate() {
            let path = format!("{path}.content[{at}]");
            self.name_rest(&path, &mut part);
            if !matches!(part.body, PartBody::Reasoning(_)) {
                self.think(&mut base, &path, &std::mem::take(&mut thoughts));
            }
            match part.body {
                PartBody::Reasoning(thought) => {
                    self.say(&mut base, &role, std::mem::take(&mut words));
                    thoughts.push(thought);
                }
                PartBody::ToolCall(call) => {
                    self.say(&mut base, &role, std::mem::take(&mut words));
                    if call.signature.is_some() && !self.encoder.same {
                        let why = "another provider's reasoning";
                        self.encoder.lose(format!("{path}.signature"), why);
                    }
                    self.call(&mut base, call);
                }
                PartBody::ToolResult(result) => self.result(&mut base, &path, result),
                PartBody::Image { .. } | PartBody::Audio { .. } | PartBody::Document { .. }
                    if !self.encoder.same && role == ChatRole::Assistant =>
                {
                    let why = "what the model itself showed";
                    self.encoder.lose_part(&path, part.body.word(), why);
                }
                PartBody::Unknown { value, .. }
                    if self.encoder.same && role == ChatRole::Other(OTHER.to_owned()) =>
                {
                    self.all.push(value);
                    return;
                }
                _ => words.extend(encode_part(self.encoder, &path, &role, part)),
            }
        }
        self.think(&mut base, &format!("{path}.content[0]"), &thoughts);
        if is_empty && self.encoder.same {
            let mut own = base.unwrap_or_default();
            put(&mut own, "role", Some(role_word(&role)));
            self.all.push(Value::Object(own));
            return;
        }
        self.say(&mut base, &role, words);
    }

    /// What is said of a call or a result has no place in their items.
    fn name_rest(&mut self, path: &str, part: &mut ContentPart) {
        let own = matches!(part.body, PartBody::ToolCall(_) | PartBody::ToolResult(_));
        if self.encoder.same || !own {
            return;
        }
        if part.cache.take().is_some() {
            self.encoder.lose(format!("{path}.cache_control"), UNKNOWN);
        }
        let _ = self.encoder.begin(path, std::mem::take(&mut part.extra));
    }

    /// A new item with what is known of it, and its type where that does not stand there.
    fn begin(&self, base: &mut Option<Extra>, kind: &str) -> Extra {
        let mut own = base.take().unwrap_or_default();
        if !self.encoder.same {
            put(&mut own, "type", Some(kind));
        }
        own
    }

    fn say(&mut self, base: &mut Option<Extra>, role: &ChatRole, words: Vec<Value>) {
        if words.is_empty() {
            return;
        }
        let mut own = self.begin(base, "message");
        put(&mut own, "role", Some(role_word(role)));
        put(&mut own, "content", Some(words));
        self.all.push(Value::Object(own));
    }

    fn call(&mut self, base: &mut Option<Extra>, call: ToolCall) {
        let (kind, input) = match call.kind {
            ToolCallKind::Function => ("function_call", "arguments"),
            ToolCallKind::Custom => ("custom_tool_call", "input"),
        };
        let mut own = self.begin(base, kind);
        let id = call.id.map(|mut id| {
            if !self.encoder.same {
                shorten(&mut id, LONGEST_CALL_ID);
            }
            id
        });
        if call.kind == ToolCallKind::Custom {
            self.custom.extend(id.clone());
        }
        let empty = call.arguments.is_empty() && call.kind == ToolCallKind::Function;
        let arguments = match empty && !self.encoder.same {
            true => "{}".to_owned(),
            false => call.arguments,
        };
        put(&mut own, "call_id", id);
        put(&mut own, "name", Some(call.name));
        put(&mut own, input, Some(arguments));
        self.all.push(Value::Object(own));
    }

    fn result(&mut self, base: &mut Option<Extra>, path: &str, mut result: ToolResult) {
        if !self.encoder.same {
            shorten(&mut result.call_id, LONGEST_CALL_ID);
        }
        if result.is_error == Some(true) {
            self.encoder.lose(format!("{path}.is_error"), UNKNOWN);
        }
        let kind = match self.custom.contains(&result.call_id) {
            true => "custom_tool_call_output",
            false => "function_call_output",
        };
        let mut own = self.begin(base, kind);
        put(&mut own, "call_id", Some(result.call_id));
        let mut parts = Vec::new();
        for (at, part) in result.content.into_iter().enumerate() {
            let path = format!("{path}.content[{at}]");
            parts.extend(encode_part(self.encoder, &path, &ChatRole::Tool, part));
        }
        let output = match parts.as_mut_slice() {
            [] if self.encoder.same => None,
            [] => Some(json!("")),
            // As a text where it is nothing more.
            [Value::Object(part)] if part.len() == 2 && is_text(part) => {
                part.get_mut("text").map(Value::take)
            }
            _ => Some(Value::Array(parts)),
        };
        put(&mut own, "output", output);
        self.all.push(Value::Object(own));
    }

    /// Thoughts go back only to who made them.
    fn think(&mut self, base: &mut Option<Extra>, path: &str, thoughts: &[ReasoningPart]) {
        let Some(last) = thoughts.last() else { return };
        let own_make = last.maker.as_deref() == Some(crate::wire::responses::ID);
        let returns = own_make && last.encrypted.is_some();
        if !self.encoder.same && !returns {
            let word = PartBody::Reasoning(last.clone());
            let field = word.word();
            let why = "another provider's reasoning";
            return self.encoder.lose_part(path, field, why);
        }
        let mut own = self.begin(base, "reasoning");
        let seal = Seal {
            maker: last.maker.as_deref().map(str::to_owned),
            signature: last.signature.clone(),
            encrypted: last.encrypted.clone(),
            call: None,
        };
        for (name, kind) in THOUGHTS {
            let usual = |field: &str| field == name || (name == "summary" && field != "content");
            let texts = thoughts.iter().filter(|thought| usual(thought.field));
            let texts = texts.filter_map(|thought| thought.text.as_deref());
            let entries: Vec<Value> = texts
                .map(|text| json!({"type": kind, "text": text}))
                .collect();
            put(&mut own, name, (!entries.is_empty()).then_some(entries));
        }
        if !self.encoder.same {
            own.entry("summary").or_insert(json!([]));
        }
        put(&mut own, "encrypted_content", seal.write());
        self.all.push(Value::Object(own));
    }
}

fn role_word(role: &ChatRole) -> String {
    match role {
        ChatRole::System => "system".to_owned(),
        ChatRole::Developer => "developer".to_owned(),
        ChatRole::User | ChatRole::Tool => "user".to_owned(),
        ChatRole::Assistant => "assistant".to_owned(),
        ChatRole::Other(word) => word.clone(),
    }
}

/// Whether it is the usual part for a text.
fn is_text(part: &Extra) -> bool {
    part.get("type") == Some(&json!("input_text")) && part.contains_key("text")
}
