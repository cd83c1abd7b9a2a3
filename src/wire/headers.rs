//! Which headers pass, each way. A request's go on by a short list of those that mean something to an
//! upstream; an answer's come back but for those that concern the connection, the key or the account.

use http::{HeaderMap, HeaderName, header};

/// A caller's headers that an upstream may see.
const REQUEST: [HeaderName; 5] = [
    header::ACCEPT,
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("anthropic-beta"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("x-session-id"),
];

/// Headers of an answer that do not come back, besides those of [`DROPPED_PREFIXES`].
const DROPPED: [HeaderName; 18] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::AUTHORIZATION,
    header::WWW_AUTHENTICATE,
    header::SET_COOKIE,
    header::ALT_SVC,
    header::SERVER,
    header::VIA,
    header::STRICT_TRANSPORT_SECURITY,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// What describes a key, an account, or a way the bytes took.
const DROPPED_PREFIXES: [&str; 9] = [
    "x-ratelimit-",
    "ratelimit",
    "anthropic-ratelimit-",
    "anthropic-organization",
    "openai-organization",
    "openai-project",
    "access-control-",
    "cf-",
    "x-pointsman-",
];

/// The caller's headers that go on to an upstream.
pub fn forward_request_headers(headers: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(8);
    for name in &REQUEST {
        if let Some(value) = headers.get(name) {
            out.insert(name.clone(), value.clone());
        }
    }
    out
}

/// The upstream's headers that go back to the caller.
pub fn forward_response_headers(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<&str> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let mut out = HeaderMap::with_capacity(headers.len() + 4);
    for (name, value) in headers {
        let text = name.as_str();
        let drop = DROPPED.contains(name)
            || DROPPED_PREFIXES
                .iter()
                .any(|prefix| text.starts_with(prefix))
            || named.iter().any(|named| named.eq_ignore_ascii_case(text));
        if !drop {
            out.append(name.clone(), value.clone());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        pairs.collect()
    }

    #[test]
    fn callers_credentials_and_addresses_stay_here() {
        let out = forward_request_headers(&map(&[
            ("authorization", "Bearer client"),
            ("x-api-key", "client"),
            ("cookie", "a=b"),
            ("x-forwarded-for", "1.2.3.4"),
            ("openai-organization", "org"),
            ("x-stainless-lang", "python"),
            ("openai-beta", "assistants=v2"),
        ]));
        assert_eq!(out.len(), 1);
        assert!(out.contains_key("openai-beta"));
    }

    #[test]
    fn what_concerns_connection_key_or_account_does_not_come_back() {
        let out = forward_response_headers(&map(&[
            ("content-type", "application/json"),
            ("content-encoding", "gzip"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("set-cookie", "a=b"),
            ("x-ratelimit-remaining-tokens", "1"),
            ("openai-organization", "org-1"),
            ("x-request-id", "theirs"),
            ("openai-processing-ms", "12"),
        ]));
        let mut names: Vec<&str> = out.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["content-encoding", "content-type", "openai-processing-ms"]
        );
    }
}
