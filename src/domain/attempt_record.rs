//! The record of one attempt: why it was made, where, its outcome and its times.
//! No I/O, no clock, no logging.

use std::sync::Arc;

use super::cost::{Cost, CostKind};
use super::dropped::Dropped;
use super::ids::{KeyId, Upstream};
use super::key_preference::KeyPreference;
use super::money::Pico;
use super::outcome::Class;
use super::refusal::Refusal;
use super::time::Time;
use super::trace::SpanId;
use super::usage::Usage;

/// Why an attempt was made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AttemptReason {
    /// The request had not been tried yet.
    First,
    /// The same upstream once more, after a failure that may pass.
    Retry,
    /// Another key of the same upstream, after one was refused.
    NextKey,
    /// Another upstream, after one failed.
    Failover,
    /// Beside another attempt, whose first token is late.
    Hedge,
    /// Beside another attempt, because the time that the caller gave goes by.
    DeadlineHedge,
    /// To go on with an answer that broke off, from what was sent.
    Continue,
    /// To give an answer that broke off once more from its beginning.
    Restart,
}

impl AttemptReason {
    /// The reason's name in logs, metrics and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Retry => "retry",
            Self::NextKey => "next_key",
            Self::Failover => "failover",
            Self::Hedge => "hedge",
            Self::DeadlineHedge => "deadline_hedge",
            Self::Continue => "continue",
            Self::Restart => "restart",
        }
    }

    /// Why one more attempt is made at `upstream` after these.
    pub fn after(before: &[AttemptRecord], upstream: &Upstream) -> Self {
        match before.last() {
            None => Self::First,
            Some(last) if last.upstream != *upstream => Self::Failover,
            Some(last) if last.class.refuses_key() => Self::NextKey,
            Some(_) => Self::Retry,
        }
    }
}

/// What became of the search for an answer that is there already, before any upstream is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CacheLookup {
    /// No answers are kept of its target.
    #[default]
    Off,
    /// This request is none of those that are looked up.
    Bypassed,
    /// There was none: an upstream was asked.
    Missed,
    /// An answer that was kept served it.
    Kept,
    /// The answer to an equal request that was under way served it.
    Joined,
    /// An answer that was kept served it, since no upstream could.
    Stale,
}

/// What an upstream was not asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SavedByCache {
    /// Tokens, as far as they are known.
    pub tokens: u64,
    /// What they cost the first time, as far as that is known.
    pub cost: Pico,
}

impl CacheLookup {
    /// All that have a word.
    pub const TOLD: [Self; 5] = [
        Self::Bypassed,
        Self::Missed,
        Self::Kept,
        Self::Joined,
        Self::Stale,
    ];

    /// The word for it in headers, logs and metrics; `None` where no answers are kept.
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::Bypassed => Some("bypass"),
            Self::Missed => Some("miss"),
            Self::Kept => Some("hit"),
            Self::Joined => Some("coalesced"),
            Self::Stale => Some("stale"),
        }
    }

    /// Whether the request was served by what was found.
    pub const fn is_served(self) -> bool {
        matches!(self, Self::Kept | Self::Joined | Self::Stale)
    }
}

/// The record of one attempt.
#[derive(Clone, Debug)]
pub struct AttemptRecord {
    /// The upstream that was asked.
    pub upstream: Upstream,
    /// The key that was used.
    pub key: KeyId,
    /// What became of it.
    pub class: Class,
    /// The answer's status, if there was one.
    pub status: Option<u16>,
    /// When it started.
    pub started: Time,
    /// When it ended.
    pub ended: Time,
    /// Why it was made.
    pub reason: AttemptReason,
    /// When the request asked for leave to make it.
    pub asked: Time,
    /// Whether the request was in the waiting room until then.
    pub waited: bool,
    /// The candidates of its chain before this one that could not take it, by place, and why.
    pub passed_over: Vec<(usize, Refusal)>,
    /// The key that its conversation belongs to, where its provider keeps it at one.
    pub preference: Option<Box<KeyPreference>>,
    /// When the head of the answer was there.
    pub first_byte: Option<Time>,
    /// When the first content of a streamed answer was there.
    pub first_token: Option<Time>,
    /// What went wrong, in words; free of credentials.
    pub detail: Option<Box<str>>,
    /// Its span, where spans are made.
    pub span: Option<SpanId>,
    /// The tokens of this answer alone, as the upstream counted them.
    pub usage: Option<Usage>,
    /// About how many tokens of an answer came, by its text, where that was looked at: what counts where the upstream did not
    /// say it, or not to the end.
    pub said: Option<u64>,
    /// What it cost, once that is known.
    pub cost: Option<Cost>,
    /// The answer's metadata, where traces need it.
    pub answered: Option<Arc<ResponseMeta>>,
    /// What was left out of the request or the answer, because the other side's dialect has no place for it.
    pub dropped: Dropped,
}

/// The metadata of an answer. Read only where the attempt's span is likely to be sent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ResponseMeta {
    /// The answer's id.
    pub id: Option<Box<str>>,
    /// The model that it says it comes from.
    pub model: Option<Box<str>>,
    /// Why its choices ended, in the upstream's words.
    pub finish_reasons: Vec<Box<str>>,
}

impl AttemptRecord {
    /// The record of an attempt under way, which stays as it is if nothing more is recorded.
    pub fn new(upstream: Upstream, key: KeyId, started: Time) -> Self {
        Self {
            upstream,
            key,
            class: Class::Cancelled,
            status: None,
            started,
            ended: started,
            reason: AttemptReason::First,
            asked: started,
            waited: false,
            passed_over: Vec::new(),
            preference: None,
            first_byte: None,
            first_token: None,
            detail: None,
            span: None,
            usage: None,
            said: None,
            cost: None,
            answered: None,
            dropped: Dropped::default(),
        }
    }

    /// Whether tokens were used for it: its upstream says so, or some of an answer came. An answer that was left once its head
    /// was there had its prompt read.
    pub fn used_tokens(&self) -> bool {
        let left = self.class == Class::Cancelled && self.first_byte.is_some();
        let told = self.usage.is_some_and(|usage| usage.tells());
        told || self.said.is_some() || self.first_token.is_some() || left
    }

    /// What it used, and whether that was estimated: what its upstream counted, with what came of its answer where that is
    /// more, or was not counted. `prompt` is an estimate of the prompt.
    pub fn counted(&self, prompt: u64) -> (Usage, bool) {
        let mut usage = self.usage.unwrap_or_default();
        let whole = usage.prompt_tokens.is_some() || usage.has_pieces();
        if !whole {
            usage.prompt_tokens = Some(prompt);
        }
        let told = usage.completion_tokens;
        let said = self.said.filter(|said| *said > told.unwrap_or(0));
        // The count of an answer that came to its end is complete.
        let is_complete = told.is_some() && self.class == Class::Success;
        let said = said.filter(|_| !is_complete);
        usage.completion_tokens = said.or(told);
        (usage, !whole || said.is_some())
    }

    /// What these attempts cost together, and the weakest kind among their figures. `None` when none used anything, or when
    /// the cost of one that did is not known: a part of a sum would be taken for all of it.
    pub fn total_cost(attempts: &[Self]) -> Option<(Pico, CostKind)> {
        let mut total = None;
        for attempt in attempts.iter().filter(|attempt| attempt.used_tokens()) {
            let cost = attempt.cost?;
            let (sum, kind) = total.unwrap_or((Pico::ZERO, cost.kind));
            total = Some((sum.plus(cost.amount), kind.max(cost.kind)));
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(class: Class) -> AttemptRecord {
        let upstream = Upstream::new("a", "m");
        let key = KeyId {
            provider: upstream.provider.clone(),
            index: 1,
        };
        AttemptRecord {
            class,
            ..AttemptRecord::new(upstream, key, Time::ZERO)
        }
    }

    #[test]
    fn what_was_not_counted_is_estimated() {
        let usage = |prompt, answer| {
            Some(Usage {
                prompt_tokens: prompt,
                completion_tokens: answer,
                ..Usage::default()
            })
        };
        use Class::{Cancelled, Success};
        for (class, usage, said, expected) in [
            // Counted to the end: a guess by the text says less.
            (
                Success,
                usage(Some(9), Some(4)),
                Some(7),
                (Some(9), Some(4), false),
            ),
            (Success, usage(Some(9), None), None, (Some(9), None, false)),
            (Success, None, Some(7), (Some(50), Some(7), true)),
            (
                Success,
                usage(Some(9), None),
                Some(7),
                (Some(9), Some(7), true),
            ),
            // Left: what was counted until then may be too little.
            (
                Cancelled,
                usage(Some(9), Some(1)),
                Some(7),
                (Some(9), Some(7), true),
            ),
            (
                Cancelled,
                usage(Some(9), Some(8)),
                Some(7),
                (Some(9), Some(8), false),
            ),
            (Cancelled, None, None, (Some(50), None, true)),
        ] {
            let record = AttemptRecord {
                usage,
                said,
                ..attempt(class)
            };
            let (used, estimated) = record.counted(50);
            let seen = (used.prompt_tokens, used.completion_tokens, estimated);
            assert_eq!(seen, expected, "{class:?} {usage:?} {said:?}");
        }
    }

    #[test]
    fn the_cost_of_a_request_is_that_of_all_attempts_that_used_something() {
        let cost = |picos, kind| Cost {
            amount: Pico::new(picos),
            kind,
            priced: None,
            told: None,
            flags: Default::default(),
        };
        let used = |cost| AttemptRecord {
            said: Some(1),
            cost,
            ..attempt(Class::Success)
        };
        let refused = attempt(Class::RateLimited);
        let real = used(Some(cost(5, CostKind::Real)));
        let guessed = used(Some(cost(3, CostKind::Estimated)));
        let total = |attempts: &[AttemptRecord]| AttemptRecord::total_cost(attempts);
        assert_eq!(total(&[]), None);
        assert_eq!(total(std::slice::from_ref(&refused)), None);
        let both = [refused, real.clone(), guessed];
        assert_eq!(total(&both), Some((Pico::new(8), CostKind::Estimated)));
        assert_eq!(
            total(std::slice::from_ref(&real)),
            Some((Pico::new(5), CostKind::Real))
        );
        assert_eq!(total(&[real, used(None)]), None);
    }

    #[test]
    fn the_reason_for_one_more_attempt_follows_from_the_last() {
        let (here, there) = (Upstream::new("a", "m"), Upstream::new("b", "m"));
        let key = KeyId {
            provider: here.provider.clone(),
            index: 1,
        };
        let ended = |class| AttemptRecord {
            class,
            ..AttemptRecord::new(here.clone(), key.clone(), Time::ZERO)
        };
        assert_eq!(AttemptReason::after(&[], &here), AttemptReason::First);
        let limited = [ended(Class::RateLimited)];
        assert_eq!(
            AttemptReason::after(&limited, &here),
            AttemptReason::NextKey
        );
        assert_eq!(
            AttemptReason::after(&limited, &there),
            AttemptReason::Failover
        );
        assert_eq!(
            AttemptReason::after(&[ended(Class::Transient)], &here),
            AttemptReason::Retry
        );
    }
}
