//! `/passthrough/{provider}/…`: any call to a provider's own API, with a key of ours in the place of the caller's token. Bytes
//! are not looked into; keys, limits, cooldowns, the deadline and what is told of requests are as for every other route.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::Uri;

use super::admission_limit::AdmissionPermit;
use super::error::ApiError;
use super::handlers::{Caller, asks_first, draining, record_refusal, tagged};
use super::identity::identify;
use super::respond::write;
use super::state::{Api, Serving};
use super::upload::{self, UploadLimits};
use super::{body, request_headers};
use crate::access::Client;
use crate::dispatch::{self, Endpoint, PassedCall, Payload};
use crate::domain::dialect::Operation;
use crate::domain::dropped::Dropped;
use crate::domain::error_code::ErrorCode;
use crate::domain::ids::ProviderName;
use crate::runtime::clock::Until;
use crate::runtime::spool::Spool;
use crate::wire::dialect::CallerDialect;
use crate::wire::dialects;
use crate::wire::headers::passed_request_headers;
use crate::wire::request::RequestDoc;
use crate::wire::segment::decoded;

/// What stands before a provider's name.
pub(super) const ROOT: &str = "/passthrough/";

/// A passed-through call that may go on, and where its body comes in.
struct AdmittedCall {
    request: dispatch::Request,
    place: AdmissionPermit,
    body: Option<Spool>,
}

/// Any method below `/passthrough/`.
pub(super) async fn relay(State(api): State<Arc<Api>>, request: Request) -> Response {
    let id = request_headers::request_id(request.headers());
    let serving = api.serving();
    let arrived = serving.dispatch.clock.now();
    let trace = request_headers::trace(&request, &serving.dispatch.recorder);
    let mut client = None;
    let caller = Caller {
        id: &id,
        client: &mut client,
        trace: trace.as_ref(),
        arrived,
    };
    let named = Named::read(request.uri());
    let spoken = spoken(&serving, named.as_ref(), &request);
    let asks = asks_first(request.headers());
    let mut rest = None;
    let admitted = admit(&api, &serving, named, request, caller, &mut rest).await;
    let response = match admitted {
        Ok(AdmittedCall {
            request,
            place,
            body,
        }) => {
            let until = Until(serving.dispatch.clock.instant(request.deadline));
            let mut response = match serving.dispatch.run(request).await {
                Ok(answer) => write(answer, place),
                Err(failed) => {
                    let fault = body.as_ref().and_then(Spool::fault);
                    let error = match fault {
                        Some(fault) => upload::refused(fault),
                        None => ApiError::from(*failed),
                    };
                    error.response(&id, spoken)
                }
            };
            response.extensions_mut().insert(until);
            response
        }
        Err(error) => {
            let client = client.as_deref();
            let operation = Operation::Passthrough;
            record_refusal(operation, &serving, &id, client, trace, arrived, &error);
            if let Some(rest) = rest.filter(|_| !asks) {
                body::discard(rest);
            }
            error.response(&id, spoken)
        }
    };
    tagged(response, &id)
}

/// What a path names.
struct Named {
    provider: ProviderName,
    /// From behind the provider's name on, with its query.
    path: String,
}

impl Named {
    fn read(uri: &Uri) -> Option<Self> {
        let rest = uri.path().strip_prefix(ROOT)?;
        let (provider, _) = rest.split_once('/').unwrap_or((rest, ""));
        let mut path = rest.get(provider.len()..).unwrap_or_default().to_owned();
        if path.is_empty() {
            path.push('/');
        }
        if let Some(query) = uri.query().and_then(passed_query) {
            path.push('?');
            path.push_str(&query);
        }
        Some(Self {
            provider: decoded(provider).into(),
            path,
        })
    }

    /// Whether the path cannot lead out of what stands before it.
    fn is_straight(&self) -> bool {
        let path = self.path.split('?').next().unwrap_or_default();
        let plain = decoded(path);
        let leads_out = |segment: &str| matches!(segment, "." | "..");
        // What a slash that is written as a part of a name hides is looked at all the same.
        !plain.contains('\\') && !plain.split('/').any(leads_out)
    }
}

/// A query without the caller's token.
fn passed_query(query: &str) -> Option<String> {
    let kept = query
        .split('&')
        .filter(|pair| pair.split('=').next() != Some("key"));
    let kept: Vec<&str> = kept.collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

/// The dialect of the errors: a program that calls a provider understands that provider's.
fn spoken(
    serving: &Serving,
    named: Option<&Named>,
    request: &Request,
) -> &'static dyn CallerDialect {
    let endpoint = named.and_then(|named| serving.dispatch.endpoints.get(&named.provider));
    match endpoint {
        Some(endpoint) => dialects::caller_named(endpoint.dialect.id()),
        None => dialects::caller_of(request.uri().path(), request.headers()),
    }
}

/// The provider, if it may be called like this by the client.
fn allowed<'s>(
    serving: &'s Serving,
    named: &Named,
    client: Option<&Client>,
) -> Result<&'s Arc<Endpoint>, ApiError> {
    let provider = &named.provider;
    let target = format!("passthrough/{provider}");
    // What a client may not ask for does not even exist for it.
    if let Some(client) = client.filter(|client| !client.may_name(&target)) {
        let message = format!(
            "client `{}` may not ask for `{target}`: its operator can allow that",
            client.name()
        );
        return Err(ApiError::new(ErrorCode::TargetNotAllowed, message));
    }
    let found = serving.dispatch.endpoints.get(provider);
    let Some(endpoint) = found.filter(|endpoint| endpoint.dialect.is_remote()) else {
        let message = format!("there is no provider `{provider}` that calls could be passed on to");
        return Err(ApiError::new(ErrorCode::RouteNotFound, message));
    };
    if !endpoint.passthrough {
        let message = format!(
            "calls are not passed on to `{provider}`: set passthrough: true on it to allow that"
        );
        return Err(ApiError::new(ErrorCode::TargetNotAllowed, message));
    }
    if !named.is_straight() {
        let message = "the path must not have `.` or `..` in it";
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    }
    Ok(endpoint)
}

/// All checks before the request reaches dispatch. What is left of a body that is not read goes to `rest`.
async fn admit(
    api: &Api,
    serving: &Serving,
    named: Option<Named>,
    request: Request,
    caller: Caller<'_>,
    rest: &mut Option<axum::body::Body>,
) -> Result<AdmittedCall, ApiError> {
    let (head, body) = request.into_parts();
    let body = rest.insert(body);
    if api.abort.is_on() {
        return Err(draining());
    }
    let client = identify(serving, &head.uri, &head.headers)?;
    caller.client.clone_from(&client);
    let Some(named) = named else {
        let message = "name a provider: /passthrough/{provider}/…";
        return Err(ApiError::new(ErrorCode::RouteNotFound, message));
    };
    allowed(serving, &named, client.as_deref())?;
    let patience = request_headers::patience(&head.headers)?;
    let await_cooldown = request_headers::await_cooldown(&head.headers)?;
    let affinity = request_headers::affinity(&head.headers)?;
    let place = api
        .admission
        .enter(client.as_deref(), serving.dispatch.clock.now())?;
    let limits = UploadLimits {
        spool: serving.spool,
        pause: serving.body_timeout,
    };
    let body = std::mem::take(body);
    let body = upload::passed(body, limits, &serving.dispatch.buffers)?;
    let spool = body.as_ref().map(|body| body.spool.clone());
    let policy = &serving.dispatch.policy;
    let call = PassedCall {
        method: head.method,
        path: named.path,
        headers: passed_request_headers(&head.headers),
        body,
    };
    let doc = RequestDoc::parse(Bytes::from_static(b"{}"))
        .and_then(|doc| doc.routed(named.provider.as_str(), false))
        .map_err(|error| ApiError::new(ErrorCode::InvalidRequest, error.to_string()))?;
    let request = dispatch::Request {
        id: Arc::clone(caller.id),
        operation: Operation::Passthrough,
        arrived: caller.arrived,
        doc,
        headers: head.headers,
        deadline: policy.deadline_of(caller.arrived, patience.whole),
        begins_within: None,
        silence: None,
        await_cooldown,
        client,
        unsupported: None,
        affinity,
        fetched: false,
        left_out: Dropped::default(),
        hints: None,
        payload: Some(Payload::Passed(Arc::new(call))),
        trace: caller.trace.cloned(),
    };
    Ok(AdmittedCall {
        request,
        place,
        body: spool,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(uri: &str) -> Named {
        Named::read(&uri.parse().unwrap()).unwrap()
    }

    #[test]
    fn the_path_names_the_provider_and_what_is_asked_of_it() {
        for (uri, provider, path) in [
            (
                "/passthrough/openai/v1/files?limit=2",
                "openai",
                "/v1/files?limit=2",
            ),
            ("/passthrough/my%3Aown/x//y/", "my:own", "/x//y/"),
            (
                "/passthrough/gemini/files?key=token&alt=sse",
                "gemini",
                "/files?alt=sse",
            ),
            ("/passthrough/gemini/files?key=token", "gemini", "/files"),
            ("/passthrough/openai", "openai", "/"),
        ] {
            let read = named(uri);
            assert_eq!((read.provider.as_str(), &*read.path), (provider, path));
        }
    }

    #[test]
    fn no_path_leads_out() {
        for uri in [
            "/passthrough/a/../x",
            "/passthrough/a/%2e%2E/x",
            "/passthrough/a/x/..%2f..",
            "/passthrough/a/x%5c..%5cy",
        ] {
            assert!(!named(uri).is_straight(), "{uri}");
        }
        for uri in ["/passthrough/a/x..y/...", "/passthrough/a/models/a%2Fb"] {
            assert!(named(uri).is_straight(), "{uri}");
        }
    }
}
