//! Keys as the file has them: alone, or with the account that they belong to.

use std::sync::Arc;

use config::ValueKind;
use serde_json::json;

use super::describe::{Describe, Shape};
use super::read::{ConfigNode, FromNode, Report, section};
use super::values::KeyTexts;
use crate::domain::secret::ApiKey;

section! {
    /// `llm.providers[].api_keys[]`
    AccountKeySection {
        /// A key; several with commas between them.
        key: KeyTexts = required,
        /// The name of its account. Default: each key is an account of its own.
        account: String,
    }
}

/// `api_key` and `api_keys`: texts, or maps that also say the account.
pub(super) struct AccountKeys(pub Vec<AccountKey>);

/// One key, its place in the file, and its account.
pub(super) struct AccountKey {
    pub material: ApiKey,
    pub at: String,
    pub account: Option<Arc<str>>,
}

impl FromNode for AccountKeys {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let mut keys = Vec::new();
        for item in node.items() {
            let (texts, account) = match &item.value.kind {
                ValueKind::Table(_) => {
                    let Some(section) = AccountKeySection::read(&item, report) else {
                        continue;
                    };
                    let account = section.account.map(|name| Arc::from(name.trim()));
                    let Some(texts) = section.key else {
                        item.reject::<()>("has no key", "write {key: …, account: …}", report);
                        continue;
                    };
                    (Some(texts), account)
                }
                ValueKind::Array(_) => {
                    item.reject::<()>("a key must be text", "put it in quotes", report);
                    continue;
                }
                _ => (KeyTexts::read(&item, report), None),
            };
            let texts = texts.into_iter().flat_map(|texts| texts.0);
            keys.extend(texts.map(|(material, at)| AccountKey {
                material,
                at,
                account: account.clone(),
            }));
        }
        Some(Self(keys))
    }
}

impl Describe for AccountKeys {
    fn shape() -> Shape {
        let section = AccountKeySection::shape();
        let text = Shape::plain("text", json!({"type": ["string", "null"]}));
        let listed = text.or(AccountKeySection::shape()).listed();
        KeyTexts::shape().or(listed).or(section)
    }
}
