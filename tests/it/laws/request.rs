//! Laws of a request's body: what is rewritten stays what it was, but for what was to be changed.
//!
//! The input is a line with the upstream's model, a line with configured parameters (JSON), and the body.

use std::ops::ControlFlow;

use bytes::Bytes;
use pointsman::domain::dialect::Operation;
use pointsman::domain::rescue::Prefill;
use pointsman::wire::echo::{Echo, Echoed};
use pointsman::wire::openai::prefill::{continued, marked, may_be_rescued};
use pointsman::wire::request::RequestDoc;
use serde_json::{Map, Value};

use super::line;

pub fn hold(data: &[u8]) {
    let (model, rest) = line(data);
    let (params, body) = line(rest);
    // A name as a configuration or a caller may have it.
    let model = String::from_utf8_lossy(model).replace(char::is_control, "");
    let model = match model.get(..model.floor_char_boundary(256)) {
        None | Some("") => "m",
        Some(model) => model,
    };
    let params: Map<String, Value> = serde_json::from_slice(params).unwrap_or_default();
    let body = Bytes::copy_from_slice(body);
    let Ok(doc) = RequestDoc::parse(body.clone()) else {
        return;
    };
    assert_eq!(doc.body(), &body);
    measures(&doc);
    rewriting(&doc, model, &params);
    going_on(&doc);
    echoes(&doc);
}

fn value(body: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(body).ok()
}

fn measures(doc: &RequestDoc) {
    let size = doc.body().len();
    assert!(doc.prompt_bytes() <= size);
    assert!(doc.choices() >= 1);
    let mut text = 0;
    doc.prompt_texts(|part| {
        text += part.len();
        assert_eq!(part.len(), part.chars().map(char::len_utf8).sum::<usize>());
        ControlFlow::Continue(())
    });
    assert!(text <= size, "{text} bytes of text in a body of {size}");
    // Each message is a value, and all but the last have a comma behind them.
    assert!(doc.message_count() <= size.max(1));
    if let Some(model) = doc.model() {
        assert!(!model.is_empty() && model.len() <= 256);
    }
}

fn rewriting(doc: &RequestDoc, model: &str, params: &Map<String, Value>) {
    let out = doc.rewritten(model, params);
    let again = RequestDoc::parse(out.clone()).unwrap();
    assert_eq!(again.model().as_deref(), Some(model));
    assert_eq!(again.stream(), doc.stream());
    for name in ["messages", "input", "n", "stream", "max_tokens"] {
        if doc.has(name) {
            assert_eq!(doc.raw(name), again.raw(name), "{name}");
        }
    }
    assert_eq!(again.rewritten(model, params), out, "once is enough");
    // A number or an escape may be beyond what this parser takes, and is passed on as it is.
    let Some(before) = value(doc.body()) else {
        return;
    };
    let mut after = value(&out).unwrap();
    for (name, value) in &before {
        if name != "model" {
            assert_eq!(after.remove(name).as_ref(), Some(value), "{name}");
        }
    }
    after.remove("model");
    for (name, value) in after {
        assert_eq!(params.get(&name), Some(&value), "{name} was added");
    }
}

fn going_on(doc: &RequestDoc) {
    let _ = may_be_rescued(doc);
    let sent = "so \"far\"\n";
    for (_, form) in Prefill::ALL {
        let Some(asked) = continued(doc, sent, 3) else {
            continue;
        };
        let body = marked(asked.body(), form).unwrap_or(asked.body().clone());
        let Ok(asked) = RequestDoc::parse(body) else {
            panic!("a marked request is none: {asked:?}")
        };
        assert_eq!(asked.message_count(), doc.message_count() + 1);
        let raw = asked.raw("messages").unwrap_or_default();
        let Ok(messages) = serde_json::from_slice::<Vec<Value>>(raw) else {
            continue;
        };
        let last = messages.last().unwrap();
        assert_eq!(last.get("content"), Some(&Value::from(sent)));
    }
}

fn echoes(doc: &RequestDoc) {
    let Ok(request) = serde_json::from_slice::<Value>(doc.body()) else {
        return;
    };
    let echo = Echo {
        provider: "echo",
        id: "1",
        created: 1,
    };
    for operation in Operation::ALL {
        if let Echoed::Stream(events) = echo.answer(operation, &request) {
            for event in events {
                assert!(event.ends_with(b"\n\n"));
            }
        }
    }
}
