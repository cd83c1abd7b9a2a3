//! Limits and a budget that processes share, in simulated time, from one seed: how often a key is asked, how much is under way at
//! once, and what is spent, while the store and the processes fail in every way.
//!
//! Laws F2 (what all do together), F5 (what a killed process had comes back) and F7 (no budget is overspent).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use pointsman::domain::budget::{
    AdmittedCost, BudgetPolicy, BudgetScope, CandidateCost, Ledger, Mode, Payer, Period,
    SpendInquiry, SpendVerdict, Spender, Ticket, UnpricedSpend,
};
use pointsman::domain::cooldown::CooldownPolicy;
use pointsman::domain::fleet::money::SharedBudget;
use pointsman::domain::fleet::quota::{BudgetSubject, LimitSubject};
use pointsman::domain::fleet::quotas::{BudgetQuestion, QuotaAnswers, QuotaEffect, QuotaOrder};
use pointsman::domain::fleet::share::{ShareQuestion, SharedLimit};
use pointsman::domain::fleet::{FactKind, FleetQuotas, LimitHolder, LostPolicy, OnLost, QuotaKind};
use pointsman::domain::ids::{FleetNode, KeyId, LeaseId, ModelName};
use pointsman::domain::key_state::{KeyState, Settlement};
use pointsman::domain::limits::{KeyLimits, PacingPolicy};
use pointsman::domain::money::Pico;
use pointsman::domain::outcome::Class;
use pointsman::domain::persisted::Fingerprint;
use pointsman::domain::time::Time;
use pointsman::domain::zone::Zone;

use super::world::{FleetSetup, FleetTally};

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// How long everything may go wrong.
const TROUBLE: Duration = Duration::from_secs(150);
/// Until nothing of it counts any more: the window of a minute with its last slot, and shares.
const CALM: Duration = Duration::from_secs(70);
const BEGIN: Duration = Duration::from_secs(1000);
/// A process that has asked for nothing yet counts as silent after so long.
const FIRST: Duration = Duration::from_secs(2);
const OWNER: Fingerprint = Fingerprint([7; 16]);
const PURSE: Fingerprint = Fingerprint([8; 16]);
/// Of one request.
const ESTIMATE: u64 = 20_000_000_000;

struct Part {
    quotas: FleetQuotas,
    key: KeyState,
    ledger: Ledger,
    /// Its clock, ahead of the true one.
    ahead: Duration,
    is_alive: bool,
    is_linked: bool,
    tick_at: Option<Duration>,
    /// Under way: what they have reserved.
    live: BTreeMap<LeaseId, (Ticket, Duration)>,
    reserved: u64,
    spent: u64,
    leases: u64,
    /// Of them, when it last counted.
    counted: u64,
    /// Admitted since the store has heard from it, and until when what it had said counts.
    unsaid: u64,
    said_until: Duration,
    /// Until when counts what the store last heard of how many are under way, and when it heard after a silence that its share did
    /// not last.
    seen_until: Duration,
    back_at: Duration,
}

#[derive(Clone, Default)]
struct Store {
    limits: BTreeMap<LimitSubject, SharedLimit>,
    budgets: BTreeMap<BudgetSubject, SharedBudget>,
    ahead: Duration,
}

/// A round, what is asked in it, and how much was admitted until then.
type Questions = (
    u64,
    Vec<(LimitSubject, ShareQuestion)>,
    Vec<BudgetQuestion>,
    u64,
);

enum Event {
    Request(usize),
    Settle(usize, usize, LeaseId, bool),
    Tick(usize),
    Order(usize, usize, Questions),
    Answer(usize, usize, QuotaAnswers),
    Up(usize, usize),
    Nodes(usize, usize),
    /// Another process was refused: the key cools here too.
    Cools(usize, usize, Duration),
    Fault,
    Thaw,
    Start(usize),
}

struct World {
    setup: FleetSetup,
    /// What one that asks nobody may have, and whether the store may lose something.
    policy: LostPolicy,
    loses: bool,
    random: fastrand::Rng,
    now: Duration,
    order: u64,
    events: BTreeMap<(Duration, u64), Event>,
    parts: Vec<Part>,
    starts: Vec<usize>,
    store: Store,
    snapshot: Store,
    snapshot_at: Duration,
    is_up: bool,
    is_frozen: bool,
    healing: bool,
    /// Requests of one minute that all may send, at once, and what they may spend.
    rpm: u64,
    places: u32,
    amount: u64,
    /// What the upstream takes in a minute.
    upstream: u64,
    sent: VecDeque<(Duration, bool)>,
    cools_until: Duration,
    /// Of processes that were killed or silent: what they had not said, and when.
    unsaid: VecDeque<(Duration, u64)>,
    spent_by_dead: u64,
    tally: FleetTally,
}

/// One run.
pub fn run(setup: FleetSetup) -> FleetTally {
    let mut random = fastrand::Rng::with_seed(setup.seed.wrapping_mul(0x9e37_79b9));
    let word = if setup.faults && random.bool() {
        OnLost::Refuse
    } else {
        OnLost::Share
    };
    let loses = setup.faults && random.bool();
    let rpm = [12, 60, 600, 3000][random.usize(..4)];
    let rpm = if setup.faults { rpm } else { 600 };
    let mut world = World {
        setup,
        policy: LostPolicy {
            rates: word,
            concurrency: word,
            budgets: OnLost::Refuse,
        },
        loses,
        now: BEGIN,
        order: 0,
        events: BTreeMap::new(),
        parts: Vec::new(),
        starts: vec![0; setup.nodes],
        store: Store {
            ahead: S * random.u32(0..5000),
            ..Store::default()
        },
        snapshot: Store::default(),
        snapshot_at: BEGIN,
        is_up: true,
        is_frozen: false,
        healing: false,
        rpm,
        places: if setup.faults {
            random.u32(1..60)
        } else {
            1000
        },
        amount: ESTIMATE * random.u64(10..2000),
        upstream: if setup.faults {
            u64::MAX
        } else {
            rpm * 95 / 100
        },
        sent: VecDeque::new(),
        cools_until: Duration::ZERO,
        unsaid: VecDeque::new(),
        spent_by_dead: 0,
        tally: FleetTally::default(),
        random,
    };
    if !setup.faults {
        world.amount = u64::MAX / 2;
    }
    for number in 0..setup.nodes {
        let part = world.part(number);
        world.parts.push(part);
        let wait = world.millis(0, 200);
        world.at(wait, Event::Request(number));
        world.link(number);
    }
    if setup.faults {
        world.at(S, Event::Fault);
    }
    world.play(BEGIN + TROUBLE);
    if setup.faults {
        world.heal();
        world.play(BEGIN + TROUBLE + CALM);
        world.comes_back();
    }
    world.tally
}

fn limits(world: &World) -> KeyLimits {
    KeyLimits {
        rpm: Some(world.rpm),
        max_in_flight: Some(world.places),
        pacing: PacingPolicy {
            learn: false,
            adaptive_concurrency: false,
        },
        ..KeyLimits::default()
    }
}

fn model() -> ModelName {
    ModelName::from("m")
}

fn holder() -> LimitHolder {
    LimitHolder::Key(KeyId {
        provider: "p".into(),
        index: 1,
    })
}

impl World {
    fn millis(&mut self, from: u64, to: u64) -> Duration {
        MS * u32::try_from(self.random.u64(from..=to)).unwrap_or(1)
    }

    fn at(&mut self, wait: Duration, event: Event) {
        self.order += 1;
        self.events.insert((self.now + wait, self.order), event);
    }

    fn fails(&mut self, percent: u8) -> bool {
        self.setup.faults && !self.healing && self.random.u8(0..100) < percent
    }

    fn broken(&mut self, law: &str) {
        let (seed, at) = (self.setup.seed, self.now.saturating_sub(BEGIN));
        let nodes = self.setup.nodes;
        // The law's number first.
        let (number, what) = law.split_once(": ").unwrap_or((law, ""));
        let told = || format!("{number} seed {seed}, {nodes} processes, after {at:?}: {what}");
        self.tally.violation.get_or_insert_with(told);
    }

    fn part(&mut self, number: usize) -> Part {
        let ahead = S * self.random.u32(0..100_000);
        let local = Time::ZERO + self.now + ahead;
        let name = self.name(number);
        let mut key = KeyState::new(limits(self), CooldownPolicy::default());
        let mut ledger = Ledger::default();
        if self.setup.is_shared {
            key.join_fleet(self.policy);
        }
        let budget = BudgetPolicy {
            scope: BudgetScope::all_of(Spender::Whole),
            amount: Pico::new(self.amount),
            period: Period::Total,
            zone: Zone::utc(),
            mode: Mode::Hard,
            unpriced: UnpricedSpend::Refuse,
            then: None,
        };
        if self.setup.faults {
            ledger.configure(vec![budget], 0);
            ledger.join_fleet();
        }
        Part {
            quotas: FleetQuotas::new(name, self.policy, local),
            key,
            ledger,
            ahead,
            is_alive: true,
            is_linked: false,
            tick_at: None,
            live: BTreeMap::new(),
            reserved: 0,
            spent: 0,
            leases: 0,
            counted: 0,
            unsaid: 0,
            said_until: self.now + FIRST,
            seen_until: self.now + FIRST,
            back_at: self.now,
        }
    }

    fn name(&self, number: usize) -> FleetNode {
        FleetNode::from(format!("n{number}.{}", self.starts[number]))
    }

    fn local(&self, node: usize) -> Time {
        Time::ZERO + self.now + self.parts[node].ahead
    }

    fn link(&mut self, node: usize) {
        if self.setup.is_shared {
            let (wait, start) = (self.millis(20, 2000), self.starts[node]);
            self.at(wait, Event::Up(node, start));
        }
    }

    fn unlink(&mut self, node: usize) {
        let local = self.local(node);
        self.parts[node].is_linked = false;
        let effects = self.parts[node].quotas.down(local);
        self.give(node, effects);
    }

    fn play(&mut self, until: Duration) {
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > until || self.tally.violation.is_some() {
                break;
            }
            self.now = entry.key().0;
            let event = entry.remove();
            self.handle(event);
            if self.now > self.snapshot_at + S {
                self.snapshot = self.store.clone();
                self.snapshot_at = self.now;
            }
        }
        self.now = until;
    }

    fn is_current(&self, node: usize, start: usize) -> bool {
        self.starts[node] == start && self.parts[node].is_alive
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Request(node) => self.request(node),
            Event::Settle(node, start, lease, refused) if self.is_current(node, start) => {
                self.settle(node, lease, refused);
            }
            Event::Tick(node) => {
                if self.parts[node].tick_at == Some(self.now) {
                    self.parts[node].tick_at = None;
                    self.turn(node);
                }
            }
            Event::Order(node, start, questions) => self.carry_out(node, start, questions),
            Event::Answer(node, start, answers) if self.is_current(node, start) => {
                let local = self.local(node);
                let effects = self.parts[node].quotas.answered(answers, local);
                self.give(node, effects);
                self.turn(node);
            }
            Event::Up(node, start) if self.is_current(node, start) => {
                if !self.is_up || self.is_frozen {
                    return self.link(node);
                }
                let local = self.local(node);
                self.parts[node].is_linked = true;
                let effects = self.parts[node].quotas.up(local);
                self.give(node, effects);
                self.nodes(node);
                self.turn(node);
            }
            Event::Nodes(node, start) if self.is_current(node, start) => self.nodes(node),
            Event::Cools(node, start, until) if self.is_current(node, start) => {
                let ends = Time::ZERO + until + self.parts[node].ahead;
                let local = self.local(node);
                let key = &mut self.parts[node].key;
                key.heard_out(FactKind::Cooling, Some(&model()), ends, local);
            }
            Event::Settle(..) | Event::Answer(..) | Event::Up(..) => {}
            Event::Nodes(..) | Event::Cools(..) => {}
            Event::Fault => self.fault(),
            Event::Thaw => (self.is_up, self.is_frozen) = (true, false),
            Event::Start(node) if !self.healing => self.start(node),
            Event::Start(_) => {}
        }
    }

    /// Who is there, as a process sees it every five seconds.
    fn nodes(&mut self, node: usize) {
        let start = self.starts[node];
        self.at(5 * S, Event::Nodes(node, start));
        if self.is_up && !self.is_frozen && self.parts[node].is_linked {
            let there = (0..self.parts.len()).filter(|it| self.parts[*it].is_alive);
            let there: Vec<FleetNode> = there.map(|it| self.name(it)).collect();
            let local = self.local(node);
            let effects = self.parts[node].quotas.saw(&there, local);
            self.give(node, effects);
        }
    }

    fn request(&mut self, node: usize) {
        // All together want twice of what they may.
        let busy = 60_000 * u64::try_from(self.setup.nodes).unwrap_or(1) / self.rpm;
        let wait = self.millis(0, busy.max(1));
        if !self.healing || node == 0 {
            self.at(wait, Event::Request(node));
        }
        if !self.parts[node].is_alive {
            return;
        }
        self.tally.requests += 1;
        let local = self.local(node);
        let estimate = ESTIMATE / 2 + self.random.u64(..ESTIMATE / 2);
        let Some(ticket) = self.reserves(node, estimate) else {
            return;
        };
        let part = &mut self.parts[node];
        let lease = LeaseId(part.leases + 1);
        if part.key.admit(lease, &model(), 0, local).is_err() {
            part.ledger.release(ticket);
            return;
        }
        part.leases += 1;
        part.reserved += estimate;
        part.unsaid += 1;
        part.live.insert(lease, (ticket, self.now));
        self.look_at_sum();
        let minute_ago = self.now.saturating_sub(MINUTE);
        while self.sent.front().is_some_and(|(at, _)| *at <= minute_ago) {
            self.sent.pop_front();
        }
        let taken = self.sent.iter().filter(|(_, is_taken)| *is_taken).count();
        let is_taken = u64::try_from(taken).unwrap_or(u64::MAX) < self.upstream;
        self.sent.push_back((self.now, is_taken));
        match is_taken {
            true => self.tally.served += 1,
            false => self.tally.refused += 1,
        }
        self.look_at_rate();
        self.look_at_places();
        let (start, takes) = (self.starts[node], self.millis(50, 3000));
        self.at(takes, Event::Settle(node, start, lease, !is_taken));
    }

    fn reserves(&mut self, node: usize, estimate: u64) -> Option<Ticket> {
        let candidates = [CandidateCost {
            provider: "p".into(),
            estimate: Some(Pico::new(estimate)),
        }];
        let verdict = self.parts[node].ledger.admit(SpendInquiry {
            payer: Payer {
                client: None,
                target: "t",
            },
            candidates: &candidates,
            steered: &[],
            unix: 0,
        });
        match verdict {
            SpendVerdict::Admitted(AdmittedCost { ticket, .. }) => Some(ticket),
            _ => None,
        }
    }

    fn settle(&mut self, node: usize, lease: LeaseId, refused: bool) {
        let local = self.local(node);
        let Some((ticket, _)) = self.parts[node].live.remove(&lease) else {
            return;
        };
        let reserved = ticket.most().get();
        let cost = reserved - reserved / self.random.u64(2..6);
        // The key cools until the upstream takes something again.
        let retry = match self.sent.iter().find(|(_, is_taken)| *is_taken) {
            Some((at, _)) if refused => Some((*at + MINUTE).saturating_sub(self.now) + MS),
            _ => None,
        };
        let part = &mut self.parts[node];
        part.reserved = part.reserved.saturating_sub(reserved);
        part.spent += cost;
        let payer = Payer {
            client: None,
            target: "t",
        };
        part.ledger
            .settle(ticket, payer, &[("p".into(), Pico::new(cost))], 0);
        let settlement = Settlement {
            class: if retry.is_some() {
                Class::RateLimited
            } else {
                Class::Success
            },
            retry_after: retry,
            tokens: None,
            counts: true,
        };
        part.key.settle(lease, &settlement, local);
        if let Some(retry) = retry.filter(|_| self.setup.is_shared) {
            let until = self.now + retry;
            if until > self.cools_until + S {
                self.cools_until = until;
                for other in 0..self.parts.len() {
                    let (wait, start) = (self.millis(60, 120), self.starts[other]);
                    self.at(wait, Event::Cools(other, start, until));
                }
            }
        }
    }

    /// Law F7.
    fn look_at_sum(&mut self) {
        let own = self.parts.iter().map(|part| part.spent + part.reserved);
        let all = own.sum::<u64>() + self.spent_by_dead;
        if self.setup.faults && !self.loses && all > self.amount {
            let amount = self.amount;
            self.broken(&format!("F7: {all} spent of {amount}"));
        }
    }

    /// What processes did that the store has not heard of, and now cannot count.
    fn unsaid(&mut self) -> u64 {
        let now = self.now;
        while self
            .unsaid
            .front()
            .is_some_and(|(at, _)| *at + MINUTE + S <= now)
        {
            self.unsaid.pop_front();
        }
        let silent = self.parts.iter().filter(|part| part.said_until < now);
        let silent = silent.map(|part| part.unsaid).sum::<u64>();
        silent + self.unsaid.iter().map(|(_, count)| count).sum::<u64>()
    }

    /// How many times as much may be used as there is.
    fn bound(&self) -> u64 {
        1 + u64::from(self.loses) + u64::from(self.policy.rates == OnLost::Share)
    }

    /// Law F2: requests of the last minute.
    fn look_at_rate(&mut self) {
        if !self.setup.is_shared {
            return;
        }
        let sent = u64::try_from(self.sent.len()).unwrap_or(u64::MAX);
        let unsaid = self.unsaid();
        let most = self.rpm * if self.setup.faults { self.bound() } else { 1 };
        if sent > most + unsaid {
            self.broken(&format!(
                "F2: {sent} in a minute, {} may be, {unsaid} unsaid",
                self.rpm
            ));
        }
    }

    /// Law F2: requests at the same time. Not counted are those that began before a silence that their process's share did not
    /// last: they go on.
    fn look_at_places(&mut self) {
        if !self.setup.is_shared {
            return;
        }
        let now = self.now;
        let known = self.parts.iter();
        let known = known.filter(|part| part.is_alive && part.seen_until > now);
        let live: usize = known
            .map(|part| {
                let began = part.live.values().filter(|(_, at)| *at >= part.back_at);
                began.count()
            })
            .sum();
        let most = u64::from(self.places) * if self.setup.faults { self.bound() } else { 1 };
        if u64::try_from(live).unwrap_or(u64::MAX) > most {
            let places = self.places;
            self.broken(&format!("F2: {live} at once, {places} may be"));
        }
    }

    /// After each event of a process: what is due.
    fn turn(&mut self, node: usize) {
        if !self.setup.is_shared {
            return;
        }
        let (local, random) = (self.local(node), self.random.f64());
        let part = &mut self.parts[node];
        if !part.is_alive {
            return;
        }
        let mut asked = Vec::new();
        for order in part.quotas.due(local, random) {
            match order {
                QuotaOrder::Count => {
                    let uses = part.key.uses(local);
                    part.counted = part.leases;
                    let effects = part.quotas.counted(&holder(), OWNER, uses, local);
                    let spent = part.ledger.fleet_uses(0).into_iter();
                    part.quotas.spent(spent.map(|one| (PURSE, one)).collect());
                    self.give(node, effects);
                    return self.turn(node);
                }
                QuotaOrder::Ask(round, shares, claims) => {
                    asked.push((round, shares, claims, part.counted));
                }
            }
        }
        let (start, part) = (self.starts[node], &mut self.parts[node]);
        let next = part.quotas.next().max(local + MS).since(Time::ZERO);
        let next = next.saturating_sub(part.ahead);
        if part.tick_at.is_none_or(|set| next < set || set <= self.now) {
            part.tick_at = Some(next);
            self.at(next.saturating_sub(self.now), Event::Tick(node));
        }
        for questions in asked {
            let wait = self.millis(1, 30);
            if self.fails(5) {
                continue;
            }
            if self.fails(5) {
                // It comes twice, or late.
                let later = wait + self.millis(1, 3000);
                self.at(later, Event::Order(node, start, questions.clone()));
                if self.random.bool() {
                    continue;
                }
            }
            self.at(wait, Event::Order(node, start, questions));
        }
    }

    fn carry_out(&mut self, node: usize, start: usize, questions: Questions) {
        if self.is_frozen {
            // It is carried out when the store goes on.
            let wait = self.millis(2000, 9000);
            return self.at(wait, Event::Order(node, start, questions));
        }
        if !self.is_up {
            return;
        }
        let name = FleetNode::from(format!("n{node}.{start}"));
        let clock = Time::ZERO + self.now + self.store.ahead;
        let (round, shares, claims, counted) = questions;
        let mut answers = QuotaAnswers {
            round,
            ..QuotaAnswers::default()
        };
        let (mut news, mut seen) = (None, None);
        for (subject, asks) in shares {
            let limit = self.store.limits.entry(subject).or_default();
            if let Some(given) = limit.ask(&name, asks, clock) {
                answers.shares.push((subject, given));
                let until = Some(self.now + asks.ttl);
                match subject.kind {
                    QuotaKind::Requests => news = until,
                    QuotaKind::Places => seen = until,
                    QuotaKind::Tokens | QuotaKind::Day => {}
                }
            }
        }
        for BudgetQuestion { subject, asks, .. } in claims {
            let budget = self.store.budgets.entry(subject).or_default();
            if let Some(given) = budget.ask(&name, asks, clock) {
                answers.claims.push((subject, given));
            }
        }
        let is_current = self.is_current(node, start);
        if let Some(until) = news.filter(|_| is_current) {
            // What it did since it counted is said with the next question.
            let part = &mut self.parts[node];
            if part.said_until < self.now {
                // Others may have been given it meanwhile.
                self.unsaid.push_back((self.now, part.unsaid));
            }
            part.unsaid = part.leases - counted;
            part.said_until = until;
        }
        if let Some(until) = seen.filter(|_| is_current) {
            let part = &mut self.parts[node];
            if part.seen_until < self.now {
                part.back_at = self.now;
            }
            part.seen_until = until;
        }
        self.tally.facts += 1;
        let wait = self.millis(1, 30);
        if !self.fails(5) && self.parts[node].is_linked {
            self.at(wait, Event::Answer(node, start, answers));
        }
    }

    fn give(&mut self, node: usize, effects: Vec<QuotaEffect>) {
        for effect in effects {
            let part = &mut self.parts[node];
            match effect {
                QuotaEffect::Share(_, shares) => part.key.keep_to(&shares),
                QuotaEffect::Budgets(news) => part.ledger.fleet_news(news, 0),
            }
        }
    }

    fn fault(&mut self) {
        let wait = self.millis(500, 15_000);
        self.at(wait, Event::Fault);
        if self.healing {
            return;
        }
        self.tally.faults += 1;
        let lasts = self.millis(200, 12_000);
        let node = self.random.usize(0..self.parts.len());
        match self.random.u8(0..6) {
            0 => {
                self.is_frozen = true;
                self.at(lasts, Event::Thaw);
                self.all_lose();
            }
            1 if self.loses => {
                // Killed, and empty when it is back.
                self.is_up = false;
                self.store = Store {
                    ahead: self.store.ahead,
                    ..Store::default()
                };
                self.at(lasts, Event::Thaw);
                self.all_lose();
            }
            2 if self.loses => {
                // Another one takes over that has not got the last second, and whose clock differs.
                let ahead = self.store.ahead + self.millis(0, 3000);
                self.store = self.snapshot.clone();
                self.store.ahead = ahead.saturating_sub(self.millis(0, 3000));
                self.all_lose();
            }
            1 | 3 => {
                self.unlink(node);
                let start = self.starts[node];
                self.at(lasts, Event::Up(node, start));
            }
            2 | 4 => self.kill(node, lasts),
            // A storm: half of them are started anew at once.
            _ => {
                for node in (0..self.parts.len()).step_by(2) {
                    self.kill(node, lasts);
                }
            }
        }
    }

    fn kill(&mut self, node: usize, lasts: Duration) {
        let part = &mut self.parts[node];
        if !part.is_alive {
            return;
        }
        self.tally.kills += 1;
        part.is_alive = false;
        part.is_linked = false;
        // What it had reserved may be spent.
        self.spent_by_dead += part.spent + part.reserved;
        (part.spent, part.reserved) = (0, 0);
        self.unsaid.push_back((self.now, part.unsaid));
        part.unsaid = 0;
        if lasts < MINUTE * 60 {
            self.at(lasts, Event::Start(node));
        }
    }

    fn all_lose(&mut self) {
        for node in 0..self.parts.len() {
            if self.parts[node].is_linked {
                self.unlink(node);
                self.link(node);
            }
        }
    }

    fn start(&mut self, node: usize) {
        if self.parts[node].is_alive {
            return;
        }
        self.starts[node] += 1;
        self.parts[node] = self.part(node);
        self.link(node);
    }

    /// Everything is well again, and only one process is left.
    fn heal(&mut self) {
        self.healing = true;
        (self.is_up, self.is_frozen) = (true, false);
        self.start(0);
        for node in 1..self.parts.len() {
            self.kill(node, Duration::MAX);
        }
        if !self.parts[0].is_linked {
            self.link(0);
        }
    }

    /// Law F5: it has everything that the others had.
    fn comes_back(&mut self) {
        if self.tally.violation.is_some() {
            return;
        }
        let local = self.local(0);
        let own = self.parts[0].quotas.limits();
        let missing: Vec<String> = own
            .filter(|quota| quota.own.amount(local) < quota.limit - quota.limit / 2)
            .map(|quota| format!("{quota:?}"))
            .collect();
        if !missing.is_empty() || self.parts[0].quotas.limits().count() != 2 {
            self.broken(&format!("F5: nobody else is there: {missing:?}"));
        }
    }
}
