//! Authentication of the admin listener. Without tokens the danger is a page in a browser on the same machine: it must
//! neither read anything (by DNS rebinding) nor change anything (by a form or a cross-origin script).

use http::{Method, StatusCode, request::Parts};

use super::answer::AdminRefusal;
use super::page;
use super::state::CurrentConfig;
use crate::wire::host::{self, NamedHost};
use crate::wire::origin;
use crate::wire::token::{self, TokenDigest};

/// Paths that need no token, as the files of the page: they show nothing but whether the process is healthy, and where
/// to look.
const OPEN: [&str; 3] = ["/", "/health/live", "/health/ready"];

/// What a connection came in by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AdminConnectionInfo {
    /// A Unix socket, which no page can reach.
    pub unix: bool,
    /// Whether the connection uses TLS.
    pub encrypted: bool,
}

/// Judges a request by its head.
pub(super) fn judge(
    parts: &Parts,
    now: &CurrentConfig,
    entrance: AdminConnectionInfo,
) -> Result<(), AdminRefusal> {
    let named = host::named(parts.version, &parts.uri, &parts.headers);
    let named = named.map_err(|fault| AdminRefusal::invalid(fault.to_string()))?;
    // A page that knows the token may do what it likes.
    if now.tokens.is_empty() && !entrance.unix && !is_own(named, now) {
        let message = "the Host of an admin request must be an address, localhost or a name of server.admin_listen or \
                       server.allowed_hosts";
        return Err(AdminRefusal::new(
            StatusCode::FORBIDDEN,
            "host_not_allowed",
            message,
        ));
    }
    let identified = now.tokens.is_empty() || has_token(parts, &now.tokens);
    if !identified && !is_open(parts.uri.path()) {
        let message = "an admin token is needed: send `authorization: Bearer TOKEN`";
        return Err(AdminRefusal::new(
            StatusCode::UNAUTHORIZED,
            "invalid_admin_token",
            message,
        ));
    }
    let changes = !matches!(parts.method, Method::GET | Method::HEAD);
    if changes && origin::is_foreign(&parts.headers, named, entrance.encrypted) {
        let message = "a page of another origin may not change anything here";
        return Err(AdminRefusal::new(
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

/// Whether it is called by a name that no page has for its own.
fn is_own(named: NamedHost<'_>, now: &CurrentConfig) -> bool {
    match named {
        NamedHost::Host(host) => host::is_fixed(host) || host::is_one_of(host, &now.hosts),
        NamedHost::Nobody | NamedHost::Different => false,
    }
}

/// Whether one of the tokens comes with it. All are looked at, whichever it is.
fn has_token(parts: &Parts, tokens: &[TokenDigest]) -> bool {
    let digest = TokenDigest::of(&token::presented(&parts.headers, None).unwrap_or_default());
    tokens
        .iter()
        .fold(false, |found, token| found | (*token == digest))
}
