//! Every feature of every dialect, translated for each other one: reviewed texts in `tests/fixtures/pairs`, a file for each
//! caller and upstream.
//!
//! `WRITE_PAIRS=1` writes them anew. A change of one is a change of what users get, and is read before it is kept.

use std::fmt::Write as _;
use std::path::PathBuf;

use pointsman::wire::request::RequestDoc;
use serde_json::Value;

use super::features::{self, Features, Pair, sent};
use super::{grammar, streams};

fn file(pair: Pair) -> PathBuf {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let name = format!("{}-to-{}.txt", pair.caller, pair.upstream);
    root.join("tests/fixtures/pairs").join(name)
}

/// JSON for the eye: a line for each field, and one for each object in a list.
fn lines(body: &Value) -> String {
    let mut out = String::new();
    for (name, value) in body.as_object().into_iter().flatten() {
        match value {
            Value::Array(items) if items.iter().any(Value::is_object) => {
                writeln!(out, "{name}:").unwrap();
                for item in items {
                    writeln!(out, "  {item}").unwrap();
                }
            }
            value => writeln!(out, "{name}: {value}").unwrap(),
        }
    }
    out
}

/// The request of which every answer is an answer.
pub fn asked(pair: Pair, own: &Features, stream: bool) -> RequestDoc {
    let wanted = ["custom_tools", "plain"].into_iter();
    let mut found = wanted.filter_map(|name| own.requests.iter().find(|one| one.name == name));
    let mut body = found.next().unwrap().said.clone();
    if pair.caller == "openai" && stream {
        body["stream_options"] = serde_json::json!({"include_usage": true});
    }
    pair.doc(&body, stream)
}

fn sections(pair: Pair) -> String {
    let (own, theirs) = (features::of(pair.caller), features::of(pair.upstream));
    let mut out = String::new();
    for feature in &own.requests {
        writeln!(out, "== request {}", feature.name).unwrap();
        match pair.request(&feature.said) {
            Ok(call) => {
                if !call.dropped.is_empty() {
                    writeln!(out, "dropped: {}", call.dropped).unwrap();
                }
                out += &lines(&serde_json::from_slice(&call.body).unwrap());
            }
            Err(unfit) => {
                let why = unfit.message("", pair.upstream);
                writeln!(out, "refused: {} {why}", unfit.code().as_str()).unwrap();
            }
        }
    }
    let doc = asked(pair, &own, false);
    for feature in &theirs.answers {
        writeln!(out, "== answer {}", feature.name).unwrap();
        let (answer, dropped) = pair.answer(&doc, &feature.said);
        if !dropped.is_empty() {
            writeln!(out, "dropped: {dropped}").unwrap();
        }
        out += &lines(&answer);
    }
    let doc = asked(pair, &own, true);
    for feature in &theirs.streams {
        writeln!(out, "== stream {}", feature.name).unwrap();
        let (said, dropped) = pair.stream(&doc, &sent(pair.upstream, &feature.said), usize::MAX);
        if !dropped.is_empty() {
            writeln!(out, "dropped: {dropped}").unwrap();
        }
        let events = streams::events(&said);
        for fault in grammar::faults(pair.caller, &events) {
            writeln!(out, "FAULT {fault}").unwrap();
        }
        for event in events {
            writeln!(out, "{}", event.data).unwrap();
        }
    }
    out
}

#[test]
fn each_pair_says_what_was_reviewed() {
    let mut stale = Vec::new();
    for pair in Pair::all() {
        let (file, now) = (file(pair), sections(pair));
        if std::env::var_os("WRITE_PAIRS").is_some() {
            std::fs::write(&file, &now).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        let differs = now
            .lines()
            .zip(kept.lines())
            .find(|(now, kept)| now != kept);
        if now != kept {
            stale.push(format!("{}: {differs:?}", file.display()));
        }
    }
    assert!(
        stale.is_empty(),
        "what is translated has changed: WRITE_PAIRS=1 cargo test --test it each_pair, and read the difference\n{}",
        stale.join("\n")
    );
}

#[test]
fn there_are_many_cases_and_no_stream_breaks_its_grammar() {
    let (mut cases, mut faults) = (0, Vec::new());
    for pair in Pair::all() {
        let text = std::fs::read_to_string(file(pair)).unwrap();
        cases += text.lines().filter(|line| line.starts_with("== ")).count();
        faults.extend(
            text.lines()
                .filter(|line| line.starts_with("FAULT "))
                .map(str::to_owned),
        );
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(cases >= 250, "{cases} cases");
}
