//! The processes that are compared.

use std::process::Command;
use std::time::Instant;

use crate::support::{self, Process};

#[derive(Clone, Copy)]
pub enum Kind {
    Pointsman,
    /// Pointsman without admin listener, without stories of requests and with nothing to send to.
    Silent,
    /// Pointsman that sends metrics, and traces of one request in a hundred.
    Telling,
    /// Pointsman that keeps answers.
    Keeping,
}

/// A process, and where it listens.
pub struct Running {
    pub process: Process,
    pub address: String,
}

impl Running {
    /// User and system time so far, in microseconds.
    pub fn cpu_micros(&self) -> f64 {
        self.process.cpu_seconds() * 1e6
    }

    /// Resident memory in KiB.
    pub fn rss_kib(&self) -> f64 {
        self.process.memory_mib("VmRSS") * 1024.0
    }
}

pub fn upstream() -> Running {
    let this = std::env::current_exe().expect("this program");
    role(Command::new(this), "upstream", "")
}

pub fn start(kind: Kind, upstream: &str) -> Running {
    match kind {
        Kind::Pointsman => ours(upstream, ""),
        Kind::Silent => ours(
            upstream,
            "server: {admin_listen: off}\ntelemetry: {recent_requests: 0}\n",
        ),
        Kind::Keeping => ours(upstream, "cache: {ttl: 1h}\n"),
        Kind::Telling => ours(
            upstream,
            &format!(
                "telemetry:\n  otlp: {{endpoint: 'http://{upstream}'}}\n  traces: {{sample: 0.01}}\n"
            ),
        ),
    }
}

/// Pointsman with limits that nobody meets, and with `more` in its configuration.
pub fn limited(upstream: &str, more: &str) -> Running {
    let config = format!(
        "{more}log: {{format: json}}\ndispatch: {{budgets: [{{amount: 90000, every: month}}]}}\nllm:\n  default_model: p\n  providers:\n    - {{name: p, base_url: 'http://{upstream}/v1', model: m, api_key: key-1, price: {{input: 0.01, output: 0.01}}, limits: {{rpm: 100000000, tpm: 100000000000, max_in_flight: 100000}}}}\n"
    );
    pointsman(&config).0
}

fn ours(upstream: &str, more: &str) -> Running {
    pointsman(&configured(upstream, more)).0
}

/// The configuration of Pointsman before one upstream, with `more` in it.
pub fn configured(upstream: &str, more: &str) -> String {
    format!(
        "{more}log: {{format: json}}\nllm:\n  default_model: p\n  providers:\n    - {{name: p, base_url: 'http://{upstream}/v1', model: m, api_keys: [key-1, key-2, key-3]}}\n"
    )
}

/// A role of this program, which `command` runs.
pub fn role(mut command: Command, role: &str, upstream: &str) -> Running {
    command
        .env("OVERHEAD_ROLE", role)
        .env("OVERHEAD_UPSTREAM", upstream);
    let (process, address) = support::start(command, |line| Some(line.trim_end().to_owned()));
    Running { process, address }
}

/// With this configuration, and the milliseconds until it was ready.
pub fn pointsman(config: &str) -> (Running, f64) {
    let started = now();
    let (process, [address]) = support::pointsman(config, ["data"]);
    let ready = started.elapsed().as_secs_f64() * 1e3;
    (Running { process, address }, ready)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark")]
pub fn now() -> Instant {
    Instant::now()
}
