//! Our own errors in OpenAI's shape.

use bytes::Bytes;
use serde::Serialize;

use crate::wire::error_body::ErrorBody;

/// Writes `{"error": {…}}`.
pub fn to_bytes(error: &ErrorBody<'_>) -> Bytes {
    #[derive(Serialize)]
    struct Wrapped<'a> {
        error: &'a ErrorBody<'a>,
    }
    // Strings and numbers always serialise.
    serde_json::to_vec(&Wrapped { error })
        .unwrap_or_default()
        .into()
}
