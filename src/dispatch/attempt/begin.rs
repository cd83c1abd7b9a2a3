//! The beginning of a streamed answer: everything up to its first content is held back, so that another upstream can be
//! asked while the caller has seen nothing.

use http::HeaderMap;

use super::{Attempt, AttemptResult, Early, StreamStarted, class_of};
use crate::dispatch::drain::drain;
use crate::dispatch::events::{Events, StreamFault, step, unspoken};
use crate::dispatch::held::{self, HeldEvents};
use crate::domain::dropped::Dropped;
use crate::domain::finish::Finish;
use crate::domain::outcome::{Class, Failure};
use crate::domain::usage::Usage;
use crate::upstream::UpstreamResponse;
use crate::wire::exchange::{OutgoingEvents, Translation};
use crate::wire::inspection::StreamEvent;
use crate::wire::sse::RawEvent;

/// The failure of a stream with events of another operation or dialect.
const UNLIKE: &str = "the stream's first events are not what was asked for";

impl Attempt<'_> {
    /// The translation of its events into the caller's, where they do not stay as they come.
    fn translation(&self, headers: &HeaderMap) -> Option<Translation> {
        let translated = (!self.raw).then_some(self.exchange)?;
        translated.translation(&self.request.doc, headers, self.stamp())
    }

    /// What was left out so far.
    fn dropped_with(&self, translation: Option<&mut Translation>) -> Dropped {
        let mut dropped = self.dropped.clone();
        if let Some(translation) = translation {
            translation.note_losses(&mut dropped);
        }
        dropped
    }

    /// Reads a stream up to its first content.
    pub(super) async fn begin(&self, reply: UpstreamResponse) -> Result<AttemptResult, Early> {
        let UpstreamResponse {
            status,
            headers,
            body,
        } = reply;
        let failed =
            |why: &str| Early::from(Failure::new(Class::Malformed, why).with_status(status));
        let most = held::before_content(self.request.doc.body().len());
        let (lines, max) = (self.exchange.streams_lines(), self.endpoint.max_event);
        let mut events = Events::new(&headers, body, lines, max, most, self.times.buffers);
        let (mut held, mut usage) = (HeldEvents::default(), None);
        let mut buffered = self.times.buffers.count(0);
        let mut answered = self.times.tried.answered();
        let (wanted, mut finish) = (self.request.wanted(), Finish::default());
        let mut translation = self.translation(&headers);
        let (mut done, mut quiet) = (false, false);
        loop {
            let Some(event) = next_event(&mut events, &finish, status).await? else {
                break;
            };
            // It has no content: only one is kept, as a sign of life.
            if event.is_quiet() && std::mem::replace(&mut quiet, true) {
                continue;
            }
            let said: StreamEvent = self.exchange.event(&event);
            if let Some(error) = said.error {
                drain(events);
                return Ok(self.refused_inside(&error, &headers, status));
            }
            if said.malformed {
                return Err(failed(UNLIKE));
            }
            usage = Usage::latest(usage, said.usage);
            if let Some(answered) = &mut answered {
                self.exchange.note(answered, &event);
            }
            finish.note(step(&said), wanted);
            if said.done && !finish.has_finish_reason() && !said.content {
                drain(events);
                return Err(failed("the stream was done before its first content"));
            }
            // Everything before the content is held, within the limits of one stream and of all together.
            if !buffered.reach(held.bytes()) {
                return Err(Early::OutOfRoom);
            }
            if !hold(&mut held, &mut translation, unspoken(event, &said)) {
                return Err(failed(&format!(
                    "{} events came without content",
                    held.len()
                )));
            }
            done = said.done;
            if said.content || done {
                break;
            }
        }
        events.begun();
        let dropped = self.dropped_with(translation.as_mut());
        Ok(AttemptResult::Begun(Box::new(StreamStarted {
            exchange: self.exchange,
            translation,
            headers,
            held,
            events,
            usage,
            answered,
            finish,
            done,
            dropped,
        })))
    }
}

/// Holds an event back, in the caller's dialect. False where no more are held.
fn hold(held: &mut HeldEvents, translation: &mut Option<Translation>, event: RawEvent) -> bool {
    let mut events = match translation {
        None => OutgoingEvents::One(Some(event)),
        Some(translation) => translation.event(&event),
    };
    events.all(|event| held.push(event.raw))
}

/// The next event before the first content; `None` where the stream ended after a finish reason.
async fn next_event(
    events: &mut Events,
    finish: &Finish,
    status: u16,
) -> Result<Option<RawEvent>, Early> {
    let (class, detail) = match events.next().await {
        Some(Ok(event)) => return Ok(Some(event)),
        None if finish.has_finish_reason() => return Ok(None),
        None => {
            let detail = "the stream ended before its first content".to_owned();
            (Class::Malformed, detail)
        }
        Some(Err(StreamFault::NoRoom)) => return Err(Early::OutOfRoom),
        Some(Err(fault)) => (class_of(&fault), fault.detail()),
    };
    Err(Failure::new(class, detail).with_status(status).into())
}
