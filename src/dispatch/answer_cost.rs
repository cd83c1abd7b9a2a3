//! What is found out of a request's cost while the request is still there: the service tier that it asked for, the length of
//! an answer that was not counted, and the header of a whole answer.

use http::{HeaderMap, HeaderValue};

use super::attempt::FullResponse;
use super::costs;
use super::request_run::RequestRun;
use crate::domain::attempt_record::AttemptRecord;
use crate::domain::dialect::AnswerList;
use crate::domain::money::Pico;
use crate::domain::usage::Usage;
use crate::wire::encoding::whole::readable;

impl RequestRun {
    /// Notes the service tier that is asked for, before the request itself is let go.
    pub(super) fn note_tier(&mut self) {
        if !self.context.dispatch.prices.is_empty() {
            self.state.trace.tier = costs::tier_of(&self.context.request);
        }
    }

    /// About how many tokens a whole answer has, where its upstream did not count them and prices are known.
    pub(super) fn said_by(&self, whole: &FullResponse, usage: Option<Usage>) -> Option<u64> {
        let request = &self.context.request;
        let counted = usage.is_some_and(|usage| usage.tells());
        if counted || self.context.dispatch.prices.is_empty() {
            return None;
        }
        match request.operation.spec().answer {
            AnswerList::Count | AnswerList::Any => None,
            _ => {
                let body = readable(&whole.headers, &whole.body);
                let bytes = request.caller().text_bytes(&body);
                Some(bytes.div_ceil(costs::BYTES_PER_TOKEN))
            }
        }
    }

    /// Adds what the request has cost to the headers of its whole answer, where that is known.
    pub(super) fn add_cost(&mut self, headers: &mut HeaderMap) {
        let total = self.total_cost();
        let value = total.and_then(|amount| HeaderValue::try_from(amount.to_string()).ok());
        if let Some(value) = value {
            headers.insert(costs::COST, value);
        }
    }
    /// What the request has cost so far, where that is known.
    pub(super) fn total_cost(&mut self) -> Option<Pico> {
        let context = &self.context;
        let records = self.state.attempts.records_mut();
        costs::price(
            &context.dispatch,
            &context.request,
            &self.state.trace,
            records,
        );
        AttemptRecord::total_cost(records).map(|(amount, _)| amount)
    }
}
