//! What another provider's model thought, in the one place where Gemini's clients carry such a thing back: the signature of
//! a call. They neither read nor change it.

use std::borrow::Cow;

use data_encoding::{BASE64, BASE64URL};
use serde_json::{Value, json};

use crate::wire::ir::ReasoningPart;
use crate::wire::ir::fields::text;

/// What it begins with, before it is encoded.
const MARK: &[u8] = b"pointsman:";
/// The same once it is encoded, as far as what follows changes nothing of it.
pub(in crate::wire::gemini) const CODED: &str = "cG9pbnRzbWFuO";

/// The signature that stands for this reasoning.
pub(super) fn pack(reasoning: &ReasoningPart) -> String {
    let told = json!({
        "text": reasoning.text, "signature": reasoning.signature, "encrypted": reasoning.encrypted,
        "id": reasoning.id, "maker": reasoning.maker,
    });
    let mut bytes = MARK.to_vec();
    bytes.extend_from_slice(told.to_string().as_bytes());
    BASE64.encode(&bytes)
}

/// The reasoning that such a signature stands for; `None` for Google's own.
pub(super) fn unpack(signature: &str) -> Option<ReasoningPart> {
    let coded = signature.as_bytes();
    // Google's SDK for Python writes what it read in the alphabet for URLs.
    let bytes = BASE64.decode(coded).or_else(|_| BASE64URL.decode(coded));
    let bytes = bytes.ok()?;
    let told: Value = serde_json::from_slice(bytes.strip_prefix(MARK)?).ok()?;
    let Value::Object(mut fields) = told else {
        return None;
    };
    Some(ReasoningPart {
        text: text(&mut fields, "text"),
        signature: text(&mut fields, "signature"),
        encrypted: text(&mut fields, "encrypted"),
        id: text(&mut fields, "id"),
        maker: text(&mut fields, "maker").map(Cow::Owned),
        field: "",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_as_it_was_and_a_signature_of_googles_is_none() {
        let reasoning = ReasoningPart {
            text: Some("hm \"é??\"".to_owned()),
            signature: Some("c2ln".to_owned()),
            maker: Some("anthropic".into()),
            ..ReasoningPart::default()
        };
        assert!(pack(&reasoning).starts_with(CODED));
        let coded = pack(&reasoning);
        assert_eq!(unpack(&coded), Some(reasoning.clone()));
        let for_urls = coded.replace('+', "-").replace('/', "_");
        assert_eq!(unpack(&for_urls), Some(reasoning));
        for other in ["c2lnLUE=", "", "not base64 !"] {
            assert_eq!(unpack(other), None);
        }
    }
}
