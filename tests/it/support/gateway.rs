//! The real binary, started as an operator would start it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::sync::Arc;

use reqwest::{Client, Method};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::client::Call;
use super::planted;
use super::temp::TempDir;
use super::wait::bounded;
use super::{PATIENCE, Refusing, ScriptedUpstream, chat, chat_stream};

/// Where a configuration's placeholder `<name>` leads.
pub trait Place {
    /// The base URL.
    fn url(&self) -> String;
}

impl Place for ScriptedUpstream {
    fn url(&self) -> String {
        self.base_url()
    }
}

impl Place for Refusing {
    fn url(&self) -> String {
        self.base_url()
    }
}

impl Place for String {
    fn url(&self) -> String {
        self.clone()
    }
}

/// Fills in `<name>`; adds JSON logs unless the text has a `log` section of its own.
pub fn filled(yaml: &str, places: &[(&str, &dyn Place)]) -> String {
    let mut text = planted::in_yaml(yaml);
    for (name, place) in places {
        text = text.replace(&format!("<{name}>"), &place.url());
    }
    if !text.lines().any(|line| line.starts_with("log:")) {
        text.push_str("\nlog: {format: json, level: info}\n");
    }
    text
}

/// The binary with a clean environment, in a directory of its own.
pub fn command(dir: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    let marked = env
        .iter()
        .map(|(name, value)| (*name, planted::in_variable(name, value)));
    command
        .args(arguments)
        .env_clear()
        .envs(marked)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs a command to its end.
pub async fn run(dir: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Output {
    let running = command(dir, arguments, env).output();
    let output = bounded("the command's end", running).await.unwrap();
    planted::assert_clean("what a command printed", &output.stdout);
    planted::assert_clean("what a command complained about", &output.stderr);
    output
}

type Lines = watch::Sender<Vec<String>>;

/// Sends a process a signal, by the signal's name without `SIG`.
pub fn signal(pid: u32, name: &str) {
    // The shell has `kill` built in; there is no other way without unsafe code.
    let status = std::process::Command::new("sh")
        .args(["-c", &format!("kill -{name} {pid}")])
        .status()
        .unwrap();
    assert!(status.success());
}

/// A running gateway; killed when dropped, when all that it ever wrote is searched for keys.
pub struct Gateway {
    child: Child,
    address: SocketAddr,
    lines: Arc<Lines>,
    readers: Vec<JoinHandle<()>>,
    client: Client,
    /// Its working directory, removed after it.
    _dir: TempDir,
}

impl Gateway {
    /// Serves this configuration. `places` fill in its `<name>`s.
    pub async fn start(yaml: &str, places: &[(&str, &dyn Place)]) -> Self {
        Self::start_with(yaml, places, &[]).await
    }

    /// The same with environment variables.
    pub async fn start_with(
        yaml: &str,
        places: &[(&str, &dyn Place)],
        env: &[(&str, &str)],
    ) -> Self {
        let dir = TempDir::new();
        dir.write("gateway.yaml", &filled(yaml, places));
        let arguments = ["--config", "gateway.yaml"];
        Self::start_in(dir, &arguments, env).await
    }

    /// `serve` with these arguments in that directory.
    pub async fn start_in(dir: TempDir, arguments: &[&str], env: &[(&str, &str)]) -> Self {
        let listen = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off"];
        let arguments = [&listen[..], arguments].concat();
        let command = command(dir.path(), &arguments, env);
        Self::start_as(dir, command).await
    }

    /// What this command runs.
    pub async fn start_as(dir: TempDir, mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = Arc::new(Lines::default());
        let mut readers = vec![
            collect(child.stdout.take().unwrap(), &lines),
            collect(child.stderr.take().unwrap(), &lines),
        ];
        let mut seen = lines.subscribe();
        let address = bounded("the gateway to listen", async {
            loop {
                let found = seen
                    .borrow_and_update()
                    .iter()
                    .find_map(|line| listening(line));
                if let Some(address) = found {
                    return address;
                }
                tokio::select! {
                    changed = seen.changed() => changed.unwrap(),
                    status = child.wait() => {
                        for reader in &mut readers {
                            drop(reader.await);
                        }
                        panic!("the gateway ended: {status:?}\n{}", lines.borrow().join("\n"));
                    }
                }
            }
        })
        .await;
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .unwrap();
        Self {
            child,
            address,
            lines,
            readers,
            client,
            _dir: dir,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A fresh connection to it.
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// A `GET`.
    pub fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path, None)
    }

    /// A `POST` of this body.
    pub fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Call<'_> {
        self.call(Method::POST, path, Some(body.into()))
            .header("content-type", "application/json")
    }

    /// A chat request with this body.
    pub fn post_chat(&self, body: impl Into<Vec<u8>>) -> Call<'_> {
        self.post("/v1/chat/completions", body)
    }

    /// A small chat request for `model`.
    pub fn chat(&self, model: &str) -> Call<'_> {
        self.post_chat(chat(model))
    }

    /// A small streamed chat request for `model`.
    pub fn chat_stream(&self, model: &str) -> Call<'_> {
        self.post_chat(chat_stream(model))
    }

    fn call(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Call<'_> {
        self.call_at(self.address, method, path, body)
    }

    /// A request to another of its addresses.
    pub fn call_at(
        &self,
        address: SocketAddr,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Call<'_> {
        Call::new(
            &self.client,
            method,
            format!("http://{address}{path}"),
            body,
        )
    }

    /// Sends these bytes over a fresh connection and reads until the gateway closes it.
    pub async fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        let mut all = Vec::new();
        bounded("the connection's end", stream.read_to_end(&mut all))
            .await
            .unwrap();
        planted::assert_clean("an answer", &all);
        all
    }

    /// A number from `/health`.
    pub async fn health(&self, pointer: &str) -> i64 {
        let health = self.get("/health").send().await.json();
        let number = health.pointer(pointer).and_then(Value::as_i64);
        number.unwrap_or_else(|| panic!("no {pointer} in {health}"))
    }

    /// Log lines so far.
    pub fn logs(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// Completes when a log line contains `text`; returns it.
    pub async fn logged(&self, text: &str) -> String {
        let mut seen = self.lines.subscribe();
        let has = |lines: &Vec<String>| lines.iter().any(|line| line.contains(text));
        let lines = bounded(format!("the log line `{text}`"), seen.wait_for(has)).await;
        let lines = lines.unwrap();
        lines
            .iter()
            .find(|line| line.contains(text))
            .unwrap()
            .clone()
    }

    /// Sends a signal by name, `TERM` say.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Completes when the process has ended.
    pub async fn wait_exit(&mut self) -> ExitStatus {
        bounded("the process's end", self.child.wait())
            .await
            .unwrap()
    }

    /// Ends the process and returns everything it ever wrote.
    pub async fn finish(mut self) -> Vec<String> {
        self.signal("TERM");
        self.wait_exit().await;
        self.finish_reading().await
    }

    /// Everything that a process ever wrote which has ended.
    pub async fn finish_reading(&mut self) -> Vec<String> {
        for reader in std::mem::take(&mut self.readers) {
            bounded("the end of its output", reader).await.unwrap();
        }
        self.logs()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            planted::assert_clean("the log", self.lines.borrow().join("\n").as_bytes());
        }
    }
}

fn collect(from: impl AsyncRead + Unpin + Send + 'static, into: &Arc<Lines>) -> JoinHandle<()> {
    let into = Arc::clone(into);
    tokio::spawn(async move {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            into.send_modify(|lines| lines.push(line));
        }
    })
}

/// The address in a line of the event `listening`, in JSON or as text.
pub fn listening(line: &str) -> Option<SocketAddr> {
    if !line.contains("listening") {
        return None;
    }
    if let Ok(event) = serde_json::from_str::<Value>(line) {
        let address = event
            .get("address")
            .or_else(|| event.pointer("/fields/address"))?;
        return address.as_str()?.parse().ok();
    }
    let (_, rest) = line.split_once("address=")?;
    let address = rest.split_whitespace().next()?;
    address.trim_matches('"').parse().ok()
}
