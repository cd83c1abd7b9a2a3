//! Why a request went where it went: how its targets ranked their members, what was left out of its chain, and what budgets
//! reserved. Kept with the record of the request; there is none where nothing of this was decided, which costs nothing. No
//! I/O, no clock, no logging.

use std::fmt::Write as _;

use super::budget::BudgetStanding;
use super::chain::Chain;
use super::ids::Upstream;
use super::money::Pico;
use super::policy::Figure;
use super::refusal::Reason;
use super::target::{Ranking, RankingStep};

/// So many targets are kept of a ranking, so many members of each, and so many upstreams that were left out.
const MOST: usize = 16;

/// Why a request went where it went.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RoutingNote {
    /// How its chain was put in order; `None` where the order is always the same.
    pub ranking: Option<Ranking>,
    /// What was left out of the chain, by place, and why. The first 16.
    pub left_out: Vec<(usize, Reason)>,
    /// What budgets said of it; `None` where there are none.
    pub budget: Option<BudgetNote>,
}

/// What budgets said of a request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BudgetNote {
    /// What was reserved for it, in each budget that bounds it.
    pub reserved: Pico,
    /// Whether a soft budget was used up.
    pub soft: bool,
    /// The budget that had the least room, before this was reserved.
    pub tightest: Option<BudgetStanding>,
    /// The budget, in words, that was used up, so that the request went to another target than the one that it asked for.
    pub steered_by: Option<String>,
    /// The budget that refused it, as it stood; what was left out of the chain then is all of it.
    pub refused_by: Option<BudgetStanding>,
}

/// What became of a conversation's request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AffinityOutcome {
    /// Its home served it.
    Home,
    /// Its home had more than its share of the requests already, and another one served it.
    OverBound,
    /// Its home was out, or failed, and another one served it.
    Moved,
}

impl AffinityOutcome {
    /// The word in logs, metrics and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::OverBound => "over_bound",
            Self::Moved => "moved",
        }
    }
}

impl RoutingNote {
    /// The note of a request; `None` where there is nothing to note. What was closed to it: by place, and why.
    pub fn of(
        ranking: Option<Ranking>,
        closed: impl Iterator<Item = (usize, Reason)>,
        budget: Option<BudgetNote>,
    ) -> Option<Box<Self>> {
        let own = closed.filter(|(_, reason)| reason.is_about_request());
        let left_out: Vec<_> = own.take(MOST).collect();
        let is_empty = ranking.is_none() && left_out.is_empty() && budget.is_none();
        (!is_empty).then(|| {
            Box::new(Self {
                ranking: ranking.map(bounded),
                left_out,
                budget,
            })
        })
    }

    /// Whether a budget refused it.
    pub fn is_refused(&self) -> bool {
        let budget = self.budget.as_ref();
        budget.is_some_and(|budget| budget.refused_by.is_some())
    }

    /// How its targets ranked their members.
    pub fn steps(&self) -> &[RankingStep] {
        self.ranking.as_ref().map_or(&[], |ranking| &ranking.steps)
    }

    /// What became of its conversation, if `served` served it; `None` where no conversation decided.
    pub fn affinity(&self, served: &Upstream) -> Option<AffinityOutcome> {
        let mut steps = self.steps().iter();
        let step = steps.find_map(|step| step.affinity.as_ref())?;
        Some(if step.chain.upstreams.contains(served) {
            AffinityOutcome::Home
        } else if step.over_bound {
            AffinityOutcome::OverBound
        } else {
            AffinityOutcome::Moved
        })
    }

    /// Each ranking in a few words: the target, what it was ranked by, and the members in their order with the figure of
    /// each, those that were left out at the end with the reason: `cheap=cost(a:0.000450 b:0.000600 !c:lacks_tools)`.
    /// `None` for none.
    pub fn ranked(&self) -> Option<String> {
        let mut text = String::new();
        for step in self.steps() {
            let gap = if text.is_empty() { "" } else { " " };
            let by = match step.by() {
                "policy" => step.policy.name(),
                other => other,
            };
            // Writing to a text never fails.
            let _ = write!(text, "{gap}{}={by}(", step.target);
            for (at, member) in step.members.iter().enumerate() {
                let gap = if at == 0 { "" } else { " " };
                let _ = match (member.unmet, member.figure) {
                    (Some(unmet), _) => write!(text, "{gap}!{}:{}", member.name, unmet.as_str()),
                    (None, Some(figure)) => write!(text, "{gap}{}:{}", member.name, short(figure)),
                    (None, None) => write!(text, "{gap}{}", member.name),
                };
            }
            text.push(')');
        }
        (!text.is_empty()).then_some(text)
    }

    /// What was left out of the chain: `groq:llama=budget openai:gpt-4o=lacks_tools`; `None` for nothing.
    pub fn without(&self, chain: &Chain) -> Option<String> {
        let mut text = String::new();
        for (place, reason) in &self.left_out {
            let Some(upstream) = chain.upstreams.get(*place) else {
                continue;
            };
            if !text.is_empty() {
                text.push(' ');
            }
            upstream.push_to(&mut text);
            text.push('=');
            text.push_str(reason.as_str());
        }
        (!text.is_empty()).then_some(text)
    }
}

/// The first steps and members: many requests are kept.
fn bounded(mut ranking: Ranking) -> Ranking {
    ranking.steps.truncate(MOST);
    for step in &mut ranking.steps {
        if step.members.len() > MOST {
            step.members.truncate(MOST);
            step.members.shrink_to_fit();
        }
    }
    ranking
}

/// A figure in as few characters as say enough; `-` for what is not known.
fn short(figure: Figure) -> String {
    let known = |share: f64| format!("{:.0}%", share * 100.0);
    let unknown = || "-".to_owned();
    match figure {
        Figure::Weight(weight) => weight.to_string(),
        Figure::Cost(cost) => cost.map_or_else(unknown, |cost| cost.to_string()),
        Figure::Load(load) => format!("{load:.3}s"),
        Figure::InFlight(each) => format!("{each:.2}"),
        Figure::Used(used) => used.map_or_else(unknown, known),
        Figure::Score(score) => format!("{score:.4}"),
        Figure::Latency(span) => {
            span.map_or_else(unknown, |span| format!("{:.3}s", span.as_secs_f64()))
        }
        Figure::Throughput(rate) => rate.map_or_else(unknown, |rate| format!("{rate:.1}/s")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::catalog::capability::Capability;
    use crate::domain::policy::{CostPolicy, Policy};
    use crate::domain::target::{AffinityStep, RankedMember};
    use crate::domain::unmet::Unmet;

    fn member(name: &str, figure: Option<Figure>, unmet: Option<Unmet>) -> RankedMember {
        RankedMember {
            name: name.into(),
            priority: 100,
            figure,
            unmet,
        }
    }

    fn chain(names: &[&str]) -> Arc<Chain> {
        Arc::new(Chain {
            target: "v".into(),
            upstreams: names.iter().map(|name| Upstream::new(*name, "m")).collect(),
        })
    }

    fn ranked_by(affinity: Option<AffinityStep>, members: Vec<RankedMember>) -> Ranking {
        Ranking {
            seed: 7,
            steps: vec![RankingStep {
                target: "v".into(),
                policy: Policy::new(CostPolicy::default()),
                hints: None,
                affinity,
                tiers: Vec::new(),
                members,
            }],
        }
    }

    #[test]
    fn where_nothing_was_decided_nothing_is_noted() {
        let none = std::iter::empty();
        assert_eq!(RoutingNote::of(None, none, None), None);
        // What happened on the way is told with the attempts.
        let tried = [(0, Reason::Tried)].into_iter();
        assert_eq!(RoutingNote::of(None, tried, None), None);
        let budget = [(1, Reason::Budget), (2, Reason::TooLarge)];
        let note = RoutingNote::of(None, budget.into_iter(), None).unwrap();
        assert_eq!(note.left_out, budget);
        assert_eq!(
            note.without(&chain(&["a", "b", "c"])).unwrap(),
            "b:m=budget c:m=too_large"
        );
        assert_eq!(note.ranked(), None);
    }

    #[test]
    fn a_ranking_is_told_in_a_line_and_bounded() {
        let lacks = Unmet::Lacks(Capability::Tools);
        let members = vec![
            member("d", Some(Figure::Cost(Some(Pico::new(450_000_000)))), None),
            member("c", Some(Figure::Cost(None)), None),
            member("a", None, Some(lacks)),
        ];
        let note = RoutingNote::of(Some(ranked_by(None, members)), std::iter::empty(), None);
        let told = note.unwrap().ranked().unwrap();
        assert_eq!(told, "v=cost(d:0.000450 c:- !a:lacks_tools)");
        let many = (0..100).map(|n| member(&n.to_string(), None, None));
        let many = ranked_by(None, many.collect());
        let note = RoutingNote::of(Some(many), std::iter::empty(), None).unwrap();
        assert_eq!(note.steps()[0].members.len(), MOST);
    }

    #[test]
    fn a_conversation_is_home_moved_or_sent_away() {
        let at = |over_bound| AffinityStep {
            home: "a".into(),
            chain: chain(&["a"]),
            over_bound,
            warm: true,
        };
        let told = |over_bound, served: &str| {
            let ranking = ranked_by(Some(at(over_bound)), Vec::new());
            let note = RoutingNote::of(Some(ranking), std::iter::empty(), None).unwrap();
            note.affinity(&Upstream::new(served, "m"))
        };
        assert_eq!(told(false, "a"), Some(AffinityOutcome::Home));
        assert_eq!(told(false, "b"), Some(AffinityOutcome::Moved));
        assert_eq!(told(true, "b"), Some(AffinityOutcome::OverBound));
        // All others were out, so home served it nevertheless.
        assert_eq!(told(true, "a"), Some(AffinityOutcome::Home));
        let plain = RoutingNote::of(Some(ranked_by(None, Vec::new())), std::iter::empty(), None);
        assert_eq!(plain.unwrap().affinity(&Upstream::new("a", "m")), None);
    }
}
