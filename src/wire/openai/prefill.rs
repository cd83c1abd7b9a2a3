//! Asking an upstream to go on from the beginning of an answer, and whether a request lets a broken answer be
//! finished by another one at all.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::domain::rescue::Prefill;
use crate::wire::continued::{appended, is_of, left_of};
use crate::wire::json::List;
use crate::wire::request::RequestDoc;

/// Fields that make an answer something else than plain text, or bind it to a grammar: its halves need not
/// fit together.
const STRUCTURED: [&str; 12] = [
    "audio",
    "ebnf",
    "grammar",
    "guided_choice",
    "guided_grammar",
    "guided_json",
    "guided_regex",
    "json_schema",
    "logprobs",
    "prediction",
    "regex",
    "structured_outputs",
];

/// Whether another attempt may continue an answer to this chat request: plain text, one choice,
/// no structured output.
pub fn may_be_rescued(doc: &RequestDoc) -> bool {
    let plain_format = match doc.raw("response_format") {
        None | Some(b"null") => true,
        // A list would fill a struct too.
        Some(raw) => {
            let format = serde_json::from_slice::<Format<'_>>(raw).ok();
            let kind = format.filter(|_| raw.first() == Some(&b'{'));
            kind.is_some_and(|format| is_text(format.kind))
        }
    };
    let only_text = match doc.raw("modalities") {
        None | Some(b"null") => true,
        Some(raw) => List::of(raw).is_some_and(|kinds| kinds.len == 1 && is_text(kinds.first)),
    };
    let plain = STRUCTURED
        .iter()
        .all(|name| matches!(doc.raw(name), None | Some(b"null" | b"false")));
    let one = matches!(doc.raw("n"), None | Some(b"1" | b"null"));
    one && plain_format && only_text && plain
}

/// The same of what a configuration fills in.
pub(super) fn leaves_plain(params: &Map<String, Value>) -> bool {
    if params.is_empty() {
        return true;
    }
    let body = Value::Object(params.clone()).to_string();
    RequestDoc::parse(body.into()).is_ok_and(|doc| may_be_rescued(&doc))
}

/// The request that asks to continue an answer after `sent`, which took about
/// `spent` tokens. `None` when it cannot be expressed: the prompt ends with a message of the assistant
/// already, or has no messages.
pub fn continued(doc: &RequestDoc, sent: &str, spent: u64) -> Option<RequestDoc> {
    let message = json!({"role": "assistant", "content": sent});
    let longer = appended(doc.raw("messages")?, &message, |last| {
        last.get("role").is_some_and(Value::is_string) && !is_of(last, "assistant")
    })?;
    let mut fields = vec![("messages", longer)];
    for name in ["max_tokens", "max_completion_tokens"] {
        fields.extend(left_of(doc.raw(name), spent).map(|left| (name, left)));
    }
    doc.with(&fields)
}

/// The body of a call whose last message is the beginning of its answer, with what says so in this form; `None` where it needs
/// no change.
pub fn marked(body: &Bytes, form: Prefill) -> Option<Bytes> {
    let mark = match form {
        Prefill::Prefix | Prefill::PrefixEchoed => Some("prefix"),
        Prefill::Partial => Some("partial"),
        Prefill::ContinueFinalMessage => None,
        Prefill::Assistant => return None,
    };
    let doc = RequestDoc::parse(body.clone()).ok()?;
    let fields = match mark {
        Some(mark) => vec![("messages", with_mark(doc.raw("messages")?, mark)?)],
        None => vec![
            ("add_generation_prompt", b"false".to_vec()),
            ("continue_final_message", b"true".to_vec()),
        ],
    };
    Some(doc.with(&fields)?.body().clone())
}

/// Messages of which the last one has this mark.
fn with_mark(raw: &[u8], mark: &str) -> Option<Vec<u8>> {
    let messages: Vec<&RawValue> = serde_json::from_slice(raw).ok()?;
    let (last, before) = messages.split_last()?;
    let last = last.get().trim_end().strip_suffix('}')?;
    let mut all = b"[".to_vec();
    for message in before {
        all.extend_from_slice(message.get().as_bytes());
        all.push(b',');
    }
    all.extend_from_slice(last.as_bytes());
    all.extend_from_slice(format!(r#","{mark}":true}}]"#).as_bytes());
    Some(all)
}

fn is_text(value: Option<&RawValue>) -> bool {
    value.is_some_and(|value| value.get() == "\"text\"")
}

#[derive(Deserialize)]
struct Format<'a> {
    #[serde(rename = "type", default, borrow)]
    kind: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn doc(body: &str) -> RequestDoc {
        RequestDoc::parse(body.to_owned().into()).unwrap()
    }

    fn body(doc: &RequestDoc) -> Value {
        serde_json::from_slice(doc.body()).unwrap()
    }

    /// What is asked in this form.
    fn in_form(doc: &RequestDoc, sent: &str, spent: u64, form: Prefill) -> Value {
        let asked = continued(doc, sent, spent).unwrap();
        let marked = marked(asked.body(), form);
        serde_json::from_slice(&marked.unwrap_or(asked.body().clone())).unwrap()
    }

    const PLAIN: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":10,"stream":true}"#;

    #[test]
    fn each_form_ends_the_prompt_with_what_was_sent() {
        for (name, form) in Prefill::ALL {
            let asked = in_form(&doc(PLAIN), "Hel\"lo", 4, form);
            let messages = asked["messages"].as_array().unwrap();
            assert_eq!(messages.len(), 2, "{name}");
            assert_eq!(messages[1]["role"], "assistant", "{name}");
            assert_eq!(messages[1]["content"], "Hel\"lo", "{name}");
            assert_eq!(asked["max_tokens"], 6, "{name}");
            let marks = [
                &messages[1]["prefix"],
                &messages[1]["partial"],
                &asked["continue_final_message"],
            ];
            let marked: Vec<bool> = marks
                .iter()
                .map(|fingerprint| **fingerprint == true)
                .collect();
            let expected = match form {
                Prefill::Prefix | Prefill::PrefixEchoed => [true, false, false],
                Prefill::Partial => [false, true, false],
                Prefill::ContinueFinalMessage => [false, false, true],
                Prefill::Assistant => [false; 3],
            };
            assert_eq!(marked, expected, "{name}");
            assert_eq!(
                asked["add_generation_prompt"] == false,
                expected[2],
                "{name}"
            );
        }
    }

    #[test]
    fn the_limit_of_an_answer_is_never_used_up() {
        let asked = continued(&doc(PLAIN), "long", 400).unwrap();
        assert_eq!(body(&asked)["max_tokens"], 1);
    }

    #[test]
    fn a_prompt_that_ends_with_the_assistant_is_not_prefilled_again() {
        for messages in [
            r#"[{"role":"user","content":"hi"},{"role":"assistant","content":"Oh"}]"#,
            "[]",
            "7",
        ] {
            let doc = doc(&format!(r#"{{"messages":{messages}}}"#));
            assert!(continued(&doc, "x", 1).is_none(), "{messages}");
        }
        let twice = doc(r#"{"messages":[{"role":"user"}],"messages":[{"role":"user"}]}"#);
        assert!(continued(&twice, "x", 1).is_none());
    }

    #[test]
    fn structured_output_and_several_choices_are_left_alone() {
        for (fields, may) in [
            (r#""temperature":1"#, true),
            (
                r#""n":1,"response_format":{"type":"text"},"logprobs":false"#,
                true,
            ),
            (r#""response_format":null,"modalities":["text"]"#, true),
            (
                r#""tools":[{"type":"function","function":{"name":"f"}}]"#,
                true,
            ),
            (r#""n":2"#, false),
            (r#""n":2.0"#, false),
            (r#""response_format":{"type":"json_object"}"#, false),
            (
                r#""response_format":{"type":"json_schema","json_schema":{}}"#,
                false,
            ),
            (r#""response_format":{}"#, false),
            (r#""logprobs":true"#, false),
            (r#""guided_json":{}"#, false),
            (r#""modalities":["text","audio"]"#, false),
        ] {
            let doc = doc(&format!(r#"{{"messages":[],{fields}}}"#));
            assert_eq!(may_be_rescued(&doc), may, "{fields}");
        }
    }

    proptest! {
        #[test]
        fn any_text_arrives_as_it_was_sent(sent in any::<String>()) {
            let asked = in_form(&doc(PLAIN), &sent, 0, Prefill::Prefix);
            prop_assert_eq!(asked["messages"][1]["content"].as_str(), Some(sent.as_str()));
            prop_assert_eq!(&asked["messages"][0], &json!({"role": "user", "content": "hi"}));
        }
    }

    #[test]
    fn what_binds_an_answer_to_a_grammar_keeps_it_from_being_rescued() {
        for field in ["regex", "ebnf", "json_schema", "guided_json"] {
            let body = format!(r#"{{"messages":[{{"role":"user","content":"x"}}],"{field}":"y"}}"#);
            assert!(!may_be_rescued(&doc(&body)), "{field}");
        }
    }
}
