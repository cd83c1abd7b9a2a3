//! `pointsman keys test`: which keys of a configuration their providers take.

use std::process::ExitCode;

use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::arguments::{KeysCommand, KeysTest};
use super::exit::{NO, USAGE, complain, load, say, say_json, start};
use super::progress::ProgressLine;
use crate::app::key_tests::{KeyTest, KeyTestOptions, count, test_keys};
use crate::config::Config;
use crate::domain::key_verdict::KeyVerdict;
use crate::domain::near::near;
use crate::domain::shown::plain;

const HEAD: [&str; 8] = [
    "PROVIDER", "KEY", "SOURCE", "STATUS", "HTTP", "MS", "MODELS", "NOTE",
];
/// What is not known.
const UNKNOWN: &str = "-";
/// The most characters of a note in a table.
const LONGEST_NOTE: usize = 120;

pub(super) fn run(command: &KeysCommand) -> ExitCode {
    let KeysCommand::Test(arguments) = command;
    let config = match load(&arguments.reading) {
        Ok(config) => config,
        Err(code) => return code,
    };
    if let Some(why) = unknown(&config, &arguments.providers) {
        complain(&why);
        return ExitCode::from(USAGE);
    }
    let runtime = match start(Builder::new_current_thread()) {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    let options = options(arguments);
    let progress = ProgressLine::new(count(&config, &options), arguments.reading.json);
    let tests = runtime.block_on(test_keys(&config, &options, &|_| progress.step()));
    drop(progress);
    if arguments.reading.json {
        say_json(&format!("{:#}\n", to_json(&tests)));
    } else {
        say(&table(&tests));
    }
    let is_bad = |test: &KeyTest| test.verdict == KeyVerdict::Invalid;
    match tests.iter().any(is_bad) {
        true => ExitCode::from(NO),
        false => ExitCode::SUCCESS,
    }
}

fn options(arguments: &KeysTest) -> KeyTestOptions {
    KeyTestOptions {
        providers: arguments.providers.clone(),
        live: arguments.live,
        concurrency: arguments.concurrency.into(),
        per_provider: arguments.per_provider.into(),
        timeout: arguments.timeout,
    }
}

/// What is wrong with the names of providers, if anything is.
fn unknown(config: &Config, names: &[String]) -> Option<String> {
    let known = || {
        config
            .providers
            .iter()
            .map(|provider| provider.name.as_str())
    };
    let name = names
        .iter()
        .find(|name| !known().any(|other| other == *name))?;
    let meant = near(name, known());
    let hint = meant.first().map_or_else(
        || {
            format!(
                "configured with keys are: {}",
                known().collect::<Vec<_>>().join(", ")
            )
        },
        |meant| format!("did you mean `{meant}`?"),
    );
    Some(format!("no provider `{name}` is configured; {hint}"))
}

/// The keys for people.
fn table(tests: &[KeyTest]) -> String {
    let rows: Vec<[String; 8]> = tests.iter().map(cells).collect();
    let mut widths = HEAD.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let head = HEAD.map(str::to_owned);
    let lines = std::iter::once(&head).chain(&rows);
    let mut out: String = lines.map(|row| line(row, &widths)).collect();
    out.push_str(&format!("{}\n", summary(tests)));
    out
}

fn cells(test: &KeyTest) -> [String; 8] {
    let or_unknown = |text: Option<String>| text.unwrap_or_else(|| UNKNOWN.to_owned());
    let short = |text: &str| plain(text, false).into_owned();
    let key = match &test.masked {
        Some(masked) => format!("#{} {masked}", test.number),
        None => "none needed".to_owned(),
    };
    let mut note: String = test.note.chars().take(LONGEST_NOTE).collect();
    if note.len() < test.note.len() {
        note.push('…');
    }
    [
        short(&test.provider),
        key,
        short(&test.source),
        test.verdict.as_str().to_owned(),
        or_unknown(test.http.map(|status| status.to_string())),
        or_unknown(test.millis.map(|millis| millis.to_string())),
        or_unknown(test.models.map(|models| models.to_string())),
        short(&note),
    ]
}

/// Numbers stand to the right.
fn line(cells: &[String; 8], widths: &[usize; 8]) -> String {
    let cells = cells.iter().zip(widths).enumerate();
    let cells = cells.map(|(at, (cell, width))| match at {
        4..=6 => format!("{cell:>width$}"),
        _ => format!("{cell:width$}"),
    });
    let cells: Vec<String> = cells.collect();
    format!("{}\n", cells.join("  ").trim_end())
}

fn counts(tests: &[KeyTest]) -> impl Iterator<Item = (&'static str, usize)> {
    KeyVerdict::ALL.into_iter().map(|verdict| {
        let of = tests.iter().filter(|test| test.verdict == verdict);
        (verdict.as_str(), of.count())
    })
}

fn summary(tests: &[KeyTest]) -> String {
    let counts = counts(tests).filter(|(_, count)| *count > 0);
    let counts = counts.map(|(name, count)| format!("{count} {name}"));
    format!(
        "{} keys: {}",
        tests.len(),
        counts.collect::<Vec<_>>().join(", ")
    )
}

/// The same for machines.
fn to_json(tests: &[KeyTest]) -> Value {
    let keys = tests.iter().map(|test| {
        json!({
            "id": format!("{}#{}", test.provider, test.number),
            "provider": test.provider,
            "key": test.masked,
            "source": test.source,
            "status": test.verdict.as_str(),
            "http": test.http,
            "ms": test.millis,
            "models": test.models,
            "note": test.note,
        })
    });
    let counts: serde_json::Map<String, Value> = counts(tests)
        .map(|(name, count)| (name.to_owned(), json!(count)))
        .collect();
    json!({"keys": keys.collect::<Vec<_>>(), "counts": counts})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(number: usize, verdict: KeyVerdict) -> KeyTest {
        KeyTest {
            provider: "groq".to_owned(),
            number,
            masked: Some("****cdef".to_owned()),
            source: format!("env GROQ_API_KEYS[{number}]"),
            verdict,
            http: (number < 3).then_some(200),
            millis: (number < 3).then_some(81),
            models: (number == 1).then_some(20),
            note: "x".repeat(if number == 3 { 200 } else { 0 }),
        }
    }

    #[test]
    fn a_row_for_each_key_and_a_line_for_all() {
        let tests = [
            test(1, KeyVerdict::Ok),
            test(2, KeyVerdict::Invalid),
            test(3, KeyVerdict::Unreachable),
        ];
        let text = table(&tests);
        let expected = "\
PROVIDER  KEY          SOURCE                STATUS       HTTP  MS  MODELS  NOTE
groq      #1 ****cdef  env GROQ_API_KEYS[1]  ok            200  81      20
groq      #2 ****cdef  env GROQ_API_KEYS[2]  invalid       200  81       -
groq      #3 ****cdef  env GROQ_API_KEYS[3]  unreachable     -   -       -  ";
        assert!(text.starts_with(expected), "{text}");
        let last = "x…\n3 keys: 1 ok, 1 invalid, 1 unreachable\n";
        assert!(text.ends_with(last), "{text}");
        let json = to_json(&tests);
        assert_eq!(json["keys"][1]["status"], "invalid");
        assert_eq!(json["keys"][2]["http"], Value::Null);
        assert_eq!(json["counts"]["no_credit"], 0);
    }
}
