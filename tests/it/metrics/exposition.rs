//! Prometheus's text form, read strictly: every sample belongs to a metric with HELP and TYPE, told once.

use std::collections::BTreeMap;

/// One line.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    /// As it stands there, `_bucket` and the like included.
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// One metric.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Family {
    pub help: String,
    pub kind: String,
    pub samples: Vec<Sample>,
}

/// All of them, by name.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Exposition(pub BTreeMap<String, Family>);

impl Exposition {
    #[track_caller]
    pub fn read(text: &str) -> Self {
        let mut all: BTreeMap<String, Family> = BTreeMap::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.is_empty(), "{line}");
                let help = help.to_owned();
                let family = Family {
                    help,
                    ..Family::default()
                };
                let before = all.insert(name.to_owned(), family);
                assert!(before.is_none(), "{name} is told of twice");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                let family = all
                    .get_mut(name)
                    .unwrap_or_else(|| panic!("no HELP: {line}"));
                assert!(
                    family.kind.is_empty() && family.samples.is_empty(),
                    "{line}"
                );
                kind.clone_into(&mut family.kind);
            } else {
                let sample = sample(line);
                let family = all.iter_mut().find(|(name, family)| {
                    let rest = sample.name.strip_prefix(name.as_str());
                    rest.is_some_and(|rest| match family.kind.as_str() {
                        "histogram" => ["_bucket", "_sum", "_count"].contains(&rest),
                        "counter" | "gauge" => rest.is_empty(),
                        _ => false,
                    })
                });
                let (_, family) = family.unwrap_or_else(|| panic!("of no metric: {line}"));
                let twice = family
                    .samples
                    .iter()
                    .any(|it| (&it.name, &it.labels) == (&sample.name, &sample.labels));
                assert!(!twice, "twice: {line}");
                family.samples.push(sample);
            }
        }
        Self(all)
    }

    /// The samples of this name with these labels, whatever others they have.
    pub fn samples(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&Sample> {
        let samples = self.0.values().flat_map(|family| &family.samples);
        let fits = |sample: &&Sample| {
            let mut labels = labels.iter();
            sample.name == name
                && labels
                    .all(|(label, value)| sample.labels.get(*label).is_some_and(|it| it == value))
        };
        samples.filter(fits).collect()
    }

    /// Their sum; 0 without any.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let samples = self.samples(name, labels).into_iter();
        samples.map(|sample| sample.value).sum()
    }

    /// How many different values a label of a metric has.
    pub fn values(&self, name: &str, label: &str) -> Vec<String> {
        let mut values: Vec<String> = self
            .samples(name, &[])
            .into_iter()
            .filter_map(|sample| sample.labels.get(label).cloned())
            .collect();
        values.sort();
        values.dedup();
        values
    }
}

/// `name{label="value",…} value`
fn sample(line: &str) -> Sample {
    let (head, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = match head.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}').unwrap()),
        None => (head, ""),
    };
    let mut read = BTreeMap::new();
    let mut rest = labels;
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").unwrap();
        let end = after.find('"').unwrap();
        let (value, after) = after.split_at(end);
        read.insert(label.trim_start_matches(',').to_owned(), value.to_owned());
        rest = &after[1..];
    }
    Sample {
        name: name.to_owned(),
        labels: read,
        value: value.parse().unwrap(),
    }
}
