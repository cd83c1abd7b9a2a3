//! The keys of one provider: those of the file, of its variables and of its files.

use std::sync::Arc;

use config::ValueKind;

use super::context::Context;
use super::describe::{Describe, Shape};
use super::keys;
use super::raw;
use super::read::{ConfigNode, FromNode, Report, section};
use super::resolved::KeyConfig;
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
    material: ApiKey,
    at: String,
    account: Option<Arc<str>>,
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
        let listed = String::shape().or(AccountKeySection::shape()).listed();
        KeyTexts::shape().or(listed).or(section)
    }
}

/// The provider's keys, those of `variables` where the file names none, and whether there are any. Those that are `sent` as
/// they are must fit into a header.
pub(super) fn keys_of(
    raw: &mut raw::ProviderSection,
    variables: &[String],
    sent: bool,
    path: &str,
    context: &Context<'_>,
    report: &mut Report,
) -> (Vec<KeyConfig>, bool) {
    // Keys may be typed, in named variables and in files; all of them count.
    let mut keys = written_keys(raw, path, report);
    if let Some(names) = raw.api_key_env.take().map(|names| names.0) {
        names.iter().for_each(|name| report.suspect(name));
        let before = report.problems.len();
        let found = context.keys(&names, report);
        if found.is_empty() && report.problems.len() == before {
            let suggestion = report.missing("set the variable");
            report.problem(
                &format!("{path}.api_key_env"),
                format!("no key is in {}", names.join(", ")),
                &suggestion,
            );
        }
        keys.extend(found);
    }
    for file in raw
        .api_key_files
        .take()
        .map(|names| names.0)
        .unwrap_or_default()
    {
        let place = format!("{path}.api_key_files");
        report.suspect(&file);
        let full = context.dir.join(&file);
        report.files.push(full.clone());
        match keys::from_file(&full) {
            Ok(found) if found.keys.is_empty() => {
                report.problem(
                    &place,
                    format!("{file} holds no key"),
                    "write one key per line",
                );
            }
            Ok(found) => keys.extend(found.told(report)),
            Err(error) => report.problem(&place, format!("{file} can't be read: {error}"), ""),
        }
    }
    // Where none is named, the usual variables of the provider are looked at.
    if keys.is_empty() && context.with_environment {
        keys = context.keys(variables, report);
    }
    for key in keys.iter().filter(|key| sent && !keys::sendable(key)) {
        report.problem(
            path,
            format!(
                "the key from {} holds characters that a header can't carry",
                key.source
            ),
            "check it for stray characters",
        );
    }
    let any = !keys.is_empty();
    (keys::distinct(keys), any)
}

/// The keys that are written in the file itself.
fn written_keys(raw: &mut raw::ProviderSection, path: &str, report: &mut Report) -> Vec<KeyConfig> {
    let written = match (raw.api_keys.take(), raw.api_key.take()) {
        (Some(several), Some(_)) if !several.0.is_empty() => {
            report.warn(
                &format!("{path}.api_key"),
                "is not used: there are api_keys",
            );
            several.0
        }
        (several, one) => several
            .into_iter()
            .chain(one)
            .flat_map(|keys| keys.0)
            .collect(),
    };
    let key = |key: AccountKey| {
        let AccountKey {
            material,
            at,
            account,
        } = key;
        let variables = report.variables.get(&at).map(|names| names.join(", "));
        let place = report.place(&at);
        KeyConfig {
            material: Some(material),
            account,
            source: match variables {
                Some(variables) => format!("env {variables} through {place}"),
                None => format!("file {place}"),
            },
        }
    };
    written.into_iter().map(key).collect()
}
