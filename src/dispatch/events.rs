//! The events of one upstream's stream as they arrive: decompressed, split, nothing else.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use flate2::write::GzDecoder;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, header};
use std::io::Write;

use crate::domain::finish::Step;
use crate::upstream::SendError;
use crate::wire::openai::stream::StreamEvent;
use crate::wire::sse::{EventSplitter, RawEvent, SplitError};

/// So much of a compressed stream is inflated at a time, in bytes: at most 1032 times as much comes out of it (a
/// match of 258 bytes in two bits), and events that are too large are noticed after each.
const PIECE: usize = 1024;

/// Why a stream ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The connection.
    #[error("the stream broke off")]
    Broken(#[source] SendError),
    /// An event without end.
    #[error("the stream is not an event stream")]
    NotEvents(#[source] SplitError),
    /// The compression.
    #[error("the stream's compression is broken")]
    Compression(#[source] std::io::Error),
}

impl Fault {
    /// For an operator: the fault and its cause.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Broken(cause) => format!("{self}: {cause}"),
            Self::NotEvents(cause) => format!("{self}: {cause}"),
            Self::Compression(cause) => format!("{self}: {cause}"),
        }
    }
}

/// What an event says of the end of its answer.
pub(super) fn step(said: &StreamEvent) -> Step {
    Step {
        content: said.content,
        finished: said.finished,
        usage: said.usage.is_some(),
    }
}

/// A body, event by event.
pub(crate) struct Events {
    body: BoxStream<'static, Result<Bytes, SendError>>,
    splitter: EventSplitter,
    inflate: Option<GzDecoder<Vec<u8>>>,
    /// What came compressed and is still to be inflated.
    packed: Bytes,
    ended: bool,
}

impl Events {
    /// `headers` say whether the body is compressed.
    pub(crate) fn new(
        headers: &HeaderMap,
        body: BoxStream<'static, Result<Bytes, SendError>>,
    ) -> Self {
        let encoding = headers.get(header::CONTENT_ENCODING);
        let gzip =
            encoding.is_some_and(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"gzip"));
        Self {
            body,
            splitter: EventSplitter::default(),
            inflate: gzip.then(|| GzDecoder::new(Vec::new())),
            packed: Bytes::new(),
            ended: false,
        }
    }

    /// The next event; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Result<RawEvent, Fault>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next event; `None` at the end.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<RawEvent, Fault>>> {
        loop {
            match self.splitter.next_event() {
                Ok(Some(event)) => return Poll::Ready(Some(Ok(event))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(Fault::NotEvents(error)))),
            }
            if !self.packed.is_empty() {
                match self.inflate() {
                    Ok(chunk) => self.splitter.push(chunk),
                    Err(error) => return Poll::Ready(Some(Err(Fault::Compression(error)))),
                }
                continue;
            }
            if self.ended {
                return Poll::Ready(self.splitter.finish().map(|event| Ok(completed(event))));
            }
            match ready!(Pin::new(&mut self.body).poll_next(cx)) {
                None => self.ended = true,
                Some(Err(error)) => return Poll::Ready(Some(Err(Fault::Broken(error)))),
                Some(Ok(chunk)) if self.inflate.is_some() => self.packed = chunk,
                Some(Ok(chunk)) => self.splitter.push(chunk),
            }
        }
    }

    /// The length of the next piece of the body as it came, looked at by nobody; `None` at its end.
    pub(crate) async fn next_bytes(&mut self) -> Option<usize> {
        if self.ended {
            return None;
        }
        Some(self.body.next().await?.ok()?.len())
    }

    /// The next piece of what came compressed. A small one: it may grow a thousandfold.
    fn inflate(&mut self) -> std::io::Result<Bytes> {
        let piece = self.packed.split_to(PIECE.min(self.packed.len()));
        let Some(decoder) = &mut self.inflate else {
            return Ok(piece);
        };
        decoder.write_all(&piece)?;
        decoder.flush()?;
        Ok(Bytes::from(std::mem::take(decoder.get_mut())))
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
