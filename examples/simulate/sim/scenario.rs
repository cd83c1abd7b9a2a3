//! The named scenarios: one question each, asked of a plain world.

use std::sync::Arc;
use std::time::Duration;

use pointsman::domain::breaker::BreakerPolicy;
use pointsman::domain::chain::VirtualEntry;
use pointsman::domain::cooldown::CooldownPolicy;
use pointsman::domain::ids::{ModelName, ProviderName};
use pointsman::domain::limits::{DispatchPolicy, KeyLimits, RetryPolicy, Timeouts};
use pointsman::domain::rotation::KeyRotation;

use super::fault::Fault;
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
}

impl Scenario {
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Swarm, "swarm"),
        (Self::TenPercent, "ten-percent"),
        (Self::Outage, "outage"),
        (Self::SilentOutage, "silent-outage"),
    ];

    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(scenario, _)| *scenario == self)
            .map_or("swarm", |(_, name)| name)
    }
}

/// Three providers of two keys each in one chain, everything as the program's defaults have it.
pub fn world(setup: Setup, scenario: Scenario) -> World {
    let mut makers: Vec<Maker> = (0..3).map(maker).collect();
    let pause = Duration::from_millis(400);
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
        Scenario::Swarm => {}
    }
    let entries: Vec<_> = makers.iter().map(world::entry).collect();
    let upstreams = makers.iter().map(|maker| maker.name.to_string());
    let chain = VirtualEntry::ordered("smart", upstreams);
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
    }
}

fn maker(n: u64) -> Maker {
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
        troubles: Vec::new(),
        prefill: None,
        goes_on: true,
    }
}
