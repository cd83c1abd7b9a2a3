//! Streams that are no server-sent events, turned into such: whatever comes after reads one form alone.
//!
//! AWS sends binary frames with checksums (`application/vnd.amazon.eventstream`). An event becomes
//! `data: {"contentBlockDelta": {…}}`, by the name of its type; an exception or an error
//! `data: {"exception": {"type": "throttlingException", "detail": {…}}}`.
//!
//! Ollama sends lines of JSON (NDJSON), each of which becomes the data of an event.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};

mod data;
mod frames;
mod lines;

pub use data::FrameError;
use frames::Frames;
use lines::Lines;

/// Reads one such stream, in any pieces.
#[derive(Debug)]
pub struct Framing {
    form: FrameReader,
    /// What cannot be read, once it has come.
    failed: Option<FrameError>,
}

#[derive(Debug)]
enum FrameReader {
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
        let form = if is(b"application/vnd.amazon.eventstream") {
            FrameReader::Frames(Frames::new(limit))
        } else if lines && !is(b"text/event-stream") {
            FrameReader::Lines(Lines::new(limit))
        } else {
            return None;
        };
        Some(Self { form, failed: None })
    }

    /// The events of all that is complete with this piece. What comes in front of something that cannot be read is told
    /// first, as it is when the two come one by one.
    ///
    /// # Errors
    /// What cannot be read; nothing that follows can be.
    pub fn push(&mut self, piece: &[u8]) -> Result<Bytes, FrameError> {
        let mut out = BytesMut::new();
        if self.failed.is_none() {
            let read = match &mut self.form {
                FrameReader::Frames(frames) => frames.push(piece, &mut out),
                FrameReader::Lines(lines) => lines.push(piece, &mut out),
            };
            self.failed = read.err();
        }
        match &self.failed {
            Some(error) if out.is_empty() => Err(error.clone()),
            _ => Ok(out.freeze()),
        }
    }

    /// Whether something came that cannot be read: [`finish`](Self::finish) says what.
    pub fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Bytes of a frame whose end has not come yet.
    pub fn pending(&self) -> usize {
        match &self.form {
            FrameReader::Frames(frames) => frames.pending(),
            FrameReader::Lines(lines) => lines.pending(),
        }
    }

    /// What is left where the stream ended.
    ///
    /// # Errors
    /// The end came in the middle of a frame, or behind something that cannot be read.
    pub fn finish(&mut self) -> Result<Bytes, FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match &mut self.form {
            FrameReader::Frames(frames) => frames.finish(),
            FrameReader::Lines(lines) => Ok(lines.finish()),
        }
    }
}

#[cfg(test)]
pub(in crate::wire) mod tests;
