//! Laws of requests that are translated: any body is refused, or becomes a body of each upstream's dialect; where both sides
//! speak the same, it stays what it was.
//!
//! The input is a line with the caller's dialect, and the body.

use bytes::Bytes;
use pointsman::wire::request::RequestDoc;
use serde_json::{Map, Value};

use super::line;
use super::speech::{exchange, operation};

const MODEL: &str = "m";

pub fn hold(data: &[u8]) {
    let (caller, body) = line(data);
    let Some(operation) = operation(caller) else {
        return;
    };
    let Ok(doc) = RequestDoc::parse(Bytes::copy_from_slice(body)) else {
        return;
    };
    let stream = doc.stream();
    let Ok(doc) = doc.routed(MODEL, stream) else {
        return;
    };
    for upstream in [
        "openai",
        "anthropic",
        "gemini",
        "responses",
        "bedrock",
        "ollama",
    ] {
        let exchange = exchange(operation, upstream);
        let made = exchange.outgoing(&doc, MODEL, &Map::new(), false);
        let call = match made {
            Ok(call) => call,
            Err(unfit) => {
                assert!(!unfit.message("/v1/x", upstream).is_empty());
                continue;
            }
        };
        let read: Option<Value> = serde_json::from_slice(&call.body).ok();
        if exchange.is_identity() {
            assert!(call.dropped.is_empty());
        } else {
            let fields = read.as_ref().and_then(Value::as_object);
            assert!(fields.is_some(), "{upstream}: {:?}", call.body);
        }
        // What may be left out may be refused as well, and nothing else is.
        let strict = exchange.outgoing(&doc, MODEL, &Map::new(), true);
        assert_eq!(strict.is_ok(), call.dropped.is_empty(), "{upstream}");
    }
}
