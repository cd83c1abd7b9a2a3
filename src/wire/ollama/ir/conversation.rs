//! Messages: a text, pictures, a thought and calls each; every result of a tool is a message of its own.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::super::ID;
use super::words::UNKNOWN;
use crate::wire::anthropic::ir::input_of;
use crate::wire::ir::fields::{Encoder, put};
use crate::wire::ir::{
    ChatMessage, ChatRole, ContentPart, Extra, MediaSource, PartBody, ReasoningPart, ToolCall,
    ToolResult,
};

/// What stands between texts that become one.
const BETWEEN: &str = "\n\n";
/// Why a thought is left out.
const FOREIGN: &str = "a thought goes back to its maker only";

/// Writes one conversation.
#[derive(Debug)]
pub(super) struct Conversation<'a> {
    encoder: &'a mut Encoder,
    /// The tools that were called, by the ids of the calls.
    names: HashMap<String, String>,
    messages: Vec<Value>,
}

/// A message as it is put together.
#[derive(Debug, Default)]
struct Draft {
    texts: Vec<String>,
    thoughts: Vec<String>,
    images: Vec<String>,
    calls: Vec<Value>,
}

impl Draft {
    fn is_empty(&self) -> bool {
        self.texts.is_empty()
            && self.thoughts.is_empty()
            && self.images.is_empty()
            && self.calls.is_empty()
    }

    /// The message, of this role.
    fn write(self, role: &str) -> Extra {
        let some = |all: Vec<String>| (!all.is_empty()).then_some(all);
        let mut message = Extra::new();
        put(&mut message, "role", Some(role));
        put(&mut message, "content", Some(self.texts.join(BETWEEN)));
        let thoughts = some(self.thoughts).map(|all| all.join(BETWEEN));
        put(&mut message, "thinking", thoughts);
        put(&mut message, "images", some(self.images));
        let calls = Some(self.calls).filter(|calls| !calls.is_empty());
        put(&mut message, "tool_calls", calls);
        message
    }
}

impl<'a> Conversation<'a> {
    pub(super) fn new(encoder: &'a mut Encoder) -> Self {
        Self {
            encoder,
            names: HashMap::new(),
            messages: Vec::new(),
        }
    }

    /// Adds a message. Results in it come first: they follow their calls at once.
    pub(super) fn message(&mut self, path: &str, message: ChatMessage) {
        let ChatMessage {
            role,
            parts,
            name,
            extra,
        } = message;
        let _ = self.encoder.begin(path, extra);
        // The name of a tool, in what was there before tools had ids.
        let of_tool = match &role {
            ChatRole::Tool => true,
            ChatRole::Other(word) => word == "function",
            _ => false,
        };
        if name.is_some() && !of_tool {
            self.encoder.lose(format!("{path}.name"), UNKNOWN);
        }
        let mut draft = Draft::default();
        let told_twice = has_foreign_thoughts(&parts);
        for (at, part) in parts.into_iter().enumerate() {
            let path = format!("{path}.content[{at}]");
            self.part(&path, part, (told_twice, name.as_deref()), &mut draft);
        }
        let word = match role {
            ChatRole::System | ChatRole::Developer => "system",
            ChatRole::Assistant => "assistant",
            _ if of_tool => "tool",
            ChatRole::User | ChatRole::Tool | ChatRole::Other(_) => "user",
        };
        if draft.is_empty() {
            return;
        }
        let mut message = draft.write(word);
        if of_tool {
            put(&mut message, "tool_name", name);
        }
        self.messages.push(Value::Object(message));
    }

    /// A part of a message: whether its thoughts are told twice, and the author's name.
    fn part(
        &mut self,
        path: &str,
        part: ContentPart,
        (told_twice, author): (bool, Option<&str>),
        draft: &mut Draft,
    ) {
        let ContentPart { body, cache, extra } = part;
        if !matches!(body, PartBody::Reasoning(_)) {
            // What stands beside a thought tells of its maker.
            let _ = self.encoder.begin(path, extra);
        }
        if cache.is_some() {
            self.encoder.lose(format!("{path}.cache_control"), UNKNOWN);
        }
        match body {
            PartBody::Reasoning(thought) => match is_foreign(&thought) {
                true => {
                    let word = PartBody::Reasoning(thought);
                    self.encoder.lose_part(path, word.word(), FOREIGN);
                }
                false => {
                    let words = thought.text.filter(|text| !text.is_empty() && !told_twice);
                    draft.thoughts.extend(words);
                }
            },
            PartBody::ToolCall(call) => {
                let call = self.call(path, call);
                draft.calls.push(call);
            }
            PartBody::ToolResult(result) => self.result(path, result, author),
            body => self.content(path, body, draft),
        }
    }

    /// What a content is made of: words and pictures.
    fn content(&mut self, path: &str, body: PartBody, draft: &mut Draft) {
        let word = body.word().to_owned();
        match body {
            PartBody::Text { text, citations } => {
                if !citations.is_empty() {
                    self.encoder.lose(format!("{path}.citations"), UNKNOWN);
                }
                draft
                    .texts
                    .extend(Some(text).filter(|text| !text.is_empty()));
            }
            PartBody::Refusal(text) => {
                draft
                    .texts
                    .extend(Some(text).filter(|text| !text.is_empty()));
            }
            PartBody::Image { source, detail } => {
                if detail.is_some_and(|detail| detail != "auto") {
                    self.encoder.lose(format!("{path}.detail"), UNKNOWN);
                }
                match image(source) {
                    Ok(data) => draft.images.push(data),
                    Err(why) => self.encoder.lose_part(path, &word, why),
                }
            }
            PartBody::Document { source, name } => match document(&source, name.as_deref()) {
                Some(text) => draft.texts.push(text),
                None => {
                    let why = "Ollama takes no documents but texts";
                    self.encoder.lose_part(path, &word, why);
                }
            },
            _ => self
                .encoder
                .lose_part(path, &word, "Ollama has no such part"),
        }
    }

    /// A call. Newer versions of Ollama know ids, and older ones pass over them.
    fn call(&mut self, path: &str, call: ToolCall) -> Value {
        if call.signature.is_some() {
            let why = "only its maker can read it";
            self.encoder.lose(format!("{path}.signature"), why);
        }
        let arguments = input_of(call.kind, &call.arguments);
        let mut own = Extra::new();
        if let Some(id) = call.id.filter(|id| !id.is_empty()) {
            self.names.insert(id.clone(), call.name.clone());
            put(&mut own, "id", Some(id));
        }
        let function = json!({"name": call.name, "arguments": arguments});
        put(&mut own, "function", Some(function));
        Value::Object(own)
    }

    /// What a tool answered, as a message of its own. Where its call is not there, its author is the tool.
    fn result(&mut self, path: &str, result: ToolResult, author: Option<&str>) {
        if result.is_error == Some(true) {
            self.encoder.lose(format!("{path}.is_error"), UNKNOWN);
        }
        let mut draft = Draft::default();
        for (at, part) in result.content.into_iter().enumerate() {
            let path = format!("{path}.content[{at}]");
            let _ = self.encoder.begin(&path, part.extra);
            if part.cache.is_some() {
                self.encoder.lose(format!("{path}.cache_control"), UNKNOWN);
            }
            match part.body {
                body @ (PartBody::Reasoning(_)
                | PartBody::ToolCall(_)
                | PartBody::ToolResult(_)) => {
                    let why = "a tool's result has no such part";
                    self.encoder.lose_part(&path, body.word(), why);
                }
                body => self.content(&path, body, &mut draft),
            }
        }
        let mut message = draft.write("tool");
        let called = self.names.get(&result.call_id).map(String::as_str);
        put(&mut message, "tool_name", called.or(author));
        let id = Some(result.call_id).filter(|id| !id.is_empty());
        put(&mut message, "tool_call_id", id);
        self.messages.push(Value::Object(message));
    }

    /// The messages.
    pub(super) fn finish(self) -> Vec<Value> {
        self.messages
    }
}

/// Whether a thought is another provider's. Words that nobody signed are what any open model reads: chat completions carry
/// Ollama's own so.
fn is_foreign(thought: &ReasoningPart) -> bool {
    let signed = [&thought.signature, &thought.encrypted];
    let signed = signed
        .into_iter()
        .flatten()
        .any(|signature| !signature.is_empty());
    match thought.maker.as_deref() {
        Some(maker) => maker != ID,
        None => signed,
    }
}

/// Whether thoughts of another provider stand there, of which words without a maker are a second telling.
fn has_foreign_thoughts(parts: &[ContentPart]) -> bool {
    parts.iter().any(|part| match &part.body {
        PartBody::Reasoning(thought) => is_foreign(thought),
        _ => false,
    })
}

/// A picture as Ollama takes it: its bytes in Base64 and nothing else.
fn image(source: MediaSource) -> Result<String, &'static str> {
    let url = match source {
        MediaSource::FileId(_) => return Err("a file of another provider"),
        MediaSource::Inline(data) if !data.starts_with("data:") => return Ok(data),
        MediaSource::Inline(url) | MediaSource::Url(url) => url,
    };
    let Some(rest) = url.strip_prefix("data:") else {
        return Err("Ollama fetches no addresses of images");
    };
    match rest.split_once(',') {
        Some((head, data)) if head.starts_with("image/") && head.ends_with(";base64") => {
            Ok(data.to_owned())
        }
        _ => Err("Ollama takes images in Base64"),
    }
}

/// The words of a document that is a text.
fn document(source: &MediaSource, name: Option<&str>) -> Option<String> {
    let (MediaSource::Url(url) | MediaSource::Inline(url)) = source else {
        return None;
    };
    let text = MediaSource::plain_text(url)?;
    Some(match name {
        Some(name) => format!("{name}:\n{text}"),
        None => text,
    })
}
