//! The headers of a call to an upstream.

use http::{HeaderMap, HeaderValue, header};

use super::request::{Endpoint, Request};
use super::tried::Tried;
use crate::actors::lease::Lease;
use crate::wire::{headers, trace_context};

/// Those of the caller that pass, our own, the key, and what the configuration adds.
pub(super) fn call_headers(
    request: &Request,
    endpoint: &Endpoint,
    lease: &Lease,
    tried: &Tried,
) -> HeaderMap {
    let mut all = headers::forward_request_headers(&request.headers);
    if let Some(client) = &request.client {
        headers::own_idempotency_keys(&mut all, client.name());
    }
    all.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if request.doc.stream() {
        // Events are looked at one by one: compression would only be undone here.
        all.insert(
            header::ACCEPT,
            HeaderValue::from_static("text/event-stream"),
        );
        all.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
    } else {
        let gzip = request
            .headers
            .get(header::ACCEPT_ENCODING)
            .is_some_and(|encodings| {
                encodings
                    .to_str()
                    .is_ok_and(|encodings| encodings.contains("gzip"))
            });
        let encoding = if gzip { "gzip" } else { "identity" };
        all.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding));
    }
    if let Some(trace) = request.trace.as_ref().filter(|_| endpoint.trace_context) {
        let span = tried.begun().span.unwrap_or(trace.span_id);
        trace_context::write(&mut all, trace, span);
    }
    if let Some(key) = &*lease.material {
        endpoint.dialect.authenticate(&mut all, key);
    }
    if endpoint.forward_user_agent
        && let Some(agent) = headers::agent_with_callers(&request.headers)
    {
        all.insert(header::USER_AGENT, agent);
    }
    for (name, value) in &endpoint.headers {
        all.insert(name, value.clone());
    }
    all
}
