//! One process: its keys, what it knows of the fleet, and how the one hears of the other.

use std::time::Duration;

use pointsman::domain::cooldown::CooldownPolicy;
use pointsman::domain::fleet::{
    FactKind, FactReason, FleetEffect, FleetFact, FleetState, FleetSubject,
};
use pointsman::domain::ids::{FleetNode, LeaseId, ModelName};
use pointsman::domain::key_state::{KeyState, Settlement};
use pointsman::domain::limits::{KeyLimits, PacingPolicy};
use pointsman::domain::outcome::Class;
use pointsman::domain::persisted::Fingerprint;
use pointsman::domain::time::Time;

/// A process.
pub struct Node {
    pub state: FleetState,
    pub keys: Vec<KeyState>,
    /// What is tried here first.
    tried: Vec<FleetSubject>,
    /// Its clock, ahead of the true one.
    pub ahead: Duration,
    pub is_alive: bool,
    /// Whether it has a connection.
    pub is_linked: bool,
    /// The timer that is set.
    pub tick_at: Option<Duration>,
    leases: u64,
}

/// Whom the fleet knows a key as.
pub fn owner(key: usize) -> Fingerprint {
    Fingerprint([u8::try_from(key).unwrap_or(u8::MAX); 16])
}

pub fn model() -> ModelName {
    ModelName::from("m")
}

impl Node {
    pub fn new(number: usize, start: usize, keys: usize, ahead: Duration, now: Duration) -> Self {
        let limits = KeyLimits {
            pacing: PacingPolicy {
                learn: false,
                adaptive_concurrency: false,
            },
            ..KeyLimits::default()
        };
        let name = FleetNode::from(format!("n{number}.{start}"));
        let mut state = FleetState::new(name);
        let owners = (0..keys).map(owner).collect();
        state.own(owners, Time::ZERO + now + ahead);
        let key = || KeyState::new(limits, CooldownPolicy::default());
        Self {
            state,
            keys: (0..keys).map(|_| key()).collect(),
            tried: Vec::new(),
            ahead,
            is_alive: true,
            is_linked: false,
            tick_at: None,
            leases: 0,
        }
    }

    /// The true time on its clock.
    pub fn local(&self, now: Duration) -> Time {
        Time::ZERO + now + self.ahead
    }

    /// And back.
    pub fn global(&self, time: Time) -> Duration {
        time.since(Time::ZERO).saturating_sub(self.ahead)
    }

    /// A key for a request, if one is ready.
    pub fn lease(&mut self, first: usize, now: Duration) -> Option<(usize, LeaseId)> {
        let local = self.local(now);
        let count = self.keys.len();
        for at in 0..count {
            let place = (first + at) % count;
            let id = LeaseId(self.leases + 1);
            if self.keys[place].admit(id, &model(), 0, local).is_ok() {
                self.leases += 1;
                return Some((place, id));
            }
        }
        None
    }

    pub fn settle(&mut self, key: usize, lease: LeaseId, refused: Option<Duration>, now: Duration) {
        let local = self.local(now);
        let settlement = Settlement {
            class: if refused.is_some() {
                Class::RateLimited
            } else {
                Class::Success
            },
            retry_after: refused,
            tokens: None,
            counts: true,
        };
        self.keys[key].settle(lease, &settlement, local);
        if refused.is_none() {
            let (mine, rest) = std::mem::take(&mut self.tried)
                .into_iter()
                .partition(|it| it.owner == owner(key));
            self.tried = rest;
            let mine: Vec<FleetSubject> = mine;
            for subject in mine {
                self.state.recovered(&subject, local);
            }
        }
        self.tell(key, local);
    }

    pub fn release(&mut self, key: usize, now: Duration) {
        let local = self.local(now);
        self.keys[key].release();
        self.state.release(owner(key), local);
    }

    fn tell(&mut self, key: usize, local: Time) {
        for (kind, model, operation, until) in self.keys[key].told(local) {
            let subject = FleetSubject {
                owner: owner(key),
                kind,
                model,
                operation,
            };
            self.state.observe(subject, until, local);
        }
    }

    pub fn cooling(&self, key: usize, local: Time) -> Option<Time> {
        let mut all = self.keys[key].cooling_models(local);
        all.next().map(|(_, until)| until)
    }

    /// What was heard; says which law that breaks.
    pub fn hear(
        &mut self,
        facts: Vec<(FleetSubject, FleetFact)>,
        is_all: bool,
        now: Duration,
    ) -> Option<String> {
        let local = self.local(now);
        let effects = if is_all {
            self.state.compare(facts, local)
        } else {
            let heard = facts.into_iter();
            heard
                .flat_map(|(subject, fact)| self.state.hear(subject, fact, local))
                .collect()
        };
        self.carry_out(effects, local)
    }

    pub fn carry_out(&mut self, effects: Vec<FleetEffect>, local: Time) -> Option<String> {
        let mut broken = None;
        for effect in effects {
            match effect {
                FleetEffect::Out { subject, until } => {
                    let key = usize::from(subject.owner.0[0]);
                    let before = self.cooling(key, local);
                    let model = subject.model.as_ref();
                    self.keys[key].heard_out(subject.kind, model, until, local);
                    if self.cooling(key, local) < before {
                        broken = Some(format!("F3: key {key} cools for less time than before"));
                    }
                    self.tell(key, local);
                }
                FleetEffect::End { subject, reason } => {
                    if reason == FactReason::Reported && subject.kind != FactKind::Cooling {
                        broken = Some("F3: ended by a report".to_owned());
                    }
                    let key = usize::from(subject.owner.0[0]);
                    let model = subject.model.as_ref();
                    self.keys[key].heard_end(subject.kind, model, local);
                    self.tell(key, local);
                }
                FleetEffect::Try(subject) => self.tried.push(subject),
            }
        }
        broken
    }
}
