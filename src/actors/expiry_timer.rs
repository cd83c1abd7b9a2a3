//! The one timer of an actor that publishes states that expire. It keeps the moment that it is set for, to recognise
//! timers that were replaced. Decisions compare times with the clock; the timer only updates what is published.

use crate::domain::time::Time;

/// The timer of one incarnation.
#[derive(Debug, Default)]
pub(crate) struct ExpiryTimer(Option<Time>);

impl ExpiryTimer {
    /// The end for which a timer is to be set now: the next of `ends`, unless one is set for that or earlier.
    pub(crate) fn next(&mut self, ends: impl Iterator<Item = Time>, now: Time) -> Option<Time> {
        let next = ends.filter(|end| now < *end && *end != Time::NEVER).min();
        let next = next.filter(|next| self.0.is_none_or(|set| *next < set))?;
        self.0 = Some(next);
        Some(next)
    }

    /// Whether the timer that was set for `at` is the present one; then none is set any more.
    pub(crate) fn fired(&mut self, at: Time) -> bool {
        self.0.take_if(|set| *set == at).is_some()
    }
}
