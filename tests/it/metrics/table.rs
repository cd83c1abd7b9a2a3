//! The documentation's table, the program's own list and what is really told say the same.

use std::collections::BTreeSet;

use pointsman::telemetry::metrics::specs;

use super::exposition::Exposition;

/// Name, type, labels, meaning.
type Row = (String, String, Vec<String>, String);

/// The rows of `docs/observability.md`.
pub fn documented() -> Vec<Row> {
    let text = include_str!("../../../docs/observability.md");
    let (_, rest) = text.split_once("<!-- metrics: table -->").unwrap();
    let (table, _) = rest
        .split_once("<!-- metrics: end of the table -->")
        .unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let statuses: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, kind, labels, about] = statuses[..] else {
            panic!("not four cells: {line}")
        };
        let labels = labels.split(", ").filter(|label| *label != "–");
        (
            name.trim_matches('`').to_owned(),
            kind.to_owned(),
            labels
                .map(|label| label.trim_matches('`').to_owned())
                .collect(),
            about.to_owned(),
        )
    })
    .collect()
}

/// The names of all metrics.
pub fn names() -> BTreeSet<String> {
    specs::ALL.iter().map(specs::Spec::exposed).collect()
}

#[test]
fn the_table_is_the_list() {
    let listed = specs::ALL.iter().map(|spec| {
        (
            spec.exposed(),
            spec.exposed_kind().to_owned(),
            spec.exposed_labels().collect(),
            spec.about.to_owned(),
        )
    });
    let listed: Vec<Row> = listed.collect();
    for row in &listed {
        assert!(documented().contains(row), "not in the table: {row:?}");
    }
    assert_eq!(documented().len(), listed.len());
}

/// What is told is on the list, with its type, its meaning and no label beyond; and how it must be in any case.
#[track_caller]
pub fn assert_listed(told: &Exposition) {
    for (name, family) in &told.0 {
        let spec = specs::ALL.iter().find(|spec| spec.exposed() == *name);
        let spec = spec.unwrap_or_else(|| panic!("{name} is not on the list"));
        assert_eq!(family.kind, spec.exposed_kind(), "{name}");
        assert_eq!(family.help, spec.about, "{name}");
        let labels: BTreeSet<String> = spec.exposed_labels().collect();
        for sample in &family.samples {
            let more = sample.labels.keys();
            let more = more.filter(|label| *label != "le" && !labels.contains(*label));
            assert_eq!(more.count(), 0, "{sample:?}");
        }
        assert!(family.samples.len() < 500, "{name} explodes");
    }
}
