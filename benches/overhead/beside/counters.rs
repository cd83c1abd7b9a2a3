//! What a process has spent so far, from `/proc`; and its system calls, counted by strace.

use std::collections::HashMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::process::Running;

/// How long strace may take to attach to all threads.
const ATTACHED: u32 = 200;
const LOOK: Duration = Duration::from_millis(10);

/// Of each thread: nanoseconds on a processor, and context switches.
pub struct Reading(HashMap<String, (f64, f64)>);

/// What was spent between two readings.
#[derive(Default)]
pub struct Spent {
    pub cpu_micros: f64,
    pub switches: f64,
}

impl Reading {
    /// Of a process as it is now.
    pub fn of(running: &Running) -> Self {
        let threads = threads(running).into_iter().filter_map(|path| {
            let nanos = fs::read_to_string(format!("{path}/schedstat")).ok()?;
            let nanos = nanos.split(' ').next()?.parse().ok()?;
            let status = fs::read_to_string(format!("{path}/status")).ok()?;
            let switches = status
                .lines()
                .filter(|line| line.contains("voluntary_ctxt_switches"))
                .filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok())
                .sum();
            Some((path, (nanos, switches)))
        });
        Self(threads.collect())
    }

    /// From then until now. What threads spent that have ended is not in it.
    pub fn spent(&self, running: &Running) -> Spent {
        let mut spent = Spent::default();
        for (thread, (nanos, switches)) in Self::of(running).0 {
            let before = self.0.get(&thread).copied().unwrap_or_default();
            spent.cpu_micros += (nanos - before.0) / 1e3;
            spent.switches += switches - before.1;
        }
        spent
    }
}

fn threads(running: &Running) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", running.process.id()));
    tasks
        .expect("its threads")
        .flatten()
        .map(|thread| thread.path().to_string_lossy().into_owned())
        .collect()
}

/// How many system calls a process makes during some work, by strace; by `/proc/PID/io` only those that read and write, where
/// strace is not there or may not look.
pub struct Tracer {
    pub is_allowed: bool,
}

impl Tracer {
    pub fn new() -> Self {
        let is_allowed = super::peers::installed("strace", "-V");
        Self { is_allowed }
    }

    pub async fn calls(&mut self, running: &Running, work: impl Future) -> f64 {
        if self.is_allowed {
            let out = tempfile::NamedTempFile::new().expect("a file");
            let mut strace = Command::new("strace")
                .args(["-q", "-c", "-f", "-o"])
                .arg(out.path())
                .args(["-p", &running.process.id().to_string()])
                .stderr(Stdio::null())
                .spawn()
                .expect("strace");
            for _ in 0..ATTACHED {
                tokio::time::sleep(LOOK).await;
                if threads(running).iter().all(|it| is_traced(it)) {
                    work.await;
                    let pid = Pid::from_child(&strace);
                    kill_process(pid, Signal::INT).expect("a signal");
                    drop(strace.wait());
                    return total(&fs::read_to_string(out.path()).expect("a summary"));
                }
            }
            drop(strace.kill());
            drop(strace.wait());
            eprintln!("strace may not look: only calls that read or write are counted");
            self.is_allowed = false;
        }
        let before = io(running);
        work.await;
        io(running) - before
    }
}

fn is_traced(thread: &str) -> bool {
    let status = fs::read_to_string(format!("{thread}/status")).unwrap_or_default();
    let tracer = status.lines().find(|line| line.starts_with("TracerPid"));
    tracer.is_some_and(|line| !line.ends_with("\t0"))
}

/// The calls in strace's summary: the fourth column of its last line.
fn total(summary: &str) -> f64 {
    let line = summary.lines().rfind(|line| line.ends_with(" total"));
    let calls = line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    calls.expect("a total")
}

fn io(running: &Running) -> f64 {
    let io = fs::read_to_string(format!("/proc/{}/io", running.process.id()));
    io.expect("its calls")
        .lines()
        .filter(|line| line.starts_with("sysc"))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok())
        .sum()
}
