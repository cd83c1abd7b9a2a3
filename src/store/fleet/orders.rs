//! The task that carries orders out, one after the other, each within its limit. What could not be done is said; nothing is
//! tried again by itself.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::mpsc;

use super::keys::{AWAY_MS, BEAT, FORGET_MS, FieldParts, LOG, MERGE, SWEEP, millis, parts, value};
use super::parts::{ANSWER, StoreOrder, StoreParts};
use super::script::{ScriptRunner, forbids_scripts};
use super::shares::{self, Questions};
use crate::domain::fleet::quotas::BudgetQuestion;
use crate::domain::fleet::{FleetFact, FleetNews, FleetOrder, FleetSubject};
use crate::domain::time::Time;
use crate::store::valkey::link::{Link, LinkFault};
use crate::wire::fleet::record::FleetRecord;

/// A store that was not there after this is told of as one that is lost.
const FIRST: Duration = Duration::from_secs(3);
/// Fields that are removed at once.
const SWEPT: usize = 64;
/// A fact is kept in the store for so long after nobody needs it.
const SPARE_MS: u64 = 60_000;

pub(super) async fn carry_out(
    store: StoreParts,
    link: Link,
    mut orders: mpsc::Receiver<StoreOrder>,
) {
    let mut task = OrderTask {
        store,
        link,
        is_up: false,
        scripts: true,
        runner: ScriptRunner::new(ANSWER),
        clock: None,
    };
    let mut first = Some(Box::pin(tokio::time::sleep(FIRST)));
    loop {
        let is_up = task.is_up;
        tokio::select! {
            order = orders.recv() => match order {
                Some(StoreOrder::Do(order)) => task.carry_out(order).await,
                Some(StoreOrder::Leave(claims, reply)) => {
                    task.leave(claims).await;
                    // The one who asked may have stopped waiting.
                    let _ = reply.send(());
                }
                None => return,
            },
            () = task.link.becomes(!is_up) => {
                first = None;
                task.turned(!is_up);
            }
            () = waited(&mut first) => {
                first = None;
                task.turned(false);
            }
        }
    }
}

async fn waited(first: &mut Option<std::pin::Pin<Box<tokio::time::Sleep>>>) {
    match first {
        Some(sleep) => sleep.as_mut().await,
        None => std::future::pending().await,
    }
}

struct OrderTask {
    store: StoreParts,
    link: Link,
    is_up: bool,
    /// Scripts were not refused.
    scripts: bool,
    runner: ScriptRunner,
    /// The server's clock in ms, and when it showed that here.
    clock: Option<(u64, Time)>,
}

impl OrderTask {
    fn turned(&mut self, is_up: bool) {
        self.is_up = is_up;
        if is_up {
            // Another server, or other rights.
            self.scripts = true;
            self.runner.reconnected();
            self.clock = None;
            self.store.tell(FleetNews::Up);
        } else {
            let why = self.link.trouble();
            let why = why.unwrap_or_else(|| "the connection has ended".to_owned());
            self.store.tell(FleetNews::Down(why));
        }
    }

    async fn carry_out(&mut self, order: FleetOrder) {
        let before = self.link.counts().timeouts;
        self.do_it(order).await;
        // A server that is frozen is known to be so at once, not after as many orders.
        while self.link.counts().timeouts > before && self.link.is_up() {
            let mut ping = redis::pipe();
            ping.cmd("PING").ignore();
            if self.link.ask::<()>(&ping, ANSWER).await.is_ok() {
                break;
            }
        }
    }

    async fn do_it(&mut self, order: FleetOrder) {
        match order {
            FleetOrder::Publish(facts) => self.publish(facts).await,
            FleetOrder::Sync => self.sync().await,
            FleetOrder::Beat => self.beat().await,
            FleetOrder::Claim(subject, ttl) => self.claim(subject, ttl).await,
            FleetOrder::Ask(round, shares, claims) => {
                self.ask(Questions {
                    round,
                    shares,
                    claims,
                })
                .await;
            }
        }
    }

    /// Whether this refusal is about scripts; then facts are written without them from now on.
    fn is_scriptless(&mut self, fault: &LinkFault) -> bool {
        let LinkFault::Refused(words) = fault else {
            return false;
        };
        let is_about_scripts = forbids_scripts(words);
        if is_about_scripts && self.scripts {
            self.scripts = false;
            self.store.tell(FleetNews::Scriptless(words.clone()));
        }
        is_about_scripts
    }

    async fn publish(&mut self, facts: Vec<(FleetSubject, FleetFact)>) {
        let now = self.store.now();
        let records: Vec<_> = facts
            .iter()
            .filter_map(|(subject, fact)| {
                let record = FleetRecord::of(subject, fact, now)?;
                let bytes = record.encode(&self.store.secret);
                Some((self.store.secret.field(subject), record, bytes))
            })
            .collect();
        if records.is_empty() {
            return;
        }
        let sent = if self.scripts {
            let merged = self.merge(&records).await;
            match merged {
                Err(fault) if self.is_scriptless(&fault) => self.write(&records).await,
                other => other,
            }
        } else {
            self.write(&records).await
        };
        match sent {
            Ok(()) => {
                let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
                self.store.tell(FleetNews::Sent(count));
            }
            Err(_) => {
                let subjects = facts.into_iter().map(|(subject, _)| subject);
                self.store.tell(FleetNews::NotSent(subjects.collect()));
            }
        }
    }

    async fn merge(&mut self, records: &[(String, FleetRecord, Vec<u8>)]) -> Result<(), LinkFault> {
        let keys = &self.store.keys;
        let mut call = MERGE.call(2);
        call.arg(&keys.facts).arg(&keys.log).arg(LOG).arg(FORGET_MS);
        call.arg(self.server_now().unwrap_or(0));
        for (field, record, bytes) in records {
            call.arg(field).arg(record.generation);
            call.arg(whole(record.left)).arg(whole(record.keep));
            call.arg(&bytes[..]);
        }
        let _told: i64 = self.runner.run(&self.link, call).await?;
        Ok(())
    }

    /// Without scripts: readers merge.
    async fn write(&self, records: &[(String, FleetRecord, Vec<u8>)]) -> Result<(), LinkFault> {
        let now = self.server_time().await?;
        let keys = &self.store.keys;
        let mut commands = redis::pipe();
        for (field, record, bytes) in records {
            let ends = now.saturating_add(whole(record.left));
            let keeps = now.saturating_add(whole(record.left.max(record.keep)));
            let value = value(record.generation, ends, keeps, bytes);
            let hset = commands.cmd("HSET").arg(&keys.facts).arg(field);
            hset.arg(value).ignore();
            let xadd = commands.cmd("XADD").arg(&keys.log);
            let xadd = xadd.arg("MAXLEN").arg("~").arg(LOG).arg("*");
            xadd.arg("r").arg(&bytes[..]).ignore();
        }
        self.link.ask::<()>(&commands, ANSWER).await
    }

    /// The server's clock, as far as it is known.
    fn server_now(&self) -> Option<u64> {
        let (then, at) = self.clock?;
        Some(then.saturating_add(whole(self.store.now().since(at))))
    }

    async fn server_time(&self) -> Result<u64, LinkFault> {
        let mut commands = redis::pipe();
        commands.cmd("TIME");
        let [time] = self.link.ask::<[(u64, u64); 1]>(&commands, ANSWER).await?;
        Ok(millis(time))
    }

    /// Reads everything, and removes what nobody needs any more.
    async fn sync(&mut self) {
        let keys = &self.store.keys;
        let mut commands = redis::pipe();
        commands.cmd("HGETALL").arg(&keys.facts).cmd("TIME");
        type FactFields = HashMap<Vec<u8>, Vec<u8>>;
        let read = self
            .link
            .ask::<(FactFields, (u64, u64))>(&commands, ANSWER)
            .await;
        let Ok((fields, time)) = read else {
            return;
        };
        let now = millis(time);
        self.clock = Some((now, self.store.now()));
        let (mut facts, mut over, mut ignored) = (Vec::new(), Vec::new(), 0u64);
        for (field, bytes) in fields {
            let Some(FieldParts {
                ends,
                keeps,
                record,
            }) = parts(&bytes)
            else {
                ignored += 1;
                continue;
            };
            let Ok(record) = FleetRecord::decode(record, &self.store.secret) else {
                ignored += 1;
                continue;
            };
            if self.store.secret.field(&record.subject).as_bytes() != field {
                ignored += 1;
                continue;
            }
            let written = ends.saturating_sub(whole(record.left));
            let age = now.saturating_sub(written);
            if now > keeps.saturating_add(SPARE_MS) && over.len() < SWEPT {
                over.push((field, bytes));
                continue;
            }
            let age = Duration::from_millis(age);
            let fact = record.fact(age, self.store.now());
            facts.push((record.subject, fact));
        }
        if ignored > 0 {
            self.store.tell(FleetNews::Ignored(ignored));
        }
        self.store.tell(FleetNews::Stored(facts));
        if !over.is_empty() {
            self.sweep(over).await;
        }
    }

    async fn sweep(&mut self, over: Vec<(Vec<u8>, Vec<u8>)>) {
        let facts = &self.store.keys.facts;
        if self.scripts {
            let mut call = SWEEP.call(1);
            call.arg(facts);
            for (field, value) in &over {
                call.arg(field).arg(value);
            }
            // What stays is removed another time.
            let _ = self.runner.run::<i64>(&self.link, call).await;
            return;
        }
        let mut commands = redis::pipe();
        let hdel = commands.cmd("HDEL").arg(facts);
        for (field, _) in &over {
            hdel.arg(field);
        }
        // Likewise.
        let _ = self.link.ask::<[i64; 1]>(&commands, ANSWER).await;
    }

    async fn beat(&mut self) {
        let member = self.store.secret.member(&self.store.node);
        let nodes = &self.store.keys.nodes;
        let mut read = None;
        if self.scripts {
            let mut call = BEAT.call(1);
            call.arg(nodes).arg(&member).arg(AWAY_MS);
            match self.runner.run(&self.link, call).await {
                Ok(members) => read = Some(members),
                Err(fault) if self.is_scriptless(&fault) => {}
                Err(_) => return,
            }
        }
        if !self.scripts {
            read = self.beat_plainly(&member).await;
        }
        let Some(members) = read else { return };
        let known: Vec<_> = members
            .iter()
            .filter_map(|member| self.store.secret.node(member))
            .collect();
        self.store.tell(FleetNews::Nodes(known));
    }

    async fn beat_plainly(&self, member: &str) -> Option<Vec<String>> {
        let now = self.server_time().await.ok()?;
        let nodes = &self.store.keys.nodes;
        let mut commands = redis::pipe();
        commands
            .cmd("ZADD")
            .arg(nodes)
            .arg(now)
            .arg(member)
            .ignore();
        let gone = now.saturating_sub(AWAY_MS);
        let trim = commands.cmd("ZREMRANGEBYSCORE").arg(nodes);
        trim.arg("-inf").arg(gone).ignore();
        commands.cmd("ZRANGE").arg(nodes).arg(0).arg(-1);
        let read = self.link.ask::<[Vec<String>; 1]>(&commands, ANSWER).await;
        let [members] = read.ok()?;
        Some(members)
    }

    async fn claim(&mut self, subject: FleetSubject, ttl: Duration) {
        let keys = &self.store.keys;
        let name = format!("{}{}", keys.probe, self.store.secret.field(&subject));
        let mut commands = redis::pipe();
        let set = commands.cmd("SET").arg(name).arg(self.store.node.as_str());
        set.arg("NX").arg("PX").arg(whole(ttl).max(1));
        let asked = self
            .link
            .ask::<[Option<String>; 1]>(&commands, ANSWER)
            .await;
        // Without an answer everybody tries, as without a fleet.
        if let Ok([answer]) = asked {
            let is_won = answer.is_some();
            self.store.tell(FleetNews::Claimed(subject, is_won));
        }
    }

    /// Shares that are not told end by themselves.
    async fn ask(&mut self, questions: Questions) {
        if !self.scripts {
            return;
        }
        let StoreParts {
            keys, secret, node, ..
        } = &self.store;
        let asked = shares::ask(
            (&mut self.runner, &self.link),
            keys,
            secret,
            node,
            &questions,
        );
        match asked.await {
            Ok(answers) => self.store.tell(FleetNews::Shares(answers)),
            Err(fault) => {
                self.is_scriptless(&fault);
            }
        }
    }

    async fn leave(&mut self, claims: Vec<BudgetQuestion>) {
        if !claims.is_empty() {
            let shares = Vec::new();
            self.ask(Questions {
                round: 0,
                shares,
                claims,
            })
            .await;
        }
        let member = self.store.secret.member(&self.store.node);
        let mut commands = redis::pipe();
        commands.cmd("ZREM").arg(&self.store.keys.nodes).arg(member);
        // Otherwise it is gone after its silence.
        let _ = self.link.ask::<[i64; 1]>(&commands, ANSWER).await;
    }
}

fn whole(span: Duration) -> u64 {
    // What a script reckons with stays exact in a double.
    u64::try_from(span.as_millis())
        .unwrap_or(u64::MAX)
        .min(1 << 50)
}
