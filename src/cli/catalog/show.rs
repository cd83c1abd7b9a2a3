//! `pointsman catalog show`: the lists of a configuration, or what each of them says of a model. Nothing is fetched.

use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};

use super::common::{CatalogError, now, runtime};
use crate::app::current_lists;
use crate::cli::arguments::CatalogShow;
use crate::cli::exit::{NO, load, say, say_json};
use crate::cli::shown::span;
use crate::config::{Config, FetchedLists, ListKey, ListPlace, shown_url};
use crate::domain::catalog::diff::stated;
use crate::domain::catalog::entry::{Entry, ModelList};
use crate::domain::shown::plain;

pub(super) fn run(arguments: &CatalogShow) -> Result<ExitCode, CatalogError> {
    let config = load(&arguments.reading).map_err(CatalogError::Told)?;
    let (kept, _) = runtime()?.block_on(current_lists(&config, false));
    let lists = config.lists(&kept);
    let now = now();
    if arguments.models.is_empty() {
        let absent = absent(&config, &kept);
        if arguments.reading.json {
            let lists: Vec<Value> = lists.iter().map(|list| list_json(list, now)).collect();
            let told = json!({"lists": lists, "not_fetched": absent});
            say_json(&format!("{told:#}\n"));
        } else {
            say(&table(&lists, &absent, now));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let said: Vec<_> = arguments
        .models
        .iter()
        .map(|model| (model, sayings(&lists, model, now)))
        .collect();
    if arguments.reading.json {
        let models = said.iter().map(|(model, said)| {
            let said = said.iter().map(|saying| {
                let facts = saying.facts.iter();
                let facts = facts.map(|(name, fact)| ((*name).to_owned(), json!(fact)));
                json!({
                    "list": saying.list,
                    "provider": saying.provider,
                    "facts": facts.collect::<serde_json::Map<_, _>>(),
                })
            });
            json!({"model": model, "said": said.collect::<Vec<_>>()})
        });
        let models: Vec<Value> = models.collect();
        say_json(&format!("{:#}\n", json!({"models": models})));
    } else {
        for (model, said) in &said {
            say(&told(model, said));
        }
    }
    let all = said.iter().all(|(_, said)| !said.is_empty());
    Ok(if all {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NO)
    })
}

/// Lists that the configuration names and that are not there.
fn absent(config: &Config, kept: &FetchedLists) -> Vec<String> {
    let own = config.providers.iter().filter(|it| it.discover.is_some());
    let own = own.map(|it| (it.name.to_string(), ListKey::Provider(it.name.clone())));
    let urls = config.catalog.sources.iter().filter_map(|source| {
        let ListPlace::Url(url) = &source.place else {
            return None;
        };
        Some((shown_url(url).to_owned(), ListKey::Url(url.clone())))
    });
    let missing = own.chain(urls).filter(|(_, key)| !kept.contains_key(key));
    missing.map(|(name, _)| name).collect()
}

fn list_json(list: &Arc<ModelList>, now: u64) -> Value {
    json!({
        "name": list.origin.name,
        "provider": list.of,
        "models": list.entries.len(),
        "priced": priced(list),
        "index_models": list.groups.len(),
        "age_seconds": list.origin.age(now),
        "warnings": list.notes.warnings,
        "more_warnings": list.notes.more_warnings,
        "unknown_keys": list.notes.unknown_keys,
    })
}

fn priced(list: &ModelList) -> usize {
    let priced = |entry: &&Entry| entry.sheet.is_some() || entry.free;
    list.entries.iter().filter(priced).count()
}

fn table(lists: &[Arc<ModelList>], absent: &[String], now: u64) -> String {
    let mut out = String::new();
    if lists.is_empty() && absent.is_empty() {
        out.push_str("the configuration names no list\n");
    }
    if !lists.is_empty() {
        let names = lists.iter().map(|list| list.origin.name.chars().count());
        let width = names.max().unwrap_or_default().max(4);
        out.push_str(&format!(
            "{:width$}  {:>7}  {:>7}  {:>7}  {:>8}  {:>8}\n",
            "LIST", "MODELS", "PRICED", "INDEX", "AGE", "WARNINGS"
        ));
        for list in lists {
            let age = list.origin.age(now).and_then(|age| u32::try_from(age).ok());
            let age = age.map_or_else(|| "-".to_owned(), |age| span(f64::from(age)));
            let warnings = u64::try_from(list.notes.warnings.len()).unwrap_or(u64::MAX);
            let warnings = warnings.saturating_add(list.notes.more_warnings);
            out.push_str(&format!(
                "{:width$}  {:>7}  {:>7}  {:>7}  {age:>8}  {warnings:>8}\n",
                plain(&list.origin.name, false),
                list.entries.len(),
                priced(list),
                list.groups.len(),
            ));
        }
        for list in lists {
            for warning in &list.notes.warnings {
                let name = plain(&list.origin.name, false);
                out.push_str(&format!("{name}: {}\n", plain(warning, false)));
            }
        }
    }
    for name in absent {
        let name = plain(name, false);
        out.push_str(&format!(
            "{name}: not fetched yet; `pointsman catalog update` does\n"
        ));
    }
    out
}

/// What one list says of one model.
struct ModelSaying {
    list: String,
    provider: Option<String>,
    facts: Vec<(&'static str, String)>,
}

/// What all lists say of the models with this id, or of which it is an alias.
fn sayings(lists: &[Arc<ModelList>], model: &str, now: u64) -> Vec<ModelSaying> {
    let unix = i64::try_from(now).unwrap_or(i64::MAX);
    let mut all = Vec::new();
    for list in lists {
        let means = |entry: &&Entry| {
            &*entry.id == model || entry.aliases.iter().any(|alias| &**alias == model)
        };
        for entry in list.entries.iter().filter(means) {
            let provider = entry.provider.as_ref().or(list.of.as_ref());
            all.push(ModelSaying {
                list: list.origin.name.to_string(),
                provider: provider.map(ToString::to_string),
                facts: stated(entry, unix),
            });
        }
    }
    all
}

fn told(model: &str, said: &[ModelSaying]) -> String {
    let mut out = format!("{}\n", plain(model, false));
    if said.is_empty() {
        out.push_str("  no list has it\n");
    }
    for saying in said {
        let facts = saying.facts.iter();
        let facts = facts.map(|(name, fact)| format!("{name} {}", plain(fact, false)));
        let provider = saying.provider.as_deref().unwrap_or_default();
        out.push_str(&format!(
            "  {}, {}: {}\n",
            plain(&saying.list, false),
            plain(provider, false),
            facts.collect::<Vec<_>>().join(", ")
        ));
    }
    out
}
