//! What is counted, of one run and of all.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fault::Fault;

#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub seeds: u64,
    pub simulated: Duration,
    pub requests: u64,
    pub attempts: u64,
    /// Requests that came while a whole provider was out, and their attempts.
    pub requests_in_outages: u64,
    pub attempts_in_outages: u64,
    pub left: u64,
    /// The longest from the end of a provider's outage to its first good answer.
    pub back: Duration,
    /// Requests during which everything said was searched for keys, attempts beside others, and at going on with
    /// broken streams.
    pub listened: u64,
    pub races: u64,
    pub rescues: u64,
    pub rescued: u64,
    pub slow_readers: u64,
    /// Clients that stopped reading for good.
    pub stopped: u64,
    pub faults: BTreeMap<Fault, u64>,
    pub endings: BTreeMap<&'static str, u64>,
    pub crashes: BTreeMap<&'static str, u64>,
    pub double_crashes: u64,
    pub reloads: u64,
    /// Lasting troubles of the worlds.
    pub troubles: BTreeMap<&'static str, u64>,
    /// Clients whose request is bad or fails everywhere.
    pub own_faults: BTreeMap<&'static str, u64>,
    pub audits: u64,
    /// Requests that were served.
    pub served: u64,
    /// Requests that were not, although the oracle could have.
    pub missed: u64,
    /// The same, by how they ended.
    pub missed_by: BTreeMap<&'static str, u64>,
    /// Requests that nobody could have served.
    pub hopeless: u64,
    /// Milliseconds that good answers took to begin where requests went first, and would have taken at the fastest.
    pub waited: u64,
    pub fastest: u64,
    /// Attempts at good upstreams and at bad ones.
    pub failed_attempts: u64,
    /// Requests that no budget had room for, those that a budget sent elsewhere, kills of the process that owned the ledger,
    /// and the most that was spent above a hard budget, in thousandths of it.
    pub over_budget: u64,
    pub steered: u64,
    pub kills: u64,
    pub most_over: u64,
    /// Answers whose prompts one upstream alone would have had in its cache, and those that were in the cache.
    pub cacheable: u64,
    pub cached: u64,
    /// First attempts of conversations after an outage, and those at the upstream that they went to before it.
    pub homes: u64,
    pub at_home: u64,
    /// Answers that were kept; requests that were served by these, by such that were out of date, and by others' calls; calls
    /// that several could wait for.
    pub kept: u64,
    pub hits: u64,
    pub stale: u64,
    pub joined: u64,
    pub shared_calls: u64,
    pub violations: u64,
    /// Of the whole trace: the same for the same seed.
    pub hash: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.simulated += other.simulated;
        self.requests += other.requests;
        self.attempts += other.attempts;
        self.requests_in_outages += other.requests_in_outages;
        self.attempts_in_outages += other.attempts_in_outages;
        self.left += other.left;
        self.back = self.back.max(other.back);
        self.listened += other.listened;
        self.races += other.races;
        self.rescues += other.rescues;
        self.rescued += other.rescued;
        self.slow_readers += other.slow_readers;
        self.stopped += other.stopped;
        self.double_crashes += other.double_crashes;
        self.reloads += other.reloads;
        self.audits += other.audits;
        self.served += other.served;
        self.missed += other.missed;
        self.hopeless += other.hopeless;
        self.waited += other.waited;
        self.fastest += other.fastest;
        self.failed_attempts += other.failed_attempts;
        self.over_budget += other.over_budget;
        self.steered += other.steered;
        self.kills += other.kills;
        self.most_over = self.most_over.max(other.most_over);
        self.cacheable += other.cacheable;
        self.cached += other.cached;
        self.homes += other.homes;
        self.at_home += other.at_home;
        self.kept += other.kept;
        self.hits += other.hits;
        self.stale += other.stale;
        self.joined += other.joined;
        self.shared_calls += other.shared_calls;
        self.violations += other.violations;
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        for (into, from) in [
            (&mut self.endings, &other.endings),
            (&mut self.crashes, &other.crashes),
            (&mut self.troubles, &other.troubles),
            (&mut self.own_faults, &other.own_faults),
            (&mut self.missed_by, &other.missed_by),
        ] {
            for (name, count) in from {
                *into.entry(name).or_default() += count;
            }
        }
    }

    /// A request failed that could have been served.
    pub fn missed(&mut self, how: &'static str) {
        self.missed += 1;
        *self.missed_by.entry(how).or_default() += 1;
    }

    /// Failed by us, of all that could have been served.
    pub fn regret(&self) -> f64 {
        self.missed as f64 / (self.served + self.missed).max(1) as f64
    }

    /// How much longer requests waited than at the fastest upstream, as a share of that.
    pub fn latency_regret(&self) -> f64 {
        self.waited as f64 / self.fastest.max(1) as f64 - 1.0
    }

    /// Of the prompts that one upstream would have had in its cache, those that were in one.
    pub fn cached_share(&self) -> f64 {
        self.cached as f64 / self.cacheable.max(1) as f64
    }

    /// Of the conversations that went on after an outage, those that were back where they had been.
    pub fn home_share(&self) -> f64 {
        self.at_home as f64 / self.homes.max(1) as f64
    }

    /// Attempts per request.
    pub fn amplification(&self) -> f64 {
        self.attempts as f64 / self.requests.max(1) as f64
    }

    /// Attempts per request that came while a whole provider was out.
    pub fn amplification_in_outages(&self) -> f64 {
        self.attempts_in_outages as f64 / self.requests_in_outages.max(1) as f64
    }

    /// Attempts per request, when each failed attempt allows for another one.
    pub fn excess(&self) -> f64 {
        self.attempts as f64 / (self.requests + self.failed_attempts).max(1) as f64
    }
}
