//! Trees for one request: tiers, conditions, what is lacking, conversations, and members that are targets themselves.

use std::time::Duration;

use super::fixed::Fixed;
use super::*;
use crate::domain::catalog::capability::Capability;
use crate::domain::chain::{MemberEntry, ProviderEntry, Targets, VirtualEntry};
use crate::domain::money::Pico;
use crate::domain::policy::{CostPolicy, Latency, Score};
use crate::domain::score_expression::{CustomScore, ScoreExpression};
use crate::domain::when::{Condition, ConditionSubject, CustomCondition};
use crate::domain::zone::Zone;

fn providers() -> Vec<ProviderEntry> {
    let names = ["a", "b", "c", "d"].into_iter();
    let entries = names.map(|name| ProviderEntry {
        name: name.into(),
        model: Some("m".into()),
        models: Vec::new(),
        builtin: false,
        added: false,
    });
    entries.collect()
}

fn virtual_of(name: &str, policy: Policy, members: Vec<MemberEntry>) -> VirtualEntry {
    VirtualEntry {
        policy,
        ..VirtualEntry::ordered(name, members)
    }
}

fn plain(names: &[&str]) -> Vec<MemberEntry> {
    names.iter().map(|name| MemberEntry::from(*name)).collect()
}

fn named(policy: &str) -> Policy {
    Policy::all().find(|it| it.name() == policy).unwrap()
}

/// The providers in order, those that are ruled out behind a bar.
fn order(virtuals: &[VirtualEntry], figures: &Fixed, asked: &RequestShape<'_>) -> String {
    told(virtuals, figures, asked).0
}

fn told(
    virtuals: &[VirtualEntry],
    figures: &Fixed,
    asked: &RequestShape<'_>,
) -> (String, Vec<RankingStep>) {
    let targets = Targets::build(&providers(), virtuals, None).unwrap();
    let name = virtuals.first().map(|entry| entry.name.as_str());
    let chain = targets.resolve(name).unwrap();
    let mut steps = Vec::new();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut inquiry = Inquiry {
        asked,
        figures,
        draw: &mut || rng.f64(),
        steps: Some(&mut steps),
    };
    let ranked = targets.ranked(chain, &mut inquiry);
    let mut text = String::new();
    for (at, upstream) in ranked.chain.upstreams.iter().enumerate() {
        if ranked
            .ruled_out
            .first()
            .is_some_and(|(first, _)| *first == at)
        {
            text.push('|');
        }
        text.push_str(upstream.provider.as_str());
    }
    (text, steps)
}

#[test]
fn all_of_a_tier_come_before_the_next_and_the_policy_orders_inside() {
    let mut members = plain(&["a", "b", "c", "d"]);
    for (member, priority) in members.iter_mut().zip([20, 10, 10, 5]) {
        member.priority = priority;
    }
    let figures = Fixed {
        cost: vec![("a", 1), ("b", 300), ("c", 200), ("d", 900)],
        ..Fixed::default()
    };
    let entry = virtual_of("v", named("cost"), members);
    assert_eq!(order(&[entry], &figures, &RequestShape::default()), "dcba");
}

#[test]
fn scores_are_ranked_inside_tiers_as_well() {
    let mut members = plain(&["a:llama-3.3-70b-versatile", "b:mixtral-8x7b-32768"]);
    let figures = Fixed {
        window: vec![("a", 131_072), ("b", 32_768)],
        ..Fixed::default()
    };
    let of = |members: &[MemberEntry]| {
        let entry = virtual_of("v", Policy::new(Score::default()), members.to_vec());
        order(&[entry], &figures, &RequestShape::default())
    };
    assert_eq!(of(&members), "ab");
    members[0].priority = 10;
    members[1].priority = 5;
    assert_eq!(of(&members), "ba");
}

#[test]
fn conditions_leave_members_out_and_say_why() {
    let mut members = plain(&["a", "b", "c"]);
    members[0].when = Some(Arc::new(When {
        stream: Some(true),
        ..When::default()
    }));
    let entry = virtual_of("v", Policy::default(), members);
    let asked = RequestShape::default();
    let (text, steps) = told(std::slice::from_ref(&entry), &Fixed::default(), &asked);
    assert_eq!(text, "bc|a");
    assert_eq!(steps[0].members[2].unmet, Some(Unmet::Stream));
    let stream = RequestShape {
        stream: true,
        ..asked
    };
    assert_eq!(order(&[entry], &Fixed::default(), &stream), "abc");
}

#[test]
fn an_upstream_that_is_in_a_member_left_out_and_in_another_one_is_asked() {
    let mut members = plain(&["v", "a"]);
    members[0].when = Some(Arc::new(When {
        stream: Some(true),
        ..When::default()
    }));
    let outer = virtual_of("outer", Policy::default(), members);
    let inner = virtual_of("v", Policy::default(), plain(&["b", "a"]));
    let all = [outer, inner];
    assert_eq!(
        order(&all, &Fixed::default(), &RequestShape::default()),
        "a|b"
    );
}

#[test]
fn what_is_known_to_lack_something_is_neither_ranked_nor_drawn() {
    let figures = Fixed {
        lacks: vec![("a", Unmet::Lacks(Capability::Tools))],
        cost: vec![("a", 1), ("b", 3), ("c", 2)],
        ..Fixed::default()
    };
    let entry = virtual_of("v", named("cost"), plain(&["a", "b", "c"]));
    assert_eq!(order(&[entry], &figures, &RequestShape::default()), "cb|a");
}

#[test]
fn a_target_inside_a_target_is_ranked_by_its_best_and_ranks_its_own() {
    let virtuals = [
        virtual_of("outer", named("cost"), plain(&["a", "inner"])),
        virtual_of("inner", named("cost"), plain(&["b", "c", "d"])),
    ];
    let figures = Fixed {
        cost: vec![("a", 500), ("b", 900), ("c", 100)],
        ..Fixed::default()
    };
    assert_eq!(order(&virtuals, &figures, &RequestShape::default()), "cbda");
    let virtuals = [
        virtual_of("outer", named("latency"), plain(&["a", "inner"])),
        virtual_of("inner", Policy::new(Latency::default()), plain(&["b", "c"])),
    ];
    let figures = Fixed {
        latency: vec![("a", 500), ("b", 900), ("c", 100)],
        pending: vec![("c", 1)],
        ..Fixed::default()
    };
    assert_eq!(order(&virtuals, &figures, &RequestShape::default()), "cba");
}

#[test]
fn a_conversation_decides_inside_a_tier_and_keeps_its_member() {
    let mut entry = virtual_of("v", named("round_robin"), plain(&["a", "b", "c", "d"]));
    entry.affinity = Some(AffinityPolicy::default());
    entry.upstreams[3].priority = 200;
    let of = |session, turn, pending: &[(&'static str, u32)]| {
        let asked = RequestShape {
            session,
            ..RequestShape::default()
        };
        let figures = Fixed {
            turn,
            pending: pending.to_vec(),
            ..Fixed::default()
        };
        order(std::slice::from_ref(&entry), &figures, &asked)
    };
    let home = of(Some(7), 0, &[]);
    assert!(home.ends_with('d'));
    assert!((0..5).all(|turn| of(Some(7), turn, &[]) == home));
    let others = (0..50).map(|session| of(Some(session), 0, &[]));
    assert!(others.into_iter().any(|order| order[..1] != home[..1]));
    assert_eq!(of(None, 1, &[]), "bcad", "without one the policy ranks");
    // Over its share, the next one of the conversation's order takes it.
    let first: &'static str = ["a", "b", "c"]
        .into_iter()
        .find(|name| home.starts_with(name))
        .unwrap();
    let full = of(Some(7), 0, &[(first, 5)]);
    assert_eq!(full[..1], home[1..2]);
    assert_eq!(full[2..3], home[..1]);
}

#[test]
fn members_without_a_price_are_ruled_out_where_the_policy_says_so() {
    let policy = Policy::new(CostPolicy {
        unpriced: crate::domain::policy::Unpriced::Exclude,
        ..CostPolicy::default()
    });
    let figures = Fixed {
        cost: vec![("b", 1)],
        ..Fixed::default()
    };
    let entry = virtual_of("v", policy, plain(&["a", "b"]));
    let (text, steps) = told(&[entry], &figures, &RequestShape::default());
    assert_eq!(text, "b|a");
    assert_eq!(steps[0].policy.to_string(), "cost, unpriced: exclude");
    let figures: Vec<_> = steps[0]
        .members
        .iter()
        .map(|member| member.figure)
        .collect();
    let cost = |cost: Option<u64>| {
        Some(crate::domain::policy::Figure::Cost(
            cost.map(crate::domain::money::Pico::new),
        ))
    };
    assert_eq!(figures, [cost(Some(1)), cost(None)]);
}

fn spilling(priorities: [u32; 4]) -> VirtualEntry {
    let mut members = plain(&["a", "b", "c", "d"]);
    for (member, priority) in members.iter_mut().zip(priorities) {
        member.priority = priority;
    }
    VirtualEntry {
        spill: Some(Spill::default()),
        ..virtual_of("v", Policy::default(), members)
    }
}

#[test]
fn requests_leave_a_tier_by_the_part_of_its_keys_that_is_out() {
    let figures = Fixed {
        keys: vec![("a", (0, 1)), ("b", (1, 1))],
        ..Fixed::default()
    };
    let entry = spilling([10, 10, 20, 30]);
    let targets = Targets::build(&providers(), std::slice::from_ref(&entry), None).unwrap();
    let chain = targets.resolve(Some("v")).unwrap();
    let first = |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut inquiry = Inquiry {
            asked: &RequestShape::default(),
            figures: &figures,
            draw: &mut || rng.f64(),
            steps: None,
        };
        let ranked = targets.ranked(Arc::clone(&chain), &mut inquiry);
        let all = ranked.chain.upstreams.iter();
        let order: String = all.map(|upstream| upstream.provider.as_str()).collect();
        order
    };
    let orders: Vec<String> = (0..10_000).map(first).collect();
    assert_eq!(orders, (0..10_000).map(first).collect::<Vec<_>>());
    let spilt = orders.iter().filter(|order| *order == "cabd").count();
    let kept = orders.iter().filter(|order| *order == "abcd").count();
    assert_eq!(spilt + kept, 10_000, "the rest of the order stays");
    assert!((2_800..3_200).contains(&spilt), "{spilt}");
    let (_, steps) = told(&[entry], &figures, &RequestShape::default());
    let loads = steps[0].tiers.iter().map(|tier| (tier.priority, tier.load));
    assert_eq!(loads.collect::<Vec<_>>(), [(10, 70), (20, 30), (30, 0)]);
    assert_eq!(steps[0].tiers.iter().filter(|tier| tier.drawn).count(), 1);
}

#[test]
fn a_healthy_tier_keeps_everything_and_a_conversation_stays_in_its_tier() {
    let entry = spilling([10, 10, 20, 20]);
    let asked = RequestShape::default();
    assert_eq!(
        order(std::slice::from_ref(&entry), &Fixed::default(), &asked),
        "abcd"
    );
    let halved = Fixed {
        keys: vec![("a", (0, 1))],
        ..Fixed::default()
    };
    let sticky = VirtualEntry {
        affinity: Some(AffinityPolicy::default()),
        ..entry
    };
    let targets = Targets::build(&providers(), &[sticky], None).unwrap();
    let chain = targets.resolve(Some("v")).unwrap();
    let tier = |session, seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let asked = RequestShape {
            session: Some(session_affinity::hash(&[session])),
            ..RequestShape::default()
        };
        let mut inquiry = Inquiry {
            asked: &asked,
            figures: &halved,
            draw: &mut || rng.f64(),
            steps: None,
        };
        let ranked = targets.ranked(Arc::clone(&chain), &mut inquiry);
        matches!(ranked.chain.upstreams[0].provider.as_str(), "a" | "b")
    };
    for session in 0..100 {
        assert!((1..5).all(|seed| tier(session, seed) == tier(session, 0)));
    }
    let kept = (0..=255).filter(|session| tier(*session, 0)).count();
    assert!((150..210).contains(&kept), "{kept} of 256");
}

/// Holds, and tells what it sees of the member.
struct SeenCondition(fn(&dyn ConditionSubject) -> bool);

impl Condition for SeenCondition {
    fn text(&self) -> &str {
        "seen"
    }

    fn holds(
        &self,
        _: &RequestShape<'_>,
        candidate: &dyn ConditionSubject,
        _: i64,
    ) -> Option<bool> {
        Some((self.0)(candidate))
    }
}

#[test]
fn a_condition_sees_what_is_known_of_its_member_at_its_best() {
    let figures = Fixed {
        prices: vec![("a", 4), ("b", 3)],
        window: vec![("a", 8), ("b", 9)],
        latency: vec![("a", 70), ("b", 90)],
        used: vec![("a", 0.5), ("b", 0.25)],
        in_flight: vec![("a", 1), ("b", 2)],
        ..Fixed::default()
    };
    let asked = RequestShape::default();
    let order = |members: &str, figures: &Fixed, seen| {
        let inner = virtual_of("inner", named("ordered"), plain(&["a", "b"]));
        let mut all = plain(&[members, "d"]);
        all[0].when = Some(Arc::new(When {
            custom: Some(CustomCondition {
                condition: Arc::new(SeenCondition(seen)),
                zone: Zone::utc(),
            }),
            ..When::default()
        }));
        order(
            &[virtual_of("v", named("ordered"), all), inner],
            figures,
            &asked,
        )
    };
    let both = |seen: &dyn ConditionSubject| {
        let prices = (seen.input_price(), seen.output_price());
        (seen.name(), seen.provider(), seen.model()) == ("inner", None, Some("m"))
            && prices == (Some(Pico::new(3)), Some(Pico::new(6)))
            && seen.context_window() == Some(9)
            && seen.first_token() == Some(Duration::from_millis(70))
            && seen.used_share() == Some(0.25)
            && seen.in_flight() == 3
    };
    assert_eq!(order("inner", &figures, both), "abd");
    let one =
        |seen: &dyn ConditionSubject| seen.provider() == Some("c") && seen.input_price().is_none();
    assert_eq!(order("c", &figures, one), "cd");
    assert_eq!(order("a", &figures, one), "d|a");
    let figures = Fixed {
        lacks: vec![("b", Unmet::Lacks(Capability::Tools))],
        ..figures
    };
    let able = |seen: &dyn ConditionSubject| seen.input_price() == Some(Pico::new(4));
    assert_eq!(order("inner", &figures, able), "abd");
}

/// The price of a token of the prompt as its score; none where that is not known.
struct PriceAsScore;

impl ScoreExpression for PriceAsScore {
    fn text(&self) -> &str {
        "price"
    }

    fn score(
        &self,
        asked: &RequestShape<'_>,
        candidate: &dyn ConditionSubject,
        local: i64,
    ) -> Option<f64> {
        assert_eq!((asked.unix, local), (60, 3660));
        let price = candidate.input_price()?.get();
        Some(f64::from(u32::try_from(price).unwrap()) - 1.0)
    }
}

#[test]
fn an_expression_scores_each_upstream_and_a_member_counts_as_its_best() {
    let policy = Policy::new(Score::by(CustomScore {
        expression: Arc::new(PriceAsScore),
        zone: Zone {
            offset: Arc::new(|_| 3600),
            ..Zone::utc()
        },
    }));
    let virtuals = [
        virtual_of("outer", policy, plain(&["a", "c", "d", "inner"])),
        virtual_of("inner", named("ordered"), plain(&["b", "d"])),
    ];
    let figures = Fixed {
        prices: vec![("a", 3), ("b", 9), ("c", 1)],
        ..Fixed::default()
    };
    let asked = RequestShape {
        unix: 60,
        ..RequestShape::default()
    };
    let (text, steps) = told(&virtuals, &figures, &asked);
    // `d` has no score, but it is in the member that comes first.
    assert_eq!(text, "bda|c");
    let told = steps[0].members.iter();
    let told: Vec<_> = told.map(|it| (&*it.name, it.unmet)).collect();
    let expected = [
        ("inner", None),
        ("a", None),
        ("c", Some(Unmet::Score)),
        ("d", Some(Unmet::ScoreFailed)),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_member_has_its_own_tags_and_those_of_all_its_upstreams() {
    let figures = Fixed {
        tags: vec![("a", "eu"), ("a", "fast"), ("b", "fast"), ("b", "us")],
        ..Fixed::default()
    };
    let order = |member: &str, seen| {
        let mut all = plain(&[member, "d"]);
        all[0].tags = vec!["own".into(), "fast".into()];
        all[0].when = Some(Arc::new(When {
            custom: Some(CustomCondition {
                condition: Arc::new(SeenCondition(seen)),
                zone: Zone::utc(),
            }),
            ..When::default()
        }));
        let inner = virtual_of("inner", named("ordered"), plain(&["a", "b"]));
        let outer = virtual_of("v", named("ordered"), all);
        self::order(&[outer, inner], &figures, &RequestShape::default())
    };
    assert_eq!(order("inner", |seen| seen.tags() == ["own", "fast"]), "abd");
    assert_eq!(
        order("a", |seen| seen.tags() == ["own", "fast", "eu"]),
        "ad"
    );
}
