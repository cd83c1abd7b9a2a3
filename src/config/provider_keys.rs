//! The keys of one provider: those of the file, of its variables and of its files.

use super::account_keys::AccountKey;
use super::catalog::BuiltIn;
use super::context::Context;
use super::keys;
use super::raw;
use super::read::Report;
use super::resolved::KeyConfig;

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
        if found.is_empty() && report.problems.len() == before && !raw.is_optional() {
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

impl raw::ProviderSection {
    /// Whether it is one of many from which models are taken, as in LLM Gateway's `meta-providers.yaml`: one without a key is
    /// left out there, and is no mistake.
    pub(super) fn is_optional(&self) -> bool {
        self.discover.is_some() && self.base_priority.is_some()
    }
}

/// A provider that may be without a key is left out.
pub(super) fn left_out(
    name: &str,
    entry: Option<&'static BuiltIn>,
    path: &str,
    report: &mut Report,
) {
    let hint = entry.map_or_else(String::new, |entry| format!("; set {}", entry.wanted()));
    report.warn(path, format!("{name} is left out: no key{hint}"));
}

/// There is no key for a provider that needs one. A built-in one that may be left out is returned. `entry`: it is called
/// where the catalogue says.
pub(super) fn no_key(
    name: &str,
    entry: Option<&'static BuiltIn>,
    local: bool,
    path: &str,
    report: &mut Report,
) -> Option<&'static BuiltIn> {
    match entry {
        Some(entry) if report.lenient => {
            let text = format!("{name} is left out: no key; set {}", entry.wanted());
            report.warn(path, text);
            return Some(entry);
        }
        Some(entry) => {
            let message = format!("provider {name} has no key");
            let suggestion = format!("set {}, or remove the provider", entry.wanted());
            let suggestion = report.missing(&suggestion);
            report.problem(path, message, &suggestion);
        }
        None if local => {}
        None => {
            let text = format!("{name} has no key: it is called without an Authorization header");
            report.warn(path, text);
        }
    }
    None
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
