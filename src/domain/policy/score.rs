//! `score`: by a number for each upstream, made of its model's place on a leaderboard, the parameters in its name, its
//! context window and adjustments by name, times its provider's `base_priority`; highest first. What is not above 0 is
//! left out. An expression may stand in place of the formula.
//!
//! The formula and its constants are those of LLM Gateway ("BEST"), which some of Pointsman's users come from. Its reading
//! of parameters takes millions for billions; `params_unit: seed` does the same.

use std::fmt;
use std::sync::Arc;

use super::routing::{Chance, Figure, MemberFacts, Needs, RoutingPolicy, Scores, number, sorted};
use crate::domain::hash_map::HashMap;
use crate::domain::ids::{ModelName, Upstream};
use crate::domain::score_expression::CustomScore;
use crate::domain::unmet::Unmet;

/// What each part of a score counts.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ScoreWeights {
    /// For a leaderboard's 0 to 1.
    pub leaderboard: f64,
    /// For each billion of parameters.
    pub params: f64,
    /// For each token of the context window.
    pub context: f64,
    /// For each point of adjustments.
    pub adjustment: f64,
}

impl Default for ScoreWeights {
    fn default() -> Self {
        Self {
            leaderboard: 100.0,
            params: 100.0 / 405.0,
            context: 100.0 / 2_000_000.0,
            adjustment: 2.0,
        }
    }
}

/// How numbers of parameters in names are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ParamsUnit {
    /// `m` is a thousandth of `b`.
    #[default]
    Corrected,
    /// `m` counts as `b`.
    Seed,
}

impl ParamsUnit {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Corrected, Self::Seed];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Corrected => "corrected",
            Self::Seed => "seed",
        }
    }
}

/// The points that a model gets by its name.
pub type Adjust = Arc<dyn Fn(&str) -> f64 + Send + Sync>;

/// The settings of `score`.
#[derive(Clone, Default)]
pub struct Score {
    /// What each part counts.
    pub weights: ScoreWeights,
    /// How parameters are read.
    pub unit: ParamsUnit,
    /// Rows of a leaderboard, 0 to 1 each, in small letters.
    pub leaderboard: Arc<[(String, f64)]>,
    /// Points by name; `None`: no model gets any.
    pub adjust: Option<Adjust>,
    /// An expression in place of the formula.
    pub own: Option<CustomScore>,
    /// The part of the score that depends on the model's name alone, for models that are known.
    named: HashMap<ModelName, f64>,
}

impl fmt::Debug for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Score")
            .field("weights", &self.weights)
            .field("unit", &self.unit)
            .field("leaderboard", &self.leaderboard.len())
            .finish_non_exhaustive()
    }
}

impl Score {
    /// A score of these parts, without files.
    pub fn new(weights: ScoreWeights, unit: ParamsUnit) -> Self {
        Self {
            weights,
            unit,
            ..Self::default()
        }
    }

    fn of_name(&self, model: &str) -> f64 {
        let points = self.adjust.as_ref().map_or(0.0, |adjust| adjust(model));
        self.mean_of_rows(model) * self.weights.leaderboard
            + params(model, self.unit) * self.weights.params
            + points * self.weights.adjustment
    }

    /// A score that this expression gives.
    pub fn by(own: CustomScore) -> Self {
        Self {
            own: Some(own),
            ..Self::default()
        }
    }

    /// The mean of the leaderboard's rows whose names contain that of the model.
    fn mean_of_rows(&self, model: &str) -> f64 {
        let model = model.to_lowercase();
        let rows = self.leaderboard.iter();
        let rows = rows.filter(|(name, _)| !model.is_empty() && name.contains(&model));
        let (sum, count) = rows.fold((0.0, 0u32), |(sum, count), (_, score)| {
            (sum + score, count + 1)
        });
        sum / f64::from(count.max(1))
    }
}

impl Scores for Score {
    fn score(&self, model: &ModelName, context_window: Option<u64>, base_priority: f64) -> f64 {
        let named = self.named.get(model).copied();
        let named = named.unwrap_or_else(|| self.of_name(model.as_str()));
        (named + number(context_window.unwrap_or(0)) * self.weights.context) * base_priority
    }
}

impl RoutingPolicy for Score {
    fn name(&self) -> &'static str {
        "score"
    }

    fn settings(&self) -> String {
        let mut all: Vec<String> = self.own.iter().map(ToString::to_string).collect();
        let (own, usual) = (self.weights, ScoreWeights::default());
        if own != usual {
            all.push(format!(
                "weights: {} {} {} {}",
                own.leaderboard, own.params, own.context, own.adjustment
            ));
        }
        if self.unit != ParamsUnit::default() {
            all.push(format!("params_unit: {}", self.unit.as_str()));
        }
        if !self.leaderboard.is_empty() {
            all.push(format!("leaderboard: {} rows", self.leaderboard.len()));
        }
        all.join(", ")
    }

    fn needs(&self) -> Needs<'_> {
        match &self.own {
            Some(own) => Needs::Expression(own),
            None => Needs::Score(self),
        }
    }

    fn prepared(&self, upstreams: &[Upstream]) -> Option<Arc<dyn RoutingPolicy>> {
        if self.own.is_some() {
            return None;
        }
        let models = upstreams.iter().map(|upstream| &upstream.model);
        let named = models.map(|model| (model.clone(), self.of_name(model.as_str())));
        Some(Arc::new(Self {
            named: named.collect(),
            ..self.clone()
        }))
    }

    fn excludes(&self, member: &MemberFacts) -> Option<Unmet> {
        match member.score {
            score if score.is_nan() => Some(Unmet::ScoreFailed),
            score => (score <= 0.0).then_some(Unmet::Score),
        }
    }

    fn figure(&self, member: &MemberFacts) -> Option<Figure> {
        Some(Figure::Score(member.score))
    }

    fn rank(&self, members: &[MemberFacts], _: &mut Chance<'_>) -> Vec<usize> {
        let key = |place: usize| members.get(place).map_or(0.0, |member| member.score);
        sorted(members.len(), key, |a, b| b.total_cmp(a))
    }
}

/// Billions of parameters by a model's name: the first `-70b`, plus the first `8x7b` multiplied. A number with a point is
/// none.
fn params(model: &str, unit: ParamsUnit) -> f64 {
    let bytes = model.as_bytes();
    let plain = (0..bytes.len())
        .filter(|at| bytes.get(*at) == Some(&b'-'))
        .find_map(|at| sized(bytes, at + 1, unit));
    let product = (0..bytes.len()).filter(|at| bytes.get(*at) == Some(&b'x'));
    let product = product.filter_map(|at| {
        let before = bytes.get(..at)?;
        let digits = before.iter().rev().take_while(|byte| byte.is_ascii_digit());
        let start = at - digits.count();
        let experts = digits_of(bytes.get(start..at)?)?;
        Some(experts * sized(bytes, at + 1, unit)?)
    });
    plain.unwrap_or(0.0) + product.into_iter().next().unwrap_or(0.0)
}

/// The number at this place, if a unit follows it at once.
fn sized(bytes: &[u8], at: usize, unit: ParamsUnit) -> Option<f64> {
    let rest = bytes.get(at..)?;
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let digits = digits_of(rest.get(..count)?)?;
    match (rest.get(count)?, unit) {
        (b'b' | b'B', _) | (b'm' | b'M', ParamsUnit::Seed) => Some(digits),
        (b'm' | b'M', ParamsUnit::Corrected) => Some(digits / 1000.0),
        _ => None,
    }
}

fn digits_of(digits: &[u8]) -> Option<f64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(model: &str, context: u64, base: f64, points: f64) -> f64 {
        let adjust: Adjust = Arc::new(move |_: &str| points);
        let policy = Score {
            adjust: Some(adjust),
            leaderboard: [("openai/gpt-4o-2024".to_owned(), 0.8)].into(),
            ..Score::default()
        };
        policy.score(&model.into(), Some(context), base)
    }

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
    }

    #[test]
    fn scores_are_those_of_the_formula() {
        near(score("mixtral-8x7b-32768", 32_768, 1.0, 0.0), 15.4656);
        near(
            score("llama-3.3-70b-versatile", 131_072, 1.0, 20.0),
            63.8376,
        );
        near(score("foo-8x22b-70b", 0, 2.0, 0.0), 121.4815);
        near(score("x-1.5b", 1000, 1.0, 0.0), 0.05);
        near(score("bert-110m", 512, 1.0, 0.0), 0.0528);
        near(score("gpt-4o", 128_000, 0.5, 0.0), 43.2);
        near(score("gpt-4o", 128_000, 0.5, -40.0), 3.2);
        let seed = Score {
            unit: ParamsUnit::Seed,
            ..Score::default()
        };
        near(seed.score(&"bert-110m".into(), Some(512), 1.0), 27.1861);
    }

    #[test]
    fn prepared_scores_are_the_same() {
        let policy = Score::default();
        let upstreams = ["llama-3.3-70b", "mixtral-8x7b"].map(|model| Upstream::new("p", model));
        let prepared = policy.prepared(&upstreams).unwrap();
        let Needs::Score(prepared) = prepared.needs() else {
            panic!("it ranks by scores");
        };
        for Upstream { model, .. } in &upstreams {
            near(
                prepared.score(model, Some(9), 1.5),
                policy.score(model, Some(9), 1.5),
            );
        }
    }

    #[test]
    fn the_highest_score_comes_first_and_none_above_zero_is_left_out() {
        let facts = |score| MemberFacts {
            score,
            ..MemberFacts::default()
        };
        let policy = Score::default();
        let mut draw = || 0.0;
        let mut chance = Chance {
            turn: 0,
            draw: &mut draw,
        };
        let members = [facts(1.0), facts(3.0), facts(3.0), facts(2.0)];
        assert_eq!(policy.rank(&members, &mut chance), [1, 2, 3, 0]);
        assert_eq!(policy.excludes(&facts(0.0)), Some(Unmet::Score));
        assert_eq!(policy.excludes(&facts(-1.0)), Some(Unmet::Score));
        assert_eq!(policy.excludes(&facts(0.1)), None);
        assert_eq!(policy.excludes(&facts(f64::NAN)), Some(Unmet::ScoreFailed));
        near(score("gpt-4o", 128_000, 0.5, -50.0), -6.8);
    }

    #[test]
    fn parameters_are_read_from_any_name() {
        let read = |name| params(name, ParamsUnit::Corrected);
        for (name, billions) in [
            ("llama-70b", 70.0),
            ("Llama-3.1-405B-instruct", 405.0),
            ("a-8x22B", 176.0),
            ("qwen-2-7b-13b", 7.0),
            ("gemma", 0.0),
            ("-", 0.0),
            ("x", 0.0),
            ("é-7b", 7.0),
            ("7b", 0.0),
        ] {
            near(read(name), billions);
        }
    }
}
