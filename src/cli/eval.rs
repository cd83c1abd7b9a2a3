//! `pointsman eval`: asks targets of a running process, and says whether their answers are as they should be.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use serde_json::{Value, json};

use super::arguments::EvalArguments;
use super::ask::{Asking, Unasked};
use super::data_listener::{DataError, DataListener};
use super::exit::{BAD_INPUT, CANNOT_BIND, NO, SOFTWARE, complain, say, say_json};
use super::progress::ProgressLine;
use crate::app;
use crate::domain::money::Pico;
use crate::domain::shown::plain;
use crate::eval::{
    CaseResult, EvalAnswer, EvalCase, EvalError, EvalFile, EvalTarget, judged, junit, read,
};
use crate::runtime::clock::Clock;

/// The largest file that is read, in bytes.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
/// The longest answer, in bytes.
const LONGEST_ANSWER: u64 = 64 * 1024 * 1024;
/// The most characters of an output in a report for people.
const LONGEST_OUTPUT: usize = 200;

/// Why there is no evaluation.
#[derive(Debug, thiserror::Error)]
enum EvalFailure {
    #[error("cannot read {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} cannot be taken")]
    Taken { path: PathBuf, source: EvalError },
    #[error("no target: name one with --target, or under `targets` in {0}")]
    NoTarget(PathBuf),
    #[error(transparent)]
    Asking(#[from] DataError),
    #[error("cannot write {path}")]
    Report { path: PathBuf, source: io::Error },
}

pub(super) fn run(arguments: &EvalArguments) -> ExitCode {
    match evaluated(arguments) {
        Ok(results) => finish(arguments, &results),
        Err(error) => {
            complain(&app::chain(&error));
            ExitCode::from(match error {
                EvalFailure::File { .. } | EvalFailure::Taken { .. } | EvalFailure::NoTarget(_) => {
                    BAD_INPUT
                }
                EvalFailure::Report { .. } => SOFTWARE,
                EvalFailure::Asking(_) => CANNOT_BIND,
            })
        }
    }
}

fn finish(arguments: &EvalArguments, results: &[CaseResult]) -> ExitCode {
    if arguments.json {
        say_json(&format!("{:#}\n", to_json(results)));
    } else {
        say(&table(results));
    }
    match share(results) >= arguments.threshold {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(NO),
    }
}

fn evaluated(arguments: &EvalArguments) -> Result<Vec<CaseResult>, EvalFailure> {
    let mut file = file(&arguments.file)?;
    if !arguments.target.is_empty() {
        file.targets = arguments.target.iter().map(|name| of_name(name)).collect();
    }
    if file.targets.is_empty() {
        return Err(EvalFailure::NoTarget(arguments.file.clone()));
    }
    let front = EvalFront {
        listener: DataListener::of(&arguments.side)?,
        arguments,
        clock: Clock::start(),
    };
    let results = front.all(&file)?;
    if let Some(path) = &arguments.junit {
        let written = std::fs::write(path, junit(&results));
        written.map_err(|source| EvalFailure::Report {
            path: path.clone(),
            source,
        })?;
    }
    Ok(results)
}

fn file(path: &Path) -> Result<EvalFile, EvalFailure> {
    let mut text = String::new();
    let read_all = match path == Path::new("-") {
        true => io::stdin()
            .lock()
            .take(MOST_BYTES)
            .read_to_string(&mut text),
        false => File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text)),
    };
    read_all.map_err(|source| EvalFailure::File {
        path: path.to_owned(),
        source,
    })?;
    read(&text).map_err(|source| EvalFailure::Taken {
        path: path.to_owned(),
        source,
    })
}

fn of_name(name: &str) -> EvalTarget {
    EvalTarget {
        label: name.to_owned(),
        model: name.to_owned(),
        body: serde_json::Map::new(),
        tools: Vec::new(),
    }
}

/// The data listener, and how it is asked.
struct EvalFront<'a> {
    listener: DataListener,
    arguments: &'a EvalArguments,
    clock: Clock,
}

impl EvalFront<'_> {
    /// Every case at every target, in the order of the file: the targets of each case beside one another.
    fn all(&self, file: &EvalFile) -> Result<Vec<CaseResult>, EvalFailure> {
        let cases = file.cases.iter();
        let pairs = cases.flat_map(|case| file.targets.iter().map(move |target| (case, target)));
        let pairs: Vec<(&EvalCase, &EvalTarget)> = pairs.collect();
        let progress = ProgressLine::new(pairs.len(), self.arguments.json);
        let next = AtomicUsize::new(0);
        let (sender, outcomes) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..self.arguments.concurrency {
                let (sender, next, pairs) = (sender.clone(), &next, &pairs);
                scope.spawn(move || {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some((case, target)) = pairs.get(at) else {
                            return;
                        };
                        let outcome = self.one(case, target);
                        let is_over = outcome.is_err();
                        // Nobody listens any more when the process could not be asked.
                        if sender.send((at, outcome)).is_err() || is_over {
                            next.store(pairs.len(), Ordering::Relaxed);
                        }
                    }
                });
            }
            drop(sender);
            let mut results = Vec::with_capacity(pairs.len());
            for (at, outcome) in outcomes {
                results.push((at, outcome.map_err(DataError::Unasked)?));
                progress.step();
            }
            results.sort_by_key(|(at, _)| *at);
            Ok(results.into_iter().map(|(_, result)| result).collect())
        })
    }

    fn one(&self, case: &EvalCase, target: &EvalTarget) -> Result<CaseResult, Unasked> {
        let mut body = case.body(target);
        if let Value::Object(body) = &mut body {
            body.shift_remove("stream");
        }
        let body = body.to_string();
        let authorization = self.listener.authorization();
        let text = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\n{authorization}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let asking = Asking {
            request: text.into_bytes(),
            timeout: self.arguments.timeout,
            longest: LONGEST_ANSWER,
        };
        let started = self.clock.now();
        let answered = match self.listener.ask(asking) {
            Ok(answered) => answered,
            Err(Unasked::Silent { timeout, .. }) => {
                let why = format!("no answer within {} s", timeout.as_secs());
                return Ok(judged(case, target, Err(why)));
            }
            Err(error) => return Err(error),
        };
        let took = self.clock.now().since(started);
        let answer = match answered.status {
            200 => EvalAnswer::read(&answered.body).map(|answer| EvalAnswer {
                millis: took.as_secs_f64() * 1e3,
                cost: Pico::parse(answered.header("x-pointsman-cost")),
                upstream: answered.header("x-pointsman-upstream").to_owned(),
                ..answer
            }),
            status => {
                let error: Value = serde_json::from_str(&answered.body).unwrap_or_default();
                let word = |name: &str| error["error"][name].as_str().unwrap_or_default();
                Err(format!("{status} {}: {}", word("code"), word("message")))
            }
        };
        Ok(judged(case, target, answer))
    }
}

/// The share of cases that passed.
fn share(results: &[CaseResult]) -> f64 {
    let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    let passed = results.iter().filter(|it| it.passed).count();
    match results.len() {
        0 => 0.0,
        all => count(passed) / count(all),
    }
}

/// The matrix for people: a row for each case, a column for each target, and what did not hold.
fn table(results: &[CaseResult]) -> String {
    let mut targets: Vec<&str> = Vec::new();
    let mut cases: Vec<&str> = Vec::new();
    for result in results {
        for (all, name) in [(&mut targets, &result.target), (&mut cases, &result.case)] {
            if !all.contains(&name.as_str()) {
                all.push(name);
            }
        }
    }
    let width = cases.iter().map(|name| name.chars().count()).max();
    let width = width.unwrap_or_default().clamp(4, 60);
    let mut out = format!("{:width$}", "CASE");
    // Writing to a text never fails.
    for target in &targets {
        let _ = write!(out, "  {:>12}", plain(target, false));
    }
    out.push('\n');
    for case in &cases {
        let _ = write!(out, "{:width$}", plain(case, false));
        for target in &targets {
            let mut of = results.iter();
            let found = of.find(|it| it.case == *case && it.target == *target);
            let cell = found.map_or_else(String::new, cell);
            let column = target.chars().count().max(12);
            let _ = write!(out, "  {cell:>column$}");
        }
        out.push('\n');
    }
    out.push('\n');
    for result in results.iter().filter(|it| !it.passed) {
        failed(result, &mut out);
    }
    let passed = results.iter().filter(|it| it.passed).count();
    let _ = writeln!(out, "{passed} of {} passed", results.len());
    out
}

fn cell(result: &CaseResult) -> String {
    match (&result.answer, result.passed) {
        (Err(_), _) => "ERROR".to_owned(),
        (Ok(_), true) => format!("PASS {:.2}", result.score),
        (Ok(_), false) => format!("FAIL {:.2}", result.score),
    }
}

fn failed(result: &CaseResult, out: &mut String) {
    let (case, target) = (plain(&result.case, false), plain(&result.target, false));
    match &result.answer {
        Err(why) => {
            let _ = writeln!(out, "{case} at {target}: {}", plain(why, false));
        }
        Ok(answer) => {
            let _ = writeln!(out, "{case} at {target}:");
            for assertion in result.assertions.iter().filter(|it| !it.passed) {
                let reason = plain(&assertion.reason, false);
                let _ = writeln!(out, "  {}: {reason}", assertion.name);
            }
            let output: String = answer.output().chars().take(LONGEST_OUTPUT).collect();
            let _ = writeln!(out, "  output: {}", plain(&output, false));
        }
    }
}

/// The results for machines.
fn to_json(results: &[CaseResult]) -> Value {
    let all = results.iter().map(|result| {
        let assertions = result.assertions.iter().map(|assertion| {
            json!({
                "type": assertion.name,
                "weight": assertion.weight,
                "pass": assertion.passed,
                "reason": assertion.reason,
            })
        });
        let answer = result.answer.as_ref();
        json!({
            "target": result.target,
            "case": result.case,
            "pass": result.passed,
            "score": result.score,
            "error": answer.err(),
            "output": answer.ok().map(EvalAnswer::output),
            "finish_reason": answer.ok().map(|answer| &answer.finish_reason),
            "upstream": answer.ok().map(|answer| &answer.upstream),
            "latency_ms": answer.ok().map(|answer| answer.millis),
            "cost": answer.ok().and_then(|answer| answer.cost).map(|cost| cost.to_string()),
            "assertions": assertions.collect::<Vec<_>>(),
        })
    });
    let count = |fits: fn(&CaseResult) -> bool| results.iter().filter(|it| fits(it)).count();
    json!({
        "results": all.collect::<Vec<_>>(),
        "passed": count(|it| it.passed),
        "failed": count(|it| !it.passed && it.answer.is_ok()),
        "errors": count(|it| it.answer.is_err()),
    })
}
