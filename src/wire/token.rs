//! A client's token: only its SHA-256 is kept.
//!
//! A fast hash is enough here: tokens are long and random, unlike passwords, so they cannot be guessed.

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN, digest};
use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderName, header};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// The SHA-256 of a token. Two are compared in constant time, and none is shown.
#[derive(Clone, Copy)]
pub struct TokenDigest([u8; SHA256_OUTPUT_LEN]);

impl TokenDigest {
    /// The digest of a token.
    pub fn of(token: &[u8]) -> Self {
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        let digest = digest(&SHA256, token);
        for (byte, from) in bytes.iter_mut().zip(digest.as_ref()) {
            *byte = *from;
        }
        Self(bytes)
    }

    /// From its 64 hexadecimal digits, as `sha256sum` prints them. `None` when it is anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return None;
        };
        if pairs.len() != bytes.len() {
            return None;
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let digit = |text: u8| {
                char::from(text)
                    .to_digit(16)
                    .and_then(|digit| u8::try_from(digit).ok())
            };
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(bytes))
    }

    /// Its 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// The first bytes of the digest, as an index. They reveal nothing useful about the token.
    pub fn digest_prefix(&self) -> u64 {
        let (first, _) = self.0.as_chunks::<8>();
        first.first().map_or(0, |first| u64::from_be_bytes(*first))
    }
}

impl PartialEq for TokenDigest {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for TokenDigest {}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(****)")
    }
}

/// The SHA-256 of two texts, as 64 hexadecimal digits. No other two have the same, though their ends be moved: the
/// length of the first one goes in.
pub(super) fn mixed(one: &[u8], other: &[u8]) -> String {
    let mut context = Context::new(&SHA256);
    context.update(&(one.len() as u64).to_be_bytes());
    context.update(one);
    context.update(other);
    HEXLOWER.encode(context.finish().as_ref())
}

/// The token that a request carries: `authorization: Bearer …`, else `x-api-key: …`, else `x-goog-api-key: …`, else
/// `key=…` in the query of its URL.
pub fn presented<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Option<Cow<'a, [u8]>> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.as_bytes().split_first_chunk::<7>()?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
    });
    let named = || {
        let value = headers.get(API_KEY).or_else(|| headers.get(GOOG_API_KEY))?;
        Some(value.as_bytes())
    };
    match bearer.or_else(named) {
        Some(token) => Some(token.trim_ascii())
            .filter(|token| !token.is_empty())
            .map(Cow::Borrowed),
        None => key(query?),
    }
}

/// The first `key` of a query.
fn key(query: &str) -> Option<Cow<'_, [u8]>> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, value) = pairs.find(|(name, _)| name == "key")?;
    let token = value.trim_ascii();
    (!token.is_empty()).then(|| Cow::Owned(token.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// Of `abc`: the example of FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_token_is_known_by_its_hash() {
        let digest = TokenDigest::of(b"abc");
        assert_eq!(TokenDigest::from_hex(ABC), Some(digest));
        assert_eq!(TokenDigest::from_hex(&ABC.to_uppercase()), Some(digest));
        assert_ne!(TokenDigest::of(b"abd"), digest);
        assert_eq!(digest.digest_prefix(), 0xba78_16bf_8f01_cfea);
        assert_eq!(format!("{digest:?}"), "TokenDigest(****)");
    }

    #[test]
    fn what_is_no_hash_is_not_taken_for_one() {
        for text in [
            "",
            "abc",
            &ABC[1..],
            &format!("{ABC}00"),
            &ABC.replace('b', "g"),
            &ABC.replace("ba", "é"),
        ] {
            assert_eq!(TokenDigest::from_hex(text), None, "{text}");
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        pairs.map(pair).collect()
    }

    #[test]
    fn either_header_carries_it() {
        for (pairs, token) in [
            (&[("authorization", "Bearer t1")][..], "t1"),
            (&[("authorization", "bearer   t1 ")], "t1"),
            (&[("x-api-key", "t1")], "t1"),
            (&[("x-goog-api-key", "t1")], "t1"),
            (
                &[("authorization", "Basic dTpw"), ("x-api-key", "t1")],
                "t1",
            ),
            (&[("authorization", "Bearer t1"), ("x-api-key", "t2")], "t1"),
        ] {
            assert_eq!(
                presented(&headers(pairs), None).as_deref(),
                Some(token.as_bytes()),
                "{pairs:?}"
            );
        }
        for pairs in [
            &[][..],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer  ")],
            &[("authorization", "Bearert1")],
            &[("authorization", "t1")],
            &[("x-api-key", "")],
        ] {
            assert_eq!(presented(&headers(pairs), None), None, "{pairs:?}");
        }
    }

    #[test]
    fn a_query_carries_it_where_no_header_does() {
        let none = HeaderMap::new();
        for (query, token) in [
            ("key=t1", Some("t1")),
            ("alt=sse&key=t%2b1&key=t2", Some("t+1")),
            ("key=t+1", Some("t 1")),
            ("key=", None),
            ("keys=t1", None),
            ("", None),
        ] {
            let found = presented(&none, Some(query));
            assert_eq!(found.as_deref(), token.map(str::as_bytes), "{query}");
        }
        let header = headers(&[("x-goog-api-key", "t1")]);
        let found = presented(&header, Some("key=t2"));
        assert_eq!(found.as_deref(), Some(&b"t1"[..]));
    }
}
