//! What bounds one request's waiting.

use std::time::Duration;

use super::request::{Endpoint, Request};
use crate::actors::lease::Lease;
use crate::domain::limits::DispatchPolicy;
use crate::domain::profile::TargetPolicy;
use crate::domain::time::Time;
use crate::wire::reasoning;

/// What bounds one request's waiting. Its deadline is that of the [`Request`].
#[derive(Clone, Copy)]
pub(super) struct RequestLimits {
    /// When its next answer must have begun, or be there if it is not streamed.
    pub(super) deadline: Time,
    /// The end of the time of which a share may pass before another upstream is asked beside a slow one.
    pub(super) hedge_by: Time,
    /// What is left of the time that it may wait for keys.
    pub(super) wait: Duration,
    /// Until when it waits for a preferred upstream.
    pub(super) patience_until: Time,
    /// What holds for its target.
    pub(super) policy: TargetPolicy,
}

impl RequestLimits {
    /// At the request's beginning.
    pub(super) fn new(dispatch: &DispatchPolicy, policy: TargetPolicy, request: &Request) -> Self {
        Self {
            deadline: request.begins_by(),
            hedge_by: request.begins_by(),
            wait: request.await_cooldown.unwrap_or(dispatch.await_cooldown),
            patience_until: request.arrived + policy.patience,
            policy,
        }
    }

    /// When the first token of an attempt is due by its target's profile, counted from its beginning; `None` where the
    /// model may think first.
    pub(super) fn first_token(
        &self,
        request: &Request,
        endpoint: &Endpoint,
        lease: &Lease,
    ) -> Option<Duration> {
        let due = self.policy.first_token?;
        let thinks = reasoning::model_reasons(lease.upstream().model.as_str())
            || reasoning::is_asked_for(&request.doc, &endpoint.params);
        (!thinks).then_some(due)
    }
}
