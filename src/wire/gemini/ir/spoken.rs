//! The parts of an answer, whole or in a stream.

use serde_json::{Value, json};

use super::carried;
use super::content::arguments;
use super::conversation::ON_TEXT;
use super::fields::UNKNOWN;
use super::media;
use super::tools::custom_arguments;
use crate::wire::gemini::ID;
use crate::wire::gemini::tool_names::GeminiToolNames;
use crate::wire::ir::fields::{Encoder, put};
use crate::wire::ir::{ContentPart, PartBody, ReasoningPart, ToolCall, ToolCallKind};

/// Writes the parts of one candidate.
pub(super) struct AnswerParts<'a> {
    names: &'a GeminiToolNames,
    parts: Vec<Value>,
    /// What the next call is to carry.
    carried: Option<String>,
}

impl<'a> AnswerParts<'a> {
    /// To a request whose tools have these names.
    pub(super) fn new(names: &'a GeminiToolNames) -> Self {
        Self {
            names,
            parts: Vec::new(),
            carried: None,
        }
    }

    /// Adds a part.
    pub(super) fn part(&mut self, encoder: &mut Encoder, path: &str, part: ContentPart) {
        let ContentPart { body, extra, .. } = part;
        let mut own = encoder.begin(path, extra);
        match body {
            PartBody::Text { text, citations } => {
                if !citations.is_empty() && !encoder.same {
                    encoder.lose(format!("{path}.annotations"), UNKNOWN);
                }
                if text.is_empty() && !encoder.same {
                    return;
                }
                put(&mut own, "text", Some(text));
            }
            PartBody::Refusal(text) if text.is_empty() => return,
            PartBody::Refusal(text) => put(&mut own, "text", Some(text)),
            PartBody::Reasoning(reasoning) => return self.reasoning(encoder, own, reasoning),
            PartBody::ToolCall(call) => return self.call(encoder, own, call),
            PartBody::Image { source, .. } => match media::encode(source, None, "image/png") {
                Ok(media) => own.extend(media),
                Err(why) => return encoder.lose(path, why),
            },
            PartBody::Document { source, name } => {
                match media::encode_named(source, name, "application/octet-stream") {
                    Ok(media) => own.extend(media),
                    Err(why) => return encoder.lose(path, why),
                }
            }
            PartBody::Audio { data, format } => own.extend(media::encode_audio(&data, &format)),
            PartBody::Unknown { value, .. } if encoder.same => return self.parts.push(value),
            PartBody::Unknown { .. } | PartBody::ToolResult(_) => {
                return encoder.lose(path, "Gemini has no such part");
            }
        }
        self.parts.push(Value::Object(own));
    }

    fn reasoning(
        &mut self,
        encoder: &Encoder,
        mut own: crate::wire::ir::Extra,
        reasoning: ReasoningPart,
    ) {
        if encoder.same {
            if reasoning.field == ON_TEXT
                && let Some(Value::Object(text)) = self.parts.last_mut()
            {
                return put(text, "thoughtSignature", reasoning.signature);
            }
            put(&mut own, "thought", reasoning.text.as_ref().map(|_| true));
            put(&mut own, "text", Some(reasoning.text.unwrap_or_default()));
            put(&mut own, "thoughtSignature", reasoning.signature);
            return self.parts.push(Value::Object(own));
        }
        if let Some(text) = reasoning.text.as_deref().filter(|text| !text.is_empty()) {
            self.parts.push(json!({"text": text, "thought": true}));
        }
        if let Some(carried) = signature_of(reasoning) {
            self.carried = Some(carried);
        }
    }

    fn call(&mut self, encoder: &Encoder, mut own: crate::wire::ir::Extra, call: ToolCall) {
        let mut inner = match own.remove("functionCall") {
            Some(Value::Object(inner)) => inner,
            _ => crate::wire::ir::Extra::new(),
        };
        if let Some(id) = call.id {
            inner.entry("id").or_insert(id.into());
        }
        let name = match encoder.same {
            true => call.name,
            false => self.names.meant(call.name),
        };
        put(&mut inner, "name", Some(name));
        let args = match call.kind {
            ToolCallKind::Custom => custom_arguments(&call.arguments),
            ToolCallKind::Function => arguments(&call.arguments),
        };
        inner.entry("args").or_insert(args);
        put(&mut own, "functionCall", Some(Value::Object(inner)));
        let signature = call.signature.or_else(|| self.carried.take());
        put(&mut own, "thoughtSignature", signature);
        self.parts.push(Value::Object(own));
    }

    /// The next call is to carry this.
    pub(super) fn carry(&mut self, signature: String) {
        self.carried = Some(signature);
    }

    /// All of them.
    pub(super) fn finish(self) -> Vec<Value> {
        self.parts
    }
}

/// What a call carries of reasoning that has to come back: Google's own signature, or all of another provider's.
pub(super) fn signature_of(reasoning: ReasoningPart) -> Option<String> {
    if reasoning.signature.is_none() && reasoning.encrypted.is_none() {
        return None;
    }
    if reasoning.maker.as_deref() == Some(ID) {
        return reasoning.signature;
    }
    Some(carried::pack(&reasoning))
}
