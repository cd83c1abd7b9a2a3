//! JSON in lines.

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

    pub(super) fn push(&mut self, piece: &[u8]) -> Result<Bytes, FrameError> {
        let mut out = BytesMut::new();
        let mut rest = piece;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, tail) = rest.split_at(end);
            rest = tail.get(1..).unwrap_or_default();
            self.partial.extend_from_slice(line);
            if self.partial.len() > self.limit {
                return Err(FrameError::TooLarge(self.limit));
            }
            put_line(&mut out, &self.partial.split());
        }
        self.partial.extend_from_slice(rest);
        match self.partial.len() > self.limit {
            true => Err(FrameError::TooLarge(self.limit)),
            false => Ok(out.freeze()),
        }
    }

    pub(super) fn pending(&self) -> usize {
        self.partial.len()
    }

    pub(super) fn finish(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        put_line(&mut out, &self.partial.split());
        out.freeze()
    }
}

fn put_line(out: &mut BytesMut, line: &[u8]) {
    let line = line.trim_ascii();
    if !line.is_empty() {
        out.extend_from_slice(b"data: ");
        put_data(out, line);
        out.extend_from_slice(b"\n\n");
    }
}
