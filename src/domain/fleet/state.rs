//! What a process knows of the fleet, and when it tells what.
//!
//! The fleet's actor owns one of these. Events go in (what a key here did, what was heard), and out come orders for the
//! store and effects for keys and providers here. Nothing in it waits: without a store facts are kept for later.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::fact::{FactKind, FactReason, FleetFact, FleetSubject, SAME_END};
use super::quota::LimitSubject;
use super::quotas::BudgetQuestion;
use super::rank;
use super::share::ShareQuestion;
use crate::domain::ids::FleetNode;
use crate::domain::persisted::Fingerprint;
use crate::domain::time::Time;

/// Changes of one subject within this time are told once.
pub const DEBOUNCE: Duration = Duration::from_millis(50);
/// How often everything is compared with the store, a fifth more or less.
pub const SYNC_EVERY: Duration = Duration::from_secs(30);
/// How often the process says that it is there, a fifth more or less.
pub const BEAT_EVERY: Duration = Duration::from_secs(5);
/// What ends sooner is over before others have heard of it.
pub const BRIEF: Duration = Duration::from_millis(100);
/// So long before the end of a shared absence it is settled who tries first.
pub const CLAIM_AHEAD: Duration = Duration::from_secs(1);
/// A claim is held for so long after that end.
pub const CLAIM_HELD: Duration = Duration::from_secs(2);
/// Facts are remembered for so long after their end, so that the one who tried can say how that went.
pub const LINGER: Duration = Duration::from_secs(10);
/// An early end is remembered for so long at least.
const END_KEPT: Duration = Duration::from_secs(60);
/// What an actor was told it still publishes otherwise for a moment.
const ECHO: Duration = Duration::from_secs(1);
/// Facts in one order.
pub const MOST_AT_ONCE: usize = 64;
/// Facts that are kept.
pub const MOST_FACTS: usize = 4096;

/// What is to be done with the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FleetOrder {
    /// Merge these into it.
    Publish(Vec<(FleetSubject, FleetFact)>),
    /// Read all of it.
    Sync,
    /// Say that this process is there, and read who is.
    Beat,
    /// Ask for leave to try first when this ends, for so long.
    Claim(FleetSubject, Duration),
    /// Ask for shares of limits and parts of budgets, in this round.
    Ask(u64, Vec<(LimitSubject, ShareQuestion)>, Vec<BudgetQuestion>),
}

/// What is to be done here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FleetEffect {
    /// It is out until then, at least; known elsewhere `since` about then.
    Out {
        /// Who, and for what.
        subject: FleetSubject,
        /// Until when.
        until: Time,
    },
    /// What kept it out is over.
    End {
        /// Who, and for what.
        subject: FleetSubject,
        /// Who ended it.
        reason: FactReason,
    },
    /// It is tried here first: its first success is to be told.
    Try(FleetSubject),
}

#[derive(Clone, Debug)]
struct FactRegister {
    fact: FleetFact,
    /// What an actor here publishes of it up to this end comes from here, not from an upstream…
    echo: Time,
    /// …and until then.
    echo_ends: Time,
    /// The end for which a claim was made.
    claimed: Option<Time>,
}

/// Everything that a process knows of its fleet.
#[derive(Clone, Debug)]
pub struct FleetState {
    node: FleetNode,
    registers: BTreeMap<FleetSubject, FactRegister>,
    unsent: BTreeSet<FleetSubject>,
    flush_at: Option<Time>,
    sync_at: Time,
    beat_at: Time,
    is_up: bool,
    nodes: Vec<FleetNode>,
    owners: BTreeSet<Fingerprint>,
}

impl FleetState {
    /// A process that knows nothing yet, and has no store.
    pub fn new(node: FleetNode) -> Self {
        Self {
            node,
            registers: BTreeMap::new(),
            unsent: BTreeSet::new(),
            flush_at: None,
            sync_at: Time::NEVER,
            beat_at: Time::NEVER,
            is_up: false,
            nodes: Vec::new(),
            owners: BTreeSet::new(),
        }
    }

    /// This process.
    #[cfg(feature = "internals")]
    pub fn node(&self) -> &FleetNode {
        &self.node
    }

    /// The processes that were there at the last look, this one among them.
    pub fn nodes(&self) -> &[FleetNode] {
        &self.nodes
    }

    /// What is known and has not been forgotten.
    pub fn facts(&self) -> impl Iterator<Item = (&FleetSubject, &FleetFact)> {
        let all = self.registers.iter();
        all.map(|(subject, register)| (subject, &register.fact))
    }

    /// Facts that the store has not got yet.
    pub fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// The keys and providers here. What is known of new ones follows.
    pub fn own(&mut self, owners: BTreeSet<Fingerprint>, now: Time) -> Vec<FleetEffect> {
        self.owners = owners;
        self.again(now)
    }

    /// The store can be asked.
    pub fn up(&mut self, now: Time) {
        self.is_up = true;
        self.sync_at = now;
        self.beat_at = now;
        if !self.unsent.is_empty() {
            self.flush_at = Some(now);
        }
    }

    /// Everything is compared with the store soon.
    pub fn sync_soon(&mut self, now: Time) {
        self.sync_at = self.sync_at.min(now);
    }

    /// The store cannot be asked; what is known stays.
    pub fn down(&mut self) {
        self.is_up = false;
    }

    /// Who is there.
    pub fn saw(&mut self, nodes: Vec<FleetNode>) {
        self.nodes = nodes;
    }

    /// An actor here publishes that its subject is out until then.
    pub fn observe(&mut self, subject: FleetSubject, until: Time, now: Time) {
        if until <= now + BRIEF || until == Time::NEVER {
            return;
        }
        let mut generation = 0;
        if let Some(known) = self.registers.get(&subject) {
            generation = known.fact.generation;
            let is_told = known.fact.is_running(now) && until <= known.fact.until + SAME_END;
            let is_echo = now < known.echo_ends && until <= known.echo + SAME_END;
            if is_told || is_echo {
                return;
            }
        }
        let fact = FleetFact {
            generation,
            until,
            keep: until + LINGER,
            reason: FactReason::Reported,
            node: self.node.clone(),
        };
        self.tell(subject, fact, now);
    }

    /// What kept it out here was ended early: by an operator, or because a probe was served.
    pub fn end(&mut self, subject: &FleetSubject, reason: FactReason, now: Time) {
        let Some(known) = self.registers.get(subject) else {
            return;
        };
        let known = &known.fact;
        if known.reason != FactReason::Reported {
            return;
        }
        let fact = FleetFact {
            generation: known.generation.saturating_add(1),
            until: now,
            keep: known.until.max(known.keep).max(now + END_KEPT),
            reason,
            node: self.node.clone(),
        };
        self.tell(subject.clone(), fact, now);
    }

    /// A probe was served here. Of a cooldown that counts only when it has ended and this process was to try it first:
    /// otherwise another one may know of a new one.
    pub fn recovered(&mut self, subject: &FleetSubject, now: Time) {
        let Some(known) = self.registers.get(subject) else {
            return;
        };
        let until = known.fact.until;
        let is_tried = known.claimed == Some(until) && until <= now;
        if is_tried || matches!(subject.kind, FactKind::Invalid | FactKind::Opened) {
            self.end(subject, FactReason::Recovered, now);
        }
    }

    /// An operator has released a key or a provider here: nothing that is known of it holds any more.
    pub fn release(&mut self, owner: Fingerprint, now: Time) {
        let of_it = self.registers.keys().filter(|it| it.owner == owner);
        for subject in of_it.cloned().collect::<Vec<_>>() {
            self.end(&subject, FactReason::Released, now);
        }
    }

    fn tell(&mut self, subject: FleetSubject, fact: FleetFact, now: Time) {
        let before = self.registers.get(&subject);
        let (echo, echo_ends) = match fact.reason {
            FactReason::Reported => (Time::ZERO, Time::ZERO),
            // The actor may not have published yet that it is over.
            _ => (before.map_or(now, |it| it.fact.until), now + ECHO),
        };
        let register = FactRegister {
            fact,
            echo,
            echo_ends,
            claimed: None,
        };
        if before.is_none() && !self.has_room(now) {
            return;
        }
        self.registers.insert(subject.clone(), register);
        self.unsent.insert(subject);
        if self.is_up && self.flush_at.is_none() {
            self.flush_at = Some(now + DEBOUNCE);
        }
    }

    fn has_room(&mut self, now: Time) -> bool {
        if self.registers.len() >= MOST_FACTS {
            self.tidy(now);
        }
        self.registers.len() < MOST_FACTS
    }

    fn tidy(&mut self, now: Time) {
        self.registers.retain(|_, it| !it.fact.is_over(now));
        let registers = &self.registers;
        self.unsent
            .retain(|subject| registers.contains_key(subject));
    }

    /// A fact was heard.
    pub fn hear(&mut self, subject: FleetSubject, fact: FleetFact, now: Time) -> Vec<FleetEffect> {
        let mut effects = Vec::new();
        if fact.is_over(now) {
            return effects;
        }
        let is_mine = self.owners.contains(&subject.owner);
        // What nobody needs to know any more stands in nobody's way.
        let known = self.registers.get(&subject).map(|known| &known.fact);
        let known = known.filter(|known| !known.is_over(now));
        if known.is_some_and(|known| !fact.is_news_to(known)) {
            return effects;
        }
        let known = known.map(|known| (known.generation, known.until));
        if known.is_none() && !self.has_room(now) {
            return effects;
        }
        let (before, was_until) = known.unwrap_or((0, Time::ZERO));
        let ends = fact.generation > before;
        let (echo, echo_ends) = if ends {
            (was_until, now + ECHO)
        } else {
            (Time::ZERO, Time::ZERO)
        };
        if is_mine && ends {
            effects.push(FleetEffect::End {
                subject: subject.clone(),
                reason: fact.reason,
            });
        }
        if is_mine && fact.is_running(now) {
            effects.push(FleetEffect::Out {
                subject: subject.clone(),
                until: fact.until,
            });
        }
        // What was to be told of a lower one is said.
        self.unsent.remove(&subject);
        let register = FactRegister {
            fact,
            echo,
            echo_ends,
            claimed: None,
        };
        self.registers.insert(subject, register);
        effects
    }

    /// Everything that the store has. What it lacks is told to it.
    pub fn compare(
        &mut self,
        stored: Vec<(FleetSubject, FleetFact)>,
        now: Time,
    ) -> Vec<FleetEffect> {
        self.tidy(now);
        let mut theirs = BTreeMap::new();
        let mut effects = Vec::new();
        for (subject, fact) in stored {
            effects.append(&mut self.hear(subject.clone(), fact.clone(), now));
            theirs.insert(subject, fact);
        }
        for (subject, known) in &self.registers {
            let stored = theirs.get(subject).filter(|fact| !fact.is_over(now));
            let is_lacking = match stored {
                Some(fact) => known.fact.is_news_to(fact),
                None => known.fact.until > now + SAME_END || known.fact.keep > now + LINGER,
            };
            if is_lacking {
                self.unsent.insert(subject.clone());
            }
        }
        if !self.unsent.is_empty() && self.is_up && self.flush_at.is_none() {
            self.flush_at = Some(now + DEBOUNCE);
        }
        effects.append(&mut self.again(now));
        effects
    }

    /// What is known of keys and providers here, for actors that may have missed it. Hints are not repeated.
    fn again(&self, now: Time) -> Vec<FleetEffect> {
        let mine = self.registers.iter().filter(|(subject, known)| {
            self.owners.contains(&subject.owner)
                && subject.kind != FactKind::Opened
                && known.fact.is_running(now)
        });
        let out = mine.map(|(subject, known)| FleetEffect::Out {
            subject: subject.clone(),
            until: known.fact.until,
        });
        out.collect()
    }

    /// These could not be told: again with the next comparison.
    pub fn failed(&mut self, subjects: impl IntoIterator<Item = FleetSubject>) {
        let registers = &self.registers;
        let known = subjects.into_iter();
        let known = known.filter(|subject| registers.contains_key(subject));
        self.unsent.extend(known);
    }

    /// Whether this process tries first. Whoever does not waits its turn.
    pub fn claimed(&mut self, subject: FleetSubject, is_won: bool, now: Time) -> Vec<FleetEffect> {
        let place = rank::rank(&subject, &self.node, &self.nodes);
        let Some(known) = self.registers.get_mut(&subject) else {
            return Vec::new();
        };
        if known.claimed != Some(known.fact.until) || known.fact.reason != FactReason::Reported {
            // Meanwhile something else is known.
            return Vec::new();
        }
        if is_won {
            return vec![FleetEffect::Try(subject)];
        }
        let until = known.fact.until + rank::delay(place);
        if until <= now {
            return Vec::new();
        }
        known.echo = until;
        known.echo_ends = until;
        vec![FleetEffect::Out { subject, until }]
    }

    /// What is to be asked of the store at `now`. `random` is in 0..1, anew each time.
    pub fn due(&mut self, now: Time, random: f64) -> Vec<FleetOrder> {
        let mut orders = Vec::new();
        if !self.is_up {
            return orders;
        }
        if self.flush_at.is_some_and(|at| at <= now) {
            self.flush_at = None;
            let mut facts = Vec::new();
            while facts.len() < MOST_AT_ONCE
                && let Some(subject) = self.unsent.pop_first()
            {
                let known = self.registers.get(&subject);
                if let Some(known) = known.filter(|known| !known.fact.is_over(now)) {
                    facts.push((subject, known.fact.clone()));
                }
            }
            if !self.unsent.is_empty() {
                self.flush_at = Some(now + DEBOUNCE);
            }
            if !facts.is_empty() {
                orders.push(FleetOrder::Publish(facts));
            }
        }
        let spread = 0.8 + 0.4 * random.clamp(0.0, 1.0);
        if self.beat_at <= now {
            self.beat_at = now + BEAT_EVERY.mul_f64(spread);
            orders.push(FleetOrder::Beat);
        }
        if self.sync_at <= now {
            self.sync_at = now + SYNC_EVERY.mul_f64(spread);
            orders.push(FleetOrder::Sync);
        }
        if self.nodes.len() > 1 {
            for (subject, known) in &mut self.registers {
                let until = known.fact.until;
                let is_ripe = claim_at(until) <= now && now < until;
                let is_open = known.claimed != Some(until);
                if is_ripe
                    && is_open
                    && is_tried(subject.kind)
                    && self.owners.contains(&subject.owner)
                {
                    known.claimed = Some(until);
                    let ttl = until.until(now) + CLAIM_HELD;
                    orders.push(FleetOrder::Claim(subject.clone(), ttl));
                }
            }
        }
        orders
    }

    /// When something is due next.
    pub fn next(&self, now: Time) -> Option<Time> {
        if !self.is_up {
            return None;
        }
        let claims = self.registers.iter().filter_map(|(subject, known)| {
            let until = known.fact.until;
            let wanted = self.nodes.len() > 1
                && until > now
                && known.claimed != Some(until)
                && is_tried(subject.kind)
                && self.owners.contains(&subject.owner);
            wanted.then(|| claim_at(until))
        });
        let all = [Some(self.sync_at), Some(self.beat_at), self.flush_at];
        all.into_iter().flatten().chain(claims).min()
    }
}

fn claim_at(until: Time) -> Time {
    until - CLAIM_AHEAD
}

/// Whether its end is tried by one process first.
const fn is_tried(kind: FactKind) -> bool {
    matches!(
        kind,
        FactKind::Cooling | FactKind::Exhausted | FactKind::Invalid
    )
}

#[cfg(test)]
mod tests;
