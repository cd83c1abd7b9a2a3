//! The process under test: started, measured from `/proc`, ended.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;

/// Pointsman; killed when dropped.
pub struct Gateway {
    child: Child,
    address: String,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Gateway {
    /// In front of this upstream: as `p`, and as `w` with a small window, so that tokens are counted.
    pub fn start(upstream: &str) -> Self {
        let provider = |name: &str, more: &str| {
            format!(
                "    - {{name: {name}, model: m, api_key: key, base_url: 'http://{upstream}/v1', retry: {{same_upstream: 0}}{more}}}\n"
            )
        };
        let config = format!(
            "log: {{format: json}}\nserver: {{max_body: 64MiB}}\ndispatch: {{await_cooldown: 0s, deadline: 15s}}\nllm:\n  providers:\n{}{}",
            provider("p", ""),
            provider("w", ", context_window: 1000"),
        );
        let path =
            std::env::temp_dir().join(format!("pointsman-memory-{}.yaml", std::process::id()));
        std::fs::write(&path, config).expect("a file");
        let mut child = Command::new(env!("CARGO_BIN_EXE_pointsman"))
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--admin-listen",
                "off",
                "--config",
            ])
            .arg(&path)
            .env_clear()
            .stdout(Stdio::piped())
            .spawn()
            .expect("pointsman");
        let mut lines = BufReader::new(child.stdout.take().expect("its output"));
        let address = loop {
            let mut line = String::new();
            let read = lines.read_line(&mut line).expect("a log line");
            assert!(read > 0, "pointsman ended");
            if let Some((_, rest)) = line.split_once("127.0.0.1:") {
                let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
                break format!("127.0.0.1:{port}");
            }
        };
        // The log is read, as whoever runs a service reads it.
        thread::spawn(move || {
            let mut sink = [0; 64 * 1024];
            while lines.read(&mut sink).is_ok_and(|size| size > 0) {}
        });
        drop(std::fs::remove_file(path));
        Self { child, address }
    }

    pub fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).expect("a connection")
    }

    /// A line of its status, `VmRSS` or `VmHWM`, in MiB.
    pub fn memory(&self, line: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("a status");
        let line = status.lines().find(|it| it.starts_with(line));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        kib.expect("KiB") / 1024.0
    }

    /// User and system time so far.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("its times");
        let fields = stat.rsplit(')').next().expect("fields").split_whitespace();
        let ticks: f64 = fields
            .skip(11)
            .take(2)
            .map(|field| field.parse::<f64>().expect("ticks"))
            .sum();
        ticks / 100.0
    }
}
