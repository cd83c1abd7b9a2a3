//! All that the simulator knows of a run: requests, attempts, books, counters, the trace, the first violation.
//!
//! Upstreams and clients tell it of everything at the moment at which it happens; here each event is held
//! against the laws.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pointsman::actors::tree::Cells;
use pointsman::domain::outcome::{Class, Retry};
use pointsman::domain::time::Time;
use pointsman::runtime::clock::Clock;

use super::dice::{Dice, mix};
use super::fault::Fault;
use super::model::{Model, Spot};
use super::plan::Plan;
use super::script::{Mark, Scene, Script, Verdict, write};
use super::tally::Tally;
use super::world::{Question, World};

/// Events kept for a violation's report.
const KEPT: usize = 400;

/// One thing that happened.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub at: Time,
    pub what: &'static str,
    pub request: u32,
    pub attempt: u32,
    pub spot: Option<Spot>,
    pub detail: &'static str,
}

/// A law that did not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    pub law: &'static str,
    pub what: String,
    pub at: Time,
    pub request: u32,
    pub trace: Vec<Event>,
}

/// What a request met at one of its upstreams.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub maker: usize,
    pub model: usize,
    last: Option<Class>,
    counted: bool,
    closed: bool,
    plain: u32,
}

#[derive(Clone, Debug)]
pub struct Asked {
    pub plan: Plan,
    pub arrived: Time,
    pub deadline: Time,
    pub slots: Vec<Slot>,
    pub attempts: Vec<u32>,
    plain: u32,
    refusals: u32,
    refused: Vec<(Spot, Time)>,
    blamed: bool,
    pub left: bool,
    pub over: bool,
}

#[derive(Clone, Debug)]
pub struct Attempt {
    pub request: u32,
    pub spot: Spot,
    pub started: Time,
    pub fault: Fault,
    pub stream: bool,
    pub body: Bytes,
    pub contents: u32,
    verdict: Verdict,
    head: bool,
    pub as_events: bool,
    pub begun: bool,
    pub finished: bool,
    /// The last content, and how long nobody waited for more since then, and in all.
    last_content: Time,
    returned: Time,
    away: Duration,
    away_in_all: Duration,
    pub outcome: Option<Class>,
    open: bool,
}

pub struct State {
    pub world: Arc<World>,
    pub clock: Clock,
    pub cells: Arc<Cells>,
    pub model: Model,
    pub asked: Vec<Asked>,
    pub attempts: Vec<Attempt>,
    /// Calls under way, by provider and key.
    pub open: Vec<Vec<u32>>,
    /// When a key had no place left: from, to.
    pub full: BTreeMap<(usize, usize), Vec<(Time, Time)>>,
    pub tally: Tally,
    pub calm: bool,
    pub armed: bool,
    pub crash_soon: Option<u32>,
    pub dice: Dice,
    pub violation: Option<Violation>,
    trace: VecDeque<Event>,
    left: u64,
}

/// The state as everybody shares it; one thread, so never contended.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub fn new(world: Arc<World>, clock: Clock, cells: Arc<Cells>) -> Self {
        Self {
            model: Model::new(&world),
            open: world
                .makers
                .iter()
                .map(|maker| vec![0; maker.keys])
                .collect(),
            dice: Dice::of(&[world.setup.seed, 5]),
            tally: Tally::default(),
            asked: Vec::new(),
            attempts: Vec::new(),
            full: BTreeMap::new(),
            calm: false,
            armed: false,
            crash_soon: None,
            violation: None,
            trace: VecDeque::new(),
            left: 0,
            world,
            clock,
            cells,
        }
    }

    pub fn break_law(&mut self, law: &'static str, request: u32, what: String) {
        if self.violation.is_none() {
            self.violation = Some(Violation {
                law,
                what,
                at: self.clock.now(),
                request,
                trace: self.trace.iter().copied().collect(),
            });
        }
    }

    pub fn note(
        &mut self,
        what: &'static str,
        request: u32,
        attempt: u32,
        spot: Option<Spot>,
        detail: &'static str,
    ) {
        let at = self.clock.now();
        let place = spot.map_or(0, |spot| {
            (spot.maker * 100 + spot.key * 10 + spot.model + 1) as u64
        });
        let (what_hash, detail_hash) = (text(what), text(detail));
        let (r, a) = (u64::from(request), u64::from(attempt));
        self.tally.hash = mix(&[
            self.tally.hash,
            at.as_nanos(),
            what_hash,
            detail_hash,
            r,
            a,
            place,
        ]);
        if self.trace.len() == KEPT {
            self.trace.pop_front();
        }
        self.trace.push_back(Event {
            at,
            what,
            request,
            attempt,
            spot,
            detail,
        });
    }

    /// A client asks. Returns the request's number.
    pub fn arrive(&mut self, plan: Plan) -> u32 {
        let number = self.asked.len() as u32;
        let now = self.clock.now();
        let policy = self.world.policy;
        let span = plan
            .deadline
            .map_or(policy.deadline, |asked| asked.min(policy.deadline));
        let chain = self.world.targets.resolve(Some(&plan.name));
        let upstreams = chain.map_or_else(|_| Vec::new(), |chain| chain.upstreams.clone());
        let slots = upstreams.iter().filter_map(|upstream| {
            let maker = self
                .world
                .makers
                .iter()
                .position(|maker| maker.name == upstream.provider)?;
            let model = self.world.makers[maker]
                .models
                .iter()
                .position(|model| *model == upstream.model)?;
            Some(Slot {
                maker,
                model,
                last: None,
                counted: false,
                closed: false,
                plain: 0,
            })
        });
        let asked = Asked {
            slots: slots.collect(),
            arrived: now,
            deadline: now + span,
            plan,
            attempts: Vec::new(),
            plain: 0,
            refusals: 0,
            refused: Vec::new(),
            blamed: false,
            left: false,
            over: false,
        };
        self.asked.push(asked);
        self.tally.requests += 1;
        self.note("arrives", number, 0, None, "");
        number
    }

    /// An upstream is called: holds the call against the laws and says how it goes.
    pub fn start(&mut self, request: u32, spot: Spot) -> (u32, Script) {
        let now = self.clock.now();
        let attempt = self.attempts.len() as u32;
        self.may_start(request, spot, attempt, now);
        let world = Arc::clone(&self.world);
        let maker = &world.makers[spot.maker];
        let asked = &mut self.asked[request as usize];
        let here = |other: &&u32| self.attempts[**other as usize].spot == spot;
        let nth = asked.attempts.iter().filter(here).count() as u64;
        asked.attempts.push(attempt);
        let stream = asked.plan.stream;
        let (fault, back_in) = world.fate(&Question {
            maker: spot.maker,
            key: spot.key,
            model: spot.model,
            request: u64::from(request),
            nth,
            at: now.since(Time::ZERO),
            own: asked.plan.own,
            calm: self.calm,
        });
        let fault = fault.in_form(stream);
        let scene = Scene {
            attempt,
            stream,
            fault,
            back_in,
            latency: world.latency(spot.maker, u64::from(request)),
            gap: Duration::from_millis(maker.gap),
            idle: maker.timeouts.idle,
            wall: self.clock.wall(),
        };
        let mut dice = Dice::of(&[world.setup.seed, 6, u64::from(attempt)]);
        let script = write(&scene, &mut dice);
        self.attempts.push(Attempt {
            request,
            spot,
            started: now,
            fault,
            stream,
            body: script.body.clone(),
            contents: script.contents,
            verdict: script.verdict,
            head: false,
            as_events: false,
            begun: false,
            finished: false,
            last_content: now,
            returned: now,
            away: Duration::ZERO,
            away_in_all: Duration::ZERO,
            outcome: None,
            open: true,
        });
        self.tally.attempts += 1;
        *self.tally.faults.entry(fault).or_default() += 1;
        self.note("starts", request, attempt, Some(spot), fault.as_str());
        self.take_place(spot, request, now);
        (attempt, script)
    }

    fn take_place(&mut self, spot: Spot, request: u32, now: Time) {
        let open = &mut self.open[spot.maker][spot.key];
        *open += 1;
        let Some(most) = self.world.makers[spot.maker].limits.max_in_flight else {
            return;
        };
        if *open == most {
            let spans = self.full.entry((spot.maker, spot.key)).or_default();
            spans.push((now, Time::NEVER));
        }
        if *open > most {
            let open = *open;
            self.break_law(
                "L2",
                request,
                format!("{open} calls at once with a key that may have {most}"),
            );
        }
    }

    fn may_start(&mut self, request: u32, spot: Spot, attempt: u32, now: Time) {
        let world = Arc::clone(&self.world);
        let maker = &world.makers[spot.maker];
        let asked = &self.asked[request as usize];
        let mut wrong: Vec<(&'static str, String)> = Vec::new();
        if asked.left {
            wrong.push(("L10", "an attempt for a client that left".to_owned()));
        }
        if asked.over {
            wrong.push(("L1", "an attempt for a request that has ended".to_owned()));
        }
        if now >= asked.deadline {
            wrong.push((
                "L1",
                "an attempt starts when the deadline has passed".to_owned(),
            ));
        }
        if asked
            .attempts
            .iter()
            .any(|other| self.attempts[*other as usize].begun)
        {
            wrong.push(("L8", "another attempt after the first content".to_owned()));
        }
        if asked.plain >= world.policy.max_attempts {
            wrong.push((
                "L4",
                format!("more than {} attempts", world.policy.max_attempts),
            ));
        }
        if asked.refusals >= world.policy.max_key_refusals {
            wrong.push((
                "L4",
                format!("more than {} refusals", world.policy.max_key_refusals),
            ));
        }
        let again = |(refused, at): &(Spot, Time)| *refused == spot && *at == now;
        if asked.refused.iter().any(again) {
            wrong.push((
                "L4",
                "the key that just refused is asked again at once".to_owned(),
            ));
        }
        match asked
            .slots
            .iter()
            .find(|slot| slot.maker == spot.maker && slot.model == spot.model)
        {
            None => wrong.push(("L8", "an upstream outside of the chain".to_owned())),
            Some(slot) if slot.closed => {
                wrong.push((
                    "L4",
                    "an upstream that this request must not ask again".to_owned(),
                ));
            }
            Some(slot) if slot.plain > maker.retry.same_upstream => {
                wrong.push((
                    "L4",
                    format!(
                        "more than {} retries at one upstream",
                        maker.retry.same_upstream
                    ),
                ));
            }
            Some(_) => {}
        }
        let first = asked.attempts.is_empty();
        if let Err(why) = self.model.start(spot, attempt, maker, now) {
            wrong.push(("L3", why));
        }
        let slack = (world.policy.retry_budget.ratio * self.left as f64).ceil() as u64 + self.left;
        if let Err(why) = self.model.charge(spot, first, &world, slack, now) {
            wrong.push(("L4", why));
        }
        for (law, what) in wrong {
            self.note("breaks a law", request, attempt, Some(spot), law);
            self.break_law(law, request, what);
        }
    }

    /// The head of the answer is there.
    pub fn head(&mut self, attempt: u32, as_events: bool) {
        let call = &mut self.attempts[attempt as usize];
        call.head = true;
        call.as_events = as_events;
    }

    /// The dispatcher waits for the next part.
    pub fn awaited(&mut self, attempt: u32) {
        let now = self.clock.now();
        let call = &mut self.attempts[attempt as usize];
        let away = now.since(call.returned);
        call.away += away;
        call.away_in_all += away;
    }

    /// A part of the answer is with the dispatcher.
    pub fn delivered(&mut self, attempt: u32, mark: Mark) {
        let now = self.clock.now();
        let call = &mut self.attempts[attempt as usize];
        let (request, spot, verdict) = (call.request, call.spot, call.verdict);
        call.returned = now;
        if mark.content || mark.finish {
            call.last_content = now;
            call.away = Duration::ZERO;
        }
        if mark.content && !call.begun {
            call.begun = true;
            let policy = self.world.makers[spot.maker].breaker;
            self.model.began(spot, attempt, &policy, now);
            self.note("first content", request, attempt, Some(spot), "");
        }
        if mark.finish {
            self.attempts[attempt as usize].finished = true;
        }
        if mark.verdict {
            self.end(attempt, verdict);
        }
    }

    /// The dispatcher let go of the call.
    pub fn dropped(&mut self, attempt: u32) {
        let now = self.clock.now();
        let call = &mut self.attempts[attempt as usize];
        call.open = false;
        let spot = call.spot;
        if call.outcome.is_none() {
            let class = self.why_dropped(attempt, now);
            let verdict = Verdict {
                class,
                hint: None,
                certain: true,
                status: None,
            };
            self.end(attempt, verdict);
        }
        let open = &mut self.open[spot.maker][spot.key];
        *open -= 1;
        let most = self.world.makers[spot.maker].limits.max_in_flight;
        if most == Some(*open + 1)
            && let Some(last) = self
                .full
                .get_mut(&(spot.maker, spot.key))
                .and_then(|spans| spans.last_mut())
        {
            last.1 = now;
        }
    }

    /// Why a call was dropped before its outcome was certain: its client left, or somebody's time was up.
    fn why_dropped(&mut self, attempt: u32, now: Time) -> Class {
        let call = &self.attempts[attempt as usize];
        let asked = &self.asked[call.request as usize];
        if asked.left {
            return Class::Cancelled;
        }
        let timeouts = &self.world.makers[call.spot.maker].timeouts;
        if call.begun {
            let silent = now.since(call.last_content).saturating_sub(call.away);
            let total = now.since(call.started).saturating_sub(call.away_in_all);
            let on_time = silent < timeouts.idle && total < timeouts.total && now < asked.deadline;
            if !call.finished && on_time {
                let request = call.request;
                let what = "a stream is cut although its upstream was not silent".to_owned();
                self.break_law("L7", request, what);
                return Class::Timeout;
            }
            return match (call.finished, now >= asked.deadline) {
                (true, _) => Class::Success,
                (false, true) => Class::Cancelled,
                (false, false) => Class::Timeout,
            };
        }
        let span = match (call.stream, call.head, call.as_events) {
            (true, false, _) => timeouts.first_byte,
            (true, true, true) => timeouts.first_token,
            (true, true, false) | (false, ..) => timeouts.response,
        };
        let limit = call.started + span.min(timeouts.total);
        let (class, due) = if asked.deadline < limit {
            (Class::Cancelled, asked.deadline)
        } else {
            (Class::Timeout, limit)
        };
        if now < due {
            let (request, spot) = (call.request, call.spot);
            self.note("dropped early", request, attempt, Some(spot), "");
            self.break_law(
                "L1",
                request,
                format!("the call was dropped before anybody's time was up ({due:?})"),
            );
        }
        class
    }

    fn end(&mut self, attempt: u32, verdict: Verdict) {
        let now = self.clock.now();
        let call = &mut self.attempts[attempt as usize];
        if call.outcome.is_some() {
            return;
        }
        call.outcome = Some(verdict.class);
        let (request, spot, begun) = (call.request, call.spot, call.begun);
        let asked = &mut self.asked[request as usize];
        let counts = asked.counts(spot, verdict, begun);
        let maker = &self.world.makers[spot.maker];
        asked.failed(spot, verdict.class, maker.retry.same_upstream, now);
        self.model.end(spot, attempt, verdict, counts, maker, now);
        self.note("ends", request, attempt, Some(spot), verdict.class.as_str());
    }

    /// The client is about to leave.
    pub fn leaves(&mut self, request: u32) {
        self.asked[request as usize].left = true;
        self.left += 1;
        self.tally.left += 1;
        self.note("leaves", request, 0, None, "");
    }

    /// The client has left: nothing of its request may be under way.
    pub fn has_left(&mut self, request: u32) {
        let attempts = &self.asked[request as usize].attempts;
        if attempts
            .iter()
            .any(|attempt| self.attempts[*attempt as usize].open)
        {
            self.break_law(
                "L10",
                request,
                "the client left, its upstream's call goes on".to_owned(),
            );
        }
    }

    /// A request is over.
    pub fn over(&mut self, request: u32, how: &'static str) {
        let asked = &mut self.asked[request as usize];
        if std::mem::replace(&mut asked.over, true) {
            self.break_law("L1", request, "it ends a second time".to_owned());
        }
        *self.tally.endings.entry(how).or_default() += 1;
        self.note("is over", request, 0, None, how);
    }

    /// Whether an actor's handler panics now.
    pub fn crashes(&mut self, actor: &str) -> bool {
        if !self.armed || self.calm {
            return false;
        }
        let rates = self.world.crashes;
        let (kind, rate) = match actor.as_bytes().first() {
            Some(b's') => ("supervisor", rates.supervisor),
            Some(b'r') => ("router", rates.router),
            Some(b'p') => ("provider", rates.provider),
            _ => ("key", rates.key),
        };
        if rate <= 0.0 {
            return false;
        }
        let soon = match &mut self.crash_soon {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        if !soon && !self.dice.chance(rate) {
            return false;
        }
        if soon {
            self.crash_soon = None;
            self.tally.double_crashes += 1;
        } else {
            // Another one within the same few messages, now and then.
            self.crash_soon = self.dice.chance(0.3).then(|| self.dice.below(4) as u32);
        }
        *self.tally.crashes.entry(kind).or_default() += 1;
        self.note("crash", 0, 0, None, kind);
        true
    }
}

impl Asked {
    fn slot(&mut self, spot: Spot) -> Option<usize> {
        self.slots
            .iter()
            .position(|slot| slot.maker == spot.maker && slot.model == spot.model)
    }

    /// Whether a failure counts against the health of anything (laws L7): of one request at most one failure per
    /// upstream, none that was seen at another upstream, of doubtful blame the first.
    fn counts(&mut self, spot: Spot, verdict: Verdict, begun: bool) -> bool {
        let class = verdict.class;
        let Some(at) = self.slot(spot) else {
            return false;
        };
        if class == Class::Success {
            return false;
        }
        if begun {
            return !self.slots[at].counted;
        }
        if matches!(
            class,
            Class::InvalidKey | Class::QuotaExhausted | Class::ModelGone
        ) {
            self.slots[at].last = Some(class);
            let doubtful = verdict.status == Some(400)
                || verdict.status == Some(422)
                || (verdict.status == Some(403) && class == Class::InvalidKey);
            if verdict.certain && doubtful {
                return !std::mem::replace(&mut self.blamed, true);
            }
            return verdict.certain;
        }
        let elsewhere = self
            .slots
            .iter()
            .enumerate()
            .any(|(n, slot)| n != at && slot.last == Some(class));
        let slot = &mut self.slots[at];
        slot.last = Some(class);
        let trips = matches!(
            class,
            Class::Overloaded
                | Class::Transient
                | Class::Network
                | Class::Timeout
                | Class::Malformed
        );
        if !trips || slot.counted || elsewhere {
            return false;
        }
        slot.counted = true;
        true
    }

    fn failed(&mut self, spot: Spot, class: Class, retries: u32, now: Time) {
        if matches!(
            class,
            Class::RateLimited | Class::QuotaExhausted | Class::InvalidKey
        ) {
            self.refusals += 1;
            self.refused.push((spot, now));
            return;
        }
        self.plain += 1;
        let Some(at) = self.slot(spot) else {
            return;
        };
        let slot = &mut self.slots[at];
        slot.plain += 1;
        slot.closed = match class.retry() {
            Retry::SameUpstream => slot.plain > retries,
            Retry::NextKey => false,
            Retry::Never | Retry::NextUpstream | Retry::LargerWindow => true,
        };
    }
}

fn text(text: &str) -> u64 {
    text.bytes().fold(7, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(u64::from(byte))
    })
}
