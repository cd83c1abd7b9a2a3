//! All that the simulator knows of a run: requests, attempts, books, counters, the trace, the first violation.
//!
//! Upstreams and clients tell it of everything at the moment at which it happens; here each event is held
//! against the laws.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pointsman::actors::status::{KeyStatus, TreeStatus};
use pointsman::domain::chain::Targets;
use pointsman::domain::outcome::Class;
use pointsman::domain::time::Time;
use pointsman::runtime::buffers::Buffers;
use pointsman::runtime::clock::Clock;

use super::asked::{Asked, Slot};
use super::calls::Attempt;
use super::dice::{Dice, mix};
use super::keeping::Keeping;
use super::model::{Model, Spot};
use super::plan::Plan;
use super::purses::Purses;
use super::sessions::Caches;
use super::shelf::Shelves;
use super::tally::Tally;
use super::world::World;

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

pub struct State {
    pub world: Arc<World>,
    pub clock: Clock,
    pub cells: Arc<TreeStatus>,
    pub model: Model,
    /// By provider and model.
    pub pulses: Vec<Vec<Pulse>>,
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
    pub left: u64,
    /// What is held of all requests, as the dispatcher counts it, and the whole answers that clients have not read.
    pub buffers: Buffers,
    pub unread: usize,
    /// The call whose flood rushes, and when it last sent something.
    pub(super) rushing: Option<(u32, Time)>,
    /// Requests that are not over.
    pub live: u64,
    /// The keys of each maker that the configuration has now.
    pub keys_now: Vec<Vec<usize>>,
    /// Keys that it has no longer.
    pub retired: Vec<Arc<KeyStatus>>,
    pub purses: Purses,
    pub(super) caches: Caches,
    /// What each configuration says of kept answers, and what is kept.
    pub keepings: Vec<Option<Keeping>>,
    pub(super) shelves: Shelves,
    pub(super) evictions: Dice,
}

/// How long the latest answers of an upstream took, streams and wholes apart, and when the last one came.
#[derive(Clone, Default, Debug)]
pub struct Pulse {
    took: [VecDeque<Duration>; 2],
    pub last: Option<Time>,
}

impl Pulse {
    pub fn served(&mut self, stream: bool, took: Duration, now: Time) {
        let latest = &mut self.took[usize::from(stream)];
        latest.push_back(took);
        if latest.len() > 8 {
            latest.pop_front();
        }
        self.last = Some(now);
    }

    pub fn slowest(&self, stream: bool) -> Option<Duration> {
        self.took[usize::from(stream)].iter().max().copied()
    }
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
    pub fn new(world: Arc<World>, clock: Clock, cells: Arc<TreeStatus>) -> Self {
        Self {
            model: Model::new(&world),
            pulses: world
                .makers
                .iter()
                .map(|maker| vec![Pulse::default(); maker.models.len()])
                .collect(),
            open: world
                .makers
                .iter()
                .map(|maker| vec![0; maker.places])
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
            buffers: Buffers::default(),
            unread: 0,
            rushing: None,
            live: 0,
            keys_now: world
                .makers
                .iter()
                .map(|maker| (0..maker.keys).collect())
                .collect(),
            retired: Vec::new(),
            purses: Purses::new(&world),
            caches: Caches::default(),
            keepings: vec![world.keeping.as_ref().map(|it| it.first.clone())],
            shelves: Shelves::default(),
            evictions: Dice::of(&[world.setup.seed, 21]),
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
    pub fn arrive(&mut self, plan: Plan, targets: &Targets, generation: u64) -> u32 {
        let number = self.asked.len() as u32;
        if let Some(own) = plan.own {
            *self.tally.own_faults.entry(own.as_str()).or_default() += 1;
        }
        let now = self.clock.now();
        let policy = self.world.policy;
        let span = plan
            .deadline
            .map_or(policy.deadline, |asked| asked.min(policy.deadline));
        let slots = self.slots_of(targets, &plan.name);
        let keeping = self.keepings.get(generation as usize);
        let keeping = keeping.and_then(Option::as_ref);
        let standing = keeping.and_then(|it| it.standing(&plan, &slots));
        let mut asked = Asked::new(plan, slots, now, now + span);
        asked.epoch = asked.plan.epoch;
        asked.loads = self.loads();
        asked.standing = standing;
        self.asked.push(asked);
        self.tally.requests += 1;
        self.live += 1;
        self.note("arrives", number, 0, None, "");
        self.comes_back(number);
        number
    }

    /// What a target means.
    pub(super) fn slots_of(&self, targets: &Targets, name: &str) -> Vec<Slot> {
        let chain = targets.resolve(Some(name));
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
            Some(Slot::new(maker, model))
        });
        slots.collect()
    }

    /// The attempt whose answer goes to the client: the last that has something for it, else the one whose
    /// upstream was the last to say what it lacks or has too little of, else the last.
    pub fn winner(&self, request: u32) -> Option<u32> {
        let attempts = &self.asked[request as usize].attempts;
        let won = |attempt: &&u32| self.attempts[**attempt as usize].won;
        let winner = attempts.iter().filter(|attempt| won(attempt).is_some());
        let lacks = |attempt: &&u32| {
            let outcome = self.attempts[**attempt as usize].outcome;
            matches!(outcome, Some(Class::Unsupported | Class::TooLargeForLimit))
        };
        let ended = |attempt: &&u32| self.attempts[**attempt as usize].ended;
        let lacking = || attempts.iter().filter(lacks).max_by_key(ended);
        let winner = winner.max_by_key(won).or_else(lacking);
        winner.or(attempts.last()).copied()
    }

    /// The client is about to leave.
    pub fn leaves(&mut self, request: u32) {
        self.asked[request as usize].left = true;
        self.left += 1;
        self.tally.left += 1;
        self.note("leaves", request, 0, None, "");
        self.lets_go(request);
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
        self.asked[request as usize].ended = Some(self.clock.now());
        self.lets_go(request);
        self.pays(request, how);
        let asked = &self.asked[request as usize];
        let mut attempts = asked.attempts.iter();
        if attempts.any(|attempt| self.attempts[*attempt as usize].open) {
            let what = "it is over, and a call of it goes on".to_owned();
            self.break_law("L10", request, what);
        }
        self.live = self.live.saturating_sub(1);
        *self.tally.endings.entry(how).or_default() += 1;
        self.note("is over", request, 0, None, how);
    }

    /// Whether an actor's handler panics now.
    pub fn crashes(&mut self, actor: &str, message: &str) -> bool {
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
        // In the middle of a reload more often: there are few of them.
        let rate = if message.starts_with("Apply") {
            rate * 50.0
        } else {
            rate
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
        self.model.crashed(actor, self.clock.now());
        true
    }
}

fn text(text: &str) -> u64 {
    text.bytes().fold(7, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(u64::from(byte))
    })
}
