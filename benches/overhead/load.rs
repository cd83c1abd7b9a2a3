//! The load: plain sockets with keep-alive, in a closed loop or at a fixed rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::now;

/// Connections that the open loop starts with.
const WARM: usize = 16;

#[derive(Clone, Copy)]
pub enum Shape {
    Plain,
    Stream,
    Idle,
    /// The upstream takes its time.
    Slow,
    /// What has the same answer each time, of 2 KB.
    Equal,
    /// A stream whose events come all at once.
    Bulk,
    /// One of the targets `v0`, `v1` and so on, of which there are so many, in turn.
    Among(usize),
}

impl Shape {
    /// The request with this number.
    fn request(self, number: usize) -> Vec<u8> {
        let model = match self {
            Self::Among(count) => format!("v{}", number % count),
            _ => "p".to_owned(),
        };
        let extra = match self {
            Self::Plain | Self::Among(_) => "",
            Self::Bulk => ",\"stream\":true,\"user\":\"bulk\"",
            Self::Stream => ",\"stream\":true",
            Self::Idle => ",\"stream\":true,\"user\":\"idle\"",
            Self::Slow => ",\"user\":\"slow\"",
            Self::Equal => ",\"user\":\"long\"",
        };
        let temperature = match self {
            Self::Equal => "0",
            _ => "0.2",
        };
        let prompt = "Tell me something about railways. ".repeat(12);
        let body = format!(
            "{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"{prompt}\"}}],\"temperature\":{temperature}{extra}}}"
        );
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}

struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    request: Vec<u8>,
}

impl Client {
    async fn connect(address: &str, shape: Shape) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("nodelay");
        Self {
            stream,
            buffer: Vec::with_capacity(32 * 1024),
            request: shape.request(0),
        }
    }

    async fn read(&mut self) {
        let size = self.stream.read_buf(&mut self.buffer).await.expect("bytes");
        assert!(
            size > 0,
            "closed early: {}",
            String::from_utf8_lossy(&self.buffer)
        );
    }

    /// One request, its answer read to the end. Its status.
    async fn exchange(&mut self) -> u16 {
        self.buffer.clear();
        self.stream.write_all(&self.request).await.expect("written");
        let head = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.read().await;
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
        let length = text.lines().find_map(|line| {
            line.strip_prefix("content-length: ")?
                .trim()
                .parse::<usize>()
                .ok()
        });
        match length {
            Some(length) => {
                while self.buffer.len() < head + length {
                    self.read().await;
                }
            }
            None => {
                while !self.buffer.ends_with(b"\r\n0\r\n\r\n") {
                    self.read().await;
                }
            }
        }
        status.expect("a status")
    }

    /// Requests as long as some are left. Milliseconds.
    async fn run(mut self, shape: Shape, left: Arc<AtomicUsize>) -> (Self, Vec<f64>) {
        self.request = shape.request(0);
        let mut times = Vec::new();
        while let Ok(number) =
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
        {
            if matches!(shape, Shape::Among(_)) {
                self.request = shape.request(number);
            }
            let started = now();
            assert_eq!(self.exchange().await, 200);
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        (self, times)
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}

/// Connections that are kept, each sending its next request when the last is answered.
pub struct Callers(Vec<Client>);

impl Callers {
    pub async fn connect(address: &str, connections: usize) -> Self {
        let mut clients = Vec::new();
        for _ in 0..connections {
            clients.push(Client::connect(address, Shape::Plain).await);
        }
        Self(clients)
    }

    /// `total` requests over all of them. Milliseconds.
    pub async fn run(&mut self, shape: Shape, total: usize) -> Vec<f64> {
        let left = Arc::new(AtomicUsize::new(total));
        let tasks: Vec<_> = std::mem::take(&mut self.0)
            .into_iter()
            .map(|client| spawn(client.run(shape, Arc::clone(&left))))
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            let (client, times) = task.await.expect("no panic");
            self.0.push(client);
            all.extend(times);
        }
        all
    }
}

/// `total` requests over so many new connections. Milliseconds.
pub async fn closed_loop(
    address: &str,
    shape: Shape,
    connections: usize,
    total: usize,
) -> Vec<f64> {
    let mut callers = Callers::connect(address, connections).await;
    callers.run(shape, total).await
}

/// Requests at a fixed and even rate over so many connections as are busy at once; times count from when each
/// was due, so waiting behind another counts. Milliseconds.
///
/// A thread of its own keeps the pace: the runtime's timers wake at whole milliseconds, which would make
/// bursts of what is to be evenly spread.
pub async fn open_loop(address: &str, rate: u32, seconds: u32) -> Vec<f64> {
    let answers = open_loop_of(address, Shape::Plain, rate, seconds).await;
    assert!(answers.iter().all(|(status, _)| *status == 200));
    answers.into_iter().map(|(_, took)| took).collect()
}

/// The same with any answer: status and milliseconds of each.
pub async fn open_loop_of(address: &str, shape: Shape, rate: u32, seconds: u32) -> Vec<(u16, f64)> {
    let (due, mut requests) = tokio::sync::mpsc::unbounded_channel::<Instant>();
    let mut idle = Vec::new();
    for _ in 0..WARM {
        let mut client = Client::connect(address, Shape::Plain).await;
        client.exchange().await;
        client.request = shape.request(0);
        idle.push(client);
    }
    let pacer = std::thread::spawn(move || {
        let start = now();
        for number in 0..rate * seconds {
            let at = start + Duration::from_secs(1) * number / rate;
            #[expect(clippy::disallowed_methods, reason = "a thread of its own")]
            std::thread::sleep(at.saturating_duration_since(now()));
            if due.send(at).is_err() {
                return;
            }
        }
    });
    let (back, mut served) = tokio::sync::mpsc::unbounded_channel();
    let mut times = Vec::new();
    while let Some(at) = requests.recv().await {
        while let Ok((client, took)) = served.try_recv() {
            idle.push(client);
            times.push(took);
        }
        let mut client = match idle.pop() {
            Some(client) => client,
            None => Client::connect(address, shape).await,
        };
        let back = back.clone();
        spawn(async move {
            let status = client.exchange().await;
            let took = at.elapsed().as_secs_f64() * 1e3;
            drop(back.send((client, (status, took))));
        });
    }
    drop(back);
    while let Some((_, took)) = served.recv().await {
        times.push(took);
    }
    pacer.join().expect("no panic");
    times
}

/// So many streams that have begun and say no more.
pub async fn hold_streams(address: &str, count: usize) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for _ in 0..count {
        let mut client = Client::connect(address, Shape::Idle).await;
        client
            .stream
            .write_all(&client.request)
            .await
            .expect("written");
        while find(&client.buffer, b"Hello").is_none() {
            client.read().await;
        }
        held.push(client.stream);
    }
    held
}

pub fn percentile(times: &[f64], percent: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (sorted.len() as f64 * percent / 100.0) as usize;
    sorted
        .get(index.min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark")]
fn spawn<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(work)
}
