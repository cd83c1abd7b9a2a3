//! What was added beside a configuration: the configuration stands by itself and comes first.

use super::*;

const FILE: &str = "
llm:
  providers:
    - {name: home, base_url: 'https://home.example/v1', model: m, api_key: in-the-file}
  virtual:
    - {name: smart, upstreams: [home]}
";

/// A reference, as text, for a provider.
type KeyOf<'a> = (&'a str, &'a str);

fn additions(providers: &[(&str, serde_json::Value)], keys: &[KeyOf<'_>]) -> LoadedAdditions {
    let mut all = LoadedAdditions::default();
    for (name, settings) in providers {
        let settings = settings.as_object().unwrap().clone();
        all.additions
            .add_provider((*name).into(), settings)
            .unwrap();
    }
    for (provider, reference) in keys {
        let origin = KeyOrigin::Reference(SecretReference::parse(reference).unwrap());
        all.additions.add_key((*provider).into(), origin).unwrap();
    }
    all
}

fn with(text: &str, added: &LoadedAdditions, variables: &[(&str, &str)]) -> Config {
    let dir = ConfigDir::new()
        .with("pointsman.yaml", text)
        .with("keys/spare", "# a comment\nfrom-a-file\nand-another\n");
    load_with(&request(&dir.0, variables), added).unwrap()
}

fn keys(config: &Config, provider: &str) -> Vec<String> {
    let mut all = config.providers.iter();
    let found = all.find(|it| it.name.as_str() == provider).unwrap();
    let keys = found.keys.iter().filter_map(|key| key.material.as_ref());
    keys.map(|key| key.expose().to_owned()).collect()
}

/// What has become of each, and why.
fn told(config: &Config) -> Vec<(String, AdditionUse, String)> {
    let told = config.additions.iter().map(|it| {
        let name = match it.number {
            Some(number) => format!("{} a{number}", it.provider),
            None => it.provider.to_string(),
        };
        let problems: Vec<String> = it.problems.iter().map(ToString::to_string).collect();
        (name, it.used, problems.join("; "))
    });
    told.collect()
}

#[test]
fn added_keys_stand_behind_those_of_the_file() {
    let added = additions(&[], &[("home", "env:SPARE"), ("home", "file:keys/spare")]);
    let config = with(FILE, &added, &[("SPARE", "one, two")]);
    let all = ["in-the-file", "one", "two", "from-a-file", "and-another"];
    assert_eq!(keys(&config, "home"), all);
    assert_eq!(config.additions[0].keys, [2, 3]);
    assert_eq!(config.additions[1].keys, [4, 5]);
    assert!(config.additions.iter().all(|it| !it.is_left_out()));
    assert_eq!(
        config.providers[0].keys[1].source,
        "added as a1 (env:SPARE)"
    );
    assert!(config.files.iter().any(|file| file.ends_with("keys/spare")));
}

#[test]
fn an_added_provider_is_asked_for_by_its_name_and_changes_nothing_else() {
    let settings = serde_json::json!({"base_url": "https://more.example/v1", "model": "big"});
    let added = additions(&[("more", settings)], &[("more", "env:MORE")]);
    let config = with(FILE, &added, &[("MORE", "k")]);
    assert_eq!(
        told(&config)[0].1,
        AdditionUse::Active,
        "{:?}",
        told(&config)
    );
    assert_eq!(keys(&config, "more"), ["k"]);
    assert!(config.targets.resolve(Some("more")).is_ok());
    let alone = with(FILE, &LoadedAdditions::default(), &[]);
    // A model's name alone means what it meant before.
    let settings = serde_json::json!({"base_url": "https://more.example/v1", "model": "m"});
    let same = additions(&[("more", settings)], &[("more", "env:MORE")]);
    let same = with(FILE, &same, &[("MORE", "k")]);
    let meant = |config: &Config, name: &str| {
        let chain = config.targets.resolve(Some(name));
        chain.map(|it| it.upstreams[0].to_string())
    };
    assert_eq!(meant(&same, "m").as_deref(), Ok("home:m"));
    assert_eq!(meant(&same, "more:m").as_deref(), Ok("more:m"));
    assert!(meant(&config, "big").is_err());
    let default = |config: &Config| config.targets.default_chain().map(|it| it.target.clone());
    assert_eq!(default(&config), default(&alone));
    let built_in = serde_json::json!({});
    let added = additions(&[("groq", built_in)], &[("groq", "env:MINE")]);
    let config = with(FILE, &added, &[("MINE", "gsk-mine")]);
    assert_eq!(keys(&config, "groq"), ["gsk-mine"]);
    assert!(config.providers[1].base_url.contains("api.groq.com"));
}

#[test]
fn what_the_file_says_comes_first_and_no_key_goes_to_a_namesake() {
    let settings = serde_json::json!({"base_url": "https://elsewhere.example/v1", "model": "big"});
    let names = ["home", "smart", "m"];
    for name in names {
        let added = additions(&[(name, settings.clone())], &[(name, "env:MORE")]);
        let config = with(FILE, &added, &[("MORE", "k")]);
        let told = told(&config);
        assert!(
            told.iter().all(|it| it.1 == AdditionUse::Shadowed),
            "{told:?}"
        );
        assert_eq!(keys(&config, "home"), ["in-the-file"]);
        assert_eq!(config.providers.len(), 1);
    }
    // The same key again.
    let added = additions(&[], &[("home", "env:SAME")]);
    let config = with(FILE, &added, &[("SAME", "in-the-file")]);
    assert_eq!(told(&config)[0].1, AdditionUse::Shadowed);
    // A key for a provider of the file that is gone goes to no added one of that name.
    let mut added = additions(&[], &[("more", "env:MORE")]);
    let settings = settings.as_object().unwrap().clone();
    added
        .additions
        .add_provider("more".into(), settings)
        .unwrap();
    let config = with(FILE, &added, &[("MORE", "k")]);
    assert_eq!(keys(&config, "more"), [""; 0]);
    assert_eq!(told(&config)[1].1, AdditionUse::Unusable);
}

#[test]
fn a_bad_addition_is_left_out_with_the_reason_and_is_no_mistake_of_the_file() {
    let url = serde_json::json!({"base_url": "https://more.example/v1"});
    for (settings, reference, why) in [
        (url.clone(), "env:UNSET", "no key is there"),
        (url.clone(), "file:keys/none", "can't be read"),
        (
            url.clone(),
            "exec:/bin/echo k",
            "run by the process that serves",
        ),
        (url, "env:ODD", "a header can't carry"),
        (
            serde_json::json!({"base_url": "no url"}),
            "env:GOOD",
            "base_url",
        ),
        (
            serde_json::json!({"base_urll": "x"}),
            "env:GOOD",
            "did you mean `base_url`?",
        ),
        (
            serde_json::json!({"headers": {"x": "y"}}),
            "env:GOOD",
            "is no setting that",
        ),
        (
            serde_json::json!({"api_key": "sk-live-0123456789abcdefghij"}),
            "env:GOOD",
            "is no setting that",
        ),
        (
            serde_json::json!({"base_url": "https://user:secret-word@x.example"}),
            "env:GOOD",
            "looks like a credential",
        ),
        (
            serde_json::json!({"limits": {"rpm": "many"}}),
            "env:GOOD",
            "limits.rpm",
        ),
    ] {
        let mut settings = settings;
        let typed = settings.get("base_url").is_none();
        if typed {
            settings["base_url"] = "https://more.example/v1".into();
        }
        let added = additions(&[("more", settings)], &[("more", reference)]);
        let config = with(FILE, &added, &[("GOOD", "k"), ("ODD", "schlüssel")]);
        let all = told(&config);
        assert!(
            all.iter()
                .any(|it| it.1 == AdditionUse::Unusable && it.2.contains(why)),
            "{why}: {all:?}"
        );
        let shown = format!("{all:?}");
        assert!(
            !shown.contains("0123456789") && !shown.contains("secret-word"),
            "{shown}"
        );
        assert_eq!(keys(&config, "home"), ["in-the-file"]);
    }
}

#[test]
fn a_file_cannot_lean_on_an_addition() {
    let settings = serde_json::json!({"base_url": "https://more.example/v1", "model": "big"});
    let added = additions(&[("more", settings)], &[("more", "env:MORE")]);
    let text = FILE.replace("upstreams: [home]", "upstreams: [home, more]");
    let dir = ConfigDir::new().with("pointsman.yaml", &text);
    let problems = load_with(&request(&dir.0, &[("MORE", "k")]), &added).unwrap_err();
    assert!(problems.to_string().contains("more"), "{problems}");
}

#[test]
fn whoever_has_no_token_to_show_adds_nothing_unless_it_is_allowed() {
    let rules = |text: &str| {
        yaml(&format!("{text}\n{FILE}"), &[])
            .unwrap()
            .server
            .additions
    };
    assert!(!rules("").allow);
    assert!(rules("server: {admin_token: a-token-that-is-long}").allow);
    assert!(rules("additions: {allow: true}").allow);
    let off = "server: {admin_token: a-token-that-is-long}\nadditions: {allow: false}";
    assert!(!rules(off).allow);
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let rules = rules("additions: {exec: [/usr/bin/key-of]}");
    assert!(rules.runs(&words("/usr/bin/key-of groq")));
    assert!(!rules.runs(&words("/bin/sh -c true")) && !rules.runs(&[]));
    let problems = mistakes(&format!("additions: {{exec: [key-of]}}\n{FILE}"), &[]);
    assert!(problems.contains("is no whole path"), "{problems}");
}
