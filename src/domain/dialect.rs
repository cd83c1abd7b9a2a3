//! Which API an upstream speaks, and which operation of it a caller asks for. No I/O.

/// The API that a provider speaks on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Dialect {
    /// OpenAI's API and everything compatible with it.
    #[default]
    OpenAi,
    /// No network at all: answers with the last user message.
    Echo,
}

impl Dialect {
    /// The name used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Echo => "echo",
        }
    }
}

/// What the caller asks for, by the route that was called.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operation {
    /// `POST /v1/chat/completions`.
    Chat,
    /// `POST /v1/completions`.
    Completions,
    /// `POST /v1/embeddings`.
    Embeddings,
    /// `POST /v1/moderations`.
    Moderations,
    /// `POST /v1/responses`.
    Responses,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 5] = [
        Self::Chat,
        Self::Completions,
        Self::Embeddings,
        Self::Moderations,
        Self::Responses,
    ];

    /// The path below a provider's API root, such as `/chat/completions`.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Moderations => "/moderations",
            Self::Responses => "/responses",
        }
    }
}
