//! The world of a swarm: everything at random.

use std::sync::Arc;
use std::time::Duration;

use pointsman::domain::backoff::Waits;
use pointsman::domain::breaker::BreakerPolicy;
use pointsman::domain::chain::{ProviderEntry, Targets, VirtualEntry};
use pointsman::domain::cooldown::{CooldownPolicy, CooldownScope};
use pointsman::domain::hedge::{HedgeAfter, HedgePolicy};
use pointsman::domain::ids::{ModelName, ProviderName};
use pointsman::domain::limits::{
    DispatchPolicy, KeyLimits, RetryBudgetPolicy, RetryPolicy, Timeouts,
};
use pointsman::domain::money::Pico;
use pointsman::domain::policy::Policy;
use pointsman::domain::rescue::{Prefill, RescueMode, RescuePolicy};
use pointsman::domain::rotation::KeyRotation;
use pointsman::domain::session_affinity::AffinityPolicy;

use super::dice::Dice;
use super::fault::Fault;
use super::keeping::KeepingPlan;
use super::purses::Economy;
use super::scenario::Scenario;
use super::spenders;
use super::world::{
    AUDIT_EVERY, CrashRates, Maker, Manners, Place, Setup, Trouble, World, built, entry,
};

pub fn draw(setup: Setup) -> World {
    let mut dice = Dice::of(&[setup.seed, 3]);
    let dice = &mut dice;
    let pause = dice.pick(&[20u64, 60, 150, 400]);
    let horizon = Duration::from_millis(pause * 300);
    let mut makers: Vec<Maker> = (0..dice.between(1, 6))
        .map(|n| maker(n, horizon, dice))
        .collect();
    // With dice of its own, so that a seed's world is otherwise the same.
    let ranking = &mut Dice::of(&[setup.seed, 12]);
    let ranks = ranking.chance(0.4);
    for maker in makers.iter_mut().filter(|_| ranks) {
        rank_keys(maker, ranking);
    }
    let (targets, names, virtuals) = targets(&makers, dice, ranks.then_some(ranking));
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
            stoppers: dice.pick(&[0.0, 0.0, 0.05]),
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
        reloads: dice.pick(&[0.0, 0.0, 0.01, 0.3]),
        rescue: dice.chance(0.4).then(|| RescuePolicy {
            mode: dice.pick(&[RescueMode::Restart, RescueMode::Continue]),
            hold: dice.pick(&[0, 0, 40, 500].map(Duration::from_millis)),
        }),
        diverges: dice.pick(&[0.0, 0.4, 0.8]),
        listens: dice.chance(0.1),
        economy: Economy::default(),
        keeping: None,
        virtuals,
        sessions: 0,
        audit_every: AUDIT_EVERY,
    };
    if ranks {
        // With dice of their own, as above.
        let own = &mut Dice::of(&[setup.seed, 13]);
        world.sessions = own.pick(&[0, 3, 20]);
        if own.chance(0.4) {
            world.economy = spenders::of_swarm(&world, own);
        }
    }
    if world.policy.hedge.is_some() && world.crashes.any() {
        // Who is late through a crash would look as if its time went.
        world.policy.deadline_hedge = 0.0;
    }
    if world.rescue.is_some() && dice.chance(0.5) {
        let cuts = [
            Fault::Cut,
            Fault::ResetMidBody,
            Fault::ErrorMiddle,
            Fault::Stall,
            Fault::BlankStall,
        ];
        world.rates.extend(cuts.map(|cut| (cut, 0.03)));
    }
    if dice.chance(0.2) {
        world
            .rates
            .extend(Fault::ENDLESS.map(|flood| (flood, 0.01)));
    }
    if dice.chance(0.15) {
        crashes_alone(&mut world);
    }
    keep(&mut world);
    world
}

/// Answers are kept and shared in one world of four, by dice of their own.
fn keep(world: &mut World) {
    let dice = &mut Dice::of(&[world.setup.seed, 17]);
    if !dice.chance(0.25) && world.setup.scenario != Scenario::Kept {
        return;
    }
    let keeping = KeepingPlan::draw(world.makers.len(), dice);
    if keeping.may_coalesce() {
        // Whose a call is that several wait for is not in those books.
        world.economy = Economy::default();
        world.rescue = None;
    }
    world.economy.clients = world.economy.clients.max(keeping.clients());
    world.keeping = Some(keeping);
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
    world.policy.hedge = None;
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
        hedge: hedge(dice),
        deadline_hedge: dice.pick(&[0.0, 0.5, 0.5, 0.3]),
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

fn hedge(dice: &mut Dice) -> Option<HedgePolicy> {
    let after = dice.pick(&[150, 503, 2003].map(Duration::from_millis));
    let after = dice.pick(&[HedgeAfter::Span(after), HedgeAfter::P95]);
    let max_ratio = dice.pick(&[0.05, 0.3, 1.0]);
    dice.chance(0.4).then_some(HedgePolicy { after, max_ratio })
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
        places: keys + 6,
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
            first_token_chosen: true,
        },
        latency: (dice.between(1, 50), dice.between(51, 900)),
        gap: dice.between(1, 120),
        drift: Vec::new(),
        price: None,
        output: None,
        troubles: Vec::new(),
        prefill: dice
            .chance(0.5)
            .then(|| dice.pick(&Prefill::ALL.map(|(_, form)| form))),
        goes_on: dice.chance(0.8),
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
                Fault::EmptyForEver,
                Fault::BytesForEver,
                Fault::CommentStall,
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

/// Prices, and the rotation of keys that goes by conversations.
fn rank_keys(maker: &mut Maker, dice: &mut Dice) {
    let input = dice.pick(&[0, 100_000, 101_000, 2_000_000]);
    maker.price = dice.chance(0.8).then_some(Pico::new(input));
    if dice.chance(0.4) {
        maker.rotation = KeyRotation::Affinity;
    }
}

/// A policy that leaves nothing out, and now and then affinity.
fn rank(entry: &mut VirtualEntry, dice: &mut Dice) {
    let policies: Vec<Policy> = Policy::all()
        .filter(|policy| policy.name() != "score")
        .collect();
    entry.policy = dice.pick(&policies);
    if dice.chance(0.3) {
        entry.affinity = Some(AffinityPolicy::default());
    }
    for member in &mut entry.upstreams {
        member.weight = dice.pick(&[0, 1, 1, 5]);
        member.priority = dice.pick(&[100, 100, 100, 50]);
    }
}

/// The makers' own names, and chains of them, nested up to three deep; ranked by policies if there are dice for that.
pub fn targets(
    makers: &[Maker],
    dice: &mut Dice,
    mut ranking: Option<&mut Dice>,
) -> (Arc<Targets>, Vec<String>, Vec<VirtualEntry>) {
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
        let mut chain = VirtualEntry::ordered(name, upstreams);
        if let Some(dice) = ranking.as_deref_mut() {
            rank(&mut chain, dice);
        }
        virtuals.push(chain);
    }
    // Chains are asked for more often than single upstreams.
    let chains: Vec<String> = names[single as usize..].to_vec();
    for _ in 0..single.div_ceil(chains.len() as u64) {
        names.extend(chains.iter().cloned());
    }
    (built(&entries, &virtuals), names, virtuals)
}
