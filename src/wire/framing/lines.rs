//! Lines of JSON (NDJSON): one value a line, between them perhaps empty ones.

use bytes::{Bytes, BytesMut};

use super::data::{FrameError, put_data};

/// A line whose end has not come yet.
#[derive(Debug)]
pub struct Lines {
    limit: usize,
    partial: BytesMut,
}

impl Lines {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            partial: BytesMut::new(),
        }
    }

    pub(super) fn push(&mut self, piece: &[u8], out: &mut BytesMut) -> Result<(), FrameError> {
        out.reserve(piece.len() + 16);
        let mut rest = piece;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, tail) = rest.split_at(end);
            rest = tail.get(1..).unwrap_or_default();
            self.check(line.len())?;
            if self.partial.is_empty() {
                put_line(out, line);
            } else {
                self.partial.extend_from_slice(line);
                put_line(out, &self.partial);
                self.partial.clear();
            }
        }
        self.check(rest.len())?;
        self.partial.extend_from_slice(rest);
        Ok(())
    }

    /// Whether the line may be longer by so much.
    fn check(&self, more: usize) -> Result<(), FrameError> {
        match self.partial.len().saturating_add(more) > self.limit {
            true => Err(FrameError::TooLarge(self.limit)),
            false => Ok(()),
        }
    }

    pub(super) fn pending(&self) -> usize {
        self.partial.len()
    }

    /// A last line needs no end: whether it is whole shows its JSON.
    pub(super) fn finish(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        if !self.partial.trim_ascii().is_empty() {
            put_line(&mut out, &self.partial);
        }
        self.partial.clear();
        out.freeze()
    }
}

/// A line as an event. An empty one, which some servers send to keep a connection open, stays one.
fn put_line(out: &mut BytesMut, line: &[u8]) {
    let line = line.trim_ascii();
    if !line.is_empty() {
        out.extend_from_slice(b"data: ");
        put_data(out, line);
        out.extend_from_slice(b"\n");
    }
    out.extend_from_slice(b"\n");
}
