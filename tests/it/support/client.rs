//! The client in front of the gateway: requests, whole answers, and answers that arrive piece by piece.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::planted::{MARK, assert_clean, assert_clean_head};
use super::wait::bounded;

/// A request in the making.
pub struct Call<'a> {
    client: &'a Client,
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// As received.
    pub headers: HeaderMap,
    /// As received.
    pub body: Bytes,
}

/// An answer that arrives piece by piece.
pub struct Streamed {
    /// HTTP status.
    pub status: u16,
    /// As received.
    pub headers: HeaderMap,
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    seen: Vec<u8>,
}

impl<'a> Call<'a> {
    pub(super) fn new(
        client: &'a Client,
        method: Method,
        url: String,
        body: Option<Vec<u8>>,
    ) -> Self {
        Self {
            client,
            method,
            url,
            headers: Vec::new(),
            body,
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets the request wait so long for a key.
    pub fn awaits(self, duration: &str) -> Self {
        self.header("x-pointsman-await", duration)
    }

    fn request(self) -> reqwest::RequestBuilder {
        let mut request = self.client.request(self.method, self.url);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        match self.body {
            Some(body) => request.body(body),
            None => request,
        }
    }

    /// The whole answer.
    pub async fn send(self) -> Answer {
        Answer::of(self.request().send().await.unwrap()).await
    }

    /// The answer as it comes.
    pub async fn stream(self) -> Streamed {
        let response = self.request().send().await.unwrap();
        assert_clean_head(response.headers());
        Streamed {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes_stream().boxed(),
            seen: Vec::new(),
        }
    }

    /// Sends it in the background; aborting the task hangs up.
    pub fn spawn(self) -> JoinHandle<Answer> {
        let request = self.request();
        tokio::spawn(async move { Answer::of(request.send().await.unwrap()).await })
    }
}

impl Answer {
    /// Reads it to its end.
    async fn of(response: reqwest::Response) -> Self {
        let answer = Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap(),
        };
        assert_clean_head(&answer.headers);
        assert_clean("an answer", &answer.body);
        answer
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.body))
    }

    /// A header's value; an empty text without it.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// What the completion says.
    pub fn says(&self) -> String {
        let text = self.json()["choices"][0]["message"]["content"].clone();
        let text = text.as_str().map(str::to_owned);
        text.unwrap_or_else(|| panic!("no completion ({}): {:?}", self.status, self.body))
    }

    /// The error's code; an empty text without it.
    pub fn code(&self) -> String {
        let code = self.json()["error"]["code"].as_str().map(str::to_owned);
        code.unwrap_or_default()
    }

    /// Fails the test unless it is this error of ours, whole and well-formed.
    #[track_caller]
    pub fn assert_error(&self, status: u16, code: &str) {
        let seen = format!("{} {}", self.status, self.text());
        assert_eq!(
            (self.status, self.code().as_str()),
            (status, code),
            "{seen}"
        );
        let error = &self.json()["error"];
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{seen}"
        );
        assert!(error["type"].is_string(), "{seen}");
        assert!(error.get("param").is_some(), "{seen}");
        assert!(error["attempts"].is_array(), "{seen}");
        assert_eq!(error["request_id"], self.header("x-request-id"), "{seen}");
        assert!(
            self.header("content-type").starts_with("application/json"),
            "{seen}"
        );
    }

    /// `upstream: class` of each attempt in an error.
    pub fn attempts(&self) -> Vec<String> {
        let attempts = self.json()["error"]["attempts"].clone();
        let attempts = attempts.as_array().cloned().unwrap_or_default();
        let text = |attempt: &Value, name: &str| attempt[name].as_str().unwrap_or("?").to_owned();
        attempts
            .iter()
            .map(|attempt| format!("{}: {}", text(attempt, "upstream"), text(attempt, "class")))
            .collect()
    }

    /// `retry-after-ms`, checked against `retry-after`.
    #[track_caller]
    pub fn retry_after_ms(&self) -> u64 {
        let seconds: u64 = self
            .header("retry-after")
            .parse()
            .unwrap_or_else(|_| panic!("no retry-after: {self:?}"));
        let millis: u64 = self
            .header("retry-after-ms")
            .parse()
            .unwrap_or_else(|_| panic!("no retry-after-ms: {self:?}"));
        assert_eq!(seconds, millis.div_ceil(1000), "whole seconds, rounded up");
        millis
    }
}

impl Streamed {
    /// The next piece; `None` at the end. A broken connection fails the test.
    pub async fn next(&mut self) -> Option<Bytes> {
        let piece = bounded("a piece of the stream", self.body.next()).await?;
        let piece = piece.unwrap();
        // A key may be cut in two by the border.
        let from = self.seen.len().saturating_sub(MARK.len());
        self.seen.extend_from_slice(&piece);
        assert_clean("a stream", &self.seen[from..]);
        Some(piece)
    }

    /// Whether it breaks off before its end.
    pub async fn breaks_off(mut self) -> bool {
        loop {
            match bounded("a piece of the stream", self.body.next()).await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return true,
                None => return false,
            }
        }
    }

    /// Reads until `text` was seen.
    pub async fn until(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.seen).contains(text) {
            let more = self.next().await;
            assert!(
                more.is_some(),
                "ended before `{text}`: {:?}",
                self.seen_text()
            );
        }
    }

    /// What was read so far.
    pub fn seen_text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Reads to the end; returns everything since the beginning.
    pub async fn text(mut self) -> String {
        while self.next().await.is_some() {}
        self.seen_text()
    }

    /// A header's value; an empty text without it.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

/// The text that a stream's chunks add up to.
pub fn spoken(stream: &str) -> String {
    data(stream)
        .filter_map(|data| serde_json::from_str::<Value>(data).ok())
        .filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()))
        .collect()
}

/// The codes of a stream's error events.
pub fn errors(stream: &str) -> Vec<String> {
    data(stream)
        .filter_map(|data| serde_json::from_str::<Value>(data).ok())
        .filter(|chunk| !chunk["error"].is_null())
        .map(|chunk| chunk["error"]["code"].as_str().unwrap_or("?").to_owned())
        .collect()
}

fn data(stream: &str) -> impl Iterator<Item = &str> {
    stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
}

/// How often each value is there.
pub fn tally(values: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value.as_str()).or_default() += 1;
    }
    counts
}
