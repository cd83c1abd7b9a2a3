//! AWS's exceptions: their names in streams and in answers, and the statuses that they have there (from the model of the
//! service that the AWS SDKs are made of).

use serde_json::{Map, Value, json};

use crate::wire::inspection::ErrorDoc;

/// Names without `Exception`, and their statuses.
const STATUSES: [(&str, u16); 14] = [
    ("AccessDenied", 403),
    ("Conflict", 400),
    ("ExpiredToken", 403),
    ("InternalFailure", 500),
    ("InternalServer", 500),
    ("ModelError", 424),
    ("ModelNotReady", 429),
    ("ModelStreamError", 424),
    ("ModelTimeout", 408),
    ("ResourceNotFound", 404),
    ("ServiceQuotaExceeded", 400),
    ("ServiceUnavailable", 503),
    ("Throttling", 429),
    ("Validation", 400),
];

/// An exception that came in a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Exception {
    /// As answers name it, such as `ThrottlingException`: streams begin it with a small letter.
    pub(super) name: String,
    /// What it says.
    pub(super) message: String,
    detail: Map<String, Value>,
}

impl Exception {
    /// Reads `{"type", "detail"}`.
    pub(super) fn read(json: &str) -> Self {
        let value: Value = serde_json::from_str(json).unwrap_or_default();
        let text =
            |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut name = text(value.get("type"));
        if let Some(first) = name.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let detail = value.get("detail").and_then(Value::as_object);
        let detail = detail.cloned().unwrap_or_default();
        let original = detail.get("originalMessage").filter(|words| **words != "");
        let words = detail.get("message").or(detail.get("Message"));
        let message = text(original.or(words));
        Self {
            name,
            message,
            detail,
        }
    }

    /// The status that it has where it is an answer of its own.
    pub(super) fn status(&self) -> Option<u16> {
        // A model's own failure tells what the model answered with.
        let original = self
            .detail
            .get("originalStatusCode")
            .and_then(Value::as_u64);
        let original = original.and_then(|status| u16::try_from(status).ok());
        let bare = self.name.trim_end_matches("Exception");
        let own = STATUSES.iter().find(|(name, _)| *name == bare);
        let own = own.map(|(_, status)| *status);
        original
            .filter(|status| *status >= 400 && own == Some(424))
            .or(own)
    }

    /// As an answer of its own would have it.
    pub(super) fn doc(&self) -> ErrorDoc {
        let body = json!({"__type": self.name, "message": self.message});
        ErrorDoc {
            status: self.status(),
            body: body.to_string().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_of_a_stream_is_that_of_an_answer() {
        let read = Exception::read(r#"{"type":"throttlingException","detail":{"message":"slow"}}"#);
        assert_eq!(
            (read.name.as_str(), read.message.as_str(), read.status()),
            ("ThrottlingException", "slow", Some(429))
        );
        let read = Exception::read(
            r#"{"type":"modelStreamErrorException","detail":{"message":"m","originalStatusCode":529,"originalMessage":"Overloaded"}}"#,
        );
        assert_eq!(
            (read.message.as_str(), read.status()),
            ("Overloaded", Some(529))
        );
        assert_eq!(Exception::read("[]").status(), None);
        assert_eq!(Exception::read(r#"{"type":"é"}"#).status(), None);
    }
}
