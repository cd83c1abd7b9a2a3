//! The response object, with which events begin and end, and its parts.

use serde_json::{Map, Value, json};

use crate::wire::ir::{StopReason, UsageCounts};
use crate::wire::json;
use crate::wire::request::RequestDoc;

/// Fields that a response repeats from its request, with what stands there where the request does not say.
const REPEATED: [(&str, &str); 14] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("service_tier", "\"auto\""),
    ("temperature", "1.0"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_p", "1.0"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
];

/// What a response says that is the same from its beginning to its end.
pub(super) fn skeleton(doc: &RequestDoc) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, usual) in REPEATED {
        let said = doc
            .raw(name)
            .and_then(json::value)
            .filter(|value| !value.is_null());
        let value = said.or_else(|| json::value(usual.as_bytes()));
        fields.insert(name.to_owned(), value.unwrap_or_default());
    }
    // What a caller calls the whole of the text's form may be a part of it.
    if let Some(Value::Object(text)) = fields.get_mut("text") {
        text.entry("format").or_insert(json!({"type": "text"}));
    }
    for (name, value) in [
        ("object", json!("response")),
        ("error", Value::Null),
        ("incomplete_details", Value::Null),
        ("previous_response_id", Value::Null),
        ("background", json!(false)),
        ("store", json!(false)),
        ("usage", Value::Null),
    ] {
        fields.insert(name.to_owned(), value);
    }
    fields
}

/// How a response ends: its status, and why it is not whole.
pub(super) fn ending(reason: Option<&StopReason>) -> (&'static str, Option<&'static str>) {
    match reason {
        Some(StopReason::Length) => ("incomplete", Some("max_output_tokens")),
        Some(StopReason::ContentFilter | StopReason::Refusal) => {
            ("incomplete", Some("content_filter"))
        }
        // Something went wrong that the API has no word for.
        Some(StopReason::Other(_)) => ("failed", None),
        _ => ("completed", None),
    }
}

/// Token counts with everything that clients require.
pub(super) fn usage(counts: &UsageCounts) -> Value {
    let (input, output) = (counts.input.unwrap_or(0), counts.output.unwrap_or(0));
    json!({
        "input_tokens": input,
        "input_tokens_details": {
            "cached_tokens": counts.cache_read.unwrap_or(0),
            "cache_write_tokens": counts.cache_write.unwrap_or(0),
        },
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning.unwrap_or(0)},
        "total_tokens": counts.total.unwrap_or(input.saturating_add(output)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{ResponseEncoder, encode_answer};
    use super::*;
    use crate::wire::dialect::EventEncoder;
    use crate::wire::ir::{ChatAnswer, StreamItem};

    #[test]
    fn a_response_ends_with_the_queue_that_served_it_and_not_with_the_one_that_was_asked_for() {
        let body = br#"{"service_tier":"flex"}"#.as_slice();
        let doc = RequestDoc::parse(body.into()).unwrap();
        for (served, told) in [
            (None, "default"),
            (Some("priority"), "priority"),
            (Some("PROVISIONED_THROUGHPUT"), "default"),
        ] {
            let mut answer = ChatAnswer::new("openai");
            answer.service_tier = served.map(str::to_owned);
            let (whole, _) = encode_answer(&doc, answer);
            assert_eq!(whole["service_tier"], told);
            let mut encoder = ResponseEncoder::new(&doc, "openai");
            let tier = served.map(|tier| StreamItem::ServiceTier(tier.to_owned()));
            let items = tier.into_iter().chain([StreamItem::End]);
            let events = encoder.event(items.collect());
            let events = String::from_utf8_lossy(&events);
            let last = events
                .lines()
                .rev()
                .find_map(|line| line.strip_prefix("data: "));
            let last: Value = serde_json::from_str(last.unwrap()).unwrap();
            assert_eq!(last["response"]["service_tier"], told);
        }
    }
}
