//! gzip, piece by piece.

use std::io::{self, Write};

use flate2::write::GzDecoder;

use super::sink::Sink;

/// RFC 1952: one member after the other, then zeros, if any: tapes and blocks are filled up with them, and gzip(1)
/// ignores them too.
pub(super) struct Gunzip {
    pub(super) member: GzDecoder<Sink>,
    /// Nothing but zeros may follow.
    padded: bool,
}

impl Gunzip {
    pub(super) fn new(sink: Sink) -> Self {
        Self {
            member: GzDecoder::new(sink),
            padded: false,
        }
    }

    pub(super) fn write(&mut self, mut piece: &[u8]) -> io::Result<()> {
        while let Some(first) = piece.first() {
            if self.padded {
                return if piece.iter().all(|byte| *byte == 0) {
                    Ok(())
                } else {
                    Err(io::ErrorKind::InvalidData.into())
                };
            }
            let taken = match self.member.write(piece)? {
                // The member is complete, and this is behind it.
                0 => {
                    self.member.try_finish()?;
                    self.padded = *first == 0;
                    if !self.padded {
                        self.next_member();
                        let taken = self.member.write(piece)?;
                        if taken == 0 {
                            return Err(io::ErrorKind::InvalidData.into());
                        }
                        taken
                    } else {
                        0
                    }
                }
                taken => taken,
            };
            piece = piece.get(taken..).unwrap_or_default();
        }
        self.member.flush()
    }

    fn next_member(&mut self) {
        let done = self.member.get_mut();
        let sink = Sink {
            out: std::mem::take(&mut done.out),
            left: std::mem::take(&mut done.left),
            full: done.full,
            any: done.any,
        };
        self.member = GzDecoder::new(sink);
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        if self.padded {
            Ok(())
        } else {
            self.member.try_finish()
        }
    }
}
