//! The body of a request that changes something: a small JSON object, or nothing.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, StatusCode, header};
use hyper::body::Body as _;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::answer::AdminRefusal;
use crate::config;
use crate::domain::ids::ModelName;
use crate::domain::persisted::HELD_MAX;

/// Commands are smaller than this.
const LARGEST: usize = 64 * 1024;
/// A body that takes longer is refused.
const SLOWEST: Duration = Duration::from_secs(10);
/// Bodies that are read at the same time: slow ones never take all connections.
static BODIES: Semaphore = Semaphore::const_new(64);
/// A header that no form of a page can send says the same as the content type.
const HEADER: &str = "x-pointsman-admin";

/// What was sent, once it is sure that no page of another origin sent it.
pub(super) struct BodyFields(Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for BodyFields {
    type Rejection = AdminRefusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, AdminRefusal> {
        if !is_meant(request.headers()) {
            let message = "a change needs `content-type: application/json` or the header `x-pointsman-admin: 1`";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(AdminRefusal::new(status, "content_type", message));
        }
        let body = request.into_body();
        // Commands without a body, which most are, need no place.
        let place = (!body.is_end_stream()).then(|| BODIES.try_acquire());
        if let Some(Err(_)) = place {
            let message = "too many bodies of orders are on their way: retry later";
            return Err(AdminRefusal::too_many("too_many_bodies", message));
        }
        let reading = to_bytes(body, LARGEST);
        let bytes = match tokio::time::timeout(SLOWEST, reading).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(_)) => {
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                let message =
                    format!("the body could not be read, or has more than {LARGEST} bytes");
                return Err(AdminRefusal::new(status, "request_too_large", message));
            }
            Err(_) => {
                let message = "the body did not come within 10 s";
                return Err(AdminRefusal::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "timeout",
                    message,
                ));
            }
        };
        if bytes.is_empty() {
            return Ok(Self(Map::new()));
        }
        match serde_json::from_slice(&bytes) {
            Ok(fields) => Ok(Self(fields)),
            // Parsers quote what they found, which may be a key.
            Err(error) => Err(AdminRefusal::invalid(config::masked(&format!(
                "the body is no JSON object: {error}"
            )))),
        }
    }
}

fn is_meant(headers: &HeaderMap) -> bool {
    let json = headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        let text = value.to_str().unwrap_or_default();
        let kind = text.split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case("application/json")
    });
    json || headers.contains_key(HEADER)
}

impl BodyFields {
    /// Takes a field out; `null` is the same as none.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// `for`: a time such as `30s`, or seconds.
    pub(super) fn span(&mut self) -> Result<Option<Duration>, AdminRefusal> {
        self.time("for", HELD_MAX, "a year")
    }

    /// A time longer than zero and up to `most`, which has this name; or none.
    pub(super) fn time(
        &mut self,
        name: &str,
        most: Duration,
        most_name: &str,
    ) -> Result<Option<Duration>, AdminRefusal> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let span = match &value {
            Value::String(text) => config::duration(text.trim()),
            Value::Number(number) => config::duration(&number.to_string()),
            _ => None,
        };
        match span.filter(|span| !span.is_zero() && *span <= most) {
            Some(span) => Ok(Some(span)),
            None => Err(AdminRefusal::invalid(format!(
                "`{name}` must be a time of at most {most_name}, such as \"30s\" or \"1h\""
            ))),
        }
    }

    /// The member `model`: a model's name.
    pub(super) fn model(&mut self) -> Result<Option<ModelName>, AdminRefusal> {
        match self.take("model") {
            None => Ok(None),
            Some(Value::String(text)) if is_name(&text) => Ok(Some(ModelName::from(text))),
            Some(_) => Err(AdminRefusal::invalid(
                "`model` must be the name of a model, or null",
            )),
        }
    }

    /// A text that must be there.
    pub(super) fn text(&mut self, name: &str) -> Result<String, AdminRefusal> {
        match self.take(name) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(AdminRefusal::invalid(format!("`{name}` must be a text"))),
        }
    }

    /// A text, or none.
    pub(super) fn text_if_any(&mut self, name: &str) -> Result<Option<String>, AdminRefusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(AdminRefusal::invalid(format!(
                "`{name}` must be a text, or null"
            ))),
        }
    }

    /// An object of texts; an empty one if it is not there.
    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<(String, String)>, AdminRefusal> {
        let wrong =
            || AdminRefusal::invalid(format!("`{name}` must be an object of texts, or null"));
        let members = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::Object(members)) => members,
            Some(_) => return Err(wrong()),
        };
        let texts = members.into_iter().map(|(name, value)| match value {
            Value::String(text) => Ok((name, text)),
            _ => Err(wrong()),
        });
        texts.collect()
    }

    /// A whole number, or none.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<u64>, AdminRefusal> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        // To JSON 3.0 is the same number as 3.
        let float = || Some(value.as_f64()?).filter(|number| number.fract() == 0.0);
        let number = value.as_u64();
        let number = number.or_else(|| format!("{:.0}", float()?).parse().ok());
        let wrong = || AdminRefusal::invalid(format!("`{name}` must be a whole number, or null"));
        number.map(Some).ok_or_else(wrong)
    }

    /// A number, or none.
    pub(super) fn decimal(&mut self, name: &str) -> Result<Option<f64>, AdminRefusal> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let wrong = || AdminRefusal::invalid(format!("`{name}` must be a number, or null"));
        value.as_f64().map(Some).ok_or_else(wrong)
    }

    /// A moment as in RFC 3339, or a day; in seconds since 1970.
    pub(super) fn moment(&mut self, name: &str) -> Result<Option<i64>, AdminRefusal> {
        let Some(text) = self.text_if_any(name)? else {
            return Ok(None);
        };
        let wrong = || {
            let message = "must be a moment such as \"2027-01-31T18:30:00Z\", or null";
            AdminRefusal::invalid(format!("`{name}` {message}"))
        };
        config::moment(&text).map(Some).ok_or_else(wrong)
    }

    /// Yes or no, or neither.
    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, AdminRefusal> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let wrong = || AdminRefusal::invalid(format!("`{name}` must be true, false or null"));
        value.as_bool().map(Some).ok_or_else(wrong)
    }

    /// A list of texts; an empty one if it is not there.
    pub(super) fn list(&mut self, name: &str) -> Result<Vec<String>, AdminRefusal> {
        let wrong = || AdminRefusal::invalid(format!("`{name}` must be a list of texts, or null"));
        let items = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(wrong()),
        };
        let texts = items.into_iter().map(|item| match item {
            Value::String(text) => Ok(text),
            _ => Err(wrong()),
        });
        texts.collect()
    }

    /// Everything that has not been taken out.
    pub(super) fn rest(self) -> Map<String, Value> {
        self.0
    }

    /// Nothing else may have been sent.
    pub(super) fn finish(self) -> Result<(), AdminRefusal> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let name: String = name.chars().take(100).collect();
                let message = config::masked(&format!("unknown field `{name}`"));
                Err(AdminRefusal::invalid(message))
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= 256 && !text.chars().any(char::is_control)
}
