//! A fleet in simulated time, from one seed: requests, refusals, an operator, and what becomes of the store and the
//! processes. At the end everything heals, and everybody has to agree.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pointsman::domain::fleet::rank;
use pointsman::domain::fleet::{FleetFact, FleetNews, FleetOrder, FleetSubject};
use pointsman::domain::ids::LeaseId;
use pointsman::domain::time::Time;
use pointsman::wire::fleet::record::FleetRecord;

use super::node::Node;
use super::store::ModelStore;

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);
/// How long everything may go wrong.
const TROUBLE: Duration = Duration::from_secs(120);
/// Two comparisons with the store, and a little more.
const HEALING: Duration = Duration::from_secs(80);
/// Until nothing is under way any more.
const CALM: Duration = Duration::from_secs(40);
/// A clock that nobody shares begins there.
const BEGIN: Duration = Duration::from_secs(1000);
/// What a process may lag behind what an upstream said, and wait for one that tries first.
const SLACK: Duration = Duration::from_secs(5);

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub struct FleetSetup {
    pub seed: u64,
    pub nodes: usize,
    /// Without: the store is well, so that refusals can be compared.
    pub faults: bool,
    /// Without: each process is alone.
    pub is_shared: bool,
}

/// What came of it.
#[derive(Clone, Default, Debug)]
pub struct FleetTally {
    pub requests: u64,
    pub served: u64,
    /// Calls that an upstream refused.
    pub refused: u64,
    pub facts: u64,
    pub kills: u64,
    pub faults: u64,
    /// The first law that broke, with the seed.
    pub violation: Option<String>,
}

impl FleetTally {
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.served += other.served;
        self.refused += other.refused;
        self.facts += other.facts;
        self.kills += other.kills;
        self.faults += other.faults;
        if self.violation.is_none() {
            self.violation.clone_from(&other.violation);
        }
    }
}

enum Event {
    /// A request comes to a process.
    Request(usize),
    /// An attempt ends; refused for so long.
    Settle(usize, usize, usize, LeaseId, Option<Duration>),
    Tick(usize),
    /// An order reaches the store; it comes from this start of the process.
    Order(usize, usize, FleetOrder, Vec<FleetRecord>, Duration),
    News(usize, usize, FleetNews),
    /// Another process told this, written then on the store's clock.
    Heard(usize, usize, Vec<FleetRecord>, Duration),
    Fault,
    /// The store is back.
    Thaw,
    Start(usize),
}

/// The limit of a key at its provider: so many requests in a window.
#[derive(Clone, Default)]
struct UpstreamKey {
    window: u64,
    count: u64,
    /// The last end that it told.
    told: Duration,
    /// How long before that it told it for the first time.
    ahead: Duration,
    /// It has served since that end.
    has_served: bool,
    /// Who asked after that end and before it had served, by how many steps later.
    tried: BTreeMap<u32, BTreeSet<usize>>,
}

/// For how long an order to the store, and what was refused then, may be under way.
const UNDER_WAY: Duration = Duration::from_secs(20);

const WINDOW: Duration = Duration::from_secs(10);

struct World {
    setup: FleetSetup,
    random: fastrand::Rng,
    now: Duration,
    order: u64,
    events: BTreeMap<(Duration, u64), Event>,
    nodes: Vec<Node>,
    starts: Vec<usize>,
    upstream: Vec<UpstreamKey>,
    store: ModelStore,
    snapshot: ModelStore,
    snapshot_at: Duration,
    /// When the store's clock was set back, and by how much.
    set_back: Vec<(Duration, Duration)>,
    is_up: bool,
    is_frozen: bool,
    healing: bool,
    tally: FleetTally,
}

/// One run.
pub fn run(setup: FleetSetup) -> FleetTally {
    let mut random = fastrand::Rng::with_seed(setup.seed);
    let keys = random.usize(1..=3);
    let mut store = ModelStore::default();
    store.ahead = S * random.u32(0..5000);
    let mut world = World {
        setup,
        now: BEGIN,
        order: 0,
        events: BTreeMap::new(),
        nodes: Vec::new(),
        starts: vec![0; setup.nodes],
        upstream: vec![UpstreamKey::default(); keys],
        snapshot: store.clone(),
        snapshot_at: BEGIN,
        set_back: Vec::new(),
        store,
        is_up: true,
        is_frozen: false,
        healing: false,
        tally: FleetTally::default(),
        random,
    };
    for number in 0..setup.nodes {
        let ahead = S * world.random.u32(0..100_000);
        world.nodes.push(Node::new(number, 0, keys, ahead, BEGIN));
        let wait = world.millis(0, 200);
        world.at(wait, Event::Request(number));
        world.link(number);
    }
    if setup.faults {
        world.at(S, Event::Fault);
    }
    world.play(BEGIN + TROUBLE);
    world.heal();
    world.play(BEGIN + TROUBLE + CALM);
    world.lasting();
    world.play(BEGIN + TROUBLE + CALM + HEALING);
    world.agree();
    world.tally
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
        let seed = self.setup.seed;
        let at = self.now.saturating_sub(BEGIN);
        // The law's number first.
        let (number, what) = law.split_once(": ").unwrap_or((law, ""));
        let told = || {
            format!(
                "{number} seed {seed}, {} processes, after {at:?}: {what}",
                self.setup.nodes
            )
        };
        self.tally.violation.get_or_insert_with(told);
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

    /// It has a connection after a while.
    fn link(&mut self, node: usize) {
        if self.setup.is_shared {
            let wait = self.millis(20, 2000);
            let start = self.starts[node];
            self.at(wait, Event::News(node, start, FleetNews::Up));
        }
    }

    fn unlink(&mut self, node: usize) {
        self.nodes[node].is_linked = false;
        self.nodes[node].state.down();
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Request(node) => self.request(node),
            Event::Settle(node, start, key, lease, refused) => {
                self.upstream[key].has_served |=
                    refused.is_none() && self.now >= self.upstream[key].told;
                if self.starts[node] == start && self.nodes[node].is_alive {
                    let now = self.now;
                    self.nodes[node].settle(key, lease, refused, now);
                    self.turn(node);
                }
            }
            Event::Tick(node) => {
                if self.nodes[node].tick_at == Some(self.now) {
                    self.nodes[node].tick_at = None;
                    self.turn(node);
                }
            }
            Event::Order(node, start, order, records, sent) => {
                self.carry_out(node, start, order, &records, sent);
            }
            Event::News(node, start, news) => {
                if self.starts[node] == start && self.nodes[node].is_alive {
                    self.news(node, news);
                    self.turn(node);
                }
            }
            Event::Heard(node, start, records, written) => {
                if self.starts[node] == start && self.nodes[node].is_linked {
                    self.heard(node, &records, written);
                    self.turn(node);
                }
            }
            Event::Fault => self.fault(),
            Event::Thaw => self.thaw(),
            Event::Start(node) => self.start(node),
        }
    }

    fn request(&mut self, node: usize) {
        let busy = 20 * u64::try_from(self.setup.nodes).unwrap_or(1);
        let wait = self.millis(1, busy);
        if !self.healing {
            self.at(wait, Event::Request(node));
        }
        if !self.nodes[node].is_alive {
            return;
        }
        self.tally.requests += 1;
        let (first, now) = (self.random.usize(..), self.now);
        let Some((key, lease)) = self.nodes[node].lease(first, now) else {
            // Law F1: nothing but what an upstream said keeps a request waiting.
            let slack = SLACK + self.set_back();
            let excused = self.upstream.iter().all(|it| it.told + slack >= now);
            if !excused {
                self.broken("F1: a request is refused, though no upstream said so");
            }
            return;
        };
        let window = u64::try_from(now.as_millis() / WINDOW.as_millis()).unwrap_or(0);
        let upstream = &mut self.upstream[key];
        if upstream.window != window {
            (upstream.window, upstream.count) = (window, 0);
        }
        upstream.count += 1;
        let is_early = self.tries(node, key);
        let upstream = &mut self.upstream[key];
        let refused = (upstream.count > 40).then(|| {
            let end = WINDOW * u32::try_from(window + 1).unwrap_or(u32::MAX);
            if upstream.told != end {
                (upstream.told, upstream.ahead) = (end, end - now);
                upstream.has_served = false;
                upstream.tried.clear();
            }
            end - now
        });
        match refused {
            Some(_) => self.tally.refused += 1,
            None => self.tally.served += 1,
        }
        if is_early {
            self.broken(
                "F6: more than one process tries a key at once when its shared cooldown ends",
            );
        }
        let (start, takes) = (self.starts[node], self.millis(30, 200));
        self.at(takes, Event::Settle(node, start, key, lease, refused));
        if self.setup.faults && self.random.u16(..) < 20 {
            self.nodes[node].release(key, now);
            self.turn(node);
        }
    }

    /// How much younger what was under way may seem than it is, because the store's clock was set back.
    fn set_back(&self) -> Duration {
        let recent = |(at, _): &&(Duration, Duration)| *at + UNDER_WAY >= self.now;
        self.set_back.iter().filter(recent).map(|(_, by)| *by).sum()
    }

    /// A process asks with this key. Law F6: when a shared cooldown has ended one does, until it was served; then one more for each
    /// step. Says whether it is broken. Without faults, and when it was known for long enough.
    fn tries(&mut self, node: usize, key: usize) -> bool {
        let now = self.now;
        let upstream = &mut self.upstream[key];
        let is_known = upstream.ahead > 2 * S && self.setup.is_shared && !self.setup.faults;
        if !is_known || upstream.has_served || now < upstream.told {
            return false;
        }
        let since = now - upstream.told;
        let step = u32::try_from(since.as_millis() / rank::STEP.as_millis()).unwrap_or(u32::MAX);
        if upstream.tried.values().any(|all| all.contains(&node)) {
            return false;
        }
        upstream.tried.entry(step).or_default().insert(node);
        let all: usize = upstream.tried.values().map(BTreeSet::len).sum();
        // Who has leave; then the first two of the others, who wait for one step both, and one more with each step.
        let most = if step == 0 { 1 } else { step + 2 };
        step < rank::MOST_STEPS && u32::try_from(all).unwrap_or(u32::MAX) > most
    }

    /// After each event of a process: what is due goes to the store.
    fn turn(&mut self, node: usize) {
        let random = self.random.f64();
        let start = self.starts[node];
        let one = &mut self.nodes[node];
        let local = one.local(self.now);
        let orders = one.state.due(local, random);
        let next = one
            .state
            .next(local)
            .map(|at| one.global(at.max(local + MS)));
        if let Some(next) = next
            && one.tick_at.is_none_or(|set| next < set)
        {
            one.tick_at = Some(next);
            self.at(next.saturating_sub(self.now), Event::Tick(node));
        }
        for order in orders {
            let records = match &order {
                FleetOrder::Publish(facts) => facts
                    .iter()
                    .filter_map(|(subject, fact)| FleetRecord::of(subject, fact, local))
                    .collect(),
                _ => Vec::new(),
            };
            // As it knows the store's clock.
            let sent = self.store.clock(self.now);
            let wait = self.millis(1, 30);
            if self.fails(5) {
                self.lost(node, order);
                continue;
            }
            if self.fails(5) {
                // It comes twice.
                let later = wait + self.millis(1, 3000);
                self.at(
                    later,
                    Event::Order(node, start, order.clone(), records.clone(), sent),
                );
            }
            self.at(wait, Event::Order(node, start, order, records, sent));
        }
    }

    /// It got no answer.
    fn lost(&mut self, node: usize, order: FleetOrder) {
        if let FleetOrder::Publish(facts) = order {
            let subjects = facts.into_iter().map(|(subject, _)| subject).collect();
            let start = self.starts[node];
            self.at(
                250 * MS,
                Event::News(node, start, FleetNews::NotSent(subjects)),
            );
        }
    }

    fn carry_out(
        &mut self,
        node: usize,
        start: usize,
        order: FleetOrder,
        records: &[FleetRecord],
        sent: Duration,
    ) {
        if self.is_frozen {
            // It is carried out when the store goes on; by then its process has given up.
            self.lost(node, order.clone());
            let wait = self.millis(2000, 9000);
            self.at(
                wait,
                Event::Order(node, start, order, records.to_vec(), sent),
            );
            return;
        }
        if !self.is_up {
            return self.lost(node, order);
        }
        let now = self.now;
        let wait = self.millis(1, 30);
        match order {
            FleetOrder::Publish(_) => {
                let news = self.store.merge(records, sent, now);
                self.tally.facts += u64::try_from(news.len()).unwrap_or(0);
                if news.is_empty() {
                    return;
                }
                // With how late that is.
                let written = sent.min(self.store.clock(now));
                for other in 0..self.nodes.len() {
                    if self.fails(3) {
                        continue;
                    }
                    let wait = self.millis(1, if self.setup.faults { 400 } else { 20 });
                    let start = self.starts[other];
                    self.at(wait, Event::Heard(other, start, news.clone(), written));
                }
            }
            FleetOrder::Sync => {
                let local = self.nodes[node].local(now);
                let all = self.store.all(now, local);
                self.at(wait, Event::News(node, start, FleetNews::Stored(all)));
            }
            FleetOrder::Beat => {
                let name = self.nodes[node].state.node().clone();
                let there = self.store.beat(&name, now);
                self.at(wait, Event::News(node, start, FleetNews::Nodes(there)));
            }
            FleetOrder::Claim(subject, ttl) => {
                let is_won = self.store.claim(&subject, ttl, now);
                let news = FleetNews::Claimed(subject, is_won);
                self.at(wait, Event::News(node, start, news));
            }
            // Shares have a world of their own.
            FleetOrder::Ask(..) => {}
        }
    }

    fn news(&mut self, node: usize, news: FleetNews) {
        let now = self.now;
        let up = self.is_up && !self.is_frozen;
        let one = &mut self.nodes[node];
        let local = one.local(now);
        let broken = match news {
            FleetNews::Up if !up => {
                self.link(node);
                None
            }
            FleetNews::Up => {
                one.is_linked = true;
                one.state.up(local);
                None
            }
            FleetNews::Stored(facts) => one.hear(facts, true, now),
            FleetNews::Nodes(nodes) => {
                one.state.saw(nodes);
                None
            }
            FleetNews::NotSent(subjects) => {
                one.state.failed(subjects);
                None
            }
            FleetNews::Claimed(subject, is_won) => {
                let effects = one.state.claimed(subject, is_won, local);
                one.carry_out(effects, local)
            }
            _ => None,
        };
        if let Some(law) = broken {
            self.broken(&law);
        }
    }

    fn heard(&mut self, node: usize, records: &[FleetRecord], written: Duration) {
        let now = self.now;
        let age = self.store.clock(now).saturating_sub(written);
        let one = &mut self.nodes[node];
        let local = one.local(now);
        let facts: Vec<(FleetSubject, FleetFact)> = records
            .iter()
            .map(|record| (record.subject.clone(), record.fact(age, local)))
            .collect();
        if let Some(law) = one.hear(facts, false, now) {
            self.broken(&law);
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
        let node = self.random.usize(0..self.nodes.len());
        match self.random.u8(0..6) {
            0 => {
                self.is_frozen = true;
                self.at(lasts, Event::Thaw);
                self.all_lose();
            }
            1 => {
                // Killed, and empty when it is back.
                self.is_up = false;
                let ahead = self.store.ahead;
                self.store = ModelStore::default();
                self.store.ahead = ahead;
                self.at(lasts, Event::Thaw);
                self.all_lose();
            }
            2 => {
                // Another one takes over that has not got the last second, and whose clock differs.
                let before = self.store.ahead;
                let ahead = before + self.millis(0, 3000);
                self.store = self.snapshot.clone();
                self.store.ahead = ahead.saturating_sub(self.millis(0, 3000));
                let back = before.saturating_sub(self.store.ahead);
                self.set_back.push((self.now, back));
                self.all_lose();
            }
            3 => {
                self.unlink(node);
                let start = self.starts[node];
                self.at(lasts, Event::News(node, start, FleetNews::Up));
            }
            4 => {
                self.tally.kills += 1;
                self.nodes[node].is_alive = false;
                self.nodes[node].is_linked = false;
                self.at(lasts, Event::Start(node));
            }
            // A storm: half of them are started anew at once.
            _ => {
                for node in (0..self.nodes.len()).step_by(2) {
                    self.nodes[node].is_alive = false;
                    self.nodes[node].is_linked = false;
                    self.at(lasts, Event::Start(node));
                }
            }
        }
    }

    fn all_lose(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].is_linked {
                self.unlink(node);
                self.link(node);
            }
        }
    }

    fn thaw(&mut self) {
        self.is_up = true;
        self.is_frozen = false;
    }

    fn start(&mut self, node: usize) {
        if self.nodes[node].is_alive {
            return;
        }
        self.starts[node] += 1;
        let (start, keys, ahead) = (
            self.starts[node],
            self.upstream.len(),
            S * self.random.u32(0..100_000),
        );
        self.nodes[node] = Node::new(node, start, keys, ahead, self.now);
        self.link(node);
    }

    fn heal(&mut self) {
        self.healing = true;
        self.thaw();
        for node in 0..self.nodes.len() {
            self.start(node);
            if !self.nodes[node].is_linked {
                self.link(node);
            }
        }
    }

    /// Something that lasts, said by one, when nothing else is under way.
    fn lasting(&mut self) {
        let now = self.now;
        let long = 300 * S;
        for key in 0..self.upstream.len() {
            self.upstream[key].told = now + long;
            let one = &mut self.nodes[0];
            one.keys[key].release();
            let (lease, local) = (LeaseId(u64::MAX), one.local(now));
            if one.keys[key]
                .admit(lease, &super::node::model(), 0, local)
                .is_ok()
            {
                one.settle(key, lease, Some(long), now);
            }
        }
        self.turn(0);
    }

    /// Law F4: after two intervals all know the same.
    fn agree(&mut self) {
        if !self.setup.is_shared || self.tally.violation.is_some() {
            return;
        }
        let now = self.now;
        let known: Vec<BTreeMap<FleetSubject, (u64, Duration)>> = self
            .nodes
            .iter()
            .map(|one| {
                let soon = one.local(now) + 5 * S;
                let facts = one.state.facts();
                let facts = facts.filter(|(_, fact)| fact.until > soon);
                facts
                    .map(|(subject, fact)| {
                        (subject.clone(), (fact.generation, one.global(fact.until)))
                    })
                    .collect()
            })
            .collect();
        for (node, other) in known.iter().enumerate().skip(1) {
            let same = known[0].len() == other.len()
                && known[0].iter().all(|(subject, (generation, until))| {
                    other
                        .get(subject)
                        .is_some_and(|(of, ends)| of == generation && until.abs_diff(*ends) < 3 * S)
                });
            if !same {
                let law = format!(
                    "F4: process {node} does not know what process 0 knows: {other:?} and {:?}",
                    known[0]
                );
                return self.broken(&law);
            }
        }
        // And keeps to it.
        for node in 0..self.nodes.len() {
            for key in 0..self.upstream.len() {
                let one = &self.nodes[node];
                let local: Time = one.local(now);
                if one.cooling(key, local).is_none() {
                    return self.broken(&format!("F4: key {key} is asked by process {node}"));
                }
            }
        }
    }
}
