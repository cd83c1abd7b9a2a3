//! What was added is found again, and what was taken away is gone; numbers are never given twice.

use proptest::prelude::*;

use super::*;

fn reference(text: &str) -> KeyOrigin {
    KeyOrigin::Reference(SecretReference::parse(text).unwrap())
}

#[test]
fn a_reference_is_read_as_it_is_shown_and_anything_else_is_refused_unseen() {
    for text in [
        "env:GROQ_SPARE",
        "file:/run/secrets/groq",
        "file:keys/with a blank",
        "exec:/usr/bin/key-of groq --plain",
    ] {
        assert_eq!(SecretReference::parse(text).unwrap().to_string(), text);
    }
    for (text, why) in [
        ("GROQ_SPARE", ReferenceError::Form),
        ("http://x", ReferenceError::Form),
        ("env:", ReferenceError::Variable),
        ("env:1A", ReferenceError::Variable),
        ("env:A B", ReferenceError::Variable),
        ("file: ", ReferenceError::Path),
        ("file:a\nb", ReferenceError::Form),
        ("exec:", ReferenceError::Program),
        ("exec:key-of groq", ReferenceError::Program),
        ("sk-live-0123456789abcdefghij", ReferenceError::Key),
        ("env:sk-live-0123456789abcdefghij", ReferenceError::Key),
        (
            "exec:/bin/echo sk-live-0123456789abcdefghij",
            ReferenceError::Key,
        ),
    ] {
        let error = SecretReference::parse(text).unwrap_err();
        assert_eq!(error, why, "{text}");
        assert!(!error.to_string().contains("0123"), "{error}");
    }
}

#[test]
fn the_same_again_changes_nothing_and_other_settings_are_a_conflict() {
    let mut all = Additions::default();
    let settings = |model: &str| {
        let mut settings = Map::new();
        settings.insert("model".to_owned(), Value::from(model));
        settings
    };
    assert_eq!(all.add_provider("p".into(), settings("m")), Ok(true));
    assert_eq!(all.add_provider("p".into(), settings("m")), Ok(false));
    let conflict = all.add_provider("p".into(), settings("n"));
    assert_eq!(conflict, Err(AdditionConflict::Different));
    assert_eq!(all.add_key("p".into(), reference("env:A")), Ok((1, true)));
    assert_eq!(all.add_key("p".into(), reference("env:A")), Ok((1, false)));
    assert_eq!(all.add_key("q".into(), reference("env:A")), Ok((2, true)));
    assert!(all.keys()[0].of_added && !all.keys()[1].of_added);
    assert!(!all.remove_key(&"q".into(), 1), "it is another provider's");
    assert!(all.remove_provider(&"p".into()) && !all.remove_provider(&"p".into()));
    assert_eq!(all.keys().len(), 1, "its keys have gone with it");
    assert!(all.remove_key(&"q".into(), 2) && all.is_empty());
    assert_eq!(all.add_key("q".into(), reference("env:A")), Ok((3, true)));
}

#[test]
fn there_is_a_bound() {
    let mut all = Additions::default();
    for at in 0..MOST_ADDITIONS {
        let added = all.add_key("p".into(), reference(&format!("env:K{at}")));
        assert!(added.is_ok());
    }
    let more = all.add_key("p".into(), reference("env:MORE"));
    assert_eq!(more, Err(AdditionConflict::TooMany));
    assert_eq!(all.add_key("p".into(), reference("env:K0")), Ok((1, false)));
}

#[derive(Clone, Debug)]
enum Step {
    Provider(u8),
    Key(u8, u8),
    Literal(u8, u8),
    NoProvider(u8),
    NoKey(u8, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3_u8).prop_map(Step::Provider),
        (0..3_u8, 0..4_u8).prop_map(|(provider, key)| Step::Key(provider, key)),
        (0..3_u8, 0..4_u8).prop_map(|(provider, key)| Step::Literal(provider, key)),
        (0..3_u8).prop_map(Step::NoProvider),
        (0..3_u8, 0..12_u64).prop_map(|(provider, number)| Step::NoKey(provider, number)),
    ]
}

proptest! {
    #[test]
    fn numbers_only_grow_and_no_two_entries_are_the_same(steps in prop::collection::vec(step(), 0..40)) {
        let mut all = Additions::default();
        let name = |at: u8| ProviderName::from(format!("p{at}"));
        for step in steps {
            let latest = all.latest();
            match step {
                Step::Provider(at) => {
                    prop_assert!(all.add_provider(name(at), Map::new()).is_ok());
                }
                Step::Key(at, key) => {
                    let (number, new) = all.add_key(name(at), reference(&format!("env:K{key}"))).unwrap();
                    prop_assert_eq!(new, number > latest);
                }
                Step::Literal(at, key) => {
                    let literal = KeyOrigin::Literal(ApiKey::new(format!("k{key}")));
                    prop_assert!(all.add_key(name(at), literal).is_ok());
                }
                Step::NoProvider(at) => {
                    all.remove_provider(&name(at));
                    prop_assert!(all.keys().iter().all(|key| !(key.of_added && key.provider == name(at))));
                }
                Step::NoKey(at, number) => {
                    all.remove_key(&name(at), number);
                    prop_assert!(all.key(&name(at), number).is_none());
                }
            }
            prop_assert!(all.latest() >= latest);
        }
        let mut seen: Vec<&AddedKey> = Vec::new();
        for key in all.keys() {
            prop_assert_eq!(number_of(&key.id()), Some(key.number));
            let same = |other: &&AddedKey| other.number == key.number
                || other.provider == key.provider && other.of_added == key.of_added && other.origin == key.origin;
            prop_assert!(!seen.iter().any(same));
            prop_assert!(!key.of_added || all.has_provider(&key.provider));
            seen.push(key);
        }
        let kept = all.without_material();
        prop_assert_eq!(kept.latest(), all.latest());
        prop_assert!(kept.keys().iter().all(|key| matches!(key.origin, KeyOrigin::Reference(_))));
        let again = Additions::restored(kept.latest(), kept.providers().to_vec(), kept.keys().to_vec());
        prop_assert_eq!(again, kept);
    }

    #[test]
    fn any_text_is_read_without_a_panic_and_only_as_what_it_is(text in "(env:|file:|exec:|exec:/)?.{0,40}") {
        if let Ok(reference) = SecretReference::parse(&text) {
            let shown = reference.to_string();
            prop_assert_eq!(SecretReference::parse(&shown), Ok(reference));
        }
    }
}
