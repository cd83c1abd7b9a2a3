//! `dispatch`: what is typed of the bounds of one request, and what it means. What is absent takes the documented default.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::budgets::{self, BudgetSection};
use super::read::{ConfigNode, FromNode, Report, section};
use super::streams::{self, Hedge, ProfileForm};
use super::values::{Amount, Fraction, PositiveSpan, Span, share};
use crate::domain::budget::BudgetPolicy;
use crate::domain::limits::{DispatchPolicy, RetryBudgetPolicy};

section! {
    /// `dispatch`
    DispatchSection {
        /// The whole request with all attempts and waits. Default `600s`.
        deadline: PositiveSpan,
        /// Attempts per request over all upstreams. Default 8.
        max_attempts: NonZeroU32,
        /// Refusals of keys (429, 401, 402) per request, counted apart. Default 32.
        max_key_refusals: u32,
        /// How long a request may wait for the first key to be ready; 0 means never. Default `30s`.
        await_cooldown: Span,
        /// How long to wait for a preferred upstream before the next one is tried. Default: the profile's, else `0s`.
        patience: Span,
        /// The profile of all targets but those virtual providers that have their own. `interactive` sets rescue
        /// `continue`, patience `3s`, a first token within `10s` from models that do not reason, and hedging. Default `off`.
        profile: ProfileForm,
        /// Requests that may wait at once; more are answered with 429. Default 1000.
        max_waiting: usize,
        /// What an upstream may carry of other attempts' failures.
        retry_budget: RetryBudgetSection,
        /// A second attempt beside a stream whose first token is late. Absent: never.
        hedge: Hedge,
        /// The share of a request's time, 0 to 1, after which another upstream is asked beside one that has given
        /// nothing yet; 0 means never. Default 0.5.
        deadline_hedge: Fraction,
        /// How much all requests together may cost (`docs/budgets.md`).
        budgets: Vec<BudgetSection>,
        /// Whether equal requests that are under way at the same time are one call (`docs/cache.md`). Default false.
        coalesce: bool,
        /// Tokens of an answer whose cost budgets reserve where a request names no bound. Default 1024.
        assume_output: NonZeroU64,
    }
}

impl DispatchSection {
    /// The budgets of the whole, and the output that is assumed.
    pub(super) fn budgets(&mut self, report: &mut Report) -> (Vec<BudgetPolicy>, u64) {
        budgets::of_dispatch(self.budgets.take(), self.assume_output, report)
    }
}

section! {
    /// `dispatch.retry_budget`
    RetryBudgetSection {
        /// Extra attempts per first attempt, 0 to 10. Default 0.2.
        ratio: Amount,
        /// Extra attempts per second that are always allowed. Default 10.
        min_per_second: Amount,
    }
}

/// `timeout` is BorgLLM's name for the waiting time.
pub(super) fn resolve(
    raw: DispatchSection,
    timeout: Option<Duration>,
    report: &mut Report,
) -> DispatchPolicy {
    let usual = DispatchPolicy::default();
    let budget = raw.retry_budget.unwrap_or_default();
    let ratio = budget
        .ratio
        .map_or(usual.retry_budget.ratio, |Amount(ratio)| ratio);
    if ratio > 10.0 {
        report.problem(
            "dispatch.retry_budget.ratio",
            "is above 10",
            "write a share such as 0.2",
        );
    }
    let per_second = budget
        .min_per_second
        .map_or(usual.retry_budget.min_per_second, |Amount(number)| number);
    let wait = raw.await_cooldown.map(|Span(span)| span).or(timeout);
    DispatchPolicy {
        deadline: raw
            .deadline
            .map_or(usual.deadline, |PositiveSpan(span)| span),
        max_attempts: raw
            .max_attempts
            .map_or(usual.max_attempts, |count| count.get()),
        max_key_refusals: raw.max_key_refusals.unwrap_or(usual.max_key_refusals),
        await_cooldown: wait.unwrap_or(usual.await_cooldown),
        patience: raw.patience.map_or(usual.patience, |Span(span)| span),
        max_waiting: raw.max_waiting.unwrap_or(usual.max_waiting),
        retry_budget: RetryBudgetPolicy {
            ratio,
            min_per_second: per_second,
        },
        hedge: streams::hedge(raw.hedge),
        deadline_hedge: share(raw.deadline_hedge, usual.deadline_hedge),
    }
}
