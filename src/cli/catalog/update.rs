//! `pointsman catalog update`: fetches lists for the next process.

use std::process::ExitCode;

use serde_json::json;

use super::common::{CatalogError, runtime};
use crate::app::{ListUpdate, update_lists};
use crate::cli::arguments::CatalogUpdate;
use crate::cli::exit::{NO, load, say, say_json};
use crate::domain::shown::plain;

/// What to write where there is nowhere to keep lists.
const NO_STATE: &str = "there is nowhere to keep lists: set catalog.state to a file";
/// What to write where there are no lists.
const NO_LISTS: &str =
    "the configuration names no list to fetch: set catalog.discover, or a url in catalog.sources";

pub(super) fn run(arguments: &CatalogUpdate) -> Result<ExitCode, CatalogError> {
    let config = load(&arguments.reading).map_err(CatalogError::Told)?;
    let path = config.catalog.state.clone();
    let path = path.ok_or_else(|| CatalogError::Missing(NO_STATE.to_owned()))?;
    let updating = update_lists(&config, path.clone(), arguments.all);
    let updates = runtime()?.block_on(updating);
    let updates = updates.map_err(|source| CatalogError::Write { path, source })?;
    if updates.is_empty() {
        return Err(CatalogError::Missing(NO_LISTS.to_owned()));
    }
    if arguments.reading.json {
        let lists = updates.iter().map(|update| {
            json!({
                "name": update.name,
                "fetched": update.is_fetched,
                "before": update.before,
                "now": update.now,
                "failure": update.failure,
            })
        });
        let lists: Vec<_> = lists.collect();
        say_json(&format!("{:#}\n", json!({"lists": lists})));
    } else {
        say(&updates.iter().map(line).collect::<String>());
    }
    let all = updates.iter().all(|update| update.failure.is_none());
    Ok(if all {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NO)
    })
}

fn line(update: &ListUpdate) -> String {
    let count =
        |models: Option<usize>| models.map_or_else(|| "none".to_owned(), |it| it.to_string());
    let (before, now) = (count(update.before), count(update.now));
    let what = match (&update.failure, update.is_fetched) {
        (Some(failure), _) => format!("not taken, {before} models stay: {failure}"),
        (None, false) => format!("not due, {before} models"),
        (None, true) => format!("{before} models before, {now} now"),
    };
    format!("{}: {}\n", plain(&update.name, false), plain(&what, false))
}
