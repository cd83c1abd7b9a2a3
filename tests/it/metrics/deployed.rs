//! The dashboard and the alert rules name metrics and labels that there are.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use pointsman::telemetry::metrics::specs;
use regex::Regex;
use serde_json::Value;

const DASHBOARD: &str = include_str!("../../../deploy/compose/dashboards/pointsman.json");
const RULES: &str = include_str!("../../../deploy/compose/rules/alerts.yaml");
const CODES: &str = include_str!("../../../src/domain/error_code.rs");
const DOCS: &str = include_str!("../../../docs/observability.md");

/// Labels by metric, histograms by each of their names.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let mut known = BTreeMap::new();
    for spec in specs::ALL {
        // Added by whoever asks.
        let scraped = ["job", "instance"].map(str::to_owned);
        let labels: BTreeSet<String> = spec.exposed_labels().chain(scraped).collect();
        if spec.exposed_kind() == "histogram" {
            for end in ["_bucket", "_sum", "_count"] {
                known.insert(spec.exposed() + end, labels.clone());
            }
        } else {
            known.insert(spec.exposed(), labels);
        }
    }
    known
}

/// Every text under `expr` or `query`.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value {
                    Value::String(text) if ["expr", "query"].contains(&name.as_str()) => {
                        found.push(text.clone());
                    }
                    value => expressions(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

/// The metrics that an expression names, each with the labels that it is asked for by.
fn named(expression: &str) -> Vec<(String, Vec<String>)> {
    let metric =
        Regex::new(r"\b((?:pointsman|gen_ai|http|process)_[a-z0-9_]+)(\{[^}]*\})?").unwrap();
    let label = Regex::new(r#"([a-z_]+)(?:=|!=|=~|!~)""#).unwrap();
    let outside = Regex::new(r"\{[^}]*\}|by \([^)]*\)").unwrap();
    // Names of labels look like names of metrics.
    let plain = outside.replace_all(expression, |found: &regex::Captures<'_>| {
        match found[0].starts_with('{') {
            true => found[0]
                .replace("gen_ai_", "gen-ai-")
                .replace("http_", "http-"),
            false => String::new(),
        }
    });
    let found = metric.captures_iter(&plain).map(|found| {
        let labels = found.get(2).map_or("", |it| it.as_str());
        let labels = labels
            .replace("gen-ai-", "gen_ai_")
            .replace("http-", "http_");
        let labels = label.captures_iter(&labels).map(|it| it[1].to_owned());
        (found[1].to_owned(), labels.collect())
    });
    found.collect()
}

#[track_caller]
fn assert_known(expression: &str) -> usize {
    let known = known();
    let mut count = 0;
    for (metric, labels) in named(expression) {
        let of_metric = known.get(&metric);
        let of_metric = of_metric.unwrap_or_else(|| panic!("no metric {metric}: {expression}"));
        for label in labels.iter().filter(|label| *label != "le") {
            assert!(
                of_metric.contains(label),
                "{metric} has no {label}: {expression}"
            );
        }
        count += 1;
    }
    count
}

#[test]
fn the_dashboard_shows_what_there_is() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    assert_eq!(dashboard["uid"], "pointsman");
    let mut all = Vec::new();
    expressions(&dashboard, &mut all);
    let count: usize = all.iter().map(|text| assert_known(text)).sum();
    assert!(count > 40, "{count}");
    // It can be imported anywhere: the data source is asked for.
    let sources = Regex::new(r#""uid": "([^"]*)""#).unwrap();
    for source in sources.captures_iter(DASHBOARD) {
        assert!(
            ["${datasource}", "pointsman"].contains(&&source[1]),
            "{}",
            &source[1]
        );
    }
    let mut ids = BTreeSet::new();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.iter().all(|panel| ids.insert(panel["id"].as_u64())));
}

#[test]
fn the_rules_watch_what_there_is() {
    let rules = crate::deploy::files::data("deploy/compose/rules/alerts.yaml");
    let mut all = Vec::new();
    expressions(&rules, &mut all);
    let recorded = Regex::new(r"pointsman:[a-z0-9_:]+").unwrap();
    let mut count = 0;
    for text in &all {
        for record in recorded.find_iter(text) {
            let name = format!("record: {}\n", record.as_str());
            assert!(RULES.contains(&name), "{name}");
        }
        count += assert_known(&recorded.replace_all(text, "1"));
    }
    assert!(count >= 15, "{count}");
    // Outcomes are codes that there are.
    let outcomes = Regex::new(r#"outcome=~?"([^"]*)""#).unwrap();
    for outcome in outcomes.captures_iter(RULES) {
        for code in outcome[1].split('|') {
            assert!(CODES.contains(&format!("\"{code}\"")), "{code}");
        }
    }
}

#[test]
fn the_questions_in_the_documentation_can_be_asked() {
    let (_, questions) = DOCS.split_once("### Queries").unwrap();
    let (questions, _) = questions.split_once("\n### ").unwrap();
    let mut count = 0;
    for row in questions.lines().filter(|line| line.starts_with("| ")) {
        for part in row.split('`').skip(1).step_by(2) {
            count += assert_known(&part.replace("pointsman:", ""));
        }
    }
    assert!(count >= 7, "{count}");
}
