//! What a request's machine knows of context windows: which are too small, and what the request hears of that.

use super::Attempts;
use crate::domain::refusal::Reason;

impl Attempts {
    /// The context windows of its chain that are known, in tokens.
    pub fn windows(&self) -> impl Iterator<Item = u64> {
        let slots = self.slots.iter();
        slots.filter_map(|slot| slot.candidate.context_window)
    }

    /// The largest context window of its chain that is known, in tokens.
    pub fn largest_window(&self) -> Option<u64> {
        self.windows().max()
    }

    /// The request needs so many tokens of context: candidates whose windows are smaller are closed. 0: not known.
    pub fn needs(&mut self, tokens: u64) {
        self.tokens = tokens;
        for slot in &mut self.slots {
            let window = slot.candidate.context_window;
            if window.is_some_and(|window| tokens > window) {
                slot.closed = Some(Reason::TooLarge);
            }
        }
    }

    /// The tokens of its prompt and of the output that it asks for; `None` where they were not counted.
    pub fn tokens(&self) -> Option<u64> {
        Some(self.tokens).filter(|tokens| *tokens > 0)
    }
}
