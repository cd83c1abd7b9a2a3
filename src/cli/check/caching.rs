//! What is kept of answers as `pointsman check` prints it: where, for how long, for whom.

use std::fmt::{self, Write};

use serde_json::{Value, json};

use crate::cli::shown::size;
use crate::config::{Config, show_duration};
use crate::domain::caching::{CachePolicy, CacheScope, CacheTable};

/// Writes it as text; nothing where nothing is kept and nothing shared.
pub(super) fn write(config: &Config, out: &mut String) -> fmt::Result {
    let table = &config.cache;
    if table.keeps() {
        let store = table.store.as_str();
        writeln!(
            out,
            "\ncache       {store}, up to {} in this process{}",
            size(&json!(table.max_size)),
            server(config)
        )?;
        let places = places(table);
        let width = places.iter().map(|(place, _)| place.chars().count()).max();
        let width = width.unwrap_or(0);
        for (place, policy) in places {
            writeln!(out, "  {place:<width$}  {}", described(policy))?;
        }
    }
    match table.coalesce {
        true => writeln!(
            out,
            "\ncoalesce    equal requests at the same time are one call"
        ),
        false => Ok(()),
    }
}

/// The same for programs; null where nothing is kept.
pub(super) fn to_json(config: &Config) -> Value {
    let table = &config.cache;
    if !table.keeps() {
        return Value::Null;
    }
    let places = places(table).into_iter();
    let places: Vec<Value> = places
        .map(|(place, policy)| {
            json!({
                "place": place,
                "enabled": policy.enabled,
                "ttl": show_duration(policy.ttl),
                "max_entry": policy.max_entry,
                "when": policy.when.as_str(),
                "scope": scope(policy),
                "stale_if_error": show_duration(policy.stale_if_error),
            })
        })
        .collect();
    let server = config.cache_server.as_ref();
    json!({
        "store": table.store.as_str(),
        "max_size": table.max_size,
        "server": server.map(|server| server.server.to_string()),
        "encrypted": server.is_some_and(|server| server.key.is_some()),
        "places": places,
    })
}

fn server(config: &Config) -> String {
    let Some(server) = &config.cache_server else {
        return String::new();
    };
    let how = match server.key {
        Some(_) => ", encrypted",
        None => "",
    };
    format!(", and {}{how}", server.server)
}

/// Every place where something is said, the outermost first.
fn places(table: &CacheTable) -> Vec<(String, &CachePolicy)> {
    let virtuals = table.virtuals.iter();
    let virtuals = virtuals.map(|(name, policy)| (name.clone(), policy));
    let providers = table.providers.iter();
    let providers = providers.map(|(name, policy)| (format!("{name}:*"), policy));
    [("all targets".to_owned(), &table.usual)]
        .into_iter()
        .chain(virtuals)
        .chain(providers)
        .collect()
}

fn described(policy: &CachePolicy) -> String {
    if !policy.enabled {
        return "off".to_owned();
    }
    let mut parts = vec![
        format!("ttl {}", show_duration(policy.ttl)),
        policy.when.as_str().to_owned(),
        format!("scope {}", scope(policy)),
        format!("entries up to {}", size(&json!(policy.max_entry))),
    ];
    if !policy.stale_if_error.is_zero() {
        let stale = show_duration(policy.stale_if_error);
        parts.push(format!("{stale} longer where no upstream can"));
    }
    parts.join(", ")
}

fn scope(policy: &CachePolicy) -> &str {
    match &policy.scope {
        CacheScope::Client => "client",
        CacheScope::Shared => "shared",
        CacheScope::Label(label) => label,
    }
}
