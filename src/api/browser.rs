//! Pages in browsers. Without clients' tokens a page of any site could spend the keys by calling this machine. Requests
//! that a browser marks as cross-site are refused, and so are host names that a page could control. Pages of
//! allowed origins get CORS headers, so that they can read the answers.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};

use super::error::ApiError;
use super::state::Serving;
use crate::config::Pages;
use crate::domain::error_code::ErrorCode;
use crate::wire::host::{self, NamedHost};
use crate::wire::origin;

/// How long a browser may remember that it may call, in seconds: Chromium's limit.
const REMEMBERED: &str = "7200";
/// What a page may read of an answer's head, beside what it always may.
const EXPOSED: &str = "x-request-id, retry-after, retry-after-ms, x-pointsman-upstream, x-pointsman-key, x-pointsman-attempts, x-pointsman-dropped, x-pointsman-counted-by, x-pointsman-cost";
/// Of a preflight that names no header.
const USUAL_HEADERS: &str = "authorization, content-type";
const PRIVATE_ASKED: HeaderName = HeaderName::from_static("access-control-request-private-network");
const PRIVATE_ALLOWED: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// What a connection came in by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DataConnectionInfo {
    /// A Unix socket: no page can connect to one.
    pub unix: bool,
    /// An address that only this machine can reach.
    pub local: bool,
    /// Whether the connection uses TLS.
    pub encrypted: bool,
}

/// The decision about a request's head, before its route is served.
pub(super) enum Judged {
    /// The request is served.
    Pass,
    /// A preflight: that is its answer.
    Answered(Response),
    /// The request is refused.
    Refused(ApiError),
}

/// Judges a request by its head. `open`: its route shows nothing and costs nothing.
pub(super) fn judge<B>(
    request: &Request<B>,
    serving: &Serving,
    entrance: DataConnectionInfo,
    open: bool,
) -> Judged {
    let headers = request.headers();
    let named = match host::named(request.version(), request.uri(), headers) {
        Ok(named) => named,
        Err(fault) => {
            let error = ApiError::new(ErrorCode::InvalidRequest, fault.to_string());
            return Judged::Refused(error);
        }
    };
    if entrance.unix {
        return Judged::Pass;
    }
    let allowed = serving.pages.origins.allowed(headers);
    if let Some(origin) = allowed
        && request.method() == Method::OPTIONS
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        return Judged::Answered(preflight(headers, origin));
    }
    // A caller with a token may call from any page.
    if open || serving.clients.is_some() {
        return Judged::Pass;
    }
    match doubt(headers, named, &serving.pages, entrance, allowed.is_some()) {
        None => Judged::Pass,
        Some(error) => Judged::Refused(error),
    }
}

fn doubt(
    headers: &HeaderMap,
    named: NamedHost<'_>,
    pages: &Pages,
    entrance: DataConnectionInfo,
    allowed: bool,
) -> Option<ApiError> {
    // A name in a certificate cannot be a page's own. From elsewhere an open listener may be called by names that only
    // its network knows; what a browser marks is asked for its name there too.
    let strict = entrance.local && !entrance.encrypted;
    let doubtful = strict || (!entrance.encrypted && !allowed && origin::is_marked(headers));
    if doubtful && !is_own(named, pages) {
        let message = "the Host of a request must be an address, localhost or a name of server.allowed_hosts, as long as \
                       no clients are configured";
        return Some(ApiError::new(ErrorCode::HostNotAllowed, message));
    }
    if !allowed && origin::is_foreign(headers, named, entrance.encrypted) {
        let message = "a page of another origin may not call here: name its origin in server.allowed_origins, or name \
                       clients with tokens";
        return Some(ApiError::new(ErrorCode::CrossOriginRefused, message));
    }
    None
}

fn is_own(named: NamedHost<'_>, pages: &Pages) -> bool {
    match named {
        // HTTP/1.0, which no browser speaks.
        NamedHost::Nobody => true,
        NamedHost::Host(host) => host::is_fixed(host) || host::is_one_of(host, &pages.hosts),
        NamedHost::Different => false,
    }
}

fn preflight(headers: &HeaderMap, origin: &HeaderValue) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
    let asked = asked.cloned();
    let out = response.headers_mut();
    let methods = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
    out.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    out.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        asked.unwrap_or(HeaderValue::from_static(USUAL_HEADERS)),
    );
    let age = HeaderValue::from_static(REMEMBERED);
    out.insert(header::ACCESS_CONTROL_MAX_AGE, age);
    if headers
        .get(PRIVATE_ASKED)
        .is_some_and(|asked| asked == "true")
    {
        out.insert(PRIVATE_ALLOWED, HeaderValue::from_static("true"));
    }
    out.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    let vary = "origin, access-control-request-headers, access-control-request-private-network";
    out.insert(header::VARY, HeaderValue::from_static(vary));
    response
}

/// The CORS headers of an answer.
#[derive(Debug)]
pub(super) enum CorsAnswer {
    /// No page may call: nothing.
    Silent,
    /// Pages of other origins may.
    ByOthers,
    /// Pages of this origin may.
    By(HeaderValue),
}

impl CorsAnswer {
    pub(super) fn of(pages: &Pages, headers: &HeaderMap) -> Self {
        match pages.origins.allowed(headers) {
            _ if pages.origins.is_empty() => Self::Silent,
            Some(origin) => Self::By(origin.clone()),
            None => Self::ByOthers,
        }
    }

    /// Writes the headers.
    pub(super) fn tell(self, headers: &mut HeaderMap) {
        if matches!(self, Self::Silent) {
            return;
        }
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        if let Self::By(origin) = self {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            let exposed = HeaderValue::from_static(EXPOSED);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }
}
