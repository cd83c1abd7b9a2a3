//! What a request hears of context windows when its prompt fits into none.

use super::Attempts;

impl Attempts {
    /// The largest context window of its chain that is known, in tokens.
    pub fn largest_window(&self) -> Option<u64> {
        let windows = self.slots.iter();
        windows
            .filter_map(|slot| slot.candidate.context_window)
            .max()
    }

    /// The tokens of its prompt and of the output that it asks for; `None` where they were not counted.
    pub fn tokens(&self) -> Option<u64> {
        Some(self.tokens).filter(|tokens| *tokens > 0)
    }
}
