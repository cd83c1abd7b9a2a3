//! `pointsman cache`: what is kept for equal requests, its purge, and filling it.

mod prime;

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::admin::{AdminClient, AdminError};
use super::arguments::{CacheCommand, CachePurge, CacheStats};
use super::exit::{CANNOT_BIND, NO, complain, say, say_json};
use super::shown::{size, text};
use crate::app;

/// Going through a large server takes its time.
const PURGE: Duration = Duration::from_secs(300);

pub(super) fn run(command: CacheCommand) -> ExitCode {
    match command {
        CacheCommand::Stats(arguments) => stats(arguments),
        CacheCommand::Purge(arguments) => purge(arguments),
        CacheCommand::Prime(arguments) => prime::run(&arguments),
    }
}

fn stats(arguments: CacheStats) -> ExitCode {
    let path = match arguments.count {
        true => "/admin/v1/cache?count=true",
        false => "/admin/v1/cache",
    };
    let asked = AdminClient::new(arguments.side).and_then(|client| client.get(path));
    match asked {
        Ok(stats) if arguments.json => say_json(&format!("{stats:#}\n")),
        Ok(stats) => say(&table(&stats)),
        Err(error) => return failed(&error),
    }
    ExitCode::SUCCESS
}

fn purge(arguments: CachePurge) -> ExitCode {
    let which = json!({
        "target": arguments.target,
        "scope": arguments.scope,
        "older": arguments.older,
    });
    let purge = |client: AdminClient| client.post_within("/admin/v1/cache/purge", &which, PURGE);
    match AdminClient::new(arguments.side).and_then(purge) {
        Ok(purged) if arguments.json => say_json(&format!("{purged:#}\n")),
        Ok(purged) => say(&format!(
            "{} purged\n",
            counted(&purged["purged"], "entries")
        )),
        Err(error) => return failed(&error),
    }
    ExitCode::SUCCESS
}

fn failed(error: &AdminError) -> ExitCode {
    complain(&app::chain(error));
    match error {
        AdminError::Refused { .. } => ExitCode::from(NO),
        _ => ExitCode::from(CANNOT_BIND),
    }
}

/// The answer for people.
fn table(stats: &Value) -> String {
    let mut out = String::new();
    let store = text(&stats["store"]);
    if store == "none" {
        return "no answers are kept: the configuration has no `cache`\n".to_owned();
    }
    let (memory, lookups) = (&stats["memory"], &stats["lookups"]);
    let counts = ["hit", "stale", "coalesced", "miss", "bypass"];
    let counts = counts.map(|word| counted(&lookups[word], word));
    // Writing to a text never fails.
    let _ = writeln!(out, "requests {}", counts.join(", "));
    let saved = (&lookups["saved_tokens"], text(&lookups["saved_cost"]));
    let _ = writeln!(out, "saved    {} tokens, {}", saved.0, saved.1);
    let _ = writeln!(
        out,
        "memory   {}, {} of {}",
        counted(&memory["entries"], "entries"),
        size(&memory["bytes"]),
        size(&memory["max_bytes"]),
    );
    let calls = &stats["shared_calls"];
    if !calls.is_null() {
        let (open, requests) = (counted(&calls["calls"], "calls"), &calls["requests"]);
        let _ = writeln!(out, "shared   {open} under way for {requests} requests");
    }
    let server = &stats["server"];
    if server.is_null() {
        return out;
    }
    let state = match server["up"].as_bool() {
        Some(true) => "up".to_owned(),
        _ => format!("away: {}", text(&server["trouble"])),
    };
    let encrypted = match server["encrypted"].as_bool() {
        Some(true) => ", encrypted",
        _ => "",
    };
    let address = text(&server["address"]);
    let _ = writeln!(out, "server   {address}{encrypted}, {state}");
    if !server["entries"].is_null() {
        let more = match server["complete"].as_bool() {
            Some(true) => "",
            _ => " or more",
        };
        let _ = writeln!(
            out,
            "         {}{more}, {}",
            counted(&server["entries"], "entries"),
            size(&server["bytes"])
        );
    }
    for (name, fields) in [
        (
            "looks",
            &["found", "missed", "unanswered", "broken", "foreign"][..],
        ),
        ("writes", &["written", "unwritten"]),
        ("link", &["connections", "timeouts", "failures"]),
    ] {
        let counts = fields.iter().map(|field| counted(&server[*field], field));
        let counts: Vec<String> = counts.collect();
        let _ = writeln!(out, "{name:<8} {}", counts.join(", "));
    }
    out
}

fn counted(count: &Value, what: &str) -> String {
    let count = count.as_u64().unwrap_or_default();
    let what = match (count, what) {
        (1, "entries") => "entry",
        _ => what,
    };
    format!("{count} {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_told() {
        let mut stats = json!({
            "store": "valkey",
            "lookups": {"hit": 5, "stale": 0, "coalesced": 2, "miss": 9, "bypass": 1, "saved_tokens": 70, "saved_cost": "0.01"},
            "memory": {"entries": 1, "bytes": 1536, "max_bytes": 268_435_456},
            "server": {
                "address": "redis://cache:6379/0", "up": true, "trouble": null, "encrypted": true,
                "entries": 12, "bytes": 500, "complete": false,
                "found": 7, "missed": 3, "unanswered": 1, "broken": 0, "foreign": 0, "written": 4, "unwritten": 2,
                "connections": 1, "timeouts": 5, "failures": 6,
            },
            "shared_calls": {"calls": 2, "requests": 9},
        });
        let expected = "\
requests 5 hit, 0 stale, 2 coalesced, 9 miss, 1 bypass
saved    70 tokens, 0.01
memory   1 entry, 1.5 KiB of 256.0 MiB
shared   2 calls under way for 9 requests
server   redis://cache:6379/0, encrypted, up
         12 entries or more, 500 B
looks    7 found, 3 missed, 1 unanswered, 0 broken, 0 foreign
writes   4 written, 2 unwritten
link     1 connections, 5 timeouts, 6 failures
";
        assert_eq!(table(&stats), expected);
        stats["server"]["up"] = json!(false);
        stats["server"]["trouble"] = json!("it refuses: WRONGPASS");
        assert!(table(&stats).contains("encrypted, away: it refuses: WRONGPASS\n"));
        stats["server"] = Value::Null;
        assert!(table(&stats).ends_with("shared   2 calls under way for 9 requests\n"));
    }
}
