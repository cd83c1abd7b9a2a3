//! Contents and parts to messages. Calls and their results are paired here: by their ids where they have such, else by
//! the tool's name and then in order, as Google's own servers do it.

use std::borrow::Cow;

use serde_json::Value;

use super::{carried, media};
use crate::wire::gemini::ID;
use crate::wire::gemini::names::camel;
use crate::wire::gemini::tool_names::GeminiToolNames;
use crate::wire::ir::fields::{flag, inside, list, take, text};
use crate::wire::ir::{
    ChatMessage, ChatRole, ContentPart, Extra, Loss, PartBody, ReasoningPart, ToolCall,
    ToolCallKind, ToolResult,
};

/// What [`ReasoningPart::field`] says of a signature that stood on the text in front of it, and not on a part of its own.
pub(super) const ON_TEXT: &str = "text";

/// A call that was read.
#[derive(Debug)]
struct OpenCall {
    id: String,
    name: String,
    answered: bool,
}

/// Reads one conversation.
#[derive(Debug, Default)]
pub(super) struct Reader {
    calls: Vec<OpenCall>,
    names: GeminiToolNames,
    /// What ids that are made here begin with; `None` where calls without an id stay so.
    prefix: Option<&'static str>,
    /// Whether signatures are read that carry another provider's thought. In an answer they stay as they are: its caller
    /// sends them back.
    unpacks: bool,
}

impl Reader {
    /// Of a request whose tools have these names.
    pub(super) fn of_request(names: GeminiToolNames) -> Self {
        Self {
            names,
            // The same in every turn of a conversation: what was said before has to be rendered as before.
            prefix: Some("call"),
            unpacks: true,
            ..Self::default()
        }
    }

    /// Of an answer.
    pub(super) fn of_answer() -> Self {
        Self::default()
    }

    /// One of the conversation's contents.
    ///
    /// # Errors
    /// One that is no object.
    pub(super) fn content(&mut self, path: &str, value: Value) -> Result<ChatMessage, Loss> {
        let Value::Object(mut fields) = value else {
            return Err(Loss::new(path, "a content is an object"));
        };
        let role = match text(&mut fields, "role").as_deref() {
            None | Some("user" | "") => ChatRole::User,
            Some("model" | "assistant") => ChatRole::Assistant,
            Some("system") => ChatRole::System,
            // Of older clients, for results.
            Some("function" | "tool") => ChatRole::User,
            Some(other) => ChatRole::Other(other.to_owned()),
        };
        Ok(ChatMessage {
            role,
            parts: self.parts(&mut fields),
            name: None,
            extra: fields,
        })
    }

    /// The parts of a content.
    pub(super) fn parts(&mut self, content: &mut Extra) -> Vec<ContentPart> {
        take(content, "parts", |all| {
            all.as_array().filter(|all| all.is_empty()).map(drop)
        });
        let parts = match list(content, "parts") {
            Some(parts) => parts,
            // Some clients leave out the list around a single one.
            None => take(content, "parts", |one| one.is_object().then(|| one.clone()))
                .into_iter()
                .collect(),
        };
        let mut all: Vec<ContentPart> = Vec::with_capacity(parts.len());
        for part in parts {
            let mut made = self.part(part);
            if let [thought, call] = &made[..]
                && matches!(thought.body, PartBody::Reasoning(_))
                && matches!(call.body, PartBody::ToolCall(_))
            {
                // The call carries what was thought before the words that stand in front of it.
                let words = |part: &&ContentPart| matches!(part.body, PartBody::Text { .. });
                let before = all.len() - all.iter().rev().take_while(words).count();
                all.insert(before, made.remove(0));
            }
            all.append(&mut made);
        }
        all
    }

    /// One part. A signature on a text becomes a part behind it.
    pub(super) fn part(&mut self, value: Value) -> Vec<ContentPart> {
        let mut fields = match value {
            Value::Object(fields) => fields,
            Value::String(text) => return vec![ContentPart::text(text)],
            value => return vec![unknown(value)],
        };
        camel(&mut fields);
        if fields.get("functionResponse").is_some() {
            return vec![self.result(fields)];
        }
        if fields.get("functionCall").is_some() {
            return self.call(fields);
        }
        if let Some(words) = text(&mut fields, "text") {
            return self.said(words, fields);
        }
        match media::decode(&mut fields) {
            Some(body) => vec![ContentPart {
                extra: fields,
                ..ContentPart::new(body)
            }],
            None => vec![unknown(Value::Object(fields))],
        }
    }

    /// A call; in front of it the reasoning that it carries for another provider.
    fn call(&mut self, mut fields: Extra) -> Vec<ContentPart> {
        let signature = text(&mut fields, "thoughtSignature");
        let told = inside(&mut fields, "functionCall", |call| {
            camel(call);
            let name = text(call, "name")?;
            let arguments = take(call, "args", |args| {
                args.is_object().then(|| args.to_string())
            });
            Some((name, arguments, text(call, "id")))
        });
        let Some((name, arguments, id)) = told else {
            if let Some(signature) = signature {
                fields.insert("thoughtSignature".to_owned(), signature.into());
            }
            return vec![unknown(Value::Object(fields))];
        };
        let name = self.names.sent(name);
        let carried = self.carried(signature.as_deref());
        let signature = signature.filter(|_| carried.is_none());
        let made = |prefix| format!("{prefix}_{}", self.calls.len());
        let id = id.filter(|id| !id.is_empty());
        let id = id.or_else(|| self.prefix.map(made));
        self.calls.push(OpenCall {
            id: id.clone().unwrap_or_default(),
            name: name.clone(),
            answered: false,
        });
        let call = ToolCall {
            id,
            name,
            arguments: arguments.unwrap_or_else(|| "{}".to_owned()),
            kind: ToolCallKind::Function,
            signature,
        };
        let call = ContentPart {
            extra: fields,
            ..ContentPart::new(PartBody::ToolCall(call))
        };
        let carried = carried.map(|carried| ContentPart::new(PartBody::Reasoning(carried)));
        carried.into_iter().chain([call]).collect()
    }

    /// The thought of another provider that a signature carries.
    fn carried(&self, signature: Option<&str>) -> Option<ReasoningPart> {
        signature.filter(|_| self.unpacks).and_then(carried::unpack)
    }

    /// A text: the model's thoughts or an ordinary one.
    fn said(&self, words: String, mut fields: Extra) -> Vec<ContentPart> {
        let signature = text(&mut fields, "thoughtSignature");
        let is_thought = flag(&mut fields, "thought").unwrap_or(false);
        let part = |body| ContentPart {
            extra: fields.clone(),
            ..ContentPart::new(body)
        };
        let reasoning = |text, signature: Option<String>, field| {
            PartBody::Reasoning(ReasoningPart {
                text,
                maker: Some(Cow::Borrowed(ID)),
                signature,
                field,
                ..ReasoningPart::default()
            })
        };
        // What was carried of a thought has its words, too.
        if let Some(carried) = self.carried(signature.as_deref()) {
            return vec![ContentPart::new(PartBody::Reasoning(carried))];
        }
        if is_thought {
            return vec![part(reasoning(Some(words), signature, ""))];
        }
        match signature {
            Some(signature) if words.is_empty() => vec![part(reasoning(None, Some(signature), ""))],
            signature => {
                let text = part(PartBody::Text {
                    text: words,
                    citations: Vec::new(),
                });
                let signed = signature.map(|signature| reasoning(None, Some(signature), ON_TEXT));
                [text]
                    .into_iter()
                    .chain(signed.map(ContentPart::new))
                    .collect()
            }
        }
    }

    fn result(&mut self, mut fields: Extra) -> ContentPart {
        let response = fields.get("functionResponse");
        let told = |name: &str| Some(response?.get(name)?.as_str()?.to_owned());
        let told_name = told("name").unwrap_or_default();
        let name = self.names.sent(told_name.clone());
        let Some(call_id) = self.answered(told("id").as_deref(), &name) else {
            // Of a call that is not there: no other dialect takes a result without one.
            return unknown(Value::Object(fields));
        };
        let read = inside(&mut fields, "functionResponse", |inner| {
            inner.remove("id");
            inner.remove("name");
            let response = take(inner, "response", |value| Some(value.clone()));
            let media = list(inner, "parts").unwrap_or_default();
            Some((response.unwrap_or_default(), media))
        });
        let (response, media) = read.unwrap_or_default();
        let (text, is_error) = words_of(response, &told_name);
        let mut content = vec![ContentPart::text(text)];
        content.extend(media.into_iter().flat_map(|part| self.part(part)));
        ContentPart {
            extra: fields,
            ..ContentPart::new(PartBody::ToolResult(ToolResult {
                call_id,
                content,
                is_error,
            }))
        }
    }

    /// The id of the call that a result is of.
    fn answered(&mut self, id: Option<&str>, name: &str) -> Option<String> {
        let by_id = id.filter(|id| !id.is_empty()).and_then(|id| {
            let mut calls = self.calls.iter().rev();
            calls.find(|call| call.id == id).map(|call| call.id.clone())
        });
        let id = by_id.or_else(|| {
            let open = || self.calls.iter().filter(|call| !call.answered);
            let named = open().find(|call| call.name == name);
            named.or_else(|| open().next()).map(|call| call.id.clone())
        })?;
        let call = self.calls.iter_mut().rev().find(|call| call.id == id)?;
        call.answered = true;
        Some(id)
    }
}

/// What a tool's response says, alone: Google's documents have `output`, `result` and `error` for it, and Vercel's AI SDK
/// `content` beside the tool's name. All of it, where it says more.
fn words_of(response: Value, tool: &str) -> (String, Option<bool>) {
    let Value::Object(mut fields) = response else {
        return match response {
            Value::String(text) => (text, None),
            Value::Null => (String::new(), None),
            other => (other.to_string(), None),
        };
    };
    let both = fields.len() == 2 && fields.contains_key("content");
    if both && fields.get("name").is_some_and(|name| name == tool) {
        fields.remove("name");
    }
    if fields.len() > 1 {
        return (Value::Object(fields).to_string(), None);
    }
    let known = [
        ("output", None),
        ("result", None),
        ("content", None),
        ("error", Some(true)),
    ];
    for (name, is_error) in known {
        match fields.remove(name) {
            Some(Value::String(text)) => return (text, is_error),
            Some(other) => return (other.to_string(), is_error),
            None => {}
        }
    }
    (Value::Object(fields).to_string(), None)
}

pub(super) fn unknown(value: Value) -> ContentPart {
    ContentPart::new(PartBody::Unknown {
        field: "parts",
        value,
    })
}
