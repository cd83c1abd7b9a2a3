//! One kept connection of a benchmark, and the exchange of one request over it.
//!
//! No client library: on one machine it would take as much of the processor as the process that is measured.

use std::io;
use std::sync::Arc;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use super::prices::PriceTable;
use crate::config::Listen;
use crate::domain::bench::{RequestSample, SampleEnd};
use crate::domain::money::Pico;
use crate::wire::answer_reader::{AnswerReader, ToldTokens, told_tokens, told_usage};
use crate::wire::sse::{EventSplitter, MAX_EVENT};

/// Bytes that are read at once.
const PIECE: usize = 32 * 1024;

enum BenchSocket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl BenchSocket {
    async fn connect(address: &Listen) -> io::Result<Self> {
        Ok(match address {
            Listen::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Self::Tcp(stream)
            }
            Listen::Unix(path) => Self::Unix(UnixStream::connect(path).await?),
        })
    }

    async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = match self {
                Self::Tcp(stream) => stream.try_write(bytes),
                Self::Unix(stream) => stream.try_write(bytes),
            };
            match written {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self {
                    Self::Tcp(stream) => stream.writable().await?,
                    Self::Unix(stream) => stream.writable().await?,
                },
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                Self::Tcp(stream) => stream.try_read(into),
                Self::Unix(stream) => stream.try_read(into),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self {
                    Self::Tcp(stream) => stream.readable().await?,
                    Self::Unix(stream) => stream.readable().await?,
                },
                read => return read,
            }
        }
    }
}

/// What all connections of a run know.
pub(super) struct BenchServer {
    /// Where the process listens.
    pub(super) address: Listen,
    /// What answers cost.
    pub(super) prices: PriceTable,
}

/// A connection that is kept from request to request.
pub(super) struct BenchConnection {
    server: Arc<BenchServer>,
    socket: Option<BenchSocket>,
    piece: Vec<u8>,
    /// The last upstream that was named: most often the next one, too.
    upstream: Option<Arc<str>>,
    /// What is looked at while the next answer is waited for.
    unread: Option<Box<AnswerTimes>>,
    /// What was looked at so.
    sample: Option<RequestSample>,
}

/// What became of one request.
pub(super) enum ExchangeEnd {
    /// What came, not yet looked at.
    Answer(Box<AnswerTimes>),
    /// Nothing did.
    Failed(RequestSample),
}

/// How far an exchange got.
enum Exchanged {
    Answer(Box<AnswerTimes>),
    /// The connection had been closed before anything came.
    Stale,
}

impl BenchConnection {
    /// A connection; it is made with the first request, or by [`connect`](Self::connect).
    pub(super) fn new(server: &Arc<BenchServer>) -> Self {
        Self {
            server: Arc::clone(server),
            socket: None,
            piece: vec![0; PIECE],
            upstream: None,
            unread: None,
            sample: None,
        }
    }

    /// Makes the connection.
    ///
    /// # Errors
    /// Nobody listens there.
    pub(super) async fn connect(&mut self) -> io::Result<()> {
        if self.socket.is_none() {
            self.socket = Some(BenchSocket::connect(&self.server.address).await?);
        }
        Ok(())
    }

    /// Sends a request that was due at this moment, and reads its answer.
    pub(super) async fn exchange(&mut self, request: &[u8], due: Instant) -> ExchangeEnd {
        let was_kept = self.socket.is_some();
        let failed = |why: String| ExchangeEnd::Failed(RequestSample::failed(why));
        let closed = || failed("closed without an answer".to_owned());
        match self.once(request, due).await {
            Ok(Exchanged::Answer(answer)) => ExchangeEnd::Answer(answer),
            // A kept connection may be closed at any time; that is nothing about the request.
            Ok(Exchanged::Stale) | Err(_) if was_kept => {
                self.socket = None;
                match self.once(request, due).await {
                    Ok(Exchanged::Answer(answer)) => ExchangeEnd::Answer(answer),
                    Ok(Exchanged::Stale) => closed(),
                    Err(error) => failed(error.kind().to_string()),
                }
            }
            Ok(Exchanged::Stale) => closed(),
            Err(error) => failed(error.kind().to_string()),
        }
    }

    /// What became of a request, once what came has been looked at.
    pub(super) fn sample_of(&mut self, end: ExchangeEnd) -> RequestSample {
        match end {
            ExchangeEnd::Answer(answer) => self.sample(answer),
            ExchangeEnd::Failed(sample) => sample,
        }
    }

    /// Looks at an answer while the next one is waited for: on one machine that takes so long that throughput would be lower by
    /// some per cent if the next request waited for it.
    pub(super) fn put_off(&mut self, answer: Box<AnswerTimes>) {
        self.unread = Some(answer);
    }

    /// What was put off and has been looked at since.
    pub(super) fn take_sample(&mut self) -> Option<RequestSample> {
        self.sample.take()
    }

    /// Looks at what was put off.
    pub(super) fn catch_up(&mut self) {
        if let Some(answer) = self.unread.take() {
            self.sample = Some(self.sample(answer));
        }
    }

    /// What an answer of this connection says.
    fn sample(&mut self, mut answer: Box<AnswerTimes>) -> RequestSample {
        let mut sample = answer.sample();
        self.describe(&mut sample, &answer.reader);
        sample
    }

    /// Lets go of the connection: an answer on it is no longer waited for.
    pub(super) fn abandon(&mut self) {
        self.socket = None;
    }

    async fn once(&mut self, request: &[u8], due: Instant) -> io::Result<Exchanged> {
        self.connect().await?;
        let Some(socket) = self.socket.take() else {
            return Ok(Exchanged::Stale);
        };
        socket.write_all(request).await?;
        self.catch_up();
        let mut reading = Box::<AnswerTimes>::default();
        reading.fault = loop {
            let count = match socket.read(&mut self.piece).await {
                Ok(count) => count,
                Err(error) if reading.reader.has_begun() => break Some(error.kind().to_string()),
                Err(error) => return Err(error),
            };
            let now = due.elapsed().as_secs_f64() * 1e3;
            if count == 0 {
                if !reading.reader.has_begun() {
                    return Ok(Exchanged::Stale);
                }
                let is_done = reading.reader.is_done_at_end();
                break (!is_done).then(|| "the connection ended".to_owned());
            }
            let bytes = self.piece.get(..count).unwrap_or_default();
            if reading.reader.feed(bytes).is_err() {
                break Some("no HTTP/1.1 answer".to_owned());
            }
            reading.read(now);
            if reading.reader.is_done() {
                break None;
            }
        };
        let closes = reading.reader.header("connection");
        let is_over = closes.is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if reading.fault.is_none() && !is_over && reading.reader.is_done() {
            self.socket = Some(socket);
        }
        Ok(Exchanged::Answer(reading))
    }

    /// What the answer's headers say.
    fn describe(&mut self, sample: &mut RequestSample, reader: &AnswerReader) {
        let attempts = reader.header("x-pointsman-attempts");
        sample.attempts = attempts.and_then(|count| count.parse().ok()).unwrap_or(0);
        let kept = reader.header("x-pointsman-cache");
        sample.is_kept = matches!(kept, Some("hit" | "coalesced" | "stale"));
        if let Some(name) = reader.header("x-pointsman-upstream") {
            if self.upstream.as_deref() != Some(name) {
                self.upstream = Some(name.into());
            }
            sample.upstream.clone_from(&self.upstream);
        }
        let told = reader.header("x-pointsman-cost").and_then(Pico::parse);
        sample.cost = match (&sample.end, sample.is_kept) {
            (_, true) => Some(Pico::ZERO),
            // Nothing was sent on, or nothing came of it.
            (SampleEnd::Failed(_), _) if sample.attempts == 0 => Some(Pico::ZERO),
            _ => told.or_else(|| self.server.prices.cost(sample)),
        };
    }
}

/// An answer as it comes in.
pub(super) struct AnswerTimes {
    reader: AnswerReader,
    events: EventSplitter,
    /// Whether it is a stream; not known before its head.
    is_stream: Option<bool>,
    /// All of an answer that is none.
    body: Vec<u8>,
    tokens: Vec<f64>,
    /// When its last byte came.
    last: f64,
    usage: Option<(u64, u64)>,
    is_ended: bool,
    error: Option<String>,
    /// Why it broke off.
    fault: Option<String>,
}

impl Default for AnswerTimes {
    fn default() -> Self {
        Self {
            reader: AnswerReader::default(),
            events: EventSplitter::new(MAX_EVENT),
            is_stream: None,
            body: Vec::new(),
            tokens: Vec::new(),
            last: 0.0,
            usage: None,
            is_ended: false,
            error: None,
            fault: None,
        }
    }
}

impl AnswerTimes {
    /// Whether all of it came, and it is no error.
    pub(super) fn is_good(&self) -> bool {
        self.fault.is_none() && self.error.is_none() && matches!(self.reader.status(), 200..=299)
    }

    /// Looks at what came at this moment.
    fn read(&mut self, now: f64) {
        self.last = now;
        if !self.reader.has_head() {
            return;
        }
        let is_stream = *self.is_stream.get_or_insert_with(|| {
            let kind = self.reader.header("content-type").unwrap_or_default();
            kind.starts_with("text/event-stream")
        });
        let body = self.reader.take_body();
        if !is_stream {
            match self.body.is_empty() {
                true => self.body = body,
                false => self.body.extend(body),
            }
            return;
        }
        self.events.push(body.into());
        while let Ok(Some(event)) = self.events.next_event() {
            if !event.is_empty() {
                let told = told_tokens(&event.data());
                self.note(told, now);
            }
        }
    }

    fn note(&mut self, told: ToldTokens, now: f64) {
        if told.has_content {
            self.tokens.push(now);
        }
        self.is_ended |= told.is_finished || told.is_last;
        self.usage = told.usage.or(self.usage);
        self.error = self.error.take().or(told.error);
    }

    /// The request, now that its answer is over.
    fn sample(&mut self) -> RequestSample {
        let fault = self.fault.take();
        let status = self.reader.status();
        let is_stream = self.is_stream == Some(true);
        if !is_stream {
            (self.usage, self.error) = told_usage(&self.body);
        }
        let error = self.error.take();
        let has_begun = !self.tokens.is_empty();
        let end = match (fault, error) {
            _ if status != 0 && !matches!(status, 200..=299) => {
                let code = error_word(status, self.body_error());
                SampleEnd::Failed(code)
            }
            (Some(fault), _) | (None, Some(fault)) if has_begun => SampleEnd::Incomplete(fault),
            (Some(fault), _) | (None, Some(fault)) => SampleEnd::Failed(fault),
            (None, None) if is_stream && !self.is_ended => {
                SampleEnd::Incomplete("the stream has no end".to_owned())
            }
            (None, None) => SampleEnd::Completed,
        };
        let pieces = u64::try_from(self.tokens.len()).unwrap_or(u64::MAX);
        let (input_tokens, output_tokens) = self.usage.unwrap_or((0, pieces));
        RequestSample {
            end,
            tokens: std::mem::take(&mut self.tokens),
            whole: (!is_stream).then_some(self.last),
            input_tokens,
            output_tokens,
            ..RequestSample::failed("")
        }
    }

    fn body_error(&self) -> Option<String> {
        told_usage(&self.body).1
    }
}

/// An error by its status and its code.
fn error_word(status: u16, code: Option<String>) -> String {
    match code {
        Some(code) => format!("{status} {code}"),
        None => status.to_string(),
    }
}
