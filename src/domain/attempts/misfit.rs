//! Why a request does not fit an upstream, as its refusal names it.

/// Why a request is too large for an upstream, or otherwise not for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestMisfit {
    /// The context window, in tokens, where it is known.
    Window(Option<u64>),
    /// Its limit for one request, in tokens, where it named that.
    Limit(Option<u64>),
    /// The credit left, in tokens, where it named that.
    Credit(Option<u64>),
    /// It does not have something that the request asks for.
    Feature,
}
