//! The named scenarios: one question each, asked of a plain world.

use std::sync::Arc;
use std::time::Duration;

use pointsman::domain::breaker::BreakerPolicy;
use pointsman::domain::chain::VirtualEntry;
use pointsman::domain::cooldown::CooldownPolicy;
use pointsman::domain::ids::{ModelName, ProviderName};
use pointsman::domain::limits::{DispatchPolicy, KeyLimits, RetryPolicy, Timeouts};
use pointsman::domain::money::Pico;
use pointsman::domain::policy::Policy;
use pointsman::domain::rotation::KeyRotation;
use pointsman::domain::session_affinity::AffinityPolicy;

use super::fault::Fault;
use super::purses::Economy;
use super::spenders;
use super::world::{self, CrashRates, Maker, Manners, Place, Setup, Trouble, World};

/// Which world a seed draws.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scenario {
    /// Everything at random.
    Swarm,
    /// One attempt in ten fails, in any of the ways in which an upstream fails for a moment.
    TenPercent,
    /// The preferred provider is out for a third of the time.
    Outage,
    /// The same, and it says nothing at all: each attempt there costs its whole timeout.
    SilentOutage,
    /// Policy `cost`, and the cheapest is out for a third of the time.
    Cheapest,
    /// Policy `latency`; one of three upstreams is ten times slower than the others.
    OneSlow,
    /// The same; the fastest becomes the slowest.
    Degrading,
    /// The same; the slowest becomes the fastest.
    Recovering,
    /// Clients, providers and the whole have budgets; 64 requests come at once, actors crash, and the process is killed.
    Budgets,
    /// Conversations, one of them busier than the others, and upstreams that cache their prompts.
    Sessions,
    /// The same, and one upstream is out for a third of the time.
    SessionsOutage,
    /// Everything at random, with answers that are kept and shared.
    Kept,
}

impl Scenario {
    pub const ALL: [(Self, &'static str); 12] = [
        (Self::Swarm, "swarm"),
        (Self::TenPercent, "ten-percent"),
        (Self::Outage, "outage"),
        (Self::SilentOutage, "silent-outage"),
        (Self::Cheapest, "cheapest"),
        (Self::OneSlow, "one-slow"),
        (Self::Degrading, "degrading"),
        (Self::Recovering, "recovering"),
        (Self::Budgets, "budgets"),
        (Self::Sessions, "sessions"),
        (Self::SessionsOutage, "sessions-outage"),
        (Self::Kept, "kept"),
    ];

    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(scenario, _)| *scenario == self)
            .map_or("swarm", |(_, name)| name)
    }

    /// Whether it asks how well latencies are known.
    pub fn is_about_latency(self) -> bool {
        matches!(self, Self::OneSlow | Self::Degrading | Self::Recovering)
    }
}

/// Three providers of two keys each in one chain, everything as the program's defaults have it.
pub fn world(setup: Setup, scenario: Scenario) -> World {
    let mut makers: Vec<Maker> = (0..3).map(maker).collect();
    if scenario == Scenario::Budgets {
        return spenders::world(setup);
    }
    let pause = match scenario {
        Scenario::Sessions => Duration::from_millis(60),
        _ => Duration::from_millis(400),
    };
    let horizon = pause * setup.requests;
    let mut rates = Vec::new();
    match scenario {
        Scenario::TenPercent => {
            let kinds = [
                Fault::Error500,
                Fault::BadGateway,
                Fault::Unavailable,
                Fault::Overloaded,
                Fault::ResetBeforeHead,
            ];
            rates = kinds
                .map(|fault| (fault, 0.1 / kinds.len() as f64))
                .to_vec();
        }
        Scenario::Outage | Scenario::SilentOutage => {
            let faults = [Fault::Refused, Fault::Error500, Fault::Unavailable];
            let fault = match scenario {
                Scenario::SilentOutage => Fault::Silent,
                _ => faults[(setup.seed % 3) as usize],
            };
            makers[0].troubles.push(Trouble {
                place: Place::Everywhere,
                from: horizon / 3,
                to: horizon * 2 / 3,
                period: None,
                fault,
            });
        }
        Scenario::Cheapest => {
            // The last two are within the band of each other. The first one is the cheapest by its prompts alone.
            for (maker, input) in makers.iter_mut().zip([500_000, 1_005_000, 1_000_000]) {
                maker.price = Some(Pico::new(input));
            }
            makers[0].output = Some(Pico::new(12_000_000));
            makers[1].troubles.push(Trouble {
                place: Place::Everywhere,
                from: horizon / 3,
                to: horizon * 2 / 3,
                period: None,
                fault: Fault::Unavailable,
            });
        }
        Scenario::OneSlow => makers[0].latency = (1500, 2500),
        Scenario::Degrading => {
            makers[0].latency = (40, 80);
            makers[0].drift.push((horizon / 3, (2000, 3000)));
        }
        Scenario::Recovering => {
            makers[0].latency = (2000, 3000);
            makers[0].drift.push((horizon / 3, (40, 80)));
        }
        Scenario::Sessions => keep_at_keys(&mut makers),
        Scenario::SessionsOutage => {
            keep_at_keys(&mut makers);
            makers[0].troubles.push(Trouble {
                place: Place::Everywhere,
                from: horizon / 3,
                to: horizon * 2 / 3,
                period: None,
                fault: Fault::Unavailable,
            });
        }
        Scenario::Swarm | Scenario::Kept | Scenario::Budgets => {}
    }
    let converses = matches!(scenario, Scenario::Sessions | Scenario::SessionsOutage);
    let entries: Vec<_> = makers.iter().map(world::entry).collect();
    let upstreams = makers.iter().map(|maker| maker.name.to_string());
    let named = |name: &str| Policy::all().find(|policy| policy.name() == name);
    let policy = match scenario {
        Scenario::Cheapest => named("cost"),
        other if other.is_about_latency() => named("latency"),
        _ => None,
    };
    let chain = VirtualEntry {
        policy: policy.unwrap_or_default(),
        affinity: converses.then(AffinityPolicy::default),
        ..VirtualEntry::ordered("smart", upstreams)
    };
    World {
        setup,
        targets: world::built(&entries, &[chain]),
        names: vec!["smart".to_owned()],
        makers,
        policy: DispatchPolicy::default(),
        rates,
        manners: Manners {
            streams: 0.5,
            hang_ups: 0.0,
            slow_readers: 0.0,
            stoppers: 0.0,
            bursts: 0.0,
            short_deadlines: 0.0,
            own_faults: 0.0,
            poison: 0.0,
            pause,
        },
        crashes: CrashRates::default(),
        only_crashes: false,
        reloads: 0.0,
        rescue: None,
        diverges: 0.0,
        listens: false,
        economy: Economy::default(),
        keeping: None,
        virtuals: Vec::new(),
        sessions: if converses { 24 } else { 0 },
        audit_every: world::AUDIT_EVERY,
    }
}

fn keep_at_keys(makers: &mut [Maker]) {
    for maker in makers {
        maker.rotation = KeyRotation::Affinity;
    }
}

/// A plain provider.
pub fn maker(n: u64) -> Maker {
    Maker {
        name: ProviderName::from(format!("p{n}")),
        models: vec![ModelName::from("m0")],
        keys: 2,
        places: 2,
        rotation: KeyRotation::RoundRobin,
        limits: KeyLimits::default(),
        cooldown: CooldownPolicy::default(),
        breaker: BreakerPolicy::default(),
        retry: Arc::new(RetryPolicy::default()),
        timeouts: Timeouts {
            first_byte: Duration::from_secs(10),
            response: Duration::from_secs(10),
            ..Timeouts::default()
        },
        latency: (100, 600),
        gap: 20,
        drift: Vec::new(),
        price: None,
        output: None,
        troubles: Vec::new(),
        prefill: None,
        goes_on: true,
    }
}
