//! Runs the scripts: by their hashes, so that a text goes over once for each server, and as texts where the server does not
//! know them or the user may not name them.

use std::sync::OnceLock;
use std::time::Duration;

use redis::{ErrorKind, FromRedisValue, Pipeline, RedisError, ServerErrorKind, ToRedisArgs};
use tokio::time::Instant;

use crate::store::valkey::link::{Link, LinkFault};
use crate::wire::fleet::script::script_hash;

/// A script of the fleet.
#[derive(Debug)]
pub(super) struct FleetScript {
    text: &'static str,
    hash: OnceLock<String>,
}

impl FleetScript {
    pub(super) const fn new(text: &'static str) -> Self {
        Self {
            text,
            hash: OnceLock::new(),
        }
    }

    fn hash(&self) -> &str {
        self.hash.get_or_init(|| script_hash(self.text))
    }

    /// A call of it with so many keys, which come first among its arguments.
    pub(super) fn call(&'static self, keys: usize) -> ScriptCall {
        ScriptCall {
            script: self,
            keys,
            arguments: Vec::new(),
        }
    }
}

/// What a script is run with.
#[derive(Clone, Debug)]
pub(super) struct ScriptCall {
    script: &'static FleetScript,
    keys: usize,
    arguments: Vec<Vec<u8>>,
}

impl ScriptCall {
    pub(super) fn arg(&mut self, argument: impl ToRedisArgs) -> &mut Self {
        argument.write_redis_args(&mut self.arguments);
        self
    }
}

/// How this connection's server is told which script to run.
#[derive(Debug)]
pub(super) struct ScriptRunner {
    /// What the answers to one order may take.
    limit: Duration,
    /// By hashes; the server has not refused that.
    by_hash: bool,
}

impl ScriptRunner {
    pub(super) const fn new(limit: Duration) -> Self {
        Self {
            limit,
            by_hash: true,
        }
    }

    /// Another connection: it may be another server, or the user may have other rights.
    pub(super) fn reconnected(&mut self) {
        self.by_hash = true;
    }

    /// Runs one script.
    pub(super) async fn run<T: FromRedisValue>(
        &mut self,
        link: &Link,
        call: ScriptCall,
    ) -> Result<T, LinkFault> {
        let mut answers = self.run_all(link, &[call]).await?;
        answers.pop().ok_or(LinkFault::Lost)
    }

    /// Runs several at once, within the limit for all. What one of them answers comes at its place.
    pub(super) async fn run_all<T: FromRedisValue>(
        &mut self,
        link: &Link,
        calls: &[ScriptCall],
    ) -> Result<Vec<T>, LinkFault> {
        let until = Instant::now() + self.limit;
        let mut answers: Vec<Option<T>> = calls.iter().map(|_| None).collect();
        let mut forbidden = None;
        if self.by_hash {
            let by_hash = calls.iter().map(|call| (call, false));
            let results = link
                .ask_each::<T>(&mut pipeline(by_hash), self.limit)
                .await?;
            for (answer, result) in answers.iter_mut().zip(results) {
                match result {
                    Ok(given) => *answer = Some(given),
                    Err(error) if is_unknown(&error) => {}
                    Err(error) if forbids_scripts(&error.to_string()) => {
                        self.by_hash = false;
                        forbidden = Some(error);
                    }
                    Err(error) => return Err(link.refused(&error)),
                }
            }
        }
        let open = || calls.iter().zip(&answers).filter(|(_, it)| it.is_none());
        if open().next().is_some() {
            let texts = open().map(|(call, _)| (call, true));
            let left = until.saturating_duration_since(Instant::now());
            let given: Vec<T> = link.ask(&pipeline(texts), left).await?;
            // Whoever may run none at all is told that, and not this.
            if let Some(error) = forbidden {
                link.runs_whole_scripts(&error);
            }
            let places = answers.iter_mut().filter(|it| it.is_none());
            for (answer, given) in places.zip(given) {
                *answer = Some(given);
            }
        }
        let answers: Option<Vec<T>> = answers.into_iter().collect();
        answers.ok_or(LinkFault::Lost)
    }
}

fn pipeline<'a>(calls: impl Iterator<Item = (&'a ScriptCall, bool)>) -> Pipeline {
    let mut commands = redis::pipe();
    for (call, as_text) in calls {
        let script = call.script;
        let command = if as_text {
            commands.cmd("EVAL").arg(script.text)
        } else {
            commands.cmd("EVALSHA").arg(script.hash())
        };
        command.arg(call.keys).arg(&call.arguments);
    }
    commands
}

/// The server does not have it: it began anew, or has forgotten it.
fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// Whether a refusal says that scripts may not be run, in this way at least.
pub(super) fn forbids_scripts(words: &str) -> bool {
    let lower = words.to_ascii_lowercase();
    let reasons = [
        "noperm",
        "permission",
        "unknown command",
        "not allowed",
        "disabled",
    ];
    lower.contains("eval") && reasons.iter().any(|reason| lower.contains(reason))
}
