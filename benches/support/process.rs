//! The processes under test: started, found, measured from `/proc`, ended.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

/// A process; killed when dropped.
pub struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl From<Child> for Process {
    fn from(child: Child) -> Self {
        Self(child)
    }
}

impl Process {
    /// Its number, by which `/proc` knows it.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// User and system time so far, in seconds. The kernel counts them in hundredths (`proc_pid_stat(5)`).
    pub fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("stat");
        let after_name = stat.rsplit(')').next().expect("fields");
        let ticks: f64 = after_name
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|field| field.parse::<f64>().expect("ticks"))
            .sum();
        ticks / 100.0
    }

    /// A line of its status, such as `VmRSS` (resident memory) or `VmHWM` (its highest), in MiB.
    pub fn memory_mib(&self, line: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("a status");
        let line = status.lines().find(|it| it.starts_with(line));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        kib.expect("KiB") / 1024.0
    }
}

/// Starts a program and reads its lines until it has said what is wanted. The rest is read and dropped, as whoever
/// runs a service reads its log.
pub fn start<T>(mut command: Command, said: impl FnMut(&str) -> Option<T>) -> (Process, T) {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("a process");
    let output = child.stdout.take().expect("its output");
    let process = Process::from(child);
    let mut lines = BufReader::new(output);
    let told = read_until(&mut lines, said);
    thread::spawn(move || {
        let mut sink = [0; 64 * 1024];
        while lines.read(&mut sink).is_ok_and(|size| size > 0) {}
    });
    (process, told)
}

fn read_until<T>(lines: &mut BufReader<ChildStdout>, mut said: impl FnMut(&str) -> Option<T>) -> T {
    loop {
        let mut line = String::new();
        let read = lines.read_line(&mut line).expect("a line");
        assert!(read > 0, "the process ended");
        if let Some(told) = said(&line) {
            return told;
        }
    }
}

/// Pointsman with this configuration, which must say `log: {format: json}`, and the addresses of these of its listeners
/// (`data`, `admin`), all of them on ports of the system's choice.
pub fn pointsman<const N: usize>(config: &str, listeners: [&str; N]) -> (Process, [String; N]) {
    // Each has a file of its own: one that is written again would be reloaded.
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("pointsman.yaml");
    std::fs::write(&path, config).expect("a file");
    serve(
        Command::new(env!("CARGO_BIN_EXE_pointsman")),
        &path,
        listeners,
    )
}

/// The same of a file that stays, by a command that runs Pointsman with the arguments that it is given.
pub fn serve<const N: usize>(
    mut program: Command,
    config: &Path,
    listeners: [&str; N],
) -> (Process, [String; N]) {
    program
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(config)
        .env_clear();
    if listeners.contains(&"admin") {
        program.args(["--admin-listen", "127.0.0.1:0"]);
    }
    let mut addresses = [const { String::new() }; N];
    start(program, |line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let place = listeners.iter().position(|it| line["listener"] == **it)?;
        addresses[place] = line["address"].as_str()?.to_owned();
        let found = addresses.iter().all(|address| !address.is_empty());
        found.then(|| addresses.clone())
    })
}
