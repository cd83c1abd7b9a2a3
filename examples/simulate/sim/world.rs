//! One world, drawn from a seed: providers, keys, limits, chains, policies, and what goes wrong when.
//!
//! What an upstream does is a function of the moment, the key, the model and the request, so that it can be
//! asked without sending anything (see `oracle`).

use std::sync::Arc;
use std::time::Duration;

use pointsman::domain::breaker::BreakerPolicy;
use pointsman::domain::chain::{ProviderEntry, Targets, VirtualEntry};
use pointsman::domain::cooldown::CooldownPolicy;
use pointsman::domain::ids::{ModelName, ProviderName};
use pointsman::domain::limits::{DispatchPolicy, KeyLimits, RetryPolicy, Timeouts};
use pointsman::domain::money::Pico;
use pointsman::domain::rescue::{Prefill, RescuePolicy};
use pointsman::domain::rotation::KeyRotation;

use super::dice::{Dice, mix};
use super::fault::Fault;
use super::keeping::KeepingPlan;
use super::purses::Economy;
use super::scenario::{self, Scenario};
use super::swarm;

/// What a run is made from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setup {
    pub seed: u64,
    pub requests: u32,
    pub scenario: Scenario,
}

/// Where a lasting trouble is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Everywhere,
    Key(usize),
    Model(usize),
    KeyModel(usize, usize),
}

/// A trouble that lasts: an outage, a revoked key, a limited key, a model that is gone.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    pub place: Place,
    pub from: Duration,
    pub to: Duration,
    /// Flapping: so long bad, so long good.
    pub period: Option<(Duration, Duration)>,
    pub fault: Fault,
}

impl Trouble {
    /// Whether the whole provider is out for good at that moment.
    pub fn is_outage(&self, at: Duration) -> bool {
        let lasting = self.place == Place::Everywhere && self.period.is_none();
        lasting && self.from <= at && at < self.to
    }

    /// For the report.
    pub fn kind(&self) -> &'static str {
        match (self.period, self.place) {
            (Some(_), Place::Everywhere) => "provider flaps",
            (Some(_), _) => "key or model flaps",
            (None, Place::Everywhere) => "provider out",
            (None, Place::Key(_)) => "one bad key",
            (None, Place::Model(_)) => "one bad model",
            (None, Place::KeyModel(..)) => "one limited key and model",
        }
    }

    fn hits(&self, key: usize, model: usize, at: Duration) -> bool {
        let here = match self.place {
            Place::Everywhere => true,
            Place::Key(k) => k == key,
            Place::Model(m) => m == model,
            Place::KeyModel(k, m) => k == key && m == model,
        };
        if !here || at < self.from || at >= self.to {
            return false;
        }
        let Some((bad, good)) = self.period else {
            return true;
        };
        let phase = (at - self.from).as_nanos() % (bad + good).as_nanos().max(1);
        phase < bad.as_nanos()
    }
}

/// One provider of the world.
#[derive(Clone, Debug)]
pub struct Maker {
    pub name: ProviderName,
    pub models: Vec<ModelName>,
    /// At first; and the most that there may be over time.
    pub keys: usize,
    pub places: usize,
    pub rotation: KeyRotation,
    pub limits: KeyLimits,
    pub cooldown: CooldownPolicy,
    pub breaker: BreakerPolicy,
    pub retry: Arc<RetryPolicy>,
    pub timeouts: Timeouts,
    /// Of a good answer: until it begins, and between its parts.
    pub latency: (u64, u64),
    /// The same from that moment on, in order of time.
    pub drift: Vec<(Duration, (u64, u64))>,
    /// What a token of a prompt costs; one of an answer costs four times as much.
    pub price: Option<Pico>,
    /// What one of an answer costs, if it is something else.
    pub output: Option<Pico>,
    pub gap: u64,
    pub troubles: Vec<Trouble>,
    /// How it is asked to go on from the beginning of an answer, if it can be.
    pub prefill: Option<Prefill>,
    /// Whether it then does, and does not refuse.
    pub goes_on: bool,
}

impl Maker {
    /// What a token of a prompt costs, and one of an answer.
    pub fn rates(&self) -> Option<(Pico, Pico)> {
        let input = self.price?;
        Some((input, self.output.unwrap_or(input.times(4))))
    }
}

/// How often which actor's handler panics, per message.
#[derive(Clone, Copy, Default, Debug)]
pub struct CrashRates {
    pub supervisor: f64,
    pub router: f64,
    pub provider: f64,
    pub key: f64,
}

impl CrashRates {
    pub fn any(&self) -> bool {
        self.supervisor + self.router + self.provider + self.key > 0.0
    }
}

/// How clients behave.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    pub streams: f64,
    pub hang_ups: f64,
    pub slow_readers: f64,
    /// Those who stop reading for good.
    pub stoppers: f64,
    pub bursts: f64,
    pub short_deadlines: f64,
    pub own_faults: f64,
    pub poison: f64,
    /// Mean pause between arrivals.
    pub pause: Duration,
}

#[derive(Clone, Debug)]
pub struct World {
    pub setup: Setup,
    pub makers: Vec<Maker>,
    pub targets: Arc<Targets>,
    /// Everything that clients ask for.
    pub names: Vec<String>,
    pub policy: DispatchPolicy,
    /// Faults of single attempts, with their rates.
    pub rates: Vec<(Fault, f64)>,
    pub manners: Manners,
    pub crashes: CrashRates,
    /// Nothing but actors fails: then every patient request must be served.
    pub only_crashes: bool,
    /// How often the configuration is read again, per client.
    pub reloads: f64,
    /// What is done for streams that break off. Then all upstreams give one request the same answer, but for
    /// `diverges`, the share that does not.
    pub rescue: Option<RescuePolicy>,
    pub diverges: f64,
    /// Whether everything that is said is searched for keys (law L9); it takes its time.
    pub listens: bool,
    pub economy: Economy,
    /// Answers that are kept and shared.
    pub keeping: Option<KeepingPlan>,
    /// What of its chains a reload may change.
    pub virtuals: Vec<VirtualEntry>,
    /// Requests belong to one of so many conversations; 0: to none.
    pub sessions: u64,
    /// So often actors' states and ledgers are held against the books.
    pub audit_every: Duration,
}

/// How often that is, usually.
pub const AUDIT_EVERY: Duration = Duration::from_millis(701);

/// Moments at which a single attempt's fate may differ lie so far apart.
pub const SLOT: Duration = Duration::from_millis(100);

impl World {
    pub fn draw(setup: Setup) -> Self {
        match setup.scenario {
            Scenario::Swarm | Scenario::Kept => swarm::draw(setup),
            named => scenario::world(setup, named),
        }
    }

    /// What the upstream does with the `nth` attempt of `request` there, if it starts `at`; and when a lasting
    /// trouble that causes it ends.
    pub fn fate(&self, question: &Question) -> (Fault, Option<Duration>) {
        let Question {
            maker,
            key,
            model,
            request,
            nth,
            at,
            own,
            calm,
        } = *question;
        if calm {
            return (Fault::Good, None);
        }
        if let Some(own) = own {
            return (own, None);
        }
        let of = &self.makers[maker];
        if let Some(trouble) = of
            .troubles
            .iter()
            .find(|trouble| trouble.hits(key, model, at))
        {
            return (trouble.fault, Some(trouble.to - at));
        }
        let slot = (at.as_millis() / SLOT.as_millis()) as u64;
        let (maker, key, model) = (maker as u64, key as u64, model as u64);
        let mut dice = Dice::of(&[self.setup.seed, 1, maker, key, model, request, nth, slot]);
        let mut share = dice.share();
        for (fault, rate) in &self.rates {
            if share < *rate {
                return (*fault, None);
            }
            share -= rate;
        }
        (Fault::Good, None)
    }

    /// How long a good answer of `maker` takes to begin, if it is asked `at` that moment.
    pub fn latency(&self, maker: usize, request: u64, at: Duration) -> Duration {
        let drift = self.makers[maker].drift.iter().rev();
        let now = drift.clone().find(|(from, _)| *from <= at);
        let (low, high) = now.map_or(self.makers[maker].latency, |(_, span)| *span);
        let hash = mix(&[self.setup.seed, 2, maker as u64, request]);
        Duration::from_millis(low + hash % (high - low + 1))
    }
}

/// What the world may be asked.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    pub maker: usize,
    pub key: usize,
    pub model: usize,
    pub request: u64,
    pub nth: u64,
    pub at: Duration,
    /// What the request itself brings upon it, wherever it goes.
    pub own: Option<Fault>,
    /// All faults have stopped.
    pub calm: bool,
}

pub fn entry(maker: &Maker) -> ProviderEntry {
    ProviderEntry {
        name: maker.name.clone(),
        model: maker.models.first().cloned(),
        models: maker.models.clone(),
        builtin: false,
        added: false,
    }
}

pub fn built(entries: &[ProviderEntry], virtuals: &[VirtualEntry]) -> Arc<Targets> {
    match Targets::build(entries, virtuals, None) {
        Ok(targets) => Arc::new(targets),
        Err(errors) => panic!("the drawn chains are wrong: {errors:?}"),
    }
}
