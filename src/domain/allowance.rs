//! What an upstream says is left of a limit: the form in which answers' headers reach the machines.
//! No I/O, no clock, no logging.

use std::time::Duration;

/// What a limit counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// A limit of requests.
    Requests,
    /// Tokens, prompt and answer together.
    Tokens,
    /// Tokens of a whole project, beside those of the key.
    ProjectTokens,
    /// Tokens of prompts only: how many a request has of them is not known here.
    PromptTokens,
    /// Tokens of answers only: as above.
    AnswerTokens,
}

impl Unit {
    /// The unit's name for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::ProjectTokens => "project_tokens",
            Self::PromptTokens => "prompt_tokens",
            Self::AnswerTokens => "answer_tokens",
        }
    }

    /// What one request takes of such a limit when it reserves `tokens`: of a part of the tokens only that
    /// it takes some is certain.
    pub const fn cost(self, tokens: u64) -> u64 {
        match self {
            Self::Tokens | Self::ProjectTokens => tokens,
            Self::Requests | Self::PromptTokens | Self::AnswerTokens => 1,
        }
    }
}

/// One limit as an answer's head describes it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Allowance {
    /// The unit that is counted.
    pub unit: Unit,
    /// The period in the limit's name; zero when the name has none. Tells limits of one unit apart.
    pub period: Duration,
    /// The limit itself, above zero, when the upstream names it.
    pub limit: Option<f64>,
    /// What is left, zero or more.
    pub remaining: f64,
    /// How long until it is whole again; more than zero.
    pub reset: Duration,
}
