//! The end of a process, and its replacement by another one: nothing that was taken in is lost, and what cannot be
//! finished says so.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use command_fds::{CommandFdExt, FdMapping};
use reqwest::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;

use crate::support::client::{errors, spoken};
use crate::support::gateway::{command, filled};
use crate::support::raw::{self, H2, answer, kept, rest};
use crate::support::temp::TempDir;
use crate::support::wait::bounded;
use crate::support::{
    At, Behaviour, Gate, Gateway, Match, ONE, ScriptedUpstream, chat, chat_stream, ms, serving,
    until,
};

#[tokio::test]
async fn what_does_not_finish_in_time_says_so() {
    let (a, mut gateway) = serving("drain: {timeout: 400ms}, stream_keepalive: 50ms").await;
    a.on(
        Match::any(),
        [Behaviour::says("never").hang(At::BeforeHead)],
    );
    a.on(
        Match::model("s"),
        [Behaviour::streams(&["be", "gun"]).hang(At::AfterPart(2))],
    );
    let whole = gateway.chat("a").spawn();
    let mut stream = gateway.chat_stream("a:s").stream().await;
    stream.until("be").await;
    // One whose upstream says nothing, kept alive by comments.
    let mut silent = gateway.chat_stream("a").stream().await;
    silent.until("keep-alive").await;
    let mut h2 = H2::over(gateway.connect().await).await;
    let multiplexed = h2.send("/v1/chat/completions", chat_stream("a:s")).await;
    a.wait_for(4).await;
    gateway.signal("TERM");
    let whole = whole.await.unwrap();
    whole.assert_error(503, "draining");
    assert_eq!(whole.retry_after_ms(), 1000);
    let multiplexed = raw::text(multiplexed.unwrap()).await;
    for (text, said) in [
        (stream.text().await, "be"),
        (silent.text().await, ""),
        (multiplexed, "be"),
    ] {
        assert_eq!(errors(&text), ["draining"], "{text}");
        assert_eq!(spoken(&text), said);
        assert!(!text.contains("[DONE]"), "{text}");
    }
    assert_eq!(gateway.wait_exit().await.code(), Some(0));
    until("the log to tell", async || {
        let logs = gateway.logs();
        let told = r#""outcome":"draining""#;
        logs.iter().filter(|line| line.contains(told)).count() == 4
    })
    .await;
}

#[tokio::test]
async fn a_request_whose_body_is_not_there_yet_says_so_too() {
    let (_a, mut gateway) = serving("drain: {timeout: 200ms}").await;
    let mut slow = gateway.connect().await;
    let request = kept("/v1/chat/completions", &chat("a"));
    let request = request.replacen("\r\n", "\r\nexpect: 100-continue\r\n", 1);
    let half = request.len() - 10;
    slow.write_all(&request.as_bytes()[..half]).await.unwrap();
    // Its body is waited for.
    let asked = answer(&mut slow).await;
    assert!(asked.starts_with("HTTP/1.1 100"), "{asked}");
    gateway.signal("TERM");
    let answer = rest(&mut slow).await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("draining"),
        "{answer}"
    );
    assert_eq!(gateway.wait_exit().await.code(), Some(0));
}

#[tokio::test]
async fn kept_connections_are_told_to_close_and_are_served_until_then() {
    let (a, mut gateway) = serving("drain: {delay: 500ms, timeout: 10s}").await;
    let gate = Gate::new();
    a.on(
        Match::model("s"),
        [Behaviour::streams(&["be", "gun"]).gate(At::AfterPart(2), &gate)],
    );
    let request = kept("/v1/chat/completions", &chat("a"));
    let mut one = gateway.connect().await;
    one.write_all(request.as_bytes()).await.unwrap();
    let before = answer(&mut one).await;
    assert!(
        before.contains("200 OK") && !before.contains("connection: close"),
        "{before}"
    );
    // Keeps the process from ending.
    let mut stream = gateway.chat_stream("a:s").stream().await;
    stream.until("be").await;
    gateway.signal("TERM");
    until("readiness to turn", async || {
        gateway.get("/health/ready").send().await.status == 503
    })
    .await;
    let mut other = gateway.connect().await;
    one.write_all(request.as_bytes()).await.unwrap();
    let during = rest(&mut one).await;
    assert!(
        during.contains("200 OK") && during.contains("connection: close"),
        "{during}"
    );
    until("the listener to close", async || {
        TcpStream::connect(gateway.address()).await.is_err()
    })
    .await;
    // It had connected just before, and was silent until now.
    other.write_all(request.as_bytes()).await.unwrap();
    let after = rest(&mut other).await;
    assert!(
        after.contains("200 OK") && after.contains("connection: close"),
        "{after}"
    );
    gate.open();
    assert!(stream.text().await.contains("[DONE]"));
    assert_eq!(gateway.wait_exit().await.code(), Some(0));
}

#[tokio::test]
async fn http2_connections_are_told_to_go_and_finish_what_they_began() {
    let (a, mut gateway) = serving("drain: {delay: 1s, timeout: 10s}").await;
    let gate = Gate::new();
    a.on(
        Match::any(),
        [Behaviour::says("finished").gate(At::BeforeHead, &gate)],
    );
    let mut h2 = H2::over(gateway.connect().await).await;
    let idle = H2::over(gateway.connect().await).await;
    let asking = tokio::spawn(async move {
        let answer = h2.ask("/v1/chat/completions", chat("a")).await;
        (answer, h2)
    });
    a.wait_for(1).await;
    gateway.signal("TERM");
    bounded("the idle one to be told", idle.connection)
        .await
        .unwrap()
        .unwrap();
    // Whoever comes while it drains is served first.
    let mut late = H2::over(gateway.connect().await).await;
    assert_eq!(late.ask("/health/ready", String::new()).await.0, 503);
    gate.open();
    let ((status, text), mut h2) = asking.await.unwrap();
    assert!(status == 200 && text.contains("finished"), "{text}");
    h2.send("/health/live", String::new()).await.unwrap_err();
    assert_eq!(gateway.wait_exit().await.code(), Some(0));
}

/// Callers that ask without a pause until they are told to stop, some on kept connections, some on one per request.
struct Load {
    stop: Arc<AtomicBool>,
    callers: Vec<JoinHandle<Vec<String>>>,
    asked: Arc<AtomicUsize>,
}

/// Where the load goes.
#[derive(Clone)]
enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Load {
    fn on(target: &Target) -> Self {
        let (stop, asked) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let callers = (0..8).map(|number| {
            let (stop, asked, target) = (Arc::clone(&stop), Arc::clone(&asked), target.clone());
            tokio::spawn(async move {
                let client = Client::builder().no_proxy().timeout(ms(10_000));
                let client = client.build().unwrap();
                let mut failures = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let asking = async {
                        match &target {
                            Target::Tcp(address) if number % 2 == 0 => {
                                kept_request(&client, *address).await
                            }
                            Target::Tcp(address) => {
                                let stream = TcpStream::connect(address).await;
                                once(stream.map_err(|error| error.to_string())?).await
                            }
                            Target::Unix(path) => {
                                let stream = UnixStream::connect(path).await;
                                once(stream.map_err(|error| error.to_string())?).await
                            }
                        }
                    };
                    failures.extend(asking.await.err());
                    asked.fetch_add(1, Ordering::Relaxed);
                }
                failures
            })
        });
        Self {
            callers: callers.collect(),
            stop,
            asked,
        }
    }

    /// Completes after so many requests more.
    async fn goes_on(&self, requests: usize) {
        let until_count = self.asked.load(Ordering::Relaxed) + requests;
        until("the load to go on", async || {
            self.asked.load(Ordering::Relaxed) >= until_count
        })
        .await;
    }

    /// Fails the test if any request failed.
    #[expect(clippy::print_stderr, reason = "the figures that it is run for")]
    async fn ends_well(self) {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for caller in self.callers {
            failures.extend(bounded("a caller", caller).await.unwrap());
        }
        let asked = self.asked.load(Ordering::Relaxed);
        eprintln!("{asked} requests, {} failed", failures.len());
        assert!(
            failures.is_empty(),
            "{} of {asked}: {failures:?}",
            failures.len()
        );
    }
}

async fn kept_request(client: &Client, address: SocketAddr) -> Result<(), String> {
    let url = format!("http://{address}/v1/chat/completions");
    let sent = client.post(url).body(chat("a")).send().await;
    let response = sent.map_err(|error| format!("{error:?}"))?;
    let status = response.status();
    let text = response
        .text()
        .await
        .map_err(|error| format!("{error:?}"))?;
    match status.as_u16() {
        200 => Ok(()),
        _ => Err(text),
    }
}

async fn once(mut stream: impl tokio::io::AsyncRead + AsyncWriteExt + Unpin) -> Result<(), String> {
    let request = kept("/v1/chat/completions", &chat_stream("a:s"));
    let request = request.replacen("host: localhost", "host: localhost\r\nconnection: close", 1);
    let told = async {
        stream.write_all(request.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        std::io::Result::Ok(text)
    };
    let text = told.await.map_err(|error| error.to_string())?;
    match text.contains("200 OK") && text.contains("[DONE]") {
        true => Ok(()),
        false => Err(text),
    }
}

async fn upstream() -> ScriptedUpstream {
    let a = ScriptedUpstream::playing([Behaviour::says("ok").late(ms(5))]).await;
    let stream = Behaviour::streams(&["x", "y", "z"]).between(ms(5));
    a.on(Match::model("s"), [stream]);
    a
}

fn directory(server: &str, a: &ScriptedUpstream) -> TempDir {
    let dir = TempDir::new();
    let yaml = format!("server: {{{server}}}{ONE}");
    dir.write("pointsman.yaml", &filled(&yaml, &[("a", a)]));
    dir
}

/// How often a process is replaced; `POINTSMAN_TEST_ROLLS=100` with `--nocapture` gives figures.
fn rolls() -> usize {
    let asked = std::env::var("POINTSMAN_TEST_ROLLS");
    asked.map_or(3, |rolls| rolls.parse().unwrap())
}

async fn leaves(mut old: Gateway) {
    old.signal("TERM");
    assert_eq!(old.wait_exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_passed_socket_goes_from_process_to_process_without_a_failed_request() {
    let a = upstream().await;
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let start = async || {
        let dir = directory("drain: {timeout: 10s}", &a);
        let mut command = command(dir.path(), &["serve", "--admin-listen", "off"], &[]);
        command.env("LISTEN_FDS", "1");
        let mapping = FdMapping {
            parent_fd: socket.try_clone().unwrap().into(),
            child_fd: 3,
        };
        command.fd_mappings(vec![mapping]).unwrap();
        Gateway::start_as(dir, command).await
    };
    let mut old = start().await;
    let load = Load::on(&Target::Tcp(socket.local_addr().unwrap()));
    for _ in 0..rolls() {
        load.goes_on(50).await;
        let new = start().await;
        leaves(std::mem::replace(&mut old, new)).await;
    }
    load.goes_on(50).await;
    load.ends_well().await;
}

#[tokio::test]
async fn a_shared_port_goes_from_process_to_process_without_a_failed_request() {
    let a = upstream().await;
    let server = "reuse_port: true, drain: {timeout: 10s}";
    let mut old = Gateway::start_in(directory(server, &a), &[], &[]).await;
    let address = old.address();
    let load = Load::on(&Target::Tcp(address));
    for _ in 0..rolls() {
        load.goes_on(50).await;
        let listen = address.to_string();
        // The first `--listen` is the helper's own.
        let dir = directory(server, &a);
        let arguments = ["serve", "--listen", &listen, "--admin-listen", "off"];
        let command = command(dir.path(), &arguments, &[]);
        let new = Gateway::start_as(dir, command).await;
        leaves(std::mem::replace(&mut old, new)).await;
    }
    load.goes_on(50).await;
    load.ends_well().await;
}

#[tokio::test]
async fn a_unix_socket_goes_from_process_to_process_without_a_failed_request() {
    let a = upstream().await;
    let place = TempDir::new();
    let path = place.path().join("p.sock");
    let listen = format!("unix:{}", path.display());
    let start = async || {
        let dir = directory("reuse_port: true, drain: {timeout: 10s}", &a);
        let gateway = Gateway::start_in(dir, &["--listen", &listen], &[]).await;
        gateway.logged(&listen).await;
        gateway
    };
    let mut old = start().await;
    let load = Load::on(&Target::Unix(path.clone()));
    for _ in 0..rolls() {
        load.goes_on(50).await;
        let new = start().await;
        leaves(std::mem::replace(&mut old, new)).await;
    }
    load.goes_on(50).await;
    load.ends_well().await;
    leaves(old).await;
    assert!(!path.exists());
}

#[tokio::test]
async fn the_end_is_not_held_up_by_who_never_leaves() {
    // Nothing else ends them soon.
    let server = "drain: {timeout: 300ms}, timeouts: {head: 10m, idle: 10m}";
    let (_a, mut gateway) = serving(server).await;
    let mut half = gateway.connect().await;
    half.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let _h2 = H2::over(gateway.connect().await).await;
    let _idle = gateway.connect().await;
    until("them to be taken", async || {
        gateway.health("/in_flight").await == 0
    })
    .await;
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit().await.code(), Some(0));
}

#[tokio::test]
async fn who_waits_to_be_accepted_when_the_listener_closes_is_served() {
    let place = TempDir::new();
    let path = place.path().join("p.sock");
    let listen = format!("unix:{}", path.display());
    let a = upstream().await;
    for server in ["", "reuse_port: true"] {
        let mut gateway =
            Gateway::start_in(directory(server, &a), &["--listen", &listen], &[]).await;
        gateway.logged(&listen).await;
        // Asleep, it can neither accept nor hear the signal before it hears both.
        gateway.signal("STOP");
        let request = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let (mut tcp, mut unix) = (Vec::new(), Vec::new());
        // More than are accepted in one go.
        for _ in 0..200 {
            tcp.push(gateway.connect().await);
            unix.push(UnixStream::connect(&path).await.unwrap());
        }
        for stream in &mut tcp {
            stream.write_all(request).await.unwrap();
        }
        for stream in &mut unix {
            stream.write_all(request).await.unwrap();
        }
        gateway.signal("TERM");
        gateway.signal("CONT");
        for stream in &mut tcp {
            assert!(rest(stream).await.starts_with("HTTP/1.1 200"), "{server}");
        }
        for stream in &mut unix {
            assert!(rest(stream).await.starts_with("HTTP/1.1 200"), "{server}");
        }
        assert_eq!(gateway.wait_exit().await.code(), Some(0));
    }
}
