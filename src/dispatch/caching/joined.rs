//! A stream that several requests read: each from its beginning, by its own deadline.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;

use super::flight::{FlightEnd, FlightNews, FlightReader, StarterFate};
use super::told::ToldStream;
use crate::dispatch::request_run::RequestRun;
use crate::dispatch::request_trace::RequestEnd;
use crate::dispatch::stream_abort::StreamAbort;
use crate::domain::dialect::Operation;
use crate::domain::error_code::ErrorCode;
use crate::domain::time::Time;
use crate::runtime::clock::Clock;
use crate::wire::dialects;
use crate::wire::progress::Progress;

/// Who reads.
pub(super) struct StreamReader {
    pub(super) reader: FlightReader,
    pub(super) who: Reading,
    pub(super) id: std::sync::Arc<str>,
    pub(super) operation: Operation,
    pub(super) clock: Clock,
    pub(super) deadline: Time,
    /// How long it waits for each next byte, if it says so.
    pub(super) silence: Option<Duration>,
}

/// Whose request it is that reads.
pub(super) enum Reading {
    /// That of another request.
    Joined(Box<RequestRun>),
    /// That of the call itself, which is noted where the call is made.
    Starter(StarterGuard),
}

/// Notes that the call's own caller is gone, unless it has all there is.
pub(super) struct StarterGuard {
    pub(super) fate: StarterFate,
    pub(super) done: bool,
}

impl Drop for StarterGuard {
    fn drop(&mut self) {
        if !self.done {
            self.fate.left();
        }
    }
}

impl StreamReader {
    /// What it gets.
    pub(super) fn told(self) -> ToldStream {
        ToldStream::new(stream::unfold(Some(self), |reader| async {
            let mut reader = reader?;
            let (bytes, goes_on) = reader.step().await?;
            Some((bytes, goes_on.then_some(reader)))
        }))
    }

    /// The next bytes, and whether there may be more.
    async fn step(&mut self) -> Option<(Bytes, bool)> {
        let now = self.clock.now();
        let silence = self.silence.map_or(Time::NEVER, |span| now + span);
        let until = self.clock.instant(silence.min(self.deadline));
        let news = tokio::time::timeout_at(until, self.reader.next()).await;
        let abort = match news {
            Ok(FlightNews::More(bytes)) => {
                if let Reading::Joined(run) = &mut self.who {
                    let now = run.context.now();
                    run.state.trace.first_token.get_or_insert(now);
                }
                return Some((bytes, true));
            }
            Ok(FlightNews::End(FlightEnd::Cut(code))) => {
                self.ended(RequestEnd::Cut(code));
                return None;
            }
            Ok(FlightNews::End(FlightEnd::Whole(saved))) => {
                if let Reading::Joined(run) = &mut self.who {
                    run.state.trace.saved = Some(saved);
                }
                self.ended(RequestEnd::Answered(200));
                return None;
            }
            Ok(FlightNews::End(FlightEnd::Answered(_))) => {
                self.ended(RequestEnd::Answered(200));
                return None;
            }
            Ok(_) => StreamAbort::lost(),
            Err(_) if self.clock.now() >= self.deadline => StreamAbort::late(),
            Err(_) => StreamAbort::hasty(),
        };
        self.ended(RequestEnd::Cut(abort.code));
        let caller = dialects::caller(self.operation);
        let event = abort.event(self.operation, caller, &self.id, &Progress::default());
        Some((event, false))
    }

    fn ended(&mut self, ending: RequestEnd) {
        match &mut self.who {
            Reading::Joined(run) => run.state.trace.ending = Some(ending),
            Reading::Starter(guard) => {
                guard.done = true;
                if ending == RequestEnd::Cut(ErrorCode::DeadlineExceeded) {
                    guard.fate.late();
                }
            }
        }
    }
}
