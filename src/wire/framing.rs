//! Streams that are no server-sent events, turned into such: whatever comes after reads one form alone.
//!
//! AWS sends binary frames with checksums (`application/vnd.amazon.eventstream`). An event becomes
//! `data: {"contentBlockDelta": {…}}`, by the name of its type; an exception or an error
//! `data: {"exception": {"type": "throttlingException", "detail": {…}}}`.

use bytes::Bytes;
use http::{HeaderMap, header};

mod data;
mod frames;

pub use data::FrameError;
use frames::Frames;

/// Reads one such stream, in any pieces.
#[derive(Debug)]
pub enum Framing {
    /// AWS's frames.
    Frames(Frames),
}

impl Framing {
    /// How an answer with these headers is framed; `None` for all that are not named here. No frame may have more than
    /// `limit` bytes.
    pub fn of(headers: &HeaderMap, limit: usize) -> Option<Self> {
        let kind = headers.get(header::CONTENT_TYPE)?.as_bytes();
        let is = |name: &[u8]| {
            let start = kind.get(..name.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        is(b"application/vnd.amazon.eventstream").then(|| Self::Frames(Frames::new(limit)))
    }

    /// The events of all that is complete with this piece.
    ///
    /// # Errors
    /// What cannot be read; nothing that follows can be.
    pub fn push(&mut self, piece: &[u8]) -> Result<Bytes, FrameError> {
        match self {
            Self::Frames(frames) => frames.push(piece),
        }
    }

    /// Bytes of a frame whose end has not come yet.
    pub fn pending(&self) -> usize {
        match self {
            Self::Frames(frames) => frames.pending(),
        }
    }

    /// What is left where the stream ended.
    ///
    /// # Errors
    /// The end came in the middle of a frame.
    pub fn finish(&mut self) -> Result<Bytes, FrameError> {
        match self {
            Self::Frames(frames) => frames.finish(),
        }
    }
}

#[cfg(test)]
pub(in crate::wire) mod tests;
