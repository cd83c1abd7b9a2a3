//! Words that several files here share.

/// Why something of another dialect is not carried over.
pub(in crate::wire::ollama) const UNKNOWN: &str = "Ollama has no field for it";
