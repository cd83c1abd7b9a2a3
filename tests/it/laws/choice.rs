//! Laws of what a request says of where it should go: its hints name fields of the request, in ranges that can be compared,
//! and what is left of them for OpenRouter is an object; what it needs does not depend on the order of its fields.
//!
//! The input is the body of a request.

use bytes::Bytes;
use pointsman::domain::hints::Hints;
use pointsman::wire::request::RequestDoc;
use pointsman::wire::{hints, needs};
use serde_json::{Map, Value};

pub fn hold(data: &[u8]) {
    let Ok(doc) = RequestDoc::parse(Bytes::copy_from_slice(data)) else {
        return;
    };
    needed(&doc, data);
    match hints::read(&doc) {
        Ok(None) => {}
        Ok(Some(read)) => {
            in_range(&read.hints);
            let left = read
                .provider
                .as_deref()
                .map(serde_json::from_slice::<Map<String, Value>>);
            assert!(left.is_none_or(|left| left.is_ok_and(|it| !it.is_empty())));
            for unknown in &read.unknown {
                assert!(unknown.starts_with("provider."), "{unknown}");
            }
        }
        Err(error) => {
            let top = error.field.split('.').next().unwrap_or_default();
            assert!(doc.has(top), "{error}");
            assert!(!error.expected.is_empty());
        }
    }
}

fn in_range(hints: &Hints) {
    let throughput = hints.min_throughput;
    assert!(
        throughput.is_none_or(|it| it.is_finite() && it >= 0.0),
        "{throughput:?}"
    );
}

fn needed(doc: &RequestDoc, data: &[u8]) {
    let needs = needs::of(doc);
    let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(data) else {
        return;
    };
    // A field that is there twice means what its reader says; it has no other order.
    if fields.keys().any(|name| doc.count(name) > 1) {
        return;
    }
    let turned: Map<String, Value> = fields.into_iter().rev().collect();
    let turned = Bytes::from(Value::Object(turned).to_string());
    if let Ok(turned) = RequestDoc::parse(turned) {
        assert_eq!(needs::of(&turned), needs);
    }
}
