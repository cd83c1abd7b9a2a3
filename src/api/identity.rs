//! Identifies the calling client by the request's token, when clients are configured.

use std::sync::Arc;

use http::{HeaderMap, Uri};

use super::error::ApiError;
use super::state::Serving;
use crate::access::Client;
use crate::domain::error_code::ErrorCode;
use crate::wire::token;

/// The client of the request's token; `None` where no clients are configured.
pub(super) fn identify(
    serving: &Serving,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Option<Arc<Client>>, ApiError> {
    let Some(clients) = &serving.clients else {
        return Ok(None);
    };
    let token = token::presented(headers, uri.query());
    match token.as_deref().and_then(|token| clients.whose(token)) {
        Some(client) => Ok(Some(Arc::clone(client))),
        None => {
            let message = match token {
                None => {
                    "a client token is needed: send `authorization: Bearer TOKEN`, `x-api-key: TOKEN`, \
                     `x-goog-api-key: TOKEN` or `?key=TOKEN`"
                }
                Some(_) => "this client token is unknown: ask the operator of this gateway for one",
            };
            Err(ApiError::new(ErrorCode::InvalidClientToken, message))
        }
    }
}
