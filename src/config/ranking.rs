//! How a virtual provider ranks its upstreams: its policy with settings, and how it keeps conversations together.

use config::ValueKind;

use super::cel::CelScoreForm;
use super::describe::{Describe, Shape};
use super::read::{ConfigNode, FromNode, Report, section};
use super::values::{Amount, Fraction, PositiveSpan, Span, choice};
use super::zone::ZoneForm;
use crate::domain::hint_fields::DataPolicy;
use crate::domain::policy::{
    CostPolicy, Latency, ParamsUnit, Policy, Score, ScoreWeights, Signal, Unpriced, Weighted,
    WeightedBy,
};
use crate::domain::score_expression::CustomScore;
use crate::domain::session_affinity::{AffinityBy, AffinityPolicy};
use crate::domain::spill::Spill;
use crate::domain::zone::Zone;

/// A key whose value is one of the words of `$type::ALL`.
macro_rules! words {
    ($($type:ty),*) => {$(
        impl FromNode for $type {
            fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
                choice(node, &Self::ALL.map(|one| (one.as_str(), one)), report)
            }
        }

        impl Describe for $type {
            fn shape() -> Shape {
                Shape::choice(Self::ALL.map(Self::as_str))
            }
        }
    )*};
}

words!(
    WeightedBy, Unpriced, Signal, ParamsUnit, AffinityBy, DataPolicy
);

/// The name of a policy.
pub(super) struct PolicyKind(Policy);

impl FromNode for PolicyKind {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let all: Vec<Policy> = Policy::all().collect();
        let names = all.iter().enumerate();
        let names: Vec<_> = names.map(|(at, policy)| (policy.name(), at)).collect();
        let at = choice(node, &names, report)?;
        all.into_iter().nth(at).map(Self)
    }
}

impl Describe for PolicyKind {
    fn shape() -> Shape {
        Shape::choice(Policy::all().map(|policy| policy.name()))
    }
}

section! {
    /// `llm.virtual[].policy`
    PolicyTable {
        /// The policy. The other keys are settings of one policy each.
        kind: PolicyKind = required,
        /// `weighted`: whether the weights are the configured ones (`weight`), or one divided by the square of what the
        /// request is expected to cost (`inverse_square_price`). Default: `weight`.
        by: WeightedBy,
        /// `cost`: prices that differ by no more than this part count as equal, default 0.01; `latency`: the same for loads,
        /// default 0.1.
        band: Fraction,
        /// `cost`: whether upstreams without a price come `last`, or are left out (`exclude`). Default: `last`.
        unpriced: Unpriced,
        /// `latency`: what is measured: `first_token` (of whole answers the whole time), `per_token` or `total`. Default:
        /// `first_token`.
        signal: Signal,
        /// `latency`: in this time a latency loses all but 37 % of its weight; of several policies over one upstream the
        /// shortest counts. Default: `10s`.
        decay: PositiveSpan,
        /// `latency`: what an upstream counts as that has not answered yet, while requests wait for it. Default: `1s`.
        start: Span,
        /// `score`: what each part of a score counts.
        weights: WeightsTable,
        /// `score`: whether `m` in a model's name is a thousandth of `b` (`corrected`), or counts as much (`seed`). Default:
        /// `corrected`.
        params_unit: ParamsUnit,
        /// `score`: a file with a map of names and scores from 0 to 1 in JSON, relative to this file.
        leaderboard: String,
        /// `score`: a file with groups of patterns and the points that models get whose names fit, in YAML, relative to
        /// this file.
        adjustments: String,
        /// `score`: an expression in the Common Expression Language whose number is the score, in place of all of this
        /// (`docs/routing.md`), where the program was built with the feature `cel`.
        cel: CelScoreForm,
        /// `score`: where the times of day of `cel` are: a name such as `Europe/Berlin`. Default: `UTC`.
        timezone: ZoneForm,
    }
}

section! {
    /// `llm.virtual[].policy.weights`
    WeightsTable {
        /// For a place on the leaderboard, 0 to 1. Default: 100.
        leaderboard: Amount,
        /// For each billion of parameters. Default: 100 divided by 405.
        params: Amount,
        /// For each token of the context window. Default: 0.00005.
        context: Amount,
        /// For each point of adjustments. Default: 2.
        adjustment: Amount,
    }
}

/// `llm.virtual[].policy`: a word, or a section.
pub(super) struct PolicyForm {
    /// All but what is in files.
    pub policy: Policy,
    /// The file of a leaderboard, and that of adjustments.
    pub files: Option<ScoreFiles>,
}

/// What a score takes from files.
pub(super) struct ScoreFiles {
    pub score: Score,
    pub leaderboard: Option<String>,
    pub adjustments: Option<String>,
}

impl FromNode for PolicyForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        if !matches!(node.value.kind, ValueKind::Table(_)) {
            let PolicyKind(policy) = PolicyKind::read(node, report)?;
            return Some(Self {
                policy,
                files: None,
            });
        }
        let before = report.problems.len();
        let table = PolicyTable::read(node, report)?;
        let Some(PolicyKind(policy)) = &table.kind else {
            // A wrong name has been reported already.
            return match report.problems.len() > before {
                true => None,
                false => node.reject("needs a kind", "write {kind: latency, decay: 10s}", report),
            };
        };
        for (key, kinds, is_there) in table.keys() {
            if is_there && !kinds.contains(&policy.name()) {
                let message = format!("policy {} has no `{key}`", policy.name());
                let suggestion = format!("it belongs to {}", kinds.join(" and "));
                node.reject::<()>(message, &suggestion, report);
            }
        }
        if let Some(key) = table.key_of_formula().filter(|_| table.cel.is_some()) {
            let message = format!("`cel` stands in place of `{key}`");
            node.reject::<()>(message, "leave out one of them", report);
        }
        if table.timezone.is_some() && table.cel.is_none() {
            node.reject::<()>("`timezone` is that of `cel`", "leave it out", report);
        }
        Some(table.policy())
    }
}

impl PolicyTable {
    /// Each key but `kind`, the policies that it belongs to, and whether it is there.
    fn keys(&self) -> [(&'static str, &'static [&'static str], bool); 12] {
        [
            ("by", &["weighted"], self.by.is_some()),
            ("band", &["cost", "latency"], self.band.is_some()),
            ("unpriced", &["cost"], self.unpriced.is_some()),
            ("signal", &["latency"], self.signal.is_some()),
            ("decay", &["latency"], self.decay.is_some()),
            ("start", &["latency"], self.start.is_some()),
            ("weights", &["score"], self.weights.is_some()),
            ("params_unit", &["score"], self.params_unit.is_some()),
            ("leaderboard", &["score"], self.leaderboard.is_some()),
            ("adjustments", &["score"], self.adjustments.is_some()),
            ("cel", &["score"], self.cel.is_some()),
            ("timezone", &["score"], self.timezone.is_some()),
        ]
    }

    /// The first key that says how a score is made without an expression.
    fn key_of_formula(&self) -> Option<&'static str> {
        const OF_EXPRESSIONS: [&str; 2] = ["cel", "timezone"];
        let keys = self.keys().into_iter();
        let mut formula = keys.filter(|(key, kinds, is_there)| {
            *is_there && kinds.contains(&"score") && !OF_EXPRESSIONS.contains(key)
        });
        formula.next().map(|(key, ..)| key)
    }

    fn policy(self) -> PolicyForm {
        let kind = self.kind.map(|PolicyKind(policy)| policy);
        let kind = kind.unwrap_or_default();
        let mut files = None;
        let policy = match kind.name() {
            "weighted" => Policy::new(Weighted {
                by: self.by.unwrap_or_default(),
            }),
            "cost" => {
                let usual = CostPolicy::default();
                Policy::new(CostPolicy {
                    band: self.band.map_or(usual.band, millionths),
                    unpriced: self.unpriced.unwrap_or_default(),
                })
            }
            "latency" => {
                let usual = Latency::default();
                Policy::new(Latency {
                    signal: self.signal.unwrap_or_default(),
                    decay: self.decay.map_or(usual.decay, |PositiveSpan(span)| span),
                    start: self.start.map_or(usual.start, |Span(span)| span),
                    band: self.band.map_or(usual.band, millionths),
                })
            }
            "score" if self.cel.is_some() => {
                let zone = self.timezone.map(|ZoneForm(zone)| zone);
                let own = self.cel.map(|CelScoreForm(expression)| CustomScore {
                    expression,
                    zone: zone.unwrap_or_else(Zone::utc),
                });
                own.map_or(kind, |own| Policy::new(Score::by(own)))
            }
            "score" => {
                let weights = self.weights.map(weights).unwrap_or_default();
                let score = Score::new(weights, self.params_unit.unwrap_or_default());
                files = Some(ScoreFiles {
                    score: score.clone(),
                    leaderboard: self.leaderboard,
                    adjustments: self.adjustments,
                });
                Policy::new(score)
            }
            _ => kind,
        };
        PolicyForm { policy, files }
    }
}

fn weights(raw: WeightsTable) -> ScoreWeights {
    let usual = ScoreWeights::default();
    let or = |typed: Option<Amount>, usual| typed.map_or(usual, |Amount(amount)| amount);
    ScoreWeights {
        leaderboard: or(raw.leaderboard, usual.leaderboard),
        params: or(raw.params, usual.params),
        context: or(raw.context, usual.context),
        adjustment: or(raw.adjustment, usual.adjustment),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share is 0 to 1, and a number in the configuration below what saturates"
)]
fn millionths(Fraction(share): Fraction) -> u32 {
    (share * 1e6).round() as u32
}

impl Describe for PolicyForm {
    fn shape() -> Shape {
        PolicyKind::shape().or(PolicyTable::shape())
    }
}

section! {
    /// `llm.virtual[].spill`
    SpillTable {
        /// What a healthy part counts: with 1.4 a tier keeps everything until more than 28 % of its keys are out. Default 1.4.
        overprovisioning: Amount,
        /// A tier below this healthy part is in panic when all tiers together cannot take everything: if all are, each gets
        /// its share by the number of its keys. Default 0.5.
        panic: Fraction,
    }
}

/// `llm.virtual[].spill`: whether at all, or a section.
pub(super) struct SpillForm(pub Option<Spill>);

impl FromNode for SpillForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        if !matches!(node.value.kind, ValueKind::Table(_)) {
            let spills = bool::read(node, report)?;
            return Some(Self(spills.then(Spill::default)));
        }
        let table = SpillTable::read(node, report)?;
        let usual = Spill::default();
        let hundredths = |Amount(amount): Amount| millionths(Fraction(amount)) / 10_000;
        Some(Self(Some(Spill {
            overprovisioning: table
                .overprovisioning
                .map_or(usual.overprovisioning, hundredths),
            panic: table
                .panic
                .map_or(usual.panic, |part| millionths(part) / 10_000),
        })))
    }
}

impl Describe for SpillForm {
    fn shape() -> Shape {
        bool::shape().or(SpillTable::shape())
    }
}

/// `llm.virtual[].hints`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HintsForm {
    Off,
    OpenRouter,
}

impl HintsForm {
    const ALL: [Self; 2] = [Self::Off, Self::OpenRouter];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Off => OFF,
            Self::OpenRouter => "openrouter",
        }
    }
}

impl FromNode for HintsForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        // YAML's `off`.
        if node.value.kind == ValueKind::Boolean(false) {
            return Some(Self::Off);
        }
        choice(node, &Self::ALL.map(|one| (one.as_str(), one)), report)
    }
}

impl Describe for HintsForm {
    fn shape() -> Shape {
        Shape::choice(Self::ALL.map(Self::as_str))
    }
}

section! {
    /// `llm.virtual[].affinity`
    AffinityTable {
        /// By what a conversation is known: `auto` (`x-pointsman-affinity`, `session_id`, `prompt_cache_key`,
        /// `x-session-id`, `x-grok-conv-id`, else the beginning of its prompt), `header` (such headers alone) or `user` (the
        /// user that the request names, else its client). Default `auto`.
        by: AffinityBy,
        /// How many times its share of the requests in flight an upstream takes before the next one has to; at least 1.
        /// Default 1.25.
        bound: Amount,
        /// After so long without a request nothing of a conversation is in a cache any more: an upstream that has its share
        /// already does not take it then. Default `1h`.
        ttl: Span,
    }
}

/// `llm.virtual[].affinity`: `off`, by what alone, or a section.
pub(super) struct AffinityForm(pub Option<AffinityPolicy>);

const OFF: &str = "off";

impl FromNode for AffinityForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let usual = AffinityPolicy::default();
        if !matches!(node.value.kind, ValueKind::Table(_)) {
            if node.value.kind == ValueKind::Boolean(false) {
                return Some(Self(None));
            }
            let mut words = vec![(OFF, None)];
            words.extend(AffinityBy::ALL.map(|by| (by.as_str(), Some(by))));
            let by = choice(node, &words, report)?;
            return Some(Self(by.map(|by| AffinityPolicy { by, ..usual })));
        }
        let table = AffinityTable::read(node, report)?;
        let bound = table.bound.map_or(usual.bound, |Amount(bound)| bound);
        if bound < 1.0 {
            let suggestion = "write 1.25 to allow a quarter more than its share";
            return node.reject("bound is below 1", suggestion, report);
        }
        Some(Self(Some(AffinityPolicy {
            by: table.by.unwrap_or_default(),
            bound,
            ttl: table.ttl.map_or(usual.ttl, |Span(ttl)| ttl),
        })))
    }
}

impl Describe for AffinityForm {
    fn shape() -> Shape {
        let words = [OFF]
            .into_iter()
            .chain(AffinityBy::ALL.map(AffinityBy::as_str));
        Shape::choice(words).or(AffinityTable::shape())
    }
}
