//! Before anything is tried: what the request asks for, whether its client may ask for that, and what it is charged.

use std::sync::Arc;

use super::answer::Failed;
use super::charge::{Charge, Said};
use super::leasing::Dispatch;
use super::request::Request;
use super::tokens;
use crate::access::Client;
use crate::domain::chain::{Chain, ResolveError};
use crate::domain::error_code::ErrorCode;

impl Dispatch {
    /// The chain that the request asks for, if its client may.
    pub(super) fn resolve(&self, request: &Request) -> Result<Arc<Chain>, Failed> {
        let client = request.client.as_deref();
        if let Some(client) = client.filter(|client| client.is_restricted())
            && let Some(field) = request.doc.detour()
        {
            return Err(no_detour(request, client, field));
        }
        let resolved = self.target(request.doc.model().as_deref(), client);
        resolved.map_err(|(code, message)| Failed {
            param: Some("model"),
            ..failed(request, code, message)
        })
    }

    /// The chain that `model` means, if that client may ask for it.
    ///
    /// # Errors
    /// The code and message of the answer.
    pub(super) fn target(
        &self,
        model: Option<&str>,
        client: Option<&Client>,
    ) -> Result<Arc<Chain>, (ErrorCode, String)> {
        let resolved = self.targets.resolve(model);
        let Some(client) = client else {
            return resolved.map_err(|error| unknown(&error));
        };
        // What a client may not ask for does not even exist for it.
        match resolved {
            Ok(chain) if client.may_ask(model, &chain) => Ok(chain),
            Ok(_) => Err(not_allowed(client, model)),
            Err(_) if model.is_some_and(|model| !client.may_name(model)) => {
                Err(not_allowed(client, model))
            }
            Err(ResolveError::UnknownTarget { name, mut near }) => {
                near.retain(|near| client.may_name(near));
                Err(unknown(&ResolveError::UnknownTarget { name, near }))
            }
            Err(error) => Err(unknown(&error)),
        }
    }

    /// Charges the client, if there is one, with what the request seems to need.
    pub(super) fn charge(&self, request: &Request) -> Result<Option<Charge>, Failed> {
        let Some(client) = &request.client else {
            return Ok(None);
        };
        let charged = client.charge(tokens::estimate(&request.doc), self.clock.now());
        let bill = charged.map_err(|refused| Failed {
            retry_after: Some(refused.wait),
            ..failed(request, ErrorCode::ClientRateLimited, refused.to_string())
        })?;
        Ok(Some(Charge {
            bill,
            prompt: tokens::prompt(&request.doc),
            said: Said::new(request.caller()),
        }))
    }
}

fn unknown(error: &ResolveError) -> (ErrorCode, String) {
    let code = match error {
        ResolveError::UnknownTarget { .. } | ResolveError::NoModel { .. } => {
            ErrorCode::ModelNotFound
        }
        ResolveError::NoDefault => ErrorCode::NoDefaultModel,
    };
    (code, error.to_string())
}

fn not_allowed(client: &Client, model: Option<&str>) -> (ErrorCode, String) {
    let what = model.map_or_else(
        || "the default model".to_owned(),
        |model| format!("`{model}`"),
    );
    let message = format!(
        "client `{}` may not ask for {what}: GET /v1/models lists what it may",
        client.name()
    );
    (ErrorCode::TargetNotAllowed, message)
}

fn no_detour(request: &Request, client: &Client, field: &'static str) -> Failed {
    let message = format!(
        "client `{}` may not send `{field}`, which could lead past what it may ask for: name one target as `model`",
        client.name()
    );
    Failed {
        param: Some(field),
        ..failed(request, ErrorCode::TargetNotAllowed, message)
    }
}

fn failed(request: &Request, code: ErrorCode, message: String) -> Failed {
    Failed {
        code,
        message,
        retry_after: None,
        records: Vec::new(),
        skipped: Box::default(),
        arrived: request.arrived,
        ended: request.arrived,
        param: None,
    }
}
