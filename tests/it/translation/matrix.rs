//! `docs/dialects.md`: what becomes of each feature between each two dialects, written from what the code does with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use pointsman::domain::dialect::Operation;
use pointsman::wire::dialects;
use pointsman::wire::sse::EventSplitter;
use serde_json::Value;

use super::features::{self, DIALECTS, Feature, MODEL, Pair, UPSTREAMS, sent};
use super::pairs::asked;

const BEGIN: &str = "<!-- From here on written by tests/it/translation/matrix.rs -->\n";
/// So many fields are named in a cell.
const MOST: usize = 4;
/// Fields that say how something is written, and not what; a type is one in a list.
const LABELS: [&str; 6] = ["id", "index", "mimeType", "model", "role", "store"];
/// Fields that hold what their author made up.
const WHOLE: [&str; 7] = [
    "args",
    "input_schema",
    "metadata",
    "parameters",
    "parametersJsonSchema",
    "responseJsonSchema",
    "schema",
];

/// The fields of a body that say something, and what they say. Places in lists are left out.
fn fields(value: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    collect(value, "", false, &mut all);
    all
}

fn collect(value: &Value, path: &str, listed: bool, all: &mut BTreeMap<String, BTreeSet<String>>) {
    let last = path.rsplit('.').next().unwrap_or_default();
    match value {
        Value::Object(inner) if !inner.is_empty() && !WHOLE.contains(&last) => {
            for (name, value) in inner {
                let labels = LABELS.contains(&name.as_str()) || (listed && name == "type");
                if labels && !value.is_object() {
                    continue;
                }
                let dot = if path.is_empty() { "" } else { "." };
                collect(value, &format!("{path}{dot}{name}"), false, all);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            items.iter().for_each(|item| collect(item, path, true, all));
        }
        leaf => {
            all.entry(path.to_owned())
                .or_default()
                .insert(leaf.to_string());
        }
    }
}

/// The fields in which a body says what a plain one does not.
fn news(body: &Value, plain: &Value) -> String {
    let (own, plain) = (fields(body), fields(plain));
    let new = own
        .iter()
        .filter(|(path, said)| plain.get(*path) != Some(said));
    let mut names: Vec<String> = Vec::new();
    for (path, _) in new {
        // Schemas and the like are told as one.
        let name = path.split('.').take(4).collect::<Vec<_>>().join(".");
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = names.len() > MOST;
    names.truncate(MOST);
    let mut told: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    told.extend(more.then(|| "…".to_owned()));
    told.join(", ")
}

fn cell(news: &str, dropped: &str) -> String {
    let dropped: Vec<String> = dropped
        .split(", ")
        .filter(|name| !name.is_empty())
        .map(|name| format!("`{}`", name.trim_start_matches("answer.")))
        .collect();
    match (news, dropped.as_slice()) {
        ("", []) => "nothing to say".to_owned(),
        (news, []) => news.to_owned(),
        ("", dropped) => format!("left out: {}", dropped.join(", ")),
        (news, dropped) => format!("{news}; left out: {}", dropped.join(", ")),
    }
}

fn requests(out: &mut String) {
    for caller in DIALECTS {
        let own = features::of(caller);
        let upstreams: Vec<&str> = UPSTREAMS.into_iter().filter(|one| *one != caller).collect();
        head(out, &format!("### A caller of `{caller}`"), &upstreams);
        for feature in own.requests.iter().filter(|one| one.name != "plain") {
            let cells = upstreams.iter().map(|upstream| {
                let pair = Pair { caller, upstream };
                let plain = said(pair, &own.requests[0].said).unwrap().0;
                match said(pair, &feature.said) {
                    Ok((mut body, dropped)) => {
                        let about_tools = feature.name.starts_with("tool_choice")
                            || feature.name.starts_with("parallel");
                        if let Some(fields) = body.as_object_mut().filter(|_| about_tools) {
                            fields.remove("tools");
                        }
                        cell(&news(&body, &plain), &dropped)
                    }
                    Err(code) => format!("refused: `{code}`"),
                }
            });
            row(out, feature, cells);
        }
    }
}

fn said(pair: Pair, body: &Value) -> Result<(Value, String), &'static str> {
    let call = pair.request(body).map_err(|unfit| unfit.code().as_str())?;
    let body = serde_json::from_slice(&call.body).unwrap();
    Ok((body, call.dropped.to_string()))
}

fn answers(out: &mut String) {
    for upstream in UPSTREAMS {
        let theirs = features::of(upstream);
        let callers: Vec<&str> = DIALECTS
            .into_iter()
            .filter(|one| *one != upstream)
            .collect();
        head(out, &format!("### An upstream of `{upstream}`"), &callers);
        for feature in theirs.answers.iter().filter(|one| one.name != "plain") {
            let cells = callers.iter().map(|caller| {
                let pair = Pair { caller, upstream };
                let doc = asked(pair, &features::of(caller), false);
                let (plain, _) = pair.answer(&doc, &theirs.answers[0].said);
                let (body, dropped) = pair.answer(&doc, &feature.said);
                cell(&news(&body, &plain), &dropped.to_string())
            });
            row(out, feature, cells);
        }
        for feature in theirs.streams.iter().filter(|one| one.name != "plain") {
            let cells = callers.iter().map(|caller| {
                let pair = Pair { caller, upstream };
                let doc = asked(pair, &features::of(caller), true);
                let (_, dropped) = pair.stream(&doc, &sent(upstream, &feature.said), usize::MAX);
                match dropped.is_empty() {
                    true => "told".to_owned(),
                    false => cell("", &dropped.to_string()),
                }
            });
            let name = format!("{} (streamed)", feature.name);
            row(
                out,
                &Feature {
                    name,
                    said: Value::Null,
                },
                cells,
            );
        }
    }
}

/// What Pointsman itself does, which is decided on the upstream's own bytes.
fn services(out: &mut String) {
    let columns: Vec<&str> = UPSTREAMS.to_vec();
    head(out, "### What Pointsman does at an upstream", &columns);
    let each = |name: &str, out: &mut String, cell: &dyn Fn(&'static str) -> bool| {
        let cells = UPSTREAMS.map(|one| if cell(one) { "yes" } else { "no" }.to_owned());
        let name = name.to_owned();
        row(
            out,
            &Feature {
                name,
                said: Value::Null,
            },
            cells.into_iter(),
        );
    };
    for caller in DIALECTS {
        let cells = DIALECTS.map(|upstream| rescue(Pair { caller, upstream }).to_owned());
        let name = format!("rescue of an answer to `{caller}` goes on by");
        let feature = Feature {
            name,
            said: Value::Null,
        };
        row(out, &feature, cells.into_iter());
    }
    each(
        "failover before the first content, `hold`, hedging",
        out,
        &|upstream| seen(upstream).0,
    );
    each(
        "an answer that is cut is told from a whole one",
        out,
        &|upstream| seen(upstream).1,
    );
    each("token counts of streams", out, &|upstream| seen(upstream).2);
    each(
        "counting without answering, by the upstream",
        out,
        &|upstream| dialects::upstream(upstream).unwrap().counting().is_some(),
    );
    each("embeddings", out, &|upstream| {
        let dialect = dialects::upstream(upstream).unwrap();
        dialect.path(Operation::Embeddings).is_some()
            || dialect.adapter(Operation::Embeddings).is_some()
    });
}

/// How an upstream goes on with a plain answer to the caller that broke off.
fn rescue(pair: Pair) -> &'static str {
    let doc = pair.doc(&features::of(pair.caller).requests[0].said, true);
    let dialect = dialects::upstream(pair.upstream).unwrap();
    let caller = dialects::caller(pair.operation());
    if !caller.may_be_rescued(pair.operation(), &doc) {
        return "no";
    }
    let rest = caller.continued(pair.operation(), &doc, "Hel", 1);
    match rest {
        Some(_) if dialect.takes_prefill(MODEL) => "a prefill, or the same request again",
        _ => "the same request again",
    }
}

/// Of a plain stream: whether its opening is told from its content, its end is seen, and its counts are.
fn seen(dialect: &'static str) -> (bool, bool, bool) {
    let pair = Pair::of(dialect);
    let mut splitter = EventSplitter::new(usize::MAX);
    splitter.push(sent(dialect, &features::of(dialect).streams[0].said));
    let (mut content, mut finished, mut counted) = (0, false, false);
    while let Ok(Some(event)) = splitter.next_event() {
        let seen = pair.exchange().event(&event);
        content += usize::from(seen.content);
        finished |= seen.finished != 0;
        counted |= seen.usage.is_some();
    }
    (content == 2, finished, counted)
}

fn head(out: &mut String, title: &str, columns: &[&str]) {
    let names: Vec<String> = columns.iter().map(|one| format!(" `{one}` |")).collect();
    write!(
        out,
        "\n{title}\n\n| |{}\n|---|{}\n",
        names.concat(),
        "---|".repeat(columns.len())
    )
    .unwrap();
}

fn row(out: &mut String, feature: &Feature, cells: impl Iterator<Item = String>) {
    let name = feature.name.replace('_', " ");
    let cells: Vec<String> = cells.map(|cell| format!(" {cell} |")).collect();
    writeln!(out, "| {name} |{}", cells.concat()).unwrap();
}

fn text() -> String {
    let mut out = String::new();
    services(&mut out);
    out += "\n## Requests\n\nThe fields of the upstream's request in which a feature stands, and what is left out and named.\n";
    requests(&mut out);
    out += "\n## Answers\n\nThe fields of the caller's answer in which it stands. Of streams only what is left out: what is told \
            stands in the same fields, or in their deltas.\n";
    answers(&mut out);
    out
}

#[test]
fn the_matrix_of_dialects_is_fresh() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/dialects.md");
    let old = std::fs::read_to_string(&path).unwrap();
    let (words, _) = old.split_once(BEGIN).unwrap();
    let new = format!("{words}{BEGIN}{}", text());
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&path, &new).unwrap();
    }
    let now = std::fs::read_to_string(&path).unwrap();
    assert!(
        now == new,
        "docs/dialects.md is out of date: WRITE_DOCS=1 cargo test --test it the_matrix_of_dialects_is_fresh"
    );
}
