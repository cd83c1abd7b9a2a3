//! What of a request is changed for one upstream: less output where that is all that it gives or has room for, and nothing
//! sealed that it cannot open. A refusal that names the change is answered with it once, on the same upstream.

use crate::dispatch::asked_call::AskedCall;
use crate::dispatch::request::Endpoint;
use crate::domain::dropped::Dropped;
use crate::domain::ids::ModelName;
use crate::domain::outcome::Failure;
use crate::domain::remedy::Remedy;
use crate::domain::time::Time;
use crate::wire::request::RequestDoc;

/// The changes of one attempt.
#[derive(Default)]
pub(super) struct Adjustments {
    doc: Option<RequestDoc>,
    /// The fields that were changed.
    changed: Dropped,
    unsealed: bool,
    /// Whether a refusal was answered with less output.
    limited: bool,
}

impl Adjustments {
    /// Those that are known before the upstream is asked: how much output the model gives, and how much the window has room
    /// for. `may_change`: whether the caller takes less than it asked for.
    pub(super) fn known(
        asked: &AskedCall<'_>,
        endpoint: &Endpoint,
        model: &ModelName,
        may_change: bool,
        now: Time,
    ) -> Self {
        let mut new = Self::default();
        let limit = endpoint.output_limits.of(model, now);
        if !may_change || (limit.is_none() && asked.output_room.is_none()) {
            return new;
        }
        let wanted = asked.doc.max_output_tokens();
        let limit = limit.filter(|limit| wanted.is_some() || limit.by_default);
        let most = limit.map(|limit| limit.most).into_iter();
        if let Some(most) = most.chain(asked.output_room).min() {
            new.limit(asked.doc, most);
        }
        new
    }

    /// The call as it is made.
    pub(super) fn call<'a>(&'a self, asked: AskedCall<'a>) -> AskedCall<'a> {
        AskedCall {
            doc: self.doc.as_ref().unwrap_or(asked.doc),
            unsealed: self.unsealed,
            ..asked
        }
    }

    /// Adds the fields that were changed.
    pub(super) fn note(&self, dropped: &mut Dropped) {
        dropped.extend(&self.changed);
    }

    /// Whether the same upstream is to be asked once more after this failure, with another change.
    pub(super) fn follow(
        &mut self,
        failure: &Failure,
        asked: &AskedCall<'_>,
        (endpoint, model): (&Endpoint, &ModelName),
        may_change: bool,
        now: Time,
    ) -> bool {
        match failure.remedy {
            Some(Remedy::LessOutput { most, of_model }) if may_change => {
                if of_model {
                    let by_default = asked.doc.max_output_tokens().is_none();
                    endpoint.output_limits.note(model, most, by_default, now);
                }
                !std::mem::replace(&mut self.limited, true) && self.limit(asked.doc, most)
            }
            Some(Remedy::Unsealed) if may_change => !std::mem::replace(&mut self.unsealed, true),
            _ => false,
        }
    }

    /// Lowers the limit of the output; whether it was higher.
    fn limit(&mut self, asked: &RequestDoc, most: u64) -> bool {
        let before = self.doc.as_ref().unwrap_or(asked);
        let Some((doc, field)) = before.with_less_output(most) else {
            return false;
        };
        self.doc = Some(doc);
        self.changed.add(field);
        true
    }
}
