//! A call that several requests wait for: what has come of it, and those who read that. It is a task of its own that makes
//! the call; whoever leaves changes nothing for the others.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use tokio::sync::{SetOnce, watch};

use crate::dispatch::failed::Failed;
use crate::domain::attempt_record::SavedByCache;
use crate::domain::error_code::ErrorCode;
use crate::domain::time::Time;
use crate::runtime::buffers::{Buffered, Buffers};
use crate::store::responses::KeptAnswer;

/// So many bytes of a stream are there for those who join it late. With more it goes on without them.
const JOINABLE: usize = 4 * 1024 * 1024;
/// A reader may be so many bytes behind a stream that nobody can join any more.
const BEHIND: usize = 16 * 1024 * 1024;

/// What has come of a call.
#[derive(Debug, Default)]
pub(super) struct FlightState {
    /// A stream has begun: what is told of it, without a body.
    begun: Option<Arc<KeptAnswer>>,
    /// What of it is there.
    pieces: VecDeque<Bytes>,
    /// How many pieces were let go before these.
    gone: usize,
    held: usize,
    counted: Option<Buffered>,
    end: Option<FlightEnd>,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub(super) enum FlightEnd {
    /// With a whole answer for everybody.
    Answered(Arc<KeptAnswer>),
    /// With the last event of a stream, which used this much.
    Whole(SavedByCache),
    /// A stream broke off: its last piece says so.
    Cut(ErrorCode),
    /// Without an answer. `shared`: it would be the same for everybody.
    Failed {
        /// What its own request was told.
        failed: Arc<Failed>,
        /// Whether all others are told that too.
        shared: bool,
    },
    /// Its answer is its own request's alone, which went to another target: the others make calls of their own.
    Apart,
    /// It was given up.
    Lost,
}

/// How often another of those who wait makes the call once more.
const ELECTIONS: u8 = 2;

/// How many calls have followed a failed one. All of them share it; only the task of the table of calls changes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Elections(Arc<AtomicU8>);

impl Elections {
    /// Whether no other may follow.
    pub(super) fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= ELECTIONS
    }

    /// One more follows.
    pub(super) fn next(self) -> Self {
        self.0.fetch_add(1, Ordering::Relaxed);
        self
    }
}

/// What became of the request that made the call while the call goes on.
#[derive(Clone, Debug, Default)]
pub(in crate::dispatch) struct StarterFate(
    Arc<AtomicU8>,
    Arc<SetOnce<()>>,
    Arc<OnceLock<SavedByCache>>,
);

/// What is different for a call that several may wait for.
pub(in crate::dispatch) struct Flown {
    /// When its own caller wants something of the answer: what is done because time goes is done by that.
    pub(in crate::dispatch) begins_by: Time,
    pub(in crate::dispatch) fate: StarterFate,
}

impl StarterFate {
    const LEFT: u8 = 1;
    const LATE: u8 = 2;

    /// Its caller left.
    pub(super) fn left(&self) {
        // What was noted first holds.
        _ = self
            .0
            .compare_exchange(0, Self::LEFT, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Its deadline has passed.
    pub(super) fn late(&self) {
        self.0.store(Self::LATE, Ordering::Relaxed);
    }

    /// It goes to another target than the one that it asked for, because of its own client's budget.
    pub(in crate::dispatch) fn steered(&self) {
        // Once is enough.
        _ = self.1.set(());
    }

    /// Whether its answer is nobody else's.
    pub(super) fn is_steered(&self) -> bool {
        self.1.initialized()
    }

    /// Completes when its answer is nobody else's.
    pub(super) async fn goes_apart(&self) {
        self.1.wait().await;
    }

    /// What its whole answer used.
    pub(in crate::dispatch) fn used(&self, used: SavedByCache) {
        // One call has one answer.
        _ = self.2.set(used);
    }

    /// What its whole answer used; nothing where there is none, or where that is not known.
    pub(super) fn spent(&self) -> SavedByCache {
        self.2.get().copied().unwrap_or_default()
    }

    /// Whether its caller was told nothing any more.
    pub(in crate::dispatch) fn is_left(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::LEFT
    }

    /// Whether its caller was told that it took too long.
    pub(in crate::dispatch) fn is_late(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::LATE
    }
}

/// The writing end, which the task of the call has.
#[derive(Debug)]
pub(super) struct FlightWriter {
    state: watch::Sender<FlightState>,
    buffers: Buffers,
}

/// A reader's way to a call.
#[derive(Debug)]
pub(super) struct FlightReader {
    state: watch::Receiver<FlightState>,
    /// Pieces that it has.
    at: usize,
    /// How many calls have followed a failed one up to this one.
    pub(super) elections: Elections,
}

/// What a reader finds next.
#[derive(Debug)]
pub(super) enum FlightNews {
    /// A stream has begun.
    Begun(Arc<KeptAnswer>),
    /// More of it.
    More(Bytes),
    /// The end.
    End(FlightEnd),
    /// It fell behind too far.
    Behind,
}

impl FlightWriter {
    /// A call of which nothing has come.
    pub(super) fn new(buffers: Buffers) -> Self {
        let (state, _) = watch::channel(FlightState::default());
        Self { state, buffers }
    }

    /// What others find the call by.
    pub(super) fn sender(&self) -> watch::Sender<FlightState> {
        self.state.clone()
    }

    /// A stream has begun.
    pub(super) fn begin(&self, told: KeptAnswer) {
        let counted = self.buffers.count(0);
        self.state.send_modify(|state| {
            state.begun = Some(Arc::new(told));
            state.counted = Some(counted);
        });
    }

    /// More of it. Returns whether others may still join it.
    pub(super) fn push(&self, piece: Bytes, joinable: bool) -> bool {
        let mut goes_on = joinable;
        self.state.send_modify(|state| {
            state.held += piece.len();
            state.pieces.push_back(piece);
            let has_room = state
                .counted
                .as_mut()
                .is_none_or(|counted| counted.reach(state.held));
            goes_on &= has_room && state.held <= JOINABLE;
            while !goes_on && state.held > BEHIND {
                let Some(first) = state.pieces.pop_front() else {
                    break;
                };
                state.held -= first.len();
                state.gone += 1;
            }
        });
        goes_on
    }

    /// The call has ended.
    pub(super) fn end(&self, end: FlightEnd) {
        self.state.send_modify(|state| {
            state.end.get_or_insert(end);
        });
    }

    /// Completes when nobody reads.
    pub(super) async fn deserted(&self) {
        self.state.closed().await;
    }
}

impl FlightReader {
    pub(super) fn new(state: watch::Receiver<FlightState>, elections: Elections) -> Self {
        Self {
            state,
            at: 0,
            elections,
        }
    }

    /// What comes first: a stream that has begun, or the end.
    pub(super) async fn first(&mut self) -> FlightNews {
        loop {
            {
                let state = self.state.borrow_and_update();
                match (&state.begun, &state.end) {
                    (Some(_), _) if state.gone > 0 => return FlightNews::Behind,
                    (Some(begun), _) => return FlightNews::Begun(Arc::clone(begun)),
                    (None, Some(end)) => return FlightNews::End(end.clone()),
                    (None, None) => {}
                }
            }
            if self.state.changed().await.is_err() {
                return FlightNews::End(FlightEnd::Lost);
            }
        }
    }

    /// More of a stream, or its end.
    pub(super) async fn next(&mut self) -> FlightNews {
        loop {
            {
                let state = self.state.borrow_and_update();
                let Some(place) = self.at.checked_sub(state.gone) else {
                    return FlightNews::Behind;
                };
                let mut new = state.pieces.iter().skip(place);
                match (new.len(), new.next()) {
                    (1, Some(piece)) => {
                        self.at += 1;
                        return FlightNews::More(piece.clone());
                    }
                    (count, Some(first)) => {
                        self.at += count;
                        let mut all = BytesMut::from(&first[..]);
                        new.for_each(|piece| all.extend_from_slice(piece));
                        return FlightNews::More(all.freeze());
                    }
                    (_, None) => {}
                }
                if let Some(end) = &state.end {
                    return FlightNews::End(end.clone());
                }
            }
            if self.state.changed().await.is_err() {
                return FlightNews::End(FlightEnd::Lost);
            }
        }
    }
}
