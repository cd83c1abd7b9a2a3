//! The clients as `pointsman check` prints them: names, limits and targets, never tokens.

use std::fmt::{self, Write};

use serde_json::{Value, json};

use crate::config::{ClientConfig, Config};
use crate::domain::client::Priority;

/// Writes the clients as text.
pub(super) fn write(config: &Config, out: &mut String) -> fmt::Result {
    if config.clients.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nclients")?;
    let names = config.clients.iter().map(|client| &client.policy.name);
    let width = names.map(|name| name.chars().count()).max().unwrap_or(0);
    for client in &config.clients {
        let name = &client.policy.name;
        writeln!(out, "  {name:<width$}  {}", described(client))?;
    }
    Ok(())
}

fn described(client: &ClientConfig) -> String {
    let policy = &client.policy;
    let limits = &policy.limits;
    let tokens = match client.tokens.len() {
        1 => "1 token".to_owned(),
        n => format!("{n} tokens"),
    };
    let targets = match policy.allow.patterns() {
        None => "all targets".to_owned(),
        Some([]) => "no targets".to_owned(),
        Some(patterns) => patterns.join(", "),
    };
    let parts = [
        Some(tokens),
        Some(targets),
        limits.rpm.map(|count| format!("{count} requests a minute")),
        limits.tpm.map(|count| format!("{count} tokens a minute")),
        limits
            .max_in_flight
            .map(|count| format!("{count} at the same time")),
        (policy.priority != Priority::Normal)
            .then(|| format!("{} priority", policy.priority.as_str())),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// The clients as JSON.
pub(super) fn to_json(config: &Config) -> Value {
    let clients = config.clients.iter().map(|client| {
        let policy = &client.policy;
        json!({
            "name": *policy.name,
            "tokens": client.tokens.len(),
            "allow": policy.allow.patterns(),
            "priority": policy.priority.as_str(),
            "limits": {
                "rpm": policy.limits.rpm,
                "tpm": policy.limits.tpm,
                "max_in_flight": policy.limits.max_in_flight,
            },
        })
    });
    clients.collect()
}
