//! What answers say of the cache: `x-pointsman-cache`, `age`, `Cache-Status` (RFC 9211), and that nobody on the way is to keep
//! them.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::wire::cache_words::CACHE;

/// The word for an answer that serves because no upstream could.
const STALE: &str = "stale";
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Where an answer came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::dispatch) enum CacheResult {
    /// It was kept, and serves so much longer.
    Hit {
        /// Since it was put.
        age: Duration,
        /// Until it serves no longer.
        ttl: Duration,
    },
    /// It was kept, and serves because no upstream could.
    Stale {
        /// Since it was put.
        age: Duration,
    },
    /// It is that of an equal request that was under way.
    Coalesced,
    /// None was kept: an upstream was asked.
    Miss {
        /// The caller wanted that.
        asked: bool,
        /// The answer is kept.
        stored: bool,
    },
    /// Such a request is not looked up.
    Bypass,
}

impl CacheResult {
    /// Whether an answer with these headers was kept, and is out of date.
    pub(in crate::dispatch) fn is_stale(headers: &HeaderMap) -> bool {
        headers.get(&CACHE).is_some_and(|word| word == STALE)
    }

    /// Puts it among the headers of an answer that says nothing of it yet.
    pub(in crate::dispatch) fn put_if_none(self, headers: &mut HeaderMap) {
        if !headers.contains_key(&CACHE) {
            self.put(headers);
        }
    }

    /// Puts it among an answer's headers.
    pub(in crate::dispatch) fn put(self, headers: &mut HeaderMap) {
        let (word, status) = match self {
            Self::Hit { age, ttl } => {
                headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
                ("hit", format!("pointsman; hit; ttl={}", ttl.as_secs()))
            }
            Self::Stale { age } => {
                headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
                (STALE, "pointsman; hit; fwd=stale".to_owned())
            }
            Self::Coalesced => ("coalesced", "pointsman; fwd=uri-miss; collapsed".to_owned()),
            Self::Miss { asked, stored } => {
                let why = if asked { "request" } else { "uri-miss" };
                let stored = if stored { "; stored" } else { "" };
                ("miss", format!("pointsman; fwd={why}{stored}"))
            }
            Self::Bypass => ("bypass", "pointsman; fwd=bypass".to_owned()),
        };
        headers.insert(CACHE, HeaderValue::from_static(word));
        if let Ok(status) = HeaderValue::try_from(status) {
            headers.insert(CACHE_STATUS, status);
        }
        let private = HeaderValue::from_static("private, no-store");
        headers.insert(header::CACHE_CONTROL, private);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_says_where_it_came_from() {
        const S: Duration = Duration::from_secs(1);
        let (asked, stored) = (false, true);
        for (mark, word, status, age) in [
            (
                CacheResult::Hit {
                    age: 49 * S,
                    ttl: 251 * S,
                },
                "hit",
                "pointsman; hit; ttl=251",
                Some("49"),
            ),
            (
                CacheResult::Stale { age: 400 * S },
                "stale",
                "pointsman; hit; fwd=stale",
                Some("400"),
            ),
            (
                CacheResult::Miss { asked, stored },
                "miss",
                "pointsman; fwd=uri-miss; stored",
                None,
            ),
            (
                CacheResult::Miss {
                    asked: true,
                    stored: false,
                },
                "miss",
                "pointsman; fwd=request",
                None,
            ),
            (
                CacheResult::Coalesced,
                "coalesced",
                "pointsman; fwd=uri-miss; collapsed",
                None,
            ),
            (CacheResult::Bypass, "bypass", "pointsman; fwd=bypass", None),
        ] {
            let mut headers = HeaderMap::new();
            mark.put(&mut headers);
            let told = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!(told("x-pointsman-cache"), Some(word));
            assert_eq!(told("cache-status"), Some(status));
            assert_eq!(told("age"), age);
            assert_eq!(told("cache-control"), Some("private, no-store"));
        }
    }
}
