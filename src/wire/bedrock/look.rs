//! What whole answers and events of streams say of themselves, for routing and accounting.

use bytes::Bytes;
use http::HeaderMap;

use super::envelope::{ConverseAnswer, Event};
use super::exception::Exception;
use crate::domain::attempt_record::ResponseMeta;
use crate::domain::dialect::Operation;
use crate::wire::inspection::{ErrorDoc, Inspection, StreamEvent};
use crate::wire::sse::RawEvent;

/// Where the id of an answer stands.
const REQUEST_ID: &str = "x-amzn-requestid";

/// The id of an answer with these headers: its body has none.
pub(super) fn id_of(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    (!id.is_empty()).then_some(id)
}

/// Looks at the body of a 2xx, and notes what a good one says of itself.
pub(super) fn whole(
    operation: Operation,
    headers: &HeaderMap,
    body: &Bytes,
    answered: Option<&mut ResponseMeta>,
) -> Inspection {
    Inspection::of_body(headers, body, |body| {
        look(operation, headers, body, answered)
    })
}

fn look(
    operation: Operation,
    headers: &HeaderMap,
    body: &[u8],
    answered: Option<&mut ResponseMeta>,
) -> Inspection {
    let body = body.trim_ascii();
    let Some(answer) = ConverseAnswer::read(body) else {
        return Inspection::Malformed("the answer is not a JSON object");
    };
    if answer.fails() {
        return Inspection::ErrorInside(ErrorDoc::of_json(body, None));
    }
    if operation.counts() {
        return match answer.tokens() {
            Some(_) => Inspection::Good(None),
            None => Inspection::Malformed("the answer has no count of tokens"),
        };
    }
    if !answer.has_message() {
        return Inspection::Malformed("the answer lacks what was asked for");
    }
    if let Some(answered) = answered {
        *answered = ResponseMeta {
            id: id_of(headers).map(Into::into),
            model: None,
            finish_reasons: answer.stop_reason().into_iter().collect(),
        };
    }
    Inspection::Good(answer.usage())
}

/// Looks at one event of a stream.
pub(super) fn event(event: &RawEvent) -> StreamEvent {
    let data = event.data();
    if data.trim_ascii().is_empty() {
        return StreamEvent::default();
    }
    let Some(read) = Event::read(&data) else {
        return StreamEvent::malformed();
    };
    if let Some(exception) = read.exception {
        return StreamEvent::foreign(Exception::read(exception.get()).doc());
    }
    StreamEvent {
        life: true,
        content: read.says(),
        finished: u128::from(read.stop_reason().is_some()),
        // Counts come after the reason for the end, and nothing after them.
        done: read.metadata.is_some(),
        usage: read.usage(),
        ..StreamEvent::default()
    }
}

/// Adds what an event says of its answer.
pub(super) fn note(answered: &mut ResponseMeta, event: &RawEvent) {
    let data = event.data();
    let reason = Event::read(&data).and_then(|read| read.stop_reason());
    if let Some(reason) = reason.filter(|_| answered.finish_reasons.is_empty()) {
        answered.finish_reasons.push(reason);
    }
}

/// The count that an answer to a request for one has.
pub(super) fn counted(body: &[u8]) -> Option<u64> {
    ConverseAnswer::read(body)?.tokens()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(data: &str) -> StreamEvent {
        event(&RawEvent {
            raw: format!("data: {data}\n\n").into(),
        })
    }

    #[test]
    fn the_events_of_a_stream_say_what_they_are() {
        let start = of(r#"{"messageStart":{"role":"assistant"}}"#);
        assert!(start.life && !start.content && !start.done);
        for (delta, content) in [
            (r#"{"text":"a"}"#, true),
            (r#"{"text":""}"#, false),
            (r#"{"toolUse":{"input":""}}"#, false),
            (r#"{"toolUse":{"input":"{"}}"#, true),
            (r#"{"reasoningContent":{"signature":"s"}}"#, true),
        ] {
            let data =
                format!(r#"{{"contentBlockDelta":{{"contentBlockIndex":0,"delta":{delta}}}}}"#);
            assert_eq!(of(&data).content, content, "{delta}");
        }
        let call = r#"{"contentBlockStart":{"start":{"toolUse":{"toolUseId":"t","name":"f"}},"contentBlockIndex":1}}"#;
        assert!(of(call).content);
        let stop = of(r#"{"messageStop":{"stopReason":"end_turn"}}"#);
        assert!(stop.finished == 1 && !stop.done);
        let counts = of(
            r#"{"metadata":{"usage":{"inputTokens":10,"outputTokens":4,"totalTokens":14,"cacheReadInputTokens":100,"cacheWriteInputTokens":50},"serviceTier":{"type":"priority"},"metrics":{"latencyMs":1}}}"#,
        );
        let usage = counts.usage.unwrap();
        assert_eq!(usage.details.cache_write, 50);
        assert_eq!(usage.details.tier.as_str(), "priority");
        assert!(counts.done);
        assert_eq!(
            (
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.cached_tokens
            ),
            (Some(160), Some(4), Some(100))
        );
        assert!(of(r#"{"future":{}}"#).life);
        assert!(of("{cut").malformed);
        let failed =
            of(r#"{"exception":{"type":"serviceUnavailableException","detail":{"message":"no"}}}"#);
        assert_eq!(failed.error.unwrap().status, Some(503));
    }

    #[test]
    fn whole_answers_have_a_message_and_counts_a_count() {
        let see = |operation, body: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, http::HeaderValue::from_static("id-1"));
            let mut answered = ResponseMeta::default();
            let body = Bytes::from_static(body.as_bytes());
            (
                whole(operation, &headers, &body, Some(&mut answered)),
                answered,
            )
        };
        let good = r#"{"output":{"message":{"role":"assistant","content":[{"text":"a"}]}},"stopReason":"max_tokens","usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3}}"#;
        let (found, answered) = see(Operation::Converse, good);
        assert!(matches!(found, Inspection::Good(Some(_))));
        assert_eq!(answered.id.as_deref(), Some("id-1"));
        assert_eq!(answered.finish_reasons, [Box::<str>::from("max_tokens")]);
        let count = r#"{"inputTokens":403}"#;
        assert_eq!(
            see(Operation::CountConverseTokens, count).0,
            Inspection::Good(None)
        );
        assert!(matches!(
            see(
                Operation::Converse,
                r#"{"message":"The security token is expired"}"#
            )
            .0,
            Inspection::ErrorInside(_)
        ));
        for bad in ["[]", "{}", count, "<html>", r#"{"output":{"message":{}}}"#] {
            let (found, _) = see(Operation::Converse, bad);
            assert!(matches!(found, Inspection::Malformed(_)), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(raw in prop::collection::vec(any::<u8>(), 0..80), json in r#"\{"(output|usage|metadata|exception|contentBlockDelta|messageStop)":[\[\]{}",a-z0-9]{0,20}\}"#) {
            event(&RawEvent { raw: raw.clone().into() });
            let one = RawEvent { raw: format!("data: {json}\n\n").into() };
            event(&one);
            note(&mut ResponseMeta::default(), &one);
            whole(Operation::Converse, &HeaderMap::new(), &raw.into(), None);
            whole(Operation::Converse, &HeaderMap::new(), &json.into(), None);
        }
    }
}
