//! What is understood of policies, tiers, conditions and affinity, and what is said of mistakes.

use super::*;
use crate::domain::session_affinity::AffinityBy;

const PROVIDERS: &str = "
llm:
  providers:
    - {name: a, base_url: 'http://localhost:1/v1', model: m, api_key: k, priority: 20}
    - {name: b, base_url: 'http://localhost:1/v1', model: m, api_key: k}
  virtual:
";

fn with(keys: &str) -> String {
    format!("{PROVIDERS}    - {{name: v, {keys}}}\n")
}

fn policy(keys: &str) -> String {
    let config = yaml(&with(&format!("{keys}, upstreams: [a, b]")), &[]).unwrap();
    config.targets.configured("v").unwrap().policy.to_string()
}

#[test]
fn a_policy_is_a_word_or_a_word_with_settings() {
    for (keys, shown) in [
        ("policy: cost", "cost"),
        ("policy: {kind: cost}", "cost"),
        (
            "policy: {kind: cost, band: 0.05, unpriced: exclude}",
            "cost, band: 0.05, unpriced: exclude",
        ),
        (
            "policy: {kind: weighted, by: inverse_square_price}",
            "weighted, by: inverse_square_price",
        ),
        (
            "policy: {kind: latency, signal: total, decay: 5s, start: 500ms, band: 0}",
            "latency, signal: total, decay: 5s, start: 500ms, band: 0",
        ),
        (
            "policy: {kind: score, params_unit: seed}",
            "score, params_unit: seed",
        ),
        ("policy: round_robin", "round_robin"),
        ("policy: {kind: usage}", "usage"),
    ] {
        assert_eq!(policy(keys), shown, "{keys}");
    }
}

#[test]
fn tiers_order_the_members_and_conditions_belong_to_them() {
    let members = "upstreams: [{name: a}, {name: b, priority: 5, when: {hours: '22:00-06:00', days: mon, timezone: Europe/Berlin, has: [tools]}}]";
    let of = |policy: &str| {
        let config = yaml(&with(&format!("policy: {policy}, {members}")), &[]).unwrap();
        config.targets.configured("v").unwrap().upstreams.clone()
    };
    let told = |members: &[crate::domain::chain::MemberEntry]| {
        let members = members.iter();
        let all = members.map(|it| format!("{} {}", it.name, it.priority));
        all.collect::<Vec<_>>()
    };
    assert_eq!(told(&of("cost")), ["b 5", "a 20"]);
    assert_eq!(told(&of("ordered")), ["b 5", "a 100"]);
    let when = of("cost")[0].when.clone().unwrap();
    assert_eq!(
        when.calendar.as_ref().unwrap().zone.name.as_ref(),
        "Europe/Berlin"
    );
}

#[test]
fn affinity_is_a_word_or_a_section() {
    let of = |keys: &str| {
        let config = yaml(&with(&format!("{keys}upstreams: [a, b]")), &[]).unwrap();
        config.targets.configured("v").unwrap().affinity
    };
    assert_eq!(of(""), None);
    assert_eq!(of("affinity: off, "), None);
    assert_eq!(of("affinity: auto, ").unwrap().by, AffinityBy::Auto);
    let own = of("affinity: {by: user, bound: 2, ttl: 10m}, ").unwrap();
    assert_eq!((own.by, own.ttl.as_secs()), (AffinityBy::User, 600));
    assert!((own.bound - 2.0).abs() < 1e-9);
}

#[test]
fn mistakes_are_told_where_they_are() {
    for (keys, said) in [
        (
            "policy: {decay: 5s}, upstreams: [a]",
            "llm.virtual[0].policy: needs a kind",
        ),
        (
            "policy: {kind: cost, decay: 5s}, upstreams: [a]",
            "policy cost has no `decay`; it belongs to latency",
        ),
        ("affinity: {bound: 0.5}, upstreams: [a]", "bound is below 1"),
        (
            "upstreams: [{name: a, when: {hours: 9 to 5}}]",
            "when.hours: expected times of day",
        ),
        (
            "upstreams: [{name: a, when: {days: [monday, someday]}}]",
            "when.days: expected days",
        ),
        (
            "upstreams: [{name: a, when: {timezone: Mars/North}}]",
            "when.timezone: expected a zone",
        ),
        (
            "upstreams: [{name: a, when: {has: [wings]}}]",
            "when.has: expected some of tools",
        ),
        (
            "policy: {kind: score, adjustments: nowhere.yaml}, upstreams: [a]",
            "nowhere.yaml cannot be read",
        ),
    ] {
        let text = yaml(&with(keys), &[]).unwrap_err().to_string();
        assert!(text.contains(said), "{keys}: {text}");
    }
}

#[test]
fn what_models_can_do_is_read() {
    let text = "llm: {providers: [{name: a, base_url: 'http://localhost:1/v1', model: m, api_key: k, base_priority: 0.5, capabilities: {tools: false, max_output_tokens: 100}}]}";
    let config = yaml(text, &[]).unwrap();
    let provider = &config.providers[0];
    assert!(!provider.capabilities.is_empty());
    assert_eq!(provider.capabilities.max_output_tokens, Some(100));
    assert!((provider.base_priority - 0.5).abs() < 1e-9);
}

#[test]
fn keys_may_say_their_account() {
    let provider = |keys: &str| {
        format!(
            "llm: {{providers: [{{name: a, base_url: 'http://localhost:1/v1', model: m, key_rotation: affinity, {keys}}}]}}"
        )
    };
    let text = provider("api_keys: [{key: 'k1, ${K2}', account: x}, k3, {key: k4, account: y}]");
    let config = yaml(&text, &[("K2", "k2")]).unwrap();
    let keys = config.providers[0].keys.iter();
    let keys = keys.map(|key| {
        let material = key.material.as_ref().unwrap().expose().to_owned();
        (
            material,
            key.account.clone().unwrap_or_default().to_string(),
        )
    });
    let expected = [("k1", "x"), ("k2", "x"), ("k3", ""), ("k4", "y")];
    let expected = expected.map(|(key, account)| (key.to_owned(), account.to_owned()));
    assert_eq!(keys.collect::<Vec<_>>(), expected);
    let one = yaml(&provider("api_key: {key: k1, account: x}"), &[]).unwrap();
    assert_eq!(one.providers[0].keys[0].account.as_deref(), Some("x"));
    let wrong = yaml(&provider("api_keys: [{account: x}]"), &[]).unwrap_err();
    assert!(
        wrong.to_string().contains("api_keys[0]: has no key"),
        "{wrong}"
    );
    let odd = yaml(&provider("api_keys: [{key: k1, acount: x}]"), &[]).unwrap_err();
    assert!(odd.to_string().contains("did you mean `account`"), "{odd}");
}

#[test]
fn the_examples_are_valid() {
    for text in [
        include_str!("../../../config/examples/cheapest.yaml"),
        include_str!("../../../config/examples/fastest.yaml"),
        include_str!("../../../config/examples/free-first.yaml"),
        include_str!("../../../config/examples/canary.yaml"),
        include_str!("../../../config/examples/agents.yaml"),
        include_str!("../../../config/examples/office-hours.yaml"),
    ] {
        let env = [
            "GROQ",
            "OPENAI",
            "ANTHROPIC",
            "OPENROUTER",
            "CEREBRAS",
            "DEEPINFRA",
        ];
        let env = env.map(|name| (format!("{name}_API_KEY"), "k-0123456789"));
        let env: Vec<_> = env
            .iter()
            .map(|(name, key)| (name.as_str(), *key))
            .collect();
        if let Err(errors) = yaml(text, &env) {
            panic!("{errors}\n{text}");
        }
    }
}

#[test]
fn requests_may_spill_over_tiers_and_narrow_the_choice() {
    let of = |keys: &str| {
        let config = yaml(&with(&format!("{keys}, upstreams: [a, b]")), &[]).unwrap();
        let entry = config.targets.configured("v").unwrap();
        let spill = entry
            .spill
            .map(|spill| (spill.overprovisioning, spill.panic));
        (spill, entry.hints, config.targets.takes_hints("v"))
    };
    assert_eq!(of("policy: cost"), (None, false, false));
    assert_eq!(of("spill: true").0, Some((140, 50)));
    assert_eq!(of("spill: false, hints: off"), (None, false, false));
    let spill = of("spill: {overprovisioning: 1.0, panic: 0.25}").0;
    assert_eq!(spill, Some((100, 25)));
    assert_eq!(of("hints: openrouter"), (None, true, true));
    let text = "llm: {providers: [{name: a, base_url: 'http://localhost:1/v1', model: m, api_key: k, data_policy: zdr}]}";
    let config = yaml(text, &[]).unwrap();
    let zdr = crate::domain::hint_fields::DataPolicy::Zdr;
    assert_eq!(config.providers[0].data_policy, zdr);
    for (keys, said) in [
        ("hints: vercel", "openrouter"),
        ("spill: sometimes", "spill"),
        ("spill: {panic: 2}", "panic"),
    ] {
        let text = yaml(&with(&format!("{keys}, upstreams: [a]")), &[]);
        let text = text.unwrap_err().to_string();
        assert!(text.contains(said), "{keys}: {text}");
    }
}

#[cfg(feature = "cel")]
#[test]
fn an_expression_is_read_at_load_and_what_may_not_be_meant_is_told() {
    let of = |text: &str| {
        let members = format!("upstreams: [{{name: a, when: {{cel: \"{text}\"}}}}, b]");
        yaml(&with(&members), &[])
    };
    let config = of("request.stream && has(request.max_tokens)").unwrap();
    assert_eq!(config.warnings, Vec::<String>::new());
    let config = of("request.max_tokens > 9").unwrap();
    let warned = config.warnings.concat();
    assert!(warned.contains("upstreams[0].when.cel"), "{warned}");
    assert!(warned.contains("no `max_tokens`"), "{warned}");
    let said = of("request.max_token > 9").unwrap_err().to_string();
    assert!(said.contains("upstreams[0].when.cel"), "{said}");
    assert!(said.contains("speaks of `request.max_token`"), "{said}");
}

#[cfg(feature = "cel")]
#[test]
fn a_score_may_be_an_expression_alone() {
    let of = |settings: &str| {
        let policy = format!("policy: {{kind: score, {settings}}}, upstreams: [a, b]");
        yaml(&with(&policy), &[])
    };
    let config = of("cel: '1.0', timezone: Europe/Berlin").unwrap();
    assert_eq!(config.warnings, Vec::<String>::new());
    let shown = config.targets.configured("v").unwrap().policy.to_string();
    assert_eq!(shown, "score, cel: 1.0, timezone: Europe/Berlin");
    let warned = of("cel: target.price_in").unwrap().warnings.concat();
    assert!(warned.contains("policy.cel"), "{warned}");
    assert!(
        warned.contains("no score where there is no `price_in`"),
        "{warned}"
    );
    for (settings, said) in [
        ("cel: request.stream", "is true or false, not a number"),
        ("cel: '1', weights: {context: 1}", "in place of `weights`"),
        ("cel: '1', leaderboard: x.json", "in place of `leaderboard`"),
        ("timezone: UTC", "`timezone` is that of `cel`"),
    ] {
        let error = of(settings).unwrap_err().to_string();
        assert!(error.contains(said), "{settings}: {error}");
    }
    let cost = yaml(&with("policy: {kind: cost, cel: '1'}, upstreams: [a]"), &[]);
    let error = cost.unwrap_err().to_string();
    assert!(error.contains("policy cost has no `cel`"), "{error}");
}

#[test]
fn tags_are_words_of_providers_models_and_members() {
    let of = |keys: &str| {
        let provider =
            format!("{{name: a, base_url: 'http://localhost:1/v1', model: m, api_key: k, {keys}}}");
        yaml(&format!("llm: {{providers: [{provider}]}}"), &[])
    };
    let config = of("tags: [eu, team/x], model_tags: {m: 'small, eu'}").unwrap();
    let tags = &config.providers[0].tags;
    assert_eq!(tags.of(&"m".into()), ["eu", "team/x", "small"]);
    assert_eq!(tags.of(&"n".into()), ["eu", "team/x"]);
    for wrong in [
        "tags: ['a b!']",
        "tags: {a: b}",
        "model_tags: [a]",
        "model_tags: {m: ['ä']}",
    ] {
        let error = of(wrong).unwrap_err().to_string();
        assert!(
            error.contains("tags of letters") || error.contains("expected"),
            "{error}"
        );
    }
    let config = yaml(&with("upstreams: [{name: a, tags: [x]}, b]"), &[]).unwrap();
    let members = &config.targets.configured("v").unwrap().upstreams;
    assert_eq!(members[0].tags.concat(), "x");
    assert!(members[1].tags.is_empty());
}
