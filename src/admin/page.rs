//! The live page: a few files that are part of the program. They hold no data and need no token; the page requests what
//! it shows, as any other client would.

use axum::Json;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

use super::answer::AdminRefusal;

/// Where the files are.
pub(super) const FOLDER: &str = "/page/";

/// Nothing from elsewhere, nothing inline, and no text that becomes markup or a script (Trusted Types).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, content type and text of each file.
const FILES: [(&str, &str, &str); 18] = [
    ("index.html", HTML, include_str!("page/index.html")),
    (
        "page.css",
        "text/css; charset=utf-8",
        include_str!("page/page.css"),
    ),
    ("icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("page.js", SCRIPT, include_str!("page/page.js")),
    ("wire.js", SCRIPT, include_str!("page/wire.js")),
    ("dom.js", SCRIPT, include_str!("page/dom.js")),
    ("tree.js", SCRIPT, include_str!("page/tree.js")),
    ("chains.js", SCRIPT, include_str!("page/chains.js")),
    ("charts.js", SCRIPT, include_str!("page/charts.js")),
    ("requests.js", SCRIPT, include_str!("page/requests.js")),
    ("explain.js", SCRIPT, include_str!("page/explain.js")),
    ("orders.js", SCRIPT, include_str!("page/orders.js")),
    ("figures.js", SCRIPT, include_str!("page/figures.js")),
    ("added.js", SCRIPT, include_str!("page/added.js")),
    ("spend.js", SCRIPT, include_str!("page/spend.js")),
    ("cache.js", SCRIPT, include_str!("page/cache.js")),
    ("fleet.js", SCRIPT, include_str!("page/fleet.js")),
    ("routing.js", SCRIPT, include_str!("page/routing.js")),
];

/// The page for a browser; for any other client, where to look.
pub(super) async fn root(headers: HeaderMap) -> Response {
    let mut response = if wants_html(&headers) {
        served("index.html")
    } else {
        let body = json!({
            "pointsman": env!("CARGO_PKG_VERSION"),
            "page": "/page/index.html",
            "state": "/admin/v1/state",
            "history": "/admin/v1/history",
            "events": "/admin/v1/events",
            "description": "/admin/v1/openapi.json",
        });
        Json(body).into_response()
    };
    let vary = HeaderValue::from_static("accept");
    response.headers_mut().insert(header::VARY, vary);
    response
}

/// One of the page's files.
pub(super) async fn file(Path(name): Path<String>) -> Response {
    served(&name)
}

fn served(name: &str) -> Response {
    let Some((_, kind, text)) = FILES.iter().find(|(known, ..)| *known == name) else {
        let message = "the page has no such file: see /";
        return AdminRefusal::new(StatusCode::NOT_FOUND, "not_found", message).into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(POLICY),
        ),
    ];
    (headers, *text).into_response()
}

/// Browsers name HTML first; `*/*` means "whatever", and gets what programs can read.
fn wants_html(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter();
    accepted.any(|value| {
        let text = value.to_str().unwrap_or_default();
        text.split(',').any(|kind| {
            let kind = kind.split(';').next().unwrap_or_default();
            kind.trim().eq_ignore_ascii_case("text/html")
        })
    })
}
