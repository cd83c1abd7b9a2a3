//! Each hint over a handful of upstreams.

use super::*;
use crate::domain::policy::TokenPrices;
use crate::domain::spill::TierKeys;

/// Upstreams `a:m1`, `b:m2` and so on; figures by the provider's name.
#[derive(Default)]
struct FewFacts {
    cost: Vec<(&'static str, u64)>,
    first_token: Vec<(&'static str, u64)>,
    per_token: Vec<(&'static str, u64)>,
    prices: Vec<(&'static str, UnitPrices)>,
    able: Vec<&'static str>,
    policies: Vec<(&'static str, DataPolicy)>,
    names: Vec<(&'static str, &'static str)>,
}

fn of<T: Copy>(table: &[(&str, T)], provider: &ProviderName) -> Option<T> {
    let row = table.iter().find(|(name, _)| *name == provider.as_str());
    row.map(|(_, value)| *value)
}

impl UpstreamFigures for FewFacts {
    fn in_flight(&self, _: &ProviderName) -> u32 {
        0
    }

    fn pending(&self, _: &Upstream) -> u32 {
        0
    }

    fn cost(&self, upstream: &Upstream) -> Option<Pico> {
        of(&self.cost, &upstream.provider).map(Pico::new)
    }

    fn token_prices(&self, _: &Upstream) -> TokenPrices {
        TokenPrices::default()
    }

    fn latency(&self, upstream: &Upstream, signal: Signal) -> Option<Duration> {
        let table = match signal {
            Signal::PerToken => &self.per_token,
            _ => &self.first_token,
        };
        of(table, &upstream.provider).map(Duration::from_millis)
    }

    fn first_token(&self, upstream: &Upstream) -> Option<Duration> {
        of(&self.first_token, &upstream.provider).map(Duration::from_millis)
    }

    fn tags(&self, _: &Upstream) -> Vec<&str> {
        Vec::new()
    }

    fn used(&self, _: &Upstream) -> Option<f64> {
        None
    }

    fn context_window(&self, _: &Upstream) -> Option<u64> {
        None
    }

    fn base_priority(&self, _: &ProviderName) -> f64 {
        1.0
    }

    fn keys(&self, _: &Upstream) -> TierKeys {
        TierKeys::default()
    }

    fn lacks(&self, _: &Upstream) -> Option<Unmet> {
        None
    }

    fn turn(&self, _: usize) -> u64 {
        0
    }
}

impl HintFacts for FewFacts {
    fn means(&self, name: &str, upstream: &Upstream) -> bool {
        self.names.contains(&(name, upstream.provider.as_str()))
    }

    fn prices(&self, upstream: &Upstream) -> UnitPrices {
        of(&self.prices, &upstream.provider).unwrap_or_default()
    }

    fn has_all(&self, upstream: &Upstream) -> bool {
        self.able.contains(&upstream.provider.as_str())
    }

    fn data_policy(&self, provider: &ProviderName) -> DataPolicy {
        of(&self.policies, provider).unwrap_or_default()
    }
}

fn names(names: &[&str]) -> Vec<Box<str>> {
    names.iter().map(|name| Box::from(*name)).collect()
}

/// The providers in order, those that are left out behind a bar.
fn order(hints: &Hints, facts: &FewFacts) -> String {
    let all = ["a:m1", "b:m2", "b/turbo:m2", "c:m1"].map(|name| {
        let (provider, model) = name.split_once(':').unwrap();
        (Upstream::new(provider, model), None)
    });
    let narrowed = hints.narrow(all.to_vec(), facts);
    let mut text = String::new();
    for one in narrowed {
        if one.unmet.is_some() && !text.contains('|') {
            text.push('|');
        }
        text.push_str(match one.upstream.provider.as_str() {
            "b/turbo" => "t",
            other => other,
        });
    }
    text
}

#[test]
fn providers_are_picked_by_name_and_what_means_nothing_matches_nothing() {
    let facts = FewFacts::default();
    let only = |all: &[&str]| Hints {
        only: names(all),
        ..Hints::default()
    };
    for (hints, expected) in [
        (Hints::default(), "abtc"),
        (only(&["C", "a"]), "ac|bt"),
        (only(&["b"]), "bt|ac"),
        (only(&["b/turbo"]), "t|abc"),
        (only(&["b:m2"]), "b|atc"),
        (only(&["b:m1", "nobody", "ab"]), "|abtc"),
        (
            Hints {
                ignore: names(&["b", "x"]),
                ..Hints::default()
            },
            "ac|bt",
        ),
        (
            Hints {
                order: names(&["c", "b"]),
                ..Hints::default()
            },
            "cbta",
        ),
        (
            Hints {
                order: names(&["c", "b"]),
                no_fallbacks: true,
                ..Hints::default()
            },
            "cbt|a",
        ),
        (
            Hints {
                no_fallbacks: true,
                ..only(&["b", "c"])
            },
            "b|tca",
        ),
    ] {
        assert_eq!(order(&hints, &facts), expected, "{hints}");
    }
}

#[test]
fn models_may_serve_in_their_order_and_a_target_means_what_it_contains() {
    let facts = FewFacts {
        names: vec![("fast", "b/turbo"), ("fast", "c")],
        ..FewFacts::default()
    };
    let models = |all: &[&str]| Hints {
        models: names(all),
        ..Hints::default()
    };
    assert_eq!(order(&models(&["m2", "m1"]), &facts), "btac");
    assert_eq!(order(&models(&["fast", "a:m1"]), &facts), "tca|b");
    assert_eq!(order(&models(&["openai/m1"]), &facts), "|abtc");
    let sorted = Hints {
        sort: Some(HintSort::Price),
        ..models(&["m2", "m1"])
    };
    let facts = FewFacts {
        cost: vec![("a", 1), ("b", 5), ("b/turbo", 3)],
        ..FewFacts::default()
    };
    assert_eq!(order(&sorted, &facts), "tbac");
    let across = Hints {
        across_models: true,
        ..sorted
    };
    assert_eq!(order(&across, &facts), "atbc");
}

#[test]
fn a_sort_ranks_and_what_is_not_known_comes_last() {
    let facts = FewFacts {
        cost: vec![("b", 3), ("c", 0)],
        first_token: vec![("a", 900), ("c", 300)],
        per_token: vec![("a", 5), ("b", 20), ("b/turbo", 10)],
        ..FewFacts::default()
    };
    let by = |sort| Hints {
        sort: Some(sort),
        ..Hints::default()
    };
    assert_eq!(order(&by(HintSort::Price), &facts), "cbat");
    assert_eq!(order(&by(HintSort::Latency), &facts), "cabt");
    assert_eq!(order(&by(HintSort::Throughput), &facts), "atbc");
    let late = Hints {
        max_latency: Some(Duration::from_millis(500)),
        ..Hints::default()
    };
    assert_eq!(order(&late, &facts), "btca");
    let slow = Hints {
        min_throughput: Some(60.0),
        ..Hints::default()
    };
    assert_eq!(order(&slow, &facts), "atcb");
}

#[test]
fn bounds_are_hard_and_what_is_not_known_does_not_meet_them() {
    let price = |prompt, completion| UnitPrices {
        prompt: Some(Pico::new(prompt)),
        completion: Some(Pico::new(completion)),
        ..UnitPrices::default()
    };
    let facts = FewFacts {
        prices: vec![
            ("a", price(10, 20)),
            ("b", price(11, 5)),
            ("c", price(0, 0)),
        ],
        able: vec!["a", "b/turbo"],
        policies: vec![("b", DataPolicy::NoCollection), ("c", DataPolicy::Zdr)],
        ..FewFacts::default()
    };
    let none = Hints::default();
    let priced = |most| Hints {
        max_price: Some(most),
        ..none.clone()
    };
    assert_eq!(order(&priced(price(10, 20)), &facts), "ac|bt");
    let prompt = UnitPrices {
        prompt: Some(Pico::new(11)),
        ..UnitPrices::default()
    };
    assert_eq!(order(&priced(prompt), &facts), "abc|t");
    let able = Hints {
        require_parameters: true,
        ..none.clone()
    };
    assert_eq!(order(&able, &facts), "at|bc");
    let private = |data_policy| Hints {
        data_policy,
        ..none.clone()
    };
    assert_eq!(order(&private(DataPolicy::NoCollection), &facts), "bc|at");
    assert_eq!(order(&private(DataPolicy::Zdr), &facts), "c|abt");
    let left = private(DataPolicy::Zdr).narrow(vec![(Upstream::new("a", "m"), None)], &facts);
    assert_eq!(left[0].unmet, Some(Unmet::Hint(HintField::Zdr)));
}

#[test]
fn what_is_out_already_stays_out_for_its_own_reason() {
    let upstream = Upstream::new("a", "m");
    let hints = Hints {
        only: names(&["b"]),
        ..Hints::default()
    };
    let narrowed = hints.narrow(vec![(upstream, Some(Unmet::Hours))], &FewFacts::default());
    assert_eq!(narrowed[0].unmet, Some(Unmet::Hours));
}
