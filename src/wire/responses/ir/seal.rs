//! What callers carry for other providers in `encrypted_content`: a thinking block's signature, say. Callers give reasoning
//! items back unchanged, so the provider that made it gets it back.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::fields::{put, text};
use crate::wire::ir::ReasoningPart;
use crate::wire::seals::CARRIED as MARK;

/// What one reasoning item carries.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Seal {
    /// The dialect whose provider can read it.
    pub(super) maker: Option<String>,
    /// Of the words of the item.
    pub(super) signature: Option<String>,
    /// What only that provider can read.
    pub(super) encrypted: Option<String>,
    /// Of a call, with the call's id.
    pub(super) call: Option<(String, String)>,
}

impl Seal {
    /// As it stands in `encrypted_content`; `None` where there is nothing to carry. What a provider of this dialect made goes
    /// as it is.
    pub(super) fn write(self) -> Option<String> {
        let native = self.maker.as_deref() == Some(crate::wire::responses::ID);
        if native && self.signature.is_none() && self.call.is_none() {
            return self.encrypted;
        }
        if self == Self::default() {
            return None;
        }
        let mut fields = Map::new();
        put(&mut fields, "maker", self.maker);
        put(&mut fields, "signature", self.signature);
        put(&mut fields, "encrypted", self.encrypted);
        if let Some((id, signature)) = self.call {
            put(&mut fields, "call", Some(id));
            put(&mut fields, "call_signature", Some(signature));
        }
        let json = Value::Object(fields).to_string();
        let inside = json.strip_prefix('{').unwrap_or_default();
        Some(format!("{MARK}{inside}"))
    }

    /// What was sealed for a call, if that is what stands in `encrypted_content`.
    pub(super) fn of_call(content: &str) -> Option<(String, String)> {
        content
            .starts_with(MARK)
            .then(|| Self::read(content.to_owned()).call)?
    }

    /// Reads what stands in `encrypted_content`.
    pub(super) fn read(content: String) -> Self {
        let own = content
            .strip_prefix(MARK)
            .map(|inside| format!("{{{inside}"));
        let own = own.and_then(|json| serde_json::from_str(&json).ok());
        let Some(Value::Object(mut fields)) = own else {
            return Self {
                maker: Some(crate::wire::responses::ID.to_owned()),
                encrypted: Some(content),
                ..Self::default()
            };
        };
        let call = text(&mut fields, "call").zip(text(&mut fields, "call_signature"));
        Self {
            maker: text(&mut fields, "maker"),
            signature: text(&mut fields, "signature"),
            encrypted: text(&mut fields, "encrypted"),
            call,
        }
    }

    /// Puts it on the part whose it is.
    pub(super) fn put_on(self, part: &mut ReasoningPart) {
        part.maker = self.maker.map(Cow::Owned);
        part.signature = self.signature;
        part.encrypted = self.encrypted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_read_again_and_what_others_made_stays_as_it_is() {
        let seal = Seal {
            maker: Some("anthropic".to_owned()),
            signature: Some("c2ln\"/+=".to_owned()),
            encrypted: None,
            call: Some(("call_1".to_owned(), "s".to_owned())),
        };
        assert_eq!(Seal::read(seal.clone().write().unwrap()), seal);
        let native = Seal::read("gAAA=".to_owned());
        assert_eq!(native.maker.as_deref(), Some("responses"));
        assert_eq!(native.write().unwrap(), "gAAA=");
        assert_eq!(Seal::default().write(), None);
        let odd = Seal::read(format!("{MARK}broken"));
        assert_eq!(odd.maker.as_deref(), Some("responses"));
    }
}
