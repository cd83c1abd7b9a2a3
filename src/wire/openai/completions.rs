//! Which completions of the older API may be continued by another attempt, and the request for the rest of one. Its prompt is a
//! text that any upstream goes on with, so none has to say that it can.

use serde_json::Value;

use crate::wire::continued::left_of;
use crate::wire::json;
use crate::wire::request::RequestDoc;

/// Fields that ask for more than one text behind the prompt, or bind it to a form, beside those of all requests
/// ([`prefill::may_be_rescued`](super::prefill::may_be_rescued)).
const MORE: [&str; 4] = ["best_of", "echo", "prompt_logprobs", "suffix"];

/// Whether another attempt may continue the answer: one plain text behind one prompt.
pub(super) fn may_be_rescued(doc: &RequestDoc) -> bool {
    let plain = MORE.iter().all(|name| {
        let said = doc.raw(name).and_then(json::value);
        said.is_none_or(|value| match value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text.is_empty(),
            value => *name == "best_of" && value == 1,
        })
    });
    let one = match doc.raw("prompt").and_then(json::value) {
        Some(Value::String(_)) => true,
        // Several texts are as many answers; a list of numbers is one, in tokens.
        Some(Value::Array(items)) => items.len() == 1 || items.iter().all(Value::is_number),
        _ => false,
    };
    plain && one && super::prefill::may_be_rescued(doc)
}

/// The request for what follows `sent`, which took about `spent` tokens. `None` where its prompt is not text.
pub(super) fn continued(doc: &RequestDoc, sent: &str, spent: u64) -> Option<RequestDoc> {
    let prompt = match json::value(doc.raw("prompt")?)? {
        Value::String(text) => text,
        Value::Array(items) => match items.as_slice() {
            [Value::String(text)] => text.clone(),
            _ => return None,
        },
        _ => return None,
    };
    let prompt = Value::String(prompt + sent).to_string().into_bytes();
    let mut fields = vec![("prompt", prompt)];
    fields.extend(left_of(doc.raw("max_tokens"), spent).map(|left| ("max_tokens", left)));
    doc.with(&fields)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn doc(body: &Value) -> RequestDoc {
        RequestDoc::parse(body.to_string().into()).unwrap()
    }

    #[test]
    fn the_rest_is_asked_for_behind_what_was_sent() {
        for prompt in [json!("Once "), json!(["Once "])] {
            let asked = doc(&json!({"prompt": prompt, "max_tokens": 9, "stream": true}));
            let rest = continued(&asked, "upon a", 4).unwrap();
            let body: Value = serde_json::from_slice(rest.body()).unwrap();
            assert_eq!(
                (&body["prompt"], &body["max_tokens"]),
                (&json!("Once upon a"), &json!(5))
            );
        }
        for prompt in [json!([1, 2]), json!([[1, 2]]), Value::Null] {
            assert!(continued(&doc(&json!({"prompt": prompt})), "x", 1).is_none());
        }
    }

    #[test]
    fn what_is_more_than_one_plain_text_is_left_alone() {
        for (fields, may) in [
            (json!({"prompt": "x"}), true),
            (
                json!({"prompt": ["x"], "n": 1, "best_of": 1, "echo": false, "suffix": null}),
                true,
            ),
            (
                json!({"prompt": "x", "logprobs": null, "suffix": "", "stop": "y"}),
                true,
            ),
            (json!({"prompt": [1, 2, 3]}), true),
            (json!({"prompt": ["x", "y"]}), false),
            (json!({"prompt": [[1, 2], [3]]}), false),
            (json!({"prompt": "x", "n": 2}), false),
            (json!({"prompt": "x", "best_of": 3}), false),
            (json!({"prompt": "x", "echo": true}), false),
            (json!({"prompt": "x", "suffix": "end"}), false),
            (json!({"prompt": "x", "logprobs": 2}), false),
            (json!({"prompt": "x", "logprobs": 0}), false),
            (json!({"prompt": "x", "guided_json": {}}), false),
            (json!({"model": "m"}), false),
        ] {
            assert_eq!(may_be_rescued(&doc(&fields)), may, "{fields}");
        }
    }
}
