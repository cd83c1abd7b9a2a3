//! The parts of which a message's content is made.

use std::borrow::Cow;

use data_encoding::BASE64;
use serde_json::Value;

use super::loss::Extra;

/// One part, with its properties.
#[derive(Clone, PartialEq, Debug)]
pub struct ContentPart {
    /// The content.
    pub body: PartBody,
    /// The prompt up to here is to be cached.
    pub cache: Option<CacheMark>,
    /// What else its dialect says of it.
    pub extra: Extra,
}

/// Where the part of a prompt ends that is worth caching.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CacheMark {
    /// How long it is to be kept, in the words of its dialect, such as `5m` or `1h`.
    pub ttl: Option<String>,
}

/// What a part is.
#[derive(Clone, PartialEq, Debug)]
pub enum PartBody {
    /// Plain text.
    Text {
        /// The text itself.
        text: String,
        /// Where they are from.
        citations: Vec<Citation>,
    },
    /// An image.
    Image {
        /// The image's data or URL.
        source: MediaSource,
        /// How closely the model is to look: `low`, `high`, `auto`.
        detail: Option<String>,
    },
    /// Audio.
    Audio {
        /// Base64.
        data: String,
        /// Such as `wav` or `mp3`.
        format: String,
    },
    /// A file with text or pages.
    Document {
        /// The document's data or URL.
        source: MediaSource,
        /// The document's file name.
        name: Option<String>,
    },
    /// The model calls a tool.
    ToolCall(ToolCall),
    /// What a tool answered.
    ToolResult(ToolResult),
    /// What the model thought.
    Reasoning(ReasoningPart),
    /// The model's refusal to answer.
    Refusal(String),
    /// A part that the neutral form does not know.
    Unknown {
        /// The field that it came from, such as `content`.
        field: &'static str,
        /// The value as it was written.
        value: Value,
    },
}

impl PartBody {
    /// What it is, in a word: that of the neutral form, or for what that does not know the type that its dialect gives it.
    pub fn word(&self) -> &str {
        match self {
            Self::Text { .. } => "text",
            Self::Image { source, .. } => source.word("image"),
            Self::Audio { .. } => "audio",
            Self::Document { source, .. } => source.word("document"),
            Self::ToolCall(_) => "tool_calls",
            Self::ToolResult(_) => "tool_result",
            Self::Reasoning(thought) => match thought.field {
                "reasoning_content" | "reasoning_details" => thought.field,
                _ if thought.text.is_none() && thought.encrypted.is_none() => "signature",
                _ => "reasoning",
            },
            Self::Refusal(_) => "refusal",
            Self::Unknown { field, value } => {
                let kind = value.get("type").and_then(Value::as_str);
                // Where parts have no types, a field tells what they are.
                let telling = || telling_field(value.as_object()?);
                kind.or_else(telling).unwrap_or(field)
            }
        }
    }
}

/// The field that tells what an object without a type is: not one that stands beside any content, whatever order they have.
pub(in crate::wire) fn telling_field(fields: &Extra) -> Option<&str> {
    const BESIDE: [&str; 5] = [
        "cache_control",
        "id",
        "index",
        "mediaResolution",
        "media_resolution",
    ];
    let is_beside = |name: &str| {
        BESIDE.contains(&name) || name.starts_with("thought") || name.ends_with("etadata")
    };
    let names = || fields.keys().map(String::as_str);
    let telling = names().filter(|name| !is_beside(name)).min();
    telling.or_else(|| names().min())
}

impl MediaSource {
    /// The words for what only one provider has: a file by its name there, at Google by its address.
    pub const HELD: [&str; 2] = ["file_id", "fileData"];

    /// What a part is with this source, where it is of that kind otherwise.
    pub fn word(&self, kind: &'static str) -> &'static str {
        let [held, _] = Self::HELD;
        match self {
            Self::FileId(_) => held,
            Self::Url(_) | Self::Inline(_) => kind,
        }
    }

    /// The words of a document that is nothing but a text: what a `data:` URL of one holds.
    pub fn plain_text(url: &str) -> Option<String> {
        let (head, data) = url.strip_prefix("data:text/")?.split_once(',')?;
        let data = head.ends_with(";base64").then_some(data)?;
        let bytes = BASE64.decode(data.as_bytes()).ok()?;
        String::from_utf8(bytes).ok()
    }
}

/// Where a picture or a file is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MediaSource {
    /// Any URL, `data:` URLs too.
    Url(String),
    /// A name under which the provider holds it: it means nothing to another provider.
    FileId(String),
    /// In the request, without a media type or in a form of its dialect.
    Inline(String),
}

/// Where words are from.
#[derive(Clone, PartialEq, Debug)]
pub struct Citation {
    /// The page's address, where it is one.
    pub url: Option<String>,
    /// The source's title.
    pub title: Option<String>,
    /// The first character of the text that is from there, and the one behind the last, where that is told.
    pub span: Option<(u64, u64)>,
    /// What else its dialect says.
    pub extra: Extra,
}

/// The kinds of calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ToolCallKind {
    /// With arguments in JSON.
    #[default]
    Function,
    /// With a text of any form as its input.
    Custom,
}

/// A call of a tool.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ToolCall {
    /// By which its result names it.
    pub id: Option<String>,
    /// The tool's name.
    pub name: String,
    /// As the model wrote them: usually a JSON object, at times broken, and empty for none.
    pub arguments: String,
    /// What kind of tool.
    pub kind: ToolCallKind,
    /// A signature of the reasoning that led to it, which the same provider wants to have back.
    pub signature: Option<String>,
}

/// What a tool answered.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ToolResult {
    /// The call's id.
    pub call_id: String,
    /// The result of the tool.
    pub content: Vec<ContentPart>,
    /// Whether the tool failed, where the dialect says that.
    pub is_error: Option<bool>,
}

/// What a model thought.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReasoningPart {
    /// The reasoning as text; a summary where the provider gives no more.
    pub text: Option<String>,
    /// Proves to the provider that made it that it was not changed.
    pub signature: Option<String>,
    /// What only that provider can read.
    pub encrypted: Option<String>,
    /// Its id at that provider.
    pub id: Option<String>,
    /// The upstream dialect whose provider made the signature or what is encrypted, where that is known: nobody else can
    /// read it.
    pub maker: Option<Cow<'static, str>>,
    /// The field that it came from, where its dialect has several for it.
    pub field: &'static str,
}

/// The only argument of a custom tool that is called as a function.
const CUSTOM_INPUT: &str = "input";

impl ToolCall {
    /// The call of a custom tool as one of the function that [`ToolDefinition::into_function`] makes of the tool.
    ///
    /// [`ToolDefinition::into_function`]: super::ToolDefinition::into_function
    #[must_use]
    pub fn into_function(self) -> Self {
        match self.kind {
            ToolCallKind::Function => self,
            ToolCallKind::Custom => Self {
                arguments: serde_json::json!({CUSTOM_INPUT: self.arguments}).to_string(),
                kind: ToolCallKind::Function,
                ..self
            },
        }
    }

    /// The input of a custom tool from the arguments of that function. What is no such object stays as it is.
    pub fn custom_input(arguments: &str) -> String {
        let read: Option<Value> = serde_json::from_str(arguments).ok();
        let input = read.as_ref().and_then(|value| value.get(CUSTOM_INPUT));
        match input {
            Some(Value::String(input)) => input.clone(),
            _ => arguments.to_owned(),
        }
    }
}

impl ContentPart {
    /// A part without further properties.
    pub fn new(body: PartBody) -> Self {
        Self {
            body,
            cache: None,
            extra: Extra::new(),
        }
    }

    /// A part of plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(PartBody::Text {
            text: text.into(),
            citations: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_part_is_called_does_not_depend_on_the_order_of_its_fields() {
        for (value, word) in [
            (
                json!({"executableCode": {}, "thoughtSignature": "s"}),
                "executableCode",
            ),
            (
                json!({"thoughtSignature": "s", "executableCode": {}}),
                "executableCode",
            ),
            (
                json!({"thought": true, "videoMetadata": {}, "toolCall": {}}),
                "toolCall",
            ),
            (json!({"id": "1", "type": "custom"}), "custom"),
            (json!({"thoughtSignature": "s"}), "thoughtSignature"),
            (json!({"b": 1, "a": 1}), "a"),
            (json!({}), "parts"),
        ] {
            let field = "parts";
            assert_eq!(PartBody::Unknown { field, value }.word(), word);
        }
    }
}
