//! The flow of a relayed stream: what is there together goes out together, and the timers are looked at however fast an
//! upstream talks.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;

use super::Relay;
use crate::dispatch::request_run::RequestRun;
use crate::dispatch::request_trace::RequestEnd;
use crate::dispatch::send_buffer::OverBound;
use crate::dispatch::stream_abort::StreamAbort;
use crate::domain::outcome::Class;
use crate::wire::sse::RawEvent;

impl Relay {
    /// What there is to go out.
    fn take(&mut self) -> Option<Bytes> {
        let bytes = self.send_buffer.pop()?;
        self.taken = Some(self.clock.now());
        Some(bytes)
    }

    /// Notes what the key of the stream holds from now on.
    pub(super) fn learn(&self, event: &RawEvent) {
        if let (Some(live), Some(run)) = (&self.stream, &self.run) {
            run.learn_event(live.key(), &event.raw, self.terms.seals);
        }
    }

    /// An answer that is held back as a whole is no larger than any other one, and has its part of all that is held.
    fn bound(&mut self) {
        let over = self.send_buffer.over().filter(|_| self.stream.is_some());
        match over {
            Some(OverBound::TooLarge) => self.cut(StreamAbort::too_large()),
            Some(OverBound::NoRoom) => self.cut(StreamAbort::broken(Class::Cancelled)),
            None => {}
        }
    }

    /// How it ended, once all of the answer was taken.
    pub(in crate::dispatch) fn ending(&self) -> Option<RequestEnd> {
        self.run.as_ref()?.state.trace.ending
    }

    /// The request, once all of the answer was taken.
    pub(in crate::dispatch) fn into_run(mut self: Box<Self>) -> Option<RequestRun> {
        self.run.take()
    }

    /// Nothing more is there for now: what has gathered goes out.
    fn taken_or_pending(&mut self) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.take()
            .map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(bytes))))
    }
}

impl Stream for Relay {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.resume();
        loop {
            let is_over = this.stream.is_none() && this.searching.is_none();
            // A caller that comes back after its deadline takes what is there, and no more: while an upstream always has
            // something ready, the timer is not looked at.
            let is_late = this.waits >= this.terms.deadline;
            if is_late && this.stream.is_some() && this.send_buffer.is_full() {
                this.timed_out();
                continue;
            }
            if (is_over || this.send_buffer.is_full())
                && let Some(bytes) = this.take()
            {
                return Poll::Ready(Some(Ok(bytes)));
            }
            if !is_over && Pin::new(&mut this.halted).poll(cx).is_ready() {
                this.halt();
                continue;
            }
            // What has gathered goes out before the search goes on: a caller that reads slowly would come back late, and
            // until then the lease of the next attempt would be held for nothing.
            if this.searching.is_some()
                && let Some(bytes) = this.take()
            {
                return Poll::Ready(Some(Ok(bytes)));
            }
            if let Some(searching) = &mut this.searching {
                match searching.as_mut().poll(cx) {
                    Poll::Pending => return this.taken_or_pending(),
                    Poll::Ready(searched) => {
                        this.searching = None;
                        this.searched(searched);
                        continue;
                    }
                }
            }
            let Some(live) = &mut this.stream else {
                return Poll::Ready(None);
            };
            let event = if this.send_buffer.holds_enough() {
                Poll::Pending
            } else {
                live.events.poll_next(cx)
            };
            match event {
                Poll::Ready(Some(Ok(event))) => this.take_in(event),
                Poll::Ready(Some(Err(fault))) => this.broken(&fault),
                Poll::Ready(None) => this.ended(),
                Poll::Pending => {
                    // Reading without a pause uses up tokio's budget of the task; its timer must be polled all the same.
                    let timer = tokio::task::unconstrained(this.timer.as_mut());
                    if std::pin::pin!(timer).poll(cx).is_pending() {
                        return this.taken_or_pending();
                    }
                    this.timed_out();
                }
            }
            this.bound();
            if this.send_buffer.due().is_some() {
                this.send_buffer.release(this.clock.now());
            }
        }
    }
}
