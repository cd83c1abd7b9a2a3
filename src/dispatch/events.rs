//! The events of one upstream's stream as they arrive: decompressed, split, nothing else.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, header};
use tokio::time::Sleep;

use crate::domain::finish::EventFacts;
use crate::runtime::buffers::{Buffered, Buffers};
use crate::runtime::yield_budget::YieldBudget;
use crate::upstream::{SendError, UpstreamResponse};
use crate::wire::encoding::{DecodeError, Decoder, codings};
use crate::wire::framing::{FrameError, Framing};
use crate::wire::inspection::StreamEvent;
use crate::wire::readable::looks_like_events;
use crate::wire::sse::{EventSplitter, RawEvent, SplitError};

/// The bytes of a compressed stream that are decoded at a time. Gzip and deflate make at most 1032 times as many of
/// them (a match of 258 bytes in two bits): 129 KiB, which bounds what waits to be parsed.
const PIECE: usize = 128;
/// The most bytes that one such piece may decode to. Brotli and zstd can repeat one byte for megabytes in a few
/// bytes; the limit is far above the size of usual events.
const MAX_GROWN: usize = 1024 * 1024;
/// After this many bytes, or events, in a row without content, an upstream is made to wait for `REST`: nothing else
/// slows down a stream whose events are dropped here, and it could occupy a core.
const QUIET_BYTES: usize = 256 * 1024;
const QUIET_EVENTS: usize = 4096;
const REST: Duration = Duration::from_millis(10);
/// What goes on of many blank lines. Two, because some clients split at two line ends.
const BLANK: &[u8] = b"\n\n";

/// An event that comes in pieces is counted (`server.max_buffered`) from so many bytes on, in steps of as many. Nearly all
/// are far below it, and cost nothing.
const LARGE: usize = 64 * 1024;

/// Why a stream ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamFault {
    /// The connection failed.
    #[error("the stream broke off")]
    Broken(#[source] SendError),
    /// An event without end.
    #[error("the stream is not an event stream")]
    NotEvents(#[source] SplitError),
    /// The compressed data is wrong.
    #[error("the stream's compression is broken")]
    Compression(#[source] DecodeError),
    /// The frames in which the events come are wrong.
    #[error("the stream's frames are broken")]
    Framing(#[source] FrameError),
    /// An event that is none of the dialect, with or without the look of an error.
    #[error("an event of the stream is not JSON")]
    Foreign,
    /// An event for which there is no room here (`server.max_buffered`), which is not the upstream's fault.
    #[error("there is no room for an event of the stream (server.max_buffered)")]
    NoRoom,
    /// Nothing but preliminaries, more than may be held.
    #[error("{0} bytes came without content")]
    Contentless(usize),
}

impl StreamFault {
    /// For an operator: the fault and its cause.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Broken(cause) => format!("{self}: {cause}"),
            Self::NotEvents(cause) => format!("{self}: {cause}"),
            Self::Compression(cause) => format!("{self}: {cause}"),
            Self::Framing(cause) => format!("{self}: {cause}"),
            Self::Foreign | Self::NoRoom | Self::Contentless(_) => self.to_string(),
        }
    }
}

/// For an answer with these headers. `None` for one that is not compressed, or in a way that is not read here.
fn decoder(headers: &HeaderMap) -> Option<Decoder> {
    let codings = codings(headers).ok()?;
    (!codings.is_empty()).then(|| Decoder::endless(&codings, MAX_GROWN))
}

type ByteStream = BoxStream<'static, Result<Bytes, SendError>>;

/// The bytes of a blank beginning that are read to recognise a body: servers that let callers wait send
/// empty lines.
const MAX_BLANK: usize = 64 * 1024;

/// Whether an answer is an event stream, and the answer. A body with that content type is parsed as one; any other is
/// recognised by its first bytes, since some servers call their streams JSON, or send no type. `lines`: the upstream's
/// dialect streams lines and no events.
///
/// # Errors
/// A connection that breaks before that.
pub(crate) async fn look(
    reply: UpstreamResponse,
    lines: bool,
) -> Result<(bool, UpstreamResponse), SendError> {
    let kind = reply.headers.get(header::CONTENT_TYPE);
    let framed = Framing::of(&reply.headers, lines, 0).is_some();
    if framed || kind.is_some_and(|kind| is_event_stream(kind.as_bytes())) {
        return Ok((true, reply));
    }
    let (events, body) = look_inside(&reply.headers, reply.body).await?;
    Ok((events, UpstreamResponse { body, ..reply }))
}

fn is_event_stream(kind: &[u8]) -> bool {
    let name = b"text/event-stream";
    kind.get(..name.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(name))
}

async fn look_inside(
    headers: &HeaderMap,
    mut body: ByteStream,
) -> Result<(bool, ByteStream), SendError> {
    let mut decoder = decoder(headers);
    let mut chunks = Vec::new();
    let mut start = BytesMut::new();
    let mut turn = YieldBudget::default();
    // Reads until the beginning decides. What was read is put in front of the body again.
    let found = loop {
        if let Some(found) = looks_like_events(&start) {
            break found;
        }
        if start.len() > MAX_BLANK {
            break false;
        }
        let Some(chunk) = body.next().await.transpose()? else {
            break false;
        };
        match &mut decoder {
            None => start.extend_from_slice(&chunk),
            Some(decoder) => {
                for piece in chunk.chunks(PIECE) {
                    match decoder.push(piece) {
                        Ok(piece) => start.extend_from_slice(&piece),
                        Err(_) => {
                            chunks.push(Ok(chunk));
                            let all = futures_util::stream::iter(chunks).chain(body);
                            return Ok((false, all.boxed()));
                        }
                    }
                    if start.len() > MAX_BLANK || looks_like_events(&start).is_some() {
                        break;
                    }
                }
            }
        }
        turn.took(chunk.len()).await;
        if !chunk.is_empty() {
            chunks.push(Ok(chunk));
        }
    };
    let all = futures_util::stream::iter(chunks).chain(body);
    Ok((found, all.boxed()))
}

/// An event as it may be passed on: a text that is a ping as the comment that it should have been.
pub(super) fn unspoken(event: RawEvent, said: &StreamEvent) -> RawEvent {
    if said.ping {
        RawEvent {
            raw: Bytes::from_static(b": ping\n\n"),
        }
    } else {
        event
    }
}

/// What an event says of the end of its answer.
pub(super) fn step(said: &StreamEvent) -> EventFacts {
    EventFacts {
        content: said.content,
        finished: said.finished,
        usage: said.usage.is_some(),
    }
}

/// A body, event by event. Of consecutive events without content that are there at once, one comes out.
pub(crate) struct Events {
    body: ByteStream,
    splitter: EventSplitter,
    decoder: Option<Decoder>,
    /// What turns frames of another kind into events.
    framing: Option<Framing>,
    /// What came compressed and is still to be decoded.
    packed: Bytes,
    ended: bool,
    /// Bytes so far, decompressed, and how many there may be.
    seen: usize,
    most: usize,
    turn: YieldBudget,
    quiet: Quiet,
    buffers: Buffers,
    /// What is counted for the large event that comes at present.
    large: Option<Buffered>,
}

/// Counts events in a row without content.
#[derive(Default)]
struct Quiet {
    /// One of them came out since there was last something to wait for.
    told: bool,
    bytes: usize,
    events: usize,
    rest: Option<Pin<Box<Sleep>>>,
}

impl Quiet {
    /// Notes an event; whether it comes out.
    fn note(&mut self, event: &RawEvent) -> bool {
        if !event.is_quiet() {
            (self.told, self.bytes, self.events) = (false, 0, 0);
            return true;
        }
        self.bytes += event.raw.len();
        self.events += 1;
        if self.bytes > QUIET_BYTES || self.events > QUIET_EVENTS {
            (self.bytes, self.events) = (0, 0);
            self.rest = Some(Box::pin(tokio::time::sleep(REST)));
        }
        !std::mem::replace(&mut self.told, true)
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(rest) = &mut self.rest {
            ready!(rest.as_mut().poll(cx));
            self.rest = None;
        }
        Poll::Ready(())
    }
}

impl Events {
    /// `headers` say whether the body is compressed, `lines` whether its dialect streams lines; an event may have `max_event` bytes. When more than `most` bytes
    /// have come before [`begun`](Self::begun), that is a fault. Large events are counted in `buffers` until they are
    /// dropped.
    pub(crate) fn new(
        headers: &HeaderMap,
        body: ByteStream,
        lines: bool,
        max_event: usize,
        most: usize,
        buffers: &Buffers,
    ) -> Self {
        Self {
            body,
            splitter: EventSplitter::new(max_event),
            decoder: decoder(headers),
            framing: Framing::of(headers, lines, max_event),
            packed: Bytes::new(),
            ended: false,
            seen: 0,
            most,
            turn: YieldBudget::default(),
            quiet: Quiet::default(),
            buffers: buffers.clone(),
            large: None,
        }
    }

    /// Its content has begun: from now on it may be as long as it likes.
    pub(crate) fn begun(&mut self) {
        self.most = usize::MAX;
    }

    /// The next event; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Result<RawEvent, StreamFault>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next event; `None` at the end. Returns pending from time to time even when there is always something to
    /// read, so that the caller checks its timers and other tasks run.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<RawEvent, StreamFault>>> {
        loop {
            if self.seen > self.most {
                return Poll::Ready(Some(Err(StreamFault::Contentless(self.seen))));
            }
            ready!(self.quiet.poll_rest(cx));
            if self.turn.is_over() {
                self.quiet.told = false;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            // First the events that have come.
            match self.splitter.next_event() {
                Ok(Some(mut event)) => {
                    self.seen = self.seen.saturating_add(event.raw.len());
                    self.turn.spend(event.raw.len());
                    if let Some(large) = self.large.take() {
                        event.raw = large.keep(event.raw);
                    }
                    if self.quiet.note(&event) {
                        if event.is_blank() && event.raw.len() > BLANK.len() {
                            // A few lines say as much as many.
                            event.raw = Bytes::from_static(BLANK);
                        }
                        return Poll::Ready(Some(Ok(event)));
                    }
                    continue;
                }
                Ok(None) if self.has_room() => {}
                Ok(None) => return Poll::Ready(Some(Err(StreamFault::NoRoom))),
                Err(error) => return Poll::Ready(Some(Err(StreamFault::NotEvents(error)))),
            }
            // Then compressed bytes, a piece at a time.
            if !self.packed.is_empty() {
                let pushed = match self.decode() {
                    Ok(chunk) => self.push(chunk),
                    Err(error) => Err(StreamFault::Compression(error)),
                };
                if let Err(fault) = pushed {
                    return Poll::Ready(Some(Err(fault)));
                }
                self.turn.spend(PIECE);
                continue;
            }
            if self.ended {
                match self.framing.take().map(|mut framing| framing.finish()) {
                    None => {}
                    Some(Ok(rest)) => {
                        self.splitter.push(rest);
                        continue;
                    }
                    Some(Err(error)) => return Poll::Ready(Some(Err(StreamFault::Framing(error)))),
                }
                return Poll::Ready(self.splitter.finish().map(|event| Ok(completed(event))));
            }
            // Last the connection.
            let Poll::Ready(chunk) = Pin::new(&mut self.body).poll_next(cx) else {
                self.quiet.told = false;
                return Poll::Pending;
            };
            self.turn.spend(0);
            match chunk {
                None => self.ended = true,
                Some(Err(error)) => return Poll::Ready(Some(Err(StreamFault::Broken(error)))),
                Some(Ok(chunk)) if self.decoder.is_some() => self.packed = chunk,
                Some(Ok(chunk)) => {
                    if let Err(fault) = self.push(chunk) {
                        return Poll::Ready(Some(Err(fault)));
                    }
                }
            }
        }
    }

    /// Takes the next piece of the body, decoded.
    fn push(&mut self, chunk: Bytes) -> Result<(), StreamFault> {
        let chunk = match &mut self.framing {
            None => chunk,
            Some(framing) => {
                let events = framing.push(&chunk).map_err(StreamFault::Framing)?;
                // Nothing is read behind what cannot be: the fault is told once these events are.
                self.ended |= framing.has_failed();
                events
            }
        };
        self.splitter.push(chunk);
        Ok(())
    }

    /// Whether there is room for the event that is being received.
    fn has_room(&mut self) -> bool {
        let framed = self.framing.as_ref().map_or(0, Framing::pending);
        let pending = self.splitter.pending() + framed;
        if pending < LARGE {
            return true;
        }
        let large = self.large.get_or_insert_with(|| self.buffers.count(0));
        // In steps: not every piece is worth a change of the shared count.
        pending <= large.bytes() || large.reach(pending + LARGE)
    }

    /// The length of the next piece of the body, without parsing it; `None` at its end.
    pub(crate) async fn next_bytes(&mut self) -> Option<usize> {
        if self.ended {
            return None;
        }
        Some(self.body.next().await?.ok()?.len())
    }

    /// The next piece of what came compressed. A small one: it may grow a thousandfold.
    fn decode(&mut self) -> Result<Bytes, DecodeError> {
        let piece = self.packed.split_to(PIECE.min(self.packed.len()));
        match &mut self.decoder {
            Some(decoder) => decoder.push(&piece),
            None => Ok(piece),
        }
    }
}

/// A last event without its blank line, with one: what follows must not become a part of it.
fn completed(event: RawEvent) -> RawEvent {
    let mut raw = BytesMut::from(event.raw);
    if !raw.ends_with(b"\n") {
        raw.extend_from_slice(b"\n");
    }
    raw.extend_from_slice(b"\n");
    RawEvent { raw: raw.freeze() }
}
