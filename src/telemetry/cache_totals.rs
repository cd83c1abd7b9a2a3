//! What came of the looks for kept answers since the process began, and what that saved.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::request_record::RequestRecord;
use crate::domain::attempt_record::CacheLookup;
use crate::domain::money::Pico;

/// Counts of looks.
#[derive(Debug, Default)]
pub struct CacheTotals {
    looks: [AtomicU64; CacheLookup::TOLD.len()],
    tokens: AtomicU64,
    cost: AtomicU64,
}

impl CacheTotals {
    /// Counts a request that has ended.
    pub(super) fn ended(&self, request: &RequestRecord) {
        let mut all = CacheLookup::TOLD.iter().zip(&self.looks);
        if let Some((_, count)) = all.find(|(found, _)| **found == request.lookup) {
            count.fetch_add(1, Relaxed);
        }
        if let Some(saved) = request.saved {
            self.tokens.fetch_add(saved.tokens, Relaxed);
            // A sum that has reached the end stays there: no counter goes back.
            let add = |sum: u64| Some(sum.saturating_add(saved.cost.get()));
            let _ = self.cost.fetch_update(Relaxed, Relaxed, add);
        }
    }

    /// How often each result came, by its word.
    pub fn looks(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = CacheLookup::TOLD.iter().zip(&self.looks);
        all.map(|(found, count)| (found.as_str().unwrap_or_default(), count.load(Relaxed)))
    }

    /// Tokens of answers that no upstream was asked for, as far as they are known.
    pub fn saved_tokens(&self) -> u64 {
        self.tokens.load(Relaxed)
    }

    /// What these answers cost the first time, as far as that is known.
    pub fn saved_cost(&self) -> Pico {
        Pico::new(self.cost.load(Relaxed))
    }
}
