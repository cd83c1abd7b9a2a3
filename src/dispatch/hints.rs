//! A request's own hints on where it should go: taken out of its body where its target takes them.

use super::admission::{NotAdmitted, failed};
use super::failed::Failed;
use super::request::{Endpoint, Request};
use super::shared::Dispatch;
use crate::domain::dialect::Operation;
use crate::domain::dropped::Dropped;
use crate::domain::error_code::ErrorCode;
use crate::wire::hints;
use crate::wire::request::RequestDoc;

/// The kind of provider that follows these fields itself.
const OPENROUTER: &str = "openrouter";

impl Dispatch {
    /// Takes the hints out of the request's body, if its target takes hints.
    pub(super) fn take_hints(&self, request: &mut Request) -> Result<(), Box<NotAdmitted>> {
        if !self.targets.any_takes_hints() || request.operation == Operation::Passthrough {
            return Ok(());
        }
        let Ok(chain) = self.targets.resolve(request.doc.model().as_deref()) else {
            return Ok(());
        };
        if !self.targets.takes_hints(&chain.target) {
            return Ok(());
        }
        let found = hints::read(&request.doc).map_err(|error| {
            Box::new(NotAdmitted {
                target: chain.target.as_ref().to_owned(),
                failed: Failed {
                    param: Some(error.field),
                    ..failed(request, ErrorCode::InvalidRequest, error.to_string())
                },
                for_tokens: None,
            })
        })?;
        let Some(mut found) = found else {
            return Ok(());
        };
        if let Some(doc) = request.doc.without(&hints::FIELDS) {
            request.doc = doc;
            // The target's own name stands for all of it.
            if found
                .hints
                .models
                .iter()
                .any(|name| **name == *chain.target)
            {
                found.hints.models.clear();
            }
            request.hints = Some(Box::new(found));
        }
        Ok(())
    }
}

impl Request {
    /// The body for an upstream that follows hints itself: with those that mean the same there.
    pub(super) fn doc_at(&self, endpoint: &Endpoint) -> Option<RequestDoc> {
        let hints = self
            .hints
            .as_ref()
            .filter(|_| endpoint.kind == OPENROUTER)?;
        let provider = hints.provider.clone()?;
        self.doc.with(&[("provider", provider)])
    }

    /// Names the hints that nobody follows at that upstream.
    pub(super) fn note_hints(&self, endpoint: &Endpoint, dropped: &mut Dropped) {
        let hints = self.hints.as_ref().filter(|_| endpoint.kind != OPENROUTER);
        for name in hints.into_iter().flat_map(|hints| &hints.unknown) {
            dropped.add(name);
        }
    }
}
