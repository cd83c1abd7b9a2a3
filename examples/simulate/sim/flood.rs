//! Upstreams that send for ever: what they send, how fast, and how long anybody may read it.
//!
//! On a paused clock no time passes while there is something to read, so a dispatcher that reads without giving way
//! would never be late. A flood therefore takes time: each of its pieces moves the clock on by what a piece costs, but
//! the reader is never made to wait. Most floods trickle until shortly before something is due, and rush from then on:
//! the rush shows whether timers are heard, and the trickle keeps a run short.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use pointsman::domain::outcome::Class;
use pointsman::domain::time::Time;

use super::asked::Asked;
use super::calls::Attempt;
use super::dice::Dice;
use super::fault::Fault;
use super::script::{Act, Mark, NOW, Scene, Writer};
use super::state::State;

/// How late an end may be: a timer has whole milliseconds, and may have to wait for a turn of the flood that rushes.
pub const TICK: Duration = Duration::from_millis(5);
/// Most of an endless answer, in bytes: what is given to the dispatcher as `server.max_answer` and `max_event`.
pub const MAX_ANSWER: usize = 2 * 1024 * 1024;
pub const MAX_EVENT: usize = 1024 * 1024;
/// A large piece, in bytes.
const LARGE: usize = 64 * 1024;
/// More large pieces than may come before the first content (4 MiB and three times the request).
const TOO_MANY: u32 = 65;
/// What is left of an answer that is over may be read so long, and so many bytes of it, each piece being at least 64
/// (`docs/architecture.md`: for the sake of its connection).
const REST: Duration = Duration::from_secs(1);
const REST_BYTES: usize = 64 * 1024;
const LEAST: usize = 64;
/// What a piece costs, and each byte of it: slower than the dispatcher is, so that few pieces fill a tick.
const PIECE_COST: Duration = Duration::from_nanos(500);
/// A flood rushes from so long before something is due.
const LEAD: Duration = Duration::from_micros(250);
/// Only one flood rushes at a time, so that how late anything may be does not depend on their number. Another one looks
/// again after so long.
const APART: Duration = Duration::from_millis(1);
/// After the end of an answer an upstream gets so long for its end mark.
const AFTER_FINISH: Duration = Duration::from_secs(5);

/// What goes on for ever when the steps of a script have been played.
#[derive(Clone, Debug)]
pub struct Flood {
    piece: Bytes,
    /// Until something is due; zero when it rushes from the beginning.
    every: Duration,
    /// Its pieces are events that say that a model is at work.
    life: bool,
    /// With so many pieces the outcome is certain.
    most: Option<u32>,
    sent: u32,
}

impl Flood {
    fn new(piece: impl Into<Bytes>, every: Duration) -> Self {
        Self {
            piece: piece.into(),
            every,
            life: false,
            most: None,
            sent: 0,
        }
    }

    fn at_once(piece: impl Into<Bytes>, most: usize) -> Self {
        Self {
            most: Some(most as u32),
            ..Self::new(piece, Duration::ZERO)
        }
    }

    /// How long it waits before its next piece. `due` is when something ends, as far as that is known.
    fn pause(&self, now: Time, due: Time) -> Duration {
        let rush = Time::from_nanos(due.as_nanos().saturating_sub(LEAD.as_nanos() as u64));
        self.every.min(rush.since(now))
    }

    /// The next piece, after that pause.
    pub async fn next(&mut self, pause: Duration) -> (Act, Mark) {
        if pause.is_zero() {
            let cost = PIECE_COST + Duration::from_nanos(self.piece.len() as u64);
            // The clock moves on, and nobody waits.
            tokio::time::advance(cost).now_or_never();
        } else {
            tokio::time::sleep(pause).await;
        }
        self.sent = self.sent.saturating_add(1);
        let fingerprint = Mark {
            life: self.life,
            verdict: self.most == Some(self.sent),
            ..Mark::default()
        };
        (Act::Chunk(self.piece.clone()), fingerprint)
    }
}

fn empty_event(dice: &mut Dice) -> &'static str {
    dice.pick(&[
        r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":null}]}"#,
        r#"data: {"choices":[{"index":0,"delta":{"content":""}}]}"#,
        r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}"#,
    ])
}

/// A flood of events that hold nothing and promise nothing.
fn quiet(fault: Fault, every: Duration, dice: &mut Dice) -> Flood {
    let piece = match fault {
        Fault::BlankForEver | Fault::BlankStall => dice.pick(&["\n", "\n\n", "\r\n", "\r\n\r\n"]),
        Fault::NothingForEver => "",
        _ => dice.pick(&[
            ": keep-alive\n\n",
            ":\n\n",
            ": x\n",
            "event: ping\n\n",
            "id: 1\nretry: 5\n\n",
        ]),
    };
    Flood::new(piece, every)
}

fn empties(every: Duration, dice: &mut Dice) -> Flood {
    Flood {
        life: true,
        ..Flood::new(format!("{}\n\n", empty_event(dice)), every)
    }
}

/// A large piece of a flood that comes at once, and how many of them are too many.
fn large(fault: Fault) -> Flood {
    let padded = |start: &str, end: &str| {
        let padding = "x".repeat(LARGE - start.len() - end.len());
        format!("{start}{padding}{end}")
    };
    match fault {
        Fault::BlankFlood => Flood::at_once("\n".repeat(LARGE), TOO_MANY as usize),
        Fault::CommentFlood => Flood::at_once(padded(": ", "\n\n"), TOO_MANY as usize),
        Fault::EmptyFlood => {
            let start = r#"data: {"choices":[{"index":0,"delta":{}}],"obfuscation":""#;
            Flood::at_once(padded(start, "\"}\n\n"), TOO_MANY as usize)
        }
        // In place of a line that ends.
        _ => Flood::at_once("x".repeat(LARGE), MAX_EVENT / LARGE + 1),
    }
}

/// The flood that comes in place of a stream's first content, if this fault is one.
pub fn before_content(scene: &Scene, dice: &mut Dice) -> Option<(Flood, Class)> {
    let every = dice.millis(50, 997);
    let flood = match scene.fault {
        Fault::CommentsForEver | Fault::BlankForEver | Fault::NothingForEver => {
            quiet(scene.fault, every, dice)
        }
        Fault::EmptyForEver => empties(every, dice),
        Fault::BytesForEver => Flood::new("x", Duration::from_secs(1)),
        Fault::BlankFlood | Fault::CommentFlood | Fault::EmptyFlood | Fault::LineFlood => {
            return Some((large(scene.fault), Class::Malformed));
        }
        _ => return None,
    };
    Some((flood, Class::Timeout))
}

/// The flood that comes in place of the rest of a stream.
pub fn in_the_middle(scene: &Scene, dice: &mut Dice) -> Option<(Flood, Class)> {
    // As often as what is at work must be heard.
    let every = scene.idle / 3;
    let flood = match scene.fault {
        Fault::BlankStall | Fault::CommentStall => quiet(scene.fault, every, dice),
        Fault::EmptyStall => empties(every, dice),
        Fault::ByteStall => Flood::new("x", Duration::from_secs(1)),
        Fault::LineStall => return Some((large(scene.fault), Class::Malformed)),
        _ => return None,
    };
    Some((flood, Class::Timeout))
}

/// The flood behind the end of a stream: its end mark, or its finish reason alone.
pub fn after_the_end(scene: &Scene, dice: &mut Dice) -> Option<Flood> {
    match scene.fault {
        Fault::DoneFlood => {
            let every = dice.pick(&[0, 97, 1000].map(Duration::from_millis));
            Some(match dice.below(4) {
                0 => Flood::new("x".repeat(LARGE / 4), every),
                1 => empties(every, dice),
                2 => quiet(Fault::NothingForEver, every, dice),
                _ => quiet(Fault::CommentStall, every, dice),
            })
        }
        Fault::FinishFlood => {
            let every = scene.idle / 3;
            Some(match dice.chance(0.5) {
                true => empties(every, dice),
                false => quiet(Fault::CommentStall, every, dice),
            })
        }
        _ => None,
    }
}

/// The flood in place of a whole answer, or behind one that never ends.
pub fn whole(
    scene: &Scene,
    body: &Bytes,
    writer: &mut Writer,
    dice: &mut Dice,
) -> Option<(Flood, Class)> {
    let every = dice.millis(50, 997);
    let flood = match scene.fault {
        Fault::BlankForEver => {
            if dice.chance(0.5) {
                writer.push(NOW, Act::Chunk(body.clone()));
            }
            Flood::new(dice.pick(&["\n", " ", "\r\n"]), every)
        }
        Fault::NothingForEver => Flood::new("", every),
        Fault::BytesForEver => {
            writer.push(NOW, Act::Chunk(body.slice(..body.len() / 2)));
            Flood::new("x", Duration::from_secs(1))
        }
        Fault::BodyFlood => {
            let piece = dice.pick(&["x", "[", " "]).repeat(LARGE);
            let flood = Flood::at_once(piece, MAX_ANSWER / LARGE + 1);
            return Some((flood, Class::Malformed));
        }
        _ => return None,
    };
    Some((flood, Class::Timeout))
}

/// What was read of a call that was over already.
#[derive(Clone, Copy, Default, Debug)]
pub struct Rest {
    since: Option<Time>,
    bytes: usize,
    /// The dispatcher let go of it.
    pub gone: bool,
}

impl State {
    /// When a call must be over, and what it then ended as.
    pub(super) fn limit(&self, call: &Attempt, asked: &Asked) -> (Class, Time) {
        let timeouts = &self.world.makers[call.spot.maker].timeouts;
        if call.begun {
            let silence = match call.finished {
                true => timeouts.idle.min(AFTER_FINISH),
                false => timeouts.idle,
            };
            let silent = call.last_content + silence + call.away;
            let total = call.started + timeouts.total + call.away_in_all;
            let limit = silent.min(total);
            return match asked.deadline < limit {
                true => (Class::Cancelled, asked.deadline),
                false => (Class::Timeout, limit),
            };
        }
        let span = match (call.stream, call.head, call.as_events) {
            (true, false, _) => timeouts.first_byte.min(timeouts.first_token),
            (true, true, true) => timeouts.first_token,
            (true, true, false) | (false, ..) => timeouts.response,
        };
        let limit = call.started + span.min(timeouts.total);
        match asked.deadline < limit {
            true => (Class::Cancelled, asked.deadline),
            false => (Class::Timeout, limit),
        }
    }

    /// How long a call's flood waits before its next piece; `None` when there is nobody left to be flooded.
    pub fn pause_of(&mut self, attempt: u32, flood: &Flood) -> Option<Duration> {
        if self.violation.is_some() {
            // Whoever does not stop reading would never end.
            return None;
        }
        let now = self.clock.now();
        let pause = flood.pause(now, self.due(attempt));
        if !pause.is_zero() {
            return Some(pause);
        }
        match self.rushing {
            Some((other, at)) if other != attempt && now.since(at) < APART => Some(APART),
            _ => {
                self.rushing = Some((attempt, now));
                Some(pause)
            }
        }
    }

    /// When the next thing is due for a call: from a little before that a flood rushes.
    fn due(&self, attempt: u32) -> Time {
        let call = &self.attempts[attempt as usize];
        let asked = &self.asked[call.request as usize];
        if self.is_read_slowly(asked) {
            // The upstream's own limits wait for the reader.
            return asked.deadline;
        }
        self.limit(call, asked).1
    }

    /// Whether the reader of this request may have been away when something was due.
    pub(super) fn is_read_slowly(&self, asked: &Asked) -> bool {
        let mut attempts = asked.attempts.iter();
        asked.plan.is_slow() && attempts.any(|other| self.attempts[*other as usize].begun)
    }

    /// The dispatcher wants more of an answer: whether it may still do so.
    pub(super) fn may_read(&mut self, attempt: u32, now: Time) {
        let call = &self.attempts[attempt as usize];
        let request = call.request;
        let asked = &self.asked[request as usize];
        if !call.open {
            return self.may_read_rest(attempt, now);
        }
        let deadline = asked.deadline + TICK;
        if self.is_read_slowly(asked) {
            // It may take what there is when it is back, and no more.
            if now > deadline && asked.late_reads > 1 {
                let what = "its upstream is read although its reader came back after the deadline";
                self.break_law("L1", request, what.to_owned());
            }
            return;
        }
        let (_, due) = self.limit(call, asked);
        if now > due + TICK {
            let what = format!("its upstream is read at {now:?}, and its time was up at {due:?}");
            self.break_law("L1", request, what);
        }
    }

    /// The rest of what is over is read for the sake of its connection, and not for long.
    fn may_read_rest(&mut self, attempt: u32, now: Time) {
        let call = &mut self.attempts[attempt as usize];
        let request = call.request;
        let since = *call.rest.since.get_or_insert(now);
        let (long, much) = (now.since(since), call.rest.bytes);
        if long > REST + TICK || much > REST_BYTES + LARGE {
            let what = format!("the rest of its answer is read for {long:?}, {much} bytes of it");
            self.break_law("L10", request, what);
        }
    }

    /// So much of an answer is with the dispatcher.
    pub(super) fn counted(&mut self, attempt: u32, bytes: usize) {
        let call = &mut self.attempts[attempt as usize];
        if !call.open {
            call.rest.bytes += bytes.max(LEAST);
        }
    }

    /// The connection of a call is let go of, or kept for another one.
    pub fn gone(&mut self, attempt: u32) {
        self.dropped(attempt);
        let now = self.clock.now();
        let call = &mut self.attempts[attempt as usize];
        call.rest.gone = true;
        let request = call.request;
        let long = call
            .rest
            .since
            .map_or(Duration::ZERO, |since| now.since(since));
        if long > REST + TICK {
            let what = format!("the connection of a call that was over is kept busy for {long:?}");
            self.break_law("L10", request, what);
        }
    }
}
