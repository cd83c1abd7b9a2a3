//! Requests of Gemini's clients.

use serde_json::Value;

use super::conversation::Reader;
use super::settle::settled_request;
use super::{settings, tools};
use crate::wire::gemini::ID;
use crate::wire::gemini::names::{bare_model, camel};
use crate::wire::ir::fields::{list, take, text};
use crate::wire::ir::{ChatMessage, ChatRequest, ChatRole, ContentPart, Loss, ToolDefinition};
use crate::wire::json;
use crate::wire::request::RequestDoc;
use crate::wire::spelling::Spelling;

/// What Gemini's API calls the fields of the neutral form.
pub(in crate::wire::gemini) const SPELLING: Spelling = &[
    ("sampling.stop", "generationConfig.stopSequences"),
    ("sampling.temperature", "generationConfig.temperature"),
    ("sampling.top_p", "generationConfig.topP"),
    ("sampling.top_k", "generationConfig.topK"),
    ("sampling.seed", "generationConfig.seed"),
    ("sampling.candidates", "generationConfig.candidateCount"),
    (
        "sampling.frequency_penalty",
        "generationConfig.frequencyPenalty",
    ),
    (
        "sampling.presence_penalty",
        "generationConfig.presencePenalty",
    ),
    ("sampling.logprobs", "generationConfig.responseLogprobs"),
    ("sampling.top_logprobs", "generationConfig.logprobs"),
    ("max_output_tokens", "generationConfig.maxOutputTokens"),
    ("format", "generationConfig.responseSchema"),
    (
        "reasoning.effort",
        "generationConfig.thinkingConfig.thinkingLevel",
    ),
    (
        "reasoning.budget_tokens",
        "generationConfig.thinkingConfig.thinkingBudget",
    ),
    (
        "reasoning.summary",
        "generationConfig.thinkingConfig.includeThoughts",
    ),
    ("reasoning", "generationConfig.thinkingConfig"),
    ("service_tier", "serviceTier"),
    ("tool_choice", "toolConfig"),
    ("messages", "contents"),
    ("*.document", "inlineData"),
    ("*.image", "inlineData"),
    ("*.audio", "inlineData"),
    ("*.file_id", "fileData"),
    ("*.reasoning", "thought"),
    ("*.signature", "thoughtSignature"),
    ("*.is_error", "functionResponse.error"),
];

/// Reads a request, or what is to be counted of one.
///
/// # Errors
/// A body that is no object or has too many parts, or a content that is no object.
pub(in crate::wire::gemini) fn decode_call(doc: &RequestDoc) -> Result<ChatRequest, Loss> {
    let mut body = json::whole_object(doc.body())
        .ok_or_else(|| Loss::new("", "the body is no object, or has too many parts"))?;
    for name in ["generateContentRequest", "generate_content_request"] {
        if let Some(Value::Object(inner)) = body.get_mut(name) {
            body = std::mem::take(inner);
        }
    }
    let mut request = settled_request(decode_request(Value::Object(body))?);
    request.stream = Some(doc.stream());
    // Streams always end with token counts here.
    request.stream_usage = doc.stream().then_some(true);
    Ok(request)
}

/// Reads the body of a request.
///
/// # Errors
/// A body that is no object, or a content that is none.
pub(super) fn decode_request(body: Value) -> Result<ChatRequest, Loss> {
    let names = tools::names(body.get("tools").unwrap_or(&Value::Null));
    let Value::Object(mut fields) = body else {
        return Err(Loss::new("", "the body is no object"));
    };
    camel(&mut fields);
    let mut request = ChatRequest::new(ID);
    let model = text(&mut fields, "model");
    request.model = model.map(|model| bare_model(&model).to_owned());
    settings::decode(&mut fields, &mut request);
    request.tools = tools::decode(&mut fields, &names);
    let (choice, allowed) = tools::decode_choice(&mut fields, &names);
    request.tool_choice = choice;
    if let Some(allowed) = allowed {
        // One of these must be called: the others might as well not be there.
        request.tools.retain(|tool| match tool {
            ToolDefinition::Function { name, .. } => allowed.contains(name),
            ToolDefinition::Custom { .. } | ToolDefinition::Native { .. } => true,
        });
    }
    let mut reader = Reader::of_request(names);
    if let Some(system) = system_of(&mut fields, &mut reader)? {
        request.messages.push(system);
    }
    let contents = contents_of(&mut fields);
    for (at, content) in contents.into_iter().enumerate() {
        let message = reader.content(&format!("contents[{at}]"), content)?;
        request.messages.push(message);
    }
    request.service_tier = text(&mut fields, "serviceTier").map(|tier| tier_of(&tier));
    request.extra = fields;
    Ok(request)
}

/// A queue, by the short name that Google has for it.
pub(in crate::wire::gemini) fn tier_of(word: &str) -> String {
    let word = word.to_ascii_lowercase();
    match word.strip_prefix("service_tier_") {
        Some(tier) => tier.to_owned(),
        None => word,
    }
}

/// A list of contents; a single one, or a text, in place of it.
fn contents_of(fields: &mut crate::wire::ir::Extra) -> Vec<Value> {
    if let Some(all) = list(fields, "contents") {
        return all;
    }
    let one = take(fields, "contents", |value| match value {
        Value::Object(_) => Some(Some(value.clone())),
        Value::String(text) => Some(Some(serde_json::json!({"parts": [{"text": text}]}))),
        Value::Array(_) => Some(None),
        _ => None,
    });
    one.flatten().into_iter().collect()
}

fn system_of(
    fields: &mut crate::wire::ir::Extra,
    reader: &mut Reader,
) -> Result<Option<ChatMessage>, Loss> {
    let Some(value) = fields.remove("systemInstruction") else {
        return Ok(None);
    };
    let message = match value {
        Value::Null => return Ok(None),
        Value::String(text) => ChatMessage {
            role: ChatRole::System,
            parts: vec![ContentPart::text(text)],
            name: None,
            extra: Default::default(),
        },
        // Its role means nothing, and clients write several words there.
        value => ChatMessage {
            role: ChatRole::System,
            ..reader.content("systemInstruction", value)?
        },
    };
    Ok(Some(message).filter(|message| !message.parts.is_empty()))
}
