//! Who is compared, and how each is started: by itself, or under valgrind.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{self, Running};
use crate::support;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// With one worker, and without a log.
    Nginx,
    /// hyper on both sides.
    Hyper,
    /// axum and reqwest.
    Reqwest,
    Pointsman,
}

/// All that are installed, Pointsman last.
pub fn all() -> Vec<Peer> {
    let mut peers = vec![Peer::Hyper, Peer::Reqwest, Peer::Pointsman];
    if installed("nginx", "-v") {
        peers.insert(0, Peer::Nginx);
    } else {
        eprintln!("nginx is not installed: it is left out");
    }
    peers
}

/// Whether a program can be run.
pub fn installed(program: &str, version: &str) -> bool {
    Command::new(program)
        .arg(version)
        .output()
        .is_ok_and(|output| output.status.success())
}

/// How a program is run.
pub enum Launch {
    Plain,
    /// Under callgrind, which writes what it counted into this file.
    Counted(PathBuf),
}

impl Launch {
    pub fn command(&self, program: &str) -> Command {
        match self {
            Self::Plain => Command::new(program),
            Self::Counted(file) => {
                let mut command = Command::new("valgrind");
                let file = format!("--callgrind-out-file={}", file.display());
                command.args(["--quiet", "--tool=callgrind", &file, program]);
                command
            }
        }
    }
}

/// A peer that serves, with the files that it needs.
pub struct Served {
    pub running: Running,
    _files: Option<TempDir>,
}

impl Peer {
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Hyper => "hyper",
            Self::Reqwest => "axum + reqwest",
            Self::Pointsman => "Pointsman",
        }
    }

    pub fn start(self, upstream: &str, launch: &Launch) -> Served {
        let this = std::env::current_exe().expect("this program");
        let this = launch.command(this.to_str().expect("a path"));
        match self {
            Self::Nginx => nginx(upstream, launch),
            Self::Hyper => Served::new(process::role(this, "hyper", upstream)),
            Self::Reqwest => Served::new(process::role(this, "relay", upstream)),
            Self::Pointsman => {
                let config = process::configured(upstream, "");
                let files = tempfile::tempdir().expect("a directory");
                let path = files.path().join("pointsman.yaml");
                std::fs::write(&path, config).expect("a file");
                let program = launch.command(env!("CARGO_BIN_EXE_pointsman"));
                let (process, [address]) = support::serve(program, &path, ["data"]);
                Served {
                    running: Running { process, address },
                    _files: Some(files),
                }
            }
        }
    }
}

impl Served {
    fn new(running: Running) -> Self {
        Self {
            running,
            _files: None,
        }
    }
}

fn nginx(upstream: &str, launch: &Launch) -> Served {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("its address").to_string();
    drop(free);
    let files = tempfile::tempdir().expect("a directory");
    let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|place| format!("{place}_temp_path {place};"))
        .concat();
    // Answers are passed on as they come, as by the others; with one process, whose end is the end of all of it.
    let config = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr crit;
events {{ worker_connections 40000; }}
http {{
  access_log off; {places} client_body_buffer_size 64k;
  keepalive_timeout 1h; keepalive_requests 100000000;
  upstream up {{ server {upstream}; keepalive 512; keepalive_requests 100000000; keepalive_timeout 1h; }}
  server {{
    listen {address} backlog=4096;
    location / {{
      proxy_pass http://up; proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 1h;
      proxy_set_header connection ''; proxy_set_header authorization 'Bearer key';
    }}
  }}
}}
"
    );
    std::fs::write(files.path().join("nginx.conf"), config).expect("a file");
    let mut command = launch.command("nginx");
    command
        .arg("-p")
        .arg(files.path())
        .args(["-c", "nginx.conf"]);
    let mut child = command.spawn().expect("a process");
    while TcpStream::connect(&address).is_err() {
        assert!(matches!(child.try_wait(), Ok(None)), "nginx ended");
        super::pause(Duration::from_millis(20));
    }
    let process = child.into();
    Served {
        running: Running { process, address },
        _files: Some(files),
    }
}

/// All of these, as they are used.
pub fn started(peers: &[Peer], upstream: &str) -> Vec<Served> {
    let start = |peer: &Peer| peer.start(upstream, &Launch::Plain);
    peers.iter().map(start).collect()
}
