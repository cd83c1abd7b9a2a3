//! A body that may be compressed, made readable for a look at it. What goes to the caller stays as it came.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, GzDecoder, MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header};

/// A compressed answer is inflated for a look up to this size, in bytes; what is larger is believed.
const MAX_INFLATED: u64 = 64 * 1024 * 1024;
/// A compressed answer may grow so much: text seldom grows more than tenfold, what is made to harm a thousandfold.
const MAX_RATIO: u64 = 32;
/// A small answer may grow to so many bytes, whatever the ratio.
const MIN_INFLATED: u64 = 1024 * 1024;

/// Whether an answer that begins like this is an event stream, whatever its label says. `None` when it takes more bytes
/// to tell.
pub fn looks_like_events(start: &[u8]) -> Option<bool> {
    const FIELDS: [&[u8]; 5] = [b"data", b"event", b"id", b"retry", b"error"];
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let start = start.strip_prefix(MARK).unwrap_or(start).trim_ascii_start();
    if MARK.starts_with(start) {
        return None;
    }
    let end = start
        .iter()
        .position(|byte| matches!(byte, b':' | b'\n' | b'\r'));
    match end {
        Some(end) => {
            let name = start.get(..end).unwrap_or_default();
            Some(name.is_empty() || FIELDS.contains(&name))
        }
        None if FIELDS.iter().any(|field| field.starts_with(start)) => None,
        None => Some(false),
    }
}

pub(super) enum Unreadable {
    /// Compressed in a way that was not asked for: passed on unseen.
    Foreign,
    Broken,
    /// Readable up to bytes that do not belong to it.
    Trailed(Vec<u8>),
}

/// The inflated body when it is compressed. Of bytes behind it nothing is said here.
pub(super) fn plain(headers: &HeaderMap, body: &Bytes) -> Result<Option<Vec<u8>>, Unreadable> {
    match whole(headers, body) {
        Err(Unreadable::Trailed(inflated)) => Ok(Some(inflated)),
        other => other,
    }
}

/// The same, and all of it: nothing that a more forgiving reader could take for a part of the answer is left.
fn whole(headers: &HeaderMap, body: &Bytes) -> Result<Option<Vec<u8>>, Unreadable> {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    let Some(encoding) = encodings.next() else {
        return Ok(None);
    };
    if encodings.next().is_some() {
        return Err(Unreadable::Foreign);
    }
    let limit = MAX_INFLATED.min(MIN_INFLATED.max(body.len() as u64 * MAX_RATIO));
    let mut out = Vec::new();
    let mut rest: &[u8] = body;
    let read = match encoding.as_bytes().to_ascii_lowercase().as_slice() {
        b"identity" | b"" => return Ok(None),
        b"gzip" | b"x-gzip" => {
            let all = MultiGzDecoder::new(&mut rest);
            match all.take(limit).read_to_end(&mut out) {
                // Whatever follows the first member is no other one.
                Err(_) => {
                    (out, rest) = (Vec::new(), body);
                    GzDecoder::new(&mut rest).take(limit).read_to_end(&mut out)
                }
                read => read,
            }
        }
        b"deflate" if is_zlib(body) => ZlibDecoder::new(&mut rest)
            .take(limit)
            .read_to_end(&mut out),
        b"deflate" => DeflateDecoder::new(&mut rest)
            .take(limit)
            .read_to_end(&mut out),
        _ => return Err(Unreadable::Foreign),
    };
    match read {
        Ok(size) if size as u64 >= limit => Err(Unreadable::Foreign),
        Ok(_) if !rest.is_empty() => Err(Unreadable::Trailed(out)),
        Ok(_) => Ok(Some(out)),
        Err(_) => Err(Unreadable::Broken),
    }
}

/// Whether what is called `deflate` begins with the head of zlib's format (RFC 1950), as it should (RFC 9110); some send
/// the bare stream (RFC 1951). False for less than two bytes.
pub fn is_zlib(start: &[u8]) -> bool {
    let [first, second, ..] = start else {
        return false;
    };
    first & 0x0f == 8 && u16::from_be_bytes([*first, *second]) % 31 == 0
}

/// A body without the byte order mark at its beginning, which JSON may not have; some upstreams send it.
pub fn unmarked(body: Bytes) -> Bytes {
    match body.starts_with(b"\xef\xbb\xbf") {
        true => body.slice(3..),
        false => body,
    }
}

/// A body as text for a look at an error answer: inflated if need be, the raw bytes when that fails.
pub fn readable(headers: &HeaderMap, body: &Bytes) -> Bytes {
    match plain(headers, body) {
        Ok(Some(inflated)) => unmarked(Bytes::from(inflated)),
        Ok(None) | Err(_) => unmarked(body.clone()),
    }
}

/// A body that can be searched for words: inflated if need be; `None` when it is compressed in a way that cannot
/// be read here, grows too much, or has bytes behind its end.
pub fn searchable(headers: &HeaderMap, body: &Bytes) -> Option<Bytes> {
    match whole(headers, body) {
        Ok(Some(inflated)) => Some(Bytes::from(inflated)),
        Ok(None) => Some(body.clone()),
        Err(_) => None,
    }
}
