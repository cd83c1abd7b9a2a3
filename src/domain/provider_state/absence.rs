//! For which operations an upstream is left alone: where it does not know the model, or does not have the operation.

use std::time::Duration;

use crate::domain::dialect::Operation;
use crate::domain::outcome::Class;
use crate::domain::refusal::Reason;
use crate::domain::time::Time;

/// How long a model that its provider does not know, or an operation that it does not have, is left alone.
pub const MODEL_GONE: Duration = Duration::from_secs(10 * 60);

/// An operation for which an upstream is left alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Absence {
    /// The operation.
    pub operation: Operation,
    /// [`Reason::ModelGone`]: no request goes there. [`Reason::NotOffered`]: only requests that no other upstream can
    /// take.
    pub reason: Reason,
    /// When it ends.
    pub until: Time,
}

/// What is known of one operation at an upstream.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Known {
    /// It has answered well.
    served: bool,
    gone_until: Time,
    not_offered_until: Time,
}

/// What is known of each operation at one upstream. There are few operations, so it has a fixed size.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Absences([Known; Operation::ALL.len()]);

impl Absences {
    /// Until when the model is gone for that operation.
    pub fn gone(&self, operation: Operation, now: Time) -> Option<Time> {
        let known = self.known(operation)?;
        Some(known.gone_until).filter(|until| now < *until)
    }

    /// The same; without an operation, for all of those that it is known for.
    pub fn gone_for(&self, operation: Option<Operation>, now: Time) -> Option<Time> {
        match operation {
            Some(operation) => self.gone(operation, now),
            None => self.everything(now),
        }
    }

    /// Until when the upstream counts as one without that operation.
    pub fn not_offered(&self, operation: Operation, now: Time) -> Option<Time> {
        let known = self.known(operation)?;
        Some(known.not_offered_until).filter(|until| now < *until)
    }

    /// Until when the model is gone for all operations that it is known for; `None` while one of them may serve.
    pub fn everything(&self, now: Time) -> Option<Time> {
        let heard = self.0.iter();
        let heard = heard.filter(|known| known.served || now < known.gone_until);
        let soonest = heard.map(|known| known.gone_until).min();
        soonest.filter(|until| now < *until)
    }

    /// The last end of those that run; `None` when none does.
    pub fn until(&self, now: Time) -> Option<Time> {
        self.all(now).map(|absence| absence.until).max()
    }

    /// Whether one for the same operation and reason runs.
    pub fn has(self, absence: &Absence, now: Time) -> bool {
        let same = |it: Absence| (it.operation, it.reason) == (absence.operation, absence.reason);
        self.all(now).any(same)
    }

    /// Those that run.
    pub fn all(self, now: Time) -> impl Iterator<Item = Absence> {
        let places = Operation::ALL.into_iter().zip(self.0);
        let both = places.flat_map(|(operation, known)| {
            [
                (Reason::ModelGone, known.gone_until),
                (Reason::NotOffered, known.not_offered_until),
            ]
            .map(|(reason, until)| Absence {
                operation,
                reason,
                until,
            })
        });
        both.filter(move |absence| now < absence.until)
    }

    /// The model is gone for that operation until then.
    pub(super) fn gone_until(&mut self, operation: Operation, until: Time) {
        if let Some(known) = self.known_mut(operation) {
            known.gone_until = until;
        }
    }

    /// All of them are over. Which operations have been served stays known.
    pub(super) fn release(&mut self) {
        for known in &mut self.0 {
            *known = Known {
                served: known.served,
                ..Known::default()
            };
        }
    }

    /// Notes that an operation was served, so the upstream has it. True when that was not known. A model that is gone
    /// stays gone: what was served may have begun before.
    pub(super) fn served(&mut self, operation: Operation) -> bool {
        let Some(known) = self.known_mut(operation) else {
            return false;
        };
        let served = Known {
            served: true,
            not_offered_until: Time::ZERO,
            ..*known
        };
        std::mem::replace(known, served) != served
    }

    /// What a failure tells of its operation; `None` where it is no more than a failure.
    ///
    /// What the upstream says itself of an operation holds for [`MODEL_GONE`], unless the operation has been served
    /// here: then the request is peculiar. Of chat it is not believed before another operation was served: every
    /// upstream is expected to have it, so the cause may be the request, or a proxy in front of the upstream for a
    /// moment. An answer that failed otherwise, in an operation that was never served while another one was, most
    /// likely means the same, and is believed for `doubtful`.
    pub(super) fn note(
        &mut self,
        operation: Operation,
        class: Class,
        counts: bool,
        doubtful: Duration,
        now: Time,
    ) -> Option<Absence> {
        let elsewhere = self.serves_beside(operation);
        let known = self.known_mut(operation)?;
        let (reason, until) = match class {
            Class::ModelGone if counts => (Reason::ModelGone, now + MODEL_GONE),
            Class::NotOffered if !known.served && (elsewhere || operation != Operation::Chat) => {
                (Reason::NotOffered, now + MODEL_GONE)
            }
            Class::Transient | Class::Malformed if !known.served && elsewhere => {
                (Reason::NotOffered, now + doubtful)
            }
            _ => return None,
        };
        let end = match reason {
            Reason::ModelGone => &mut known.gone_until,
            _ => &mut known.not_offered_until,
        };
        *end = until.max(*end);
        Some(Absence {
            operation,
            reason,
            until: *end,
        })
    }

    fn serves_beside(&self, operation: Operation) -> bool {
        let mut places = Operation::ALL.into_iter().zip(&self.0);
        places.any(|(other, known)| other != operation && known.served)
    }

    fn known(&self, operation: Operation) -> Option<&Known> {
        let place = Operation::ALL.iter().position(|one| *one == operation)?;
        self.0.get(place)
    }

    fn known_mut(&mut self, operation: Operation) -> Option<&mut Known> {
        let place = Operation::ALL.iter().position(|one| *one == operation)?;
        self.0.get_mut(place)
    }
}
