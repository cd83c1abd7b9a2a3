//! Continues a streamed answer with another upstream's stream in the neutral form: what its caller has is left out, what is
//! new goes on in the state of the caller's first stream.

use super::ir::{ContentDelta, StreamItem, UsageCounts};
use super::overlap::Overlap;
use super::transcript::REASONING;
use crate::domain::usage::Usage;

/// The seam between what was sent and the items of the stream that goes on.
#[derive(Debug)]
pub struct ItemSplice {
    overlap: Overlap,
    /// What earlier attempts used.
    before: Usage,
    counted: bool,
}

impl ItemSplice {
    /// For an answer whose text lies beside what was sent like this. `before` is what earlier attempts used.
    pub fn new(overlap: Overlap, before: Usage) -> Self {
        Self {
            overlap,
            before,
            counted: false,
        }
    }

    /// What of the items of one event is new; `None` when the answer is another one.
    pub fn items(&mut self, items: Vec<StreamItem>) -> Option<Vec<StreamItem>> {
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            match item {
                // The answer is the first one, whoever goes on with it.
                StreamItem::Head { .. } => {}
                StreamItem::Delta {
                    candidate: 0,
                    delta,
                } => self.delta(delta, &mut out)?,
                StreamItem::Stop { candidate: 0, .. } => {
                    self.catch_up(&mut out)?;
                    out.push(item);
                }
                StreamItem::Usage(counts) => {
                    self.counted = true;
                    out.push(StreamItem::Usage(self.with_before(counts)));
                }
                StreamItem::End => {
                    self.catch_up(&mut out)?;
                    if !self.counted && self.before != Usage::default() {
                        let counts = self.with_before(UsageCounts::default());
                        out.push(StreamItem::Usage(counts));
                    }
                    out.push(item);
                }
                StreamItem::CandidateExtra { candidate: 0, .. }
                | StreamItem::ServiceTier(_)
                | StreamItem::Error(_) => {
                    out.push(item);
                }
                // One answer was begun.
                StreamItem::Delta { .. }
                | StreamItem::Stop { .. }
                | StreamItem::CandidateExtra { .. } => {}
            }
        }
        Some(out)
    }

    fn delta(&mut self, delta: ContentDelta, out: &mut Vec<StreamItem>) -> Option<()> {
        let new = match delta {
            // Reasoning about the continuation is no part of an answer that began without any.
            ContentDelta::Role(_) | ContentDelta::Reasoning(_) => return Some(()),
            ContentDelta::Unknown { ref field, .. }
                if REASONING.iter().any(|part| field.contains(part)) =>
            {
                return Some(());
            }
            ContentDelta::Text(text) => ContentDelta::Text(self.overlap.text(text, false)?),
            ContentDelta::Refusal(text) if text.is_empty() => return Some(()),
            other => {
                self.catch_up(out)?;
                other
            }
        };
        if !matches!(&new, ContentDelta::Text(text) if text.is_empty()) {
            out.push(delta_of(new));
        }
        Some(())
    }

    /// No more text comes before what is next.
    fn catch_up(&mut self, out: &mut Vec<StreamItem>) -> Option<()> {
        let text = self.overlap.end()?;
        if !text.is_empty() {
            out.push(delta_of(ContentDelta::Text(text)));
        }
        Some(())
    }

    /// The usage includes what earlier attempts used.
    fn with_before(&self, counts: UsageCounts) -> UsageCounts {
        let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        let before = &self.before;
        UsageCounts {
            input: sum(counts.input, before.prompt_tokens),
            output: sum(counts.output, before.completion_tokens),
            total: counts
                .total
                .map(|total| total.saturating_add(before.total().unwrap_or(0))),
            cache_read: sum(counts.cache_read, before.cached_tokens),
            reasoning: sum(counts.reasoning, before.reasoning_tokens),
            ..counts
        }
    }
}

fn delta_of(delta: ContentDelta) -> StreamItem {
    StreamItem::Delta {
        candidate: 0,
        delta,
    }
}
