//! The parts of an answer, whole or in a stream.

use std::borrow::Cow;

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
    /// The dialect that answered.
    origin: &'static str,
    parts: Vec<Value>,
    /// What the next call is to carry, or the thought itself, where no call follows.
    carried: Option<CarriedThought>,
}

/// What signs a thought, or holds all of it.
struct CarriedThought {
    signature: String,
    /// Where the thought stands, or would stand if it had words; at the end where those have gone out.
    place: Option<usize>,
    /// Whether its maker wants it back. What nobody signed goes with calls alone.
    sealed: bool,
}

impl<'a> AnswerParts<'a> {
    /// To a request whose tools have these names, from an upstream of the dialect `origin`.
    pub(super) fn new(names: &'a GeminiToolNames, origin: &'static str) -> Self {
        Self {
            names,
            origin,
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
            body @ (PartBody::Unknown { .. } | PartBody::ToolResult(_)) => {
                let path = format!("{path}.parts[0]");
                return encoder.lose_part(&path, body.word(), "Gemini has no such part");
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
        let sealed = is_sealed(&reasoning);
        let text = reasoning.text.clone().filter(|text| !text.is_empty());
        let signature = signature_of(reasoning, self.origin);
        if signature.is_some() {
            self.settle();
        }
        let place = Some(self.parts.len());
        self.parts
            .extend(text.map(|text| json!({"text": text, "thought": true})));
        if let Some(signature) = signature {
            self.carried = Some(CarriedThought {
                signature,
                place,
                sealed,
            });
        }
    }

    /// What no call has taken goes with its thought.
    fn settle(&mut self) {
        let Some(carried) = self.carried.take().filter(|carried| carried.sealed) else {
            return;
        };
        let place = carried.place.unwrap_or(self.parts.len());
        match self.parts.get_mut(place) {
            Some(Value::Object(thought)) if thought.contains_key("thought") => {
                put(thought, "thoughtSignature", Some(carried.signature));
            }
            _ => self.parts.insert(place, signed_thought(&carried.signature)),
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
        let signature = call.signature.or_else(|| {
            let carried = self.carried.take();
            carried.map(|carried| carried.signature)
        });
        put(&mut own, "thoughtSignature", signature);
        self.parts.push(Value::Object(own));
    }

    /// The next call is to carry this, of a thought whose words have gone out.
    pub(super) fn carry(&mut self, signature: String, sealed: bool) {
        self.carried = Some(CarriedThought {
            signature,
            place: None,
            sealed,
        });
    }

    /// All of them.
    pub(super) fn finish(mut self) -> Vec<Value> {
        self.settle();
        self.parts
    }
}

/// What signs a thought whose words stand elsewhere.
pub(super) fn signed_thought(signature: &str) -> Value {
    json!({"text": "", "thought": true, "thoughtSignature": signature})
}

/// Whether its maker wants it back.
pub(super) fn is_sealed(reasoning: &ReasoningPart) -> bool {
    reasoning.signature.is_some() || reasoning.encrypted.is_some()
}

/// What a call carries of reasoning that has to come back: Google's own signature, or all of another provider's, signed or
/// not, since some refuse their own calls without it. `origin`: the dialect that answered.
pub(super) fn signature_of(mut reasoning: ReasoningPart, origin: &'static str) -> Option<String> {
    let maker = reasoning.maker.take().unwrap_or(Cow::Borrowed(origin));
    reasoning.maker = Some(maker).filter(|maker| !maker.is_empty());
    if reasoning.maker.as_deref() == Some(ID) {
        return reasoning.signature.or(reasoning.encrypted);
    }
    let told = [&reasoning.text, &reasoning.signature, &reasoning.encrypted];
    let any = told.into_iter().flatten().any(|told| !told.is_empty());
    any.then(|| carried::pack(&reasoning))
}
