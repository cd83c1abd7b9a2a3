//! Requests of other dialects as chat completions take them: what has another place, another name or a bound here.

use serde_json::{Number, Value, json};

use super::fields::{Encoder, UNKNOWN, put};
use crate::wire::ir::ids::{self, LONGEST_CALL_ID};
use crate::wire::ir::{
    ChatMessage, ChatRequest, ChatRole, ContentPart, Extra, PartBody, ToolDefinition, ToolResult,
};
use crate::wire::reasoning::model_reasons;

/// Stands in the result of a tool in place of what tool messages do not take.
const FOLLOWS: &str = "(see the next message)";
/// Efforts by the most tokens of thinking that go with them, as Anthropic's and Google's guides relate the two.
const EFFORTS: [(u64, &str); 3] = [(4096, "low"), (16_384, "medium"), (u64::MAX, "high")];

/// Puts everything into the place that it has here. Returns fields that have no typed place in the neutral form.
pub(super) fn fit(encoder: &mut Encoder, request: &mut ChatRequest) -> Extra {
    let mut own = Extra::new();
    if request.origin == crate::wire::responses::ID {
        shared(&mut request.extra, &mut own, &request.tools);
    }
    let messages = std::mem::take(&mut request.messages);
    request.messages = with_media_behind(messages);
    for part in request.messages.iter_mut().flat_map(|one| &mut one.parts) {
        match &mut part.body {
            PartBody::ToolCall(call) => {
                if let Some(id) = &mut call.id {
                    ids::shorten(id, LONGEST_CALL_ID);
                }
            }
            PartBody::ToolResult(result) => ids::shorten(&mut result.call_id, LONGEST_CALL_ID),
            _ => {}
        }
    }
    if !request.metadata.is_empty() {
        // It goes with stored completions only.
        encoder.lose("metadata", UNKNOWN);
        request.metadata = Extra::new();
    }
    if let Some(user) = &mut request.user {
        ids::disguise(user, LONGEST_CALL_ID);
    }
    if request.tools.is_empty() {
        // Refused without tools.
        request.tool_choice = None;
        request.parallel_tool_calls = None;
    }
    if request.stream == Some(true) {
        // The caller's dialect tells token counts whether they were asked for or not.
        request.stream_usage = Some(true);
    } else {
        request.stream_usage = None;
    }
    think(encoder, request);
    own
}

/// How much the model is to think: an effort, also where a number of tokens was meant.
fn think(encoder: &mut Encoder, request: &mut ChatRequest) {
    let model = request.model.as_deref().unwrap_or_default();
    let reasoning = &mut request.reasoning;
    let budget = reasoning.budget_tokens.take();
    let tokens = budget.as_ref().and_then(Number::as_u64);
    if reasoning.effort.is_some() || budget.is_none() {
        return;
    }
    // Models that do not reason refuse an effort.
    match tokens.filter(|tokens| *tokens > 0 && model_reasons(model)) {
        Some(tokens) => {
            let fits = EFFORTS.iter().find(|(most, _)| tokens <= *most);
            reasoning.effort = fits.map(|(_, effort)| (*effort).to_owned());
        }
        None if tokens == Some(0) => {}
        None => encoder.lose("reasoning.budget_tokens", UNKNOWN),
    }
}

/// What the Responses API has in common with chat completions, under another name or in another place.
fn shared(extra: &mut Extra, own: &mut Extra, tools: &[ToolDefinition]) {
    if let Some(Value::Object(text)) = extra.get_mut("text") {
        put(own, "verbosity", text.remove("verbosity"));
    }
    let custom = |name: &str| {
        let mut all = tools.iter();
        all.any(|tool| matches!(tool, ToolDefinition::Custom { name: own, .. } if own == name))
    };
    let nested = |choice: &Value| {
        let name = choice.get("name")?.as_str()?;
        let kind = if custom(name) { "custom" } else { "function" };
        Some(json!({"type": kind, kind: {"name": name}}))
    };
    let choice = extra.get("tool_choice").and_then(|choice| match choice.get("type")?.as_str()? {
        "custom" | "function" => nested(choice),
        "allowed_tools" => {
            let allowed = choice.get("tools")?.as_array()?;
            let allowed: Option<Vec<Value>> = allowed.iter().map(nested).collect();
            let mode = choice.get("mode")?.as_str()?;
            Some(json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed?}}))
        }
        _ => None,
    });
    if choice.is_some() {
        extra.remove("tool_choice");
        put(own, "tool_choice", choice);
    }
}

/// Tool messages take text only: pictures and files that tools answered follow in a message of the user, behind all results
/// that belong together.
fn with_media_behind(messages: Vec<ChatMessage>) -> Vec<ChatMessage> {
    let mut all: Vec<ChatMessage> = Vec::with_capacity(messages.len());
    let mut waiting = Vec::new();
    for mut message in messages {
        let has_results = message
            .parts
            .iter()
            .any(|part| matches!(part.body, PartBody::ToolResult(_)));
        if has_results {
            for part in &mut message.parts {
                if let PartBody::ToolResult(result) = &mut part.body {
                    waiting.append(&mut media_of(result));
                }
            }
            let only_results = message
                .parts
                .iter()
                .all(|part| matches!(part.body, PartBody::ToolResult(_)));
            if !only_results {
                message.parts.append(&mut waiting);
            }
        } else if !waiting.is_empty() {
            match message.role {
                ChatRole::User => {
                    waiting.append(&mut message.parts);
                    message.parts = std::mem::take(&mut waiting);
                }
                _ => all.push(of_user(std::mem::take(&mut waiting))),
            }
        }
        all.push(message);
    }
    if !waiting.is_empty() {
        all.push(of_user(waiting));
    }
    all
}

fn of_user(parts: Vec<ContentPart>) -> ChatMessage {
    ChatMessage {
        role: ChatRole::User,
        parts,
        name: None,
        extra: Extra::new(),
    }
}

/// Takes out of a result what tool messages do not take.
fn media_of(result: &mut ToolResult) -> Vec<ContentPart> {
    let is_media = |part: &ContentPart| {
        matches!(
            part.body,
            PartBody::Image { .. } | PartBody::Audio { .. } | PartBody::Document { .. }
        )
    };
    let content = std::mem::take(&mut result.content);
    let (media, rest): (Vec<_>, Vec<_>) = content.into_iter().partition(is_media);
    result.content = rest;
    if result.content.is_empty() {
        let text = if media.is_empty() { "" } else { FOLLOWS };
        result.content.push(ContentPart::text(text));
    }
    media
}

/// The name under which a model takes the limit of tokens: those of OpenAI that reason refuse the old one, which is the only
/// one that many other providers know.
pub(super) fn limit_name(model: Option<&str>) -> &'static str {
    let model = model.unwrap_or_default();
    let model = model.rsplit(['/', ':']).next().unwrap_or_default();
    let mut letters = model.strip_prefix('o').unwrap_or_default().chars();
    let is_o = letters.next().is_some_and(|letter| letter.is_ascii_digit());
    let version = model.strip_prefix("gpt-").unwrap_or_default();
    let is_new = version.starts_with(|letter: char| ('5'..='9').contains(&letter));
    match is_o || is_new {
        true => "max_completion_tokens",
        false => "max_tokens",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_models_that_refuse_the_old_limit_get_the_new_one() {
        for (model, name) in [
            ("gpt-5.6", "max_completion_tokens"),
            ("openai/o4-mini", "max_completion_tokens"),
            ("gpt-4o", "max_tokens"),
            ("openai/gpt-oss-120b", "max_tokens"),
            ("olmo-2", "max_tokens"),
            ("llama-3.3-70b", "max_tokens"),
        ] {
            assert_eq!(limit_name(Some(model)), name, "{model}");
        }
    }
}
