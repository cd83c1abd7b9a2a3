//! Before anything is tried: what the request asks for, whether its client may ask for that, and what it is charged.

use std::sync::Arc;

use super::answer::Failed;
use super::charge::Charge;
use super::leasing::Dispatch;
use super::request::Request;
use super::tokens;
use crate::access::Client;
use crate::domain::chain::{Chain, ResolveError};
use crate::domain::error_code::ErrorCode;

impl Dispatch {
    /// The chain that the request asks for; a client is charged for it.
    pub(super) fn resolve(
        &self,
        request: &Request,
    ) -> Result<(Arc<Chain>, Option<Charge>), Failed> {
        let model = request.doc.model();
        let resolved = self.targets.resolve(model.as_deref());
        let Some(client) = &request.client else {
            let chain = resolved.map_err(|error| unknown(request, &error))?;
            return Ok((chain, None));
        };
        let chain = match resolved {
            Ok(chain) if client.may_ask(model.as_deref(), &chain) => chain,
            // What a client may not ask for does not even exist for it.
            Ok(_) => return Err(not_allowed(request, client, model.as_deref())),
            Err(ResolveError::UnknownTarget { name, mut near }) => {
                if !client.may_name(&name) {
                    return Err(not_allowed(request, client, Some(&name)));
                }
                near.retain(|near| client.may_name(near));
                let error = ResolveError::UnknownTarget { name, near };
                return Err(unknown(request, &error));
            }
            Err(error) => {
                if let Some(model) = model.as_deref().filter(|model| !client.may_name(model)) {
                    return Err(not_allowed(request, client, Some(model)));
                }
                return Err(unknown(request, &error));
            }
        };
        let charged = client.charge(tokens::estimate(&request.doc), self.clock.now());
        let bill = charged.map_err(|refused| Failed {
            retry_after: Some(refused.wait),
            ..failed(request, ErrorCode::ClientRateLimited, refused.to_string())
        })?;
        let charge = Charge {
            bill,
            prompt: tokens::prompt(&request.doc),
            events: 0,
        };
        Ok((chain, Some(charge)))
    }
}

fn unknown(request: &Request, error: &ResolveError) -> Failed {
    let code = match error {
        ResolveError::UnknownTarget { .. } | ResolveError::NoModel { .. } => {
            ErrorCode::ModelNotFound
        }
        ResolveError::NoDefault => ErrorCode::NoDefaultModel,
    };
    Failed {
        param: Some("model"),
        ..failed(request, code, error.to_string())
    }
}

fn not_allowed(request: &Request, client: &Client, model: Option<&str>) -> Failed {
    let what = model.map_or_else(
        || "the default model".to_owned(),
        |model| format!("`{model}`"),
    );
    let message = format!(
        "client `{}` may not ask for {what}: GET /v1/models lists what it may",
        client.name()
    );
    Failed {
        param: Some("model"),
        ..failed(request, ErrorCode::TargetNotAllowed, message)
    }
}

fn failed(request: &Request, code: ErrorCode, message: String) -> Failed {
    Failed {
        code,
        message,
        retry_after: None,
        records: Vec::new(),
        arrived: request.arrived,
        param: None,
    }
}
