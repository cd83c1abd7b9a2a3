//! Which answers of the API may be continued by another attempt, and the request for the rest of one. No upstream of the API
//! itself goes on from the beginning of an answer; others do, once it is translated.

use serde_json::{Map, Value, json};

use crate::wire::continued::{appended, is_of, left_of};
use crate::wire::json;
use crate::wire::request::RequestDoc;

/// Fields that bind an answer to a form, or ask for more than its text.
const BINDING: [&str; 4] = ["background", "include", "text", "top_logprobs"];
/// What asks for log probabilities, in `include`.
const LOGPROBS: &str = "message.output_text.logprobs";

/// Whether another attempt may continue an answer to this request: plain text that is streamed to this caller alone.
pub(super) fn may_be_rescued(doc: &RequestDoc) -> bool {
    BINDING.into_iter().all(|name| {
        let said = doc.raw(name).and_then(json::value);
        said.is_none_or(|value| is_free(name, &value))
    })
}

/// The same of what a configuration fills in.
pub(super) fn is_plain(params: &Map<String, Value>) -> bool {
    params.iter().all(|(name, value)| is_free(name, value))
}

/// Whether this field of a request lets its answer be plain text.
fn is_free(name: &str, value: &Value) -> bool {
    match name {
        "text" => {
            let kind = value.pointer("/format/type").and_then(Value::as_str);
            matches!(kind, None | Some("text"))
        }
        "include" => {
            let mut wishes = value.as_array().into_iter().flatten();
            wishes.all(|wish| wish != LOGPROBS)
        }
        "background" => *value != json!(true),
        "top_logprobs" => value.is_null() || *value == json!(0),
        _ => true,
    }
}

/// The request for what follows `sent`, which took about `spent` tokens.
pub(super) fn continued(doc: &RequestDoc, sent: &str, spent: u64) -> Option<RequestDoc> {
    let content = json!([{"type": "output_text", "text": sent, "annotations": []}]);
    let message = json!({"type": "message", "role": "assistant", "content": content});
    let longer = match doc.raw("input").and_then(json::value)? {
        Value::String(text) => {
            let asked = json!([{"role": "user", "content": text}, message]);
            asked.to_string().into_bytes()
        }
        _ => appended(doc.raw("input")?, &message, |last| {
            !is_of(last, "assistant")
        })?,
    };
    let mut fields = vec![("input", longer)];
    let most = doc.raw("max_output_tokens");
    fields.extend(left_of(most, spent).map(|left| ("max_output_tokens", left)));
    doc.with(&fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(body: &Value) -> RequestDoc {
        RequestDoc::parse(body.to_string().into()).unwrap()
    }

    #[test]
    fn the_rest_is_asked_for_behind_what_was_sent() {
        for input in [json!("hi"), json!([{"role": "user", "content": "hi"}])] {
            let asked = doc(&json!({"input": input, "max_output_tokens": 90}));
            let rest = continued(&asked, "Hel", 4).unwrap();
            let body: Value = serde_json::from_slice(rest.body()).unwrap();
            assert_eq!(body["input"][0], json!({"role": "user", "content": "hi"}));
            assert_eq!(body["input"][1]["content"][0]["text"], "Hel");
            assert_eq!(body["max_output_tokens"], 86);
        }
        let begun = doc(&json!({"input": [{"role": "assistant", "content": "Oh"}]}));
        assert!(continued(&begun, "x", 1).is_none());
    }

    #[test]
    fn structured_output_and_what_runs_elsewhere_are_left_alone() {
        for (body, may) in [
            (json!({"text": {"verbosity": "low"}}), true),
            (
                json!({"include": ["reasoning.encrypted_content"], "store": true}),
                true,
            ),
            (json!({"text": {"format": {"type": "json_schema"}}}), false),
            (json!({"include": [LOGPROBS]}), false),
            (json!({"top_logprobs": 2}), false),
            (json!({"background": true}), false),
        ] {
            assert_eq!(may_be_rescued(&doc(&body)), may, "{body}");
        }
    }
}
