//! Added keys: what their references lead to, and where they stand among their provider's.

use crate::config::additions::{AddedKey, AdditionUse, KeyOrigin, PlacedAddition, SecretReference};
use crate::config::context::Context;
use crate::config::credentials;
use crate::config::error::Problem;
use crate::config::key_files;
use crate::config::keys;
use crate::config::mask;
use crate::config::read::Report;
use crate::config::resolved::{KeyConfig, ProviderConfig};
use crate::config::values::words;
use crate::domain::secret::ApiKey;

/// What has been reported of additions, as it may be shown.
pub(super) fn reported(report: &mut Report) -> Vec<Problem> {
    let shown = |text: &str| mask::masked(text, &[]).into_owned();
    let problems = std::mem::take(&mut report.problems).into_iter();
    let problems = problems.map(|problem| Problem {
        place: shown(&problem.place),
        message: shown(&problem.message),
        suggestion: problem.suggestion.as_deref().map(shown),
    });
    problems.collect()
}

fn problem(place: String, message: String) -> Problem {
    Problem {
        place,
        message,
        suggestion: None,
    }
}

/// What has become of a key.
fn placed(
    key: &AddedKey,
    used: AdditionUse,
    problems: Vec<Problem>,
    keys: Vec<usize>,
) -> PlacedAddition {
    PlacedAddition {
        provider: key.provider.clone(),
        number: Some(key.number),
        used,
        problems,
        keys,
    }
}

/// A key of an added provider; `made`: the provider, where it is used.
pub(super) fn of_key(
    key: &AddedKey,
    found: &FoundMaterial,
    made: Option<&ProviderConfig>,
) -> PlacedAddition {
    let Some(provider) = made else {
        let problems = match found {
            Ok(_) => vec![problem(
                place_of(key),
                "its provider is not used".to_owned(),
            )],
            Err(problems) => problems.clone(),
        };
        return placed(key, AdditionUse::Unusable, problems, Vec::new());
    };
    match found {
        Ok(_) => {
            let source = source_of(key);
            let numbers = provider.keys.iter().zip(1..);
            let numbers = numbers.filter(|(it, _)| it.source == source);
            let numbers: Vec<usize> = numbers.map(|(_, number)| number).collect();
            if numbers.is_empty() {
                return PlacedAddition::shadowed(
                    &key.provider,
                    Some(key.number),
                    "another one is the same key",
                );
            }
            placed(key, AdditionUse::Active, Vec::new(), numbers)
        }
        Err(problems) => placed(key, AdditionUse::Unusable, problems.clone(), Vec::new()),
    }
}

/// Where a key of a configuration says that it comes from.
pub(super) fn source_of(key: &AddedKey) -> String {
    format!("added as {} ({})", key.id(), key.shown())
}

fn place_of(key: &AddedKey) -> String {
    format!(
        "added key {} of {} ({})",
        key.id(),
        key.provider,
        key.shown()
    )
}

/// What a key's reference leads to: at least one, or why none.
pub(super) type FoundMaterial = Result<Vec<ApiKey>, Vec<Problem>>;

pub(super) fn materials<'k>(
    keys: &[&'k AddedKey],
    context: &Context<'_>,
    report: &mut Report,
) -> Vec<(&'k AddedKey, FoundMaterial)> {
    let found = keys.iter().map(|key| {
        let found = material(key, context, report);
        (*key, found.map_err(|why| vec![problem(place_of(key), why)]))
    });
    found.collect()
}

fn material(
    key: &AddedKey,
    context: &Context<'_>,
    report: &mut Report,
) -> Result<Vec<ApiKey>, String> {
    let keys: Vec<ApiKey> = match &key.origin {
        KeyOrigin::Literal(material) => vec![material.clone()],
        KeyOrigin::Reference(SecretReference::Env(name)) => {
            let value = context.env.get(name).map(String::as_str);
            words(value.unwrap_or_default()).map(ApiKey::new).collect()
        }
        KeyOrigin::Reference(SecretReference::File(path)) => {
            let full = context.dir.join(path);
            report.files.push(full.clone());
            let found =
                key_files::read(&full).map_err(|error| format!("can't be read: {error}"))?;
            let keys = found.told(report).into_iter();
            keys.filter_map(|key| key.material).collect()
        }
        KeyOrigin::Reference(SecretReference::Exec(_)) => {
            match context.added.printed.get(&key.number) {
                Some(printed) => printed.clone()?,
                None => return Err("its program is run by the process that serves".to_owned()),
            }
        }
    };
    if keys.is_empty() {
        return Err("no key is there".to_owned());
    }
    Ok(keys)
}

/// A key beside those that the configuration has for its provider, after these.
pub(super) fn attached(
    key: &AddedKey,
    provider: Option<&mut ProviderConfig>,
    context: &Context<'_>,
    report: &mut Report,
) -> PlacedAddition {
    let place = place_of(key);
    let unusable = |problems| placed(key, AdditionUse::Unusable, problems, Vec::new());
    let Some(provider) = provider else {
        let why = format!("the configuration has no provider `{}`", key.provider);
        return unusable(vec![problem(place, why)]);
    };
    let found = match material(key, context, report) {
        Ok(found) => found,
        Err(why) => return unusable(vec![problem(place, why)]),
    };
    let found = found.into_iter().map(|material| KeyConfig {
        account: None,
        material: Some(material),
        source: source_of(key),
    });
    let found = fitting(found.collect(), provider, &place, context, report);
    let problems = reported(report);
    if !problems.is_empty() {
        return unusable(problems);
    }
    let same = |new: &KeyConfig, there: &KeyConfig| there.material == new.material;
    let mut numbers = Vec::new();
    for new in found {
        if provider.keys.iter().any(|there| same(&new, there)) {
            continue;
        }
        // In place of what stands for no key.
        provider.keys.retain(|there| there.material.is_some());
        provider.keys.push(new);
        numbers.push(provider.keys.len());
    }
    if numbers.is_empty() {
        return PlacedAddition::shadowed(
            &key.provider,
            Some(key.number),
            "the provider has this key already",
        );
    }
    placed(key, AdditionUse::Active, Vec::new(), numbers)
}

/// Keys as calls to the provider need them; what is wrong goes into the report.
fn fitting(
    found: Vec<KeyConfig>,
    provider: &ProviderConfig,
    place: &str,
    context: &Context<'_>,
    report: &mut Report,
) -> Vec<KeyConfig> {
    let authorization = |name: &str| name.eq_ignore_ascii_case("authorization");
    if !provider.dialect.is_remote() {
        report.problem(
            place,
            "its provider is within this process and takes no key",
            "",
        );
    } else if provider.headers.iter().any(|(name, _)| authorization(name)) {
        report.problem(
            place,
            "its provider has an Authorization header of its own",
            "",
        );
    }
    match provider.auth.filter(|scheme| scheme.makes()) {
        Some(scheme) => credentials::settle(found, scheme, place, &context.dir, report),
        None => {
            if !found.iter().all(keys::sendable) {
                let message = "it holds characters that a header can't carry";
                report.problem(place, message, "one key per line, and nothing else");
            }
            keys::distinct(found)
        }
    }
}
