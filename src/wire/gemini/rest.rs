//! Which answers of the API may be continued by another attempt, and the request for the rest of one.

use serde_json::{Map, Value, json};

use super::names::camel;
use crate::wire::continued::{appended, is_of, left};
use crate::wire::json;
use crate::wire::request::RequestDoc;

/// Where the settings of an answer stand.
const CONFIG: [&str; 2] = ["generationConfig", "generation_config"];
/// Settings that bind an answer to a form, or ask for more than its text.
const BINDING: [&str; 5] = [
    "responseJsonSchema",
    "_responseJsonSchema",
    "responseSchema",
    "responseLogprobs",
    "speechConfig",
];

/// Whether another attempt may continue an answer to this request: plain text, one candidate.
pub(super) fn may_be_rescued(doc: &RequestDoc) -> bool {
    let mut said = CONFIG.into_iter().filter_map(|name| doc.raw(name));
    said.all(|raw| json::value(raw).is_some_and(|config| is_free(&config)))
}

/// The same of what a configuration fills in.
pub(super) fn is_plain(params: &Map<String, Value>) -> bool {
    let said = CONFIG.into_iter().filter_map(|name| params.get(name));
    said.chain([&Value::Object(params.clone())]).all(is_free)
}

/// Whether these settings let an answer be plain text.
fn is_free(config: &Value) -> bool {
    let Value::Object(fields) = config else {
        return config.is_null();
    };
    let mut fields = fields.clone();
    camel(&mut fields);
    let one = |name: &str, usual: Value| match fields.get(name) {
        None | Some(Value::Null) => true,
        Some(value) => *value == usual,
    };
    let unset = |name: &&str| {
        matches!(
            fields.get(*name),
            None | Some(Value::Null | Value::Bool(false))
        )
    };
    one("responseMimeType", json!("text/plain"))
        && one("candidateCount", json!(1))
        && one("responseModalities", json!(["TEXT"]))
        && BINDING.iter().all(unset)
}

/// The request for what follows `sent`, which took about `spent` tokens.
pub(super) fn continued(doc: &RequestDoc, sent: &str, spent: u64) -> Option<RequestDoc> {
    let turn = json!({"role": "model", "parts": [{"text": sent}]});
    let longer = appended(doc.raw("contents")?, &turn, |last| !is_of(last, "model"))?;
    let mut fields = vec![("contents", longer)];
    for name in CONFIG {
        let Some(Value::Object(mut config)) = doc.raw(name).and_then(json::value) else {
            continue;
        };
        camel(&mut config);
        if let Some(most) = config.get("maxOutputTokens").and_then(Value::as_u64) {
            let rest = left(most, spent);
            config.insert("maxOutputTokens".to_owned(), rest.into());
            fields.push((name, Value::Object(config).to_string().into_bytes()));
        }
    }
    doc.with(&fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(body: &Value) -> RequestDoc {
        let doc = RequestDoc::parse(body.to_string().into()).unwrap();
        doc.routed("m", true).unwrap()
    }

    #[test]
    fn the_rest_is_asked_for_behind_what_was_sent() {
        for (config, most) in [
            ("generationConfig", "maxOutputTokens"),
            ("generation_config", "max_output_tokens"),
        ] {
            let asked = doc(&json!({"contents": [{"parts": [{"text": "hi"}]}], config: {most: 9}}));
            let rest = continued(&asked, "Hel", 4).unwrap();
            assert!(rest.stream() && rest.model().as_deref() == Some("m"));
            let body: Value = serde_json::from_slice(rest.body()).unwrap();
            let turn = json!({"role": "model", "parts": [{"text": "Hel"}]});
            assert_eq!(body["contents"][1], turn);
            assert_eq!(body[config]["maxOutputTokens"], 5);
        }
        let begun = doc(&json!({"contents": [{"role": "model", "parts": []}]}));
        assert!(continued(&begun, "x", 1).is_none());
    }

    #[test]
    fn structured_output_and_several_candidates_are_left_alone() {
        for (config, may) in [
            (json!({"temperature": 1}), true),
            (
                json!({"responseMimeType": "text/plain", "candidateCount": 1}),
                true,
            ),
            (json!({"response_mime_type": "application/json"}), false),
            (json!({"candidateCount": 2}), false),
            (json!({"responseModalities": ["TEXT", "IMAGE"]}), false),
            (json!({"responseLogprobs": true}), false),
        ] {
            let asked = doc(&json!({"contents": [], "generationConfig": config}));
            assert_eq!(may_be_rescued(&asked), may, "{config}");
        }
    }
}
