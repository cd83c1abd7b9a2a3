//! What a request is like, as far as that decides where it goes. Read once for all dialects. No I/O, no clock, no logging.

use super::money::Pico;
use super::unmet::Features;

/// What only some conditions speak of: it is read when one does.
#[cfg_attr(
    not(any(feature = "cel", feature = "internals")),
    expect(dead_code, reason = "expressions alone ask for all of it")
)]
pub trait RequestDetails {
    /// The value of its header of this name, in small letters.
    fn header(&self, name: &str) -> Option<String>;
    /// The temperature that it asks for.
    fn temperature(&self) -> Option<f64>;
    /// What is left of the tightest budget of its client, if that has one.
    fn budget_left(&self) -> Option<Pico>;
}

/// Nothing that is known.
struct NoDetails;

impl RequestDetails for NoDetails {
    fn header(&self, _: &str) -> Option<String> {
        None
    }

    fn temperature(&self) -> Option<f64> {
        None
    }

    fn budget_left(&self) -> Option<Pico> {
        None
    }
}

/// One request.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(any(feature = "cel", feature = "internals")),
    expect(dead_code, reason = "expressions alone ask for all of it")
)]
pub struct RequestShape<'a> {
    /// Tokens of its prompt, estimated.
    pub prompt_tokens: u64,
    /// The most tokens that its answer may have, if it says.
    pub output_tokens: Option<u64>,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// What it needs.
    pub features: Features,
    /// The client's name; `None` where no clients are configured.
    pub client: Option<&'a str>,
    /// Whether it has a header of this name, in small letters, whose value fits this pattern.
    pub header_fits: &'a dyn Fn(&str, &str) -> bool,
    /// The name of that client's class.
    pub priority: Option<&'static str>,
    /// What else it has.
    pub details: &'a dyn RequestDetails,
    /// The target that it asks for.
    pub model: &'a str,
    /// When it came, in seconds since 1970 (UTC).
    pub unix: i64,
    /// The hash of what its conversation is known by; `None` where it is known by nothing.
    pub session: Option<u64>,
    /// Whether that was heard of lately, so that its prompt may be in a cache.
    pub warm: bool,
}

impl Default for RequestShape<'_> {
    /// A short prompt with nothing about it, from nobody, in 1970.
    fn default() -> Self {
        Self {
            prompt_tokens: 0,
            output_tokens: None,
            stream: false,
            features: Features::NONE,
            client: None,
            header_fits: &|_, _| false,
            priority: None,
            details: &NoDetails,
            model: "",
            unix: 0,
            session: None,
            warm: true,
        }
    }
}
