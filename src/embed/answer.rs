//! What a program gets: an answer as a whole, or its events as they come.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::error::AskError;
use crate::api::{DirectAnswer, DirectBody};
use crate::domain::dialect::Operation;
use crate::wire::dialect::EventDecoder;
use crate::wire::dialects::{self, Dialect};
use crate::wire::ir::{ContentDelta, PartBody, StreamItem};
use crate::wire::sse::{EventSplitter, MAX_EVENT, RawEvent};

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    text: String,
    body: Value,
    headers: HeaderMap,
}

impl Answer {
    /// What the model says, in any dialect; empty where it calls tools alone, or where the route has no text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The whole body, in the dialect of the query's route.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// The upstream that answered: `groq:openai/gpt-oss-20b`.
    pub fn upstream(&self) -> Option<&str> {
        self.header("x-pointsman-upstream")
    }

    /// The key that was used, by its number: `groq#2`.
    pub fn key(&self) -> Option<&str> {
        self.header("x-pointsman-key")
    }

    /// A header of the answer (`docs/usage.md` lists those of Pointsman).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) async fn read(answer: DirectAnswer) -> Result<Self, AskError> {
        let (operation, headers) = (answer.operation, answer.headers);
        let bytes = whole(answer.body).await?;
        if !answer.status.is_success() {
            return Err(refused(answer.status, &headers, &bytes));
        }
        let unreadable = |error: serde_json::Error| AskError::Unreadable(error.to_string());
        let read = reader(operation).and_then(|dialect| dialect.decode_answer(&bytes).ok());
        let first = read.and_then(|answer| answer.candidates.into_iter().next());
        let parts = first.map(|first| first.message.parts).unwrap_or_default();
        let texts = parts.into_iter().filter_map(|part| match part.body {
            PartBody::Text { text, .. } => Some(text),
            _ => None,
        });
        Ok(Self {
            text: texts.collect(),
            body: serde_json::from_slice(&bytes).map_err(unreadable)?,
            headers,
        })
    }
}

/// An answer as it comes. The request ends when this is dropped.
pub struct AnswerStream {
    headers: HeaderMap,
    body: DirectBody,
    splitter: EventSplitter,
    operation: Option<Operation>,
    decoder: Option<Box<dyn EventDecoder>>,
    is_over: bool,
}

/// One event of an answer.
#[derive(Clone, PartialEq, Debug)]
pub struct AnswerEvent {
    /// The new text in it, in any dialect; empty in all other events.
    pub text: String,
    /// Its name, where the dialect has names: `response.output_text.delta`.
    pub name: Option<String>,
    /// Its data as it came: JSON, or `[DONE]`.
    pub data: String,
}

impl AnswerStream {
    /// The upstream that answers: `groq:openai/gpt-oss-20b`.
    pub fn upstream(&self) -> Option<&str> {
        self.header("x-pointsman-upstream")
    }

    /// A header of the answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next event; `None` after the last one. After an error nothing follows. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<AnswerEvent, AskError>> {
        while !self.is_over {
            match self.splitter.next_event() {
                Ok(Some(event)) if event.is_empty() => {}
                Ok(Some(event)) => {
                    if let Some(error) = self.error_in(&event) {
                        self.is_over = true;
                        return Some(Err(error));
                    }
                    let fields = event.read();
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    let mut read = AnswerEvent {
                        text: String::new(),
                        name: fields.name.map(text),
                        data: text(&fields.data),
                    };
                    let items = self.decoder.as_mut().map(|decoder| decoder.event(&event));
                    for item in items.unwrap_or_default() {
                        if let StreamItem::Delta {
                            candidate: 0,
                            delta: ContentDelta::Text(more),
                        } = item
                        {
                            read.text.push_str(&more);
                        }
                    }
                    return Some(Ok(read));
                }
                Ok(None) => match self.body.next().await {
                    Some(Ok(bytes)) => self.splitter.push(bytes),
                    Some(Err(error)) => {
                        self.is_over = true;
                        return Some(Err(error.into()));
                    }
                    None => self.is_over = true,
                },
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(AskError::Unreadable(error.to_string())));
                }
            }
        }
        None
    }

    /// The error that an event tells in place of the rest of the answer.
    fn error_in(&self, event: &RawEvent) -> Option<AskError> {
        let (operation, dialect) = self.operation.zip(reader(self.operation))?;
        let error = dialect.event(operation, event).error?;
        let read: Value = serde_json::from_slice(&error.body).unwrap_or_default();
        let places = ["/error/message", "/response/error/message", "/message"];
        let told = places
            .into_iter()
            .find_map(|place| read.pointer(place)?.as_str());
        let words = told.map_or_else(|| String::from_utf8_lossy(&error.body), Into::into);
        Some(AskError::BrokenOff(words.into_owned()))
    }

    pub(super) async fn read(answer: DirectAnswer) -> Result<Self, AskError> {
        if !answer.status.is_success() {
            let bytes = whole(answer.body).await?;
            return Err(refused(answer.status, &answer.headers, &bytes));
        }
        Ok(Self {
            headers: answer.headers,
            body: answer.body,
            splitter: EventSplitter::new(MAX_EVENT),
            operation: answer.operation,
            decoder: reader(answer.operation).map(|dialect| dialect.event_decoder()),
            is_over: false,
        })
    }
}

impl std::fmt::Debug for AnswerStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnswerStream")
    }
}

/// What reads the answers of conversations; other operations have no text.
fn reader(operation: Option<Operation>) -> Option<Dialect> {
    let operation = operation?;
    // Streams that a path asks for have an operation of their own, and the same dialect.
    let dialect = dialects::upstream(dialects::caller(operation).id())?;
    dialect.conversation().map(|_| dialect)
}

/// All bytes; an answer is bounded where it comes in (`server.max_answer`).
async fn whole(mut body: DirectBody) -> Result<Bytes, AskError> {
    let mut all = Vec::new();
    while let Some(piece) = body.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all.into())
}

fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> AskError {
    let body = String::from_utf8_lossy(body).into_owned();
    let read: Value = serde_json::from_str(&body).unwrap_or_default();
    let error = match &read["error"] {
        Value::Null => &read,
        error => error,
    };
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    let after = headers.get("retry-after-ms");
    let after = after.and_then(|value| value.to_str().ok()?.parse().ok());
    AskError::Refused {
        status: status.as_u16(),
        code: text("code"),
        message: match error["message"].as_str() {
            Some(message) => message.to_owned(),
            None => body.clone(),
        },
        retry_after: after.map(Duration::from_millis),
        body,
    }
}
