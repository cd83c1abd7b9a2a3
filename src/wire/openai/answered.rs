//! The metadata of an answer: its id, its model, its finish reasons. Read only where traces need it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::attempt_record::ResponseMeta;
use crate::wire::raw_field::name;
use crate::wire::sse::RawEvent;

/// The finish reasons that are kept.
const REASONS: usize = 8;

/// The reasons of a whole answer's choices, in order.
pub(super) fn reasons(answer: &str) -> Vec<Box<str>> {
    let choices = serde_json::from_str::<Chunk<'_>>(answer).map(|answer| answer.choices);
    let choices = choices.ok().flatten().into_iter().flatten();
    let reasons = choices.filter_map(|choice| name(choice.finish_reason));
    reasons.take(REASONS).collect()
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(default, borrow)]
    id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    model: Option<&'a RawValue>,
    #[serde(default, borrow)]
    choices: Option<Vec<ChoiceFinish<'a>>>,
    #[serde(default, borrow)]
    response: Option<ResponseFields<'a>>,
}

#[derive(Deserialize)]
struct ChoiceFinish<'a> {
    #[serde(default, borrow)]
    index: Option<&'a RawValue>,
    #[serde(default, borrow)]
    finish_reason: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ResponseFields<'a> {
    #[serde(default, borrow)]
    id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    model: Option<&'a RawValue>,
    #[serde(default, borrow)]
    status: Option<&'a RawValue>,
}

/// Adds what one event of a stream says. Meant for its first events and for those that complete a choice.
pub fn note(answered: &mut ResponseMeta, event: &RawEvent) {
    let data = event.data();
    let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(&data) else {
        return;
    };
    let state = chunk.response.as_ref();
    if answered.id.is_none() {
        answered.id = name(chunk.id).or_else(|| name(state?.id));
    }
    if answered.model.is_none() {
        answered.model = name(chunk.model).or_else(|| name(state?.model));
    }
    let choices = chunk.choices.iter().flatten();
    let reasons = choices.filter_map(|choice| {
        let index = choice.index.and_then(|index| index.get().parse().ok());
        Some((index.unwrap_or(0), name(choice.finish_reason)?))
    });
    // A response that has only been created has no end yet.
    let status = state.and_then(|state| name(state.status));
    let status = status.filter(|status| matches!(&**status, "completed" | "incomplete"));
    for (index, reason) in reasons.chain(status.map(|status| (0, status))) {
        let told = &answered.finish_reasons;
        // Some upstreams say it on every chunk.
        let again = told.len() > index && told.contains(&reason);
        if told.len() < REASONS && !again {
            answered.finish_reasons.push(reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(events: &[&str]) -> ResponseMeta {
        let mut answered = ResponseMeta::default();
        for data in events {
            let raw = format!("data: {data}\n\n").into();
            note(&mut answered, &RawEvent { raw });
        }
        answered
    }

    #[test]
    fn a_stream_tells_in_its_first_and_its_last_event() {
        let chat = noted(&[
            r#"{"id":"c1","model":"m-2026","choices":[{"delta":{"content":"a"}}]}"#,
            r#"{"id":"c1","model":"m-2026","choices":[{"delta":{},"finish_reason":"stop"}]}"#,
            "[DONE]",
        ]);
        assert_eq!(chat.id.as_deref(), Some("c1"));
        assert_eq!(chat.model.as_deref(), Some("m-2026"));
        assert_eq!(chat.finish_reasons, [Box::<str>::from("stop")]);
        let response = noted(&[
            r#"{"type":"response.created","response":{"id":"r1","model":"m","status":"in_progress"}}"#,
            r#"{"type":"response.completed","response":{"id":"r1","model":"m","status":"completed"}}"#,
        ]);
        assert_eq!(response.id.as_deref(), Some("r1"));
        assert_eq!(response.finish_reasons, [Box::<str>::from("completed")]);
    }

    #[test]
    fn a_reason_on_every_chunk_is_one_reason() {
        let chunk = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
        let other = r#"{"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}"#;
        let reasons = noted(&[chunk, chunk, other, chunk]).finish_reasons;
        assert_eq!(reasons, [Box::<str>::from("stop"), "stop".into()]);
    }

    #[test]
    fn a_reason_in_the_content_is_none() {
        let answer = r#"{"choices":[{"message":{"content":"say \"finish_reason\":\"evil\" now","finish_reason":"x"},"finish_reason" : "length"},{"finish_reason":null}]}"#;
        assert_eq!(reasons(answer), [Box::<str>::from("length")]);
    }
}
