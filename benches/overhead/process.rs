//! The processes under test: started, found, measured from `/proc`, ended.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

#[derive(Clone, Copy)]
pub enum Kind {
    Relay,
    Pointsman,
    /// Pointsman without admin listener, without stories of requests and with nothing to send to.
    Silent,
    /// Pointsman that sends metrics, and traces of one request in a hundred.
    Telling,
}

/// A process; killed when dropped.
pub struct Running {
    child: Child,
    pub address: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Running {
    /// User and system time so far, in microseconds.
    pub fn cpu_micros(&self) -> f64 {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("stat");
        let after_name = stat.rsplit(')').next().expect("fields");
        let ticks: f64 = after_name
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|field| field.parse::<f64>().expect("ticks"))
            .sum();
        ticks * 10_000.0
    }

    /// Resident memory in KiB.
    pub fn rss_kib(&self) -> f64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("status");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .expect("VmRSS");
        line.split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse().ok())
            .expect("KiB")
    }
}

pub fn upstream() -> Running {
    role("upstream", "")
}

pub fn start(kind: Kind, upstream: &str) -> Running {
    match kind {
        Kind::Relay => role("relay", upstream),
        Kind::Pointsman => ours(upstream, ""),
        Kind::Silent => ours(
            upstream,
            "server: {admin_listen: off}\ntelemetry: {recent_requests: 0}\n",
        ),
        Kind::Telling => ours(
            upstream,
            &format!(
                "telemetry:\n  otlp: {{endpoint: 'http://{upstream}'}}\n  traces: {{sample: 0.01}}\n"
            ),
        ),
    }
}

/// Pointsman before one upstream, with `more` in its configuration.
fn ours(upstream: &str, more: &str) -> Running {
    let config = format!(
        "{more}log: {{format: json}}\nllm:\n  default_model: p\n  providers:\n    - {{name: p, base_url: 'http://{upstream}/v1', model: m, api_keys: [key-1, key-2, key-3]}}\n"
    );
    pointsman(&config).0
}

/// Milliseconds from the start of the process to its `listening` line.
pub fn start_to_ready() -> f64 {
    let mut config = "llm:\n  default_model: p0\n  providers:\n".to_owned();
    for provider in 0..20 {
        let keys: Vec<String> = (0..10).map(|key| format!("key-{provider}-{key}")).collect();
        config += &format!(
            "    - {{name: p{provider}, base_url: 'https://api{provider}.example.com/v1', model: m, api_keys: [{}]}}\n",
            keys.join(", ")
        );
    }
    let mut times: Vec<f64> = (0..5).map(|_| pointsman(&config).1).collect();
    times.sort_by(f64::total_cmp);
    times[2]
}

fn role(role: &str, upstream: &str) -> Running {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .env("OVERHEAD_ROLE", role)
        .env("OVERHEAD_UPSTREAM", upstream)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let stdout = child.stdout.take().expect("its output");
    let address = BufReader::new(stdout)
        .lines()
        .next()
        .expect("a line")
        .expect("text");
    Running { child, address }
}

/// With this configuration, and the milliseconds until it was ready.
pub fn pointsman(config: &str) -> (Running, f64) {
    let path = std::env::temp_dir().join(format!("pointsman-bench-{}.yaml", std::process::id()));
    std::fs::File::create(&path)
        .and_then(|mut file| file.write_all(config.as_bytes()))
        .expect("a file");
    let started = now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(&path)
        .env_clear()
        .stdout(Stdio::piped())
        .spawn()
        .expect("pointsman");
    let mut lines = BufReader::new(child.stdout.take().expect("its output"));
    let address = loop {
        let mut line = String::new();
        assert!(
            lines.read_line(&mut line).expect("a log line") > 0,
            "pointsman ended"
        );
        if let Some((_, rest)) = line.split_once("127.0.0.1:") {
            let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
            break format!("127.0.0.1:{port}");
        }
    };
    let ready = started.elapsed().as_secs_f64() * 1e3;
    drain(lines);
    drop(std::fs::remove_file(path));
    (Running { child, address }, ready)
}

/// The log is read, as whoever runs a service reads it.
fn drain(mut lines: BufReader<ChildStdout>) {
    std::thread::spawn(move || {
        let mut sink = [0; 64 * 1024];
        while lines.read(&mut sink).is_ok_and(|size| size > 0) {}
    });
}

#[expect(clippy::disallowed_methods, reason = "a benchmark")]
pub fn now() -> Instant {
    Instant::now()
}
