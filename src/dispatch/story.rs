//! What is told of a request when it ends: one line in the log, however it ended. A story that is dropped
//! before its end tells that the caller left.

use std::sync::Arc;

use super::charge::Charge;
use crate::access::Client;
use crate::domain::attempts::Refused;
use crate::domain::chain::Chain;
use crate::domain::dialect::Operation;
use crate::domain::error_code::ErrorCode;
use crate::domain::outcome::Class;
use crate::domain::record::Record;
use crate::domain::time::Time;
use crate::domain::trace::TraceContext;
use crate::domain::usage::Usage;
use crate::runtime::clock::Clock;
use crate::runtime::halt::Halt;
use crate::telemetry::recorder::Recorder;
use crate::telemetry::told::Told;
use crate::wire::content::{Content, Spoken};

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// An upstream's answer went back whole (its status).
    Answered(u16),
    /// An error of ours went back.
    Failed(ErrorCode),
    /// A stream had begun and was cut: it ended with an error event.
    Cut(ErrorCode),
}

/// One request, from arrival to end.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) id: Arc<str>,
    pub(crate) client: Option<Arc<Client>>,
    /// What the client was charged.
    pub(super) charge: Option<Charge>,
    pub(crate) operation: Operation,
    pub(crate) stream: bool,
    pub(crate) target: String,
    pub(crate) chain: Option<Arc<Chain>>,
    pub(crate) started: Time,
    pub(crate) deadline: Time,
    pub(crate) complete: Time,
    pub(crate) clock: Clock,
    pub(crate) records: Vec<Record>,
    /// The attempts under way, as they are told of if the request ends during them.
    pub(crate) current: Vec<Record>,
    /// Nobody could take (another) attempt: when, and why.
    pub(super) refused: Option<(Time, Refused)>,
    pub(crate) first_token: Option<Time>,
    pub(crate) usage: Option<Usage>,
    pub(crate) trace: Option<Arc<TraceContext>>,
    /// What is said in it, where that is told.
    pub(super) content: Option<Box<Content>>,
    pub(crate) ending: Option<Ending>,
    pub(crate) halt: Halt,
    pub(crate) recorder: Arc<Recorder>,
}

impl Story {
    /// How a request ended that was dropped where it was, because nobody takes its stream in, after its deadline: its
    /// caller did not leave, but was not there to be told.
    fn overdue(&self, now: Time) -> Option<Ending> {
        let code = ErrorCode::DeadlineExceeded;
        let late = self.stream && now >= self.deadline && !self.halt.is_on();
        late.then_some(match self.first_token {
            Some(_) => Ending::Cut(code),
            // Nothing but comments went out.
            None => Ending::Failed(code),
        })
    }

    /// So much of a stream was sent.
    pub(super) fn told(&mut self, spoken: Option<Spoken>) {
        if let Some(content) = &mut self.content {
            content.spoken = spoken;
        }
    }

    /// What the client pays in the end; `None`: what was estimated.
    fn used(&self, charge: &Charge) -> Option<u64> {
        let told = self.usage.and_then(|usage| usage.total());
        match self.ending {
            Some(Ending::Answered(_)) if told.is_some() => told,
            Some(Ending::Failed(_)) => Some(told.unwrap_or(0)),
            Some(Ending::Answered(status)) if status >= 400 => Some(0),
            Some(Ending::Answered(_)) => Some(charge.used(None)),
            _ if self.first_token.is_some() => Some(charge.used(self.usage)),
            _ if told.is_some() => told,
            // The caller left while nobody worked for it.
            None if self
                .records
                .iter()
                .all(|record| record.class != Class::Cancelled) =>
            {
                Some(0)
            }
            _ => None,
        }
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        let now = self.clock.now();
        self.ending = self.ending.or_else(|| self.overdue(now));
        for mut record in self.current.drain(..) {
            record.ended = now;
            self.records.push(record);
        }
        if let Some(charge) = self.charge.take() {
            let used = self.used(&charge);
            charge.bill.settle(used, now);
        }
        let (outcome, status) = match self.ending {
            Some(Ending::Answered(status)) => ("answered", Some(status)),
            Some(Ending::Failed(code)) => (code.as_str(), Some(code.status())),
            Some(Ending::Cut(code)) => (code.as_str(), Some(200)),
            // Dropped where it was, because the process ends.
            None if self.halt.is_on() => {
                let code = ErrorCode::Draining;
                let begun = self.first_token.map(|_| 200);
                (code.as_str(), begun.or(Some(code.status())))
            }
            None => ("caller_left", None),
        };
        let told = Told {
            id: Arc::clone(&self.id),
            client: self.client.as_ref().map(|client| Arc::clone(client.name())),
            operation: self.operation,
            stream: self.stream,
            target: std::mem::take(&mut self.target),
            chain: self.chain.take(),
            outcome,
            status,
            attempts: std::mem::take(&mut self.records),
            refused: self.refused.take(),
            started: self.started,
            complete: self.complete,
            ended: now,
            first_token: self.first_token,
            usage: self.usage,
            trace: self.trace.take(),
        };
        self.recorder.tell(told, self.content.take());
    }
}
