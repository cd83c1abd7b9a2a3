//! A call to an upstream: where it goes, its headers, what it says.

use http::{HeaderMap, HeaderValue, Method, header};
use std::borrow::Cow;

use super::asked_call::AskedCall;
use super::native::Way;
use super::open_attempt::OpenAttempt;
use super::payload::Payload;
use super::request::{Endpoint, Request};
use crate::actors::lease::Lease;
use crate::domain::dropped::{Dropped, Unsupported};
use crate::upstream::UpstreamRequest;
use crate::wire::auth::{self, AuthScheme};
use crate::wire::encoding::takes_gzip;
use crate::wire::exchange::Exchange;
use crate::wire::unfit::Unfit;
use crate::wire::{headers, trace_context};

/// A call, and how its answer travels back.
pub(super) struct CallMade {
    pub(super) exchange: Exchange,
    pub(super) call: UpstreamRequest,
    /// What was left out.
    pub(super) dropped: Dropped,
    /// Whether it was translated and has custom tools in it.
    pub(super) has_custom_tools: bool,
}

/// Makes the call to this upstream for what is `asked`, in this way, and how its answer is translated back.
///
/// # Errors
/// The provider's API has nothing of the kind, or the request cannot be said in it.
pub(super) fn call_of(
    asked: AskedCall<'_>,
    request: &Request,
    endpoint: &Endpoint,
    lease: &Lease,
    tried: &OpenAttempt,
    way: Way,
) -> Result<CallMade, Unfit> {
    let (operation, dialect) = (request.operation, endpoint.dialect);
    if let Some(payload) = &request.payload {
        return call_of_payload(payload, request, endpoint, lease, tried);
    }
    let exchange = match way {
        Way::Native | Way::NativePlain => Exchange::new(operation, dialect),
        Way::Translated | Way::Plain => Exchange::translated(operation, dialect),
    };
    let mut exchange = exchange.ok_or(Unfit::NoSuchOperation)?;
    if matches!(way, Way::Plain | Way::NativePlain) {
        exchange = exchange.with_plain_tools();
    }
    if asked.unsealed {
        exchange = exchange.without_seals();
    }
    let model = lease.upstream().model.as_str();
    let rejects = request.unsupported.unwrap_or(endpoint.unsupported) == Unsupported::Reject;
    let mut outgoing = exchange.outgoing(asked.doc, model, &endpoint.params, rejects)?;
    exchange.complete(&mut outgoing, model, &request.headers);
    if !outgoing.dropped.is_empty() {
        let (upstream, fields) = (lease.upstream(), &outgoing.dropped);
        tracing::debug!(request_id = %request.id, %upstream, %fields, "fields of the request were left out");
    }
    let path = with_query_key(outgoing.path, endpoint, lease);
    let body = match asked.prefill {
        Some(form) => dialect.marked(outgoing.body, form),
        None => outgoing.body,
    };
    let call = UpstreamRequest {
        method: Method::POST,
        passed: false,
        path,
        model: lease.upstream().model.clone(),
        headers: call_headers(request, endpoint, lease, tried, !exchange.is_identity()),
        body: body.into(),
        signing: None,
    };
    let mut dropped = request.left_out.clone();
    request.note_hints(endpoint, &mut dropped);
    dropped.extend(&outgoing.dropped);
    Ok(CallMade {
        exchange,
        call,
        dropped,
        has_custom_tools: outgoing.has_custom_tools,
    })
}

/// The path, with the key in its query where that is its place.
fn with_query_key(
    path: Cow<'static, str>,
    endpoint: &Endpoint,
    lease: &Lease,
) -> Cow<'static, str> {
    match (endpoint.auth, &*lease.material) {
        (Some(AuthScheme::Query), Some(key)) => auth::with_key(&path, key).into(),
        _ => path,
    }
}

/// The same for a request with a payload, which is not translated.
fn call_of_payload(
    payload: &Payload,
    request: &Request,
    endpoint: &Endpoint,
    lease: &Lease,
    tried: &OpenAttempt,
) -> Result<CallMade, Unfit> {
    let (operation, dialect) = (request.operation, endpoint.dialect);
    let exchange = Exchange::of_bytes(operation, dialect);
    let call = match payload {
        Payload::Form(form) => {
            let path = dialect.path(operation).ok_or(Unfit::NoSuchOperation)?;
            let mut headers = call_headers(request, endpoint, lease, tried, false);
            headers.insert(header::CONTENT_TYPE, form.content_type.clone());
            UpstreamRequest {
                method: Method::POST,
                passed: false,
                path: with_query_key(path.into(), endpoint, lease),
                headers,
                body: form.body(lease.upstream().model.as_str()),
                model: lease.upstream().model.clone(),
                signing: None,
            }
        }
        Payload::Passed(call) => {
            let mut headers = call.headers.clone();
            if let Some(client) = &request.client {
                headers::own_idempotency_keys(&mut headers, client.name());
            }
            add_own(&mut headers, request, endpoint, lease, tried);
            UpstreamRequest {
                method: call.method.clone(),
                passed: true,
                path: with_query_key(call.path.clone().into(), endpoint, lease),
                headers,
                body: call.body(),
                model: lease.upstream().model.clone(),
                signing: None,
            }
        }
    };
    Ok(CallMade {
        exchange,
        call,
        dropped: Dropped::default(),
        has_custom_tools: false,
    })
}

/// Those of the caller that pass to an upstream which its request is `translated` for or not, our own, the key, and what the configuration adds.
fn call_headers(
    request: &Request,
    endpoint: &Endpoint,
    lease: &Lease,
    tried: &OpenAttempt,
    translated: bool,
) -> HeaderMap {
    let mut all = headers::forward_request_headers(&request.headers);
    headers::keep_own(&mut all, endpoint.dialect.id(), translated);
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
        let encoding = if takes_gzip(&request.headers) {
            "gzip"
        } else {
            "identity"
        };
        all.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding));
    }
    endpoint
        .dialect
        .complete_headers(&request.headers, &mut all);
    add_own(&mut all, request, endpoint, lease, tried);
    all
}

/// Adds the trace, the key, and what the configuration adds.
fn add_own(
    all: &mut HeaderMap,
    request: &Request,
    endpoint: &Endpoint,
    lease: &Lease,
    tried: &OpenAttempt,
) {
    if let Some(trace) = request.trace.as_ref().filter(|_| endpoint.trace_context) {
        let span = tried.begun().span.unwrap_or(trace.span_id);
        trace_context::write(all, trace, span);
    }
    if let Some(key) = &*lease.material {
        match endpoint.auth {
            Some(scheme) => scheme.put(all, key),
            None => endpoint.dialect.authenticate(all, key),
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
}
