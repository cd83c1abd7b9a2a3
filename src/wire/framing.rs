//! Streams that are no server-sent events, turned into such: whatever comes after reads one form alone.
//!
//! AWS sends binary frames with checksums (`application/vnd.amazon.eventstream`). An event becomes
//! `data: {"contentBlockDelta": {…}}`, by the name of its type; an exception or an error
//! `data: {"exception": {"type": "throttlingException", "detail": {…}}}`.
//!
//! Ollama sends lines of JSON (NDJSON), each of which becomes the data of an event.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

mod data;
mod frames;
mod lines;

pub use data::FrameError;
use frames::Frames;
use lines::Lines;

/// Reads one such stream, in any pieces.
#[derive(Debug)]
pub enum Framing {
    /// AWS's frames.
    Frames(Frames),
    /// Lines of JSON.
    Lines(Lines),
}

impl Framing {
    /// How an answer with these headers is framed; `None` for events, and for what may be anything. `lines`: its dialect
    /// sends lines, which are known by that alone, since servers and proxies give them many types, or none. No frame may
    /// have more than `limit` bytes.
    pub fn of(headers: &HeaderMap, lines: bool, limit: usize) -> Option<Self> {
        let kind = headers.get(header::CONTENT_TYPE);
        let kind = kind.map(HeaderValue::as_bytes).unwrap_or_default();
        let is = |name: &[u8]| {
            let start = kind.get(..name.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        if is(b"application/vnd.amazon.eventstream") {
            return Some(Self::Frames(Frames::new(limit)));
        }
        (lines && !is(b"text/event-stream")).then(|| Self::Lines(Lines::new(limit)))
    }

    /// The events of all that is complete with this piece.
    ///
    /// # Errors
    /// What cannot be read; nothing that follows can be.
    pub fn push(&mut self, piece: &[u8]) -> Result<Bytes, FrameError> {
        match self {
            Self::Frames(frames) => frames.push(piece),
            Self::Lines(lines) => lines.push(piece),
        }
    }

    /// Bytes of a frame whose end has not come yet.
    pub fn pending(&self) -> usize {
        match self {
            Self::Frames(frames) => frames.pending(),
            Self::Lines(lines) => lines.pending(),
        }
    }

    /// What is left where the stream ended.
    ///
    /// # Errors
    /// The end came in the middle of a frame.
    pub fn finish(&mut self) -> Result<Bytes, FrameError> {
        match self {
            Self::Frames(frames) => frames.finish(),
            Self::Lines(lines) => Ok(lines.finish()),
        }
    }
}

#[cfg(test)]
pub(in crate::wire) mod tests;
