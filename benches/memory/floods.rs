//! The floods: what each does to a process that was just started.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder};

use crate::gateway::{self, Gateway};
use crate::{http2, pause};

const MIB: usize = 1024 * 1024;
/// Callers that ask at the same time.
const CALLERS: usize = 4;
/// Events that are told to all who listen.
const EVENTS: usize = 200;

/// Does it at this scale, and says what else is to be known.
type Act = fn(&Gateway, f64) -> String;

/// Makes the request with this number.
type Ask = fn(&Gateway, &Client, usize) -> RequestBuilder;

/// One row of the table.
pub enum Flood {
    /// Everything but these two.
    Act(&'static str, Act),
    /// Many chat requests over kept connections, each with a number.
    Asks(&'static str, Ask),
    /// HTTP/2 frames.
    Frames(&'static str, http2::Frames),
}

/// All of them, in the order of the table.
pub fn all() -> impl Iterator<Item = Flood> {
    let acts = ACTS.map(|(name, act)| Flood::Act(name, act));
    let asks = ASKS.map(|(name, ask)| Flood::Asks(name, ask));
    let frames = http2::FLOODS.map(|(name, frames)| Flood::Frames(name, frames));
    acts.into_iter().chain(asks).chain(frames)
}

impl Flood {
    pub fn name(&self) -> String {
        match self {
            Self::Act(name, _) => (*name).to_owned(),
            Self::Asks(name, _) => format!("20,000 {name}"),
            Self::Frames(name, _) => format!("HTTP/2: 200,000 {name}"),
        }
    }

    /// A note for the last column.
    pub fn run(&self, gateway: &Gateway, scale: f64) -> String {
        match self {
            Self::Act(_, act) => act(gateway, scale),
            Self::Asks(_, ask) => asked(gateway, *ask, scaled(20_000, scale)),
            Self::Frames(_, frames) => {
                let sent = http2::flood(gateway, *frames, scaled(200_000, scale));
                format!("{sent} were sent before the connection ended")
            }
        }
    }
}

const ACTS: [(&str, Act); 12] = [
    ("nothing at all", |_, _| String::new()),
    ("40 uploads of 8 MiB, hung up", |gateway, scale| {
        uploads(gateway, scaled(40, scale), 8 * MIB)
    }),
    (
        "60 uploads of 32 MiB, hung up (`max_buffered` is 1 GiB)",
        |gateway, scale| uploads(gateway, scaled(60, scale), 32 * MIB),
    ),
    (
        "2,000 forms with a file of 1 MiB, at once (stays under `max_buffered` and 64 MiB)",
        |gateway, scale| forms(gateway, scaled(2_000, scale), MIB),
    ),
    ("25 MiB of parts without text", |gateway, scale| {
        let parts = repeated(r#"{"data":"A"}"#, scaled(25 * MIB, scale));
        let message = format!(r#"{{"role":"user","content":[{parts}]}}"#);
        ask(gateway, chat("w", &message))
    }),
    ("19 MiB of numbers as messages", |gateway, scale| {
        ask(gateway, chat("w", &repeated("1", scaled(19 * MIB, scale))))
    }),
    ("32 MiB of fields", |gateway, scale| {
        let fields = repeated(r#""":0"#, scaled(32 * MIB, scale));
        ask(gateway, format!(r#"{{"model":"p",{fields}}}"#))
    }),
    ("gzip of 1 GiB as an answer", |gateway, scale| {
        let model = format!("p:zip-200-{}", scaled(1024, scale));
        ask(gateway, chat(&model, ""))
    }),
    ("gzip of 1 GiB as an error", |gateway, scale| {
        let model = format!("p:zip-400-{}", scaled(1024, scale));
        ask(gateway, chat(&model, ""))
    }),
    (
        "gzip of 16 MiB of blank lines, then silence",
        |gateway, scale| {
            let model = format!("p:blank-{}", scaled(16, scale).max(1));
            drop(gateway::begin(gateway, &stream(&model)));
            String::new()
        },
    ),
    ("20 slow readers of events of 7 MiB", |gateway, scale| {
        let readers: Vec<_> = (0..scaled(20, scale).max(1))
            .map(|_| gateway::begin(gateway, &stream("p:large-7")))
            .collect();
        pause(Duration::from_secs(1));
        drop(readers);
        String::new()
    }),
    ("5,000 streams of the admin listener's events", listeners),
];

/// So many different ones of each.
const ASKS: [(&str, Ask); 8] = [
    ("models", |gateway, client, number| {
        gateway.chat(client, chat(&format!("p:any-{number}"), ""))
    }),
    ("models that are limited", |gateway, client, number| {
        gateway.chat(client, chat(&format!("p:limited-{number}"), ""))
    }),
    ("models that are gone", |gateway, client, number| {
        gateway.chat(client, chat(&format!("p:gone-{number}"), ""))
    }),
    ("models that fail", |gateway, client, number| {
        gateway.chat(client, chat(&format!("p:fail-{number}"), ""))
    }),
    ("targets that are unknown", |gateway, client, number| {
        gateway.chat(client, chat(&format!("nobody-{number}"), ""))
    }),
    ("request ids", |gateway, client, number| {
        let request = gateway.chat(client, chat("p", ""));
        request.header("x-request-id", format!("request-{number}"))
    }),
    ("traces", |gateway, client, number| {
        let trace = format!("00-{:032x}-{:016x}-01", number + 1, number + 1);
        gateway
            .chat(client, chat("p", ""))
            .header("traceparent", trace)
    }),
    ("short streams", |gateway, client, number| {
        gateway.chat(client, stream(&format!("p:short-{number}")))
    }),
];

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

/// One request, its answer read to the end.
fn ask(gateway: &Gateway, body: String) -> String {
    let status = gateway::finish(gateway.chat(&gateway::client(), body));
    answered(status.is_some().into(), status)
}

fn answered(count: usize, last: Option<u16>) -> String {
    match last {
        Some(status) if count == 1 => format!("answered {status}"),
        Some(status) => format!("{count} answered, the last with {status}"),
        None => "not answered".to_owned(),
    }
}

/// Many requests over kept connections.
fn asked(gateway: &Gateway, request: Ask, count: usize) -> String {
    let work = |from: usize| {
        let client = gateway::client();
        let mut statuses = Vec::new();
        for number in (from..count).step_by(CALLERS) {
            match gateway::finish(request(gateway, &client, number)) {
                Some(status) => statuses.push(status),
                // It hangs or is gone: the other requests would be no better off.
                None => break,
            }
        }
        statuses
    };
    let statuses: Vec<u16> = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|from| scope.spawn(move || work(from)))
            .collect();
        let answers = callers.into_iter().map(|caller| caller.join());
        answers.flatten().flatten().collect()
    });
    answered(statuses.len(), statuses.last().copied())
}

/// Uploads that come but for their last byte, and then leave.
fn uploads(gateway: &Gateway, count: usize, bytes: usize) -> String {
    let piece = vec![b' '; 64 * 1024];
    let mut connections: Vec<_> = (0..count.max(1)).map(|_| gateway.connect()).collect();
    let mut taken = 0;
    for connection in &mut connections {
        let mut pieces = std::iter::repeat_n(&piece, bytes / piece.len());
        let sent = connection
            .write_all(gateway::head(bytes + 1).as_bytes())
            .and_then(|()| pieces.try_for_each(|piece| connection.write_all(piece)));
        taken += usize::from(sent.is_ok());
    }
    pause(Duration::from_secs(1));
    format!("{taken} of {} taken in", connections.len())
}

/// Forms that lack their last byte, so that all of them are there at once.
fn forms(gateway: &Gateway, count: usize, bytes: usize) -> String {
    const PART: &str =
        "--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n";
    let head = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: multipart/form-data; boundary=XX\r\ncontent-length: {}\r\n\r\n{PART}",
        PART.len() + bytes + 1
    );
    let piece = vec![b' '; 64 * 1024];
    let mut connections: Vec<_> = (0..count.max(1)).map(|_| gateway.connect()).collect();
    let mut taken = 0;
    for connection in &mut connections {
        let mut pieces = std::iter::repeat_n(&piece, bytes / piece.len());
        let sent = connection
            .write_all(head.as_bytes())
            .and_then(|()| pieces.try_for_each(|piece| connection.write_all(piece)));
        taken += usize::from(sent.is_ok());
    }
    pause(Duration::from_secs(1));
    format!("{taken} of {} taken in", connections.len())
}

/// Connections that ask for the events, and some events for those that were let in.
fn listeners(gateway: &Gateway, scale: f64) -> String {
    let count = scaled(5_000, scale).max(1);
    let request = b"GET /admin/v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    let open = |from: usize| {
        let mut held = Vec::new();
        for _ in (from..count).step_by(CALLERS) {
            let Some(mut connection) = gateway.connect_admin() else {
                break;
            };
            drop(connection.write_all(request));
            held.push(connection);
        }
        held
    };
    let held: Vec<TcpStream> = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|from| scope.spawn(move || open(from)))
            .collect();
        let held = callers.into_iter().map(|caller| caller.join());
        held.flatten().flatten().collect()
    });
    // Those that are not let in hear it within a second.
    pause(Duration::from_secs(2));
    let mut let_in = Vec::new();
    for mut connection in held {
        let said = gateway::said(&mut connection);
        if said.starts_with("HTTP/1.1 200") {
            let_in.push(connection);
        }
    }
    let client = gateway::client();
    let cpu = gateway.process.cpu_seconds();
    let told = (0..EVENTS).filter(|_| gateway.tell(&client)).count();
    pause(Duration::from_millis(500));
    let millis = (gateway.process.cpu_seconds() - cpu) * 1e3 / told.max(1) as f64;
    let heard = let_in.first_mut().map(gateway::said).unwrap_or_default();
    format!(
        "{} let in; {millis:.2} ms of CPU for each of {told} orders, of which one heard {}",
        let_in.len(),
        heard.matches("\nevent: ").count(),
    )
}
