//! What was added to a process that serves, as its state file has it, and which comes first.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::config::{Additions, Config, KeyOrigin, PlacedAddition, SecretReference};

pub(super) fn write(config: &Config, additions: &Additions, out: &mut String) -> std::fmt::Result {
    if config.additions.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\nadded while running (what the configuration says comes first)"
    )?;
    for placed in &config.additions {
        let name = match placed.number {
            Some(number) => format!("{} key a{number}", placed.provider),
            None => placed.provider.to_string(),
        };
        let reference = reference(additions, placed).unwrap_or_default();
        let title = format!("  {name}  {reference}");
        writeln!(out, "{}  {}", title.trim_end(), state(additions, placed))?;
        for problem in problems(additions, placed) {
            writeln!(out, "    {problem}")?;
        }
    }
    Ok(())
}

pub(super) fn to_json(config: &Config, additions: &Additions) -> Value {
    let all = config.additions.iter().map(|placed| {
        json!({
            "provider": placed.provider.as_str(),
            "id": placed.number.map(|number| format!("a{number}")),
            "reference": reference(additions, placed),
            "state": state(additions, placed),
            "problems": problems(additions, placed),
        })
    });
    all.collect()
}

fn reference(additions: &Additions, placed: &PlacedAddition) -> Option<String> {
    let key = additions.key(&placed.provider, placed.number?)?;
    Some(key.shown())
}

/// Programs are not run for a check.
fn is_open(additions: &Additions, placed: &PlacedAddition) -> bool {
    let key = placed
        .number
        .and_then(|number| additions.key(&placed.provider, number));
    let program =
        key.is_some_and(|key| matches!(key.origin, KeyOrigin::Reference(SecretReference::Exec(_))));
    program && placed.used == crate::config::AdditionUse::Unusable
}

fn state(additions: &Additions, placed: &PlacedAddition) -> &'static str {
    if is_open(additions, placed) {
        return "not tried";
    }
    placed.used.as_str()
}

fn problems(additions: &Additions, placed: &PlacedAddition) -> Vec<String> {
    if is_open(additions, placed) {
        return vec!["its program is run by the process that serves, not here".to_owned()];
    }
    placed.problems.iter().map(ToString::to_string).collect()
}
