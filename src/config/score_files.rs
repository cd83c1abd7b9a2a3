//! What scores take from files: places on leaderboards, and points for models by the patterns that their names fit.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use config::{File, FileFormat, Value, ValueKind};
use regex::{Regex, RegexBuilder};

use super::ranking::ScoreFiles;
use super::read::Report;
use crate::domain::policy::{Adjust, Policy};

/// One group of patterns: a model gets its points once, whichever of them fits.
struct PointsGroup {
    points: f64,
    patterns: Vec<Regex>,
}

/// The policy with what is in its files, relative to `dir`. What is wrong in them is reported at `path`.
pub(super) fn policy(files: &ScoreFiles, dir: &Path, path: &str, report: &mut Report) -> Policy {
    let mut score = files.score.clone();
    if let Some(name) = &files.leaderboard {
        let at = format!("{path}.leaderboard");
        let rows = read(&dir.join(name), FileFormat::Json, &at, report);
        score.leaderboard = rows
            .map(|rows| leaderboard(rows, &at, report))
            .unwrap_or_default()
            .into();
    }
    if let Some(name) = &files.adjustments {
        let at = format!("{path}.adjustments");
        let groups = read(&dir.join(name), FileFormat::Yaml, &at, report);
        score.adjust = groups.map(|groups| adjust(adjustments(groups, &at, report)));
    }
    Policy::new(score)
}

fn read(
    file: &Path,
    format: FileFormat,
    path: &str,
    report: &mut Report,
) -> Option<BTreeMap<String, Value>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("{} cannot be read: {error}", file.display());
            report.problem(path, message, "name a file that is there");
            return None;
        }
    };
    report.files.push(file.to_owned());
    let built = config::Config::builder().add_source(File::from_str(&text, format));
    let read = built.build().and_then(config::Config::try_deserialize);
    read.map_err(|error| {
        let message = format!("{} is not understood: {error}", file.display());
        report.problem(path, message, "write a map");
    })
    .ok()
}

/// A map of names and scores.
fn leaderboard(
    rows: BTreeMap<String, Value>,
    path: &str,
    report: &mut Report,
) -> Vec<(String, f64)> {
    let mut read = Vec::new();
    for (name, score) in rows {
        match score.into_float() {
            Ok(score) if (0.0..=1.0).contains(&score) => read.push((name.to_lowercase(), score)),
            _ => report.problem(path, format!("`{name}` has no score from 0 to 1"), ""),
        }
    }
    read
}

/// `adjustments: {group: {priority: points, regex: [patterns]}}`, or the groups alone.
fn adjustments(
    mut all: BTreeMap<String, Value>,
    path: &str,
    report: &mut Report,
) -> Vec<PointsGroup> {
    let groups = match all.remove("adjustments") {
        Some(groups) => groups
            .into_table()
            .unwrap_or_default()
            .into_iter()
            .collect(),
        None => all,
    };
    let mut read = Vec::new();
    for (name, group) in groups {
        let Ok(mut group) = group.into_table() else {
            report.problem(path, format!("group `{name}` is no map"), "");
            continue;
        };
        let points = group.remove("priority").and_then(|it| it.into_float().ok());
        let Some(points) = points.filter(|points| points.is_finite()) else {
            report.problem(
                path,
                format!("group `{name}` has no number as its `priority`"),
                "",
            );
            continue;
        };
        let patterns = match group.remove("regex").map(|it| it.kind) {
            Some(ValueKind::Array(patterns)) => patterns,
            Some(ValueKind::String(pattern)) => vec![Value::new(None, pattern)],
            _ => Vec::new(),
        };
        let patterns = patterns.into_iter().filter_map(|it| it.into_string().ok());
        let mut compiled = Vec::new();
        for pattern in patterns {
            let built = RegexBuilder::new(&pattern).case_insensitive(true).build();
            match built {
                Ok(regex) => compiled.push(regex),
                Err(_) => report.warn(path, format!("`{pattern}` is no pattern, and fits nothing")),
            }
        }
        read.push(PointsGroup {
            points,
            patterns: compiled,
        });
    }
    read
}

fn adjust(groups: Vec<PointsGroup>) -> Adjust {
    Arc::new(move |model: &str| {
        let fits = |group: &&PointsGroup| group.patterns.iter().any(|it| it.is_match(model));
        groups.iter().filter(fits).map(|group| group.points).sum()
    })
}
