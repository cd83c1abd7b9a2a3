//! What targets mean, which mistakes in their graph are found, and that flattening is complete.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::domain::asked::RequestShape;
use crate::domain::target::fixed::Fixed;

fn provider(name: &str, model: Option<&str>, models: &[&str]) -> ProviderEntry {
    ProviderEntry {
        name: name.into(),
        model: model.map(ModelName::from),
        models: models.iter().map(|model| ModelName::from(*model)).collect(),
        builtin: false,
        added: false,
    }
}

fn chain(name: &str, upstreams: &[&str]) -> VirtualEntry {
    VirtualEntry::ordered(name, upstreams.iter().copied())
}

fn shown(chain: &Chain) -> Vec<String> {
    chain.upstreams.iter().map(ToString::to_string).collect()
}

fn ask(targets: &Targets, name: &str) -> Vec<String> {
    shown(&targets.resolve(Some(name)).unwrap())
}

fn three() -> [ProviderEntry; 3] {
    [
        provider("groq", Some("llama"), &[]),
        provider("pool", Some("b"), &["a", "b", "c"]),
        provider("local", None, &[]),
    ]
}

#[test]
fn a_name_means_its_model_or_its_pool_with_the_model_first() {
    let targets = Targets::build(&three(), &[], None).unwrap();
    assert_eq!(ask(&targets, "groq"), ["groq:llama"]);
    assert_eq!(ask(&targets, "groq:"), ["groq:llama"]);
    assert_eq!(ask(&targets, "pool"), ["pool:b", "pool:a", "pool:c"]);
}

#[test]
fn any_model_of_an_open_provider_and_only_listed_ones_of_a_pool() {
    let targets = Targets::build(&three(), &[], None).unwrap();
    assert_eq!(
        ask(&targets, "groq:org/model:free"),
        ["groq:org/model:free"]
    );
    assert_eq!(ask(&targets, "local:x"), ["local:x"]);
    assert_eq!(ask(&targets, "pool:c"), ["pool:c"]);
    assert!(matches!(
        targets.resolve(Some("pool:z")),
        Err(ResolveError::UnknownTarget { .. })
    ));
    assert_eq!(
        targets.resolve(Some("local")).unwrap_err(),
        ResolveError::NoModel {
            provider: "local".into()
        }
    );
}

#[test]
fn a_model_id_counts_when_exactly_one_provider_lists_it() {
    let providers = [
        provider("a", Some("one"), &[]),
        provider("b", None, &["two", "shared"]),
        provider("c", Some("shared"), &[]),
    ];
    let targets = Targets::build(&providers, &[], None).unwrap();
    assert_eq!(ask(&targets, "one"), ["a:one"]);
    assert_eq!(ask(&targets, "two"), ["b:two"]);
    assert!(targets.resolve(Some("shared")).is_err());
}

#[test]
fn an_exact_name_beats_a_split_and_a_split_beats_a_model_id() {
    let providers = [
        provider("a", Some("m"), &[]),
        provider("a:b", Some("n"), &[]),
        provider("other", None, &["a:listed"]),
    ];
    let targets = Targets::build(&providers, &[chain("a:v", &["other"])], None).unwrap();
    assert_eq!(ask(&targets, "a:b"), ["a:b:n"]);
    assert_eq!(
        targets.resolve(Some("a:b")).unwrap().upstreams[0]
            .provider
            .as_str(),
        "a:b"
    );
    assert_eq!(ask(&targets, "a:v"), ["other:a:listed"]);
    let listed = targets.resolve(Some("a:listed")).unwrap();
    assert_eq!(listed.upstreams[0].provider.as_str(), "a");
}

#[test]
fn a_model_id_with_colons_is_found_when_its_head_is_no_provider() {
    let providers = [provider("huggingface", Some("org/model:novita"), &[])];
    let targets = Targets::build(&providers, &[], None).unwrap();
    assert_eq!(
        ask(&targets, "org/model:novita"),
        ["huggingface:org/model:novita"]
    );
    assert_eq!(
        ask(&targets, "huggingface:org/x:groq"),
        ["huggingface:org/x:groq"]
    );
}

#[test]
fn without_a_model_the_default_then_the_only_provider_then_an_error() {
    let mut providers = three();
    let targets = Targets::build(&providers, &[], Some("groq:other")).unwrap();
    assert_eq!(shown(&targets.resolve(None).unwrap()), ["groq:other"]);
    let targets = Targets::build(&providers, &[], None).unwrap();
    assert_eq!(targets.resolve(None).unwrap_err(), ResolveError::NoDefault);
    providers[1].builtin = true;
    providers[2].builtin = true;
    let targets = Targets::build(&providers, &[], None).unwrap();
    assert_eq!(shown(&targets.resolve(None).unwrap()), ["groq:llama"]);
}

#[test]
fn chains_nest_and_keep_the_first_occurrence() {
    let virtuals = [
        chain("top", &["left", "right", "groq"]),
        chain("left", &["base", "groq:one"]),
        chain("right", &["base", "groq:two", "groq:one"]),
        chain("base", &["local:x", "pool"]),
    ];
    let targets = Targets::build(&three(), &virtuals, Some("top")).unwrap();
    let expected = [
        "local:x",
        "pool:b",
        "pool:a",
        "pool:c",
        "groq:one",
        "groq:two",
        "groq:llama",
    ];
    assert_eq!(ask(&targets, "top"), expected);
    assert_eq!(shown(targets.default_chain().unwrap()), expected);
    let names: Vec<_> = targets
        .chains()
        .map(|chain| chain.target.to_string())
        .collect();
    assert_eq!(names, ["top", "left", "right", "base"]);
    assert_eq!(targets.listed()[4].id.as_ref(), "groq:llama");
}

#[test]
fn every_mistake_is_reported_at_once() {
    let providers = [
        provider("groq", Some("m"), &[]),
        provider("groq", Some("n"), &[]),
        provider("same", Some("m"), &[]),
        provider("bare", None, &[]),
    ];
    let virtuals = [
        chain("same", &["groq"]),
        chain("twice", &["groq"]),
        chain("twice", &["groq"]),
        chain("empty", &[]),
        chain("x", &["y", "groq"]),
        chain("y", &["z"]),
        chain("z", &["groq", "x"]),
        chain("typo", &["gorq", "bare"]),
        chain("above", &["typo"]),
    ];
    let errors = Targets::build(&providers, &virtuals, Some("nowhere")).unwrap_err();
    let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let all = text.join("\n");
    assert_eq!(errors.len(), 8, "{all}");
    for part in [
        "two providers are called `groq`",
        "two virtual providers are called `twice`",
        "`same` is the name of a provider and of a virtual provider",
        "`empty` has no upstreams",
        "x -> y -> z -> x",
        "`gorq`: did you mean `groq`",
        "`bare`, which has no default model",
        "default_model: `nowhere`",
    ] {
        assert!(all.contains(part), "{part} is missing in:\n{all}");
    }
}

#[test]
fn a_provider_that_contains_itself_is_a_cycle() {
    let errors = Targets::build(&three(), &[chain("v", &["groq", "v"])], None).unwrap_err();
    let path = vec!["v".to_owned(), "v".to_owned()];
    assert_eq!(errors, [ChainError::Cycle { path }]);
}

#[test]
fn aliases_mean_the_provider_unless_the_name_is_taken() {
    let targets = Targets::build(&three(), &[chain("v", &["groq"])], None)
        .unwrap()
        .with_aliases([
            ("fast".to_owned(), ProviderName::from("groq")),
            ("p".to_owned(), ProviderName::from("pool")),
            ("v".to_owned(), ProviderName::from("pool")),
            ("gone".to_owned(), ProviderName::from("nobody")),
        ]);
    assert_eq!(ask(&targets, "fast"), ["groq:llama"]);
    assert_eq!(ask(&targets, "fast:any"), ["groq:any"]);
    assert_eq!(ask(&targets, "p:a"), ["pool:a"]);
    assert!(targets.resolve(Some("p:z")).is_err());
    assert_eq!(ask(&targets, "v"), ["groq:llama"]);
    assert!(targets.resolve(Some("gone:x")).is_err());
}

#[test]
fn depth_costs_no_stack_and_diamonds_no_time() {
    const DEPTH: usize = 20_000;
    let mut virtuals: Vec<VirtualEntry> = (0..DEPTH)
        .map(|n| {
            let next = format!("v{}", n + 1);
            chain(&format!("v{n}"), &[&next, &next])
        })
        .collect();
    virtuals.push(chain(&format!("v{DEPTH}"), &["groq", "local:x"]));
    let targets = Targets::build(&three(), &virtuals, Some("v0")).unwrap();
    assert_eq!(ask(&targets, "v0"), ["groq:llama", "local:x"]);
}

#[test]
fn unknown_names_bring_at_most_three_near_ones() {
    let targets = Targets::build(&three(), &[], None).unwrap();
    let Err(ResolveError::UnknownTarget { name, near }) = targets.resolve(Some("grok")) else {
        panic!("grok resolved");
    };
    assert_eq!((name.as_str(), near), ("grok", vec!["groq".to_owned()]));
}

/// Flattening as the documentation says it: recursion, depth first, first occurrence kept.
fn reference(name: &str, virtuals: &[VirtualEntry], path: &mut Vec<String>) -> Option<Vec<String>> {
    let Some(entry) = virtuals.iter().find(|entry| entry.name == name) else {
        return Some(vec![format!("{name}:m")]);
    };
    if path.iter().any(|seen| seen == name) || entry.upstreams.is_empty() {
        return None;
    }
    path.push(name.to_owned());
    let mut all = Vec::new();
    for upstream in &entry.upstreams {
        for found in reference(&upstream.name, virtuals, path)? {
            if !all.contains(&found) {
                all.push(found);
            }
        }
    }
    path.pop();
    Some(all)
}

proptest! {
    #[test]
    fn flattening_equals_the_recursion_and_always_ends(links in prop::collection::vec(prop::collection::vec(0usize..10, 0..4), 6)) {
        // Numbers 0..6 are virtual providers, the rest providers.
        let name = |n: usize| if n < 6 { format!("v{n}") } else { format!("p{n}") };
        let providers: Vec<_> = (6..10).map(|n| provider(&name(n), Some("m"), &[])).collect();
        let virtuals: Vec<_> = links.iter().enumerate()
            .map(|(n, links)| VirtualEntry::ordered(name(n), links.iter().map(|link| name(*link))))
            .collect();
        let expected: Vec<_> = virtuals.iter().map(|entry| reference(&entry.name, &virtuals, &mut Vec::new())).collect();
        match Targets::build(&providers, &virtuals, None) {
            Ok(targets) => for (entry, expected) in virtuals.iter().zip(&expected) {
                prop_assert_eq!(Some(ask(&targets, &entry.name)), expected.clone());
            },
            Err(errors) => {
                prop_assert!(expected.iter().any(Option::is_none));
                let distinct: HashSet<_> = errors.iter().map(ToString::to_string).collect();
                prop_assert_eq!(distinct.len(), errors.len());
            }
        }
    }

    #[test]
    fn resolving_anything_ends_without_a_panic(name in "\\PC{0,60}") {
        let targets = Targets::build(&three(), &[chain("v", &["groq"])], None).unwrap();
        let _ = targets.resolve(Some(&name));
    }
}

/// A virtual provider with a policy and weights.
fn ranked(name: &str, policy: &str, upstreams: &[(&str, u32)]) -> VirtualEntry {
    let upstreams = upstreams.iter().map(|(name, weight)| MemberEntry {
        weight: *weight,
        ..MemberEntry::from(*name)
    });
    VirtualEntry {
        name: name.to_owned(),
        policy: Policy::all().find(|it| it.name() == policy).unwrap(),
        affinity: None,
        spill: None,
        hints: false,
        upstreams: upstreams.collect(),
    }
}

/// The order of `name` for one request.
fn order(targets: &Targets, name: &str, draw: f64) -> Vec<String> {
    let chain = targets.resolve(Some(name)).unwrap();
    let mut inquiry = Inquiry {
        asked: &RequestShape::default(),
        figures: &Fixed {
            in_flight: vec![("groq", 1)],
            ..Fixed::default()
        },
        draw: &mut || draw,
        steps: None,
    };
    shown(&targets.ranked(chain, &mut inquiry).chain)
}

#[test]
fn each_target_of_a_tree_ranks_its_own_members_and_keeps_them_together() {
    let virtuals = [
        chain("all", &["shared", "pool", "idle", "local:z"]),
        ranked("shared", "weighted", &[("local:x", 0), ("local:y", 1)]),
        ranked("idle", "least_busy", &[("groq", 1), ("pool", 1)]),
    ];
    let targets = Targets::build(&three(), &virtuals, None).unwrap();
    assert_eq!(
        ask(&targets, "all")[..2],
        ["local:x", "local:y"],
        "as configured where nothing is asked for"
    );
    let pool = ["pool:b", "pool:a", "pool:c"];
    assert_eq!(
        order(&targets, "all", 0.5),
        [
            &["local:y", "local:x"],
            &pool[..],
            &["groq:llama", "local:z"]
        ]
        .concat()
    );
    assert_eq!(
        order(&targets, "idle", 0.5),
        [&pool[..], &["groq:llama"]].concat()
    );
    assert!(targets.is_ranked("all") && !targets.is_ranked("pool"));
}

#[test]
fn a_target_that_is_always_walked_as_configured_is_not_ranked_for_each_request() {
    let virtuals = [chain("v", &["groq", "pool"]), chain("w", &["v", "local:x"])];
    let targets = Targets::build(&three(), &virtuals, None).unwrap();
    let chain = targets.resolve(Some("w")).unwrap();
    let mut inquiry = Inquiry {
        asked: &RequestShape::default(),
        figures: &Fixed::default(),
        draw: &mut || 0.0,
        steps: None,
    };
    let same = targets.ranked(Arc::clone(&chain), &mut inquiry);
    assert!(Arc::ptr_eq(&chain, &same.chain));
}

#[test]
fn ranking_costs_neither_stack_for_depth_nor_time_for_diamonds() {
    const DEPTH: usize = 20_000;
    let link = |n: usize| {
        let next = format!("v{}", n + 1);
        ranked(&format!("v{n}"), "weighted", &[(&next, 1), (&next, 2)])
    };
    let mut virtuals: Vec<VirtualEntry> = (0..DEPTH).map(link).collect();
    virtuals.push(ranked(
        &format!("v{DEPTH}"),
        "weighted",
        &[("groq", 1), ("local:x", 0)],
    ));
    let targets = Targets::build(&three(), &virtuals, None).unwrap();
    assert_eq!(order(&targets, "v0", 0.5), ["groq:llama", "local:x"]);
}

proptest! {
    #[test]
    fn whatever_the_policies_each_upstream_comes_once_and_ordered_ones_as_configured(
        links in prop::collection::vec((0usize..3, prop::collection::vec((0usize..6, 0u32..4), 1..4)), 4),
        draw in 0.0f64..1.0,
    ) {
        // Each virtual provider contains providers and virtual providers before it: no cycle.
        let policies = ["ordered", "weighted", "least_busy"];
        let name = |own: usize, to: usize| match to {
            0 => "groq".to_owned(),
            1 => "pool".to_owned(),
            2 => "local:x".to_owned(),
            to if to - 3 < own => format!("v{}", to - 3),
            to => format!("local:{to}"),
        };
        let build = |only_ordered: bool| {
            let virtuals = links.iter().enumerate().map(|(n, (policy, members))| {
                let members: Vec<_> = members.iter().map(|(to, weight)| (name(n, *to), *weight)).collect();
                let members: Vec<_> = members.iter().map(|(name, weight)| (name.as_str(), *weight)).collect();
                let policy = if only_ordered { "ordered" } else { policies[*policy] };
                ranked(&format!("v{n}"), policy, &members)
            });
            Targets::build(&three(), &virtuals.collect::<Vec<_>>(), None).unwrap()
        };
        let (mixed, plain) = (build(false), build(true));
        for n in 0..links.len() {
            let name = format!("v{n}");
            let mut found = order(&mixed, &name, draw);
            let mut expected = ask(&plain, &name);
            prop_assert_eq!(&ask(&mixed, &name), &expected);
            if !mixed.is_ranked(&name) {
                prop_assert_eq!(&found, &expected);
            }
            found.sort();
            expected.sort();
            prop_assert_eq!(found, expected);
        }
    }
}
