//! Requests of other dialects as chat completions take them.
//!
//! Hosts of this API differ in how much they take: what all of them take is preferred. Texts are one text, results of tools
//! are texts and follow their calls at once, marks for caches and thoughts of other makers stay out.

use serde_json::Number;

use super::fields::{Encoder, UNKNOWN};
use super::responses::shared;
use crate::wire::ir::ids::{self, LONGEST_CALL_ID};
use crate::wire::ir::tier::{Tier, TierWords};
use crate::wire::ir::{
    ChatMessage, ChatRequest, ChatRole, ContentPart, Extra, MediaSource, PartBody, ReasoningConfig,
    ResponseFormat, ToolChoice, ToolDefinition,
};
use crate::wire::openai::generation::{fit_sampling, is_new};
use crate::wire::reasoning::{self, OffSwitch};

/// Stands in the result of a tool in place of what tool messages do not take.
const FOLLOWS: &str = "(see the next message)";
/// What stands between texts that become one.
const BETWEEN: &str = "\n\n";
/// Parts of the names of models that refuse an effort of reasoning.
const UNREASONING: [&str; 12] = [
    "gpt-3",
    "gpt-4",
    "chatgpt",
    "davinci",
    "llama",
    "mixtral",
    "mistral",
    "gemma",
    "command-r",
    "phi-3",
    "claude-3-5",
    "claude-3-haiku",
];

/// The name of the limit of tokens for this model.
pub(super) fn limit_name(model: Option<&str>) -> &'static str {
    match is_new(model.unwrap_or_default()) {
        true => "max_completion_tokens",
        false => "max_tokens",
    }
}

/// Makes a request of another dialect fit. Returns fields that have no typed place in the neutral form.
pub(super) fn fit(encoder: &mut Encoder, request: &mut ChatRequest) -> Extra {
    let mut own = Extra::new();
    if request.origin == crate::wire::responses::ID {
        shared(&mut request.extra, &mut own, &request.tools);
    }
    let model = request.model.clone().unwrap_or_default();
    // Token counts are told in other dialects whether they were asked for or not.
    request.stream_usage = (request.stream == Some(true)).then_some(true);
    let messages = std::mem::take(&mut request.messages);
    request.messages = fit_messages(encoder, messages);
    fit_tools(encoder, request);
    fit_reasoning(encoder, &model, &mut request.reasoning);
    let effort = request.reasoning.effort.as_deref();
    fit_sampling(&mut request.sampling, &model, effort, |path, why| {
        encoder.lose(path, why);
    });
    if request.sampling.top_k.take().is_some() {
        encoder.lose("sampling.top_k", UNKNOWN);
    }
    if let Some(user) = &mut request.user {
        ids::disguise(user, LONGEST_CALL_ID);
    }
    if !request.metadata.is_empty() {
        // It goes with stored completions only.
        encoder.lose("metadata", UNKNOWN);
        request.metadata = Extra::new();
    }
    request.service_tier =
        request
            .service_tier
            .take()
            .and_then(|tier| match TierWords::OpenAi.asked(&tier) {
                Tier::Word(word) => Some(word.to_owned()),
                Tier::Usual => None,
                Tier::Missing => {
                    encoder.lose("service_tier", UNKNOWN);
                    None
                }
            });
    request.format = request.format.take().map(ResponseFormat::named);
    own
}

fn fit_tools(encoder: &mut Encoder, request: &mut ChatRequest) {
    for (at, tool) in request.tools.iter_mut().enumerate() {
        if let ToolDefinition::Function { cache, .. } = tool
            && cache.take().is_some()
        {
            encoder.lose(format!("tools[{at}].cache_control"), UNKNOWN);
        }
    }
    let has = |wanted: Option<&str>| {
        request.tools.iter().any(|tool| match tool {
            ToolDefinition::Function { name, .. } | ToolDefinition::Custom { name, .. } => {
                wanted.is_none_or(|wanted| wanted == name)
            }
            ToolDefinition::Native { .. } => false,
        })
    };
    // Without tools both are refused, and a choice of one that is not there.
    let missing = matches!(&request.tool_choice, Some(ToolChoice::Named(name)) if !has(Some(name)));
    let any = has(None);
    if !any || missing {
        request.tool_choice = None;
    }
    if !any {
        request.parallel_tool_calls = None;
    }
}

fn fit_reasoning(encoder: &mut Encoder, model: &str, config: &mut ReasoningConfig) {
    let budget = config.budget_tokens.take();
    // What thoughts there are is told anyway.
    if config
        .summary
        .take()
        .is_some_and(|summary| summary != "auto")
    {
        encoder.lose("reasoning.summary", UNKNOWN);
    }
    if config.enabled == Some(false) {
        config.effort = None;
        match reasoning::off_switch(model) {
            OffSwitch::Effort => config.effort = Some("none".to_owned()),
            OffSwitch::Missing => encoder.lose("reasoning", "the model always reasons"),
            OffSwitch::Needless => {}
        }
        return;
    }
    let by_budget = budget
        .as_ref()
        .and_then(Number::as_u64)
        .map(|budget| match budget {
            0..4096 => "low",
            4096..16_384 => "medium",
            _ => "high",
        });
    config.effort = config
        .effort
        .take()
        .or_else(|| by_budget.map(str::to_owned));
    let lower = model.to_ascii_lowercase();
    let refuses = UNREASONING.iter().any(|part| lower.contains(part));
    if refuses && config.effort.take().is_some() {
        encoder.lose("reasoning.effort", "the model does not reason");
    }
}

/// Messages in which results of tools follow their calls at once, and what else came with them after those.
fn fit_messages(encoder: &mut Encoder, messages: Vec<ChatMessage>) -> Vec<ChatMessage> {
    let mut out = Vec::with_capacity(messages.len());
    let mut after: Vec<ContentPart> = Vec::new();
    for (at, mut message) in messages.into_iter().enumerate() {
        let path = format!("messages[{at}]");
        let parts = std::mem::take(&mut message.parts);
        let parts = parts.into_iter().enumerate();
        let is_answer = message.role == ChatRole::Assistant;
        let parts: Vec<ContentPart> = parts
            .filter_map(|(at, part)| {
                let path = format!("{path}.content[{at}]");
                match part.body {
                    PartBody::Image { .. } | PartBody::Audio { .. } | PartBody::Document { .. }
                        if is_answer =>
                    {
                        lost(encoder, &path, &part.body, "what the model itself showed")
                    }
                    _ => fit_part(encoder, &path, part),
                }
            })
            .collect();
        let (results, rest): (Vec<_>, Vec<_>) = parts
            .into_iter()
            .partition(|part| matches!(part.body, PartBody::ToolResult(_)));
        if results.is_empty() && !after.is_empty() {
            out.push(user(std::mem::take(&mut after)));
        }
        for result in results {
            let (result, media) = text_result(result);
            after.extend(media);
            out.push(ChatMessage {
                role: ChatRole::Tool,
                parts: vec![result],
                name: None,
                extra: Extra::new(),
            });
        }
        let follows = out
            .last()
            .is_some_and(|last: &ChatMessage| last.role == ChatRole::Tool);
        if follows && matches!(message.role, ChatRole::User | ChatRole::Tool) {
            after.extend(rest);
            let _ = encoder.begin(&path, message.extra);
            continue;
        }
        if message.role == ChatRole::Developer {
            // Few hosts know it, and all of them know the older name.
            message.role = ChatRole::System;
        }
        if rest.is_empty() {
            let _ = encoder.begin(&path, message.extra);
            continue;
        }
        message.parts = join(rest, BETWEEN);
        out.push(message);
    }
    if !after.is_empty() {
        out.push(user(after));
    }
    out
}

fn user(parts: Vec<ContentPart>) -> ChatMessage {
    ChatMessage {
        role: ChatRole::User,
        parts: join(parts, BETWEEN),
        name: None,
        extra: Extra::new(),
    }
}

/// One part; `None` for one that has no place.
fn fit_part(encoder: &mut Encoder, path: &str, mut part: ContentPart) -> Option<ContentPart> {
    if part.cache.take().is_some() {
        encoder.lose(format!("{path}.cache_control"), UNKNOWN);
    }
    match &mut part.body {
        PartBody::Text { text, citations } => {
            if !citations.is_empty() {
                citations.clear();
                encoder.lose(format!("{path}.citations"), UNKNOWN);
            }
            (!text.is_empty()).then_some(part)
        }
        PartBody::Reasoning(thought) => {
            let own = thought.maker.as_deref() == Some(crate::wire::openai::ID);
            thought.signature = None;
            thought.encrypted = None;
            if own && thought.text.is_some() {
                return Some(part);
            }
            let why = "a thought goes back to its maker only";
            lost(encoder, path, &part.body, why)
        }
        PartBody::Document { source, name } => {
            let (text, remote) = match &*source {
                MediaSource::Url(url) => (MediaSource::plain_text(url), url.starts_with("http")),
                MediaSource::FileId(_) => (None, true),
                MediaSource::Inline(_) => (None, false),
            };
            if let Some(text) = text {
                let text = match name {
                    Some(name) => format!("{name}:\n{text}"),
                    None => text,
                };
                return Some(ContentPart::text(text));
            }
            if remote {
                let why = "chat completions take documents in the request only";
                return lost(encoder, path, &part.body, why);
            }
            Some(part)
        }
        PartBody::Image {
            source: MediaSource::FileId(_),
            ..
        } => lost(encoder, path, &part.body, "a file of another provider"),
        PartBody::ToolCall(call) => {
            if let Some(id) = &mut call.id {
                ids::shorten(id, LONGEST_CALL_ID);
            }
            Some(part)
        }
        PartBody::ToolResult(result) => {
            ids::shorten(&mut result.call_id, LONGEST_CALL_ID);
            let content = std::mem::take(&mut result.content).into_iter().enumerate();
            result.content = content
                .filter_map(|(at, part)| fit_part(encoder, &format!("{path}.content[{at}]"), part))
                .collect();
            Some(part)
        }
        PartBody::Unknown { .. } => lost(encoder, path, &part.body, super::message::NO_PART),
        _ => Some(part),
    }
}

/// Nothing, where a part has no place.
fn lost(
    encoder: &mut Encoder,
    path: &str,
    part: &PartBody,
    why: &'static str,
) -> Option<ContentPart> {
    encoder.lose_part(path, part.word(), why);
    None
}

/// A result that is one text, and what of it is none.
fn text_result(mut part: ContentPart) -> (ContentPart, Vec<ContentPart>) {
    let mut media = Vec::new();
    if let PartBody::ToolResult(result) = &mut part.body {
        let content = std::mem::take(&mut result.content);
        let (texts, others): (Vec<_>, Vec<_>) = content.into_iter().partition(is_text);
        media = others;
        result.content = match join(texts, BETWEEN) {
            // There must be a content.
            texts if texts.is_empty() && media.is_empty() => vec![ContentPart::text("")],
            texts if texts.is_empty() => vec![ContentPart::text(FOLLOWS)],
            texts => texts,
        };
    }
    (part, media)
}

fn is_text(part: &ContentPart) -> bool {
    matches!(part.body, PartBody::Text { .. })
}

/// Texts as one text, with this between them, where nothing but texts is shown.
pub(super) fn join(parts: Vec<ContentPart>, between: &str) -> Vec<ContentPart> {
    let shows = |part: &ContentPart| {
        !matches!(
            part.body,
            PartBody::Text { .. }
                | PartBody::Reasoning(_)
                | PartBody::ToolCall(_)
                | PartBody::Refusal(_)
        )
    };
    let texts = parts.iter().filter(|part| is_text(part)).count();
    if texts < 2 || parts.iter().any(shows) {
        return parts;
    }
    let mut all = String::new();
    let mut cited = Vec::new();
    let mut joined = Vec::with_capacity(parts.len());
    let mut place = None;
    for part in parts {
        match part.body {
            PartBody::Text { text, citations } => {
                place.get_or_insert(joined.len());
                cited.extend(citations);
                if !all.is_empty() && !text.is_empty() {
                    all.push_str(between);
                }
                all.push_str(&text);
            }
            _ => joined.push(part),
        }
    }
    let text = PartBody::Text {
        text: all,
        citations: cited,
    };
    joined.insert(place.unwrap_or(0), ContentPart::new(text));
    joined
}
