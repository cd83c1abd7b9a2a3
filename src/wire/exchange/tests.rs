mod ids;

use std::time::SystemTime;

use serde_json::json;

use super::*;
use crate::domain::secret::ApiKey;
use crate::domain::usage::Usage;
use crate::wire::dialect::UpstreamDialect;
use crate::wire::ir::{ChatAnswer, ChatRequest, ContentPart, Losses};

/// An upstream that knows one route only, and says everything in capital letters.
#[derive(Debug)]
struct Loud;

static LOUD: Loud = Loud;

impl UpstreamDialect for Loud {
    fn id(&self) -> &'static str {
        "loud"
    }

    fn path(&self, operation: Operation) -> Option<&'static str> {
        (operation == Operation::Responses).then_some("/say")
    }

    fn full_path(&self) -> &'static str {
        "/say"
    }

    fn authenticate(&self, _headers: &mut HeaderMap, _key: &ApiKey) {}

    fn inspect(
        &self,
        _operation: Operation,
        _headers: &HeaderMap,
        _body: &Bytes,
        _answered: Option<&mut ResponseMeta>,
    ) -> Inspection {
        Inspection::Good(None::<Usage>)
    }

    fn event(&self, _operation: Operation, _event: &RawEvent) -> StreamEvent {
        StreamEvent::default()
    }

    fn note(&self, _answered: &mut ResponseMeta, _event: &RawEvent) {}

    fn conversation(&self) -> Option<Operation> {
        Some(Operation::Responses)
    }

    fn call_path(&self, _operation: Operation, model: &str, _stream: bool) -> Cow<'static, str> {
        format!("/say/{model}").into()
    }

    fn encode_request(
        &self,
        request: ChatRequest,
        _params: &Map<String, Value>,
    ) -> (Bytes, Losses) {
        let mut losses = Losses::new();
        crate::wire::ir::lose_all(&mut losses, "", &request.extra, "loud has no field for it");
        let roles = request.messages.len();
        (format!("{roles} messages").into(), losses)
    }

    fn decode_answer(&self, body: &[u8]) -> Result<ChatAnswer, Loss> {
        let text = String::from_utf8_lossy(body).to_uppercase();
        let mut answer = ChatAnswer::new("loud");
        answer.extra.insert("volume".to_owned(), json!(11));
        answer.candidates.push(crate::wire::ir::ChatCandidate {
            index: 0,
            message: crate::wire::ir::ChatMessage {
                role: crate::wire::ir::ChatRole::Assistant,
                parts: vec![ContentPart::text(text)],
                name: None,
                extra: Map::new(),
            },
            stop: Some(crate::wire::ir::StopReason::EndTurn),
            logprobs: Vec::new(),
            extra: Map::new(),
        });
        Ok(answer)
    }

    fn event_decoder(&self) -> Box<dyn EventDecoder> {
        Box::new(LoudEvents)
    }
}

struct LoudEvents;

impl EventDecoder for LoudEvents {
    fn event(&mut self, event: &RawEvent) -> Vec<crate::wire::ir::StreamItem> {
        use crate::wire::ir::{ContentDelta, StreamItem};
        match &*String::from_utf8_lossy(&event.data()) {
            "bye" => vec![StreamItem::End],
            "" => Vec::new(),
            text => vec![StreamItem::Delta {
                candidate: 0,
                delta: ContentDelta::Text(text.to_uppercase()),
            }],
        }
    }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn stamp(seconds: u64) -> AttemptStamp {
    AttemptStamp {
        unique: 7,
        now: at(seconds),
    }
}

fn doc(body: &Value) -> RequestDoc {
    RequestDoc::parse(body.to_string().into()).unwrap()
}

#[test]
fn equal_dialects_pass_bytes_as_they_came() {
    let body = Bytes::from_static(br#"{"messages":[], "x":1.0,"model":"m"}"#);
    let exchange = Exchange::new(Operation::Chat, dialects::usual()).unwrap();
    let doc = RequestDoc::parse(body.clone()).unwrap();
    let call = exchange.outgoing(&doc, "m", &Map::new(), false).unwrap();
    assert_eq!(call.path, "/chat/completions");
    assert_eq!(call.body.as_ptr(), body.as_ptr(), "not even copied");
    let answer = exchange
        .answer(
            &doc,
            &mut HeaderMap::new(),
            body.clone(),
            stamp(0),
            &mut Dropped::default(),
        )
        .unwrap();
    assert_eq!(answer.as_ptr(), body.as_ptr());
    assert!(
        exchange
            .translation(&doc, &HeaderMap::new(), stamp(5))
            .is_none()
    );
}

#[test]
fn another_dialect_gets_its_own_path_and_form_and_what_is_lost_is_named() {
    let exchange = Exchange::new(Operation::Chat, &LOUD).unwrap();
    let asked = doc(&json!({
        "model": "virtual", "messages": [{"role": "user", "content": "hi"}], "logit_bias": {"1": 2}, "x": null
    }));
    let call = exchange.outgoing(&asked, "m", &Map::new(), false).unwrap();
    assert_eq!(
        (&*call.path, &*call.body),
        ("/say/m", b"1 messages".as_slice())
    );
    assert_eq!(call.dropped.to_string(), "logit_bias");
    let rejected = exchange.outgoing(&asked, "m", &Map::new(), true);
    assert_eq!(rejected.unwrap_err().field(), Some("logit_bias"));
    let mut dropped = Dropped::default();
    let answer = Bytes::from_static(b"well");
    let answer = exchange.answer(
        &asked,
        &mut HeaderMap::new(),
        answer,
        stamp(5),
        &mut dropped,
    );
    assert_eq!(dropped.to_string(), "answer.volume");
    let answer: Value = serde_json::from_slice(&answer.unwrap()).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "WELL");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["created"], 5, "the time at which it came");
    assert_eq!(answer.get("volume"), None);
}

#[test]
fn events_are_translated_one_by_one_and_comments_pass() {
    let exchange = Exchange::new(Operation::Chat, &LOUD).unwrap();
    let asked = doc(&json!({"model": "m", "messages": [], "stream": true}));
    let mut translation = exchange
        .translation(&asked, &HeaderMap::new(), stamp(5))
        .unwrap();
    let mut says = |raw: &'static str| {
        let event = RawEvent {
            raw: Bytes::from_static(raw.as_bytes()),
        };
        let event = translation.event(&event).next()?;
        Some(String::from_utf8_lossy(&event.raw).into_owned())
    };
    let first = says("data: hi\n\n").unwrap();
    let chunk: Value = serde_json::from_str(first.trim().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(
        chunk["choices"],
        json!([{"index": 0, "delta": {"role": "assistant", "content": "HI"}, "finish_reason": null}])
    );
    assert_eq!(chunk["created"], 5, "the time at which it came");
    assert_eq!(says(": ping\n\n").as_deref(), Some(": ping\n\n"));
    let end = RawEvent {
        raw: Bytes::from_static(b"data: bye\n\n"),
    };
    let end: Vec<Bytes> = translation.event(&end).map(|event| event.raw).collect();
    assert_eq!(end.len(), 2, "a finish reason and the end mark");
    assert_eq!(end[1], "data: [DONE]\n\n");
    assert_eq!(translation.end().count(), 0, "only once");
}

#[test]
fn what_is_no_conversation_is_not_translated() {
    let exchange = Exchange::new(Operation::Embeddings, &LOUD).unwrap();
    let asked = doc(&json!({"model": "m", "input": "x"}));
    assert!(exchange.outgoing(&asked, "m", &Map::new(), false).is_err());
}

#[test]
fn a_refusal_keeps_its_words_in_the_callers_form() {
    let exchange = Exchange::new(Operation::Chat, &LOUD).unwrap();
    let body = Bytes::from_static(br#"{"detail":"not so loud"}"#);
    let refusal = exchange.refusal(429, &mut HeaderMap::new(), body, None, "req_1");
    let refusal: Value = serde_json::from_slice(&refusal).unwrap();
    assert_eq!(refusal["error"]["message"], "not so loud");
    assert_eq!(refusal["error"]["type"], "rate_limit_error");
}
