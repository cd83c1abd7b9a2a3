//! What every answer of an upstream implies for its health: the simulator's own books.
//!
//! Written from the documentation and not from the code under test, so that both must agree. It is told of each
//! attempt's start and end in the order in which they happen.

use std::collections::VecDeque;
use std::time::Duration;

use pointsman::domain::breaker::BreakerPolicy;
use pointsman::domain::cooldown::{CooldownPolicy, CooldownScope};
use pointsman::domain::outcome::Class;
use pointsman::domain::restart::RestartPolicy;
use pointsman::domain::time::Time;

use super::script::Verdict;
use super::world::{Maker, World};

const MINUTE: Duration = Duration::from_secs(60);
const REPROBE: Duration = Duration::from_secs(300);
const LONGEST_REPROBE: Duration = Duration::from_secs(3600);
const QUOTA: Duration = Duration::from_secs(3600);
const GONE: Duration = Duration::from_secs(600);

/// A span in which nothing may start. What starts at the very moment at which it is extended is not to blame.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub until: Time,
    before: Time,
    since: Time,
    strikes: u32,
}

impl Default for Span {
    fn default() -> Self {
        Self {
            until: Time::ZERO,
            before: Time::ZERO,
            since: Time::NEVER,
            strikes: 0,
        }
    }
}

impl Span {
    fn extend(&mut self, until: Time, now: Time) {
        if self.since != now {
            self.before = self.until;
            self.since = now;
        }
        self.until = self.until.max(until);
    }

    fn limited(&mut self, hint: Option<Duration>, policy: &CooldownPolicy, now: Time) {
        if now >= self.until {
            self.strikes += 1;
        }
        let doubled = policy.default * (1 << self.strikes.saturating_sub(1).min(16));
        self.extend(now + hint.unwrap_or(doubled).min(policy.max), now);
    }

    /// Until when a start at `now` is wrong.
    fn forbids(&self, now: Time) -> Option<Time> {
        let until = if self.since == now {
            self.before
        } else {
            self.until
        };
        (until > now).then_some(until)
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Invalid {
    pub until: Time,
    since: Time,
    span: Duration,
    trial: Option<u32>,
}

#[derive(Clone, Debug, Default)]
pub struct KeyBook {
    pub models: Vec<Span>,
    pub whole: Span,
    pub invalid: Option<Invalid>,
    minute: VecDeque<Time>,
    exits: Exits,
}

/// When an actor crashed of late, and when it was last to begin anew.
#[derive(Clone, Debug, Default)]
pub struct Exits(VecDeque<Time>, Option<Time>);

impl Exits {
    /// One more. Whether so many were close together that the next incarnation may begin anew: what was only counted is
    /// forgotten then (`actors.md`, crashes).
    fn note(&mut self, now: Time) -> bool {
        let policy = RestartPolicy::default();
        self.0.push_back(now);
        self.0.retain(|at| now.since(*at) <= policy.window);
        let anew = self.0.len() > policy.inherited;
        self.1 = Some(now).filter(|_| anew).or(self.1);
        anew
    }

    /// Whether what starts now was admitted before the actor began anew, and is not counted by it.
    fn is_forgotten(&self, now: Time) -> bool {
        self.1 == Some(now)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Breaker {
    Closed(u32),
    Open { until: Time, since: Time },
    Half(Option<u32>),
}

#[derive(Clone, Debug)]
pub struct UpstreamBook {
    pub breaker: Breaker,
    /// When the last probe started.
    probed: Time,
    pub gone: Span,
    successes: Slots,
    failures: Slots,
    first: VecDeque<Time>,
    extra: VecDeque<Time>,
    exits: Exits,
}

/// Counts per tenth of a window; a tenth leaves as a whole.
#[derive(Clone, Debug)]
struct Slots {
    length: u64,
    kept: VecDeque<(u64, u64)>,
}

impl Slots {
    fn new(window: Duration) -> Self {
        Self {
            length: (window.as_nanos() as u64 / 10).max(1),
            kept: VecDeque::new(),
        }
    }

    fn add(&mut self, now: Time) {
        let slot = now.as_nanos() / self.length;
        match self.kept.back_mut() {
            Some((last, count)) if *last == slot => *count += 1,
            _ => self.kept.push_back((slot, 1)),
        }
    }

    fn total(&mut self, now: Time) -> u64 {
        let slot = now.as_nanos() / self.length;
        while self
            .kept
            .front()
            .is_some_and(|(first, _)| first + 10 < slot)
        {
            self.kept.pop_front();
        }
        self.kept.iter().map(|(_, count)| count).sum()
    }
}

#[derive(Clone, Debug)]
pub struct Model {
    pub keys: Vec<Vec<KeyBook>>,
    pub upstreams: Vec<Vec<UpstreamBook>>,
    pub whole: Vec<Span>,
    /// Whether providers may crash: then a breaker may miss an outcome, and is not judged.
    pub lossy_providers: bool,
    pub lossy_keys: bool,
}

/// Where an attempt goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spot {
    pub maker: usize,
    pub key: usize,
    pub model: usize,
}

impl Model {
    pub fn new(world: &World) -> Self {
        let keys = world.makers.iter().map(|maker| {
            let book = KeyBook {
                models: vec![Span::default(); maker.models.len()],
                ..KeyBook::default()
            };
            vec![book; maker.places]
        });
        let upstreams = world.makers.iter().map(|maker| {
            let book = UpstreamBook {
                breaker: Breaker::Closed(0),
                probed: Time::ZERO,
                gone: Span::default(),
                successes: Slots::new(maker.breaker.window),
                failures: Slots::new(maker.breaker.window),
                first: VecDeque::new(),
                extra: VecDeque::new(),
                exits: Exits::default(),
            };
            vec![book; maker.models.len()]
        });
        let crashes = world.crashes;
        Self {
            keys: keys.collect(),
            upstreams: upstreams.collect(),
            whole: vec![Span::default(); world.makers.len()],
            lossy_providers: crashes.provider > 0.0 || crashes.supervisor > 0.0,
            lossy_keys: crashes.key > 0.0 || crashes.supervisor > 0.0,
        }
    }

    /// An actor crashed: `key p0#1` or `provider p0`.
    pub fn crashed(&mut self, actor: &str, now: Time) {
        let name = actor.rsplit(' ').next().unwrap_or_default();
        let (maker, key) = name.split_once('#').unwrap_or((name, ""));
        let Ok(maker) = maker.trim_start_matches('p').parse::<usize>() else {
            return;
        };
        match key.parse::<usize>() {
            Ok(key) => {
                let book = self
                    .keys
                    .get_mut(maker)
                    .and_then(|keys| keys.get_mut(key - 1));
                if let Some(book) = book
                    && book.exits.note(now)
                {
                    book.minute.clear();
                }
            }
            Err(_) => {
                for book in self.upstreams.get_mut(maker).into_iter().flatten() {
                    if book.exits.note(now) {
                        book.first.clear();
                        book.extra.clear();
                    }
                }
            }
        }
    }

    /// Whether the attempt is its breaker's one probe.
    pub fn is_probe(&self, spot: Spot, attempt: u32) -> bool {
        self.upstreams[spot.maker][spot.model].breaker == Breaker::Half(Some(attempt))
    }

    /// An attempt starts: is it allowed?
    pub fn start(
        &mut self,
        spot: Spot,
        attempt: u32,
        maker: &Maker,
        now: Time,
    ) -> Result<(), String> {
        let lossy = self.lossy_providers;
        let provider = self.whole[spot.maker].forbids(now);
        let book = &mut self.keys[spot.maker][spot.key];
        if let Some(until) = book.models[spot.model].forbids(now) {
            return Err(format!("the key cools for this model until {until:?}"));
        }
        if let Some(until) = book.whole.forbids(now) {
            return Err(format!("the key is out until {until:?}"));
        }
        if let Some(until) = provider.filter(|_| !lossy && !self.lossy_keys) {
            return Err(format!("the provider cools until {until:?}"));
        }
        if let Some(invalid) = &mut book.invalid
            && invalid.since < now
        {
            if now < invalid.until {
                return Err(format!("the key is invalid until {:?}", invalid.until));
            }
            if let Some(other) = invalid.trial {
                return Err(format!(
                    "the invalid key is tried by attempt {other} already"
                ));
            }
            invalid.trial = Some(attempt);
        }
        if let Some(rpm) = maker.limits.rpm {
            while book
                .minute
                .front()
                .is_some_and(|first| now.since(*first) >= MINUTE)
            {
                book.minute.pop_front();
            }
            if book.minute.len() as u64 >= rpm {
                return Err(format!("the key had {rpm} requests within the last minute"));
            }
            if !book.exits.is_forgotten(now) {
                book.minute.push_back(now);
            }
        }
        let upstream = &mut self.upstreams[spot.maker][spot.model];
        if lossy {
            return Ok(());
        }
        if let Some(until) = upstream.gone.forbids(now) {
            return Err(format!("the model is gone until {until:?}"));
        }
        match upstream.breaker {
            Breaker::Open { since, until } if since == now && now < until => {}
            Breaker::Open { until, .. } if now < until => {
                return Err(format!("the breaker is open until {until:?}"));
            }
            Breaker::Half(Some(probe)) => {
                return Err(format!(
                    "attempt {probe} probes the half-open breaker already"
                ));
            }
            Breaker::Open { .. } | Breaker::Half(None) => {
                upstream.breaker = Breaker::Half(Some(attempt));
                upstream.probed = now;
            }
            Breaker::Closed(_) => {}
        }
        Ok(())
    }

    /// An attempt starts: is it within the upstream's retry budget? `slack` is the number of first attempts
    /// that the dispatcher may have counted without making them, `crashes` that of attempts that it may have lost.
    pub fn charge(
        &mut self,
        spot: Spot,
        first: bool,
        world: &World,
        (slack, crashes): (u64, u64),
        now: Time,
    ) -> Result<(), String> {
        let book = &mut self.upstreams[spot.maker][spot.model];
        let forget = |queue: &mut VecDeque<Time>, seconds| {
            while queue
                .front()
                .is_some_and(|at| now.since(*at) >= Duration::from_secs(seconds))
            {
                queue.pop_front();
            }
        };
        forget(&mut book.first, 11);
        forget(&mut book.extra, 10);
        if first {
            book.first.push_back(now);
            return Ok(());
        }
        book.extra.push_back(now);
        let policy = world.policy.retry_budget;
        let firsts = book.first.len() as u64 + slack;
        let allowed = (policy.ratio * firsts as f64 + policy.min_per_second * 10.0) as u64;
        let allowed = allowed + crashes;
        if book.extra.len() as u64 > allowed {
            return Err(format!(
                "{} extra attempts within 10 s, {allowed} allowed for {firsts} first ones",
                book.extra.len()
            ));
        }
        Ok(())
    }

    /// The first content of a stream is there: a probe or a trial was good.
    pub fn began(&mut self, spot: Spot, attempt: u32, policy: &BreakerPolicy, now: Time) {
        let key = &mut self.keys[spot.maker][spot.key];
        if key
            .invalid
            .is_some_and(|invalid| invalid.trial == Some(attempt))
        {
            key.invalid = None;
        }
        let upstream = &mut self.upstreams[spot.maker][spot.model];
        if upstream.breaker == Breaker::Half(Some(attempt)) {
            upstream.record(attempt, Some(true), policy, now);
        }
    }

    /// An attempt ended. `counts` says whether a failure counts against anybody's health.
    pub fn end(
        &mut self,
        spot: Spot,
        attempt: u32,
        verdict: Verdict,
        counts: bool,
        maker: &Maker,
        now: Time,
    ) {
        let class = verdict.class;
        let was_trial = self.end_key(spot, attempt, verdict, counts, maker, now);
        debug_assert!(
            !was_trial
                || class != Class::Success
                || self.keys[spot.maker][spot.key].invalid.is_none()
        );
        let upstream = &mut self.upstreams[spot.maker][spot.model];
        let probe = upstream.breaker == Breaker::Half(Some(attempt));
        if class == Class::ModelGone && counts {
            upstream.gone.extend(now + GONE, now);
            if probe {
                upstream.breaker = Breaker::Half(None);
            }
            return;
        }
        let signal = match class {
            Class::Success => Some(true),
            Class::Overloaded
            | Class::Transient
            | Class::Network
            | Class::Timeout
            | Class::Malformed
                if counts || probe =>
            {
                Some(false)
            }
            _ => None,
        };
        upstream.record(attempt, signal, &maker.breaker, now);
    }

    fn end_key(
        &mut self,
        spot: Spot,
        attempt: u32,
        verdict: Verdict,
        counts: bool,
        maker: &Maker,
        now: Time,
    ) -> bool {
        let policy = &maker.cooldown;
        let book = &mut self.keys[spot.maker][spot.key];
        let trial = book
            .invalid
            .is_some_and(|invalid| invalid.trial == Some(attempt));
        if trial && let Some(invalid) = &mut book.invalid {
            invalid.trial = None;
        }
        // Without a word of the upstream the time doubles; a crash may have forgotten in which order.
        let hint = verdict.hint.or(self.lossy_keys.then_some(policy.default));
        match verdict.class {
            Class::Success => {
                book.whole.strikes = 0;
                book.models[spot.model].strikes = 0;
                if trial {
                    book.invalid = None;
                }
            }
            Class::RateLimited => match policy.scope {
                CooldownScope::KeyModel => book.models[spot.model].limited(hint, policy, now),
                CooldownScope::Key => book.whole.limited(hint, policy, now),
                CooldownScope::Provider => {
                    book.whole.limited(hint, policy, now);
                    let until = book.whole.until;
                    self.whole[spot.maker].extend(until, now);
                }
            },
            Class::QuotaExhausted if counts => {
                book.whole.extend(now + verdict.hint.unwrap_or(QUOTA), now);
            }
            Class::InvalidKey if counts || trial => {
                let span = match book.invalid {
                    None => REPROBE,
                    Some(invalid) if trial => (invalid.span * 2).min(LONGEST_REPROBE),
                    Some(_) => return trial,
                };
                book.invalid = Some(Invalid {
                    until: now + span,
                    since: now,
                    span,
                    trial: None,
                });
            }
            _ => {}
        }
        trial
    }

    /// The latest moment at which anything that is known ends.
    pub fn all_well(&self) -> Time {
        let keys = self.keys.iter().flatten();
        let keys = keys.flat_map(|key| {
            let invalid = key.invalid.map_or(Time::ZERO, |invalid| invalid.until);
            key.models
                .iter()
                .map(|span| span.until)
                .chain([key.whole.until, invalid])
        });
        let upstreams = self
            .upstreams
            .iter()
            .flatten()
            .map(|upstream| match upstream.breaker {
                Breaker::Open { until, .. } => until.max(upstream.gone.until),
                _ => upstream.gone.until,
            });
        keys.chain(upstreams).max().unwrap_or(Time::ZERO)
    }
}

/// So long before its start an attempt may have got its lease: no step between them waits, but the clock goes on in
/// milliseconds.
const LEASED_BEFORE: Duration = Duration::from_millis(1);

impl UpstreamBook {
    /// `signal`: served, failed, or nothing.
    fn record(&mut self, attempt: u32, signal: Option<bool>, policy: &BreakerPolicy, now: Time) {
        match signal {
            Some(true) => self.successes.add(now),
            Some(false) => self.failures.add(now),
            None => {}
        }
        let open = Breaker::Open {
            until: now + policy.recovery_time,
            since: now,
        };
        self.breaker = match (self.breaker, signal) {
            (Breaker::Closed(_), Some(true)) => Breaker::Closed(0),
            (Breaker::Closed(row), Some(false)) => {
                let row = row + 1;
                let failures = self.failures.total(now);
                let all = failures + self.successes.total(now);
                let in_a_row = policy.failure_threshold > 0 && row >= policy.failure_threshold;
                let rate = policy.failure_rate > 0.0
                    && all >= u64::from(policy.min_requests.max(1))
                    && failures as f64 / all as f64 >= policy.failure_rate;
                if in_a_row || rate {
                    open
                } else {
                    Breaker::Closed(row)
                }
            }
            (Breaker::Half(Some(probe)), Some(true)) if probe == attempt => {
                self.successes = Slots::new(policy.window);
                self.failures = Slots::new(policy.window);
                Breaker::Closed(0)
            }
            // The dispatcher counts from the probe's lease, these books from the probe's start.
            (Breaker::Half(Some(probe)), Some(false)) if probe == attempt => Breaker::Open {
                until: now.max(self.probed + policy.recovery_time - LEASED_BEFORE),
                since: now,
            },
            (Breaker::Half(Some(probe)), None) if probe == attempt => Breaker::Half(None),
            (other, _) => other,
        };
    }
}
