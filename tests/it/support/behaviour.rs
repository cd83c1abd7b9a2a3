//! How a scripted upstream answers one request: what it sends, in which pieces, when, and how it ends.

use std::time::Duration;

use tokio::sync::watch;

use super::codings;

/// Held shut until the test opens it.
#[derive(Clone)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// A shut gate.
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Completes when it is open.
    pub async fn opened(&self) {
        let mut seen = self.0.subscribe();
        // The sender lives in `self`.
        drop(seen.wait_for(|open| *open).await);
    }
}

/// A place in an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At {
    /// Nothing was sent.
    BeforeHead,
    /// The head was sent, nothing of the body.
    AfterHead,
    /// So many parts of the body were sent.
    AfterPart(usize),
    /// Half of part `n`, counted from 0, was sent.
    InsidePart(usize),
}

/// How an answer ends early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// The connection is reset.
    Reset,
    /// The connection is closed in order.
    Close,
    /// Nothing more ever comes.
    Hang,
}

/// How the length of the body is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    Length,
    Chunked,
    UntilClose,
}

/// A pause in front of a part of an answer.
#[derive(Clone)]
pub(super) enum Pause {
    For(Duration),
    Gate(Gate),
}

/// One answer.
#[derive(Clone)]
pub struct Behaviour {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) parts: Vec<Vec<u8>>,
    pub(super) framing: Framing,
    pub(super) slice: Option<usize>,
    pub(super) pauses: Vec<(At, Pause)>,
    pub(super) between: Option<Duration>,
    pub(super) end: Option<(At, End)>,
    pub(super) raw: Option<Vec<u8>>,
    coding: Option<&'static str>,
}

/// One event of a streamed chat completion with so much more text.
pub fn chunk(text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    event(&format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"upstream-model","choices":[{{"index":0,"delta":{{"content":{text}}},"finish_reason":null}}]}}"#
    ))
}

/// A `data:` event.
pub fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// The event that says why the answer ends.
pub fn finish(reason: &str) -> String {
    event(&format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"upstream-model","choices":[{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}]}}"#
    ))
}

/// The first event of most upstreams: a role, no text.
pub fn role() -> String {
    event(
        r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"upstream-model","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
    )
}

/// An error event in OpenAI's form.
pub fn error_event(message: &str) -> String {
    event(&format!(
        r#"{{"error":{{"message":"{message}","type":"server_error","code":"server_error","param":null}}}}"#
    ))
}

/// The end mark.
pub const DONE: &str = "data: [DONE]\n\n";

/// A chat completion that says `text`.
pub fn completion(text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"upstream-model","choices":[{{"index":0,"message":{{"role":"assistant","content":{text}}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}}}"#
    )
}

impl Behaviour {
    fn new(status: u16, kind: &str, parts: Vec<Vec<u8>>, framing: Framing) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), kind.to_owned())],
            parts,
            framing,
            slice: None,
            pauses: Vec::new(),
            between: None,
            end: None,
            raw: None,
            coding: None,
        }
    }

    /// Whether its status is that of a good answer.
    pub fn is_good(&self) -> bool {
        self.status == 200
    }

    /// Whether it is said to be no JSON.
    pub fn is_page(&self) -> bool {
        let mut kinds = self.headers.iter();
        kinds.any(|(name, kind)| name == "content-type" && kind.starts_with("text/"))
    }

    /// 200 with a chat completion that says `text`.
    pub fn says(text: &str) -> Self {
        Self::json(200, &completion(text))
    }

    /// Any JSON.
    pub fn json(status: u16, body: &str) -> Self {
        Self::body(status, "application/json", body)
    }

    /// Anything else.
    pub fn body(status: u16, kind: &str, body: &str) -> Self {
        Self::new(
            status,
            kind,
            vec![body.as_bytes().to_vec()],
            Framing::Length,
        )
    }

    /// An error in OpenAI's form.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({
            "error": {"message": message, "type": "error", "param": null, "code": code}
        });
        Self::json(status, &body.to_string())
    }

    /// An error whose code says no more than its status.
    pub fn fails(status: u16) -> Self {
        Self::json(status, r#"{"error":{"message":"scripted failure"}}"#)
    }

    /// 429 without a hint.
    pub fn rate_limited() -> Self {
        Self::error(429, "rate_limit_exceeded", "Rate limit reached")
    }

    /// 200 with an event stream of these events as they are.
    pub fn events<I: IntoIterator<Item = S>, S: Into<String>>(events: I) -> Self {
        let parts = events.into_iter().map(|event| event.into().into_bytes());
        Self::new(200, "text/event-stream", parts.collect(), Framing::Chunked)
    }

    /// 200 of this type with these bytes, one chunk each.
    pub fn pieces(kind: &str, parts: Vec<Vec<u8>>) -> Self {
        Self::new(200, kind, parts, Framing::Chunked)
    }

    /// The same with another status.
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// A whole streamed chat completion of these words.
    pub fn streams(words: &[&str]) -> Self {
        let mut events = vec![role()];
        events.extend(words.iter().map(|word| chunk(word)));
        events.push(finish("stop"));
        events.push(DONE.to_owned());
        Self::events(events)
    }

    /// These bytes in place of an HTTP response, then the end of the connection.
    pub fn raw(bytes: &[u8]) -> Self {
        let mut behaviour = Self::json(200, "");
        behaviour.raw = Some(bytes.to_vec());
        behaviour
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces the content type; an empty one leaves it out.
    pub fn content_type(mut self, kind: &str) -> Self {
        self.headers.retain(|(name, _)| name != "content-type");
        if kind.is_empty() {
            self
        } else {
            self.header("content-type", kind)
        }
    }

    /// Compresses the body.
    pub fn gzip(self) -> Self {
        self.compressed("gzip")
    }

    /// The same with this coding (`codings`).
    pub fn compressed(mut self, coding: &'static str) -> Self {
        self.coding = Some(coding);
        self.header("content-encoding", coding)
    }

    /// Sends the body in chunks.
    pub fn chunked(mut self) -> Self {
        self.framing = Framing::Chunked;
        self
    }

    /// Names the body's length.
    pub fn with_length(mut self) -> Self {
        self.framing = Framing::Length;
        self
    }

    /// The end of the connection is the end of the body.
    pub fn until_close(mut self) -> Self {
        self.framing = Framing::UntilClose;
        self.header("connection", "close")
    }

    /// Writes `bytes` bytes of the body at a time.
    pub fn slices(mut self, bytes: usize) -> Self {
        self.slice = Some(bytes);
        self
    }

    /// Waits so long at that place.
    pub fn pause(mut self, at: At, span: Duration) -> Self {
        self.pauses.push((at, Pause::For(span)));
        self
    }

    /// Waits before the head.
    pub fn late(self, span: Duration) -> Self {
        self.pause(At::BeforeHead, span)
    }

    /// Waits between the parts of the body.
    pub fn between(mut self, span: Duration) -> Self {
        self.between = Some(span);
        self
    }

    /// Waits at that place until the test opens the gate.
    pub fn gate(mut self, at: At, gate: &Gate) -> Self {
        self.pauses.push((at, Pause::Gate(gate.clone())));
        self
    }

    /// Resets the connection at that place.
    pub fn reset(self, at: At) -> Self {
        self.ends(at, End::Reset)
    }

    /// Closes the connection at that place as if all were well.
    pub fn close(self, at: At) -> Self {
        self.ends(at, End::Close)
    }

    /// Falls silent for ever at that place.
    pub fn hang(self, at: At) -> Self {
        self.ends(at, End::Hang)
    }

    fn ends(mut self, at: At, end: End) -> Self {
        self.end = Some((at, end));
        self
    }

    /// The parts of the body as they go out.
    pub(super) fn encoded(&self) -> Vec<Vec<u8>> {
        match self.coding {
            None => self.parts.clone(),
            Some(coding) => codings::streamed(coding, &self.parts),
        }
    }
}
