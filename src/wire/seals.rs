//! Sealed content of reasoning items (`encrypted_content`): what only the account can open that made it, and what stands
//! there for another provider, because callers give reasoning items back unchanged (`responses/ir/seal.rs`).

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::Value;

use super::json;

/// The first bytes of what was put there for another provider.
pub const CARRIED: &str = r#"{"pointsman":1,"#;
/// The dialect whose providers seal by account. Claude's and Gemini's signatures hold with every key.
const BY_ACCOUNT: &str = "responses";

/// A part of them that stands in a body as it is, whatever is escaped.
static NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("pointsman"));

/// Which sealed contents are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seals {
    /// What is carried for another provider.
    Carried,
    /// What only the account can open that made it.
    OfAccount,
    /// All.
    All,
}

impl Seals {
    fn mean(self, content: &str) -> bool {
        match self {
            Self::Carried => content.starts_with(CARRIED),
            Self::OfAccount => is_of_account(content),
            Self::All => true,
        }
    }
}

/// Whether only the account can open it that made it.
pub fn is_of_account(content: &str) -> bool {
    let Some(inside) = content.strip_prefix(CARRIED) else {
        return true;
    };
    let own: Option<Value> = serde_json::from_str(&format!("{{{inside}")).ok();
    own.is_none_or(|own| own["maker"] == BY_ACCOUNT && own["encrypted"].is_string())
}

/// The field `input` of a request without the items that have such content; `None` where there are none.
pub fn without(input: &[u8], seals: Seals) -> Option<Vec<u8>> {
    if seals == Seals::Carried && NAME.find(input).is_none() {
        return None;
    }
    let Value::Array(mut items) = json::value(input)? else {
        return None;
    };
    let before = items.len();
    items.retain(|item| {
        let sealed = item.get("encrypted_content").and_then(Value::as_str);
        !sealed.is_some_and(|content| seals.mean(content))
    });
    (items.len() < before).then(|| Value::Array(items).to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_carried_for_others_and_what_an_account_sealed_are_told_apart() {
        let claude = format!(r#"{CARRIED}"maker":"anthropic","signature":"s"}}"#);
        let nested = format!(
            r#"{CARRIED}"maker":"responses","encrypted":"gAAA","call":"c","call_signature":"s"}}"#
        );
        let item = |id: &str, content: &str| json!({"type": "reasoning", "id": id, "summary": [], "encrypted_content": content});
        let input = json!([
            {"role": "user", "content": "hi"},
            item("a", &claude), item("b", "gAAA"), item("c", &nested),
            {"type": "reasoning", "id": "d", "summary": [], "encrypted_content": null},
        ])
        .to_string();
        let left = |seals| {
            let input = without(input.as_bytes(), seals).unwrap();
            let Value::Array(items) = serde_json::from_slice(&input).unwrap() else {
                panic!("a list")
            };
            let ids = items.iter().filter_map(|item| item["id"].as_str());
            ids.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(left(Seals::Carried), ["b", "d"]);
        assert_eq!(left(Seals::OfAccount), ["a", "d"]);
        assert_eq!(left(Seals::All), ["d"]);
        assert_eq!(
            without(br#"[{"encrypted_content":"gAAA"}]"#, Seals::Carried),
            None
        );
        assert_eq!(without(br#""hi""#, Seals::All), None);
    }
}
