//! A request's body: looked at in one pass, never re-serialised.
//!
//! Only where the top-level fields begin and end is kept. Rewriting replaces the model's bytes and appends
//! what the configuration adds; everything else stays as the caller wrote it.

use std::borrow::Cow;
use std::ops::{ControlFlow, Range};

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Map, Value};

use crate::wire::json::{self, List, Text};

mod detours;
mod fields;
mod limit;
mod opening;
mod route;
mod size;
mod without;

use self::fields::{ObjectFields, RawName, RequestField};
use self::route::GenerationConfig;
use self::size::PromptSize;

pub use self::fields::MAX_FIELDS;

/// Why a body is not a request.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RequestError {
    /// Not JSON.
    #[error("the body is not valid JSON (line {line}, column {column}): {what}")]
    InvalidJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// The parser's message.
        what: String,
    },
    /// More top-level fields than any request has: each of them costs more memory than its bytes.
    #[error("the body has more than {MAX_FIELDS} top-level fields, which no request needs")]
    TooManyFields,
    /// JSON, but not an object.
    #[error("the body must be a JSON object")]
    NotAnObject,
    /// A field that may occur once occurs twice.
    #[error("the field `{0}` is given twice: which one is meant?")]
    Duplicate(&'static str),
    /// A field that some readers take for another one.
    #[error("the field `{0}` must be written like this, in small letters")]
    Lookalike(&'static str),
    /// A field of the wrong type.
    #[error("the field `{field}` must be {expected}")]
    WrongType {
        /// The field's name.
        field: &'static str,
        /// The expected type.
        expected: &'static str,
    },
}

/// A request's body and where its top-level fields are.
#[derive(Clone, Debug)]
pub struct RequestDoc {
    body: Bytes,
    fields: Vec<RequestField>,
    stream: bool,
    size: PromptSize,
    /// The model, where it stands in the route and not in the body.
    routed: Option<Box<str>>,
}

impl RequestDoc {
    /// Checks the whole body and notes where its fields are.
    ///
    /// # Errors
    /// Anything but one JSON object, more than [`MAX_FIELDS`] fields, a `model` that is not a string or longer than 256
    /// bytes or with control characters, a `stream` that is not a boolean, either of them twice.
    pub fn parse(body: Bytes) -> Result<Self, RequestError> {
        let mut too_many = false;
        let fields = match ObjectFields::read(&body, &mut too_many) {
            Ok(fields) => fields.locate(&body),
            Err(_) if too_many => return Err(RequestError::TooManyFields),
            Err(error) if error.is_data() => return Err(RequestError::NotAnObject),
            Err(error) => {
                return Err(RequestError::InvalidJson {
                    line: error.line(),
                    column: error.column(),
                    what: error.to_string(),
                });
            }
        };
        let mut doc = Self {
            body,
            fields,
            stream: false,
            size: PromptSize::default(),
            routed: None,
        };
        for name in ["model", "stream"] {
            if doc
                .fields
                .iter()
                .filter(|field| doc.is_named(field, name))
                .count()
                > 1
            {
                return Err(RequestError::Duplicate(name));
            }
            if doc.fields.iter().any(|field| doc.looks_like(field, name)) {
                return Err(RequestError::Lookalike(name));
            }
        }
        let wrong = |field, expected| Err(RequestError::WrongType { field, expected });
        if doc
            .raw("model")
            .is_some_and(|raw| !matches!(raw.first(), Some(b'"' | b'n')))
        {
            return wrong("model", "a string");
        }
        if doc
            .raw("model")
            .is_some_and(|raw| serde_json::from_slice::<Option<String>>(raw).is_err())
        {
            return wrong("model", "a string of Unicode text");
        }
        if let Some(expected) = doc.model().as_deref().and_then(route::misfit) {
            return wrong("model", expected);
        }
        doc.stream = match doc.raw("stream") {
            None | Some(b"false" | b"null") => false,
            Some(b"true") => true,
            Some(_) => return wrong("stream", "true or false"),
        };
        doc.size = doc.measured();
        Ok(doc)
    }

    /// The target that is asked for; `None` when absent, null or empty.
    pub fn model(&self) -> Option<Cow<'_, str>> {
        if let Some(model) = &self.routed {
            return Some(Cow::Borrowed(model));
        }
        let raw = self.raw("model")?;
        let plain = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let model = if memchr::memchr(b'\\', plain).is_none() {
            Cow::Borrowed(std::str::from_utf8(plain).ok()?)
        } else {
            Cow::Owned(serde_json::from_slice::<String>(raw).ok()?)
        };
        (!model.is_empty()).then_some(model)
    }

    /// The same request for this model, its answer streamed or not, whatever its body says of either.
    ///
    /// # Errors
    /// A model longer than 256 bytes or with control characters.
    pub fn routed(mut self, model: &str, stream: bool) -> Result<Self, RequestError> {
        if let Some(expected) = route::misfit(model) {
            let field = "model";
            return Err(RequestError::WrongType { field, expected });
        }
        self.routed = Some(model.into());
        self.stream = stream;
        Ok(self)
    }

    fn generation_config(&self) -> Option<GenerationConfig> {
        let mut names = ["generationConfig", "generation_config"].into_iter();
        let raw = names.find_map(|name| self.raw(name))?;
        serde_json::from_slice(raw).ok()
    }

    /// Drops the body when no other upstream will be asked. Facts that were read from it stay.
    pub fn release(&mut self) {
        self.body = Bytes::new();
        self.fields = Vec::new();
    }

    /// Whether the answer is to be streamed.
    pub fn stream(&self) -> bool {
        self.stream
    }

    /// The most tokens that the answer may have, if the request says.
    pub fn max_output_tokens(&self) -> Option<u64> {
        ["max_completion_tokens", "max_tokens", "max_output_tokens"]
            .into_iter()
            .find_map(|name| serde_json::from_slice(self.raw(name)?).ok())
            .or_else(|| self.generation_config()?.max_output_tokens)
    }

    /// The temperature that the request asks for.
    pub fn temperature(&self) -> Option<f64> {
        let own = self.raw("temperature");
        let own = own.and_then(|raw| serde_json::from_slice(raw).ok());
        // Ollama's own API has it among its `options`.
        own.or_else(|| route::temperature(self.raw("options")?))
            .or_else(|| self.generation_config()?.temperature)
    }

    /// How many choices the answer has.
    pub fn choices(&self) -> u32 {
        let n: Option<u32> = self
            .raw("n")
            .and_then(|raw| serde_json::from_slice(raw).ok());
        // A list of prompts, texts or lists of tokens, is answered `n` times each.
        let prompts = self
            .raw("prompt")
            .and_then(List::of)
            .filter(|all| {
                let first = all.first.map(|first| first.get());
                first.is_some_and(|first| first.starts_with(['"', '[']))
            })
            .map_or(1, |all| u32::try_from(all.len).unwrap_or(u32::MAX));
        let n = n.or_else(|| self.generation_config()?.candidate_count);
        n.unwrap_or(1).max(1).saturating_mul(prompts)
    }

    /// Bytes of everything that becomes the prompt, but for the data of images, sounds and files.
    pub fn prompt_bytes(&self) -> usize {
        self.size.text
    }

    /// Tokens of the prompt's images, sounds and files, roughly: at most 1,000 for each, whatever their size.
    pub fn media_tokens(&self) -> u64 {
        self.size.media
    }

    fn measured(&self) -> PromptSize {
        let mut size = PromptSize::default();
        for name in PROMPT_FIELDS {
            match self.raw(name) {
                Some(raw) if name == "tools" => size.add_text(raw),
                Some(raw) => size.add(raw),
                None => {}
            }
        }
        size
    }

    /// Whether the request has this top-level field.
    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| self.is_named(field, name))
    }

    /// The bytes of a top-level field's value.
    pub fn raw(&self, name: &str) -> Option<&[u8]> {
        let field = self
            .fields
            .iter()
            .find(|field| self.is_named(field, name))?;
        self.body.get(field.value.clone())
    }

    /// The body as it came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The same body for `model`, with `params` added where the request has no such field. When nothing
    /// changes, the very same bytes.
    pub fn rewritten(&self, model: &str, params: &Map<String, Value>) -> Bytes {
        let additions = params.iter().filter(|(name, _)| !self.settles(name));
        let same_model = self.model().is_some_and(|asked| asked == model);
        if same_model && additions.clone().next().is_none() {
            return self.body.clone();
        }
        let mut out = BytesMut::with_capacity(self.body.len() + model.len() + 128);
        let mut rest = 0;
        let mut appended: Vec<(&str, Cow<'_, Value>)> = Vec::new();
        match self
            .fields
            .iter()
            .find(|field| self.is_named(field, "model"))
        {
            Some(_) if same_model => {}
            Some(field) => {
                out.put_slice(self.slice(0..field.value.start));
                put_json(&mut out, &Value::from(model));
                rest = field.value.end;
            }
            None => appended.push(("model", Cow::Owned(Value::from(model)))),
        }
        appended.extend(additions.map(|(name, value)| (name.as_str(), Cow::Borrowed(value))));
        // The last `}` of the object: only white space may follow it.
        let close = memchr::memrchr(b'}', &self.body).unwrap_or(self.body.len());
        out.put_slice(self.slice(rest..close));
        let mut first = self.fields.is_empty();
        for (name, value) in appended {
            if !std::mem::take(&mut first) {
                out.put_u8(b',');
            }
            put_json(&mut out, &Value::from(name));
            out.put_u8(b':');
            put_json(&mut out, &value);
        }
        out.put_slice(self.slice(close..self.body.len()));
        out.freeze()
    }

    /// The same request with these fields, as JSON, in place of existing ones, and at the end where there are
    /// none. `None` when one of them occurs twice, since readers differ in which one they take.
    pub fn with(&self, fields: &[(&str, Vec<u8>)]) -> Option<Self> {
        let mut placed: Vec<(Range<usize>, &[u8])> = Vec::new();
        let mut appended: Vec<(&str, &[u8])> = Vec::new();
        for (name, json) in fields {
            let mut there = self.fields.iter().filter(|one| self.is_named(one, name));
            match (there.next(), there.next()) {
                (None, _) => appended.push((name, json)),
                (Some(field), None) => placed.push((field.value.clone(), json)),
                (Some(_), Some(_)) => return None,
            }
        }
        placed.sort_by_key(|(place, _)| place.start);
        let mut out = BytesMut::with_capacity(self.body.len() + 256);
        let mut rest = 0;
        for (place, json) in placed {
            out.put_slice(self.slice(rest..place.start));
            out.put_slice(json);
            rest = place.end;
        }
        let close = memchr::memrchr(b'}', &self.body).unwrap_or(self.body.len());
        out.put_slice(self.slice(rest..close));
        let mut first = self.fields.is_empty();
        for (name, json) in appended {
            if !std::mem::take(&mut first) {
                out.put_u8(b',');
            }
            put_json(&mut out, &Value::from(name));
            out.put_u8(b':');
            out.put_slice(json);
        }
        out.put_slice(self.slice(close..self.body.len()));
        let mut new = Self::parse(out.freeze()).ok()?;
        if self.routed.is_some() {
            // The route says what the body does not.
            new.routed.clone_from(&self.routed);
            new.stream = self.stream;
        }
        Some(new)
    }

    /// Whether the request leaves no room for a configured parameter: it has the field, or another name of
    /// it, or the field is not the configuration's to fill.
    fn settles(&self, param: &str) -> bool {
        match param {
            // Spelled like them, they would be look-alikes to whoever reads the request.
            _ if is_spelled_like(param, "model") || is_spelled_like(param, "stream") => true,
            "max_tokens" | "max_completion_tokens" | "max_output_tokens" => {
                self.max_output_tokens().is_some() || self.has(param)
            }
            _ => self.has(param),
        }
    }

    /// How many messages, or input items, the prompt has.
    pub fn message_count(&self) -> usize {
        ["messages", "input", "contents"]
            .into_iter()
            .find_map(|name| List::of(self.raw(name)?))
            .map_or(1, |messages| messages.len)
    }

    /// All text that becomes the prompt, for an exact count, until `each` has had enough: contents, tool calls, tool
    /// definitions; not the data of images and sounds. Nothing is copied.
    pub fn prompt_texts(&self, mut each: impl FnMut(Text<'_>) -> ControlFlow<()>) {
        for name in PROMPT_FIELDS {
            let raw = self.raw(name).map(std::str::from_utf8);
            let Some(Ok(raw)) = raw else { continue };
            let flow = match name {
                "tools" => each(Text::plain(raw)),
                _ => json::texts(raw, is_blob, |text| {
                    if text.starts_with("data:") {
                        ControlFlow::Continue(())
                    } else {
                        each(text)
                    }
                }),
            };
            if flow.is_break() {
                return;
            }
        }
    }

    fn is_named(&self, field: &RequestField, name: &str) -> bool {
        match &field.name {
            RawName::Plain(range) => self.slice(range.clone()) == name.as_bytes(),
            RawName::Escaped(text) => **text == *name,
        }
    }

    /// Whether a reader that ignores case takes it for `name`, though it is another one.
    fn looks_like(&self, field: &RequestField, name: &str) -> bool {
        let text = match &field.name {
            // Long s has two bytes.
            RawName::Plain(range) if range.len() > name.len() + 1 => return false,
            RawName::Plain(range) => std::str::from_utf8(self.slice(range.clone())).unwrap_or(""),
            RawName::Escaped(text) => text,
        };
        text != name && is_spelled_like(text, name)
    }

    fn slice(&self, range: Range<usize>) -> &[u8] {
        self.body.get(range).unwrap_or_default()
    }
}

/// Whether both are the same but for capital letters, as Unicode folds them: long s is an s, the sign for kelvin a k.
pub fn is_spelled_like(text: &str, name: &str) -> bool {
    let small = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    text.chars().map(small).eq(name.chars().map(small))
}

const PROMPT_FIELDS: [&str; 10] = [
    "messages",
    "input",
    "prompt",
    "instructions",
    "system",
    "tools",
    "contents",
    "systemInstruction",
    "system_instruction",
    "generateContentRequest",
];

fn put_json(out: &mut BytesMut, value: &Value) {
    // Writing a value to memory cannot fail.
    drop(serde_json::to_writer(out.writer(), value));
}

/// Whether a field of this name holds data of images, sounds and files.
fn is_blob(name: Text<'_>) -> bool {
    const BLOBS: [&str; 4] = ["data", "file_data", "image_url", "input_audio"];
    BLOBS.into_iter().any(|blob| name.is(blob))
}

#[cfg(test)]
mod tests;
