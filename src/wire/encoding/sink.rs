//! Where decoders put what they decode.

use std::io::{self, Write};

/// Where a coding's library writes to: it takes no more than was allowed.
pub(super) struct Sink {
    pub(super) out: Vec<u8>,
    /// Bytes that may still come.
    pub(super) left: usize,
    pub(super) full: bool,
    /// Whether any output was produced.
    pub(super) any: bool,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.left {
            self.full = true;
            return Err(io::Error::other("grown too much"));
        }
        self.left -= bytes.len();
        self.any |= !bytes.is_empty();
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
