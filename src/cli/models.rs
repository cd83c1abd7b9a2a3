//! `pointsman models`: what is known of the models of a configuration, and why they are offered or not.

mod debug;
mod rows;
mod table;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::runtime::Builder;

use self::rows::ModelRow;
use super::arguments::Models;
use super::exit::{USAGE, complain, load, say, say_json, start};
use crate::app;
use crate::config::{Config, FetchedLists};
use crate::domain::catalog::capability::Capability;

/// So many models are shown where nothing else is said.
const LIMIT: usize = 20;

pub(super) fn run(arguments: &Models) -> ExitCode {
    let wanted = match capabilities(&arguments.has) {
        Ok(wanted) => wanted,
        Err(word) => {
            let all = Capability::ALL.map(Capability::name).join(", ");
            complain(&format!("--has: `{word}` is none of {all}"));
            return ExitCode::from(USAGE);
        }
    };
    let config = match load(&arguments.reading) {
        Ok(config) => config,
        Err(code) => return code,
    };
    if let Some(name) = &arguments.provider
        && !config.providers.iter().any(|it| it.name.as_str() == name)
    {
        complain(&format!("--provider: no provider is called `{name}`"));
        return ExitCode::from(USAGE);
    }
    let runtime = match start(Builder::new_current_thread()) {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    let fetching = app::current_lists(&config, !arguments.offline);
    let (fetched, failures) = runtime.block_on(fetching);
    let config = config.with_lists(&fetched);
    for failure in &failures {
        complain(failure);
    }
    show(arguments, &config, &fetched, &wanted, &failures);
    ExitCode::SUCCESS
}

/// Prints the models that fit, and why others are not offered if that is asked for.
fn show(
    arguments: &Models,
    config: &Config,
    fetched: &FetchedLists,
    wanted: &[Capability],
    failures: &[String],
) {
    let rows = rows::of(config);
    let total = rows.len();
    let shown = rows.into_iter().filter(|row| {
        let provider = arguments.provider.as_deref();
        let is_there = provider.is_none_or(|name| row.upstream.provider.as_str() == name);
        let paid_too = arguments.include_paid || !config.catalog.free_only;
        let can = |capability: &Capability| row.facts.can(*capability) == Some(true);
        is_there
            && (!arguments.free || row.facts.free)
            && (paid_too || row.listed || row.facts.free)
            && wanted.iter().all(can)
    });
    let shown: Vec<ModelRow> = shown.collect();
    let usual = match arguments.full || arguments.reading.json {
        true => shown.len(),
        false => LIMIT,
    };
    let limit = arguments.limit.unwrap_or(usual);
    let first = shown.get(..limit).unwrap_or(&shown);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    let lists = config.lists(fetched);
    if arguments.reading.json {
        let models: Vec<_> = first.iter().map(|row| row.to_json(now)).collect();
        let mut told = json!({"models": models, "matching": shown.len(), "total": total, "failures": failures});
        if arguments.debug {
            told["debug"] = debug::to_json(config, &lists, now);
        }
        say_json(&format!("{told:#}\n"));
        return;
    }
    let mut out = table::table(first, arguments.full, now);
    let rest = shown.len() - first.len();
    if rest > 0 {
        out.push_str(&format!("{rest} more: --full or --limit N shows them\n"));
    }
    if arguments.debug {
        out.push('\n');
        out.push_str(&debug::text(config, &lists, now));
    }
    say(&out);
}

/// The capabilities of these names, or the name that is none.
fn capabilities(words: &[String]) -> Result<Vec<Capability>, &str> {
    let found = words.iter().map(|word| {
        let mut all = Capability::ALL.into_iter();
        let found = all.find(|known| known.name() == word.trim());
        found.ok_or(word.as_str())
    });
    found.collect()
}
