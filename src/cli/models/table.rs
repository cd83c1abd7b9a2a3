//! Models as a table for people.

use std::fmt::Write as _;

use super::rows::{ModelRow, million};
use crate::cli::shown::span;
use crate::domain::catalog::entry::{Freshness, Origin};
use crate::domain::money::Pico;
use crate::domain::shown::plain;

const HEAD: [&str; 10] = [
    "PROVIDER", "MODEL", "CONTEXT", "OUT", "$IN", "$OUT", "CACHED", "CAPS", "SOURCE", "AGE",
];
/// What is not known.
const UNKNOWN: &str = "-";

/// The table; with `full` each value's source below its model. Prices are per million tokens.
pub(super) fn table(rows: &[ModelRow], full: bool, now: u64) -> String {
    if rows.is_empty() {
        return "no model is known that fits\n".to_owned();
    }
    let cells: Vec<[String; 10]> = rows.iter().map(|row| cells(row, now)).collect();
    let mut widths = HEAD.map(str::len);
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = line(&HEAD.map(str::to_owned), &widths);
    for (row, cells) in rows.iter().zip(&cells) {
        out.push_str(&line(cells, &widths));
        for (name, value, origin) in row.told(now).iter().filter(|_| full) {
            // Writing to a text never fails.
            let _ = writeln!(
                out,
                "    {name} {}  {}{}",
                plain(value, false),
                plain(&origin.name, false),
                age(origin, now).map_or_else(String::new, |age| format!(", {age}"))
            );
        }
    }
    out
}

fn cells(row: &ModelRow, now: u64) -> [String; 10] {
    let facts = &row.facts;
    let or_unknown = |text: Option<String>| text.unwrap_or_else(|| UNKNOWN.to_owned());
    let tokens = |known: Option<u64>| or_unknown(known.map(|tokens| tokens.to_string()));
    let rates = row.rates(now).map(|(rates, _)| rates).unwrap_or_default();
    let price = |rate: Option<Pico>| or_unknown(rate.map(million));
    let origin = row.origin();
    let can = row.can().join(",");
    [
        plain(row.upstream.provider.as_str(), false).into_owned(),
        plain(row.upstream.model.as_str(), false).into_owned(),
        tokens(facts.window.as_ref().map(|known| known.value)),
        tokens(facts.max_output.as_ref().map(|known| known.value)),
        price(rates.input),
        price(rates.output),
        price(rates.cache_read()),
        or_unknown((!can.is_empty()).then_some(can)),
        or_unknown(
            origin
                .as_ref()
                .map(|origin| plain(&origin.name, false).into_owned()),
        ),
        or_unknown(origin.and_then(|origin| age(&origin, now))),
    ]
}

/// Numbers stand to the right.
fn line(cells: &[String; 10], widths: &[usize; 10]) -> String {
    let cells = cells.iter().zip(widths).enumerate();
    let cells = cells.map(|(at, (cell, width))| match at {
        2..=6 => format!("{cell:>width$}"),
        _ => format!("{cell:width$}"),
    });
    let cells: Vec<String> = cells.collect();
    format!("{}\n", cells.join("  ").trim_end())
}

/// How old it is, marked after a week.
pub(super) fn age(origin: &Origin, now: u64) -> Option<String> {
    let seconds = u32::try_from(origin.age(now)?).unwrap_or(u32::MAX);
    let mark = match origin.freshness(now) {
        Freshness::Fresh => "",
        Freshness::Old | Freshness::Stale => " old",
    };
    Some(format!("{}{mark}", span(f64::from(seconds))))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::catalog::facts::{Facts, Sourced};
    use crate::domain::ids::Upstream;

    #[test]
    fn what_is_unknown_is_a_dash_and_what_is_old_is_marked() {
        let origin = |read_at| {
            Arc::new(Origin {
                name: "groq /models".into(),
                read_at,
            })
        };
        let row = |model: &str, read_at: Option<u64>| ModelRow {
            upstream: Upstream::new("groq", model),
            listed: true,
            facts: Arc::new(Facts {
                window: read_at.map(|read_at| Sourced {
                    value: 131_072,
                    origin: origin(Some(read_at)),
                }),
                ..Facts::default()
            }),
        };
        let now = 30 * 24 * 3600;
        let rows = [
            row("a", Some(now - 60)),
            row("b\u{1b}", Some(0)),
            row("c", None),
        ];
        let expected = "\
PROVIDER  MODEL    CONTEXT  OUT  $IN  $OUT  CACHED  CAPS  SOURCE        AGE
groq      a         131072    -    -     -       -  -     groq /models  60 s
groq      b\\u{1b}   131072    -    -     -       -  -     groq /models  30 d old
groq      c              -    -    -     -       -  -     -             -
";
        assert_eq!(table(&rows, false, now), expected);
        let full = table(&rows[..1], true, now);
        assert!(
            full.ends_with("    context_window 131072  groq /models, 60 s\n"),
            "{full}"
        );
        assert_eq!(table(&[], false, now), "no model is known that fits\n");
    }
}
