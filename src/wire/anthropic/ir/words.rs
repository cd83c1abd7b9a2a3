//! Words that several files here share.

/// Why something of another dialect is not carried over.
pub(super) const UNKNOWN: &str = "the Messages API has no field for it";

/// The name of the tool that stands for a form of answer, at models that know no other way to hold one. What it is called
/// with is the answer.
pub(super) const ANSWER_TOOL: &str = "pointsman_answer";
