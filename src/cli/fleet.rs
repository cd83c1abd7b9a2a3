//! `pointsman fleet`: who else is there with the same keys, and what they share.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::Value;

use super::admin::AdminClient;
use super::arguments::FleetArguments;
use super::exit::{CANNOT_BIND, NO, complain, say, say_json};
use super::shown::text;
use crate::app;

pub(super) fn run(arguments: FleetArguments) -> ExitCode {
    let asked = AdminClient::new(arguments.side).and_then(|client| client.get("/admin/v1/fleet"));
    let answer = match asked {
        Ok(answer) => answer,
        Err(error) => {
            complain(&app::chain(&error));
            return ExitCode::from(CANNOT_BIND);
        }
    };
    if arguments.json {
        say_json(&format!("{answer:#}\n"));
    } else {
        say(&table(&answer["fleet"]));
    }
    match answer["fleet"]["up"].as_bool() {
        Some(false) => ExitCode::from(NO),
        _ => ExitCode::SUCCESS,
    }
}

/// The answer for people.
fn table(fleet: &Value) -> String {
    if fleet.is_null() {
        return "this process belongs to no fleet: the configuration has no `fleet`\n".to_owned();
    }
    let mut out = String::new();
    let state = match fleet["up"].as_bool() {
        Some(true) => "up".to_owned(),
        _ => match fleet["trouble"].as_str() {
            Some(trouble) => format!("away: {trouble}"),
            None => "not reached yet".to_owned(),
        },
    };
    // Writing to a text never fails.
    let _ = writeln!(out, "fleet    {}", text(&fleet["name"]));
    let _ = writeln!(out, "server   {}, {state}", text(&fleet["server"]));
    if let Some(words) = fleet["without_scripts"].as_str() {
        let _ = writeln!(out, "         runs no scripts: {words}");
    }
    let lag = match fleet["lag_seconds"].as_f64() {
        Some(lag) => format!("{:.0} ms", lag * 1000.0),
        None => "nothing heard yet".to_owned(),
    };
    let _ = writeln!(out, "lag      {lag}");
    let count = |name: &str| fleet[name].as_u64().unwrap_or_default();
    let _ = writeln!(
        out,
        "facts    {} told, {} heard, {} not told yet, {} ignored",
        count("sent"),
        count("heard"),
        count("unsent"),
        count("ignored"),
    );
    let none = Vec::new();
    let nodes = fleet["nodes"].as_array().unwrap_or(&none);
    let _ = writeln!(out, "\n{} processes", nodes.len());
    for node in nodes {
        let own = match node["self"].as_bool() {
            Some(true) => "  (this one)",
            _ => "",
        };
        let _ = writeln!(out, "  {}{own}", text(&node["name"]));
    }
    shares(&mut out, fleet);
    let facts = fleet["facts"].as_array().unwrap_or(&none);
    let _ = writeln!(out, "\n{} shared", facts.len());
    for fact in facts {
        let whom = match (fact["key"].as_str(), fact["provider"].as_str()) {
            (Some(key), _) => key,
            (None, Some(provider)) => provider,
            (None, None) => "(not here)",
        };
        let model = fact["model"].as_str().unwrap_or("*");
        let left = match (fact["seconds_left"].as_f64(), fact["reason"].as_str()) {
            (Some(left), _) => format!("for {left:.0} s"),
            (None, Some("reported")) => "over".to_owned(),
            (None, word) => word.unwrap_or("over").to_owned(),
        };
        let (kind, node) = (text(&fact["kind"]), text(&fact["node"]));
        let _ = writeln!(out, "  {whom} {model}  {kind} {left}, says {node}");
    }
    out
}

/// What this process has of limits and budgets.
fn shares(out: &mut String, fleet: &Value) {
    let none = Vec::new();
    let limits = fleet["limits"].as_array().unwrap_or(&none);
    let budgets = fleet["budgets"].as_array().unwrap_or(&none);
    if limits.is_empty() && budgets.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{} limits, {} budgets", limits.len(), budgets.len());
    for limit in limits {
        let names = limit["names"].as_array().unwrap_or(&none).iter();
        let names: Vec<&str> = names.filter_map(Value::as_str).collect();
        let number = |name: &str| limit[name].as_u64().unwrap_or_default();
        let _ = writeln!(
            out,
            "  {} {}  {} of {}, {} used, {} processes",
            names.join(", "),
            text(&limit["limit"]),
            number("share"),
            number("whole"),
            number("used"),
            number("processes"),
        );
    }
    for budget in budgets {
        let name = match budget["name"].as_str() {
            None | Some("") => text(&budget["of"]),
            Some(name) => name.to_owned(),
        };
        let _ = write!(out, "  {name} per {}", text(&budget["every"]));
        if let Some(amount) = budget["amount"].as_str() {
            let _ = write!(out, "  {} of {amount} claimed,", text(&budget["claimed"]));
        }
        let _ = write!(out, "  {} spent", text(&budget["spent"]));
        if let Some(all) = budget["spent_by_all"].as_str() {
            let _ = write!(out, ", {all} by all");
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fleet_is_told() {
        let mut fleet = json!({
            "name": "prod", "node": "web-1.aa", "server": "redis://store:6379/0", "up": true, "trouble": null,
            "without_scripts": null, "lag_seconds": 0.012, "sent": 3, "heard": 4, "unsent": 0, "ignored": 1,
            "nodes": [{"name": "web-1.aa", "self": true}, {"name": "web-2.bb", "self": false}],
            "limits": [{"of": "key", "names": ["groq#1"], "limit": "rpm", "whole": 60, "share": 40, "used": 7, "processes": 2}],
            "budgets": [{
                "of": "client", "name": "ci", "every": "day", "amount": "5.000000", "claimed": "0.500000",
                "spent": "0.300000", "spent_by_all": "2.100000",
            }],
            "facts": [
                {"kind": "cooling", "key": "groq#1", "provider": "groq", "model": "m", "reason": "reported",
                 "node": "web-2.bb", "seconds_left": 41.6},
                {"kind": "invalid", "key": null, "provider": null, "model": null, "reason": "released",
                 "node": "web-1.aa", "seconds_left": null},
            ],
        });
        let expected = "\
fleet    prod
server   redis://store:6379/0, up
lag      12 ms
facts    3 told, 4 heard, 0 not told yet, 1 ignored

2 processes
  web-1.aa  (this one)
  web-2.bb

1 limits, 1 budgets
  groq#1 rpm  40 of 60, 7 used, 2 processes
  ci per day  0.500000 of 5.000000 claimed,  0.300000 spent, 2.100000 by all

2 shared
  groq#1 m  cooling for 42 s, says web-2.bb
  (not here) *  invalid released, says web-1.aa
";
        assert_eq!(table(&fleet), expected);
        fleet["up"] = json!(false);
        fleet["trouble"] = json!("it cannot be reached");
        assert!(table(&fleet).contains("6379/0, away: it cannot be reached\n"));
        assert!(table(&Value::Null).contains("no fleet"));
    }
}
