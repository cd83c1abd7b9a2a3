//! What a program asks.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Map, Value, json};

/// The route of a chat completion.
const CHAT: &str = "/v1/chat/completions";

/// A request to a target: a virtual provider, a provider, or a provider's model, as in `model` of any request
/// (`docs/usage.md`).
#[derive(Clone, Debug)]
pub struct Query {
    path: String,
    body: Map<String, Value>,
    headers: HeaderMap,
}

impl Query {
    /// A chat completion with one message of the user.
    pub fn new(target: &str, text: &str) -> Self {
        let message = json!([{"role": "user", "content": text}]);
        Self::to(CHAT, Map::new())
            .with("model", target)
            .with("messages", message)
    }

    /// Any body for any route that takes JSON, in the dialect of the route: `/v1/chat/completions`, `/v1/responses`,
    /// `/v1/messages`, `/v1/embeddings`, `/v1beta/models/smart:generateContent`.
    pub fn to(path: &str, body: Map<String, Value>) -> Self {
        Self {
            path: path.to_owned(),
            body,
            headers: HeaderMap::new(),
        }
    }

    /// With this field in its body: `temperature`, `max_tokens`, `tools`.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.body.insert(field.to_owned(), value.into());
        self
    }

    /// As the client with this token, where the configuration has clients.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.header(header::AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// Is answered within this time, or fails.
    #[must_use]
    pub fn deadline(self, within: Duration) -> Self {
        let name = HeaderName::from_static("x-pointsman-deadline");
        self.header(name, &format!("{}ms", within.as_millis()))
    }

    /// For a stream: what asks for one in the body, except where the path does.
    pub(super) fn streamed(self) -> Self {
        match self.path.contains(':') {
            true => self,
            false => self.with("stream", true),
        }
    }

    /// A value that is no header is left out: it could not have been sent either.
    fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(name == header::AUTHORIZATION);
            self.headers.insert(name, value);
        }
        self
    }

    /// Path, headers and body of the request.
    pub(super) fn into_parts(self) -> (String, HeaderMap, Bytes) {
        let body = Value::Object(self.body).to_string();
        (self.path, self.headers, body.into())
    }
}
