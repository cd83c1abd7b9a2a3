//! Programs that print keys which were added (`exec:`), run with each reload.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use futures_util::future::{self, BoxFuture, join_all};

use super::reader::ConfigReader;
use crate::config::{
    AdditionRules, Additions, KeyOrigin, LoadedAdditions, SecretReference, printed_keys,
};
use crate::domain::secret::ApiKey;
use crate::runtime::program;

/// What each printed, by the number of its key; or why it printed nothing.
pub(super) type Printed = BTreeMap<u64, Result<Vec<ApiKey>, String>>;

/// What they are going to have printed.
pub(super) type Printing = BoxFuture<'static, Printed>;

/// Runs all of them once more. What they print comes later, beside whatever else goes on: each may take as long as a program may.
/// Of one that fails, what it printed before goes on to be used: a helper that is away for a moment takes no key out of service.
pub(super) fn again(added: &LoadedAdditions, read: &ConfigReader) -> Printing {
    let is_program =
        |origin: &KeyOrigin| matches!(origin, KeyOrigin::Reference(SecretReference::Exec(_)));
    let mut keys = added.additions.keys().iter();
    if !keys.any(|key| is_program(&key.origin)) {
        return future::ready(Printed::new()).boxed();
    }
    // What may be run is for the configuration that is there now to say; with mistakes nothing is run.
    let Ok(config) = read(added) else {
        return future::ready(Printed::new()).boxed();
    };
    let (added, rules) = (added.clone(), config.server.additions);
    async move { all(&added.additions, &rules, &added.printed).await }.boxed()
}

/// What was added, with what programs have printed since. What was taken away meanwhile stays away.
pub(super) fn with_printed(added: &LoadedAdditions, printed: Printed) -> LoadedAdditions {
    let mut added = added.clone();
    let numbers: BTreeSet<u64> = added
        .additions
        .keys()
        .iter()
        .map(|key| key.number)
        .collect();
    let there = printed
        .into_iter()
        .filter(|(number, _)| numbers.contains(number));
    added.printed.extend(there);
    added
}

/// What all programs print, at the same time. `before`: what they printed last.
pub(super) async fn all(additions: &Additions, rules: &AdditionRules, before: &Printed) -> Printed {
    let programs = additions.keys().iter().filter_map(|key| match &key.origin {
        KeyOrigin::Reference(SecretReference::Exec(words)) => Some((key, words)),
        _ => None,
    });
    let running = programs.map(async |(key, words)| {
        if !rules.runs(words) {
            let why = "its program may not be run: name it in additions.exec";
            return (key.number, Err(why.to_owned()));
        }
        let printed = match (program::printed(words).await, before.get(&key.number)) {
            (Ok(text), _) => Ok(printed_keys(&text)),
            (Err(error), Some(Ok(known))) => {
                let (key, provider) = (key.id(), &key.provider);
                tracing::warn!(%error, key, %provider, "an added key stays as it was");
                Ok(known.clone())
            }
            (Err(error), _) => Err(error.to_string()),
        };
        (key.number, printed)
    });
    join_all(running).await.into_iter().collect()
}
