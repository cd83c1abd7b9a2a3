//! `pointsman catalog diff`: what has changed in lists of models.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::common::{CatalogError, list_in, now, runtime};
use crate::app::current_lists;
use crate::cli::arguments::CatalogDiff;
use crate::cli::exit::{NO, complain, load, say, say_json};
use crate::domain::catalog::diff::{EntryChange, ModelChange, changes};
use crate::domain::shown::plain;

/// The changes of one list.
struct ListChanges {
    name: String,
    changes: Vec<ModelChange>,
}

pub(super) fn run(arguments: &CatalogDiff) -> Result<ExitCode, CatalogError> {
    let unix = i64::try_from(now()).unwrap_or(i64::MAX);
    let (all, failures) = match (&arguments.before, &arguments.after) {
        (Some(before), Some(after)) => {
            let (old, new) = (list_in(before)?, list_in(after)?);
            let name = format!("{} -> {}", before.display(), after.display());
            let changes = changes(&old.entries, &new.entries, unix);
            (vec![ListChanges { name, changes }], Vec::new())
        }
        _ => of_now(arguments, unix)?,
    };
    for failure in &failures {
        complain(failure);
    }
    if arguments.reading.json {
        let lists: Vec<Value> = all.iter().map(to_json).collect();
        let told = json!({"lists": lists, "failures": failures});
        say_json(&format!("{told:#}\n"));
    } else {
        say(&all.iter().map(text).collect::<String>());
    }
    let same = all.iter().all(|list| list.changes.is_empty());
    Ok(match same && failures.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(NO),
    })
}

/// From the lists that are kept to those that are fetched now.
fn of_now(
    arguments: &CatalogDiff,
    unix: i64,
) -> Result<(Vec<ListChanges>, Vec<String>), CatalogError> {
    let config = load(&arguments.reading).map_err(CatalogError::Told)?;
    let runtime = runtime()?;
    let (kept, _) = runtime.block_on(current_lists(&config, false));
    let mut fresh = config;
    // Without what is kept all of them are due.
    fresh.catalog.state = None;
    let (fetched, failures) = runtime.block_on(current_lists(&fresh, true));
    let of = fetched.iter().map(|(key, list)| {
        let before = kept.get(key).map(|list| list.entries.as_slice());
        ListChanges {
            name: list.origin.name.to_string(),
            changes: changes(before.unwrap_or_default(), &list.entries, unix),
        }
    });
    Ok((of.collect(), failures))
}

/// How many models came, went and changed.
fn counts(list: &ListChanges) -> [usize; 3] {
    let count = |fits: fn(&EntryChange) -> bool| {
        let fitting = list.changes.iter().filter(|it| fits(&it.change));
        fitting.count()
    };
    [
        count(|change| *change == EntryChange::Added),
        count(|change| *change == EntryChange::Removed),
        count(|change| matches!(change, EntryChange::Changed(_))),
    ]
}

fn named(change: &ModelChange) -> String {
    let mark = if change.provider.is_empty() { "" } else { ":" };
    let name = format!("{}{mark}{}", change.provider, change.model);
    plain(&name, false).into_owned()
}

fn text(list: &ListChanges) -> String {
    let [added, removed, changed] = counts(list);
    let name = plain(&list.name, false);
    let mut out = format!("{name}: {added} added, {removed} removed, {changed} changed\n");
    for change in &list.changes {
        let name = named(change);
        out.push_str(&match &change.change {
            EntryChange::Added => format!("  + {name}\n"),
            EntryChange::Removed => format!("  - {name}\n"),
            EntryChange::Changed(facts) => {
                let or_nothing = |text: &str| match text {
                    "" => "unknown".to_owned(),
                    text => plain(text, false).into_owned(),
                };
                let facts = facts.iter().map(|fact| {
                    let (before, after) = (or_nothing(&fact.before), or_nothing(&fact.after));
                    format!("{} {before} -> {after}", fact.fact)
                });
                format!("  ~ {name}: {}\n", facts.collect::<Vec<_>>().join(", "))
            }
        });
    }
    out
}

fn to_json(list: &ListChanges) -> Value {
    let [added, removed, changed] = counts(list);
    let models = list.changes.iter().map(|change| {
        let (kind, facts) = match &change.change {
            EntryChange::Added => ("added", Vec::new()),
            EntryChange::Removed => ("removed", Vec::new()),
            EntryChange::Changed(facts) => {
                let facts = facts.iter().map(
                    |fact| json!({"fact": fact.fact, "before": fact.before, "after": fact.after}),
                );
                ("changed", facts.collect())
            }
        };
        json!({"provider": change.provider, "model": change.model, "change": kind, "facts": facts})
    });
    json!({
        "list": list.name,
        "added": added,
        "removed": removed,
        "changed": changed,
        "models": models.collect::<Vec<_>>(),
    })
}
