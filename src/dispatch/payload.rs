//! What a request carries beside its document: a form whose files are kept in a spool, or a call that passes through as it is.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};

use crate::domain::outcome::{Class, Failure};
use crate::runtime::spool::{Spool, SpoolFault};
use crate::upstream::{CallBody, SpooledBody};
use crate::wire::multipart::FormDocument;

/// What a request carries.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A form. The request's document holds its fields.
    Form(Arc<FormPayload>),
    /// A call to a provider's own path.
    Passed(Arc<PassedCall>),
}

/// A form.
#[derive(Debug)]
pub struct FormPayload {
    /// All of its bytes.
    pub spool: Spool,
    /// Where its fields are.
    pub form: FormDocument,
    /// With its boundary.
    pub content_type: HeaderValue,
}

/// A call that passes through.
#[derive(Debug)]
pub struct PassedCall {
    /// The method.
    pub method: Method,
    /// The path with its query, from behind the provider's name on; begins with `/`.
    pub path: String,
    /// The headers that go on.
    pub headers: HeaderMap,
    /// The body, if it has one.
    pub body: Option<PassedBody>,
}

/// The body of a call that passes through, as far as it has come.
#[derive(Debug)]
pub struct PassedBody {
    /// Where it is kept.
    pub spool: Spool,
    /// Its length in bytes, where it was announced.
    pub length: Option<u64>,
}

impl Payload {
    /// The call that passes through, if it is one.
    pub(super) fn passed(&self) -> Option<&PassedCall> {
        match self {
            Self::Form(_) => None,
            Self::Passed(call) => Some(call),
        }
    }

    /// Why the body is not there as a whole.
    pub(super) fn fault(&self) -> Option<SpoolFault> {
        match self {
            Self::Form(form) => form.spool.fault(),
            Self::Passed(call) => call.body.as_ref()?.spool.fault(),
        }
    }

    /// Whether the call may make something that is kept by the provider.
    pub(super) fn may_create(&self) -> bool {
        self.passed()
            .is_some_and(|call| matches!(call.method, Method::POST | Method::PUT | Method::PATCH))
    }

    /// Whether the call may be made once more after it failed like this. What is made twice may be there twice: then only
    /// where nothing was sent, or where it was refused before anything was done.
    pub(super) fn may_repeat(&self, failure: &Failure) -> bool {
        let Some(call) = self.passed() else {
            return true;
        };
        call.method.is_safe() || failure.class.refuses_key() || failure.unsent
    }

    /// Whether an answer of any class goes back as it is.
    pub(super) fn keeps(&self, failure: &Failure) -> bool {
        self.passed().is_some() && failure.class != Class::Cancelled
    }
}

impl PassedCall {
    /// The body as a call has it.
    pub(super) fn body(&self) -> CallBody {
        match &self.body {
            None => CallBody::Bytes(Bytes::new()),
            Some(PassedBody { spool, length }) => CallBody::Spooled(SpooledBody {
                spool: spool.clone(),
                replacement: None,
                length: *length,
            }),
        }
    }
}

impl FormPayload {
    /// The body as a call for this model has it.
    pub(super) fn body(&self, model: &str) -> CallBody {
        CallBody::Spooled(SpooledBody {
            spool: self.spool.clone(),
            replacement: Some(self.form.for_model(model)),
            length: self.spool.length(),
        })
    }
}
