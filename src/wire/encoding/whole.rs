//! Whole answers of upstreams without their codings, for a look at them: what goes to callers stays as it came.

use bytes::Bytes;
use http::HeaderMap;

use super::{Coding, DecodeError, Decoder, codings};

/// A compressed answer is decoded for a look up to this size, in bytes; what is larger is believed.
const MAX_DECODED: usize = 64 * 1024 * 1024;
/// The largest growth of a compressed answer: text seldom grows more than tenfold, a decompression bomb a thousandfold.
const MAX_RATIO: usize = 32;
/// The size to which a small answer may grow, whatever the ratio.
const MIN_DECODED: usize = 1024 * 1024;

/// A body without its codings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decoded {
    /// The decoded body.
    pub body: Bytes,
    /// Whether bytes follow that do not belong to it, which a more forgiving reader could take for a part of it.
    pub trailed: bool,
}

/// Why a body cannot be looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unread {
    /// It has an unknown coding, or grows too much, and was not decoded.
    Unseen,
    /// It is not what its coding says.
    Broken,
}

/// The body of a message with these headers, without its codings. One that has none is not copied.
///
/// # Errors
/// It cannot be looked at.
pub fn decoded(headers: &HeaderMap, body: &Bytes) -> Result<Decoded, Unread> {
    let plain = |body| Decoded {
        body,
        trailed: false,
    };
    let codings = match codings(headers) {
        Ok(codings) if codings.is_empty() => return Ok(plain(body.clone())),
        Ok(codings) => codings,
        // What is text in spite of its label was never encoded: some servers name a character set there.
        Err(_) if std::str::from_utf8(body).is_ok() => return Ok(plain(body.clone())),
        Err(_) => return Err(Unread::Unseen),
    };
    let limit = MAX_DECODED.min(MIN_DECODED.max(body.len().saturating_mul(MAX_RATIO)));
    match all(&codings, body, limit) {
        Ok(decoded) => Ok(decoded),
        Err(DecodeError::TooLarge(_)) => Err(Unread::Unseen),
        Err(DecodeError::Broken(_) | DecodeError::Trailing(_)) => Err(Unread::Broken),
    }
}

fn all(codings: &[Coding], body: &[u8], limit: usize) -> Result<Decoded, DecodeError> {
    let mut decoder = Decoder::new(codings, limit);
    let pushed = decoder.push(body);
    let ended = pushed.clone().and_then(|_| decoder.finish());
    let trailed = match (&pushed, &ended) {
        // Of one on top of another nothing went through to the inner one.
        (_, Err(DecodeError::Trailing(_))) if codings.len() == 1 => true,
        (_, Err(error)) => return Err(*error),
        _ => false,
    };
    let most = pushed.unwrap_or_else(|_| decoder.salvage());
    let body = match ended.unwrap_or_default() {
        last if last.is_empty() => most,
        last => Bytes::from([most, last].concat()),
    };
    Ok(Decoded { body, trailed })
}

/// A body without the byte order mark at its beginning, which JSON may not have; some upstreams send it.
pub fn unmarked(body: Bytes) -> Bytes {
    if body.starts_with(b"\xef\xbb\xbf") {
        body.slice(3..)
    } else {
        body
    }
}

/// A body as text for a look at an error answer: without its codings, the bytes as they came when that fails.
pub fn readable(headers: &HeaderMap, body: &Bytes) -> Bytes {
    let decoded = decoded(headers, body);
    unmarked(decoded.map_or_else(|_| body.clone(), |decoded| decoded.body))
}

/// A body that can be searched for words, without its codings; `None` when it has one that cannot be read here, grows
/// too much, or has bytes behind its end.
pub fn searchable(headers: &HeaderMap, body: &Bytes) -> Option<Bytes> {
    let decoded = decoded(headers, body).ok()?;
    (!decoded.trailed).then_some(decoded.body)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use http::{HeaderValue, header};

    use super::*;

    fn zip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn shrink(text: &str) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn encoded(encodings: &[&'static str]) -> HeaderMap {
        let values = encodings.iter().copied().map(HeaderValue::from_static);
        values
            .map(|value| (header::CONTENT_ENCODING, value))
            .collect()
    }

    fn see(encodings: &[&'static str], body: &[u8]) -> Option<Bytes> {
        searchable(&encoded(encodings), &Bytes::copy_from_slice(body))
    }

    #[test]
    fn what_is_searched_is_all_that_the_caller_could_read() {
        let two = [zip("{\"a\":"), zip("1}")].concat();
        assert_eq!(see(&["gzip"], &two).unwrap(), "{\"a\":1}");
        assert_eq!(see(&["identity", "gzip"], &two).unwrap(), "{\"a\":1}");
        assert_eq!(see(&["deflate"], &shrink("{}")).unwrap(), "{}");
        let layers = ::zstd::encode_all(&zip("{}")[..], 1).unwrap();
        assert_eq!(see(&["gzip, zstd"], &layers).unwrap(), "{}");
        assert_eq!(
            see(&["utf-8"], "{\"ä\":1}".as_bytes()).unwrap(),
            "{\"ä\":1}"
        );
        assert_eq!(see(&["utf-8"], b"\xff").unwrap(), b"\xff"[..]);
        assert_eq!(see(&["compress"], b"\xff"), None);
        assert_eq!(see(&["gzip", "gzip"], &two), None);
        assert_eq!(see(&["gzip"], b"{}"), None);
        assert_eq!(see(&["gzip"], &[]), None);
    }

    #[test]
    fn bytes_behind_the_end_are_no_reason_not_to_read() {
        let body = "x".repeat(100_000);
        for junk in [&b"s"[..], b"sk-key-and-more", &[7; 40], &[0x1f, 0x8b]] {
            for (coding, text) in [("gzip", zip(&body)), ("deflate", shrink(&body))] {
                let text = Bytes::from([&text[..], junk].concat());
                let headers = encoded(&[coding]);
                assert_eq!(searchable(&headers, &text), None, "{coding} {junk:?}");
                assert_eq!(readable(&headers, &text), body, "{coding} {junk:?}");
            }
        }
        // A sum that is not right is no end.
        let mut bent = zip(&body);
        let last = bent.len() - 5;
        bent[last] ^= 1;
        let bent = [&bent[..], b"more"].concat();
        assert_eq!(
            decoded(&encoded(&["gzip"]), &Bytes::from(bent)),
            Err(Unread::Broken)
        );
    }

    #[test]
    fn what_grows_too_much_is_not_seen() {
        for (coding, text) in [
            ("gzip", zip(&" ".repeat(MIN_DECODED + 1))),
            (
                "zstd",
                ::zstd::encode_all(&[0; MIN_DECODED + 1][..], 1).unwrap(),
            ),
        ] {
            let seen = decoded(&encoded(&[coding]), &Bytes::from(text));
            assert_eq!(seen, Err(Unread::Unseen), "{coding}");
        }
    }
}
