//! Why an expression cannot be used, and how long and deep it may be.

/// The longest expression, in bytes.
pub(super) const LONGEST: usize = 1024;
/// How deep an expression may be nested.
pub(super) const DEEPEST: usize = 32;

/// Why an expression cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CelError {
    #[error("is empty")]
    Empty,
    #[error("is longer than {LONGEST} bytes")]
    Long,
    #[error("is nested deeper than {DEEPEST} levels")]
    Deep,
    #[error("has brackets or quotes that do not match")]
    Unbalanced,
    #[error("is no expression: {0}")]
    Syntax(String),
    #[error("has a loop (`all`, `exists`, `map`, `filter`), which is not taken")]
    Loop,
    #[error("speaks of `{0}`; there are request, client, headers, now and target")]
    Variable(String),
    #[error("speaks of `{variable}.{field}`; `{variable}` has {known}")]
    Field {
        variable: String,
        field: String,
        known: String,
    },
    #[error("fails for every request: {0}")]
    Wrong(String),
    #[error("is {found}, not {wanted}")]
    Kind {
        found: &'static str,
        wanted: &'static str,
    },
    #[error("could not be read: there is no thread for it, or its parser has failed")]
    Unreadable,
}
