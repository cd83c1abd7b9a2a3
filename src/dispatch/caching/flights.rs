//! The calls that others may join. One task owns the table of them; joining and giving up go through it, so that nobody joins
//! a call that is being given up.

use std::collections::HashMap;

use tokio::sync::{mpsc, oneshot, watch};

use super::flight::{Elections, FlightEnd, FlightReader, FlightState, FlightWriter};
use crate::runtime::buffers::Buffers;
use crate::runtime::task;
use crate::store::responses::StoreKey;

/// Which requests are one call: those of one key whose answers have one form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct FlightKey {
    pub(super) key: StoreKey,
    /// Of a stream, the hash of what is asked of it beside its content; `None`: a whole answer.
    pub(super) form: Option<[u8; 32]>,
}

/// The way to the task. It ends with the last of its clones.
#[derive(Clone, Debug)]
pub struct Flights(mpsc::UnboundedSender<FlightAsk>);

#[derive(Debug)]
enum FlightAsk {
    /// To join a call, or to make it where there is none; after one that failed, with its elections.
    Join(
        FlightKey,
        Option<Elections>,
        Buffers,
        oneshot::Sender<FlightSeat>,
    ),
    /// Nobody can join that call any more.
    Close(FlightKey, u64),
    /// How many there are.
    Count(oneshot::Sender<FlightCounts>),
    /// Whether nobody reads that call; then nobody can join it any more.
    GiveUp(FlightKey, u64, oneshot::Sender<bool>),
}

/// The calls that can be joined at a moment.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct FlightCounts {
    /// Calls that are not over.
    pub calls: usize,
    /// Requests that wait for them or read them, those that made them among them.
    pub requests: usize,
}

/// A request's part in a call.
#[derive(Debug)]
pub(super) enum FlightSeat {
    /// It makes the call, and reads it like all others.
    Makes(MadeFlight, FlightReader),
    /// It reads.
    Reads(FlightReader),
    /// There is none, and as many as may follow a failed one have followed it.
    Over,
}

/// A call for whoever makes it. Dropped without an end, it is lost, and its readers are told so.
#[derive(Debug)]
pub(super) struct MadeFlight {
    writer: FlightWriter,
    asks: mpsc::UnboundedSender<FlightAsk>,
    key: FlightKey,
    number: u64,
}

impl Flights {
    /// Starts the task.
    pub fn start() -> Self {
        let (asks, asked) = mpsc::unbounded_channel();
        let keeper = FlightKeeper {
            open: HashMap::new(),
            number: 0,
            asks: asks.downgrade(),
        };
        task::detach(keeper.run(asked));
        Self(asks)
    }

    /// A seat in a call. `None`: nobody could be asked.
    pub(super) async fn join(
        &self,
        key: FlightKey,
        failed: Option<Elections>,
        buffers: &Buffers,
    ) -> Option<FlightSeat> {
        let (reply, seat) = oneshot::channel();
        let ask = FlightAsk::Join(key, failed, buffers.clone(), reply);
        self.0.send(ask).ok()?;
        seat.await.ok()
    }

    /// What is under way.
    pub async fn counts(&self) -> FlightCounts {
        let (reply, counts) = oneshot::channel();
        // Without the task there are none.
        drop(self.0.send(FlightAsk::Count(reply)));
        counts.await.unwrap_or_default()
    }
}

struct FlightKeeper {
    open: HashMap<FlightKey, OpenFlight>,
    /// Of the last call.
    number: u64,
    asks: mpsc::WeakUnboundedSender<FlightAsk>,
}

struct OpenFlight {
    number: u64,
    state: watch::Sender<FlightState>,
    elections: Elections,
}

impl FlightKeeper {
    async fn run(mut self, mut asked: mpsc::UnboundedReceiver<FlightAsk>) {
        while let Some(ask) = asked.recv().await {
            match ask {
                FlightAsk::Join(key, failed, buffers, reply) => {
                    if let Some(seat) = self.seat(key, failed, buffers) {
                        // Whoever asked may be gone: then the seat is dropped.
                        drop(reply.send(seat));
                    }
                }
                FlightAsk::Close(key, number) => self.close(key, number),
                FlightAsk::Count(reply) => drop(reply.send(self.counts())),
                FlightAsk::GiveUp(key, number, reply) => {
                    let open = self.open.get(&key).filter(|open| open.number == number);
                    let deserted = open.is_none_or(|open| open.state.receiver_count() == 0);
                    if deserted {
                        self.close(key, number);
                    }
                    _ = reply.send(deserted);
                }
            }
        }
    }

    fn counts(&self) -> FlightCounts {
        let open = self.open.values();
        FlightCounts {
            calls: self.open.len(),
            requests: open.map(|open| open.state.receiver_count()).sum(),
        }
    }

    fn seat(
        &mut self,
        key: FlightKey,
        failed: Option<Elections>,
        buffers: Buffers,
    ) -> Option<FlightSeat> {
        if let Some(open) = self.open.get(&key) {
            let reader = FlightReader::new(open.state.subscribe(), open.elections.clone());
            return Some(FlightSeat::Reads(reader));
        }
        // Counted here and not by those who ask: one that hears late of a failure may come after the last call that was allowed.
        let elections = match failed {
            Some(elections) if elections.is_over() => return Some(FlightSeat::Over),
            Some(elections) => elections.next(),
            None => Elections::default(),
        };
        let asks = self.asks.upgrade()?;
        self.number += 1;
        let writer = FlightWriter::new(buffers);
        let state = writer.sender();
        let reader = FlightReader::new(state.subscribe(), elections.clone());
        let open = OpenFlight {
            number: self.number,
            state,
            elections,
        };
        self.open.insert(key, open);
        let made = MadeFlight {
            writer,
            asks,
            key,
            number: self.number,
        };
        Some(FlightSeat::Makes(made, reader))
    }

    fn close(&mut self, key: FlightKey, number: u64) {
        if self
            .open
            .get(&key)
            .is_some_and(|open| open.number == number)
        {
            self.open.remove(&key);
        }
    }
}

impl MadeFlight {
    /// Where what comes is written to.
    pub(super) fn writer(&self) -> &FlightWriter {
        &self.writer
    }

    /// Nobody can join it from now on.
    pub(super) fn close(&self) {
        drop(self.asks.send(FlightAsk::Close(self.key, self.number)));
    }

    /// It has ended like this. Whoever hears of that and asks again finds no call.
    pub(super) fn end(&self, end: FlightEnd) {
        self.close();
        self.writer.end(end);
    }

    /// Completes when nobody reads it, and nobody can join it.
    pub(super) async fn given_up(&self) {
        loop {
            self.writer.deserted().await;
            let (reply, deserted) = oneshot::channel();
            let ask = FlightAsk::GiveUp(self.key, self.number, reply);
            if self.asks.send(ask).is_err() || deserted.await.unwrap_or(true) {
                return;
            }
        }
    }
}

impl Drop for MadeFlight {
    fn drop(&mut self) {
        self.end(FlightEnd::Lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::error_code::ErrorCode;

    const KEY: FlightKey = FlightKey {
        key: StoreKey {
            hash: [7; 32],
            scope: [0; 8],
        },
        form: None,
    };

    fn reads(seat: Option<FlightSeat>) -> FlightReader {
        match seat {
            Some(FlightSeat::Reads(reader)) => reader,
            other => panic!("{other:?} does not read"),
        }
    }

    fn makes(seat: Option<FlightSeat>) -> MadeFlight {
        match seat {
            Some(FlightSeat::Makes(made, _)) => made,
            other => panic!("{other:?} makes no call"),
        }
    }

    #[tokio::test]
    async fn three_calls_at_most_follow_one_another_however_late_a_reader_hears_of_it() {
        let flights = Flights::start();
        let buffers = Buffers::new(1 << 20);
        let first = makes(flights.join(KEY, None, &buffers).await);
        let mut readers = Vec::new();
        for _ in 0..3 {
            readers.push(reads(flights.join(KEY, None, &buffers).await));
        }
        let failed = || FlightEnd::Cut(ErrorCode::UpstreamsExhausted);
        first.end(failed());
        // Each of them has read the first call alone, and asks when the next one is over, too.
        let again = |at: usize| flights.join(KEY, Some(readers[at].elections.clone()), &buffers);
        for at in 0..2 {
            makes(again(at).await).end(failed());
        }
        assert!(matches!(again(2).await, Some(FlightSeat::Over)));
        // A request that has not waited makes a call, which all may join.
        let fresh = makes(flights.join(KEY, None, &buffers).await);
        assert!(matches!(again(2).await, Some(FlightSeat::Reads(_))));
        fresh.end(failed());
    }
}
