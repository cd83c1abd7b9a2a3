//! What each dialect can say, one feature at a time (`tests/fixtures/features`): requests, whole answers and streams.

use std::time::{Duration, SystemTime};

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use pointsman::domain::dialect::Operation;
use pointsman::domain::dropped::Dropped;
use pointsman::wire::dialects;
use pointsman::wire::exchange::{AttemptStamp, Exchange, Outgoing};
use pointsman::wire::framing::Framing;
use pointsman::wire::progress::Progress;
use pointsman::wire::request::RequestDoc;
use pointsman::wire::sse::EventSplitter;
use pointsman::wire::unfit::Unfit;
use serde_json::{Map, Value, json};
use yaml_rust2::{Yaml, YamlLoader};

use super::case::value;

/// The dialects that callers and upstreams speak, in the order of the tables.
pub const DIALECTS: [&str; 4] = ["openai", "anthropic", "gemini", "responses"];
/// Those of upstreams: with the ones that no caller speaks.
pub const UPSTREAMS: [&str; 6] = [
    "openai",
    "anthropic",
    "gemini",
    "responses",
    "bedrock",
    "ollama",
];
/// The model of every request.
pub const MODEL: &str = "test-model";

/// When every answer came.
fn came() -> AttemptStamp {
    AttemptStamp {
        unique: 7,
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
    }
}

/// A thing that can be said, and how a dialect says it.
pub struct Feature {
    /// Its name, the same in every dialect.
    pub name: String,
    /// A body, or the data of events.
    pub said: Value,
}

/// The features of one dialect.
pub struct Features {
    /// Of requests; none of a dialect that no caller speaks.
    pub requests: Vec<Feature>,
    /// Of whole answers.
    pub answers: Vec<Feature>,
    /// Of streamed ones.
    pub streams: Vec<Feature>,
}

/// Reads the file of one dialect.
pub fn of(dialect: &str) -> Features {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join(format!("tests/fixtures/features/{dialect}.yaml"));
    let text = std::fs::read_to_string(&file).unwrap();
    let docs =
        YamlLoader::load_from_str(&text).unwrap_or_else(|error| panic!("{dialect}: {error}"));
    let doc = &docs[0];
    let plain = value(&doc["request"]["plain"]);
    Features {
        requests: each(&doc["request"], |body| joined(&plain, &body)),
        answers: each(&doc["answer"], |body| {
            joined(&value(&doc["answer_head"]), &body)
        }),
        streams: each(&doc["stream"], |events| {
            let head = value(&doc["stream_head"]);
            let numbered = events.as_array().unwrap().iter().enumerate();
            numbered
                .map(|(at, event)| framed(dialect, at, &head, event))
                .collect()
        }),
    }
}

fn each(all: &Yaml, read: impl Fn(Value) -> Value) -> Vec<Feature> {
    let all = all.as_hash().into_iter().flatten();
    all.map(|(name, said)| Feature {
        name: name.as_str().unwrap().to_owned(),
        said: read(value(said)),
    })
    .collect()
}

fn joined(base: &Value, more: &Value) -> Value {
    let mut all = base.as_object().unwrap().clone();
    all.extend(more.as_object().unwrap().clone());
    all.into()
}

/// An event with the fields that all of its dialect have.
fn framed(dialect: &str, at: usize, head: &Value, event: &Value) -> Value {
    match event {
        Value::Object(fields) if fields.contains_key("error") && dialect != "responses" => {
            event.clone()
        }
        Value::Object(_) if dialect == "responses" => {
            joined(event, &json!({"sequence_number": at}))
        }
        Value::Object(_) => joined(head, event),
        _ => event.clone(),
    }
}

/// The bytes of a stream of this dialect, as server-sent events.
pub fn sent(dialect: &str, events: &Value) -> Bytes {
    let (kind, raw) = match dialect {
        "bedrock" => (
            "application/vnd.amazon.eventstream",
            frames(events.as_array().unwrap()),
        ),
        "ollama" => {
            let lines = events.as_array().unwrap().iter();
            let lines: String = lines.map(|line| format!("{line}\n")).collect();
            ("application/x-ndjson", lines.into_bytes())
        }
        _ => return sse(events),
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let mut framing = Framing::of(&headers, dialect == "ollama", usize::MAX).unwrap();
    let mut all = framing.push(&raw).unwrap().to_vec();
    all.extend(framing.finish().unwrap());
    all.into()
}

/// Bedrock's frames.
fn frames(events: &[Value]) -> Vec<u8> {
    let header = |name: &str, value: &str| {
        let value = event_stream::HeaderValue::String(value.to_owned().into());
        event_stream::Header::new(name.to_owned(), value)
    };
    let mut raw = Vec::new();
    for event in events {
        let (name, detail) = event.as_object().unwrap().iter().next().unwrap();
        let (kind, name, detail) = match name.as_str() {
            "exception" => (
                "exception",
                detail["type"].as_str().unwrap(),
                &detail["detail"],
            ),
            name => ("event", name, detail),
        };
        let message = event_stream::Message::new(detail.to_string().into_bytes())
            .add_header(header(":message-type", kind))
            .add_header(header(&format!(":{kind}-type"), name));
        write_message_to(&message, &mut raw).unwrap();
    }
    raw
}

/// A stream's bytes.
fn sse(events: &Value) -> Bytes {
    let mut all = String::new();
    for event in events.as_array().unwrap() {
        if let Some(name) = event["type"].as_str() {
            all.push_str(&format!("event: {name}\n"));
        }
        let data = event
            .as_str()
            .map_or_else(|| event.to_string(), str::to_owned);
        all.push_str(&format!("data: {data}\n\n"));
    }
    all.into()
}

/// What a caller of the dialect asks for.
fn operation(dialect: &str) -> Operation {
    match dialect {
        "openai" => Operation::Chat,
        "anthropic" => Operation::Messages,
        "responses" => Operation::Responses,
        "gemini" => Operation::GenerateContent,
        other => panic!("no such dialect: {other}"),
    }
}

/// A caller's dialect and an upstream's.
#[derive(Clone, Copy)]
pub struct Pair {
    pub caller: &'static str,
    pub upstream: &'static str,
}

impl Pair {
    /// All of different dialects.
    pub fn all() -> impl Iterator<Item = Self> {
        let callers = DIALECTS.into_iter();
        callers.flat_map(|caller| {
            let upstreams = UPSTREAMS
                .into_iter()
                .filter(move |upstream| *upstream != caller);
            upstreams.map(move |upstream| Self { caller, upstream })
        })
    }

    /// What its caller asks for.
    pub fn operation(self) -> Operation {
        operation(self.caller)
    }

    /// A caller of that upstream: one of its own dialect, where there is one.
    pub fn of(upstream: &'static str) -> Self {
        let own = DIALECTS.into_iter().find(|one| *one == upstream);
        Self {
            caller: own.unwrap_or("openai"),
            upstream,
        }
    }

    /// How a request travels; an `openai` upstream knows chat completions alone.
    pub fn exchange(self) -> Exchange {
        let upstream = dialects::upstream(self.upstream).unwrap();
        let operation = operation(self.caller);
        match self.caller == self.upstream {
            true => Exchange::new(operation, upstream),
            false => Exchange::translated(operation, upstream),
        }
        .unwrap()
    }

    /// The caller's request.
    pub fn doc(self, body: &Value, stream: bool) -> RequestDoc {
        let mut body = body.clone();
        if self.caller != "gemini" {
            body["model"] = MODEL.into();
            if stream {
                body["stream"] = true.into();
            }
        }
        let doc = RequestDoc::parse(body.to_string().into()).unwrap();
        match self.caller {
            "gemini" => doc.routed(MODEL, stream).unwrap(),
            _ => doc,
        }
    }

    /// What the upstream gets.
    pub fn request(self, body: &Value) -> Result<Outgoing, Unfit> {
        let doc = self.doc(body, false);
        self.exchange().outgoing(&doc, MODEL, &Map::new(), false)
    }

    /// What an upstream gets that knows no tools but functions.
    pub fn plain_request(self, body: &Value) -> Bytes {
        let doc = self.doc(body, false);
        let exchange = self.exchange().with_plain_tools();
        let call = exchange.outgoing(&doc, MODEL, &Map::new(), false);
        call.unwrap().body
    }

    /// What the caller gets in place of a whole answer to `doc`, and what was left out.
    pub fn answer(self, doc: &RequestDoc, body: &Value) -> (Value, Dropped) {
        let mut dropped = Dropped::default();
        let body = Bytes::from(body.to_string());
        let exchange = self.exchange();
        let answer = exchange.answer(doc, &mut HeaderMap::new(), body, came(), &mut dropped);
        (serde_json::from_slice(&answer.unwrap()).unwrap(), dropped)
    }

    /// What the caller gets in place of a stream that comes in pieces of this many bytes.
    pub fn stream(self, doc: &RequestDoc, sent: &Bytes, pieces: usize) -> (String, Dropped) {
        let exchange = self.exchange();
        let mut translation = exchange
            .translation(doc, &HeaderMap::new(), came())
            .unwrap();
        let mut splitter = EventSplitter::new(usize::MAX);
        let mut out = Vec::new();
        let operation = operation(self.caller);
        let caller = dialects::caller(operation);
        let mut progress = Progress::default();
        let (mut ended, mut failed) = (false, false);
        let mut pieces = sent.chunks(pieces).map(Bytes::copy_from_slice);
        loop {
            let event = match splitter.next_event().unwrap() {
                Some(event) => event,
                None => match pieces.next() {
                    Some(piece) => {
                        splitter.push(piece);
                        continue;
                    }
                    None => break,
                },
            };
            let seen = exchange.event(&event);
            ended |= seen.done;
            if let Some(error) = seen.error {
                // As a relay ends a broken stream.
                failed = true;
                let progress = &progress;
                let kind = "server_error";
                out.extend(caller.error_event_from_body(
                    operation,
                    &error.body,
                    kind,
                    "req_1",
                    progress,
                ));
                break;
            }
            for event in translation.event(&event) {
                progress.note(&event);
                out.extend_from_slice(&event.raw);
            }
            if ended {
                break;
            }
        }
        if !ended && !failed {
            for event in translation.end() {
                out.extend_from_slice(&event.raw);
            }
        }
        let mut dropped = Dropped::default();
        translation.note_losses(&mut dropped);
        (String::from_utf8(out).unwrap(), dropped)
    }
}
