//! What is asked of a model.

use serde_json::{Number, Value, json};

use super::loss::Extra;
use super::part::{CacheMark, ContentPart, PartBody};

/// A request for a chat answer.
#[derive(Clone, PartialEq, Debug)]
pub struct ChatRequest {
    /// The dialect that it was read from: whose `extra` it has.
    pub origin: &'static str,
    /// As the caller named it.
    pub model: Option<String>,
    /// The conversation. Instructions are messages of the system or the developer, in their places.
    pub messages: Vec<ChatMessage>,
    /// The tools that the model may call.
    pub tools: Vec<ToolDefinition>,
    /// Whether it must call one.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once.
    pub parallel_tool_calls: Option<bool>,
    /// How the answer is drawn.
    pub sampling: SamplingParams,
    /// The most tokens that the answer may have, reasoning included.
    pub max_output_tokens: Option<Number>,
    /// The form of the answer.
    pub format: Option<ResponseFormat>,
    /// How much the model is to think.
    pub reasoning: ReasoningConfig,
    /// Whether the answer is to be streamed.
    pub stream: Option<bool>,
    /// Whether the end of the stream has token counts.
    pub stream_usage: Option<bool>,
    /// An id of the end user, for the provider's abuse detection.
    pub user: Option<String>,
    /// Notes that the provider keeps.
    pub metadata: Extra,
    /// Which queue: `auto`, `flex`, `priority` and the like.
    pub service_tier: Option<String>,
    /// What else its dialect says.
    pub extra: Extra,
}

/// One message of the conversation.
#[derive(Clone, PartialEq, Debug)]
pub struct ChatMessage {
    /// The author's role.
    pub role: ChatRole,
    /// Its parts, reasoning first and calls last where the dialect gives no order.
    pub parts: Vec<ContentPart>,
    /// The author's name, in addition to the role.
    pub name: Option<String>,
    /// What else its dialect says.
    pub extra: Extra,
}

/// Whose a message is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChatRole {
    /// Instructions of the provider's client.
    System,
    /// The same in dialects that distinguish the two.
    Developer,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool.
    Tool,
    /// Of another kind, by its dialect's word.
    Other(String),
}

/// A tool that the model may call.
#[derive(Clone, PartialEq, Debug)]
pub enum ToolDefinition {
    /// The caller runs it.
    Function {
        /// The function's name.
        name: String,
        /// What it is for.
        description: Option<String>,
        /// JSON Schema, as the caller wrote it.
        parameters: Option<Value>,
        /// Whether calls keep to the schema exactly.
        strict: Option<bool>,
        /// Whether the prompt up to here is to be cached.
        cache: Option<CacheMark>,
        /// What else its dialect says.
        extra: Extra,
    },
    /// The caller runs it, and it takes a text of any form.
    Custom {
        /// Its name.
        name: String,
        /// What it is for.
        description: Option<String>,
        /// The form of the text: `{"type": "text"}`, or `{"type": "grammar", "syntax", "definition"}`.
        format: Option<Value>,
        /// What else its dialect says.
        extra: Extra,
    },
    /// The provider runs it, or its form is the dialect's own: a web search, a shell.
    Native {
        /// The tool's type.
        kind: String,
        /// All else of it.
        extra: Extra,
    },
}

/// Whether a tool must be called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToolChoice {
    /// As the model likes.
    Auto,
    /// No tool may be called.
    Never,
    /// A tool must be called.
    Required,
    /// This one must be.
    Named(String),
}

/// How an answer is drawn. Numbers are kept as they were written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SamplingParams {
    /// 0 to 2, at some providers to 1.
    pub temperature: Option<Number>,
    /// 0 to 1.
    pub top_p: Option<Number>,
    /// Only this many of the most likely tokens are sampled.
    pub top_k: Option<Number>,
    /// Where drawing begins, for answers that can be repeated.
    pub seed: Option<Number>,
    /// The number of answers.
    pub candidates: Option<Number>,
    /// -2 to 2.
    pub frequency_penalty: Option<Number>,
    /// -2 to 2.
    pub presence_penalty: Option<Number>,
    /// Whether the answer has the tokens' probabilities.
    pub logprobs: Option<bool>,
    /// For this many tokens at each place.
    pub top_logprobs: Option<Number>,
    /// The answer ends before any of these.
    pub stop: Vec<String>,
}

/// The form of an answer.
#[derive(Clone, PartialEq, Debug)]
pub enum ResponseFormat {
    /// Plain text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// The schema's name.
        name: String,
        /// JSON Schema, as the caller wrote it.
        schema: Option<Value>,
        /// Whether the answer keeps to it exactly.
        strict: Option<bool>,
        /// What it is for.
        description: Option<String>,
    },
}

/// How much a model is to think.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReasoningConfig {
    /// `none`, `minimal`, `low`, `medium`, `high` and the like.
    pub effort: Option<String>,
    /// Whether it is to think at all, where the dialect says that by itself.
    pub enabled: Option<bool>,
    /// The most tokens of reasoning.
    pub budget_tokens: Option<Number>,
    /// Whether, and how, the answer summarises it.
    pub summary: Option<String>,
}

impl ToolDefinition {
    /// A custom tool as a function with a single text, for dialects that have no such tools. Its grammar, which is not held
    /// to there, is told to the model. Other tools stay as they are.
    #[must_use]
    pub fn into_function(self) -> Self {
        let Self::Custom {
            name,
            description,
            format,
            extra,
        } = self
        else {
            return self;
        };
        let grammar = format.as_ref().and_then(|format| {
            let text = |name: &str| format.get(name).and_then(Value::as_str);
            let (syntax, definition) = (text("syntax")?, text("definition")?);
            Some(format!(
                "The input keeps to this {syntax} grammar:\n{definition}"
            ))
        });
        let told: Vec<String> = description.into_iter().chain(grammar).collect();
        Self::Function {
            name,
            description: (!told.is_empty()).then(|| told.join("\n\n")),
            parameters: Some(json!({
                "type": "object",
                "properties": {"input": {"type": "string"}},
                "required": ["input"],
                "additionalProperties": false,
            })),
            strict: None,
            cache: None,
            extra,
        }
    }
}

impl ChatRequest {
    /// Whether one of its tools is a custom one.
    pub fn has_custom_tools(&self) -> bool {
        let mut tools = self.tools.iter();
        tools.any(|tool| matches!(tool, ToolDefinition::Custom { .. }))
    }

    /// Makes functions of custom tools, and of their calls.
    pub fn make_tools_plain(&mut self) {
        let tools = std::mem::take(&mut self.tools);
        self.tools = tools
            .into_iter()
            .map(ToolDefinition::into_function)
            .collect();
        for part in self
            .messages
            .iter_mut()
            .flat_map(|message| &mut message.parts)
        {
            if let PartBody::ToolCall(call) = &mut part.body {
                *call = std::mem::take(call).into_function();
            }
        }
    }

    /// An empty one that is read from a dialect of this name.
    pub fn new(origin: &'static str) -> Self {
        Self {
            origin,
            model: None,
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            parallel_tool_calls: None,
            sampling: SamplingParams::default(),
            max_output_tokens: None,
            format: None,
            reasoning: ReasoningConfig::default(),
            stream: None,
            stream_usage: None,
            user: None,
            metadata: Extra::new(),
            service_tier: None,
            extra: Extra::new(),
        }
    }
}
