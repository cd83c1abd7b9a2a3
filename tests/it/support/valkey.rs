//! A real server of the Redis protocol, as Debian packages it: started on a free port, killed when dropped.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::gateway::signal;
use super::temp::TempDir;
use super::wait::until;

/// A running server.
pub struct ValkeyProcess {
    child: Child,
    port: u16,
    options: Vec<String>,
    dir: TempDir,
}

impl ValkeyProcess {
    /// With these options, such as `--requirepass word`; `None`, with a word, where none is installed.
    pub async fn start(options: &[&str]) -> Option<Self> {
        Self::start_in(TempDir::new(), options).await
    }

    /// The same with files in this directory.
    #[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
    pub async fn start_in(dir: TempDir, options: &[&str]) -> Option<Self> {
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let Some(child) = spawn(port, &options, &dir) else {
            println!("skipped: neither valkey-server nor redis-server is installed");
            return None;
        };
        let server = Self {
            child,
            port,
            options,
            dir,
        };
        server.listens().await;
        Some(server)
    }

    async fn listens(&self) {
        until("the server to listen", async || {
            TcpStream::connect(("127.0.0.1", self.port)).await.is_ok()
        })
        .await;
    }

    /// The port that it was told.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A URL without a password.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// By the signal's name without `SIG`.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Ends it at once, with all that it holds.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, empty, at the same port.
    pub async fn restart(&mut self) {
        self.child = spawn(self.port, &self.options, &self.dir).unwrap();
        self.listens().await;
    }

    /// What it answers to one command, texts one after the other.
    pub async fn says(&self, command: &[&[u8]]) -> Vec<Vec<u8>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut request = format!("*{}\r\n", command.len()).into_bytes();
        for part in command {
            request.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
            request.extend_from_slice(part);
            request.extend_from_slice(b"\r\n");
        }
        stream.get_mut().write_all(&request).await.unwrap();
        let (mut left, mut said) = (1, Vec::new());
        while left > 0 {
            left -= 1;
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            let (kind, rest) = line.trim_end().split_at(1);
            match kind {
                "*" => left += rest.parse::<i32>().unwrap(),
                "$" if rest != "-1" => {
                    let mut text = vec![0; rest.parse::<usize>().unwrap() + 2];
                    stream.read_exact(&mut text).await.unwrap();
                    text.truncate(text.len() - 2);
                    said.push(text);
                }
                "$" => said.push(Vec::new()),
                _ => said.push(rest.as_bytes().to_vec()),
            }
        }
        said
    }

    /// The names of all that it holds.
    pub async fn names(&self) -> Vec<String> {
        let names = self.says(&[b"KEYS", b"*"]).await;
        let mut names: Vec<String> = names
            .into_iter()
            .map(|name| String::from_utf8(name).unwrap())
            .collect();
        names.sort();
        names
    }

    /// The names of the entries of the cache.
    pub async fn entries(&self) -> Vec<String> {
        let mut names = self.names().await;
        names.retain(|name| name.contains(":v1:"));
        names
    }

    /// All that it holds, names and values.
    pub async fn everything(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for name in self.names().await {
            all.extend_from_slice(name.as_bytes());
            all.extend(self.says(&[b"GET", name.as_bytes()]).await.concat());
        }
        all
    }
}

fn spawn(port: u16, options: &[String], dir: &TempDir) -> Option<Child> {
    let port = port.to_string();
    let start = |program: &str| {
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        // With TLS alone the port is said by the options.
        if options.iter().any(|option| option == "--tls-port") {
            command.args(["--port", "0"]);
        } else {
            command.args(["--port", &port]);
        }
        let options = options.iter().map(|option| option.replace("PORT", &port));
        command.args(options).current_dir(dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.spawn().ok()
    };
    start("valkey-server").or_else(|| start("redis-server"))
}

impl Drop for ValkeyProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
