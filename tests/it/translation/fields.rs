//! Every field of every dialect (`tests/fixtures/fields`), between each two dialects: what is said with it is carried over,
//! or named.
//!
//! Each row is put into a base that does not have it. If neither the translated body nor what is named changes, it was lost
//! in silence.

use std::collections::BTreeMap;

use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

use super::case::value;
use super::features::{self, DIALECTS, Pair, UPSTREAMS, sent};
use super::pairs::asked;

/// The fields of one kind of bodies.
struct Table {
    base: Value,
    /// Paths, and what is put there.
    fields: Vec<(String, Value)>,
    /// Why one says nothing: by its path, and where that holds for one dialect alone, `@` and its name.
    labels: BTreeMap<String, String>,
}

impl Table {
    fn read(dialect: &str, kind: &str) -> Option<Self> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = root.join(format!("tests/fixtures/fields/{dialect}.yaml"));
        let text = std::fs::read_to_string(file).unwrap();
        let docs =
            YamlLoader::load_from_str(&text).unwrap_or_else(|error| panic!("{dialect}: {error}"));
        let table = &docs[0][kind];
        if table.is_badvalue() {
            return None;
        }
        let name = |yaml: &Yaml| yaml.as_str().unwrap().to_owned();
        let rows = |part: &str| table[part].as_hash().unwrap().iter();
        Some(Self {
            base: value(&table["base"]),
            fields: rows("fields")
                .map(|(path, said)| (name(path), value(said)))
                .collect(),
            labels: rows("labels")
                .map(|(path, why)| (name(path), name(why)))
                .collect(),
        })
    }

    /// The base with one field more.
    fn with(&self, path: &str, said: &Value) -> Value {
        let mut body = self.base.clone();
        let path = path.split('#').next().unwrap();
        put(&mut body, path, said.clone());
        body
    }

    /// The rows that change nothing. `said` translates a body: what it became, and what was named.
    fn silent(&self, pair: Pair, other: &str, said: impl Fn(&Value) -> String) -> Vec<String> {
        let before = said(&self.base);
        let mut silent = Vec::new();
        for (path, field) in &self.fields {
            let label = |name: &str| self.labels.contains_key(name);
            if label(path) || label(&format!("{path}@{other}")) {
                continue;
            }
            if said(&self.with(path, field)) == before {
                silent.push(format!("{} to {}: {path}", pair.caller, pair.upstream));
            }
        }
        silent
    }
}

fn put(body: &mut Value, path: &str, said: Value) {
    let (first, rest) = match path.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    if let (Some(at), None, Value::Array(items)) = (first.strip_prefix('+'), rest, &mut *body) {
        return items.insert(at.parse().unwrap(), said);
    }
    let place = match body {
        Value::Array(items) => &mut items[first.parse::<usize>().unwrap()],
        Value::Object(fields) => fields.entry(first).or_insert(Value::Null),
        other => panic!("{first} in {other}"),
    };
    match rest {
        Some(rest) => put(place, rest, said),
        None => *place = said,
    }
}

fn none(silent: &[String]) {
    assert!(
        silent.is_empty(),
        "{} fields are lost in silence:\n{}",
        silent.len(),
        silent.join("\n")
    );
}

#[test]
fn no_field_of_a_request_is_lost_in_silence() {
    let mut silent = Vec::new();
    for caller in DIALECTS {
        let table = Table::read(caller, "request").unwrap();
        for upstream in UPSTREAMS.into_iter().filter(|one| *one != caller) {
            let pair = Pair { caller, upstream };
            silent.extend(
                table.silent(pair, upstream, |body| match pair.request(body) {
                    Ok(call) => format!("{} {:?} {}", call.path, call.body, call.dropped),
                    Err(unfit) => unfit.message("", upstream),
                }),
            );
        }
    }
    none(&silent);
}

#[test]
fn no_field_of_an_answer_is_lost_in_silence() {
    let mut silent = Vec::new();
    for upstream in UPSTREAMS {
        let table = Table::read(upstream, "answer").unwrap();
        for caller in DIALECTS.into_iter().filter(|one| *one != upstream) {
            let pair = Pair { caller, upstream };
            let doc = asked(pair, &features::of(caller), false);
            silent.extend(table.silent(pair, caller, |body| {
                let (answer, dropped) = pair.answer(&doc, body);
                format!("{answer} {dropped}")
            }));
        }
    }
    none(&silent);
}

#[test]
fn no_field_of_a_stream_is_lost_in_silence() {
    let mut silent = Vec::new();
    for upstream in UPSTREAMS {
        let table = Table::read(upstream, "stream").unwrap();
        for caller in DIALECTS.into_iter().filter(|one| *one != upstream) {
            let pair = Pair { caller, upstream };
            let doc = asked(pair, &features::of(caller), true);
            silent.extend(table.silent(pair, caller, |events| {
                let (said, dropped) = pair.stream(&doc, &sent(upstream, events), usize::MAX);
                format!("{said} {dropped}")
            }));
        }
    }
    none(&silent);
}
