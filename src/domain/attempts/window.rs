//! Sizes in the errors of a request that fits nowhere: windows and limits of its upstreams, and which refused it.

use super::Attempts;
use super::misfit::RequestMisfit;
use crate::domain::ids::Upstream;
use crate::domain::outcome::{Class, Failure};
use crate::domain::refusal::Reason;
use crate::domain::remedy::least_output;

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

    /// Closes the candidates whose windows do not hold what the request needs: the tokens of its `prompt`, 0 where they
    /// are unknown, and the most `output` that it asks for. Where the prompt leaves room for a good part of the output, the
    /// candidate is only put off: it is open again once no other one is ([`loosen`](Self::loosen)).
    pub fn needs(&mut self, prompt: u64, output: u64) {
        self.size = (prompt, output);
        if prompt == 0 {
            return;
        }
        for slot in &mut self.slots {
            let Some(window) = slot.candidate.context_window else {
                continue;
            };
            if prompt.saturating_add(output) > window && !slot.is_ruled_out() {
                slot.closed = Some(Reason::TooLarge);
                slot.is_tight =
                    output > 0 && window.saturating_sub(prompt) >= least_output(window).min(output);
            }
        }
    }

    /// Opens the candidates at which the request finds room for less output than it asks for; whether there are any.
    pub fn loosen(&mut self) -> bool {
        let tight = self.slots.iter_mut().filter(|slot| slot.is_tight);
        let opened = tight.map(|slot| {
            slot.is_tight = false;
            slot.closed = None;
        });
        opened.count() > 0
    }

    /// Whether [`loosen`](Self::loosen) opens any.
    pub fn may_loosen(&self) -> bool {
        self.slots.iter().any(|slot| slot.is_tight)
    }

    /// The most output that fits beside the prompt at candidate `index`, in tokens; `None` where all does, or that is not
    /// known. Models count in other ways than we do, so something is left.
    pub fn output_room(&self, index: usize) -> Option<u64> {
        const MARGIN: u64 = 32;
        let (prompt, output) = self.size;
        let window = self.slots.get(index)?.candidate.context_window?;
        if prompt == 0 || prompt.saturating_add(output) <= window {
            return None;
        }
        let rest = window.saturating_sub(prompt);
        Some(rest.saturating_sub(prompt / MARGIN).max(rest / 2).max(1))
    }

    /// The tokens of its prompt, and the most of the output that it asks for; `None` where they were not counted.
    pub fn tokens(&self) -> Option<(u64, u64)> {
        Some(self.size).filter(|(prompt, _)| *prompt > 0)
    }
}
