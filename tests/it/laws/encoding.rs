//! Laws of compressed bodies: the limit holds, the pieces do not matter, and an error stays one.
//!
//! The input is a line with the value of `content-encoding`, then the body.

use http::{HeaderMap, HeaderValue, header};
use pointsman::wire::encoding::{Coding, Decoder, codings};

use super::line;

const LIMIT: usize = 100_000;

pub fn hold(data: &[u8]) {
    let (value, body) = line(data);
    let Ok(value) = HeaderValue::from_bytes(value) else {
        return;
    };
    let headers: HeaderMap = [(header::CONTENT_ENCODING, value)].into_iter().collect();
    let codings = match codings(&headers) {
        Ok(codings) => codings,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let whole = decode(&codings, body, body.len().max(1));
    let pieces = decode(&codings, body, 7);
    if whole.is_some() || pieces.is_some() {
        assert_eq!(whole, pieces);
    }
    if codings.is_empty() && body.len() <= LIMIT {
        assert_eq!(whole.as_deref(), Some(body));
    }
}

fn decode(codings: &[Coding], body: &[u8], piece: usize) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(codings, LIMIT);
    let mut all = Vec::new();
    for piece in body.chunks(piece) {
        match decoder.push(piece) {
            Ok(out) => all.extend_from_slice(&out),
            Err(error) => {
                assert_eq!(decoder.push(b"x"), Err(error));
                assert_eq!(decoder.finish(), Err(error));
                return None;
            }
        }
        assert!(codings.is_empty() || all.len() <= LIMIT);
    }
    all.extend_from_slice(&decoder.finish().ok()?);
    Some(all)
}
