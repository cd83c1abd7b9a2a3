//! `pointsman explain`: where a request would go right now, in order, and why not elsewhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::admin::{AdminClient, AdminError};
use super::arguments::Explain;
use super::exit::{CANNOT_BIND, complain, say, say_json};
use super::shown::{items, span, text};
use crate::app;
use crate::wire::stamp::rfc3339_of;

/// It would be refused.
const REFUSED: u8 = 1;
/// It would have to wait.
const WAITS: u8 = 3;

pub(super) fn run(arguments: Box<Explain>) -> ExitCode {
    let as_json = arguments.json;
    let explained = match ask(*arguments) {
        Ok(explained) => explained,
        Err(error) => {
            complain(&app::chain(&error));
            return ExitCode::from(CANNOT_BIND);
        }
    };
    if as_json {
        say_json(&format!("{explained:#}\n"));
    } else {
        say(&table(&explained));
    }
    match explained["answer"].as_str() {
        Some("goes_now") => ExitCode::SUCCESS,
        Some("waits") => ExitCode::from(WAITS),
        _ => ExitCode::from(REFUSED),
    }
}

fn ask(arguments: Explain) -> Result<Value, AdminError> {
    let question = json!({
        "target": arguments.target,
        "tokens": arguments.tokens,
        "output_tokens": arguments.output_tokens,
        "client": arguments.client,
        "stream": arguments.stream,
        "temperature": arguments.temperature,
        "at": arguments.at,
        "has": arguments.has,
        "headers": arguments.headers.into_iter().collect::<BTreeMap<_, _>>(),
        "session": arguments.session,
        "seed": arguments.seed,
        "hints": arguments.hints,
    });
    let client = AdminClient::new(arguments.side)?;
    client.post("/admin/v1/explain", &question)
}

/// The answer for people.
fn table(explained: &Value) -> String {
    let mut out = String::new();
    let target = text(&explained["target"]);
    let detail = text(&explained["detail"]);
    let answer = match explained["answer"].as_str() {
        Some("refused") => {
            let code = text(&explained["code"]);
            let status = &explained["status"];
            let again = explained["retry_after_ms"].as_f64();
            let again = again.map_or_else(String::new, |millis| {
                format!(", retry after {}", span(millis / 1000.0))
            });
            format!("refused: {status} {code}{again}\n  {detail}")
        }
        _ => detail,
    };
    // Writing to a text never fails.
    let _ = if target.is_empty() {
        writeln!(out, "{answer}")
    } else {
        writeln!(out, "{target}: {answer}")
    };
    if explained["ranked_per_request"] == true {
        out.push_str("  the upstreams are ranked anew for each request: the next one may see another order\n");
    }
    let mut rows: Vec<[String; 4]> = Vec::new();
    for candidate in items(&explained["candidates"]) {
        let place = format!("{}. ", candidate["place"]);
        let name = format!("{place}{}", text(&candidate["upstream"]));
        let estimate = candidate["estimate"].as_str();
        let estimate = estimate.map(|estimate| format!("reserves {estimate}"));
        let detail = [text(&candidate["detail"]), estimate.unwrap_or_default()];
        let detail = detail.into_iter().filter(|part| !part.is_empty());
        let detail = detail.collect::<Vec<_>>().join("; ");
        rows.push([name, verdict(candidate), left(candidate), detail]);
        if let Some(asked) = settings(candidate) {
            rows.push([String::new(), String::new(), String::new(), asked]);
        }
        if let Some(home) = key_affinity(&candidate["key_affinity"]) {
            rows.push([String::new(), String::new(), String::new(), home]);
        }
        for key in items(&candidate["keys"]) {
            let name = format!("{:1$}{id}", "", place.len(), id = text(&key["id"]));
            rows.push([name, verdict(key), left(key), text(&key["detail"])]);
        }
    }
    for step in items(&explained["ranking"]) {
        out.push_str(&ranking(step));
    }
    out.push_str(&budgets(explained));
    // Columns as wide as their widest cell; the last one is free.
    let width = |column: usize| {
        let statuses = rows.iter().filter_map(|row| row.get(column));
        statuses.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2)];
    for [name, verdict, left, detail] in &rows {
        let [first, second, third] = widths;
        let line = format!("{name:first$}  {verdict:second$}  {left:>third$}  {detail}");
        let _ = writeln!(out, "  {}", line.trim_end());
    }
    out
}

/// How the budgets stand that bound the request, in a line for each.
fn budgets(explained: &Value) -> String {
    let all = items(&explained["budgets"]);
    let mut out = String::new();
    if let Some(what) = explained["steered_by"].as_str() {
        // Writing to a text never fails.
        let _ = writeln!(out, "  goes to another target, for {what} is used up");
    }
    if all.is_empty() {
        return out;
    }
    out.push_str("  is bounded by budgets");
    if let Some(reserved) = explained["reserved"].as_str() {
        // Writing to a text never fails.
        let _ = write!(out, ", and would reserve {reserved}");
    }
    out.push_str(":\n");
    for budget in all {
        let name = match text(&budget["of"]).as_str() {
            "all" => "all requests".to_owned(),
            of => format!("{of} {}", text(&budget["name"])),
        };
        let ends = budget["ends_at"]
            .as_u64()
            .map_or_else(String::new, |ends| format!(", until {}", rfc3339_of(ends)));
        let _ = writeln!(
            out,
            "    {name}  {} of {} spent ({}), {} reserved, {}{ends}",
            text(&budget["spent"]),
            text(&budget["amount"]),
            text(&budget["every"]),
            text(&budget["reserved"]),
            text(&budget["mode"]),
        );
    }
    out
}

/// How a target ranked its members, in a line for each.
fn ranking(step: &Value) -> String {
    let policy = text(&step["policy"]);
    let by = match (step["by"].as_str(), step["affinity"]["home"].as_str()) {
        (Some("hints"), _) => format!("by the request's hints: {}", text(&step["hints"])),
        (_, Some(home)) => {
            let full = match step["affinity"]["over_bound"].as_bool() {
                Some(true) => ", which has its share of the requests",
                _ => "",
            };
            format!("by its conversation, whose home is {home}{full}, not by {policy}")
        }
        _ => format!("by {policy}"),
    };
    let mut out = format!("  {} is ranked {by}:\n", text(&step["target"]));
    for tier in items(&step["tiers"]) {
        let drawn = if tier["drawn"] == true { ": drawn" } else { "" };
        let _ = writeln!(
            out,
            "    tier {} takes {} % first, with {} of {} keys{drawn}",
            tier["priority"], tier["percent"], tier["usable_keys"], tier["keys"],
        );
    }
    for member in items(&step["members"]) {
        let figures = member["figure"].as_object().into_iter().flatten();
        let figures = figures.map(|(name, value)| match value {
            Value::Null => format!("{} unknown", name.replace('_', " ")),
            Value::String(value) => format!("{} {value}", name.replace('_', " ")),
            value => format!("{} {}", name.replace('_', " "), rounded(value)),
        });
        let said = member["detail"]
            .as_str()
            .map(|why| format!("left out: {why}"));
        let words: Vec<String> = figures.chain(said).collect();
        let tier = &member["priority"];
        // Writing to a text never fails.
        let _ = writeln!(
            out,
            "    {}  (tier {tier})  {}",
            text(&member["name"]),
            words.join("; ")
        );
    }
    out
}

/// Where the conversation belongs among the keys of an upstream.
fn key_affinity(of: &Value) -> Option<String> {
    let home = of["home"].as_str()?;
    let account = of["account"].as_str();
    let account = account.map_or_else(String::new, |name| format!(" of account {name}"));
    let why = match (of["reason"].as_str(), of["over_bound"].as_bool()) {
        (Some(reason), _) => format!(", which is out ({})", reason.replace('_', " ")),
        (None, Some(true)) => ", which has its share of the requests".to_owned(),
        _ => String::new(),
    };
    Some(format!("the conversation belongs to {home}{account}{why}"))
}

/// How an upstream is asked.
fn settings(candidate: &Value) -> Option<String> {
    let mut words = text(&candidate["dialect"]);
    let tags: Vec<String> = items(&candidate["tags"]).iter().map(text).collect();
    if !tags.is_empty() {
        // Writing to a text never fails.
        let _ = write!(words, ", tags {}", tags.join(" "));
    }
    for name in ["auth", "responses", "fetch", "unsupported"] {
        if let Some(word) = candidate[name].as_str() {
            // Writing to a text never fails.
            let _ = write!(words, ", {name} {word}");
        }
    }
    // Writing to a text never fails.
    let _ = match (
        candidate["rescue"].as_str(),
        candidate["rescue_obstacle"].as_str(),
    ) {
        (None, None) => Ok(()),
        (Some(mode), None) => write!(words, ", rescue {mode}"),
        (mode, Some(obstacle)) => write!(
            words,
            ", rescue {} ({})",
            mode.unwrap_or("off"),
            obstacle.replace('_', " ")
        ),
    };
    (!words.is_empty()).then_some(words)
}

fn verdict(of: &Value) -> String {
    let verdict = of["verdict"].as_str().unwrap_or_default();
    match of["reason"].as_str() {
        Some(reason) => reason.replace('_', " "),
        None => verdict.to_owned(),
    }
}

fn left(of: &Value) -> String {
    let seconds = of["seconds_left"].as_f64();
    seconds.map_or_else(String::new, |seconds| format!("{} left", span(seconds)))
}

/// So many decimals tell members apart; `--json` has all of them.
fn rounded(value: &Value) -> String {
    match value.as_f64().filter(|_| !value.is_u64()) {
        Some(number) => {
            let decimals = if number.abs() < 0.01 { 6 } else { 4 };
            let text = format!("{number:.decimals$}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        None => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_where_it_goes_and_why_not_elsewhere() {
        let explained = json!({
            "target": "smart", "answer": "goes_now", "detail": "goes to b:m", "code": null,
            "candidates": [
                {"place": 1, "upstream": "a:m", "verdict": "excluded", "reason": "breaker_open", "seconds_left": 12.0,
                 "detail": "the breaker is open, or its probe is under way", "keys": [{"id": "a#1", "verdict": "first"}]},
                {"place": 2, "upstream": "b:m", "verdict": "chosen", "reason": null, "detail": "", "keys": [
                    {"id": "b#2", "verdict": "first"},
                    {"id": "b#1", "verdict": "excluded", "reason": "cooling", "seconds_left": 4.25}]},
            ],
        });
        let expected = "\
smart: goes to b:m
  1. a:m  breaker open   12 s left  the breaker is open, or its probe is under way
     a#1  first
  2. b:m  chosen
     b#2  first
     b#1  cooling       4.2 s left
";
        assert_eq!(table(&explained), expected);
    }

    #[test]
    fn rankings_and_budgets_are_told_with_their_figures() {
        let explained = json!({
            "target": "v", "answer": "goes_now", "detail": "goes to b:m", "reserved": "0.450000",
            "ranking": [
                {"target": "v", "policy": "cost", "affinity": null, "members": [
                    {"name": "b", "priority": 100, "figure": {"cost": "0.000450"}, "detail": null},
                    {"name": "a", "priority": 100, "figure": {"cost": null}, "detail": "it is not the time"}]},
                {"target": "w", "policy": "ordered", "members": [
                    {"name": "c", "priority": 5, "figure": {"score": 63.83755061728395}, "detail": null},
                    {"name": "d", "priority": 5, "figure": {"load_seconds": 0.00003}, "detail": null},
                    {"name": "e", "priority": 5, "figure": {"used_share": 0.0}, "detail": null}],
                    "affinity": {"home": "c", "over_bound": true, "warm": true}},
            ],
            "budgets": [{"of": "client", "name": "ci", "every": "day", "amount": "5.000000", "spent": "3.200000",
                "reserved": "0.100000", "mode": "hard"}],
            "candidates": [{"place": 1, "upstream": "b:m", "verdict": "chosen", "estimate": "0.450000", "detail": ""}],
        });
        let expected = "\
v: goes to b:m
  v is ranked by cost:
    b  (tier 100)  cost 0.000450
    a  (tier 100)  cost unknown; left out: it is not the time
  w is ranked by its conversation, whose home is c, which has its share of the requests, not by ordered:
    c  (tier 5)  score 63.8376
    d  (tier 5)  load seconds 0.00003
    e  (tier 5)  used share 0
  is bounded by budgets, and would reserve 0.450000:
    client ci  3.200000 of 5.000000 spent (day), 0.100000 reserved, hard
  1. b:m  chosen    reserves 0.450000
";
        assert_eq!(table(&explained), expected);
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let explained = json!({
            "target": "smart", "answer": "refused", "detail": "every upstream is busy", "status": 429,
            "code": "upstreams_rate_limited", "retry_after_ms": 61_000.0, "candidates": [],
        });
        let expected = "smart: refused: 429 upstreams_rate_limited, retry after 61 s\n  every upstream is busy\n";
        assert_eq!(table(&explained), expected);
    }
}
