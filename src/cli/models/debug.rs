//! Why models are offered or not: the providers that an index needs, their keys, and what each of them has.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};

use super::table::age;
use crate::config::{Config, wanted_variables};
use crate::domain::catalog::coverage::{Coverage, TypeCoverage};
use crate::domain::catalog::entry::ModelList;
use crate::domain::shown::plain;

/// Where the keys of each provider come from, without the keys.
fn environment(config: &Config) -> Vec<(&str, Vec<&str>)> {
    let providers = config.providers.iter().map(|provider| {
        let keys = provider.keys.iter().filter(|key| key.material.is_some());
        let sources = keys.map(|key| key.source.as_str()).collect();
        (provider.name.as_str(), sources)
    });
    providers.collect()
}

/// What a type lacks to be there: no provider of it is configured.
fn missing(known: &TypeCoverage) -> Option<String> {
    known.providers.is_empty().then(|| {
        wanted_variables(&known.kind).map_or_else(
            || "no such provider is configured".to_owned(),
            |wanted| format!("no such provider is configured: set {wanted}"),
        )
    })
}

/// Everything for machines.
pub(super) fn to_json(config: &Config, lists: &[Arc<ModelList>], now: u64) -> Value {
    let Coverage {
        models,
        types,
        common,
    } = config.coverage(lists);
    let types = types.iter().map(|known| {
        let providers: Vec<&str> = known.providers.iter().map(|name| name.as_str()).collect();
        json!({
            "type": known.kind,
            "required": known.required,
            "providers": providers,
            "models": known.models,
            "missing": missing(known),
        })
    });
    let environment = environment(config)
        .into_iter()
        .map(|(provider, sources)| json!({"provider": provider, "keys": sources}));
    let lists = lists.iter().map(|list| {
        json!({
            "name": list.origin.name,
            "provider": list.of,
            "age_seconds": list.origin.age(now),
            "models": list.entries.len(),
            "index_models": list.groups.len(),
            "warnings": list.notes.warnings,
            "more_warnings": list.notes.more_warnings,
            "unknown_keys": list.notes.unknown_keys,
            "lost_prices": list.notes.lost,
        })
    });
    let left_out = config.offer.left_out.iter().map(ToString::to_string);
    json!({
        "required": config.catalog.required,
        "free_only": config.catalog.free_only,
        "environment": environment.collect::<Vec<_>>(),
        "index_models": models,
        "coverage": types.collect::<Vec<_>>(),
        "common": common,
        "left_out": left_out.collect::<Vec<_>>(),
        "lists": lists.collect::<Vec<_>>(),
    })
}

/// The same for people.
pub(super) fn text(config: &Config, lists: &[Arc<ModelList>], now: u64) -> String {
    let mut out = String::new();
    // Writing to a text never fails.
    let _ = write(&mut out, config, lists, now);
    plain(&out, true).into_owned()
}

fn write(
    out: &mut String,
    config: &Config,
    lists: &[Arc<ModelList>],
    now: u64,
) -> std::fmt::Result {
    let required = config.catalog.required.join(", ");
    let required = if required.is_empty() {
        "none"
    } else {
        &required
    };
    writeln!(out, "required    {required}")?;
    if config.catalog.free_only {
        writeln!(out, "free only   yes")?;
    }
    writeln!(out, "\nkeys")?;
    for (provider, sources) in environment(config) {
        let sources = if sources.is_empty() {
            "none".to_owned()
        } else {
            sources.join(", ")
        };
        writeln!(out, "  {provider}  {sources}")?;
    }
    write_index(out, &config.coverage(lists))?;
    if !config.offer.left_out.is_empty() {
        writeln!(out, "\nleft out")?;
        for left_out in &config.offer.left_out {
            writeln!(out, "  - {left_out}")?;
        }
    }
    write_lists(out, lists, now)
}

/// What each type of provider has of an index.
fn write_index(out: &mut String, coverage: &Coverage) -> std::fmt::Result {
    if coverage.models > 0 {
        writeln!(out, "\nindex       {} models", coverage.models)?;
        for known in &coverage.types {
            let required = if known.required { ", required" } else { "" };
            let providers: Vec<&str> = known.providers.iter().map(|name| name.as_str()).collect();
            let there = missing(known).unwrap_or_else(|| providers.join(", "));
            writeln!(
                out,
                "  {}  {} of {}{required}  ({there})",
                known.kind, known.models, coverage.models
            )?;
        }
        writeln!(
            out,
            "  common: {}",
            match coverage.common.is_empty() {
                true => "none".to_owned(),
                false => coverage.common.join(", "),
            }
        )?;
    }
    Ok(())
}

/// What of each list could not be taken.
fn write_lists(out: &mut String, lists: &[Arc<ModelList>], now: u64) -> std::fmt::Result {
    writeln!(out, "\nlists")?;
    if lists.is_empty() {
        writeln!(out, "  none")?;
    }
    for list in lists {
        let age = age(&list.origin, now).map_or_else(String::new, |age| format!(", {age}"));
        writeln!(
            out,
            "  {}  {} models{age}",
            list.origin.name,
            list.entries.len()
        )?;
        let notes = &list.notes;
        let warnings = u64::try_from(notes.warnings.len()).unwrap_or(0) + notes.more_warnings;
        if warnings > 0 {
            writeln!(
                out,
                "    {warnings} warnings, such as {}",
                notes
                    .warnings
                    .join("; ")
                    .chars()
                    .take(200)
                    .collect::<String>()
            )?;
        }
        if notes.unknown_keys > 0 {
            writeln!(out, "    {} fields are not known here", notes.unknown_keys)?;
        }
        for (key, count) in &notes.lost {
            writeln!(out, "    no place for {key} ({count})")?;
        }
    }
    Ok(())
}
