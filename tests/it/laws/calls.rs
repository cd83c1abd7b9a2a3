//! Laws of what a call says beside its body and its token: its host, the page that it comes from, its trace, and the names
//! of what it needs. What is read and written again is the same, and what is made of it has a bound.
//!
//! The input is a line with the target and a pattern of names; lines of headers; an empty line; a body.

use http::{HeaderMap, HeaderName, HeaderValue, Uri, Version};
use pointsman::domain::client::matches;
use pointsman::domain::model_method::ModelMethod;
use pointsman::domain::trace::TraceContext;
use pointsman::wire::headers::{agent_with_callers, own_idempotency_keys, passed_request_headers};
use pointsman::wire::host::{NamedHost, is_fixed, is_one_of, named};
use pointsman::wire::origin::{Origins, is_foreign};
use pointsman::wire::seals::{self, Seals};
use pointsman::wire::{resource, trace_context};
use serde_json::Value;

use super::answer::Answer;
use super::line;

/// The most names that are taken from one body.
const MOST: usize = 64;

pub fn hold(data: &[u8]) {
    let (first, _) = line(data);
    let first = String::from_utf8_lossy(first);
    let (target, pattern) = first.split_once(' ').unwrap_or((&first, "*"));
    let call = Answer::read(data);
    host(target, &call.headers);
    trace(&call.headers);
    passed(&call.headers);
    names(target, &call.body);
    for text in [target, pattern] {
        if pattern.len() <= 40 && text.len() <= 200 {
            let fits = is_like(pattern.as_bytes(), text.as_bytes());
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }
    if let Some(asked) = ModelMethod::read(target) {
        assert!(!asked.model.is_empty() && target.starts_with(asked.model));
    }
}

fn host(target: &str, headers: &HeaderMap) {
    let Ok(uri) = target.parse::<Uri>() else {
        return;
    };
    for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
        let said = match named(version, &uri, headers) {
            Err(fault) => {
                assert!(!fault.to_string().is_empty());
                continue;
            }
            Ok(said) => said,
        };
        let NamedHost::Host(host) = said else {
            continue;
        };
        let odd = |letter: char| "@/\\?# \"<>".contains(letter) || letter.is_control();
        assert!(!host.contains(odd), "{host}");
        // A name below another one is no address and no name of this machine's own.
        assert!(!is_fixed(&format!("x.{host}.example")));
        assert!(!is_one_of(host, &["*.".to_owned() + host]), "{host}");
        // Its own page is at home, and none from elsewhere.
        let mut page = HeaderMap::new();
        for (site, expected) in [(host.to_owned(), false), (format!("x{host}"), true)] {
            if let Ok(origin) = HeaderValue::try_from(format!("https://{site}")) {
                page.insert("origin", origin);
                assert_eq!(is_foreign(&page, said, true), expected, "{site} at {host}");
            }
        }
    }
    let mut origins = Origins::default();
    let Some(origin) = headers.get("origin") else {
        return assert!(origins.allowed(headers).is_none());
    };
    let text = origin.to_str().unwrap_or_default();
    let one = headers.get_all("origin").iter().count() == 1;
    // A browser leaves the usual port out, and has no slash at the end.
    let usual = [":80", ":443", "/"].iter().any(|end| text.ends_with(end));
    if origins.add(text) && one && !usual && text != "*" {
        assert_eq!(origins.allowed(headers), Some(origin), "{text}");
    }
}

fn trace(headers: &HeaderMap) {
    let Some(remote) = trace_context::read(headers) else {
        return;
    };
    let state = remote.state.as_deref().unwrap_or_default();
    assert!(state.len() <= 512, "{state}");
    let mut written = HeaderMap::new();
    let context = TraceContext::passing(remote.clone());
    trace_context::write(&mut written, &context, remote.span_id);
    assert_eq!(trace_context::read(&written), Some(remote));
}

fn passed(headers: &HeaderMap) {
    let on = passed_request_headers(headers);
    assert!(on.len() <= headers.len());
    for name in ["connection", "host", "authorization", "content-length"] {
        assert!(!on.contains_key(name), "{name} is passed on");
    }
    if let Some(agent) = agent_with_callers(headers) {
        assert!(agent.as_bytes().starts_with(b"pointsman"), "{agent:?}");
    }
    let name = HeaderName::from_static("idempotency-key");
    let of = |client: &str| -> Vec<HeaderValue> {
        let mut own = headers.clone();
        own_idempotency_keys(&mut own, client);
        own.get_all(&name).iter().cloned().collect()
    };
    let (one, other) = (of("a"), of("b"));
    assert_eq!(one, of("a"));
    assert_eq!(one.len(), headers.get_all(&name).iter().count());
    assert!(one.iter().zip(&other).all(|(one, other)| one != other));
}

fn names(target: &str, body: &[u8]) {
    let needed = resource::in_request(body);
    for names in [
        resource::in_path(target),
        resource::in_body(body),
        resource::made(body),
        needed.names,
    ] {
        assert!(names.len() <= MOST, "{} names", names.len());
        assert!(names.iter().all(|name| name.len() <= resource::LONGEST));
    }
    for mark in needed.sealed.iter().chain(&needed.thoughts) {
        assert!(mark.len() <= resource::LONGEST);
    }
    let told = resource::told(body);
    assert!(told.iter().all(|name| name.len() <= resource::LONGEST));
    for kind in [Seals::Carried, Seals::OfAccount, Seals::All] {
        if let Some(open) = seals::without(body, kind) {
            assert!(matches!(serde_json::from_slice(&open), Ok(Value::Array(_))));
            assert_eq!(seals::without(&open, kind), None);
        }
    }
}

/// Whether the text is what the pattern says, letter by letter.
fn is_like(pattern: &[u8], text: &[u8]) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for letter in pattern {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            next[at] = match letter {
                b'*' => reached[at] || (at > 0 && next[at - 1]),
                letter => at > 0 && reached[at - 1] && text[at - 1] == *letter,
            };
        }
        reached = next;
    }
    reached[text.len()]
}
