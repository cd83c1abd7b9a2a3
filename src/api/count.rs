//! Requests that only count tokens: by an upstream where one can, else here.
//!
//! Agents send dozens of them at once, and stop where they get none. So a count is never refused for want of an upstream:
//! it is made by a public vocabulary, which other models' differ from by some percent, and a header says so.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, HeaderValue, header};

use super::admission_limit::AdmissionPermit;
use super::error::ApiError;
use super::respond::write;
use super::state::Serving;
use crate::dispatch::{self, Counted};
use crate::domain::error_code::ErrorCode;
use crate::wire::dialects;

/// Who counted, where no upstream did: `tokenizer`, or `estimate` for a quarter of the bytes.
const COUNTED_BY: HeaderName = HeaderName::from_static("x-pointsman-counted-by");

/// Answers a request that only counts.
pub(super) async fn serve(
    serving: &Serving,
    request: dispatch::Request,
    place: AdmissionPermit,
) -> Response {
    let (operation, id) = (request.operation, std::sync::Arc::clone(&request.id));
    let caller = dialects::caller(operation);
    let (doc, client) = (request.doc.clone(), request.client.clone());
    let failed = match serving.dispatch.run(request).await {
        Ok(answer) if is_last_word(answer.status) => return write(answer, place),
        Ok(_) => None,
        Err(failed) if is_callers(failed.code) => {
            return ApiError::from(*failed).response(&id, caller);
        }
        Err(failed) => Some(failed),
    };
    let owner = client.map(|client| std::sync::Arc::clone(client.name()));
    let Counted { tokens, exact } = serving.dispatch.count_prompt(doc, owner).await;
    if let Some(failed) = failed {
        tracing::debug!(request_id = %id, code = failed.code.as_str(), "no upstream counted the tokens");
    }
    let mut response = Response::new(Body::from(caller.encode_count(operation, tokens)));
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    let by = if exact { "tokenizer" } else { "estimate" };
    headers.insert(COUNTED_BY, HeaderValue::from_static(by));
    response
}

/// Whether an upstream's answer goes back: its count, or its word on what is wrong with the request. One that does not have
/// the route, or has no time for it, says nothing of the request.
fn is_last_word(status: u16) -> bool {
    status < 500 && !matches!(status, 404 | 405 | 429)
}

/// Whether a request would be refused whoever counted.
fn is_callers(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::InvalidRequest
            | ErrorCode::InvalidJson
            | ErrorCode::NoDefaultModel
            | ErrorCode::ModelNotFound
            | ErrorCode::TargetNotAllowed
            | ErrorCode::ClientOverloaded
            | ErrorCode::ClientRateLimited
            | ErrorCode::FleetUnavailable
            | ErrorCode::Overloaded
            | ErrorCode::DeadlineExceeded
            | ErrorCode::Draining
    )
}
