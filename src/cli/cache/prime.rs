//! `pointsman cache prime`: sends requests whose answers are not kept yet, as a client by the front door, so that they
//! are.

use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app;
use crate::cli::arguments::CachePrime;
use crate::cli::ask::{Answered, Asking, Unasked};
use crate::cli::data_listener::{DataError, DataListener};
use crate::cli::exit::{BAD_INPUT, CANNOT_BIND, NO, complain, say, say_json};

/// How long to wait for one answer: as long as requests may take.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Answers beyond that are not kept either.
const LONGEST_ANSWER: u64 = 64 * 1024 * 1024;

/// Why nothing, or not all, was sent.
#[derive(Debug, thiserror::Error)]
enum PrimeError {
    #[error("cannot read {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} line {line} {message}")]
    Line {
        path: PathBuf,
        line: usize,
        message: String,
    },
    #[error("{0} has no requests")]
    Empty(PathBuf),
    #[error(transparent)]
    Asking(#[from] DataError),
}

/// A request of the file.
#[derive(Clone, PartialEq, Debug)]
struct PrimeRequest {
    line: usize,
    path: String,
    body: String,
}

/// What has become of a request.
#[derive(Clone, PartialEq, Debug)]
enum PrimeOutcome {
    /// Its answer is kept now.
    Stored,
    /// Its answer was kept already.
    Already,
    /// It was answered, or would be, but the answer is not kept.
    NotKept(String),
    /// There is no good answer.
    Failed(String),
}

pub(super) fn run(arguments: &CachePrime) -> ExitCode {
    let as_json = arguments.json;
    match prime(arguments) {
        Ok(done) => {
            let counts = PrimeCounts::of(&done);
            if as_json {
                say_json(&format!("{:#}\n", counts.json(&done)));
            } else {
                say(&counts.table(&done));
            }
            match counts.not_kept + counts.failed {
                0 => ExitCode::SUCCESS,
                _ => ExitCode::from(NO),
            }
        }
        Err(error) => {
            complain(&app::chain(&error));
            ExitCode::from(match error {
                PrimeError::File { .. } | PrimeError::Line { .. } | PrimeError::Empty(_) => {
                    BAD_INPUT
                }
                PrimeError::Asking(_) => CANNOT_BIND,
            })
        }
    }
}

fn prime(arguments: &CachePrime) -> Result<Vec<(usize, PrimeOutcome)>, PrimeError> {
    let requests = read(&arguments.file, &arguments.route)?;
    let front = FrontDoor {
        listener: DataListener::of(&arguments.side)?,
        force: arguments.force,
    };
    let shows = !arguments.json && io::stderr().is_terminal();
    let next = AtomicUsize::new(0);
    let (sender, outcomes) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..arguments.concurrency {
            let (sender, next, front, requests) = (sender.clone(), &next, &front, &requests);
            scope.spawn(move || {
                while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = front.prime(request);
                    let is_over = outcome.is_err();
                    // Nobody listens any more when the process could not be asked.
                    if sender.send((request.line, outcome)).is_err() || is_over {
                        next.store(requests.len(), Ordering::Relaxed);
                    }
                }
            });
        }
        drop(sender);
        let mut done = Vec::with_capacity(requests.len());
        for (line, outcome) in outcomes {
            done.push((line, outcome.map_err(DataError::Unasked)?));
            if shows {
                let (count, all) = (done.len(), requests.len());
                drop(write!(io::stderr(), "\r{count} of {all}"));
            }
        }
        if shows {
            drop(writeln!(io::stderr()));
        }
        done.sort_by_key(|(line, _)| *line);
        Ok(done)
    })
}

/// The requests of a file, all of them good, or none.
fn read(path: &Path, route: &str) -> Result<Vec<PrimeRequest>, PrimeError> {
    let mut text = String::new();
    let read = match path == Path::new("-") {
        true => io::stdin().read_to_string(&mut text),
        false => std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)),
    };
    let file = |source| PrimeError::File {
        path: path.to_owned(),
        source,
    };
    read.map_err(file)?;
    let mut requests = Vec::new();
    for (line, text) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        if text.trim().is_empty() {
            continue;
        }
        let (url, body) = request(text, route).map_err(|message| PrimeError::Line {
            path: path.to_owned(),
            line,
            message,
        })?;
        requests.push(PrimeRequest {
            line,
            path: url,
            body,
        });
    }
    match requests.is_empty() {
        true => Err(PrimeError::Empty(path.to_owned())),
        false => Ok(requests),
    }
}

/// Path and body of a line.
fn request(text: &str, route: &str) -> Result<(String, String), String> {
    let line: Value = serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
    let Value::Object(mut line) = line else {
        return Err("is no JSON object".to_owned());
    };
    let is_batch = line.get("body").is_some_and(Value::is_object);
    let (url, body) = match line.remove("body") {
        Some(Value::Object(body)) if is_batch => {
            let method = line.get("method").and_then(Value::as_str);
            if method.is_some_and(|method| !method.eq_ignore_ascii_case("post")) {
                return Err("asks for another method than POST".to_owned());
            }
            let url = line.get("url").map_or(Some(route), Value::as_str);
            (url.unwrap_or_default().to_owned(), body)
        }
        other => {
            line.extend(other.map(|body| ("body".to_owned(), body)));
            (route.to_owned(), line)
        }
    };
    let is_path = url.starts_with('/') && url.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_path {
        return Err("goes nowhere: write \"url\": \"/v1/chat/completions\", say".to_owned());
    }
    let mut body = body;
    // A streamed and a whole answer are one entry, and a whole one is read in one go.
    for member in ["stream", "stream_options"] {
        body.shift_remove(member);
    }
    Ok((url, Value::Object(body).to_string()))
}

/// The data listener, and who asks there.
struct FrontDoor {
    listener: DataListener,
    force: bool,
}

impl FrontDoor {
    fn prime(&self, request: &PrimeRequest) -> Result<PrimeOutcome, Unasked> {
        // So that nothing is paid for what is there.
        let kept = self.ask(request, "only-if-cached")?;
        match (kept.status, is_never_kept(&kept)) {
            (200..=299, _) => return Ok(PrimeOutcome::Already),
            (504, Some(false)) => {}
            (504, Some(true)) => {
                let why = "answers to such requests are never kept (docs/cache.md says to which they are)";
                return Ok(PrimeOutcome::NotKept(why.to_owned()));
            }
            _ => return Ok(PrimeOutcome::Failed(told(&kept))),
        }
        let answered = self.ask(request, "")?;
        Ok(
            match (answered.status, answered.header("x-pointsman-cache")) {
                (200..=299, "hit" | "coalesced") => PrimeOutcome::Stored,
                (200..=299, _) if answered.header("cache-status").contains("stored") => {
                    PrimeOutcome::Stored
                }
                (200..=299, _) => PrimeOutcome::NotKept("its answer was not kept".to_owned()),
                _ => PrimeOutcome::Failed(told(&answered)),
            },
        )
    }

    fn ask(&self, request: &PrimeRequest, cache_control: &str) -> Result<Answered, Unasked> {
        let (path, length) = (&request.path, request.body.len());
        let authorization = self.listener.authorization();
        let mut text = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{authorization}"
        );
        for (name, value) in [
            ("cache-control", cache_control),
            ("x-pointsman-cache", if self.force { "force" } else { "" }),
        ] {
            if !value.is_empty() {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        text.push_str("\r\n");
        text.push_str(&request.body);
        let asking = Asking {
            request: text.into_bytes(),
            timeout: TIMEOUT,
            longest: LONGEST_ANSWER,
        };
        self.listener.ask(asking)
    }
}

/// Of an answer that says that nothing is kept, whether nothing ever is; `None` for any other. Each dialect has the words in
/// another place.
fn is_never_kept(answered: &Answered) -> Option<bool> {
    let is_none_kept = answered.body.contains("not_cached");
    is_none_kept.then(|| answered.body.contains("such requests"))
}

/// An error for people.
fn told(answered: &Answered) -> String {
    let body: Value = serde_json::from_str(&answered.body).unwrap_or_default();
    let error = &body["error"];
    let word = |name: &str| error[name].as_str().unwrap_or_default();
    format!("{} {}: {}", answered.status, word("code"), word("message"))
}

/// How many came to which end.
#[derive(Default)]
struct PrimeCounts {
    stored: usize,
    already: usize,
    not_kept: usize,
    failed: usize,
}

impl PrimeCounts {
    fn of(done: &[(usize, PrimeOutcome)]) -> Self {
        let mut counts = Self::default();
        for (_, outcome) in done {
            *match outcome {
                PrimeOutcome::Stored => &mut counts.stored,
                PrimeOutcome::Already => &mut counts.already,
                PrimeOutcome::NotKept(_) => &mut counts.not_kept,
                PrimeOutcome::Failed(_) => &mut counts.failed,
            } += 1;
        }
        counts
    }

    fn table(&self, done: &[(usize, PrimeOutcome)]) -> String {
        let mut out = format!(
            "{} requests: {} stored, {} stored already, {} not kept, {} failed\n",
            done.len(),
            self.stored,
            self.already,
            self.not_kept,
            self.failed
        );
        for (line, outcome) in done {
            let (end, why) = match outcome {
                PrimeOutcome::Stored | PrimeOutcome::Already => continue,
                PrimeOutcome::NotKept(why) => ("not kept", why),
                PrimeOutcome::Failed(why) => ("failed", why),
            };
            out.push_str(&format!(
                "  line {line}: {end}: {why}
"
            ));
        }
        out
    }

    fn json(&self, done: &[(usize, PrimeOutcome)]) -> Value {
        let lines = done.iter().filter_map(|(line, outcome)| match outcome {
            PrimeOutcome::Stored | PrimeOutcome::Already => None,
            PrimeOutcome::NotKept(why) => {
                Some(json!({"line": line, "result": "not_kept", "why": why}))
            }
            PrimeOutcome::Failed(why) => {
                Some(json!({"line": line, "result": "failed", "why": why}))
            }
        });
        json!({
            "requests": done.len(),
            "stored": self.stored,
            "already": self.already,
            "not_kept": self.not_kept,
            "failed": self.failed,
            "lines": lines.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bodies_or_those_of_batches() {
        let read = |text: &str| request(text, "/v1/chat/completions");
        let plain = read(r#"{"model": "m", "stream": true, "messages": []}"#).unwrap();
        assert_eq!(plain.0, "/v1/chat/completions");
        assert_eq!(plain.1, r#"{"model":"m","messages":[]}"#);
        let batch = r#"{"custom_id": "1", "method": "POST", "url": "/v1/embeddings", "body": {"input": "x"}}"#;
        let expected = ("/v1/embeddings".to_owned(), r#"{"input":"x"}"#.to_owned());
        assert_eq!(read(batch), Ok(expected));
        for wrong in [
            "[]",
            "{",
            r#"{"url": "https://api.example/v1/embeddings", "body": {}}"#,
            r#"{"url": "/v1/a b", "body": {}}"#,
            r#"{"url": 3, "body": {}}"#,
            r#"{"method": "GET", "url": "/v1/models", "body": {}}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_line_that_is_not_kept_is_named() {
        let done = [
            (1, PrimeOutcome::Stored),
            (2, PrimeOutcome::Already),
            (4, PrimeOutcome::NotKept("so".to_owned())),
            (5, PrimeOutcome::Failed("429 x: y".to_owned())),
        ];
        let counts = PrimeCounts::of(&done);
        let expected = "\
4 requests: 1 stored, 1 stored already, 1 not kept, 1 failed
  line 4: not kept: so
  line 5: failed: 429 x: y
";
        assert_eq!(counts.table(&done), expected);
        assert_eq!(counts.json(&done)["lines"][1]["why"], "429 x: y");
    }
}
