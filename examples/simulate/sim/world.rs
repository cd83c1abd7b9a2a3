//! One world, drawn from a seed: providers, keys, limits, chains, policies, and what goes wrong when.
//!
//! What an upstream does is a function of the moment, the key, the model and the request, so that it can be
//! asked without sending anything (see `oracle`).

use std::sync::Arc;
use std::time::Duration;

use pointsman::domain::backoff::Waits;
use pointsman::domain::chain::{ProviderEntry, Targets, VirtualEntry};
use pointsman::domain::circuit::BreakerPolicy;
use pointsman::domain::cooldown::{CooldownPolicy, CooldownScope};
use pointsman::domain::ids::{ModelName, ProviderName};
use pointsman::domain::limits::{
    DispatchPolicy, KeyLimits, RetryBudgetPolicy, RetryPolicy, Timeouts,
};
use pointsman::domain::mutant::Mutant;
use pointsman::domain::rotation::KeyRotation;

use super::dice::{Dice, mix};
use super::fault::Fault;
use super::scenario::{self, Scenario};

/// What a run is made from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setup {
    pub seed: u64,
    pub requests: u32,
    pub scenario: Scenario,
    /// A bug planted on purpose.
    pub mutant: Option<Mutant>,
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
    pub keys: usize,
    pub rotation: KeyRotation,
    pub limits: KeyLimits,
    pub cooldown: CooldownPolicy,
    pub breaker: BreakerPolicy,
    pub retry: Arc<RetryPolicy>,
    pub timeouts: Timeouts,
    /// Of a good answer: until it begins, and between its parts.
    pub latency: (u64, u64),
    pub gap: u64,
    pub troubles: Vec<Trouble>,
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
}

/// Moments at which a single attempt's fate may differ lie so far apart.
pub const SLOT: Duration = Duration::from_millis(100);

impl World {
    pub fn draw(setup: Setup) -> Self {
        match setup.scenario {
            Scenario::Swarm => swarm(setup),
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

    /// How long a good answer of `maker` takes to begin.
    pub fn latency(&self, maker: usize, request: u64) -> Duration {
        let (low, high) = self.makers[maker].latency;
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

fn swarm(setup: Setup) -> World {
    let mut dice = Dice::of(&[setup.seed, 3]);
    let dice = &mut dice;
    let pause = dice.pick(&[20u64, 60, 150, 400]);
    let horizon = Duration::from_millis(pause * 300);
    let makers: Vec<Maker> = (0..dice.between(1, 6))
        .map(|n| maker(n, horizon, dice))
        .collect();
    let (targets, names) = targets(&makers, dice);
    let noise = dice.pick(&[0.0, 0.02, 0.1, 0.3]);
    let crash = |dice: &mut Dice, p: f64| {
        if dice.chance(p) {
            dice.pick(&[0.0005, 0.003, 0.01])
        } else {
            0.0
        }
    };
    let mut world = World {
        setup,
        targets,
        names,
        policy: policy(dice),
        rates: rates(noise, dice),
        manners: Manners {
            streams: dice.pick(&[0.0, 0.5, 0.5, 1.0]),
            hang_ups: dice.pick(&[0.0, 0.0, 0.1, 0.3]),
            slow_readers: dice.pick(&[0.0, 0.1]),
            bursts: dice.pick(&[0.0, 0.1, 0.5]),
            short_deadlines: dice.pick(&[0.0, 0.1, 0.4]),
            own_faults: dice.pick(&[0.0, 0.0, 0.1]),
            poison: dice.pick(&[0.0, 0.0, 0.05]),
            pause: Duration::from_millis(pause),
        },
        crashes: CrashRates {
            supervisor: crash(dice, 0.15) / 5.0,
            router: crash(dice, 0.3),
            provider: crash(dice, 0.3),
            key: crash(dice, 0.3),
        },
        makers,
        only_crashes: false,
    };
    if dice.chance(0.15) {
        crashes_alone(&mut world);
    }
    world
}

fn crashes_alone(world: &mut World) {
    world.only_crashes = true;
    world.rates.clear();
    world.manners.own_faults = 0.0;
    world.manners.poison = 0.0;
    for maker in &mut world.makers {
        maker.troubles.clear();
        maker.limits = KeyLimits::default();
    }
    world.crashes = CrashRates {
        supervisor: 0.0005,
        router: 0.003,
        provider: 0.003,
        key: 0.003,
    };
}

/// A random subset of the kinds, sharing `noise` unevenly.
fn rates(noise: f64, dice: &mut Dice) -> Vec<(Fault, f64)> {
    if noise <= 0.0 {
        return Vec::new();
    }
    let enabled = dice.pick(&[0.1, 0.3, 1.0]);
    let chosen: Vec<Fault> = Fault::of_attempts()
        .filter(|_| dice.chance(enabled))
        .collect();
    let weights: Vec<f64> = chosen.iter().map(|_| dice.share().powi(2)).collect();
    let total: f64 = weights.iter().sum::<f64>().max(1e-9);
    let rates = chosen.into_iter().zip(weights);
    rates
        .map(|(fault, weight)| (fault, noise * weight / total))
        .collect()
}

fn policy(dice: &mut Dice) -> DispatchPolicy {
    DispatchPolicy {
        deadline: dice.pick(&[20, 60, 600].map(Duration::from_secs)),
        max_attempts: dice.pick(&[1, 3, 8, 8]),
        max_key_refusals: dice.pick(&[2, 8, 32, 32]),
        await_cooldown: dice.pick(&[0, 5, 30, 30].map(Duration::from_secs)),
        patience: dice.pick(&[0, 0, 0, 500].map(Duration::from_millis)),
        max_waiting: dice.pick(&[3, 100, 1000, 1000]),
        retry_budget: RetryBudgetPolicy {
            ratio: dice.pick(&[0.0, 0.2, 0.2, 1.0]),
            min_per_second: dice.pick(&[0.5, 10.0, 10.0]),
        },
    }
}

fn maker(n: u64, horizon: Duration, dice: &mut Dice) -> Maker {
    let seconds = Duration::from_secs;
    let models = (0..dice.between(1, 3))
        .map(|m| ModelName::from(format!("m{m}")))
        .collect::<Vec<_>>();
    let keys = dice.between(1, 8) as usize;
    let list = [Duration::from_millis(50), Duration::from_millis(250)];
    let waits = match dice.below(3) {
        0 => Waits::List(Vec::new()),
        1 => Waits::List(list.to_vec()),
        _ => Waits::Exponential {
            initial: Duration::from_millis(100),
            factor: 2.0,
            max: seconds(2),
            jitter: 0.25,
        },
    };
    let mut maker = Maker {
        name: ProviderName::from(format!("p{n}")),
        keys,
        rotation: dice.pick(&[
            KeyRotation::RoundRobin,
            KeyRotation::Sticky,
            KeyRotation::Sequential,
            KeyRotation::LeastInFlight,
        ]),
        limits: KeyLimits {
            max_in_flight: dice.pick(&[None, None, Some(1), Some(2), Some(8)]),
            rpm: dice.pick(&[None, None, None, Some(20), Some(200)]),
            ..KeyLimits::default()
        },
        cooldown: CooldownPolicy {
            default: dice.pick(&[0, 2, 10, 60].map(seconds)),
            max: dice.pick(&[15, 60, 900].map(seconds)),
            scope: dice.pick(&[
                CooldownScope::KeyModel,
                CooldownScope::KeyModel,
                CooldownScope::Key,
                CooldownScope::Provider,
            ]),
        },
        breaker: BreakerPolicy {
            failure_threshold: dice.pick(&[0, 2, 3, 3, 5]),
            failure_rate: dice.pick(&[0.0, 0.5, 0.5]),
            window: seconds(30),
            min_requests: 10,
            recovery_time: dice.pick(&[1, 5, 15].map(seconds)),
        },
        retry: Arc::new(RetryPolicy {
            same_upstream: dice.pick(&[0, 1, 1, 2]),
            waits,
        }),
        timeouts: Timeouts {
            connect: seconds(5),
            first_byte: dice.pick(&[2, 10].map(seconds)),
            first_token: dice.pick(&[5, 20].map(seconds)),
            idle: dice.pick(&[1, 10].map(seconds)),
            response: dice.pick(&[5, 30].map(seconds)),
            total: dice.pick(&[30, 600].map(seconds)),
        },
        latency: (dice.between(1, 50), dice.between(51, 900)),
        gap: dice.between(1, 120),
        troubles: Vec::new(),
        models,
    };
    for _ in 0..dice.pick(&[0, 0, 1, 2, 4]) {
        let trouble = trouble(&maker, horizon, dice);
        maker.troubles.push(trouble);
    }
    maker
}

fn trouble(maker: &Maker, horizon: Duration, dice: &mut Dice) -> Trouble {
    let millis = horizon.as_millis() as u64;
    let from = dice.millis(0, millis);
    let to = from + dice.millis(millis / 20, millis / 2);
    let key = dice.below(maker.keys as u64) as usize;
    let model = dice.below(maker.models.len() as u64) as usize;
    let (place, faults): (Place, &[Fault]) = match dice.below(5) {
        0 | 1 => (
            Place::Everywhere,
            &[
                Fault::Refused,
                Fault::Error500,
                Fault::Unavailable,
                Fault::Silent,
                Fault::ResetBeforeHead,
                Fault::ErrorJson,
                Fault::Cut,
            ],
        ),
        2 => (
            Place::Key(key),
            &[
                Fault::Unauthorized,
                Fault::ForbiddenKey,
                Fault::PaymentRequired,
                Fault::QuotaIn429,
            ],
        ),
        3 => (
            Place::Model(model),
            &[Fault::ModelGone, Fault::Overloaded, Fault::ContextOverflow],
        ),
        _ => (
            Place::KeyModel(key, model),
            &[
                Fault::LimitSeconds,
                Fault::LimitMillis,
                Fault::LimitDate,
                Fault::LimitReset,
                Fault::LimitBare,
            ],
        ),
    };
    let flaps = dice.chance(0.2);
    Trouble {
        place,
        from,
        to,
        period: flaps.then(|| (dice.millis(100, 3000), dice.millis(100, 3000))),
        fault: dice.pick(faults),
    }
}

/// The makers' own names, and chains of them, nested up to three deep.
pub fn targets(makers: &[Maker], dice: &mut Dice) -> (Arc<Targets>, Vec<String>) {
    let entries: Vec<ProviderEntry> = makers.iter().map(entry).collect();
    let mut names: Vec<String> = Vec::new();
    for maker in makers {
        names.extend(
            maker
                .models
                .iter()
                .map(|model| format!("{}:{model}", maker.name)),
        );
    }
    let single = names.len() as u64;
    let mut virtuals = Vec::new();
    for n in 0..dice.between(1, 4) {
        let name = format!("v{n}");
        let upstreams: Vec<String> = (0..dice.between(1, 4)).map(|_| dice.pick(&names)).collect();
        names.push(name.clone());
        virtuals.push(VirtualEntry { name, upstreams });
    }
    // Chains are asked for more often than single upstreams.
    let chains: Vec<String> = names[single as usize..].to_vec();
    for _ in 0..single.div_ceil(chains.len() as u64) {
        names.extend(chains.iter().cloned());
    }
    (built(&entries, &virtuals), names)
}

pub fn entry(maker: &Maker) -> ProviderEntry {
    ProviderEntry {
        name: maker.name.clone(),
        model: maker.models.first().cloned(),
        models: maker.models.clone(),
        builtin: false,
    }
}

pub fn built(entries: &[ProviderEntry], virtuals: &[VirtualEntry]) -> Arc<Targets> {
    match Targets::build(entries, virtuals, None) {
        Ok(targets) => Arc::new(targets),
        Err(errors) => panic!("the drawn chains are wrong: {errors:?}"),
    }
}
