//! Where the words of a message are from.

use serde_json::{Value, json};

use super::fields::{Encoder, inside, put, put_in, take, text};
use crate::wire::ir::{Citation, Extra};

pub(super) fn decode_citations(fields: &mut Extra) -> Vec<Citation> {
    let read = |value: &Value| {
        let all = value.as_array().filter(|all| !all.is_empty())?;
        all.iter().map(decode_citation).collect()
    };
    take(fields, "annotations", read).unwrap_or_default()
}

fn decode_citation(value: &Value) -> Option<Citation> {
    let mut fields = value.as_object()?.clone();
    text(&mut fields, "type").filter(|kind| kind == "url_citation")?;
    let (url, title, span) = inside(&mut fields, "url_citation", |inner| {
        let (url, title) = (text(inner, "url"), text(inner, "title"));
        let ends = ["start_index", "end_index"].map(|name| inner.get(name).and_then(Value::as_u64));
        let [Some(start), Some(end)] = ends else {
            return Some((url, title, None));
        };
        inner.remove("start_index");
        inner.remove("end_index");
        Some((url, title, Some((start, end))))
    })?;
    url.as_ref()?;
    Some(Citation {
        url,
        title,
        span,
        extra: fields,
    })
}

pub(super) fn encode_citation(encoder: &mut Encoder, path: &str, citation: Citation) -> Value {
    let mut own = encoder.begin(path, citation.extra);
    put(&mut own, "type", Some("url_citation"));
    put_in(&mut own, "url_citation", "url", citation.url);
    put_in(&mut own, "url_citation", "title", citation.title);
    if let Some((start, end)) = citation.span {
        put_in(&mut own, "url_citation", "start_index", Some(start));
        put_in(&mut own, "url_citation", "end_index", Some(end));
    }
    json!(own)
}
