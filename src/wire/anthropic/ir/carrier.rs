//! Thoughts of other providers in messages.
//!
//! An Anthropic client keeps thinking blocks with their signatures, and sends them back unchanged. So what another provider
//! wants to have back (its signature, what is encrypted, the signature of a call) travels in the place of a signature,
//! with the name of the dialect that made it. Where it comes back, that dialect gets its own again; Anthropic, which
//! would refuse the whole request for it, never sees it.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value, json};

use crate::wire::ir::ReasoningPart;
use crate::wire::json;
use crate::wire::request::RequestDoc;

/// What our own signatures begin with; no provider's do, being Base64.
const MARK: &str = "pointsman.";
/// The same where a body has one.
const MARKED: &[u8] = b"\"pointsman.";

/// What a signature of ours holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Carried {
    pub(super) maker: Option<String>,
    pub(super) signature: Option<String>,
    pub(super) encrypted: Option<String>,
    pub(super) id: Option<String>,
    /// It signs the next call.
    pub(super) of_call: bool,
}

impl Carried {
    /// What is not the words of a thought.
    pub(super) fn of(part: &ReasoningPart, origin: &str) -> Self {
        Self {
            maker: Some(part.maker.as_deref().unwrap_or(origin).to_owned()),
            signature: part.signature.clone(),
            encrypted: part.encrypted.clone(),
            id: part.id.clone(),
            of_call: false,
        }
    }

    /// As a text that can stand in place of a signature. What Anthropic's models signed, whoever hosts them, stays as it is.
    pub(super) fn write(&self) -> String {
        let own = self.signature.as_ref().or(self.encrypted.as_ref());
        let is_own = self.maker.as_deref() == Some(super::super::ID) && !self.of_call;
        if let Some(own) = own.filter(|_| is_own && self.id.is_none()) {
            return own.clone();
        }
        let mut fields = Map::new();
        for (name, value) in [
            ("m", &self.maker),
            ("s", &self.signature),
            ("e", &self.encrypted),
            ("i", &self.id),
        ] {
            if let Some(value) = value {
                fields.insert(name.to_owned(), json!(value));
            }
        }
        if self.of_call {
            fields.insert("c".to_owned(), json!(true));
        }
        let json = Value::Object(fields).to_string();
        format!("{MARK}{}", BASE64URL_NOPAD.encode(json.as_bytes()))
    }

    /// What such a text holds; `None` where it is a provider's own signature.
    pub(super) fn read(text: &str) -> Option<Self> {
        let coded = text.strip_prefix(MARK)?;
        let bytes = BASE64URL_NOPAD.decode(coded.as_bytes()).unwrap_or_default();
        let fields: Map<String, Value> = serde_json::from_slice(&bytes).unwrap_or_default();
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            maker: text("m"),
            signature: text("s"),
            encrypted: text("e"),
            id: text("i"),
            of_call: fields.get("c").is_some_and(|c| *c == true),
        })
    }
}

/// Whether a block is a thought of another provider's.
fn is_foreign(block: &Value) -> bool {
    let place = match block.get("type").and_then(Value::as_str) {
        Some("thinking") => "signature",
        Some("redacted_thinking") => "data",
        _ => return false,
    };
    let text = block.get(place).and_then(Value::as_str);
    text.is_some_and(|text| text.starts_with(MARK))
}

/// The request without thoughts that only other providers can read; `None` where it has none, as nearly always.
pub(in crate::wire::anthropic) fn without_foreign_thoughts(doc: &RequestDoc) -> Option<RequestDoc> {
    memchr::memmem::find(doc.body(), MARKED)?;
    let Value::Array(mut messages) = json::value(doc.raw("messages")?)? else {
        return None;
    };
    for message in &mut messages {
        if let Some(Value::Array(blocks)) = message.get_mut("content") {
            blocks.retain(|block| !is_foreign(block));
        }
    }
    // A turn of nothing else: without a block it would be refused.
    let empty = |message: &Value| {
        message
            .get("content")
            .is_some_and(|content| *content == json!([]))
    };
    messages.retain(|message| !empty(message));
    let messages = Value::Array(messages).to_string().into_bytes();
    doc.with(&[("messages", messages)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_carried_comes_back_and_a_signature_is_none_of_it() {
        let carried = Carried {
            maker: Some("gemini".to_owned()),
            signature: Some("c2lnLUE=".to_owned()),
            of_call: true,
            ..Carried::default()
        };
        assert_eq!(Carried::read(&carried.write()), Some(carried));
        assert_eq!(Carried::read("EqQBCgIYAhIM/+="), None);
        assert_eq!(Carried::read("pointsman.?"), Some(Carried::default()));
    }

    #[test]
    fn anthropic_never_sees_anothers_thoughts() {
        let signature = Carried::default().write();
        let body = json!({"model": "m", "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": signature}]},
            {"role": "assistant", "content": [
                {"type": "redacted_thinking", "data": signature},
                {"type": "thinking", "thinking": "own", "signature": "c2ln"},
                {"type": "text", "text": "\"pointsman.x"}]},
        ]});
        let doc = RequestDoc::parse(body.to_string().into()).unwrap();
        let fit = without_foreign_thoughts(&doc).unwrap();
        let fit: Value = serde_json::from_slice(fit.body()).unwrap();
        assert_eq!(fit["messages"].as_array().unwrap().len(), 2);
        assert_eq!(fit["messages"][1]["content"][0]["thinking"], "own");
        assert_eq!(fit["messages"][1]["content"].as_array().unwrap().len(), 2);
        let plain = RequestDoc::parse(r#"{"messages":[]}"#.into()).unwrap();
        assert!(without_foreign_thoughts(&plain).is_none());
    }
}
