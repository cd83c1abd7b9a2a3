//! Requests to Gemini upstreams.

use serde_json::{Value, json};

use super::content::Writer;
use super::fields::{UNKNOWN, encoder};
use super::settings::{self, Settings};
use super::tools;
use crate::wire::gemini::generation::signed_parts;
use crate::wire::ir::fields::{Encoder, put};
use crate::wire::ir::tier::{Tier, TierWords};
use crate::wire::ir::{
    AllowedTools, ChatMessage, ChatRequest, ChatRole, Extra, Losses, ToolChoice,
};

/// Writes the body of a request, and says what has no place in it. The model and whether the answer is streamed stand in
/// the path.
pub(in crate::wire::gemini) fn encode_request(mut request: ChatRequest) -> (Value, Losses) {
    let mut encoder = encoder(request.origin);
    let allowed = match encoder.same {
        true => None,
        false => AllowedTools::take(&mut request),
    };
    // Names are told where one must be called alone.
    let mut only = None;
    match allowed {
        Some(AllowedTools {
            names,
            required: true,
        }) => {
            request.tool_choice = Some(ToolChoice::Required);
            only = Some(names);
        }
        Some(allowed) => allowed.apply(&mut request),
        None => {}
    }
    let model = request.model.unwrap_or_default();
    let mut extra = request.extra;
    let mut fields = Extra::new();
    if !encoder.same {
        settings::take_google(&mut extra, &mut fields);
        settings::take_modalities(&mut extra, &mut fields);
    }
    fields.extend(encoder.begin("", extra));
    let mut settings = Settings {
        max_output_tokens: request.max_output_tokens,
        sampling: request.sampling,
        format: request.format,
        reasoning: request.reasoning,
    };
    settings::encode(&mut encoder, &mut fields, &mut settings, &model);
    encode_messages(&mut encoder, &mut fields, request.messages, &model);
    tools::encode(&mut encoder, &mut fields, request.tools);
    if fields.contains_key("tools") || encoder.same {
        tools::encode_choice(&mut fields, request.tool_choice, only);
    }
    if request.parallel_tool_calls == Some(false) {
        encoder.lose("parallel_tool_calls", UNKNOWN);
    }
    if request.user.is_some() {
        encoder.lose("user", UNKNOWN);
    }
    if !request.metadata.is_empty() {
        encoder.lose("metadata", UNKNOWN);
    }
    put_tier(&mut encoder, &mut fields, request.service_tier);
    (Value::Object(fields), encoder.losses)
}

/// The queue that is asked for.
fn put_tier(encoder: &mut Encoder, fields: &mut Extra, tier: Option<String>) {
    let Some(tier) = tier else { return };
    match TierWords::Gemini.asked(&tier) {
        _ if encoder.same => put(fields, "serviceTier", Some(tier)),
        Tier::Word(word) => put(fields, "serviceTier", Some(word)),
        Tier::Usual => {}
        Tier::Missing => encoder.lose("service_tier", UNKNOWN),
    }
}

/// The conversation: instructions at its beginning stand by themselves, later ones where they stood, as the user's words.
fn encode_messages(
    encoder: &mut Encoder,
    fields: &mut Extra,
    messages: Vec<ChatMessage>,
    model: &str,
) {
    let mut writer = Writer::new(encoder, signed_parts(model));
    let mut instructions = Vec::new();
    let mut instruction_fields = Extra::new();
    let mut begins = true;
    for (at, message) in messages.into_iter().enumerate() {
        let path = format!("messages[{at}]");
        let instructs = matches!(message.role, ChatRole::System | ChatRole::Developer);
        // In Google's own form there is only one, and it comes first.
        if begins && instructs && (at == 0 || !writer.encoder.same) {
            let (parts, extra) = writer.instruction(&path, message);
            instructions.extend(parts);
            instruction_fields.extend(extra);
            continue;
        }
        begins = false;
        writer.message(&path, message);
    }
    let same = writer.encoder.same;
    let mut contents = writer.finish();
    if contents.is_empty() && !instructions.is_empty() && !same {
        // Something has to be asked.
        contents.push(json!({"role": "user", "parts": std::mem::take(&mut instructions)}));
    }
    if !instructions.is_empty() {
        put(&mut instruction_fields, "parts", Some(instructions));
        put(
            fields,
            "systemInstruction",
            Some(Value::Object(instruction_fields)),
        );
    }
    put(fields, "contents", Some(contents));
}
