//! Trees for one request: tiers, conditions, what is lacking, conversations, and members that are targets themselves.

use super::fixed::Fixed;
use super::*;
use crate::domain::catalog::capability::Capability;
use crate::domain::chain::{MemberEntry, ProviderEntry, Targets, VirtualEntry};
use crate::domain::policy::{CostPolicy, Latency, Score};

fn providers() -> Vec<ProviderEntry> {
    let names = ["a", "b", "c", "d"].into_iter();
    let entries = names.map(|name| ProviderEntry {
        name: name.into(),
        model: Some("m".into()),
        models: Vec::new(),
        builtin: false,
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
    let cost = |cost: Option<u64>| Some(Figure::Cost(cost.map(crate::domain::money::Pico::new)));
    assert_eq!(figures, [cost(Some(1)), cost(None)]);
}
