//! An answer that passes as it comes: its bytes, its lease and its request, until its end.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};

use super::attempt::PipedResponse;
use super::open_attempt::{OpenAttempt, settle, settlement};
use super::request::Endpoint;
use super::request_run::RequestRun;
use super::request_trace::RequestEnd;
use crate::actors::lease::Lease;
use crate::domain::attempt_record::AttemptRecord;
use crate::domain::error_code::ErrorCode;
use crate::domain::outcome::{Class, Failure};
use crate::domain::time::Time;
use crate::upstream::SendError;
use crate::wire::passing_usage::PassingUsage;

/// An answer broke off. Its caller sees that the connection ends too early.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the answer broke off")]
pub struct AnswerCut;

/// The rest of an answer. Dropping it cancels the upstream's request and settles the lease.
pub struct Pipe(BoxStream<'static, Result<Bytes, AnswerCut>>);

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pipe")
    }
}

impl Stream for Pipe {
    type Item = Result<Bytes, AnswerCut>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().0.poll_next_unpin(cx)
    }
}

struct PipeState {
    run: RequestRun,
    lease: Lease,
    tried: OpenAttempt,
    status: u16,
    usage: Option<PassingUsage>,
    held: std::vec::IntoIter<Bytes>,
    rest: BoxStream<'static, Result<Bytes, SendError>>,
    /// Bytes that are still to go out; `None` where only the end of the answer tells.
    left: Option<u64>,
    idle: Duration,
    /// When the attempt must have ended.
    end: Time,
}

impl Pipe {
    /// Passes an answer on.
    pub(super) fn new(
        piped: PipedResponse,
        mut run: RequestRun,
        lease: Lease,
        tried: OpenAttempt,
        endpoint: &Arc<Endpoint>,
    ) -> Self {
        lease.began();
        // Should the request end before its answer does, that is told as what it is.
        run.state.under_way([&tried]);
        let started = tried.begun().started;
        let end = (started + endpoint.timeouts.total).min(run.context.request.deadline);
        let state = PipeState {
            run,
            lease,
            tried,
            status: piped.status,
            usage: piped.usage,
            held: piped.held.into_iter(),
            rest: piped.rest,
            left: piped.length,
            idle: endpoint.timeouts.idle,
            end,
        };
        if state.left == Some(0) {
            // Nobody asks for a body of no bytes.
            state.complete();
            return Self(stream::empty().boxed());
        }
        let pieces = stream::unfold(Some(state), |state| async move { state?.next().await });
        Self(pieces.boxed())
    }
}

impl PipeState {
    async fn next(mut self) -> Option<(Result<Bytes, AnswerCut>, Option<Self>)> {
        if let Some(piece) = self.held.next() {
            return Some(self.passed(piece));
        }
        let dispatch = Arc::clone(&self.run.context.dispatch);
        let now = dispatch.clock.now();
        let until = (now + self.idle).min(self.end);
        let piece = tokio::select! {
            biased;
            piece = self.rest.next() => piece,
            () = dispatch.clock.sleep_until(until) => {
                let failure = if until == self.end {
                    Failure::new(Class::Cancelled, "the time for the answer is over")
                } else {
                    Failure::new(Class::Timeout, format!("nothing came for {:?}", self.idle))
                };
                return Some((Err(self.cut(&failure, ErrorCode::DeadlineExceeded)), None));
            }
            () = async { dispatch.abort.waiting().await } => {
                let failure = Failure::new(Class::Cancelled, "this process is shutting down");
                return Some((Err(self.cut(&failure, ErrorCode::Draining)), None));
            }
        };
        match piece {
            None => {
                self.complete();
                None
            }
            Some(Ok(piece)) => Some(self.passed(piece)),
            Some(Err(error)) => {
                let failure = Failure::new(Class::Network, error.to_string());
                let code = ErrorCode::InvalidUpstreamResponse;
                Some((Err(self.cut(&failure, code)), None))
            }
        }
    }

    /// A piece goes out. With the last of the announced bytes the answer is complete: the connection to the caller does not
    /// ask for more then, and drops what is left.
    fn passed(mut self, piece: Bytes) -> (Result<Bytes, AnswerCut>, Option<Self>) {
        self.look(&piece);
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.left = self.left.map(|left| left.saturating_sub(length));
        if self.left == Some(0) {
            self.complete();
            return (Ok(piece), None);
        }
        (Ok(piece), Some(self))
    }

    /// Counts the tokens that a piece tells of.
    fn look(&mut self, piece: &Bytes) {
        if let Some(usage) = &mut self.usage {
            usage.push(piece);
            self.run.state.trace.usage = usage.found();
        }
    }

    /// All of it was there.
    fn complete(mut self) {
        self.run.state.under_way([]);
        let usage = self.run.state.trace.usage;
        self.lease
            .answered(usage.and_then(|usage| usage.completion_tokens));
        settle(
            &self.lease,
            Class::Success,
            usage.and_then(|usage| usage.total()),
        );
        let now = self.run.context.now();
        let record = self.tried.record(Class::Success, Some(self.status), now);
        self.run
            .state
            .attempts
            .ended(AttemptRecord { usage, ..record });
        self.run.state.trace.ending = Some(RequestEnd::Answered(self.status));
    }

    /// It broke off.
    fn cut(mut self, failure: &Failure, code: ErrorCode) -> AnswerCut {
        self.run.state.under_way([]);
        let now = self.run.context.now();
        let record = AttemptRecord {
            status: Some(self.status),
            usage: self.run.state.trace.usage,
            ..self.tried.failed(failure, now)
        };
        let attempts = &mut self.run.state.attempts;
        let counts = attempts.failed_finally(self.lease.index, record, failure);
        self.lease.settle(settlement(failure, counts));
        self.run.state.trace.ending = Some(RequestEnd::Cut(code));
        AnswerCut
    }
}
