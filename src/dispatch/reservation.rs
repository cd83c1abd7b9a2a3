//! What a client was charged for a request, until it is known what that took.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::access::Reservation;
use crate::domain::usage::Usage;
use crate::wire::dialect::CallerDialect;
use crate::wire::sse::RawEvent;

/// Bytes of text to a token, roughly: English prose has four or five, code and other languages fewer.
const BYTES_PER_TOKEN: u64 = 4;
/// More bytes than this to a token say that the count came before the text did.
const MOST_BYTES_PER_TOKEN: u64 = 8;

/// An estimate that was set aside, and what is known meanwhile.
#[derive(Debug)]
pub(super) struct OpenReservation {
    pub(super) reservation: Reservation,
    /// The prompt's part of the estimate.
    pub(super) prompt: u64,
    /// What has gone out of the answer.
    pub(super) said: SentBytes,
}

/// Bytes of the text that went out to the caller. What sends it counts; the charge is settled wherever the request ends.
#[derive(Clone, Debug)]
pub(super) struct SentBytes {
    bytes: Arc<AtomicU64>,
    caller: &'static dyn CallerDialect,
}

impl SentBytes {
    /// Nothing yet, of an answer in this dialect.
    pub(super) fn new(caller: &'static dyn CallerDialect) -> Self {
        Self {
            bytes: Arc::default(),
            caller,
        }
    }

    /// This event went out.
    pub(super) fn note(&self, event: &RawEvent) {
        self.add(self.caller.text_bytes(&event.data()));
    }

    /// This whole answer, readable, went out.
    pub(super) fn note_whole(&self, answer: &[u8]) {
        self.add(self.caller.text_bytes(answer));
    }

    fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// About how many tokens that is.
    fn tokens(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed).div_ceil(BYTES_PER_TOKEN)
    }
}

impl OpenReservation {
    /// The tokens of an answer that was sent in part or whole. The upstream's count is used; without one,
    /// or when the count is of a stream that was left, the text that went out is estimated.
    pub(super) fn used(&self, counted: Option<Usage>) -> u64 {
        let by_text = self.said.tokens();
        let Some(usage) = counted.filter(|usage| usage.total().is_some()) else {
            return self.prompt.saturating_add(by_text);
        };
        let answer = usage.completion_tokens.unwrap_or(0);
        let total = usage.total().unwrap_or(0);
        let too_few = answer.saturating_mul(MOST_BYTES_PER_TOKEN / BYTES_PER_TOKEN) < by_text;
        if too_few {
            (total - answer.min(total)).saturating_add(by_text)
        } else {
            total
        }
    }
}
