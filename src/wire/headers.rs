//! Which headers pass, each way. A request's go on by a short list of those that mean something to an
//! upstream; an answer's come back but for those that concern the connection, the key or the account.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// What makes the calls: `user-agent`, unless the provider's configuration names another one.
pub const AGENT: &str = concat!("pointsman/", env!("CARGO_PKG_VERSION"));

/// The bytes of a caller's `user-agent` that are passed on.
const CALLERS_AGENT: usize = 512;
use super::token;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A caller's headers that an upstream may see.
fn is_forwarded(name: &str) -> bool {
    matches!(
        name,
        "accept" | "openai-beta" | "anthropic-beta" | "idempotency-key" | "x-session-id"
    )
}

/// Callers' headers that mean something to upstreams of these dialects only.
const OF_DIALECTS: [(HeaderName, &[&str]); 2] = [
    (
        HeaderName::from_static("anthropic-beta"),
        &["anthropic", "echo"],
    ),
    (
        HeaderName::from_static("openai-beta"),
        &["openai", "responses", "echo"],
    ),
];
/// Those that mean something to upstreams of the caller's own dialect only.
const OF_CALLERS: [HeaderName; 1] = [HeaderName::from_static("x-session-id")];

/// Takes out what means nothing to an upstream of this dialect, which the caller's request is `translated` for or not.
pub fn keep_own(headers: &mut HeaderMap, dialect: &str, translated: bool) {
    for (name, dialects) in OF_DIALECTS {
        if !dialects.contains(&dialect) {
            headers.remove(name);
        }
    }
    if translated {
        for name in OF_CALLERS {
            headers.remove(name);
        }
    }
}

/// Headers of an answer that do not come back, besides those of [`DROPPED_PREFIXES`].
fn is_dropped(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "transfer-encoding"
            | "te"
            | "trailer"
            | "upgrade"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "authorization"
            | "www-authenticate"
            | "set-cookie"
            | "alt-svc"
            | "server"
            | "via"
            | "strict-transport-security"
            | "keep-alive"
            | "x-request-id"
            | "x-api-key"
            | "x-goog-api-key"
    ) || DROPPED_PREFIXES
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// What describes a key, an account, or a way the bytes took.
const DROPPED_PREFIXES: [&str; 10] = [
    "x-ratelimit-",
    "ratelimit",
    "anthropic-ratelimit-",
    "anthropic-organization",
    "openai-organization",
    "openai-project",
    "access-control-",
    "cf-",
    "x-pointsman-",
    // A gateway's copies of what its own upstream said (LiteLLM), limits of keys and cookies among them.
    "llm_provider-",
];

/// What `Connection` declares to be for this hop only (RFC 9110, 7.6.1).
fn hops(headers: &HeaderMap) -> Vec<&str> {
    let values = headers.get_all(header::CONNECTION).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect()
}

fn names(hops: &[&str], name: &HeaderName) -> bool {
    hops.iter()
        .any(|hop| hop.eq_ignore_ascii_case(name.as_str()))
}

/// The caller's headers that go on to an upstream.
pub fn forward_request_headers(headers: &HeaderMap) -> HeaderMap {
    // Room for what every call has besides: its content's type, its encoding, a key, a host.
    let mut out = HeaderMap::with_capacity(6);
    let hops = hops(headers);
    for (name, value) in headers {
        if is_forwarded(name.as_str()) && !names(&hops, name) {
            out.append(name.clone(), value.clone());
        }
    }
    out
}

/// Headers of a passed-through request that do not go on: what is for this hop, and what says who the caller is.
fn stays(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "connection"
            | "content-length"
            | "transfer-encoding"
            | "te"
            | "trailer"
            | "upgrade"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authorization"
            | "proxy-authenticate"
            | "expect"
            | "authorization"
            | "api-key"
            | "x-api-key"
            | "x-goog-api-key"
            | "cookie"
            | "openai-organization"
            | "openai-project"
            | "x-goog-user-project"
            | "origin"
            | "referer"
            | "user-agent"
            | "forwarded"
            | "via"
            | "x-real-ip"
            | "x-request-id"
            | "traceparent"
            | "tracestate"
            | "baggage"
    ) || [
        "x-forwarded-",
        "x-pointsman-",
        "x-stainless-",
        "sec-",
        "cf-",
        "x-portkey-",
        "helicone-",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
}

/// The caller's headers that go on to a provider with a call that passes through.
pub fn passed_request_headers(headers: &HeaderMap) -> HeaderMap {
    let hops = hops(headers);
    let mut out = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if !stays(name.as_str()) && !names(&hops, name) {
            out.append(name.clone(), value.clone());
        }
    }
    out
}

/// [`AGENT`] and behind it the caller's `user-agent`; `None` when it has none, or one that is too long.
pub fn agent_with_callers(headers: &HeaderMap) -> Option<HeaderValue> {
    let callers = headers.get(header::USER_AGENT)?.as_bytes();
    let callers = callers.trim_ascii();
    if callers.is_empty() || callers.len() > CALLERS_AGENT {
        return None;
    }
    let mut both = Vec::with_capacity(AGENT.len() + 1 + callers.len());
    both.extend_from_slice(AGENT.as_bytes());
    both.push(b' ');
    both.extend_from_slice(callers);
    HeaderValue::from_bytes(&both).ok()
}

/// The most header lines of an answer that are passed on, besides [`is_vital`] ones: clients fail at 100 (hyper,
/// Python's http.client), and some are added here.
const MOST_LINES: usize = 64;
/// The most bytes of names and values that are passed on, besides [`is_vital`] ones: clients and proxies fail at 16 KiB
/// (Node, h11) or half of it.
const MOST_BYTES: usize = 6 * 1024;

/// Without these an answer is not understood.
fn is_vital(name: &str) -> bool {
    name.starts_with("content-") || name.starts_with("retry-after") || name == "x-should-retry"
}

/// Makes idempotency keys unique per client: to an upstream all clients are one account, and it would answer
/// one's request with another one's answer. The same client's same key stays the same.
pub fn own_idempotency_keys(headers: &mut HeaderMap, client: &str) {
    let header::Entry::Occupied(mut entry) = headers.entry(IDEMPOTENCY_KEY) else {
        return;
    };
    for value in entry.iter_mut() {
        let own = token::mixed(client.as_bytes(), value.as_bytes());
        // Hexadecimal digits are legal.
        if let Ok(own) = HeaderValue::from_str(&own) {
            *value = own;
        }
    }
}

/// The upstream's headers that go back to the caller: no more than usual clients read. Beside them the names of those
/// that would go back if there were fewer.
pub fn forward_response_headers(headers: &HeaderMap) -> (HeaderMap, Vec<&HeaderName>) {
    let hops = hops(headers);
    let (mut lines, mut bytes) = (MOST_LINES, MOST_BYTES);
    let mut out = HeaderMap::with_capacity(headers.len().min(MOST_LINES) + 4);
    let mut left_out = Vec::new();
    for (name, value) in headers {
        // Headers that are needed to read the body stay, even if `connection` names them.
        let by_name = names(&hops, name) && !name.as_str().starts_with("content-");
        if is_dropped(name.as_str()) || by_name {
            continue;
        }
        if !is_vital(name.as_str()) {
            let size = name.as_str().len() + value.len();
            if lines == 0 || size > bytes {
                left_out.push(name);
                continue;
            }
            (lines, bytes) = (lines - 1, bytes - size);
        }
        out.append(name.clone(), value.clone());
    }
    (out, left_out)
}

/// Whether the end of its connection is all that says where the body of an answer with these headers ends (RFC 9112,
/// 6.3).
pub fn ends_with_connection(headers: &HeaderMap) -> bool {
    let framed = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    let mut closes = headers.get_all(header::CONNECTION).iter();
    let closes = closes.any(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    closes && !framed.iter().any(|name| headers.contains_key(name))
}

#[cfg(test)]
mod tests {
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

    fn forward(headers: &HeaderMap) -> (HeaderMap, Vec<HeaderName>) {
        let (out, left_out) = forward_response_headers(headers);
        (out, left_out.into_iter().cloned().collect())
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
            ("x-portkey-config", "pc-1"),
            ("x-portkey-provider", "openai"),
            ("helicone-fallbacks", "[]"),
            ("cf-aig-authorization", "x"),
        ]));
        assert_eq!(out.len(), 1);
        assert!(out.contains_key("openai-beta"));
    }

    #[test]
    fn an_idempotency_key_is_its_clients_own() {
        let sent = map(&[("idempotency-key", "order-1")]);
        let key = |client| {
            let mut out = forward_request_headers(&sent);
            if let Some(client) = client {
                own_idempotency_keys(&mut out, client);
            }
            out["idempotency-key"].to_str().unwrap().to_owned()
        };
        assert_eq!(key(None), "order-1");
        assert_eq!(key(Some("a")), key(Some("a")));
        assert_ne!(key(Some("a")), key(Some("b")));
        assert!(!key(Some("a")).contains("order"));
        assert!(key(Some("a")).len() <= 64);
    }

    #[test]
    fn what_is_for_one_hop_does_not_go_on() {
        let out = forward_request_headers(&map(&[
            ("connection", "close, OpenAI-Beta"),
            ("openai-beta", "assistants=v2"),
            ("accept", "*/*"),
        ]));
        assert_eq!(
            out.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["accept"]
        );
        let (out, _) = forward(&map(&[
            ("connection", "content-encoding"),
            ("content-encoding", "gzip"),
        ]));
        assert!(
            out.contains_key("content-encoding"),
            "the body stays readable"
        );
    }

    #[test]
    fn no_more_comes_back_than_clients_read() {
        let mut many = HeaderMap::new();
        for n in 0..500 {
            let name = HeaderName::try_from(format!("x-other-{n}")).unwrap();
            many.append(name, HeaderValue::from(n));
        }
        many.append("x-long", HeaderValue::from_str(&"x".repeat(7000)).unwrap());
        many.append("content-type", HeaderValue::from_static("application/json"));
        many.append("retry-after-ms", HeaderValue::from_static("1500"));
        let (out, left_out) = forward_response_headers(&many);
        assert_eq!(out.len(), 64 + 2);
        assert_eq!(left_out.len(), 500 - 64 + 1);
        assert!(left_out.iter().any(|name| *name == "x-long"));
        assert!(out.contains_key("content-type") && out.contains_key("retry-after-ms"));
        assert!(!out.contains_key("x-long"));
    }

    #[test]
    fn what_concerns_connection_key_or_account_does_not_come_back() {
        let (out, left_out) = forward(&map(&[
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
        assert!(left_out.is_empty(), "what never comes back is not told of");
    }
}
