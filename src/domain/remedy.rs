//! What a refusal says of a request that the same upstream takes once it is changed. No I/O, no clock, no logging.

/// How a request is to be changed for an upstream that refused it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remedy {
    /// It is to ask for at most so many tokens of output.
    LessOutput {
        /// In tokens, above 0.
        most: u64,
        /// Whether that holds for every request to the model, and not only beside this prompt.
        of_model: bool,
    },
    /// It is to do without sealed content, which the upstream cannot open.
    Unsealed,
}

/// Less output than this is not worth asking for beside a long prompt, in tokens: a caller who makes the prompt shorter is
/// served better than by an answer that is cut off. `window`: what the context window holds.
pub fn least_output(window: u64) -> u64 {
    const LEAST: u64 = 512;
    const SHARE: u64 = 64;
    LEAST.max(window / SHARE)
}
