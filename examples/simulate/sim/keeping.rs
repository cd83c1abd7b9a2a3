//! Answers that are kept and shared: what a seed draws of that, what requests say of it, and, by `docs/cache.md`, which
//! requests are equal.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use pointsman::domain::caching::{CachePolicy, CacheRules, CacheScope, CacheTable, CacheWhen};

use super::asked::Slot;
use super::dice::{Dice, mix};
use super::plan::Plan;
use super::purses;
use super::world::World;

/// What a world draws.
#[derive(Clone, Debug)]
pub struct KeepingPlan {
    /// Before any reload.
    pub first: Keeping,
    /// So many questions are asked again and again.
    questions: u64,
    /// Requests that ask one of these.
    repeats: f64,
    /// Those that come right behind another one, because many ask at once.
    together: f64,
    /// Requests that say something of kept answers.
    words: f64,
    /// Requests of one of so many clients.
    clients: u64,
    /// Reloads that change something of it.
    pub changes: f64,
    /// Looks that find nothing because there was no room.
    pub evicts: f64,
    /// Answers that did not end by themselves.
    pub unended: f64,
}

/// What one configuration says.
#[derive(Clone, Debug)]
pub struct Keeping {
    pub usual: CachePolicy,
    /// Makers' own words.
    own: Vec<Option<CacheRules>>,
    pub coalesce: bool,
    /// Of each maker's address.
    pub versions: Vec<u64>,
    /// Makers that fill in temperature 0.
    pub zeros: Vec<bool>,
    /// The store, and the table of calls: another one after there was none.
    pub store: u64,
    pub calls: u64,
}

/// What a request says of kept answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    NoStore,
    Off,
    NoCache,
    OnlyIfCached,
    MaxAge(u64),
    MinFresh(u64),
    Force,
}

/// What a request asks.
#[derive(Clone, Debug)]
pub struct Question {
    text: u64,
    seed: Option<u64>,
    temperature: Option<&'static str>,
    /// Wants token counts behind a stream.
    pub usage: bool,
    /// Writes its members in another order.
    turned: bool,
    pub word: Option<Word>,
}

/// What holds for one request, by the documentation.
#[derive(Clone, Debug)]
pub struct Standing {
    /// What its answer is found by.
    pub key: String,
    /// The form of its answer: a whole one, or a stream with or without token counts.
    pub form: Option<bool>,
    pub policy: CachePolicy,
    /// Kept answers may serve it, and its own be kept, where that is on.
    pub looked: bool,
    /// Equal requests under way may serve it, and it others.
    pub shared: bool,
    pub word: Option<Word>,
    pub store: u64,
    pub calls: u64,
}

impl KeepingPlan {
    pub fn draw(makers: usize, dice: &mut Dice) -> Self {
        let seconds = Duration::from_secs;
        let usual = CachePolicy {
            enabled: dice.chance(0.85),
            ttl: dice.pick(&[2, 10, 30, 300].map(seconds)),
            max_entry: dice.pick(&[1024 * 1024, 1024 * 1024, 280]),
            when: dice.pick(&[CacheWhen::Deterministic, CacheWhen::Always]),
            scope: scope(dice),
            stale_if_error: dice.pick(&[0, 5, 60].map(seconds)),
            tokens_per_second: None,
        };
        let mut first = Keeping {
            usual,
            own: vec![None; makers],
            coalesce: dice.chance(0.7),
            versions: vec![0; makers],
            zeros: (0..makers).map(|_| dice.chance(0.2)).collect(),
            store: 0,
            calls: 0,
        };
        for maker in 0..makers {
            if dice.chance(0.1) {
                first.own[maker] = own(dice);
            }
        }
        Self {
            first,
            questions: dice.pick(&[1, 3, 10]),
            repeats: dice.pick(&[0.3, 0.7, 0.95]),
            together: dice.pick(&[0.0, 0.3, 0.7]),
            words: dice.pick(&[0.0, 0.1, 0.3]),
            clients: dice.pick(&[0, 1, 3]),
            changes: dice.pick(&[0.0, 0.3]),
            evicts: dice.pick(&[0.0, 0.0, 0.1]),
            unended: dice.pick(&[0.0, 0.1]),
        }
    }

    /// Who may ask.
    pub fn clients(&self) -> u64 {
        self.clients
    }

    /// Whether equal requests may be one call at any time.
    pub fn may_coalesce(&self) -> bool {
        self.first.coalesce || self.changes > 0.0
    }
}

fn scope(dice: &mut Dice) -> CacheScope {
    dice.pick(&[
        CacheScope::Client,
        CacheScope::Client,
        CacheScope::Shared,
        CacheScope::Label("team".into()),
    ])
}

fn own(dice: &mut Dice) -> Option<CacheRules> {
    let off = CacheRules {
        enabled: Some(false),
        ..CacheRules::default()
    };
    let short = CacheRules {
        ttl: Some(Duration::from_secs(1)),
        ..CacheRules::default()
    };
    dice.pick(&[None, Some(off), Some(short)])
}

impl Keeping {
    /// What the program is told.
    pub fn table(&self, world: &World) -> CacheTable {
        let own = world.makers.iter().zip(&self.own);
        let own = own.filter_map(|(maker, rules)| {
            let policy = self.usual.with(rules.as_ref()?);
            Some((maker.name.clone(), policy))
        });
        CacheTable {
            max_size: 256 * 1024 * 1024,
            coalesce: self.coalesce,
            usual: self.usual.clone(),
            virtuals: BTreeMap::new(),
            providers: own.collect(),
            ..CacheTable::default()
        }
    }

    pub fn keeps(&self) -> bool {
        self.usual.enabled || (0..self.own.len()).any(|maker| self.of(maker).0)
    }

    /// Whether a maker's answers are kept, and for how long.
    fn of(&self, maker: usize) -> (bool, Duration) {
        let own = self.own.get(maker).and_then(Option::as_ref);
        own.map_or((self.usual.enabled, self.usual.ttl), |rules| {
            let ttl = rules.ttl.unwrap_or(self.usual.ttl);
            (rules.enabled.unwrap_or(true), ttl)
        })
    }

    /// A reload changes something.
    pub fn change(&mut self, dice: &mut Dice) {
        let (kept, shared) = (self.keeps(), self.coalesce);
        let maker = dice.below(self.versions.len() as u64) as usize;
        match dice.below(8) {
            0 => self.usual.ttl = dice.pick(&[1, 5, 60].map(Duration::from_secs)),
            1 => self.usual.stale_if_error = dice.pick(&[0, 5, 60].map(Duration::from_secs)),
            2 => self.usual.scope = scope(dice),
            3 => self.usual.enabled = !self.usual.enabled,
            4 => self.coalesce = !self.coalesce,
            5 => self.versions[maker] += 1,
            6 => self.zeros[maker] = !self.zeros[maker],
            _ => self.own[maker] = own(dice),
        }
        self.store += u64::from(!kept && self.keeps());
        self.calls += u64::from(!shared && self.coalesce);
    }

    /// What holds for a request of these upstreams.
    pub fn standing(&self, plan: &Plan, slots: &[Slot]) -> Option<Standing> {
        let asks = plan.asks.as_ref()?;
        let mut policy = self.usual.clone();
        let own = slots.iter().map(|slot| self.of(slot.maker));
        for (n, (enabled, ttl)) in own.enumerate() {
            policy.enabled = enabled && (n == 0 || policy.enabled);
            policy.ttl = if n == 0 { ttl } else { ttl.min(policy.ttl) };
        }
        let scope = match &policy.scope {
            CacheScope::Client => format!("client {:?}", plan.client.map(purses::name)),
            other => format!("{other:?}"),
        };
        let word = asks.word;
        let forced = word == Some(Word::Force) && policy.scope == CacheScope::Client;
        let temperature = asks.temperature.map(|text| match text {
            "0" | "0.0" | "0e0" => "0",
            other => other,
        });
        let deterministic = match temperature {
            Some(temperature) => temperature == "0",
            None => slots.iter().all(|slot| self.zeros[slot.maker]),
        };
        let looked = !matches!(word, Some(Word::NoStore | Word::Off))
            && (policy.when == CacheWhen::Always || forced || deterministic);
        let apart = matches!(word, Some(Word::NoCache | Word::OnlyIfCached));
        let upstreams = slots.iter().map(|slot| {
            let (version, zero) = (self.versions[slot.maker], self.zeros[slot.maker]);
            (slot.maker, slot.model, version, zero)
        });
        let upstreams: BTreeSet<_> = upstreams.collect();
        Some(Standing {
            key: format!(
                "{scope} {} {upstreams:?} {} {:?} {temperature:?} {:?} {:?}",
                plan.name, asks.text, asks.seed, plan.max_tokens, plan.session
            ),
            form: plan.stream.then_some(asks.usage),
            policy,
            looked,
            shared: looked && self.coalesce && !apart,
            word,
            store: self.store,
            calls: self.calls,
        })
    }
}

impl Question {
    /// That of client number `index`, and whether others ask it too.
    fn draw(keeping: &KeepingPlan, index: u32, dice: &mut Dice) -> (Self, bool) {
        let repeats = dice.chance(keeping.repeats);
        let text = match repeats {
            true if dice.chance(0.5) => 0,
            true => dice.below(keeping.questions),
            false => 1_000_000 + u64::from(index),
        };
        let word = match dice.below(8) {
            0 => Word::NoStore,
            1 => Word::Off,
            2 | 3 => Word::NoCache,
            4 => Word::OnlyIfCached,
            5 => Word::MaxAge(dice.pick(&[0, 1, 5, 20])),
            6 => Word::MinFresh(dice.pick(&[0, 1, 5, 20])),
            _ => Word::Force,
        };
        let temperatures = ["0", "0", "0", "0.0", "0e0", "0.7"].map(Some);
        let question = Self {
            text,
            seed: dice.chance(0.15).then(|| dice.below(2)),
            temperature: match dice.chance(0.15) {
                true => None,
                false => dice.pick(&temperatures),
            },
            usage: dice.chance(0.3),
            turned: dice.chance(0.3),
            word: dice.chance(keeping.words).then_some(word),
        };
        (question, repeats)
    }

    /// The members of the body that are asked for, without the last comma.
    pub fn members(&self, number: u32, stream: bool) -> String {
        let mut parts = vec![format!(
            r#""messages":[{{"role":"user","content":"hello {}"}}]"#,
            self.text
        )];
        if let Some(seed) = self.seed {
            parts.push(format!(r#""seed":{seed}"#));
        }
        if let Some(temperature) = self.temperature {
            parts.push(format!(r#""temperature":{temperature}"#));
        }
        if stream && self.usage {
            parts.push(r#""stream_options":{"include_usage":true}"#.to_owned());
        }
        if self.turned {
            parts.push(format!(r#""metadata":{{"n":"{number}"}}"#));
            parts.reverse();
        }
        parts.join(",")
    }

    /// What it says in its headers.
    pub fn headers(&self) -> HeaderMap {
        let own = HeaderName::from_static("x-pointsman-cache");
        let (name, value) = match self.word {
            None => return HeaderMap::new(),
            Some(Word::Off) => (own, "off".to_owned()),
            Some(Word::Force) => (own, "force".to_owned()),
            Some(Word::NoStore) => (header::CACHE_CONTROL, "no-store".to_owned()),
            Some(Word::NoCache) => (header::CACHE_CONTROL, "no-cache".to_owned()),
            Some(Word::OnlyIfCached) => (header::CACHE_CONTROL, "only-if-cached".to_owned()),
            Some(Word::MaxAge(n)) => (header::CACHE_CONTROL, format!("max-age={n}")),
            Some(Word::MinFresh(n)) => (header::CACHE_CONTROL, format!("min-fresh={n}")),
        };
        let value = HeaderValue::try_from(value);
        value
            .into_iter()
            .map(|value| (name.clone(), value))
            .collect()
    }

    /// A question that nobody else asks, and that means nothing special.
    pub fn plain() -> Self {
        Self {
            text: u64::MAX,
            seed: None,
            temperature: None,
            usage: false,
            turned: false,
            word: Some(Word::NoStore),
        }
    }
}

impl Plan {
    /// What it asks where answers are kept, of dice of their own.
    pub(super) fn asks(&mut self, world: &World, index: u32) {
        let Some(keeping) = &world.keeping else {
            return;
        };
        let seed = world.setup.seed;
        let dice = &mut Dice::of(&[seed, 18, u64::from(index)]);
        let (question, repeats) = Question::draw(keeping, index, dice);
        if repeats {
            (self.session, self.max_tokens) = (None, None);
            // Whoever asks the same asks it of the same target, most often in the same form.
            let names = &world.names;
            self.name.clone_from(
                &names[(mix(&[seed, 19, question.text]) % names.len() as u64) as usize],
            );
            if dice.chance(0.7) {
                self.stream = mix(&[seed, 20, question.text]).is_multiple_of(2)
                    && world.manners.streams > 0.0;
            }
            if dice.chance(keeping.together) {
                self.pause = dice.millis(0, 2);
            }
        }
        if world.economy.budgets.is_empty() {
            self.client = (keeping.clients > 0).then(|| dice.below(keeping.clients));
            self.answer = dice.between(1, 60);
        }
        self.asks = Some(question);
    }
}

impl Standing {
    /// Whether both are one call while one of them is under way.
    pub fn is_equal(&self, other: &Self) -> bool {
        self.shared
            && other.shared
            && self.calls == other.calls
            && self.form == other.form
            && self.key == other.key
    }

    /// Whether an answer of that age that serves for `ttl` serves this request.
    pub fn takes(&self, age: Duration, ttl: Duration) -> bool {
        let ttl = ttl.min(self.policy.ttl);
        age < ttl
            && match self.word {
                Some(Word::MaxAge(most)) => age <= Duration::from_secs(most),
                Some(Word::MinFresh(least)) => ttl - age >= Duration::from_secs(least),
                Some(Word::NoCache | Word::NoStore | Word::Off) => false,
                _ => true,
            }
    }
}
