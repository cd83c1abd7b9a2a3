//! OpenAI's API, and everything compatible with it, as an upstream's dialect.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

use super::{OpenAi, answered, prefill, response, stream};
use crate::domain::dialect::Operation;
use crate::domain::record::Answered;
use crate::domain::rescue::Prefill;
use crate::domain::secret::ApiKey;
use crate::wire::dialect::UpstreamDialect;
use crate::wire::inspection::{Inspection, StreamEvent};
use crate::wire::request::RequestDoc;
use crate::wire::sse::RawEvent;

const BEARER: &str = "Bearer ";

impl UpstreamDialect for OpenAi {
    fn id(&self) -> &'static str {
        super::ID
    }

    fn path(&self, operation: Operation) -> Option<&'static str> {
        let spec = operation.spec();
        (spec.dialect == super::ID).then_some(spec.path)
    }

    fn full_path(&self) -> &'static str {
        Operation::Chat.path()
    }

    fn authenticate(&self, headers: &mut HeaderMap, key: &ApiKey) {
        let mut bearer = String::with_capacity(BEARER.len() + key.expose().len());
        bearer.push_str(BEARER);
        bearer.push_str(key.expose());
        if let Ok(mut value) = HeaderValue::try_from(bearer) {
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
    }

    fn inspect(
        &self,
        operation: Operation,
        headers: &HeaderMap,
        body: &Bytes,
        answered: Option<&mut Answered>,
    ) -> Inspection {
        response::inspect_closer(operation, headers, body, answered)
    }

    fn event(&self, operation: Operation, event: &RawEvent) -> StreamEvent {
        stream::inspect(operation, event)
    }

    fn note(&self, answered: &mut Answered, event: &RawEvent) {
        answered::note(answered, event);
    }

    fn may_be_rescued(&self, operation: Operation, doc: &RequestDoc) -> bool {
        operation == Operation::Chat && prefill::may_be_rescued(doc)
    }

    fn continued(
        &self,
        doc: &RequestDoc,
        sent: &str,
        spent: u64,
        form: Prefill,
    ) -> Option<RequestDoc> {
        prefill::continued(doc, sent, spent, form)
    }
}
