//! W3C Trace Context (level 2, which reads level 1): `traceparent` and `tracestate` in a caller's headers, and what
//! is written of them to an upstream. A `traceparent` that breaks a rule is none; a `tracestate` that does is dropped,
//! and the trace goes on. <https://www.w3.org/TR/trace-context-2/>

use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::domain::trace::{Remote, SpanId, TraceContext, TraceId};

/// The header that names trace and span.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The header in which other systems keep what they know of the trace.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The length of version 00, in bytes; later versions may be longer.
const LENGTH: usize = 55;
/// The most members of `tracestate` (3.3.1.1).
const MAX_MEMBERS: usize = 32;
/// The bytes of `tracestate` that are passed on (3.3.1.5).
const MAX_STATE: usize = 512;
/// When there is too much, members longer than this go first.
const LONG_MEMBER: usize = 128;

/// The caller's trace context; `None` when there is none, or it is invalid.
pub fn read(headers: &HeaderMap) -> Option<Remote> {
    let mut all = headers.get_all(TRACEPARENT).iter();
    let (first, second) = (all.next()?, all.next());
    // With two headers it is unknown which one counts.
    if second.is_some() {
        return None;
    }
    let remote = traceparent(first.as_bytes())?;
    let state = tracestate(headers);
    Some(Remote { state, ..remote })
}

/// Parses one `traceparent`.
fn traceparent(text: &[u8]) -> Option<Remote> {
    let (head, tail) = text.split_at_checked(LENGTH)?;
    let mut parts = head.split(|byte| *byte == b'-');
    let [version] = hex(parts.next()?)?;
    let trace_id = TraceId::new(u128::from_be_bytes(hex(parts.next()?)?))?;
    let span_id = SpanId::new(u64::from_be_bytes(hex(parts.next()?)?))?;
    let [flags] = hex(parts.next()?)?;
    let fits = match version {
        0 => tail.is_empty(),
        0xff => false,
        _ => matches!(tail.first(), None | Some(b'-')),
    };
    (fits && parts.next().is_none()).then_some(Remote {
        trace_id,
        span_id,
        sampled: flags & 1 == 1,
        random: flags & 2 == 2,
        state: None,
    })
}

/// A number of `N` bytes in lower-case hexadecimal digits.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let fits = HEXLOWER.decode_len(digits.len()).ok() == Some(N);
    (fits && HEXLOWER.decode_mut(digits, &mut bytes).is_ok()).then_some(bytes)
}

/// All of `tracestate`, as one header; `None` when there is none, or when it breaks a rule.
fn tracestate(headers: &HeaderMap) -> Option<Box<str>> {
    let mut members: Vec<&str> = Vec::new();
    for header in headers.get_all(TRACESTATE) {
        let header = std::str::from_utf8(header.as_bytes()).ok()?;
        for member in header.split(',') {
            let member = member.trim_matches([' ', '\t']);
            if member.is_empty() {
                continue;
            }
            let key = key_of(member)?;
            if members.len() == MAX_MEMBERS || members.iter().any(|one| key_of(one) == Some(key)) {
                return None;
            }
            members.push(member);
        }
    }
    let length = |members: &[&str]| -> usize {
        members.iter().map(|member| member.len() + 1).sum::<usize>()
    };
    if length(&members) > MAX_STATE + 1 {
        members.retain(|member| member.len() <= LONG_MEMBER);
    }
    while length(&members) > MAX_STATE + 1 {
        members.pop();
    }
    (!members.is_empty()).then(|| members.join(",").into())
}

/// The key of a `key=value` that keeps to the grammar.
fn key_of(member: &str) -> Option<&str> {
    let (key, value) = member.split_once('=')?;
    let first = key.bytes().next()?;
    let begins = first.is_ascii_lowercase() || first.is_ascii_digit();
    let legal =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let named = key.len() <= 256 && key.bytes().all(legal);
    let once = key.bytes().filter(|byte| *byte == b'@').count() <= 1;
    let value = value.len() <= 256
        && value
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && byte != b'=');
    (begins && named && once && value).then_some(key)
}

/// Says to an upstream that its call belongs to `context`, in the span `span`.
pub fn write(headers: &mut HeaderMap, context: &TraceContext, span: SpanId) {
    let text = format!("00-{}-{span}-{:02x}", context.trace_id, context.flags());
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(TRACEPARENT, value);
    }
    let state = context.state.as_deref();
    if let Some(value) = state.and_then(|state| HeaderValue::from_str(state).ok()) {
        headers.insert(TRACESTATE, value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn headers(parent: &str, states: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, HeaderValue::from_str(parent).unwrap());
        for state in states {
            headers.append(TRACESTATE, HeaderValue::from_str(state).unwrap());
        }
        headers
    }

    fn state(states: &[&str]) -> Option<String> {
        let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let remote = read(&headers(&parent, states)).unwrap();
        remote.state.map(String::from)
    }

    #[test]
    fn a_valid_traceparent_is_read() {
        for (rest, sampled, random) in
            [("01", true, false), ("02", false, true), ("ff", true, true)]
        {
            let parent = format!("00-{TRACE}-00f067aa0ba902b7-{rest}");
            let remote = read(&headers(&parent, &[])).unwrap();
            assert_eq!(remote.trace_id.to_string(), TRACE);
            assert_eq!(remote.span_id.to_string(), "00f067aa0ba902b7");
            assert_eq!((remote.sampled, remote.random), (sampled, random));
        }
        let later = format!("cc-{TRACE}-00f067aa0ba902b7-01-what-comes-later");
        assert!(read(&headers(&later, &[])).is_some());
    }

    #[test]
    fn what_breaks_a_rule_is_no_traceparent() {
        let upper = TRACE.to_uppercase();
        for wrong in [
            String::new(),
            "00".to_owned(),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            format!("01-{TRACE}-00f067aa0ba902b7-01.more"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{upper}-00f067aa0ba902b7-01"),
            format!("00_{TRACE}_00f067aa0ba902b7_01"),
            format!("00-{TRACE}-00f067aa0ba902b7-1g"),
        ] {
            assert_eq!(read(&headers(&wrong, &[])), None, "{wrong}");
        }
        let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let mut twice = headers(&parent, &[]);
        twice.append(TRACEPARENT, HeaderValue::from_str(&parent).unwrap());
        assert_eq!(read(&twice), None);
    }

    #[test]
    fn tracestate_is_kept_within_its_limits() {
        assert_eq!(
            state(&["a=1, t@v=2 ,", "", "c=3"]).as_deref(),
            Some("a=1,t@v=2,c=3")
        );
        for wrong in ["a", "A=1", "a=1,a=2", "=1", "a=b=c", "a@b@c=1"] {
            assert_eq!(state(&[wrong]), None, "{wrong}");
        }
        let many: Vec<String> = (0..33).map(|n| format!("k{n}=1")).collect();
        assert_eq!(state(&[&many.join(",")]), None);
        let long = format!("long={}", "x".repeat(200));
        let short: Vec<String> = (0..4).map(|n| format!("s{n}={}", "y".repeat(90))).collect();
        let kept = state(&[&long, &short.join(",")]).unwrap();
        assert_eq!(kept, short.join(","));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_is_read_is_written_again(
            parent in proptest::collection::vec(any::<u8>(), 0..70),
            states in proptest::collection::vec("[ -~]{0,80}", 0..4),
        ) {
            let mut map = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&parent) {
                map.insert(TRACEPARENT, value);
            }
            for state in states {
                map.append(TRACESTATE, HeaderValue::try_from(state).unwrap());
            }
            let _ = read(&map);
        }

        #[test]
        fn a_context_comes_back_as_it_went(
            trace in 1u128.., span in 1u64.., sampled: bool, random: bool,
            members in proptest::collection::btree_map("[a-z][a-z0-9_*/-]{0,20}", "[!-+\\--<>-~]{1,60}", 0..40),
        ) {
            let list: Vec<String> = members.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let remote = Remote {
                trace_id: TraceId::new(trace).unwrap(),
                span_id: SpanId::new(span).unwrap(),
                sampled,
                random,
                state: None,
            };
            let mut context = TraceContext::passing(remote);
            context.state = (!list.is_empty()).then(|| list.join(",").into());
            let mut map = HeaderMap::new();
            write(&mut map, &context, context.span_id);
            let heard = read(&map).unwrap();
            prop_assert_eq!(heard.trace_id, context.trace_id);
            prop_assert_eq!((heard.span_id, heard.sampled, heard.random), (context.span_id, sampled, random));
            let written = context.state.as_deref().unwrap_or_default();
            let kept = heard.state.as_deref().unwrap_or_default();
            if list.len() > MAX_MEMBERS {
                prop_assert_eq!(kept, "");
            } else if written.len() <= MAX_STATE {
                prop_assert_eq!(kept, written);
            } else {
                prop_assert!(kept.len() <= MAX_STATE && written.starts_with(kept));
            }
        }
    }
}
