//! Why a request cannot be said to an upstream, and what its caller is told of that.

use super::ir::Loss;
use crate::domain::dropped::Dropped;
use crate::domain::error_code::ErrorCode;

/// Why a request cannot be said to an upstream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// The upstream's API has nothing of the kind.
    NoSuchOperation,
    /// The request cannot be read as a conversation.
    Unreadable(Loss),
    /// A field refers to what a provider holds, and the upstream is not that provider.
    Elsewhere(&'static str),
    /// Something has no place in the upstream's dialect, and may not be left out.
    NoPlace(Dropped),
    /// The same, and without it a message of the user says nothing.
    NothingLeft(Dropped),
}

impl Unfit {
    /// The code of the error.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NoSuchOperation => ErrorCode::NotSupported,
            Self::Unreadable(_) => ErrorCode::InvalidRequest,
            Self::Elsewhere(_) => ErrorCode::StateUnavailable,
            Self::NoPlace(_) | Self::NothingLeft(_) => ErrorCode::UnsupportedField,
        }
    }

    /// The field at fault, if it is one.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::NoSuchOperation => None,
            Self::Unreadable(loss) => Some(&*loss.path).filter(|path| !path.is_empty()),
            Self::Elsewhere(field) => Some(field),
            Self::NoPlace(dropped) | Self::NothingLeft(dropped) => dropped.first(),
        }
    }

    /// For the caller: what is wrong, and what to do. `path` is what was called, `dialect` what the upstream speaks.
    pub fn message(&self, path: &str, dialect: &str) -> String {
        match self {
            Self::NoSuchOperation => {
                format!("{path} is not served by an API of the dialect {dialect}")
            }
            Self::Unreadable(loss) => match self.field() {
                Some(field) => format!("`{field}`: {}", loss.why),
                None => loss.why.to_owned(),
            },
            Self::Elsewhere(field) => format!(
                "`{field}` refers to what another provider holds: send the conversation itself instead"
            ),
            Self::NoPlace(dropped) => format!(
                "the dialect {dialect} has no place for: {dropped}. Remove it, or allow it to be left out \
                 (x-pointsman-unsupported: drop)"
            ),
            Self::NothingLeft(dropped) => format!(
                "the dialect {dialect} has no place for: {dropped}, and without it a message says nothing"
            ),
        }
    }
}
