//! The real binary, started as an operator would start it, and a client in front of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

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
    let mut text = yaml.to_owned();
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
    command
        .args(arguments)
        .env_clear()
        .envs(env.iter().copied())
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
    bounded("the command's end", running).await.unwrap()
}

type Lines = watch::Sender<Vec<String>>;

/// A running gateway; killed when dropped.
pub struct Gateway {
    child: Child,
    address: SocketAddr,
    lines: Arc<Lines>,
    readers: Vec<JoinHandle<()>>,
    client: Client,
    /// Its working directory, removed after it.
    _dir: TempDir,
}

/// A request in the making.
pub struct Call<'a> {
    gateway: &'a Gateway,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// As received.
    pub headers: HeaderMap,
    /// As received.
    pub body: Bytes,
}

/// An answer that arrives piece by piece.
pub struct Streamed {
    /// HTTP status.
    pub status: u16,
    /// As received.
    pub headers: HeaderMap,
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    seen: Vec<u8>,
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
        let mut child = command(dir.path(), &arguments, env).spawn().unwrap();
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
        Call {
            gateway: self,
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body,
        }
    }

    /// Sends these bytes over a fresh connection and reads until the gateway closes it.
    pub async fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut all = Vec::new();
        bounded("the connection's end", stream.read_to_end(&mut all))
            .await
            .unwrap();
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
        // The shell has `kill` built in; there is no other way without unsafe code.
        let status = std::process::Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.pid())])
            .status()
            .unwrap();
        assert!(status.success());
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
        for reader in std::mem::take(&mut self.readers) {
            bounded("the end of its output", reader).await.unwrap();
        }
        self.logs()
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
fn listening(line: &str) -> Option<SocketAddr> {
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

impl Call<'_> {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets the request wait so long for a key.
    pub fn awaits(self, duration: &str) -> Self {
        self.header("x-pointsman-await", duration)
    }

    fn request(self) -> reqwest::RequestBuilder {
        let url = format!("http://{}{}", self.gateway.address, self.path);
        let mut request = self.gateway.client.request(self.method, url);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        match self.body {
            Some(body) => request.body(body),
            None => request,
        }
    }

    /// The whole answer.
    pub async fn send(self) -> Answer {
        let response = self.request().send().await.unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap(),
        }
    }

    /// The answer as it comes.
    pub async fn stream(self) -> Streamed {
        let response = self.request().send().await.unwrap();
        Streamed {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes_stream().boxed(),
            seen: Vec::new(),
        }
    }

    /// Sends it in the background; aborting the task hangs up.
    pub fn spawn(self) -> JoinHandle<Answer> {
        let request = self.request();
        tokio::spawn(async move {
            let response = request.send().await.unwrap();
            Answer {
                status: response.status().as_u16(),
                headers: response.headers().clone(),
                body: response.bytes().await.unwrap(),
            }
        })
    }
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.body))
    }

    /// A header's value; an empty text without it.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// What the completion says.
    pub fn says(&self) -> String {
        let text = self.json()["choices"][0]["message"]["content"].clone();
        let text = text.as_str().map(str::to_owned);
        text.unwrap_or_else(|| panic!("no completion ({}): {:?}", self.status, self.body))
    }

    /// The error's code; an empty text without it.
    pub fn code(&self) -> String {
        let code = self.json()["error"]["code"].as_str().map(str::to_owned);
        code.unwrap_or_default()
    }

    /// Fails the test unless it is this error of ours, whole and well-formed.
    #[track_caller]
    pub fn assert_error(&self, status: u16, code: &str) {
        let seen = format!("{} {}", self.status, self.text());
        assert_eq!(
            (self.status, self.code().as_str()),
            (status, code),
            "{seen}"
        );
        let error = &self.json()["error"];
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{seen}"
        );
        assert!(error["type"].is_string(), "{seen}");
        assert!(error.get("param").is_some(), "{seen}");
        assert!(error["attempts"].is_array(), "{seen}");
        assert_eq!(error["request_id"], self.header("x-request-id"), "{seen}");
        assert!(
            self.header("content-type").starts_with("application/json"),
            "{seen}"
        );
    }

    /// `upstream: class` of each attempt in an error.
    pub fn attempts(&self) -> Vec<String> {
        let attempts = self.json()["error"]["attempts"].clone();
        let attempts = attempts.as_array().cloned().unwrap_or_default();
        let text = |attempt: &Value, name: &str| attempt[name].as_str().unwrap_or("?").to_owned();
        attempts
            .iter()
            .map(|attempt| format!("{}: {}", text(attempt, "upstream"), text(attempt, "class")))
            .collect()
    }

    /// `retry-after-ms`, checked against `retry-after`.
    #[track_caller]
    pub fn retry_after_ms(&self) -> u64 {
        let seconds: u64 = self
            .header("retry-after")
            .parse()
            .unwrap_or_else(|_| panic!("no retry-after: {self:?}"));
        let millis: u64 = self
            .header("retry-after-ms")
            .parse()
            .unwrap_or_else(|_| panic!("no retry-after-ms: {self:?}"));
        assert_eq!(seconds, millis.div_ceil(1000), "whole seconds, rounded up");
        millis
    }
}

impl Streamed {
    /// The next piece; `None` at the end. A broken connection fails the test.
    pub async fn next(&mut self) -> Option<Bytes> {
        let piece = bounded("a piece of the stream", self.body.next()).await?;
        let piece = piece.unwrap();
        self.seen.extend_from_slice(&piece);
        Some(piece)
    }

    /// Reads until `text` was seen.
    pub async fn until(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.seen).contains(text) {
            let more = self.next().await;
            assert!(
                more.is_some(),
                "ended before `{text}`: {:?}",
                self.seen_text()
            );
        }
    }

    /// What was read so far.
    pub fn seen_text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Reads to the end; returns everything since the beginning.
    pub async fn text(mut self) -> String {
        while self.next().await.is_some() {}
        self.seen_text()
    }

    /// A header's value; an empty text without it.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

/// The text that a stream's chunks add up to.
pub fn spoken(stream: &str) -> String {
    data(stream)
        .filter_map(|data| serde_json::from_str::<Value>(data).ok())
        .filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()))
        .collect()
}

/// The codes of a stream's error events.
pub fn errors(stream: &str) -> Vec<String> {
    data(stream)
        .filter_map(|data| serde_json::from_str::<Value>(data).ok())
        .filter(|chunk| !chunk["error"].is_null())
        .map(|chunk| chunk["error"]["code"].as_str().unwrap_or("?").to_owned())
        .collect()
}

fn data(stream: &str) -> impl Iterator<Item = &str> {
    stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
}

/// How often each value is there.
pub fn tally(values: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value.as_str()).or_default() += 1;
    }
    counts
}
