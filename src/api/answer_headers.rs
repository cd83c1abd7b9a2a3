//! What Pointsman adds to an answer's headers.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::domain::dropped::Dropped;
use crate::domain::ids::{KeyId, Upstream};

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const UPSTREAM: HeaderName = HeaderName::from_static("x-pointsman-upstream");
const KEY: HeaderName = HeaderName::from_static("x-pointsman-key");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-pointsman-attempts");
const DROPPED: HeaderName = HeaderName::from_static("x-pointsman-dropped");

/// Adds the headers that name the upstream, the key and the number of attempts.
pub(super) fn describe(headers: &mut HeaderMap, upstream: &Upstream, key: &KeyId, attempts: usize) {
    // Names come from the configuration and from callers' model names: what no header can hold is left out.
    let mut text =
        String::with_capacity(upstream.provider.as_str().len() + upstream.model.as_str().len() + 1);
    upstream.push_to(&mut text);
    if let Ok(upstream) = HeaderValue::try_from(text) {
        headers.insert(UPSTREAM, upstream);
    }
    let mut text = String::with_capacity(key.provider.as_str().len() + 4);
    key.push_to(&mut text);
    if let Ok(key) = HeaderValue::try_from(text) {
        headers.insert(KEY, key);
    }
    headers.insert(ATTEMPTS, HeaderValue::from(attempts));
}

/// Names what was left out on the way to the upstream and back.
pub(super) fn name_dropped(headers: &mut HeaderMap, dropped: &Dropped) {
    if dropped.is_empty() {
        return;
    }
    if let Ok(names) = HeaderValue::try_from(dropped.to_string()) {
        headers.insert(DROPPED, names);
    }
}

/// The request's id on the answer.
pub(super) fn tag(headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
}
