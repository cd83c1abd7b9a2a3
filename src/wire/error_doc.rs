//! Reads an error answer, whatever its shape, into the facts that classification and hints ask for.
//!
//! Providers wrap their errors in a dozen ways: an `error` object, an `error` string, a list around either, a
//! flat object, `detail`, `errors`, `base_resp`, problem documents, a header. All are read the same way: every
//! object that may hold the error is asked for the same names.

use std::borrow::Cow;

use http::HeaderMap;
use serde_json::{Map, Value};

use crate::wire::json;

/// The most of a message that is looked at, in bytes.
const MAX_TEXT: usize = 4096;

/// The most of a body that is not JSON that is looked at, in bytes.
const MAX_SNIPPET: usize = 2048;

/// What OpenRouter says for a failure of a provider behind it.
const GENERAL: &str = "Provider returned error";

/// What a proxy or an ingress writes, where an API's error quotes it.
const PAGES: [&str; 3] = ["404 page not found", "<!doctype html", "<html"];

/// What a fact is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ErrorField {
    /// `code` of the error, as text.
    Code,
    /// `type` of the error; also AWS's `__type` and `x-amzn-errortype`.
    Type,
    /// The words of the error: matched, not compared.
    Message,
    /// Google's `status`, such as `RESOURCE_EXHAUSTED`.
    Grpc,
    /// `reason` of Google's `ErrorInfo`.
    Reason,
    /// `quotaId` of Google's `QuotaFailure`: searched for a part.
    QuotaId,
    /// `error.details.error_code` (Anthropic).
    Detail,
    /// `error.metadata.error_type` (OpenRouter).
    Metadata,
    /// `errors[].code` (Cloudflare).
    Cloudflare,
    /// `base_resp.status_code` (MiniMax).
    BaseResp,
    /// Any of `Code`, `Type` and `Metadata`: what several servers put into different places.
    Name,
    /// `param` of the error: the field of the request that it is about.
    Param,
    /// Why a choice ended.
    Finish,
    /// A header as `name: value`.
    Header,
    /// `json` when an API answered, `empty`, or `html`; nothing for other text.
    Body,
}

impl ErrorField {
    /// Whether a fact about this field applies to `asked`, which may mean several fields.
    fn answers(self, asked: Self) -> bool {
        self == asked
            || (asked == Self::Name && matches!(self, Self::Code | Self::Type | Self::Metadata))
    }
}

/// An error answer as facts.
#[derive(Debug, Default)]
pub(super) struct Doc {
    facts: Vec<(ErrorField, String)>,
    message: String,
    text: String,
    status: Option<u16>,
    context: Option<u64>,
    body: Value,
}

impl Doc {
    /// Reads an answer's headers and its body, which is not compressed any more. Never fails.
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let mut doc = Self::default();
        doc.read_headers(headers);
        let body = utf8(body);
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&body);
        match json::error(body) {
            Some(value) => {
                doc.read_value(&value);
                doc.body = value;
            }
            None => doc.read_plain(headers, body),
        }
        doc.message = clip(&doc.message, MAX_TEXT).to_owned();
        doc.text = clip(&format!("{}\n{}", doc.message, doc.text), 2 * MAX_TEXT).to_owned();
        // "isn’t" and "isn't" are the same word.
        doc.text = doc.text.replace('’', "'");
        if doc.quotes_a_page() {
            doc.facts.retain(|(field, _)| *field != ErrorField::Body);
        }
        doc
    }

    /// The words of the error for an operator; may be empty.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// All the words there are, for a search.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The HTTP status that the body names, 400 and above.
    pub(super) fn status(&self) -> Option<u16> {
        self.status
    }

    /// The whole body; null when it is not JSON.
    pub(super) fn body(&self) -> &Value {
        &self.body
    }

    /// The context window in tokens that a field of the error names (llama.cpp's `n_ctx`).
    pub(super) fn context(&self) -> Option<u64> {
        self.context
    }

    /// Whether an API sent the error: the body is JSON, and quotes no page of a proxy in front of the API.
    pub(super) fn is_of_an_api(&self) -> bool {
        self.says(ErrorField::Body, "json")
    }

    /// Whether the API only passes on the page of a proxy, or of another server that is no API.
    fn quotes_a_page(&self) -> bool {
        let is_api = self.says(ErrorField::Body, "json");
        let text = self.text.to_ascii_lowercase();
        is_api && PAGES.iter().any(|page| text.contains(page))
    }

    /// Whether a fact was found.
    pub(super) fn says(&self, field: ErrorField, value: &str) -> bool {
        let same = |found: &str| match field {
            ErrorField::QuotaId => found.contains(value),
            _ => found.eq_ignore_ascii_case(value),
        };
        self.facts
            .iter()
            .any(|(about, found)| about.answers(field) && same(found))
    }

    /// The first fact of a kind.
    pub(super) fn first(&self, field: ErrorField) -> Option<&str> {
        let mut found = self.facts.iter().filter(|(about, _)| *about == field);
        found.next().map(|(_, value)| value.as_str())
    }

    fn add(&mut self, field: ErrorField, value: Option<String>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.facts.push((field, value));
        }
    }

    fn read_headers(&mut self, headers: &HeaderMap) {
        for (name, value) in headers {
            let Ok(value) = value.to_str() else { continue };
            match name.as_str() {
                "x-amzn-errortype" => self.add_aws_type(value),
                name if name.contains("remaining") => {
                    self.add(ErrorField::Header, Some(format!("{name}: {value}")));
                }
                _ => {}
            }
        }
    }

    /// `com.amazon.coral#ThrottlingException:http://…` is a `ThrottlingException`.
    fn add_aws_type(&mut self, value: &str) {
        let name = value.split(':').next().unwrap_or_default();
        let name = name.rsplit('#').next().unwrap_or_default();
        self.add(ErrorField::Type, Some(name.to_owned()));
    }

    fn read_plain(&mut self, headers: &HeaderMap, body: &[u8]) {
        let start = body.get(..MAX_SNIPPET).unwrap_or(body);
        let snippet = String::from_utf8_lossy(start);
        let snippet = snippet.trim();
        let declared = headers
            .get(http::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("html"));
        if snippet.is_empty() {
            self.add(ErrorField::Body, Some("empty".to_owned()));
        } else if declared || snippet.starts_with('<') {
            self.add(ErrorField::Body, Some("html".to_owned()));
            self.text = title(snippet).to_owned();
        } else {
            self.message = snippet.to_owned();
        }
    }

    fn read_value(&mut self, value: &Value) {
        if matches!(value, Value::Array(_) | Value::Object(_) | Value::String(_)) {
            self.add(ErrorField::Body, Some("json".to_owned()));
        }
        match value {
            Value::Array(items) => {
                if let Some(first) = items.first() {
                    self.read_value(first);
                }
            }
            Value::Object(body) => self.read_body(body),
            Value::String(text) => self.message.clone_from(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn read_body(&mut self, body: &Map<String, Value>) {
        // The places of an error, the most specific first: its message is the one shown.
        let response = body
            .get("response")
            .and_then(|response| response.get("error"));
        let choices = body.get("choices").and_then(Value::as_array);
        let choice = choices.and_then(|choices| {
            let failed = choices.iter().find(|choice| choice.get("error").is_some());
            failed.or(choices.first())
        });
        let inside = choice.and_then(|choice| choice.get("error"));
        for error in [body.get("error"), response, inside].into_iter().flatten() {
            match error {
                Value::Object(error) => self.read_error(error),
                Value::String(text) => self.say(text),
                _ => {}
            }
        }
        for error in body
            .get("errors")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            self.add(ErrorField::Cloudflare, scalar(error.get("code")));
            if let Some(text) = error.as_str().or_else(|| error.get("message")?.as_str()) {
                self.say(text);
            }
        }
        if let Some(base) = body.get("base_resp") {
            self.add(ErrorField::BaseResp, scalar(base.get("status_code")));
            if let Some(text) = base.get("status_msg").and_then(Value::as_str) {
                self.say(text);
            }
        }
        let reason = |name| choice.and_then(|choice| scalar(choice.get(name)));
        self.add(ErrorField::Finish, reason("finish_reason"));
        self.add(ErrorField::Finish, reason("native_finish_reason"));
        self.add(ErrorField::Finish, scalar(body.get("stop_reason")));
        self.read_error(body);
    }

    /// Reads one object that is, or may be, the error itself.
    fn read_error(&mut self, error: &Map<String, Value>) {
        self.add(ErrorField::Code, scalar(error.get("code")));
        self.add(ErrorField::Type, scalar(error.get("type")));
        self.add(ErrorField::Type, scalar(error.get("error_type")));
        self.add(ErrorField::Param, scalar(error.get("param")));
        let context = error.get("n_ctx").and_then(Value::as_u64);
        self.context = self.context.or(context);
        if let Some(name) = error.get("__type").and_then(Value::as_str) {
            self.add_aws_type(name);
        }
        if let Some(Value::String(status)) = error.get("status") {
            self.add(ErrorField::Grpc, Some(status.clone()));
        }
        for name in ["code", "status", "status_code", "http_code"] {
            self.status = self.status.or_else(|| http_status(error.get(name)?));
        }
        for name in [
            "message",
            "msg",
            "detail",
            "title",
            "error_description",
            "Message",
        ] {
            match error.get(name) {
                Some(Value::String(text)) => self.say(text),
                Some(Value::Array(items)) => {
                    // A validation error's `input` is the caller's own text: only `msg` is taken.
                    for text in items.iter().filter_map(|item| item.get("msg")?.as_str()) {
                        self.say(text);
                    }
                }
                Some(Value::Object(inner)) if name == "detail" || name == "message" => {
                    let text = inner.get("message").or_else(|| inner.get("detail"));
                    if let Some(text) = text.and_then(Value::as_str) {
                        self.say(text);
                    }
                }
                _ => {}
            }
        }
        for name in ["innererror", "inner_error"] {
            self.add(
                ErrorField::Code,
                scalar(error.get(name).and_then(|inner| inner.get("code"))),
            );
        }
        match error.get("details") {
            Some(Value::Array(details)) => details.iter().for_each(|item| self.read_detail(item)),
            Some(details) => self.add(ErrorField::Detail, scalar(details.get("error_code"))),
            None => {}
        }
        if let Some(metadata) = error.get("metadata") {
            self.read_metadata(metadata);
        }
    }

    /// One of Google's `details`.
    fn read_detail(&mut self, detail: &Value) {
        self.add(ErrorField::Reason, scalar(detail.get("reason")));
        let violations = detail.get("violations").and_then(Value::as_array);
        for violation in violations.into_iter().flatten() {
            self.add(ErrorField::QuotaId, scalar(violation.get("quotaId")));
        }
    }

    /// OpenRouter's `metadata`: its own kind of error, the words of the provider behind it.
    fn read_metadata(&mut self, metadata: &Value) {
        self.add(ErrorField::Metadata, scalar(metadata.get("error_type")));
        if let Some(raw) = metadata.get("raw").and_then(Value::as_str) {
            let inner = json::error(raw.as_bytes());
            let words = inner.as_ref().and_then(|inner| {
                let error = inner.get("error").unwrap_or(inner);
                let named = |name: &str| error.get(name)?.as_str();
                let mut names = ["message", "detail", "msg"].into_iter();
                error.as_str().or_else(|| names.find_map(named))
            });
            let foreign = !matches!(inner, Some(Value::Object(_) | Value::Array(_)));
            if foreign && self.message == GENERAL {
                // Its words are those of something before the provider's API.
                self.facts.retain(|(field, _)| *field != ErrorField::Body);
            }
            self.say(words.unwrap_or(raw));
        }
    }

    fn say(&mut self, text: &str) {
        let text = clip(text, MAX_TEXT);
        // A general phrase says less than the words of the provider behind it.
        if self.message.is_empty() || self.message == GENERAL {
            self.message = text.to_owned();
        } else if self.text.len() < MAX_TEXT {
            self.text.push_str(text);
            self.text.push('\n');
        }
    }
}

/// A body in UTF-16, by its byte order mark or by the NUL beside its first character, as UTF-8; any other as it is.
fn utf8(body: &[u8]) -> Cow<'_, [u8]> {
    let (body, little) = match body {
        [0xff, 0xfe, body @ ..] => (body, true),
        [0xfe, 0xff, body @ ..] => (body, false),
        [first, 0, ..] if *first != 0 => (body, true),
        [0, second, ..] if *second != 0 => (body, false),
        _ => return Cow::Borrowed(body),
    };
    let units = body.chunks_exact(2).map(|unit| {
        let unit = unit.try_into().unwrap_or_default();
        if little {
            u16::from_le_bytes(unit)
        } else {
            u16::from_be_bytes(unit)
        }
    });
    let text =
        char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER));
    Cow::Owned(text.collect::<String>().into_bytes())
}

/// A text or a whole number as text.
fn scalar(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A status of 400 and above.
fn http_status(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u16::try_from(number)
        .ok()
        .filter(|status| (400..600).contains(status))
}

/// The title of a page, the only part of it that speaks of the error and not of the site.
fn title(page: &str) -> &str {
    // ASCII only, so that both texts have the same offsets.
    let lower = page.to_ascii_lowercase();
    let found = lower.find("<title>").and_then(|start| {
        let start = start + "<title>".len();
        let length = lower.get(start..)?.find("</title>")?;
        page.get(start..start + length)
    });
    found.unwrap_or_default()
}

/// The start of a text, at most `max` bytes, cut between characters.
fn clip(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or(text)
}
