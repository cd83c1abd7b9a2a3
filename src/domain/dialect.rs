//! What a caller may ask for: one row an operation, from which routes, paths, names in telemetry and the look at answers
//! follow. No I/O.

/// The list that a whole answer has at its top.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnswerList {
    /// `choices`.
    Choices,
    /// `data`.
    Data,
    /// `results`.
    Results,
    /// `output`.
    Output,
    /// `content`.
    Content,
    /// `candidates`, or why there are none.
    Candidates,
    /// `embedding`, `embeddings` or, where Google's cloud makes them, `predictions`.
    Embedding,
    /// None: it is a count of tokens.
    Count,
    /// `results`, or `data`: both stand for a ranking.
    Ranking,
    /// Nothing that all of them have: sound, a picture, a text, or an object that is no error.
    Any,
}

/// The form of a streamed answer's events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventForm {
    /// Chunks without names, ended by `[DONE]`.
    Chunks,
    /// Numbered events of many types; the type of the last one marks the end of the stream.
    Numbered,
    /// Answers without names, each with what came since the last one; no mark follows the last of them.
    Answers,
    /// Events of many types, by name; the last one's name says that it is the last.
    Named,
}

/// Whether a provider has an operation that not all providers of its dialect have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum NativeRoute {
    /// That is to be found out.
    #[default]
    Auto,
    /// It has.
    Native,
    /// It has not: requests are translated.
    Translate,
}

impl NativeRoute {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Native, Self::Translate];

    /// Its word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Translate => "translate",
        }
    }
}

/// The properties of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OperationSpec {
    /// The caller dialect that it belongs to, as in `wire::dialects`.
    pub dialect: &'static str,
    /// The path below an API root, such as `/chat/completions`. In one such as `/models/{model}:countTokens` callers name
    /// the model.
    pub path: &'static str,
    /// The route by which it is counted.
    pub route: &'static str,
    /// What OpenTelemetry's GenAI conventions call it; for what they do not know, a word of its own.
    pub convention: &'static str,
    /// The request's field that holds the prompt.
    pub prompt: &'static str,
    /// What a whole answer must have.
    pub answer: AnswerList,
    /// What a streamed answer looks like.
    pub events: EventForm,
    /// How requests and answers travel.
    pub body: BodyForm,
}

/// How the requests and answers of an operation travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyForm {
    /// Both are JSON, or an answer is a stream of events that is looked at.
    Json,
    /// Requests are JSON; an answer that is not passes as it comes.
    Media,
    /// As [`Media`](Self::Media), and requests may be forms (`multipart/form-data`).
    Form,
    /// Neither is looked at.
    Bytes,
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident $spec:tt)+) => {
        /// What the caller asks for, by the route that was called.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Operation {
            $($(#[$doc])* $name,)+
        }

        impl Operation {
            /// Every operation.
            pub const ALL: [Self; [$(stringify!($name)),+].len()] = [$(Self::$name),+];

            /// The properties of the operation.
            pub const fn spec(self) -> &'static OperationSpec {
                match self {
                    $(Self::$name => &OperationSpec $spec,)+
                }
            }
        }
    };
}

operations! {
    /// `POST /v1/chat/completions`.
    Chat {
        dialect: "openai",
        path: "/chat/completions",
        route: "/v1/chat/completions",
        convention: "chat",
        prompt: "messages",
        answer: AnswerList::Choices,
        events: EventForm::Chunks,
        body: BodyForm::Json,
    }
    /// `POST /v1/completions`.
    Completions {
        dialect: "openai",
        path: "/completions",
        route: "/v1/completions",
        convention: "text_completion",
        prompt: "prompt",
        answer: AnswerList::Choices,
        events: EventForm::Chunks,
        body: BodyForm::Json,
    }
    /// `POST /v1/embeddings`.
    Embeddings {
        dialect: "openai",
        path: "/embeddings",
        route: "/v1/embeddings",
        convention: "embeddings",
        prompt: "input",
        answer: AnswerList::Data,
        events: EventForm::Chunks,
        body: BodyForm::Json,
    }
    /// `POST /v1/moderations`.
    Moderations {
        dialect: "openai",
        path: "/moderations",
        route: "/v1/moderations",
        convention: "moderations",
        prompt: "input",
        answer: AnswerList::Results,
        events: EventForm::Chunks,
        body: BodyForm::Json,
    }
    /// `POST /v1/responses`.
    Responses {
        dialect: "responses",
        path: "/responses",
        route: "/v1/responses",
        convention: "chat",
        prompt: "input",
        answer: AnswerList::Output,
        events: EventForm::Numbered,
        body: BodyForm::Json,
    }
    /// `POST /v1/responses/input_tokens`.
    CountResponseTokens {
        dialect: "responses",
        path: "/responses/input_tokens",
        route: "/v1/responses/input_tokens",
        convention: "count_tokens",
        prompt: "input",
        answer: AnswerList::Count,
        events: EventForm::Numbered,
        body: BodyForm::Json,
    }
    /// `POST /v1/messages`.
    Messages {
        dialect: "anthropic",
        path: "/messages",
        route: "/v1/messages",
        convention: "chat",
        prompt: "messages",
        answer: AnswerList::Content,
        events: EventForm::Named,
        body: BodyForm::Json,
    }
    /// `POST /v1/messages/count_tokens`.
    CountMessageTokens {
        dialect: "anthropic",
        path: "/messages/count_tokens",
        route: "/v1/messages/count_tokens",
        convention: "count_tokens",
        prompt: "messages",
        answer: AnswerList::Count,
        events: EventForm::Named,
        body: BodyForm::Json,
    }
    /// `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`.
    GenerateContent {
        dialect: "gemini",
        path: "/models/{model}:generateContent",
        route: "/v1beta/models/{model}:generateContent",
        convention: "generate_content",
        prompt: "contents",
        answer: AnswerList::Candidates,
        events: EventForm::Answers,
        body: BodyForm::Json,
    }
    /// `POST /v1beta/models/{model}:countTokens`.
    CountTokens {
        dialect: "gemini",
        path: "/models/{model}:countTokens",
        route: "/v1beta/models/{model}:countTokens",
        convention: "count_tokens",
        prompt: "contents",
        answer: AnswerList::Count,
        events: EventForm::Answers,
        body: BodyForm::Json,
    }
    /// `POST /v1beta/models/{model}:embedContent`.
    EmbedContent {
        dialect: "gemini",
        path: "/models/{model}:embedContent",
        route: "/v1beta/models/{model}:embedContent",
        convention: "embeddings",
        prompt: "content",
        answer: AnswerList::Embedding,
        events: EventForm::Answers,
        body: BodyForm::Json,
    }
    /// Bedrock's `POST /model/{model}/converse` and `/converse-stream`, asked for by nobody but us.
    Converse {
        dialect: "bedrock",
        path: "/model/{model}/converse",
        route: "/model/{model}/converse",
        convention: "chat",
        prompt: "messages",
        answer: AnswerList::Output,
        events: EventForm::Named,
        body: BodyForm::Json,
    }
    /// Bedrock's `POST /model/{model}/count-tokens`, asked for by nobody but us.
    CountConverseTokens {
        dialect: "bedrock",
        path: "/model/{model}/count-tokens",
        route: "/model/{model}/count-tokens",
        convention: "count_tokens",
        prompt: "input",
        answer: AnswerList::Count,
        events: EventForm::Named,
        body: BodyForm::Json,
    }
    /// Ollama's `POST /api/chat`, asked for by nobody but us.
    OllamaChat {
        dialect: "ollama",
        path: "/api/chat",
        route: "/api/chat",
        convention: "chat",
        prompt: "messages",
        answer: AnswerList::Any,
        events: EventForm::Answers,
        body: BodyForm::Json,
    }
    /// Ollama's `POST /api/embed`, asked for by nobody but us.
    OllamaEmbed {
        dialect: "ollama",
        path: "/api/embed",
        route: "/api/embed",
        convention: "embeddings",
        prompt: "input",
        answer: AnswerList::Embedding,
        events: EventForm::Answers,
        body: BodyForm::Json,
    }
    /// `POST /v1beta/models/{model}:batchEmbedContents`.
    BatchEmbedContents {
        dialect: "gemini",
        path: "/models/{model}:batchEmbedContents",
        route: "/v1beta/models/{model}:batchEmbedContents",
        convention: "embeddings",
        prompt: "requests",
        answer: AnswerList::Embedding,
        events: EventForm::Answers,
        body: BodyForm::Json,
    }
    /// Vertex AI's `POST …/models/{model}:predict`, by which it makes embeddings, asked for by nobody but us.
    Predict {
        dialect: "gemini",
        path: "/models/{model}:predict",
        route: "/models/{model}:predict",
        convention: "embeddings",
        prompt: "instances",
        answer: AnswerList::Embedding,
        events: EventForm::Answers,
        body: BodyForm::Json,
    }
    /// `POST /v1/rerank`.
    Rerank {
        dialect: "openai",
        path: "/rerank",
        route: "/v1/rerank",
        convention: "rerank",
        prompt: "documents",
        answer: AnswerList::Ranking,
        events: EventForm::Chunks,
        body: BodyForm::Json,
    }
    /// `POST /v1/images/generations`.
    ImageGenerations {
        dialect: "openai",
        path: "/images/generations",
        route: "/v1/images/generations",
        convention: "image_generation",
        prompt: "prompt",
        answer: AnswerList::Data,
        events: EventForm::Chunks,
        body: BodyForm::Media,
    }
    /// `POST /v1/images/edits`.
    ImageEdits {
        dialect: "openai",
        path: "/images/edits",
        route: "/v1/images/edits",
        convention: "image_edit",
        prompt: "prompt",
        answer: AnswerList::Data,
        events: EventForm::Chunks,
        body: BodyForm::Form,
    }
    /// `POST /v1/audio/speech`.
    Speech {
        dialect: "openai",
        path: "/audio/speech",
        route: "/v1/audio/speech",
        convention: "speech",
        prompt: "input",
        answer: AnswerList::Any,
        events: EventForm::Chunks,
        body: BodyForm::Media,
    }
    /// `POST /v1/audio/transcriptions`.
    Transcriptions {
        dialect: "openai",
        path: "/audio/transcriptions",
        route: "/v1/audio/transcriptions",
        convention: "transcription",
        prompt: "prompt",
        answer: AnswerList::Any,
        events: EventForm::Chunks,
        body: BodyForm::Form,
    }
    /// `POST /v1/audio/translations`.
    Translations {
        dialect: "openai",
        path: "/audio/translations",
        route: "/v1/audio/translations",
        convention: "translation",
        prompt: "prompt",
        answer: AnswerList::Any,
        events: EventForm::Chunks,
        body: BodyForm::Form,
    }
    /// Any method below `/passthrough/{provider}`: what is asked for there is the provider's own affair.
    Passthrough {
        dialect: "openai",
        path: "/passthrough/{provider}/{path}",
        route: "/passthrough/{provider}/{path}",
        convention: "passthrough",
        prompt: "input",
        answer: AnswerList::Any,
        events: EventForm::Chunks,
        body: BodyForm::Bytes,
    }
}

impl Operation {
    /// What stands behind the model in its path, where the model stands there.
    pub fn method(self) -> Option<&'static str> {
        self.path().strip_prefix("/models/{model}:")
    }

    /// The path below an API root, such as `/chat/completions`.
    pub const fn path(self) -> &'static str {
        self.spec().path
    }

    /// The operation at this path below an API root.
    pub fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.path() == path)
    }

    /// Whether callers can ask for it; others are what an upstream is asked for in place of a caller's operation.
    pub const fn has_callers(self) -> bool {
        !matches!(
            self,
            Self::Converse
                | Self::CountConverseTokens
                | Self::OllamaChat
                | Self::OllamaEmbed
                | Self::Predict
        )
    }

    /// Whether its path is the same for all requests.
    pub fn has_fixed_path(self) -> bool {
        !self.path().contains('{')
    }

    /// How its requests and answers travel.
    pub const fn body(self) -> BodyForm {
        self.spec().body
    }

    /// Whether it only counts the tokens of a conversation.
    pub const fn counts(self) -> bool {
        matches!(self.spec().answer, AnswerList::Count)
    }

    /// The form of its streamed answers.
    pub const fn events(self) -> EventForm {
        self.spec().events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_path_and_a_route_of_its_own() {
        for operation in Operation::ALL {
            assert_eq!(Operation::at(operation.path()), Some(operation));
            assert!(operation.spec().route.ends_with(operation.path()));
        }
        assert_eq!(Operation::at("/nothing"), None);
    }
}
