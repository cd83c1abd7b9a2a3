//! Words that several files here share.

/// Why something of another dialect is not carried over.
pub(super) const UNKNOWN: &str = "Converse has no field for it";

/// The field in which thoughts stand here.
pub(super) const REASONING: &str = "reasoningContent";
