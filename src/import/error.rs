//! Why there is nothing to import.

use super::field_report::FieldReport;

/// Why a file cannot be taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ImportError {
    /// It is neither YAML nor JSON, or too large.
    #[error("can't be read: {0}")]
    Unreadable(String),
    /// It has nothing of what such a file has.
    #[error("is no file of that format: {0}")]
    Foreign(&'static str),
    /// No provider is in it that could be called.
    #[error("has no provider that could be taken over")]
    Empty(Vec<FieldReport>),
}
