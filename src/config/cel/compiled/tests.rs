//! What expressions see, what they may not do, and that no text breaks anything.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::asked::RequestDetails;
use crate::domain::catalog::capability::Capability;
use crate::domain::money::Pico;
use crate::domain::unmet::Features;

/// A request of a client with a budget, and an upstream of which everything is known but the price of an answer.
struct KnownSubject;

impl RequestDetails for KnownSubject {
    fn header(&self, name: &str) -> Option<String> {
        match name {
            "x-tier" => Some("gold".to_owned()),
            "x-long" => Some("x".repeat(LONGEST_HEADER + 1)),
            "authorization" | "cookie" => Some("secret".to_owned()),
            _ => None,
        }
    }

    fn temperature(&self) -> Option<f64> {
        Some(0.2)
    }

    fn budget_left(&self) -> Option<Pico> {
        Pico::parse("12.5")
    }
}

impl ConditionSubject for KnownSubject {
    fn name(&self) -> &str {
        "fast"
    }

    fn provider(&self) -> Option<&str> {
        Some("groq")
    }

    fn model(&self) -> Option<&str> {
        Some("llama")
    }

    fn input_price(&self) -> Option<Pico> {
        // 0.15 per million tokens.
        Some(Pico::new(150_000))
    }

    fn output_price(&self) -> Option<Pico> {
        None
    }

    fn context_window(&self) -> Option<u64> {
        Some(128_000)
    }

    fn first_token(&self) -> Option<Duration> {
        Some(Duration::from_millis(340))
    }

    fn in_flight(&self) -> u32 {
        3
    }

    fn used_share(&self) -> Option<f64> {
        Some(0.5)
    }

    fn tags(&self) -> Vec<&str> {
        vec!["eu", "gpu"]
    }
}

fn holds(text: &str, asked: &RequestShape<'_>) -> Option<bool> {
    let compiled = condition(text).unwrap_or_else(|error| panic!("{text} {error}"));
    compiled.expression.holds(asked, &KnownSubject, 0)
}

fn asked() -> RequestShape<'static> {
    let images: Features = [Capability::Images].into_iter().collect();
    RequestShape {
        model: "smart",
        prompt_tokens: 2000,
        output_tokens: Some(100),
        features: images,
        client: Some("team-a"),
        priority: Some("high"),
        details: &KnownSubject,
        ..RequestShape::default()
    }
}

#[test]
fn everything_that_is_known_can_be_asked_for() {
    for (text, expected) in [
        ("true", true),
        ("request.prompt_tokens > 1000 && !request.stream", true),
        ("request.prompt_tokens < 1000 || request.tools", false),
        ("request.images && !request.has_schema", true),
        ("request.audio || request.reasoning", false),
        ("request.model == 'smart'", true),
        ("has(request.max_tokens) && request.max_tokens <= 100", true),
        (
            "has(request.temperature) && request.temperature < 0.5",
            true,
        ),
        ("client.name.startsWith('team-')", true),
        ("client.priority == 'high'", true),
        (
            "has(client.budget_left) && client.budget_left == 12.5",
            true,
        ),
        ("headers['x-tier'] == 'gold'", true),
        (
            "headers[\"X-Tier\".size() > 0 ? 'x-tier' : 'none'] == 'gold'",
            true,
        ),
        ("'x-other' in headers", false),
        ("'x-long' in headers", false),
        ("has(headers.authorization) || 'cookie' in headers", false),
        ("now.hour == 0 && now.minute == 0 && now.weekday == 4", true),
        ("request.prompt_tokens in [1, 2000]", true),
        ("target.name == 'fast' && target.in_flight == 3", true),
        (
            "has(target.provider) && target.provider == 'groq' && has(target.model) && target.model != 'x'",
            true,
        ),
        ("has(target.price_in) && target.price_in <= 0.15", true),
        ("has(target.price_in) && target.price_in < 1", true),
        ("has(target.price_out)", false),
        (
            "has(target.context) && target.context >= request.prompt_tokens",
            true,
        ),
        ("has(target.ttft_ms) ? target.ttft_ms < 500 : true", true),
        ("has(target.used_share) && target.used_share < 0.9", true),
        ("'eu' in target.tags && !('us' in target.tags)", true),
        ("target.tags.size() == 2 && target.tags[0] == 'eu'", true),
    ] {
        assert_eq!(holds(text, &asked()), Some(expected), "{text}");
        let missing = condition(text).unwrap().missing;
        assert_eq!(missing, None, "{text}: nothing may be missing");
    }
}

#[test]
fn what_a_request_does_not_have_does_not_hold_and_is_told_at_load() {
    for (text, missing) in [
        ("request.max_tokens > 1", Some("max_tokens")),
        ("request.temperature < 1.0", Some("temperature")),
        ("target.price_out < 5", Some("price_out")),
        ("headers['x-other'] == 'gold'", None),
        ("1 / request.prompt_tokens == 1", None),
        ("int(headers['x-other']) > 1", None),
    ] {
        let compiled = condition(text).unwrap();
        assert_eq!(compiled.missing.as_deref(), missing, "{text}");
        let nothing = RequestShape::default();
        assert_eq!(
            compiled.expression.holds(&nothing, &KnownSubject, 0),
            None,
            "{text}"
        );
    }
}

#[test]
fn what_no_request_could_make_right_is_refused() {
    for (text, said) in [
        ("", "empty"),
        ("target.tag == 'eu'", "`target.tag`"),
        ("target.tags", "a list, not true or false"),
        ("target.tags.exists(tag, tag == 'eu')", "loop"),
        ("request.promt_tokens > 1", "prompt_tokens"),
        ("nothing(1)", "nothing"),
        ("request.model > 3", "every request"),
        ("request.prompt_tokens", "a number"),
        ("'gold'", "a text"),
        ("other.price > 1", "`other`"),
        ("request.", "no expression"),
        ("&&", "no expression"),
        ("[1].all(x, x > 0)", "loop"),
        ("request.model.map(x, x)", "loop"),
        ("(1 == 1", "do not match"),
        ("[1)", "do not match"),
        ("'open", "do not match"),
        ("'''open'", "do not match"),
    ] {
        let error = condition(text).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn expressions_have_limits() {
    let deep = |times: usize| format!("{}true{}", "(".repeat(times), ")".repeat(times));
    assert_eq!(holds(&deep(DEEPEST), &asked()), Some(true));
    let lists = |times: usize| format!("size({}1{}) == 1", "[".repeat(times), "]".repeat(times));
    assert_eq!(holds(&lists(20), &asked()), Some(true));
    let chain = vec!["request.stream"; 40].join("||");
    assert_eq!(holds(&chain, &asked()), Some(false));
    let motif = "!!(!!!!!!(!!!!(((((!!(!!(!!!!((";
    for text in [
        format!("true{}", " ".repeat(LONGEST)),
        deep(DEEPEST + 1),
        "!".repeat(400) + "true",
        "- ".repeat(400) + "1 == 1",
        "true?true:".repeat(100) + "true",
        vec!["1"; 200].join("+") + " == 200",
        "true.a".to_owned() + &".a".repeat(200),
        motif.repeat(4) + "1",
    ] {
        assert!(condition(&text).is_err(), "{text}");
    }
    let inside = format!("'{}' != ''", "(".repeat(50));
    assert_eq!(
        holds(&inside, &asked()),
        Some(true),
        "texts are no brackets"
    );
    assert_eq!(holds(r"r'\' != '\'' // ((", &asked()), Some(true));
}

#[test]
fn an_expression_may_be_a_score() {
    let told = |text: &str| {
        let compiled = score(text).unwrap_or_else(|error| panic!("{text} {error}"));
        let score = compiled.expression.score(&asked(), &KnownSubject, 0);
        (score, compiled.missing)
    };
    for (text, expected) in [
        ("7", 7.0),
        ("7u", 7.0),
        ("-0.5", -0.5),
        ("0.15 / target.price_in", 1.0),
        ("'gpu' in target.tags ? 10 : 1", 10.0),
        ("request.images ? 2.5 : 1.0", 2.5),
        ("1000.0 / double(target.ttft_ms + 160)", 2.0),
    ] {
        assert_eq!(told(text).0, Some(expected), "{text}");
    }
    for (text, missing) in [
        ("target.price_out", Some("price_out")),
        ("1.0 / (target.used_share - 0.5)", Some("used_share")),
        ("1.0 / double(now.hour)", None),
        ("1 / now.hour", None),
        ("request.images ? request.stream : 1", None),
    ] {
        let missing = missing.map(str::to_owned);
        assert_eq!(told(text), (None, missing), "{text}");
    }
    for (text, said) in [
        ("request.stream", "is true or false, not a number"),
        ("'7'", "is a text, not a number"),
        ("[1].map(x, x)[0]", "loop"),
    ] {
        let error = score(text).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_text_breaks_anything(
        parts in prop::collection::vec(prop::sample::select(vec![
            "request", "target", "headers", "now", ".", "stream", "price_in", "(", ")", "[", "]", "{", "}", "!", "-", "?", ":",
            "1", "0.5", "'a'", "\"", "'", "&&", "||", "==", "<", "in", "has(", "+", "/", "%", ",", " ", "\\", "é", "size", "null",
        ]), 0..40),
    ) {
        if let Ok(compiled) = condition(&parts.concat()) {
            let _ = compiled.expression.holds(&asked(), &KnownSubject, i64::MIN);
        }
        if let Ok(compiled) = score(&parts.concat()) {
            let score = compiled.expression.score(&asked(), &KnownSubject, i64::MIN);
            prop_assert!(score.is_none_or(f64::is_finite));
        }
    }
}
