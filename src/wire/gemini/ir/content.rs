//! Messages to contents: two roles in turn, the results of one turn together and in the order of its calls, each
//! signature on the part that it belongs to.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::conversation::ON_TEXT;
use super::fields::UNKNOWN;
use super::{media, tools};
use crate::wire::gemini::ID;
use crate::wire::gemini::generation::SignedParts;
use crate::wire::ir::fields::{Encoder, put};
use crate::wire::ir::{
    ChatMessage, ChatRole, ContentPart, Extra, PartBody, ReasoningPart, ToolCall, ToolCallKind,
    ToolResult,
};

/// In place of a signature of calls that another model made.
/// <https://ai.google.dev/gemini-api/docs/thought-signatures>
pub(in crate::wire::gemini) const NO_SIGNATURE: &str = "skip_thought_signature_validator";
const FOREIGN: &str = "reasoning that another provider's model wrote";

/// Writes one conversation.
pub(super) struct Writer<'a> {
    pub(super) encoder: &'a mut Encoder,
    /// Which parts the model refuses without a signature.
    pub(super) signed: SignedParts,
    /// The tools that were called, by the ids of the calls.
    names: BTreeMap<String, String>,
    contents: Vec<ContentDraft>,
}

/// A content as it is put together.
#[derive(Default)]
struct ContentDraft {
    is_model: bool,
    extra: Extra,
    parts: Vec<Value>,
    /// The ids of its calls, in order.
    calls: Vec<String>,
    /// Results in it, by the ids of their calls.
    results: Vec<(String, Value)>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(encoder: &'a mut Encoder, signed: SignedParts) -> Self {
        Self {
            encoder,
            signed,
            names: BTreeMap::new(),
            contents: Vec::new(),
        }
    }

    /// Adds a message.
    pub(super) fn message(&mut self, path: &str, message: ChatMessage) {
        let ChatMessage {
            role,
            parts,
            name,
            extra,
        } = message;
        let extra = self.encoder.begin(path, extra);
        if name.is_some() {
            self.encoder.lose(format!("{path}.name"), UNKNOWN);
        }
        let mut content = ContentDraft {
            is_model: role == ChatRole::Assistant,
            extra,
            ..ContentDraft::default()
        };
        let mut signature = None;
        for (at, part) in parts.into_iter().enumerate() {
            self.part(
                &format!("{path}.content[{at}]"),
                part,
                &mut content,
                &mut signature,
            );
        }
        if let Some(signature) = signature {
            content
                .parts
                .push(json!({"text": "", "thoughtSignature": signature}));
        }
        self.sign(&mut content);
        self.add(content);
    }

    /// The parts of an instruction.
    pub(super) fn instruction(&mut self, path: &str, message: ChatMessage) -> (Vec<Value>, Extra) {
        let extra = self.encoder.begin(path, message.extra);
        if message.name.is_some() {
            self.encoder.lose(format!("{path}.name"), UNKNOWN);
        }
        let mut content = ContentDraft::default();
        for (at, part) in message.parts.into_iter().enumerate() {
            self.part(
                &format!("{path}.content[{at}]"),
                part,
                &mut content,
                &mut None,
            );
        }
        (content.parts, extra)
    }

    fn part(
        &mut self,
        path: &str,
        part: ContentPart,
        content: &mut ContentDraft,
        signature: &mut Option<String>,
    ) {
        let ContentPart { body, cache, extra } = part;
        if cache.is_some() {
            self.encoder.lose(format!("{path}.cache_control"), UNKNOWN);
        }
        let mut own = match &body {
            // How other dialects label thoughts means nothing here.
            PartBody::Reasoning(_) if !self.encoder.same => Extra::new(),
            _ => self.encoder.begin(path, extra),
        };
        match body {
            PartBody::Text { text, citations } => {
                if !citations.is_empty() {
                    self.encoder.lose(format!("{path}.citations"), UNKNOWN);
                }
                // Google refuses a content of nothing.
                if !text.is_empty() || self.encoder.same {
                    put(&mut own, "text", Some(text));
                    content.parts.push(Value::Object(own));
                }
            }
            PartBody::Refusal(text) if text.is_empty() => {}
            PartBody::Refusal(text) => {
                put(&mut own, "text", Some(text));
                content.parts.push(Value::Object(own));
            }
            PartBody::Reasoning(reasoning) => {
                self.reasoning(path, (own, reasoning), content, signature);
            }
            PartBody::ToolCall(call) => {
                let call = self.call(own, call, signature, content);
                content.parts.push(call);
            }
            PartBody::ToolResult(result) => self.result(path, own, result, content),
            PartBody::Unknown { value, .. } if self.encoder.same => content.parts.push(value),
            body @ PartBody::Unknown { .. } => {
                self.encoder
                    .lose_part(path, body.word(), "Gemini has no such part");
            }
            body => {
                if let Some(media) = self.media(path, body) {
                    own.extend(media);
                    content.parts.push(Value::Object(own));
                }
            }
        }
    }

    /// A picture, a sound or a file.
    fn media(&mut self, path: &str, body: PartBody) -> Option<Extra> {
        let (source, name, kind, usual) = match body {
            PartBody::Audio { data, format } => return Some(media::encode_audio(&data, &format)),
            PartBody::Image { source, detail } => {
                if detail.is_some_and(|detail| detail != "auto") {
                    self.encoder.lose(format!("{path}.detail"), UNKNOWN);
                }
                (source, None, "image", "image/jpeg")
            }
            PartBody::Document { source, name } => (source, name, "document", "application/pdf"),
            _ => return None,
        };
        let word = source.word(kind);
        if name.is_some() && !self.encoder.same {
            // Google's own API refuses names.
            self.encoder.lose(format!("{path}.filename"), UNKNOWN);
        }
        let made = match self.encoder.same {
            true => media::encode_named(source, name, usual),
            false => media::encode(source, name.as_deref(), usual),
        };
        made.map_err(|why| self.encoder.lose_part(path, word, why))
            .ok()
    }

    /// What the model thought goes back to Google's models only. A signature without words belongs to what stands beside
    /// it: to the next call, or else to the last text.
    fn reasoning(
        &mut self,
        path: &str,
        (mut own, reasoning): (Extra, ReasoningPart),
        content: &mut ContentDraft,
        signature: &mut Option<String>,
    ) {
        if reasoning.maker.as_deref() != Some(ID) {
            let word = PartBody::Reasoning(reasoning);
            return self.encoder.lose_part(path, word.word(), FOREIGN);
        }
        let signed = reasoning.signature.or(reasoning.encrypted);
        if reasoning.field == ON_TEXT
            && let Some(Value::Object(text)) = content.parts.last_mut()
        {
            return put(text, "thoughtSignature", signed);
        }
        match reasoning
            .text
            .filter(|text| !text.is_empty() || self.encoder.same)
        {
            Some(text) => {
                put(&mut own, "text", Some(text));
                put(&mut own, "thought", Some(true));
                if self.encoder.same {
                    put(&mut own, "thoughtSignature", signed);
                } else {
                    *signature = signed.or(signature.take());
                }
                content.parts.push(Value::Object(own));
            }
            None if self.encoder.same => {
                put(&mut own, "text", Some(""));
                put(&mut own, "thoughtSignature", signed);
                content.parts.push(Value::Object(own));
            }
            None => *signature = signed.or(signature.take()),
        }
    }

    fn call(
        &mut self,
        mut own: Extra,
        call: ToolCall,
        signature: &mut Option<String>,
        content: &mut ContentDraft,
    ) -> Value {
        let args = match call.kind {
            ToolCallKind::Custom => tools::custom_arguments(&call.arguments),
            ToolCallKind::Function => arguments(&call.arguments),
        };
        let id = call.id.unwrap_or_default();
        self.names.insert(id.clone(), call.name.clone());
        let mut inner = match own.remove("functionCall") {
            Some(Value::Object(inner)) => inner,
            _ => Extra::new(),
        };
        if !id.is_empty() {
            inner.entry("id").or_insert(id.as_str().into());
        }
        put(&mut inner, "name", Some(call.name));
        inner.entry("args").or_insert(args);
        put(&mut own, "functionCall", Some(Value::Object(inner)));
        put(
            &mut own,
            "thoughtSignature",
            call.signature.or_else(|| signature.take()),
        );
        content.calls.push(id);
        Value::Object(own)
    }

    /// What a tool answered. One whose call is not there is told in words: Google refuses it as a result.
    fn result(
        &mut self,
        path: &str,
        mut own: Extra,
        result: ToolResult,
        content: &mut ContentDraft,
    ) {
        let mut texts = Vec::new();
        let mut parts = Vec::new();
        for (at, part) in result.content.into_iter().enumerate() {
            let path = format!("{path}.content[{at}]");
            if !self.encoder.same {
                if part.cache.is_some() {
                    self.encoder.lose(format!("{path}.cache_control"), UNKNOWN);
                }
                let _ = self.encoder.begin(&path, part.extra);
            }
            match part.body {
                PartBody::Text { text, citations } => {
                    if !citations.is_empty() {
                        self.encoder.lose(format!("{path}.citations"), UNKNOWN);
                    }
                    texts.push(text);
                }
                body => {
                    let word = body.word().to_owned();
                    let before = self.encoder.losses.len();
                    match self.media(&path, body) {
                        Some(media) => parts.push(Value::Object(media)),
                        None if self.encoder.losses.len() > before => {}
                        None => {
                            let why = "a tool's result has no such part";
                            self.encoder.lose_part(&path, &word, why);
                        }
                    }
                }
            }
        }
        let text = texts.join("\n");
        let Some(name) = self.names.get(&result.call_id) else {
            content
                .parts
                .push(json!({"text": format!("Result of a tool: {text}")}));
            content.parts.extend(parts);
            return;
        };
        let word = match result.is_error {
            Some(true) => "error",
            _ => "output",
        };
        let mut inner = match own.remove("functionResponse") {
            Some(Value::Object(inner)) => inner,
            _ => Extra::new(),
        };
        put(
            &mut inner,
            "id",
            Some(result.call_id.clone()).filter(|id| !id.is_empty()),
        );
        put(&mut inner, "name", Some(name.clone()));
        put(&mut inner, "response", Some(json!({word: text})));
        put(&mut inner, "parts", (!parts.is_empty()).then_some(parts));
        put(&mut own, "functionResponse", Some(Value::Object(inner)));
        let response = Value::Object(own);
        match self.encoder.same {
            true => content.parts.push(response),
            false => content.results.push((result.call_id, response)),
        }
    }

    /// What another model wrote has no signature. The newest models want to see one on the first call of each step, and those
    /// that make pictures on each picture of theirs and on what stands first beside it.
    fn sign(&self, content: &mut ContentDraft) {
        if self.encoder.same || !content.is_model || self.signed == SignedParts::None {
            return;
        }
        let has = |part: &Value, name: &str| part.get(name).is_some();
        let pictures = self.signed == SignedParts::CallsAndPictures
            && content.parts.iter().any(|part| has(part, "inlineData"));
        let call = content
            .parts
            .iter()
            .position(|part| has(part, "functionCall"));
        let thinks = |part: &Value| part.get("thought") == Some(&json!(true));
        let first = content.parts.iter().position(|part| !thinks(part));
        for (at, part) in content.parts.iter_mut().enumerate() {
            let wants =
                Some(at) == call || pictures && (Some(at) == first || has(part, "inlineData"));
            if let Value::Object(fields) = part
                && wants
            {
                fields
                    .entry("thoughtSignature")
                    .or_insert(NO_SIGNATURE.into());
            }
        }
    }

    fn add(&mut self, content: ContentDraft) {
        if self.encoder.same {
            return self.contents.push(content);
        }
        if content.parts.is_empty() && content.results.is_empty() {
            return;
        }
        match self.contents.last_mut() {
            Some(last) if last.is_model == content.is_model => {
                last.parts.extend(content.parts);
                last.calls.extend(content.calls);
                last.results.extend(content.results);
            }
            _ => self.contents.push(content),
        }
    }

    /// The contents.
    pub(super) fn finish(self) -> Vec<Value> {
        let Self {
            encoder,
            names,
            contents,
            ..
        } = self;
        let mut calls = Vec::new();
        let mut out = Vec::new();
        if !encoder.same && contents.first().is_some_and(|first| first.is_model) {
            // A conversation begins with the user.
            out.push(json!({"role": "user", "parts": [{"text": " "}]}));
        }
        for content in contents {
            let ContentDraft {
                is_model,
                extra: mut fields,
                parts,
                calls: own_calls,
                results,
            } = content;
            let mut all = in_order(&std::mem::take(&mut calls), results, &names, encoder.same);
            all.extend(parts);
            calls = own_calls;
            let role = if is_model { "model" } else { "user" };
            fields.insert("role".to_owned(), role.into());
            if !all.is_empty() || !encoder.same {
                fields.insert("parts".to_owned(), Value::Array(all));
            }
            out.push(Value::Object(fields));
        }
        out
    }
}

/// The results of these calls in their order, as many as there are calls: Google refuses any other number.
fn in_order(
    calls: &[String],
    mut results: Vec<(String, Value)>,
    names: &BTreeMap<String, String>,
    same: bool,
) -> Vec<Value> {
    if same {
        return Vec::new();
    }
    let mut all = Vec::new();
    for id in calls {
        let at = results.iter().position(|(of, _)| of == id);
        all.push(match at {
            Some(at) => results.remove(at).1,
            None => {
                let name = names.get(id).cloned().unwrap_or_default();
                let response = json!({"error": "the tool gave no result"});
                json!({"functionResponse": {"id": id, "name": name, "response": response}})
            }
        });
    }
    all.extend(results.into_iter().map(|(_, result)| result));
    all
}

/// Arguments as the object that Google wants. What is none is kept in one.
pub(super) fn arguments(text: &str) -> Value {
    if text.trim().is_empty() {
        return json!({});
    }
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => value,
        Ok(Value::Null) => json!({}),
        Ok(other) => json!({"arguments": other}),
        Err(_) => json!({"arguments": text}),
    }
}
