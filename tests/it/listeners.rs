//! Where connections come in: sockets, HTTP/2 without TLS, and limits against slow, greedy and numerous clients.

use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use command_fds::{CommandFdExt, FdMapping};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};

use crate::support::client::{errors, spoken};
use crate::support::gateway::{command, filled, run};
use crate::support::raw::{self, H2, answer, kept, rest, tell};
use crate::support::temp::TempDir;
use crate::support::wait::bounded;
use crate::support::{
    At, Behaviour, Gate, Gateway, Match, ONE, ScriptedUpstream, chat, chat_stream, ms, serving,
    until,
};

const HEALTH: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn half_a_head_is_answered_with_408_and_closed() {
    let (_a, gateway) = serving("timeouts: {head: 300ms, idle: 10m}").await;
    let mut slow = gateway.connect().await;
    let started = Instant::now();
    let answer = tell(&mut slow, b"GET /health/live HTTP/1.1\r\nhost: ").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(started.elapsed() >= ms(300));
}

#[tokio::test]
async fn more_of_a_head_from_time_to_time_does_not_help() {
    let (_a, gateway) = serving("timeouts: {head: 300ms, idle: 10m}").await;
    // After a whole request, so that the connection is not new.
    let mut slow = gateway.connect().await;
    slow.write_all(HEALTH).await.unwrap();
    assert!(answer(&mut slow).await.starts_with("HTTP/1.1 200"));
    let (mut read, mut write) = slow.into_split();
    let dripping = tokio::spawn(async move {
        write.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        while write.write_all(b"x-more: 1\r\n").await.is_ok() {
            tokio::time::sleep(ms(20)).await;
        }
    });
    let answer = rest(&mut read).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    dripping.abort();
}

#[tokio::test]
async fn idle_connections_are_closed_and_those_with_a_request_are_not() {
    let (a, gateway) = serving("timeouts: {head: 200ms, idle: 400ms}").await;
    let gate = Gate::new();
    a.on(
        Match::any(),
        [Behaviour::says("late").gate(At::BeforeHead, &gate)],
    );
    let mut busy = gateway.connect().await;
    let request = kept("/v1/chat/completions", &chat("a"));
    busy.write_all(request.as_bytes()).await.unwrap();
    a.wait_for(1).await;
    let (mut new, mut used) = (gateway.connect().await, gateway.connect().await);
    used.write_all(HEALTH).await.unwrap();
    assert!(answer(&mut used).await.starts_with("HTTP/1.1 200"));
    let started = Instant::now();
    assert_eq!(rest(&mut used).await, "");
    assert!(started.elapsed() >= ms(300));
    assert_eq!(rest(&mut new).await, "");
    // More than a connection that is told to end would get.
    tokio::time::sleep(ms(1500)).await;
    gate.open();
    assert!(answer(&mut busy).await.contains("late"));
}

#[tokio::test]
async fn heads_that_are_too_large_are_answered_with_431() {
    let (_a, gateway) = serving("max_head: 4KiB").await;
    let fill = "x".repeat(3000);
    let head = |more: &str| {
        format!(
            "GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-fill: {fill}{more}\r\n\r\n"
        )
    };
    let mut stream = gateway.connect().await;
    let answer = tell(&mut stream, head("").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut stream = gateway.connect().await;
    let answer = tell(&mut stream, head(&fill).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let mut h2 = H2::over(gateway.connect().await).await;
    assert_eq!(h2.ask("/health/live", String::new()).await.0, 200);
    let long = format!("/health/live?{}", fill.repeat(2));
    assert_eq!(h2.ask(&long, String::new()).await.0, 431);
}

#[tokio::test]
async fn a_body_that_stops_coming_is_an_error_and_one_that_goes_on_is_not() {
    let (a, gateway) = serving("timeouts: {body: 300ms}").await;
    let request = kept("/v1/chat/completions", &chat("a"));
    let half = request.len() - 20;
    let mut stuck = gateway.connect().await;
    let answer = tell(&mut stuck, &request.as_bytes()[..half]).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("server.timeouts.body"), "{answer}");
    assert_eq!(a.count(), 0);
    let mut slow = gateway.connect().await;
    for piece in request.as_bytes()[..half]
        .chunks(half / 4)
        .chain([&request.as_bytes()[half..]])
    {
        slow.write_all(piece).await.unwrap();
        tokio::time::sleep(ms(100)).await;
    }
    assert!(raw::answer(&mut slow).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn more_connections_than_allowed_are_told_why_and_places_are_given_back() {
    let (a, gateway) = serving("max_connections: 2").await;
    // Idle ones would give way.
    a.on(Match::any(), [Behaviour::says("x").hang(At::BeforeHead)]);
    let mut first = gateway.connect().await;
    let mut second = gateway.connect().await;
    for stream in [&mut first, &mut second] {
        let request = kept("/v1/chat/completions", &chat("a"));
        stream.write_all(request.as_bytes()).await.unwrap();
    }
    a.wait_for(2).await;
    let refused = tell(&mut gateway.connect().await, HEALTH).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    let (head, body) = refused.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("retry-after: 1")
            && head.contains(&format!("content-length: {}", body.len()))
    );
    assert!(body.contains("max_connections"), "{body}");
    drop(first);
    until("a place", async || {
        let mut stream = gateway.connect().await;
        drop(stream.write_all(HEALTH).await);
        answer(&mut stream).await.starts_with("HTTP/1.1 200")
    })
    .await;
}

#[tokio::test]
async fn http2_without_tls_is_recognised() {
    let (a, gateway) = serving("max_in_flight: 100").await;
    a.on(Match::model("s"), [Behaviour::streams(&["be", "gun"])]);
    let mut h2 = H2::over(gateway.connect().await).await;
    let (status, text) = h2.ask("/v1/chat/completions", chat("a")).await;
    assert!(status == 200 && text.contains("ok"), "{status} {text}");
    let (status, text) = h2.ask("/v1/chat/completions", chat_stream("a:s")).await;
    assert_eq!((status, spoken(&text).as_str()), (200, "begun"));
    assert!(text.contains("[DONE]"), "{text}");
    // Half a preface is no reason to give up, nor to hang.
    let mut stream = gateway.connect().await;
    stream.write_all(b"PRI * HT").await.unwrap();
    tokio::time::sleep(ms(20)).await;
    let answer = tell(&mut stream, b"ML\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn http2_can_be_switched_off() {
    let (_a, gateway) = serving("http2: off").await;
    let answer = tell(
        &mut gateway.connect().await,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    )
    .await;
    assert!(!answer.contains('\0'), "{answer:?}");
    assert_eq!(gateway.get("/health/live").send().await.status, 200);
}

#[tokio::test]
async fn an_http2_client_that_leaves_or_stops_reading_gives_its_upstream_up() {
    let (a, gateway) = serving("timeouts: {write: 300ms}").await;
    // More than a client takes without reading.
    let large = "x".repeat(40_000);
    let parts: Vec<&str> = std::iter::repeat_n(large.as_str(), 80).collect();
    a.on(
        Match::model("s"),
        [Behaviour::streams(&parts).hang(At::AfterPart(81))],
    );
    a.on(
        Match::model("h"),
        [Behaviour::streams(&["x", "y"]).hang(At::AfterPart(2))],
    );
    let mut h2 = H2::over(gateway.connect().await).await;
    let unread = h2.send("/v1/chat/completions", chat_stream("a:s")).await;
    a.cancelled().await;
    let text = raw::text(unread.unwrap()).await;
    assert!(!text.contains("[DONE]") && errors(&text).is_empty());
    // The connection is as good as before.
    assert_eq!(h2.ask("/health/live", String::new()).await.0, 200);
    let left = h2.send("/v1/chat/completions", chat_stream("a:h")).await;
    a.wait_for(2).await;
    drop(left);
    until("the upstream to be left", async || {
        a.requests()[1].cancelled
    })
    .await;
}

#[tokio::test]
async fn an_idle_http2_connection_is_told_to_leave() {
    let (_a, gateway) = serving("timeouts: {idle: 300ms}").await;
    let mut h2 = H2::over(gateway.connect().await).await;
    assert_eq!(h2.ask("/health/live", String::new()).await.0, 200);
    bounded("the end", h2.connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn streams_beyond_the_limit_wait() {
    let (a, gateway) = serving("http2: {max_streams: 1}").await;
    let gate = Gate::new();
    a.on(
        Match::any(),
        [Behaviour::says("ok").gate(At::BeforeHead, &gate)],
    );
    let mut h2 = H2::over(gateway.connect().await).await;
    assert_eq!(h2.ask("/health/live", String::new()).await.0, 200);
    let first = h2.send("/v1/chat/completions", chat("a"));
    let held = async {
        a.wait_for(1).await;
        gate.open();
    };
    let (first, ()) = tokio::join!(first, held);
    assert!(raw::text(first.unwrap()).await.contains("ok"));
}

/// Frames of HTTP/2 as bytes: length, type, flags, stream, payload.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()];
    [&head.concat(), payload].concat()
}

#[tokio::test]
async fn a_client_that_opens_and_resets_without_end_is_thrown_out() {
    let (_a, gateway) = serving("http2: {max_resets: 5}").await;
    let mut stream = gateway.connect().await;
    let mut all = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    all.extend(frame(4, 0, 0, &[]));
    for n in 0..200 {
        // GET http / from the static table, then CANCEL.
        all.extend(frame(1, 5, 2 * n + 1, &[0x82, 0x86, 0x84, 0x41, 1, b'x']));
        all.extend(frame(3, 0, 2 * n + 1, &[0, 0, 0, 8]));
    }
    let answer = tell(&mut stream, &all).await;
    assert!(answer.contains("too_many_resets"), "{answer:?}");
    assert_eq!(gateway.get("/health/live").send().await.status, 200);
}

/// A directory with a configuration that has this `server` section.
async fn directory(server: &str, a: &ScriptedUpstream) -> TempDir {
    let dir = TempDir::new();
    let yaml = format!("server: {{{server}}}{ONE}");
    dir.write("pointsman.yaml", &filled(&yaml, &[("a", a)]));
    dir
}

async fn live(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).await.unwrap();
    let request = b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    tell(&mut stream, request).await
}

#[tokio::test]
async fn a_unix_socket_speaks_both_and_has_the_mode_it_is_given() {
    let a = ScriptedUpstream::start().await;
    let dir = directory("unix: {mode: '0600'}", &a).await;
    let path = dir.path().join("p.sock");
    // Left behind by somebody who crashed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listen = format!("unix:{}", path.display());
    let mut gateway = Gateway::start_in(dir, &["--listen", &listen], &[]).await;
    gateway.logged(&listen).await;
    assert!(live(&path).await.starts_with("HTTP/1.1 200"));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut h2 = H2::over(UnixStream::connect(&path).await.unwrap()).await;
    assert_eq!(h2.ask("/health/live", String::new()).await.0, 200);
    drop(h2);
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit().await.code(), Some(0));
    assert!(!path.exists());
}

#[tokio::test]
async fn a_live_socket_is_not_taken_away() {
    let a = ScriptedUpstream::start().await;
    let dir = directory("", &a).await;
    let path = dir.path().join("p.sock");
    let theirs = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let listen = format!("unix:{}", path.display());
    let arguments = ["serve", "--listen", &listen, "--admin-listen", "off"];
    let output = run(dir.path(), &arguments, &[]).await;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(69), "{text}");
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    drop((path.exists(), theirs));
}

#[tokio::test]
async fn a_live_socket_is_not_taken_over_by_who_then_fails_to_start() {
    let a = ScriptedUpstream::start().await;
    let dir = directory("reuse_port: true", &a).await;
    let path = dir.path().join("p.sock");
    let theirs = tokio::net::UnixListener::bind(&path).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("unix:{},{}", path.display(), taken.local_addr().unwrap());
    let arguments = ["serve", "--listen", &listen, "--admin-listen", "off"];
    let output = run(dir.path(), &arguments, &[]).await;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(69), "{text}");
    // Who looked whether somebody listens, and then we.
    let _ours = UnixStream::connect(&path).await.unwrap();
    for _ in 0..2 {
        bounded("a connection", theirs.accept()).await.unwrap();
    }
    let files = std::fs::read_dir(dir.path()).unwrap();
    let sockets = files.filter(|file| {
        use std::os::unix::fs::FileTypeExt;
        file.as_ref().unwrap().file_type().unwrap().is_socket()
    });
    assert_eq!(sockets.count(), 1, "nothing is left behind");
}

#[tokio::test]
async fn an_owner_who_does_not_exist_is_named() {
    let a = ScriptedUpstream::start().await;
    let dir = directory("unix: {owner: nobody-we-know}", &a).await;
    let listen = format!("unix:{}", dir.path().join("p.sock").display());
    let arguments = ["serve", "--listen", &listen, "--admin-listen", "off"];
    let output = run(dir.path(), &arguments, &[]).await;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(69), "{text}");
    assert!(text.contains("nobody-we-know"), "{text}");
    assert!(
        !dir.path().join("p.sock").exists(),
        "nothing is left behind"
    );
}

/// `serve` with these sockets passed in as systemd does it.
fn activated(
    dir: &TempDir,
    sockets: Vec<OwnedFd>,
    env: &[(&str, &str)],
) -> tokio::process::Command {
    let count = sockets.len().to_string();
    let arguments = ["serve", "--admin-listen", "off"];
    let mut command = command(dir.path(), &arguments, env);
    command.env("LISTEN_FDS", count);
    let mapped = (3..).zip(sockets).map(|(child_fd, parent_fd)| FdMapping {
        parent_fd,
        child_fd,
    });
    command.fd_mappings(mapped.collect()).unwrap();
    command
}

#[tokio::test]
async fn sockets_that_are_passed_in_take_the_place_of_addresses() {
    let a = ScriptedUpstream::start().await;
    let dir = directory("listen: '127.0.0.1:1'", &a).await;
    let path: PathBuf = dir.path().join("p.sock");
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let address = tcp.local_addr().unwrap();
    // Who connects before the process is there waits for it.
    let mut early = TcpStream::connect(address).await.unwrap();
    early.write_all(HEALTH).await.unwrap();
    let command = activated(&dir, vec![tcp.into(), unix.into()], &[]);
    let mut gateway = Gateway::start_as(dir, command).await;
    assert_eq!(gateway.address(), address);
    assert!(answer(&mut early).await.starts_with("HTTP/1.1 200"));
    drop(early);
    assert_eq!(gateway.chat("a").send().await.says(), "ok");
    assert!(live(&path).await.starts_with("HTTP/1.1 200"));
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit().await.code(), Some(0));
    assert!(path.exists(), "it is not ours to remove");
}

#[tokio::test]
async fn sockets_for_others_are_left_alone_and_open_ones_are_refused() {
    let a = ScriptedUpstream::start().await;
    let dir = directory("", &a).await;
    let socket = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let output = activated(&dir, vec![socket.into()], &[]).output();
    let output = bounded("the end", output).await.unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{text}");
    assert!(text.contains("insecure_open"), "{text}");
    let dir = directory("listen: '127.0.0.1:0'", &a).await;
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let command = activated(&dir, vec![socket.into()], &[("LISTEN_PID", "1")]);
    let gateway = Gateway::start_as(dir, command).await;
    assert_ne!(gateway.address(), address, "they were for process 1");
}

#[tokio::test]
async fn the_service_manager_hears_how_things_stand() {
    let a = ScriptedUpstream::start().await;
    let dir = directory("", &a).await;
    let socket = tokio::net::UnixDatagram::bind(dir.path().join("notify")).unwrap();
    let place = dir.path().join("notify");
    let env = [("NOTIFY_SOCKET", place.to_str().unwrap())];
    let mut buffer = [0; 512];
    let mut hear = async || {
        let length = bounded("a word", socket.recv(&mut buffer)).await.unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let gateway = Gateway::start_in(dir, &[], &env).await;
    assert!(hear().await.contains("READY=1"));
    gateway.signal("HUP");
    let reloading = hear().await;
    assert!(reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="));
    assert!(hear().await.contains("READY=1"));
    gateway.signal("TERM");
    assert!(hear().await.contains("STOPPING=1"));
}
