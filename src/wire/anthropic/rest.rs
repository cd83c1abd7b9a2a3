//! Which answers of the API may be continued by another attempt, and the request for the rest of one.

use serde_json::{Map, Value, json};

use crate::wire::continued::{appended, is_of, left_of};
use crate::wire::json;
use crate::wire::request::RequestDoc;

/// Whether another attempt may continue an answer to this request: none that is bound to a schema.
pub(super) fn may_be_rescued(doc: &RequestDoc) -> bool {
    ["output_config", "output_format"].into_iter().all(|name| {
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
        "output_config" => value.get("format").is_none_or(Value::is_null),
        "output_format" => value.is_null(),
        _ => true,
    }
}

/// The request for what follows `sent`, which took about `spent` tokens. Its thoughts would be no part of the answer, and the
/// API takes no beginning of an answer beside them: so there are none.
pub(super) fn continued(doc: &RequestDoc, sent: &str, spent: u64) -> Option<RequestDoc> {
    let message = json!({"role": "assistant", "content": sent});
    let longer = appended(doc.raw("messages")?, &message, |last| {
        !is_of(last, "assistant")
    })?;
    let mut fields = vec![("messages", longer)];
    fields.extend(left_of(doc.raw("max_tokens"), spent).map(|left| ("max_tokens", left)));
    let thinks = doc.raw("thinking").and_then(json::value);
    let thinks = thinks.filter(|thinking| {
        thinking
            .get("type")
            .is_some_and(|kind| *kind != json!("disabled"))
    });
    if thinks.is_some() {
        let none = json!({"type": "disabled"});
        fields.push(("thinking", none.to_string().into_bytes()));
        let managed = doc.raw("context_management").and_then(json::value);
        let managed = managed.and_then(without_clear_thinking);
        let managed = managed.map(|managed| managed.to_string().into_bytes());
        fields.extend(managed.map(|managed| ("context_management", managed)));
    }
    doc.with(&fields)
}

/// What is to be cleared from the context, without thoughts: the API refuses that where there are none. `None` where nothing
/// is to be changed.
fn without_clear_thinking(mut managed: Value) -> Option<Value> {
    let edits = managed.get_mut("edits")?.as_array_mut()?;
    let before = edits.len();
    edits.retain(|edit| {
        let kind = edit.get("type").and_then(Value::as_str);
        !kind.is_some_and(|kind| kind.starts_with("clear_thinking"))
    });
    match (edits.len() < before, edits.is_empty()) {
        (false, _) => None,
        (true, false) => Some(managed),
        (true, true) => Some(Value::Null),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(body: &Value) -> RequestDoc {
        RequestDoc::parse(body.to_string().into()).unwrap()
    }

    #[test]
    fn the_rest_is_asked_for_behind_what_was_sent_and_without_thoughts() {
        let asked = doc(
            &json!({"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "stream": true,
            "thinking": {"type": "enabled", "budget_tokens": 5}}),
        );
        let rest = continued(&asked, "Hel", 4).unwrap();
        let body: Value = serde_json::from_slice(rest.body()).unwrap();
        assert_eq!(
            body["messages"][1],
            json!({"role": "assistant", "content": "Hel"})
        );
        assert_eq!(
            (&body["max_tokens"], &body["thinking"]["type"]),
            (&json!(5), &json!("disabled"))
        );
        let begun = doc(&json!({"messages": [{"role": "assistant", "content": "Oh"}]}));
        assert!(continued(&begun, "x", 1).is_none());
        assert!(continued(&doc(&json!({"messages": []})), "x", 1).is_none());
    }

    #[test]
    fn without_thoughts_none_are_to_be_cleared() {
        let rest = |kind: &str, edits: Value| {
            let asked = doc(&json!({"messages": [{"role": "user", "content": "hi"}],
                "thinking": {"type": kind}, "context_management": {"edits": edits}}));
            let rest = continued(&asked, "Hel", 4).unwrap();
            let mut body: Value = serde_json::from_slice(rest.body()).unwrap();
            body["context_management"].take()
        };
        let thoughts = json!({"type": "clear_thinking_20251015", "keep": "all"});
        let tools = json!({"type": "clear_tool_uses_20250919"});
        for (kind, edits, left) in [
            (
                "adaptive",
                json!([thoughts, tools]),
                json!({"edits": [tools]}),
            ),
            ("enabled", json!([thoughts]), Value::Null),
            ("enabled", json!([tools]), json!({"edits": [tools]})),
            ("disabled", json!([tools]), json!({"edits": [tools]})),
        ] {
            assert_eq!(rest(kind, edits), left, "{kind}");
        }
    }

    #[test]
    fn what_is_bound_to_a_schema_is_left_alone() {
        assert!(may_be_rescued(&doc(
            &json!({"output_config": {"effort": "low"}})
        )));
        let bound = json!({"output_config": {"format": {"type": "json_schema"}}});
        assert!(!may_be_rescued(&doc(&bound)) && !is_plain(bound.as_object().unwrap()));
    }
}
