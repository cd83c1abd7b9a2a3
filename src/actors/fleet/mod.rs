//! The fleet's actor: what processes with the same keys tell each other. See `actors.md`, and `docs/fleet.md` for operators.
//!
//! It stands beside the way of requests: they never wait for it, nor does it wait for its store.

mod quotas;
pub(crate) mod table;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use self::table::{FleetCounters, FleetTable};
use super::expiry_timer::ExpiryTimer;
use super::fault_hook::FaultHook;
use super::fleet_status::{FleetCounts, FleetSnapshot, FleetStatus, KnownFact};
use super::handoff::{OnEnd, Renew, StateHandoff};
use super::message::fleet::{FleetMember, FleetMessage};
use crate::domain::fleet::{
    FleetEffect, FleetFact, FleetNews, FleetOrder, FleetQuotas, FleetState, FleetSubject,
    FleetWord, ToldAbsence,
};
use crate::domain::time::Time;
use crate::runtime::clock::Clock;
use crate::store::fleet::FleetOrders;
use crate::telemetry::events;
use crate::wire::fleet::secret::FleetSecret;

/// Facts that are published for readers.
const MOST_SHOWN: usize = 256;

/// What the fleet's actor owns and leaves to its next incarnation.
#[derive(Debug)]
pub struct FleetCore {
    state: FleetState,
    quotas: FleetQuotas,
    table: Arc<FleetTable>,
    timer: ExpiryTimer,
    is_up: bool,
    trouble: Option<String>,
    since: Time,
    scriptless: Option<String>,
    lag: Option<Duration>,
    heard_at: Option<Time>,
    counts: FleetCounts,
    /// A test has spoilt this state: no message is survived with it.
    #[cfg(test)]
    spoilt: bool,
}

impl OnEnd for FleetCore {}

impl FleetCore {
    pub(crate) fn new(state: FleetState, quotas: FleetQuotas) -> Self {
        Self {
            state,
            quotas,
            table: Arc::default(),
            timer: ExpiryTimer::default(),
            is_up: false,
            trouble: None,
            since: Time::ZERO,
            scriptless: None,
            lag: None,
            heard_at: None,
            counts: FleetCounts::default(),
            #[cfg(test)]
            spoilt: false,
        }
    }
}

/// The fixed part of the fleet's actor.
#[derive(Clone)]
pub(crate) struct FleetActor {
    pub(crate) status: Arc<FleetStatus>,
    /// What the supervisor wrote last.
    pub(crate) table: Arc<ArcSwap<FleetTable>>,
    /// What the process wrote last.
    pub(crate) counters: Arc<ArcSwap<FleetCounters>>,
    pub(crate) secret: FleetSecret,
    pub(crate) orders: FleetOrders,
    pub(crate) clock: Clock,
    pub(crate) fault_hook: FaultHook,
}

impl Actor for FleetActor {
    type Msg = FleetMessage;
    type State = StateHandoff<FleetCore>;
    type Arguments = StateHandoff<FleetCore>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        mut handoff: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        if let Some(core) = handoff.get_mut() {
            // Timers end with their incarnation, and so does what waited in its mailbox: everybody says it again.
            core.timer = ExpiryTimer::default();
            core.table = self.table.load_full();
            core.table.send_all(&FleetWord::Tell);
            core.state.sync_soon(self.clock.now());
            self.set_alarm(core, &myself);
        }
        Ok(handoff)
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        handoff: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if !matches!(message, FleetMessage::Tick(_)) {
            self.status.mailbox.taken();
        }
        self.fault_hook.fire("fleet", message.name());
        let Some(core) = handoff.get_mut() else {
            return Ok(());
        };
        #[cfg(test)]
        self.fault_hook.spoil("fleet", &mut core.spoilt);
        let now = self.clock.now();
        // What follows from these is published with the answer of the store.
        let is_count = matches!(message, FleetMessage::Used(..) | FleetMessage::Spent(_));
        match message {
            FleetMessage::Told(member, told) => Self::told(core, &member, told, now),
            FleetMessage::Released(member) => {
                if let Some(owner) = core.table.owner(&member) {
                    core.state.release(owner, now);
                }
            }
            FleetMessage::Recovered(member, kind, model) => {
                if let Some(owner) = core.table.owner(&member) {
                    let subject = FleetSubject {
                        owner,
                        kind,
                        model,
                        operation: None,
                    };
                    core.state.recovered(&subject, now);
                }
            }
            FleetMessage::Used(key, uses) => self.used(core, key, uses, now),
            FleetMessage::Spent(uses) => self.spent(core, uses),
            FleetMessage::Configured => {
                core.table = self.table.load_full();
                let effects = core.state.own(core.table.owners(), now);
                Self::carry_out(core, effects);
                core.table.send_all(&FleetWord::Tell);
            }
            FleetMessage::News(news) => self.heard(core, news, now),
            // It is looked below what is due.
            FleetMessage::Tick(at) => drop(core.timer.fired(at)),
        }
        for order in core.state.due(now, fastrand::f64()) {
            self.order(core, order);
        }
        self.ask_for_shares(core, now);
        if !is_count {
            self.publish(core);
        }
        self.set_alarm(core, &myself);
        Ok(())
    }
}

impl FleetActor {
    fn told(core: &mut FleetCore, member: &FleetMember, told: Vec<ToldAbsence>, now: Time) {
        let Some(owner) = core.table.owner(member) else {
            return;
        };
        for (kind, model, operation, until) in told {
            let subject = FleetSubject {
                owner,
                kind,
                model,
                operation,
            };
            core.state.observe(subject, until, now);
        }
    }

    fn heard(&self, core: &mut FleetCore, news: FleetNews, now: Time) {
        match news {
            FleetNews::Up => {
                core.state.up(now);
                let effects = core.quotas.up(now);
                self.give(effects, core, now);
                core.heard_at = Some(now);
                let before = std::mem::replace(&mut core.is_up, true);
                let was_told = core.trouble.take().is_some();
                if !before {
                    core.since = now;
                    events::fleet_there(&self.status.server, was_told);
                }
            }
            FleetNews::Down(why) => {
                core.state.down();
                let effects = core.quotas.down(now);
                self.give(effects, core, now);
                let before = std::mem::replace(&mut core.is_up, false);
                if before || core.trouble.is_none() {
                    core.since = now;
                    events::fleet_lost(&self.status.server, &why);
                }
                core.trouble = Some(why);
            }
            FleetNews::Listening => core.state.sync_soon(now),
            FleetNews::Heard(facts, lag) => {
                core.lag = Some(lag);
                core.heard_at = Some(now);
                for (subject, fact) in facts {
                    if fact.node != self.status.node {
                        core.counts.heard += 1;
                    }
                    let effects = core.state.hear(subject, fact, now);
                    Self::carry_out(core, effects);
                }
            }
            FleetNews::Stored(facts) => {
                core.heard_at = Some(now);
                let effects = core.state.compare(facts, now);
                Self::carry_out(core, effects);
            }
            FleetNews::NotSent(subjects) => core.state.failed(subjects),
            FleetNews::Sent(count) => {
                core.heard_at = Some(now);
                core.counts.sent += count;
            }
            FleetNews::Ignored(count) => core.counts.ignored += count,
            FleetNews::Nodes(nodes) => {
                core.heard_at = Some(now);
                let effects = core.quotas.saw(&nodes, now);
                self.give(effects, core, now);
                core.state.saw(nodes);
            }
            FleetNews::Claimed(subject, is_won) => {
                let effects = core.state.claimed(subject, is_won, now);
                Self::carry_out(core, effects);
            }
            FleetNews::Shares(answers) => {
                core.heard_at = Some(now);
                let effects = core.quotas.answered(answers, now);
                self.give(effects, core, now);
            }
            FleetNews::Scriptless(words) => {
                let effects = core.quotas.scriptless(now);
                self.give(effects, core, now);
                events::fleet_without_scripts(&self.status.server, &words);
                core.scriptless = Some(words);
            }
        }
    }

    fn carry_out(core: &mut FleetCore, effects: Vec<FleetEffect>) {
        for effect in effects {
            let (owner, word) = match effect {
                FleetEffect::Out { subject, until } => (
                    subject.owner,
                    FleetWord::Out(subject.kind, subject.model, subject.operation, until),
                ),
                FleetEffect::End { subject, .. } => (
                    subject.owner,
                    FleetWord::End(subject.kind, subject.model, subject.operation),
                ),
                FleetEffect::Try(subject) => {
                    (subject.owner, FleetWord::Try(subject.kind, subject.model))
                }
            };
            core.table.send(owner, &word);
        }
    }

    /// With too many orders waiting this one is left out: its facts are told later, the rest comes round again.
    fn order(&self, core: &mut FleetCore, order: FleetOrder) {
        if let Err(FleetOrder::Publish(facts)) = self.orders.send(order) {
            let subjects = facts.into_iter().map(|(subject, _)| subject);
            core.state.failed(subjects);
        }
    }

    fn publish(&self, core: &FleetCore) {
        let facts = core.state.facts().take(MOST_SHOWN);
        let known = |(subject, fact): (&FleetSubject, &FleetFact)| KnownFact {
            member: core.table.member(subject.owner).cloned(),
            kind: subject.kind,
            model: subject.model.clone(),
            until: fact.until,
            generation: fact.generation,
            reason: fact.reason,
            node: fact.node.clone(),
        };
        self.status.publish(FleetSnapshot {
            is_up: core.is_up,
            trouble: core.trouble.clone(),
            since: core.since,
            scriptless: core.scriptless.clone(),
            nodes: core.state.nodes().to_vec(),
            facts: facts.map(known).collect(),
            known: core.state.facts().count(),
            lag: core.lag,
            heard_at: core.heard_at,
            unsent: core.state.unsent(),
            limits: core.quotas.limits().take(MOST_SHOWN).collect(),
            budgets: core.quotas.budgets().take(MOST_SHOWN).collect(),
            counts: core.counts,
        });
    }

    fn set_alarm(&self, core: &mut FleetCore, myself: &ActorRef<FleetMessage>) {
        let now = self.clock.now();
        let quotas = core.quotas.next();
        let next = core.state.next(now).map_or(quotas, |next| next.min(quotas));
        // What is due already is so with the next turn.
        let next = next.max(now + Duration::from_millis(1));
        if let Some(next) = core.timer.next([next].into_iter(), now) {
            let wait = next.until(now);
            drop(myself.send_after(wait, move || FleetMessage::Tick(next)));
        }
    }
}

impl Renew<FleetCore> for FleetActor {
    /// It begins as a new process does: the store and the actors here know everything.
    fn renewed(&self, left: FleetCore) -> FleetCore {
        let now = self.clock.now();
        let mut state = FleetState::new(self.status.node.clone());
        let table = self.table.load_full();
        state.own(table.owners(), now);
        let policy = left.quotas.policy();
        let node = self.status.node.clone();
        let mut quotas = FleetQuotas::new(node, policy, now).after(&left.quotas);
        if left.is_up {
            state.up(now);
            quotas.up(now);
        }
        FleetCore {
            is_up: left.is_up,
            since: left.since,
            ..FleetCore::new(state, quotas)
        }
    }
}
