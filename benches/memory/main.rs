//! What floods take: resident memory over the start, at the peak and some seconds after, and CPU time. Run it with
//! `cargo bench --bench memory`; `MEMORY_SCALE=0.1` makes it a tenth as large. It takes less than two minutes and a
//! gibibyte.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, ends when something is wrong, and rounds"
)]

mod gateway;
mod upstream;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use gateway::Gateway;

const MIB: usize = 1024 * 1024;
/// How long a flood's memory is given to come back.
const AFTER: Duration = Duration::from_secs(4);

/// A flood: its name, and what it does to a process that was just started.
type Flood = (&'static str, fn(&Gateway, f64));

const FLOODS: [Flood; 12] = [
    ("nothing at all", |_, _| {}),
    ("40 uploads of 8 MiB, hung up", |gateway, scale| {
        uploads(gateway, scaled(40, scale), 8 * MIB);
    }),
    ("30 uploads of 32 MiB, hung up", |gateway, scale| {
        uploads(gateway, scaled(30, scale), 32 * MIB);
    }),
    ("25 MiB of parts without text", |gateway, scale| {
        let parts = repeated(r#"{"data":"A"}"#, scaled(25 * MIB, scale));
        ask(
            gateway,
            &chat("w", &format!(r#"{{"role":"user","content":[{parts}]}}"#)),
        );
    }),
    ("19 MiB of numbers as messages", |gateway, scale| {
        ask(gateway, &chat("w", &repeated("1", scaled(19 * MIB, scale))));
    }),
    ("32 MiB of fields", |gateway, scale| {
        let fields = repeated(r#""":0"#, scaled(32 * MIB, scale));
        ask(gateway, &format!(r#"{{"model":"p",{fields}}}"#));
    }),
    ("gzip of 1 GiB as an answer", |gateway, scale| {
        ask(
            gateway,
            &chat(&format!("p:zip-200-{}", scaled(1024, scale)), ""),
        );
    }),
    ("gzip of 1 GiB as an error", |gateway, scale| {
        ask(
            gateway,
            &chat(&format!("p:zip-400-{}", scaled(1024, scale)), ""),
        );
    }),
    (
        "gzip of 16 MiB of blank lines, then silence",
        |gateway, scale| {
            let model = format!("p:blank-{}", scaled(16, scale).max(1));
            drop(ask_slowly(gateway, &stream(&model)));
        },
    ),
    ("20 slow readers of events of 7 MiB", |gateway, scale| {
        let readers: Vec<_> = (0..scaled(20, scale).max(1))
            .map(|_| ask_slowly(gateway, &stream("p:large-7")))
            .collect();
        thread_sleep(Duration::from_secs(1));
        drop(readers);
    }),
    ("5,000 models that are limited", |gateway, scale| {
        names(gateway, "p:limited", scaled(5_000, scale));
    }),
    ("5,000 models that are gone", |gateway, scale| {
        names(gateway, "p:gone", scaled(5_000, scale));
    }),
];

fn main() {
    let scale = std::env::var("MEMORY_SCALE").ok();
    let scale = scale.and_then(|scale| scale.parse().ok()).unwrap_or(1.0);
    let upstream = upstream::serve();
    println!(
        "{:<46} {:>9} {:>9} {:>9} {:>8}",
        "", "start", "peak", "after", "CPU"
    );
    println!(
        "{:<46} {:>9} {:>9} {:>9} {:>8}",
        "", "MiB", "+MiB", "+MiB", "s"
    );
    for (name, flood) in FLOODS {
        let gateway = Gateway::start(&upstream);
        let (start, cpu) = (gateway.memory("VmRSS"), gateway.cpu_seconds());
        flood(&gateway, scale);
        let cpu = gateway.cpu_seconds() - cpu;
        let peak = gateway.memory("VmHWM") - start;
        thread_sleep(AFTER);
        let after = gateway.memory("VmRSS") - start;
        println!("{name:<46} {start:>9.1} {peak:>9.1} {after:>9.1} {cpu:>8.2}");
    }
}

fn scaled(count: usize, scale: f64) -> usize {
    (count as f64 * scale) as usize
}

fn repeated(part: &str, bytes: usize) -> String {
    vec![part; (bytes / (part.len() + 1)).max(1)].join(",")
}

/// A chat request with these messages.
fn chat(model: &str, messages: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{messages}]}}"#)
}

fn stream(model: &str) -> String {
    format!(r#"{{"model":"{model}","stream":true,"messages":[]}}"#)
}

fn head(length: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// Uploads that come but for their last byte, and then leave.
fn uploads(gateway: &Gateway, count: usize, bytes: usize) {
    let piece = vec![b' '; 64 * 1024];
    let mut connections: Vec<_> = (0..count.max(1)).map(|_| gateway.connect()).collect();
    for connection in &mut connections {
        connection
            .write_all(head(bytes + 1).as_bytes())
            .expect("a head");
        for _ in 0..bytes / piece.len() {
            connection.write_all(&piece).expect("a piece");
        }
    }
    thread_sleep(Duration::from_secs(1));
}

/// Sends a request and reads all of the answer, for a bounded time.
fn ask(gateway: &Gateway, body: &str) {
    let mut connection = ask_slowly(gateway, body);
    let limit = Duration::from_secs(20);
    connection.set_read_timeout(Some(limit)).expect("a limit");
    let mut sink = vec![0; 64 * 1024];
    while connection.read(&mut sink).is_ok_and(|read| read > 0) {}
}

/// Sends a request and reads a little of its answer, if one comes.
fn ask_slowly(gateway: &Gateway, body: &str) -> TcpStream {
    let mut connection = gateway.connect();
    // Who is refused early may not be able to finish.
    let sent = connection
        .write_all(head(body.len()).as_bytes())
        .and_then(|()| connection.write_all(body.as_bytes()));
    drop(sent);
    let limit = Duration::from_secs(3);
    connection.set_read_timeout(Some(limit)).expect("a limit");
    drop(connection.read(&mut [0; 16]));
    connection
}

/// Asks for so many made-up models.
fn names(gateway: &Gateway, like: &str, count: usize) {
    let work = |from: usize| {
        for n in (from..count).step_by(4) {
            ask(gateway, &chat(&format!("{like}-{n}"), ""));
        }
    };
    thread::scope(|scope| {
        for from in 0..4 {
            scope.spawn(move || work(from));
        }
    });
}

#[expect(clippy::disallowed_methods, reason = "nothing else runs here")]
fn thread_sleep(span: Duration) {
    thread::sleep(span);
}
