//! Sizes in the errors of a request that fits nowhere: windows and limits of its upstreams, and which refused it.

use super::Attempts;
use super::misfit::RequestMisfit;
use crate::domain::ids::Upstream;
use crate::domain::outcome::{Class, Failure};
use crate::domain::refusal::Reason;

impl Attempts {
    /// Notes what a refusal says of the request's size.
    pub(super) fn note_shortage(&mut self, index: usize, failure: &Failure) {
        let shortage = match (failure.class, failure.status) {
            (Class::ContextOverflow, _) => RequestMisfit::Window(failure.window),
            (Class::TooLargeForLimit, Some(402)) => RequestMisfit::Credit(failure.limit),
            (Class::TooLargeForLimit, _) => RequestMisfit::Limit(failure.limit),
            (Class::Unsupported | Class::NotOffered, _) => RequestMisfit::Feature,
            _ => return,
        };
        if let Some(slot) = self.slots.get_mut(index) {
            slot.shortage = Some(shortage);
        }
    }

    /// The upstreams of the chain that the request does not fit, and why, in the chain's order.
    pub fn shortages(&self) -> impl Iterator<Item = (&Upstream, RequestMisfit)> {
        self.slots.iter().filter_map(|slot| {
            let configured = slot.candidate.context_window;
            let closed = slot.closed == Some(Reason::TooLarge);
            let shortage = match slot.shortage {
                Some(RequestMisfit::Window(named)) => {
                    Some(RequestMisfit::Window(named.or(configured)))
                }
                None => closed.then_some(RequestMisfit::Window(configured)),
                other => other,
            };
            Some((&slot.candidate.upstream, shortage?))
        })
    }

    /// The largest context window of its chain that is known, in tokens: as the upstream named it, else as configured.
    pub fn largest_window(&self) -> Option<u64> {
        let windows = self.slots.iter().filter_map(|slot| match slot.shortage {
            Some(RequestMisfit::Window(Some(named))) => Some(named),
            _ => slot.candidate.context_window,
        });
        windows.max()
    }

    /// The context windows of its chain that are configured, in tokens.
    pub fn windows(&self) -> impl Iterator<Item = u64> {
        let slots = self.slots.iter();
        slots.filter_map(|slot| slot.candidate.context_window)
    }

    /// Closes the candidates whose windows are smaller than the `tokens` that the request needs. 0: unknown.
    pub fn needs(&mut self, tokens: u64) {
        self.tokens = tokens;
        for slot in &mut self.slots {
            let window = slot.candidate.context_window;
            if window.is_some_and(|window| tokens > window) && !slot.is_ruled_out() {
                slot.closed = Some(Reason::TooLarge);
            }
        }
    }

    /// The tokens of its prompt and of the output that it asks for; `None` where they were not counted.
    pub fn tokens(&self) -> Option<u64> {
        Some(self.tokens).filter(|tokens| *tokens > 0)
    }
}
