//! Beta features of Claude: callers of the Messages API name them in a header, Converse wants them in the body.

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use memchr::memmem;
use serde_json::{Value, json};

use super::model::ConverseRules;
use crate::wire::ir::{Loss, Losses};
use crate::wire::json;

/// The callers' header.
const HEADER: &str = "anthropic-beta";
/// Where Converse has what only some models know.
const MORE: &str = "additionalModelRequestFields";
/// Its field for this.
const FIELD: &str = "anthropic_beta";
/// What Bedrock knows; it refuses others.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html>
const KNOWN: [&str; 12] = [
    "computer-use-2024-10-22",
    "computer-use-2025-01-24",
    "token-efficient-tools-2025-02-19",
    "interleaved-thinking-2025-05-14",
    "output-128k-2025-02-19",
    "dev-full-thinking-2025-05-14",
    "fine-grained-tool-streaming-2025-05-14",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "effort-2025-11-24",
    "tool-search-tool-2025-10-19",
    "tool-examples-2025-10-29",
];

/// The body with the features of the callers' header that Bedrock knows; the others are named.
pub(super) fn add(model: &str, callers: &HeaderMap, body: Bytes, losses: &mut Losses) -> Bytes {
    let is_claude = ConverseRules::of(model).is_claude;
    let lines = callers.get_all(HEADER).iter();
    let named = lines.filter_map(|line| line.to_str().ok());
    let named = named.flat_map(|line| line.split(',')).map(str::trim);
    let (known, others): (Vec<&str>, Vec<&str>) = named
        .filter(|name| !name.is_empty())
        .partition(|name| is_claude && KNOWN.contains(name));
    if !others.is_empty() {
        losses.push(Loss::new(HEADER, "Bedrock does not know the feature"));
    }
    if known.is_empty() {
        return body;
    }
    with(&body, &known).unwrap_or(body)
}

/// A long body is read and written again only where it has such fields already.
fn with(body: &[u8], names: &[&str]) -> Option<Bytes> {
    if memmem::find(body, MORE.as_bytes()).is_none() {
        let close = memchr::memrchr(b'}', body)?;
        let mut out = BytesMut::with_capacity(body.len() + 256);
        out.put_slice(body.get(..close)?.trim_ascii_end());
        if !out.ends_with(b"{") {
            out.put_u8(b',');
        }
        let more = json!({FIELD: names});
        out.put_slice(format!("\"{MORE}\":{more}}}").as_bytes());
        return Some(out.freeze());
    }
    let Some(Value::Object(mut fields)) = json::value(body) else {
        return None;
    };
    let more = fields.entry(MORE).or_insert_with(|| json!({}));
    let before = more.as_object_mut()?.entry(FIELD);
    let all = before.or_insert_with(|| json!([])).as_array_mut()?;
    for name in names {
        if !all.iter().any(|one| one == name) {
            all.push((*name).into());
        }
    }
    Some(Value::Object(fields).to_string().into())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn added(model: &str, line: &'static str, body: &Value) -> (Value, usize) {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_static(line));
        let mut losses = Losses::new();
        let body = add(model, &headers, body.to_string().into(), &mut losses);
        (serde_json::from_slice(&body).unwrap(), losses.len())
    }

    #[test]
    fn what_bedrock_knows_goes_into_the_body_and_the_rest_is_named() {
        let claude = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0";
        let line = "claude-code-20250219, interleaved-thinking-2025-05-14,effort-2025-11-24";
        let known = json!(["interleaved-thinking-2025-05-14", "effort-2025-11-24"]);
        let plain = json!({"messages": [{"role": "user", "content": [{"text": "}"}]}]});
        let (body, lost) = added(claude, line, &plain);
        assert_eq!((&body[MORE][FIELD], lost), (&known, 1));
        assert_eq!(body["messages"], plain["messages"]);
        let more = json!({"messages": [], MORE: {"thinking": {"type": "enabled"}, FIELD: ["effort-2025-11-24"]}});
        let (body, _) = added(claude, line, &more);
        assert_eq!(body[MORE]["thinking"]["type"], "enabled");
        assert_eq!(body[MORE][FIELD].as_array().unwrap().len(), 2);
        assert_eq!(added(claude, "", &plain), (plain.clone(), 0));
        assert_eq!(added("amazon.nova-pro-v1:0", line, &plain), (plain, 1));
        let (body, _) = added(claude, "effort-2025-11-24", &json!({}));
        assert_eq!(body, json!({MORE: {FIELD: ["effort-2025-11-24"]}}));
    }
}
