//! What whole answers and lines of streams say of themselves, for routing and accounting.

use bytes::Bytes;
use http::HeaderMap;

use super::envelope::OllamaAnswer;
use crate::domain::attempt_record::ResponseMeta;
use crate::domain::dialect::Operation;
use crate::wire::inspection::{Inspection, StreamEvent};
use crate::wire::sse::RawEvent;

/// Looks at the body of a 2xx, and notes what a good one says of itself.
pub(super) fn whole(
    operation: Operation,
    headers: &HeaderMap,
    body: &Bytes,
    answered: Option<&mut ResponseMeta>,
) -> Inspection {
    Inspection::of_body(headers, body, |body| look(operation, body, answered))
}

fn look(operation: Operation, body: &[u8], answered: Option<&mut ResponseMeta>) -> Inspection {
    let body = body.trim_ascii();
    let Some(answer) = OllamaAnswer::read(body) else {
        return Inspection::Malformed("the answer is not a JSON object");
    };
    if let Some(error) = answer.failure(body) {
        return Inspection::ErrorInside(error);
    }
    let is_answer = match operation {
        Operation::OllamaEmbed => answer.has_embeddings(),
        _ => answer.has_message(),
    };
    if !is_answer {
        return Inspection::Malformed("the answer lacks what was asked for");
    }
    if answer.done() == Some(false) {
        return Inspection::Malformed("the answer is not done");
    }
    if let Some(answered) = answered {
        *answered = ResponseMeta {
            id: None,
            model: answer.model(),
            finish_reasons: answer.reason().into_iter().collect(),
        };
    }
    Inspection::Good(answer.usage())
}

/// Looks at one line of a stream.
pub(super) fn event(event: &RawEvent) -> StreamEvent {
    let data = event.data();
    if data.trim_ascii().is_empty() {
        return StreamEvent::default();
    }
    let Some(answer) = OllamaAnswer::read(&data) else {
        return StreamEvent::malformed();
    };
    if let Some(error) = answer.failure(&data) {
        return StreamEvent::foreign(error);
    }
    let done = answer.done() == Some(true);
    StreamEvent {
        life: true,
        content: answer.says(),
        finished: u128::from(done),
        done,
        usage: answer.usage(),
        ..StreamEvent::default()
    }
}

/// Adds what a line says of its answer.
pub(super) fn note(answered: &mut ResponseMeta, event: &RawEvent) {
    let data = event.data();
    let Some(answer) = OllamaAnswer::read(&data) else {
        return;
    };
    if answered.model.is_none() {
        answered.model = answer.model();
    }
    if answered.finish_reasons.is_empty() {
        answered.finish_reasons.extend(answer.reason());
    }
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
    fn a_line_says_what_it_is() {
        for (message, content) in [
            (r#"{"role":"assistant","content":"a"}"#, true),
            (r#"{"role":"assistant","content":""}"#, false),
            (r#"{"role":"assistant","content":"","thinking":"hm"}"#, true),
            (
                r#"{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]}"#,
                true,
            ),
            (
                r#"{"role":"assistant","content":"","tool_calls":[]}"#,
                false,
            ),
        ] {
            let line = of(&format!(
                r#"{{"model":"m","message":{message},"done":false}}"#
            ));
            assert!(line.life && !line.done && line.finished == 0);
            assert_eq!(line.content, content, "{message}");
        }
        let last = of(
            r#"{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":26,"eval_count":5}"#,
        );
        assert!(last.done && last.finished == 1 && !last.content);
        let usage = last.usage.unwrap();
        assert_eq!(
            (usage.prompt_tokens, usage.completion_tokens),
            (Some(26), Some(5))
        );
        let failed = of(r#"{"error":"model runner has unexpectedly stopped","status":503}"#);
        assert_eq!(failed.error.unwrap().status, Some(503));
        assert_eq!(of(r#"{"error":"no"}"#).error.unwrap().status, None);
        assert!(of("{cut").malformed && of("<html>").malformed && of("[]").malformed);
        let mut answered = ResponseMeta::default();
        for line in [r#"{"model":"m"}"#, r#"{"model":"m","done":true}"#] {
            let raw = format!("data: {line}\n\n").into();
            note(&mut answered, &RawEvent { raw });
        }
        assert_eq!(answered.model.as_deref(), Some("m"));
        assert_eq!(answered.finish_reasons, [Box::<str>::from("stop")]);
    }

    #[test]
    fn a_whole_answer_is_done_and_has_what_was_asked_for() {
        let see = |operation, body: &'static str| {
            let body = Bytes::from_static(body.as_bytes());
            whole(operation, &HeaderMap::new(), &body, None)
        };
        let chat = r#"{"model":"m","message":{"role":"assistant","content":"a"},"done":true}"#;
        let vectors = r#"{"model":"m","embeddings":[[0.5]],"prompt_eval_count":3}"#;
        assert_eq!(see(Operation::OllamaChat, chat), Inspection::Good(None));
        assert!(matches!(
            see(Operation::OllamaEmbed, vectors),
            Inspection::Good(Some(_))
        ));
        assert!(matches!(
            see(Operation::OllamaChat, r#"{"error":"no"}"#),
            Inspection::ErrorInside(_)
        ));
        for bad in [
            "[]",
            "{}",
            vectors,
            "<html>",
            r#"{"message":"hello"}"#,
            r#"{"message":{"content":"a"},"done":false}"#,
        ] {
            let found = see(Operation::OllamaChat, bad);
            assert!(matches!(found, Inspection::Malformed(_)), "{bad}");
        }
        assert!(matches!(
            see(Operation::OllamaEmbed, chat),
            Inspection::Malformed(_)
        ));
    }

    proptest! {
        #[test]
        fn nothing_panics(raw in prop::collection::vec(any::<u8>(), 0..80), json in r#"\{"(message|done|error|status|eval_count|embeddings)":[\[\]{}",a-z0-9]{0,20}\}"#) {
            event(&RawEvent { raw: raw.clone().into() });
            let one = RawEvent { raw: format!("data: {json}\n\n").into() };
            event(&one);
            note(&mut ResponseMeta::default(), &one);
            whole(Operation::OllamaChat, &HeaderMap::new(), &raw.into(), None);
            whole(Operation::OllamaEmbed, &HeaderMap::new(), &json.into(), None);
        }
    }
}
