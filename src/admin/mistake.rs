//! What is wrong with a configuration, or with what should be added to it.

/// One mistake in a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// Where, if that is known.
    pub place: String,
    /// The mistake, in one sentence.
    pub message: String,
    /// What to write instead.
    pub suggestion: Option<String>,
}
