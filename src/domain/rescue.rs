//! What may be done for a stream that dies after content was sent, as configured per virtual provider.
//! No I/O, no clock, no logging.

use std::time::Duration;

use super::ids::Upstream;
use super::time::Time;

/// How a broken stream is continued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RescueMode {
    /// The request runs again elsewhere; what repeats the sent part is suppressed.
    Restart,
    /// An upstream is asked to go on from what was sent; where that is refused, as [`Restart`](Self::Restart).
    Continue,
}

impl RescueMode {
    /// The mode's name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Continue => "continue",
        }
    }
}

/// A virtual provider's rescue. Without one a broken stream ends with an error event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RescuePolicy {
    /// How the stream is continued.
    pub mode: RescueMode,
    /// How long events are held back before they are sent, so that a cut loses nothing of them; 0 means not at
    /// all.
    pub hold: Duration,
}

impl RescuePolicy {
    /// For an answer of which nothing goes out before all of it is there: it may begin again elsewhere until then.
    pub const OF_WHOLE: Self = Self {
        mode: RescueMode::Restart,
        // Longer than any request takes.
        hold: Duration::from_secs(24 * 60 * 60),
    };
}

/// How an upstream is asked to continue the beginning of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prefill {
    /// `prefix: true` on a last message of the assistant.
    Prefix,
    /// The same, and the answer repeats that message before it goes on.
    PrefixEchoed,
    /// `partial: true` on a last message of the assistant.
    Partial,
    /// A last message of the assistant, `add_generation_prompt: false` and `continue_final_message: true`.
    ContinueFinalMessage,
    /// A last message of the assistant alone.
    Assistant,
}

impl Prefill {
    /// Every form, by its name in the configuration.
    pub const ALL: [(&'static str, Self); 5] = [
        ("prefix", Self::Prefix),
        ("prefix_echoed", Self::PrefixEchoed),
        ("partial", Self::Partial),
        ("continue_final_message", Self::ContinueFinalMessage),
        ("assistant", Self::Assistant),
    ];

    /// The form of that name.
    pub fn named(name: &str) -> Option<Self> {
        let of = |(known, form): &(&str, Self)| (*known == name).then_some(*form);
        Self::ALL.iter().find_map(of)
    }
}

/// What keeps an answer that broke off from being finished by another attempt, or from being continued where it stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RescueObstacle {
    /// The upstream has no way to be asked for it: it gets the same request again.
    NoPrefill,
    /// The upstream's model does not go on from the beginning of an answer: it gets the same request again.
    ModelTakesNone,
    /// The conversation has no place for the beginning of an answer: the upstream gets the same request again.
    NoPlace,
    /// The upstream was asked to go on and refused.
    PrefillRefused,
    /// The request asks for something else than one plain text.
    RequestBound,
    /// Parameters of the configuration ask for something else than one plain text.
    ParamsBound,
    /// The answer has its finish reason.
    Finished,
    /// Thoughts of the model were sent.
    ThinkingSent,
    /// A call of a tool was sent.
    ToolCallSent,
    /// Something else was sent that is no plain text.
    OtherSent,
    /// More text was sent than is kept.
    TooLong,
    /// Another attempt would meet the same, or there is no time for one.
    FinalFailure,
    /// No upstream began another answer.
    NoUpstream,
    /// The second answer is another one.
    Diverged,
}

impl RescueObstacle {
    /// Its name in logs, spans and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoPrefill => "no_prefill",
            Self::ModelTakesNone => "model_takes_no_prefill",
            Self::NoPlace => "no_place_for_prefill",
            Self::PrefillRefused => "prefill_refused",
            Self::RequestBound => "request_bound",
            Self::ParamsBound => "params_bound",
            Self::Finished => "answer_finished",
            Self::ThinkingSent => "thinking_sent",
            Self::ToolCallSent => "tool_call_sent",
            Self::OtherSent => "other_content_sent",
            Self::TooLong => "answer_too_long",
            Self::FinalFailure => "final_failure",
            Self::NoUpstream => "no_upstream",
            Self::Diverged => "answer_differs",
        }
    }

    /// The same for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoPrefill => "the upstream has no `prefill`: it is asked from the beginning",
            Self::ModelTakesNone => {
                "the model does not continue the beginning of an answer: it is asked from the beginning"
            }
            Self::NoPlace => {
                "the request ends with a message of the assistant already: it is asked from the beginning"
            }
            Self::PrefillRefused => "the upstream refused to continue the beginning of an answer",
            Self::RequestBound => {
                "the request binds its answer to a form, or asks for more than one text"
            }
            Self::ParamsBound => {
                "`params` of an upstream bind the answer to a form, or ask for more than one text"
            }
            Self::Finished => "the answer has its finish reason",
            Self::ThinkingSent => "thoughts of the model were sent",
            Self::ToolCallSent => "a call of a tool was sent",
            Self::OtherSent => "something else than text was sent",
            Self::TooLong => "more than 1 MiB of text was sent",
            Self::FinalFailure => {
                "another attempt would fail in the same way, or the request has no time for one"
            }
            Self::NoUpstream => "no upstream began another answer",
            Self::Diverged => "the second answer is another one",
        }
    }
}

/// An obstacle that one request met.
#[derive(Clone, Debug)]
pub struct RescueNote {
    /// When.
    pub at: Time,
    /// Which.
    pub obstacle: RescueObstacle,
    /// At which upstream, if it is one of an upstream.
    pub upstream: Option<Upstream>,
}
