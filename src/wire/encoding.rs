//! Content codings (RFC 9110, 8.4.1): which ones a message has, and their removal piece by piece, within a bound.
//!
//! A decoder never holds more than what one piece grew to, besides what a coding looks back at: 32 KiB for gzip and
//! deflate, at most 16 MiB for brotli (RFC 7932, 9.1) and 8 MiB for zstd (RFC 9659). Small pieces (1 KiB, say) keep the
//! time of one call short; what comes out in all, or of one piece, is bounded by the limit.
//!
//! Requests are decoded under the configured limit of a body (`api/body.rs`), streams piece by piece
//! (`dispatch/events.rs`), and the whole answers of upstreams for a look ([`whole`]).

mod gunzip;
mod sink;
pub mod whole;

use std::fmt;
use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use http::{HeaderMap, HeaderValue, header};
use zstd::stream::raw::DParameter;
use zstd::stream::write::Decoder as ZstdDecoder;

use gunzip::Gunzip;
use sink::Sink;

/// The most codings on top of each other. Servers use one; each takes the time of a whole body.
const MOST: usize = 3;
/// The logarithm of the largest window of zstd that a receiver must support, and may insist on (RFC 9659, 3).
const ZSTD_WINDOW_LOG: u32 = 23;
/// How a stream of brotli begins that has the window of an extension that `br` does not include, up to 1 GiB (RFC 7932,
/// 9.1 leaves this pattern out): the library would reserve it.
const LARGE_WINDOW: u8 = 0x11;
/// What inflating and brotli hand on at a time, in bytes.
const BUFFER: usize = 16 * 1024;

/// What may be sent here, for `accept-encoding`.
pub const TAKEN: HeaderValue = HeaderValue::from_static("gzip, deflate, br, zstd, identity");

/// One content coding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 1950, or RFC 1951 without a wrapper, which some programs send under the same name.
    Deflate,
    /// Brotli (RFC 7932).
    Brotli,
    /// RFC 8878, any number of frames, with windows of at most 8 MiB.
    Zstd,
}

impl Coding {
    /// By its name in `content-encoding`, in any case.
    fn named(name: &str) -> Option<Self> {
        let names = [
            ("gzip", Self::Gzip),
            ("x-gzip", Self::Gzip),
            ("deflate", Self::Deflate),
            ("br", Self::Brotli),
            ("zstd", Self::Zstd),
        ];
        let mut names = names.into_iter();
        let (_, coding) = names.find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        Some(coding)
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        })
    }
}

/// Why a message's codings cannot be removed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CodingError {
    /// One that is not known here.
    #[error("the content-encoding `{0}` is not known here: send gzip, deflate, br, zstd or none")]
    Unknown(String),
    /// Too many, one on top of the other.
    #[error(
        "more than {MOST} encodings on top of each other (content-encoding) are not read: send one or none"
    )]
    TooMany,
}

/// The codings of a message in the order in which they were applied; none when it is plain.
///
/// # Errors
/// Codings that are not known here, or too many.
pub fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, CodingError> {
    let mut found = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let text = String::from_utf8_lossy(value.as_bytes());
        let names = text.split(',').map(str::trim);
        for name in names.filter(|name| !is_plain(name)) {
            let unknown = || CodingError::Unknown(name.chars().take(40).collect());
            found.push(Coding::named(name).ok_or_else(unknown)?);
        }
    }
    if found.len() > MOST {
        Err(CodingError::TooMany)
    } else {
        Ok(found)
    }
}

/// Whether the sender of these headers takes gzip (RFC 9110, 12.5.3): by its name, else by `*`, with a weight above 0.
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let mut any = false;
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        let text = String::from_utf8_lossy(value.as_bytes());
        for member in text.split(',') {
            let (name, weight) = member.split_once(';').unwrap_or((member, ""));
            let weight = weight.trim().to_ascii_lowercase();
            let taken = weight
                .strip_prefix("q=")
                .and_then(|weight| weight.trim().parse().ok())
                .is_none_or(|weight: f32| weight > 0.0);
            match name.trim() {
                name if Coding::named(name) == Some(Coding::Gzip) => return taken,
                "*" => any = taken,
                _ => {}
            }
        }
    }
    any
}

/// Whether a name in `content-encoding` changes nothing about the bytes: no coding at all, AWS's chunks (which the HTTP
/// library has removed), or what programs put there that take it for `content-transfer-encoding` or for the charset of
/// `content-type`.
fn is_plain(name: &str) -> bool {
    const NONE: [&str; 8] = [
        "",
        "identity",
        "none",
        "aws-chunked",
        "binary",
        "7bit",
        "8bit",
        "plain",
    ];
    const CHARSETS: [&str; 14] = [
        "utf-8",
        "utf8",
        "utf-16",
        "utf-16le",
        "utf-16be",
        "utf16",
        "utf-32",
        "ascii",
        "us-ascii",
        "latin1",
        "latin-1",
        "iso-8859-1",
        "iso-8859-15",
        "windows-1252",
    ];
    NONE.iter()
        .chain(&CHARSETS)
        .any(|plain| name.eq_ignore_ascii_case(plain))
}

/// Why nothing more comes out of a decoder.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// More came out than was allowed, in bytes.
    #[error("it grows to more than {0} bytes when it is decompressed")]
    TooLarge(usize),
    /// It is not what its coding says, or only a part of it.
    #[error("it is not valid {0}, or was cut")]
    Broken(Coding),
    /// It is complete, and other bytes follow. Only detected for gzip and deflate.
    #[error("bytes follow the end of its {0}")]
    Trailing(Coding),
}

/// Removes the codings of one message. After an error it only repeats that error.
pub struct Decoder {
    /// The coding that was applied last comes first.
    layers: Vec<Layer>,
    failed: Option<DecodeError>,
    /// How much may come out of each piece, in bytes, if that is what is limited.
    of_a_piece: Option<usize>,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codings = self.layers.iter().map(|layer| layer.coding);
        f.debug_list().entries(codings).finish()
    }
}

impl Decoder {
    /// For a message with these codings, in the order in which they were applied, that may grow to `limit` bytes.
    pub fn new(codings: &[Coding], limit: usize) -> Self {
        let layers = codings
            .iter()
            .rev()
            .map(|coding| Layer::new(*coding, limit));
        Self {
            layers: layers.collect(),
            failed: None,
            of_a_piece: None,
        }
    }

    /// For a message without an end, of which one piece may grow to `limit` bytes.
    pub fn endless(codings: &[Coding], limit: usize) -> Self {
        Self {
            of_a_piece: Some(limit),
            ..Self::new(codings, limit)
        }
    }

    /// Takes the next piece; returns all that it makes readable.
    ///
    /// # Errors
    /// It grew too much, or is not what its coding says.
    pub fn push(&mut self, piece: &[u8]) -> Result<Bytes, DecodeError> {
        if let Some(limit) = self.of_a_piece {
            for layer in &mut self.layers {
                layer.sink().left = limit;
            }
        }
        self.guarded(|layers| match layers.split_first_mut() {
            Some((outer, inner)) => through(inner, outer.push(piece)?),
            None => Ok(piece.to_vec()),
        })
    }

    /// What came out of the last piece in spite of its error.
    fn salvage(&mut self) -> Bytes {
        let last = self.layers.last_mut().map(Layer::sink);
        Bytes::from(last.map_or_else(Vec::new, |sink| std::mem::take(&mut sink.out)))
    }

    /// The message is over; returns what was still held back.
    ///
    /// # Errors
    /// It is not whole, and as in [`Self::push`].
    pub fn finish(&mut self) -> Result<Bytes, DecodeError> {
        self.guarded(|layers| {
            let mut last = Vec::new();
            let mut rest = layers;
            while let Some((layer, inner)) = rest.split_first_mut() {
                // What a layer held back goes through those below it before they are ended themselves.
                last.extend(through(inner, layer.finish()?)?);
                rest = inner;
            }
            Ok(last)
        })
    }

    fn guarded(
        &mut self,
        work: impl FnOnce(&mut [Layer]) -> Result<Vec<u8>, DecodeError>,
    ) -> Result<Bytes, DecodeError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let done = work(&mut self.layers);
        self.failed = done.as_ref().err().copied();
        done.map(Bytes::from)
    }
}

/// What comes out below the last of these layers.
fn through(layers: &mut [Layer], piece: Vec<u8>) -> Result<Vec<u8>, DecodeError> {
    let mut layers = layers.iter_mut();
    layers.try_fold(piece, |piece, layer| layer.push(&piece))
}

/// One coding of a message.
struct Layer {
    coding: Coding,
    limit: usize,
    /// Whether anything came: an empty text is no compressed one.
    begun: bool,
    machine: Machine,
}

enum Machine {
    Gzip(Box<Gunzip>),
    Deflate(Inflate),
    Brotli(Box<DecompressorWriter<Sink>>),
    Zstd(ZstdDecoder<'static, Sink>),
    /// The library cannot be set up.
    Unset(Sink),
}

impl Layer {
    fn new(coding: Coding, limit: usize) -> Self {
        let sink = || Sink {
            out: Vec::new(),
            left: limit,
            full: false,
            any: false,
        };
        let machine = match coding {
            Coding::Gzip => Machine::Gzip(Box::new(Gunzip::new(sink()))),
            Coding::Deflate => Machine::Deflate(Inflate::new(sink())),
            Coding::Brotli => Machine::Brotli(Box::new(DecompressorWriter::new(sink(), BUFFER))),
            Coding::Zstd => zstd(sink()).map_or_else(|_| Machine::Unset(sink()), Machine::Zstd),
        };
        Self {
            coding,
            limit,
            begun: false,
            machine,
        }
    }

    fn push(&mut self, piece: &[u8]) -> Result<Vec<u8>, DecodeError> {
        if piece.is_empty() {
            return Ok(Vec::new());
        }
        let first = piece.first().filter(|_| !self.begun);
        self.begun = true;
        let done = match &mut self.machine {
            Machine::Brotli(_) if first.is_some_and(|first| first & 0x7f == LARGE_WINDOW) => {
                Err(io::ErrorKind::InvalidData.into())
            }
            Machine::Gzip(gzip) => gzip.write(piece),
            Machine::Deflate(deflate) => deflate.write(piece),
            Machine::Brotli(brotli) => brotli.write_all(piece),
            Machine::Zstd(zstd) => zstd.write_all(piece).and_then(|()| zstd.flush()),
            Machine::Unset(_) => Err(io::ErrorKind::Unsupported.into()),
        };
        self.out(&done)
    }

    fn finish(&mut self) -> Result<Vec<u8>, DecodeError> {
        let done = match &mut self.machine {
            _ if !self.begun => Err(io::ErrorKind::UnexpectedEof.into()),
            Machine::Gzip(gzip) => gzip.finish(),
            Machine::Deflate(deflate) => deflate.finish(),
            Machine::Brotli(brotli) => brotli.close(),
            Machine::Zstd(zstd) => zstd.do_finish(),
            Machine::Unset(_) => Err(io::ErrorKind::Unsupported.into()),
        };
        self.out(&done)
    }

    fn sink(&mut self) -> &mut Sink {
        match &mut self.machine {
            Machine::Gzip(gzip) => gzip.member.get_mut(),
            Machine::Deflate(deflate) => &mut deflate.sink,
            Machine::Brotli(brotli) => brotli.get_mut(),
            Machine::Zstd(zstd) => zstd.get_mut(),
            Machine::Unset(sink) => sink,
        }
    }

    /// What has come out, if all went well.
    fn out(&mut self, done: &io::Result<()>) -> Result<Vec<u8>, DecodeError> {
        if done.is_ok() {
            return Ok(std::mem::take(&mut self.sink().out));
        }
        if self.sink().full {
            return Err(DecodeError::TooLarge(self.limit));
        }
        let ended = match &self.machine {
            // Behind a member whose sum was right is what is no head of another one.
            Machine::Gzip(gzip) => gzip.member.get_ref().any && gzip.member.header().is_none(),
            Machine::Deflate(deflate) => deflate.ended,
            _ => false,
        };
        Err(if ended {
            DecodeError::Trailing(self.coding)
        } else {
            DecodeError::Broken(self.coding)
        })
    }
}

fn zstd(sink: Sink) -> io::Result<ZstdDecoder<'static, Sink>> {
    let mut decoder = ZstdDecoder::new(sink)?;
    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
    Ok(decoder)
}

/// RFC 1950 or RFC 1951, by the first two bytes.
struct Inflate {
    sink: Sink,
    /// The first byte, while the second has not come.
    first: Option<u8>,
    state: Option<Decompress>,
    ended: bool,
}

impl Inflate {
    fn new(sink: Sink) -> Self {
        Self {
            sink,
            first: None,
            state: None,
            ended: false,
        }
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.state.is_some() {
            return self.inflate(piece);
        }
        let mut begin = Vec::with_capacity(piece.len() + 1);
        begin.extend(self.first.take());
        begin.extend_from_slice(piece);
        match begin.as_slice() {
            [] => Ok(()),
            [first] => {
                self.first = Some(*first);
                Ok(())
            }
            [first, second, ..] => {
                // RFC 1950, 2.2: method 8 with a window of at most 32 KiB, and a multiple of 31.
                let wrapped = first & 0x0f == 8
                    && first >> 4 <= 7
                    && u16::from_be_bytes([*first, *second]) % 31 == 0;
                self.state = Some(Decompress::new(wrapped));
                self.inflate(&begin)
            }
        }
    }

    fn inflate(&mut self, mut piece: &[u8]) -> io::Result<()> {
        let Some(state) = &mut self.state else {
            return Ok(());
        };
        let mut buffer = [0; BUFFER];
        while !self.ended {
            let (read, written) = (state.total_in(), state.total_out());
            let status = state
                .decompress(piece, &mut buffer, FlushDecompress::None)
                .map_err(io::Error::other)?;
            let read = usize::try_from(state.total_in() - read).unwrap_or(usize::MAX);
            let written = usize::try_from(state.total_out() - written).unwrap_or(usize::MAX);
            self.sink
                .write_all(buffer.get(..written).unwrap_or_default())?;
            piece = piece.get(read..).unwrap_or_default();
            self.ended = status == Status::StreamEnd;
            if !self.ended && read == 0 && written == 0 {
                break;
            }
        }
        // Nothing follows the end.
        match piece {
            [] => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn finish(&self) -> io::Result<()> {
        if self.ended {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

#[cfg(test)]
mod tests;
