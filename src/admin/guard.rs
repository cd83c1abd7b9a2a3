//! Who gets in. On a listener that needs no token the danger is a page in a browser on the same machine: it must
//! neither read anything (a name of its own that leads here) nor change anything (a form, a script without leave).

use http::{Method, StatusCode, header, request::Parts};

use super::answer::Refused;
use super::page;
use super::state::Now;
use crate::wire::token::{self, TokenDigest};

/// Paths that need no token, as the files of the page: they tell nothing but whether the process is well, and where to
/// look.
const OPEN: [&str; 3] = ["/", "/health/live", "/health/ready"];

/// Judges a request by its head. `unix`: it came over a Unix socket, which no page can reach.
pub(super) fn judge(parts: &Parts, now: &Now, unix: bool) -> Result<(), Refused> {
    let host = host(parts);
    // A page that knows the token may do what it likes.
    if now.tokens.is_empty() && !unix && !host.is_some_and(|host| now.is_called(host)) {
        let message = "the Host of an admin request must be an address, localhost or a name of server.admin_listen";
        return Err(Refused::new(
            StatusCode::FORBIDDEN,
            "host_not_allowed",
            message,
        ));
    }
    let identified = now.tokens.is_empty() || has_token(parts, &now.tokens);
    if !identified && !is_open(parts.uri.path()) {
        let message = "an admin token is needed: send `authorization: Bearer TOKEN`";
        return Err(Refused::new(
            StatusCode::UNAUTHORIZED,
            "invalid_admin_token",
            message,
        ));
    }
    if !matches!(parts.method, Method::GET | Method::HEAD) && is_foreign(parts, host) {
        let message = "a page of another origin may not change anything here";
        return Err(Refused::new(
            StatusCode::FORBIDDEN,
            "origin_not_allowed",
            message,
        ));
    }
    Ok(())
}

fn is_open(path: &str) -> bool {
    OPEN.contains(&path) || path.starts_with(page::FOLDER)
}

/// The host that the request is for: of HTTP/2 in its target, else in the header.
fn host(parts: &Parts) -> Option<&str> {
    let target = parts.uri.authority().map(|authority| authority.as_str());
    let mut named = parts.headers.get_all(header::HOST).iter();
    let header = named.next().map(|value| value.to_str());
    match (target, header) {
        // More than one host is nobody's honest request.
        _ if named.next().is_some() => None,
        (Some(target), Some(Ok(host))) if !target.eq_ignore_ascii_case(host) => None,
        (Some(target), _) => Some(target),
        (None, Some(Ok(host))) => Some(host),
        (None, _) => None,
    }
}

/// Whether one of the tokens comes with it. All are looked at, whichever it is.
fn has_token(parts: &Parts, tokens: &[TokenDigest]) -> bool {
    let digest = TokenDigest::of(&token::presented(&parts.headers, None).unwrap_or_default());
    tokens
        .iter()
        .fold(false, |found, token| found | (*token == digest))
}

/// Whether a browser says that a page from elsewhere sent it.
fn is_foreign(parts: &Parts, host: Option<&str>) -> bool {
    let site = parts.headers.get("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return true;
    }
    let Some(origin) = parts.headers.get(header::ORIGIN) else {
        return false;
    };
    let origin = origin.to_str().ok().and_then(|text| text.split_once("://"));
    match (origin, host) {
        (Some((_, origin)), Some(host)) => !origin.eq_ignore_ascii_case(host),
        _ => true,
    }
}
