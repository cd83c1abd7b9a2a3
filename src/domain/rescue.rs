//! What may be done for a stream that dies after content was sent, as configured per virtual provider.
//! No I/O, no clock, no logging.

use std::time::Duration;

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
