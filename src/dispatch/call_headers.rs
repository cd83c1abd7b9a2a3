//! A call to an upstream: where it goes, its headers, what it says.

use http::{HeaderMap, HeaderValue, header};

use super::open_attempt::OpenAttempt;
use super::request::{Endpoint, Request};
use crate::actors::lease::Lease;
use crate::domain::dropped::{Dropped, Unsupported};
use crate::upstream::UpstreamRequest;
use crate::wire::encoding::takes_gzip;
use crate::wire::exchange::Exchange;
use crate::wire::request::RequestDoc;
use crate::wire::unfit::Unfit;
use crate::wire::{headers, trace_context};

/// The call that asks this upstream for what `doc` says, how its answer travels back, and what was left out. `native`: in the
/// caller's own form, where the upstream's dialect has that.
///
/// # Errors
/// The provider's API has nothing of the kind, or the request cannot be said in it.
pub(super) fn call_of(
    doc: &RequestDoc,
    request: &Request,
    endpoint: &Endpoint,
    lease: &Lease,
    tried: &OpenAttempt,
    native: bool,
) -> Result<(Exchange, UpstreamRequest, Dropped), Unfit> {
    let exchange = match native {
        true => Exchange::new(request.operation, endpoint.dialect),
        false => Exchange::translated(request.operation, endpoint.dialect),
    };
    let exchange = exchange.ok_or(Unfit::NoSuchOperation)?;
    let model = lease.upstream().model.as_str();
    let rejects = request.unsupported.unwrap_or(endpoint.unsupported) == Unsupported::Reject;
    let outgoing = exchange.outgoing(doc, model, &endpoint.params, rejects)?;
    if !outgoing.dropped.is_empty() {
        let (upstream, fields) = (lease.upstream(), &outgoing.dropped);
        tracing::debug!(request_id = %request.id, %upstream, %fields, "fields of the request were left out");
    }
    let call = UpstreamRequest {
        path: outgoing.path,
        headers: call_headers(request, endpoint, lease, tried),
        body: outgoing.body,
    };
    Ok((exchange, call, outgoing.dropped))
}

/// Those of the caller that pass, our own, the key, and what the configuration adds.
fn call_headers(
    request: &Request,
    endpoint: &Endpoint,
    lease: &Lease,
    tried: &OpenAttempt,
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
        // What comes back goes to the caller as it came, so it may have what the caller takes. Of that gzip alone is
        // asked for: it costs the least to look into.
        let encoding = match takes_gzip(&request.headers) {
            true => "gzip",
            false => "identity",
        };
        all.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding));
    }
    if let Some(trace) = request.trace.as_ref().filter(|_| endpoint.trace_context) {
        let span = tried.begun().span.unwrap_or(trace.span_id);
        trace_context::write(&mut all, trace, span);
    }
    endpoint
        .dialect
        .complete_headers(&request.headers, &mut all);
    if let Some(key) = &*lease.material {
        match endpoint.auth {
            Some(scheme) => scheme.put(&mut all, key),
            None => endpoint.dialect.authenticate(&mut all, key),
        }
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
