use super::*;
use crate::domain::catalog::capability::Capability;
use crate::domain::catalog::entry::Zero;
use crate::domain::catalog::notes::Notes;
use crate::domain::money::Pico;
use crate::domain::price_sheet::Rates;

fn million(text: &str) -> Option<Pico> {
    Some(Pico::per_token_of_million(text).unwrap())
}

fn sheet(input: &str, output: &str, cached: Option<&str>) -> Option<Arc<PriceSheet>> {
    let rates = Rates {
        input: million(input),
        output: million(output),
        cached_input: cached.and_then(million),
        ..Rates::default()
    };
    Some(Arc::new(PriceSheet {
        rates,
        ..PriceSheet::default()
    }))
}

fn entry(provider: Option<&str>, id: &str) -> Entry {
    Entry {
        id: id.into(),
        provider: provider.map(Into::into),
        ..Entry::default()
    }
}

fn list(name: &str, of: Option<&str>, read_at: u64, entries: Vec<Entry>) -> Arc<ModelList> {
    Arc::new(ModelList {
        origin: Arc::new(Origin {
            name: name.into(),
            read_at: Some(read_at),
        }),
        of: of.map(Into::into),
        entries,
        groups: Vec::new(),
        notes: Notes::default(),
    })
}

fn provider(name: &str) -> KnownProvider {
    KnownProvider {
        name: name.into(),
        called: vec![name.to_owned()],
        local: false,
        configured: Configured::default(),
        models: Vec::new(),
        aliases: Vec::new(),
    }
}

fn own_list() -> Arc<ModelList> {
    let mut own = entry(None, "m");
    own.window = Some(131_072);
    list("p /models", Some("p"), 300, vec![own])
}

fn index() -> Arc<ModelList> {
    let mut index = entry(Some("p"), "m");
    index.window = Some(262_144);
    index.sheet = sheet("1", "2", None);
    list("index.json", None, 200, vec![index])
}

fn models_dev() -> Arc<ModelList> {
    let mut dev = entry(Some("p"), "m");
    dev.window = Some(200_000);
    dev.sheet = sheet("1", "3", Some("0.1"));
    dev.capabilities.set(Capability::Images, Some(true));
    list("models.dev", None, 100, vec![dev])
}

fn rates(facts: &Facts) -> (Option<Pico>, Option<Pico>, Option<Pico>, &str) {
    let known = facts.sheet.as_ref().unwrap();
    let Rates {
        input,
        output,
        cached_input,
        ..
    } = known.value.rates;
    (input, output, cached_input, &known.origin.name)
}

#[test]
fn each_fact_is_of_the_best_list_that_knows_it_and_prices_are_of_one() {
    let mut priced = provider("p");
    let own = Configured {
        sheet: sheet("0.9", "2", None),
        ..Configured::default()
    };
    priced.models = vec![("m".into(), own)];
    let lists = [own_list(), index(), models_dev()];
    let merged = |provider: KnownProvider, lists: &[Arc<ModelList>]| {
        Catalog::new(vec![provider], lists).facts(&"p".into(), &"m".into())
    };
    let facts = merged(priced, &lists);
    let window = facts.window.as_ref().unwrap();
    assert_eq!(
        (window.value, &*window.origin.name, window.origin.age(1_000)),
        (131_072, "p /models", Some(700))
    );
    assert_eq!(
        rates(&facts),
        (million("0.9"), million("2"), None, "configuration")
    );
    let images = facts.capabilities.get(Capability::Images).as_ref().unwrap();
    assert!(images.value && &*images.origin.name == "models.dev");
    assert_eq!(facts.can(Capability::Tools), None);
    assert_eq!(facts.origins().len(), 3);

    let facts = merged(provider("p"), &lists);
    assert_eq!(
        rates(&facts),
        (million("1"), million("2"), None, "index.json")
    );
    let facts = merged(provider("p"), &[own_list(), models_dev()]);
    assert_eq!(
        rates(&facts),
        (million("1"), million("3"), million("0.1"), "models.dev")
    );
}

#[test]
fn what_is_configured_of_capabilities_beats_every_list() {
    let mut own = Configured {
        max_output: Some(4_096),
        ..Configured::default()
    };
    own.capabilities.set(Capability::Images, Some(false));
    own.capabilities.set(Capability::Tools, Some(true));
    let mut provider = provider("p");
    provider.configured = own;
    let facts =
        Catalog::new(vec![provider], &[own_list(), models_dev()]).facts(&"p".into(), &"m".into());
    assert_eq!(facts.can(Capability::Images), Some(false));
    assert_eq!(facts.can(Capability::Tools), Some(true));
    assert_eq!(facts.can(Capability::Audio), None);
    let output = facts.max_output.as_ref().unwrap();
    assert_eq!(
        (output.value, &*output.origin.name),
        (4_096, "configuration")
    );
}

#[test]
fn the_smallest_window_that_is_really_taken_beats_what_the_model_supports() {
    let mut small = entry(Some("p"), "m");
    small.window = Some(1_000_000);
    small.effective_window = Some(32_768);
    let small = list("small", None, 0, vec![small]);
    let facts = |provider: KnownProvider| {
        let lists = [own_list(), index(), Arc::clone(&small)];
        let facts = Catalog::new(vec![provider], &lists).facts(&"p".into(), &"m".into());
        facts.window.clone().unwrap()
    };
    let found = facts(provider("p"));
    assert_eq!((found.value, &*found.origin.name), (32_768, "small"));
    let mut told = provider("p");
    told.configured.window = Some(65_536);
    let found = facts(told);
    assert_eq!(
        (found.value, &*found.origin.name),
        (65_536, "configuration")
    );
}

#[test]
fn ids_match_by_name_and_never_by_a_part() {
    let mut listed = Vec::new();
    for (id, aliases) in [
        ("gpt-4o", &["chatgpt-4o"][..]),
        ("auto", &[]),
        ("vendor/x:free", &[]),
        ("Llama_3.3 70B", &[]),
    ] {
        let mut one = entry(Some("openai"), id);
        one.aliases = aliases.iter().map(|alias| (*alias).into()).collect();
        one.window = Some(8_000);
        one.sheet = sheet("1", "2", None);
        listed.push(one);
    }
    let mut openai = provider("mine");
    openai.called = vec!["openai".to_owned(), "mine".to_owned()];
    openai.aliases = vec![("house".into(), "gpt-4o".into())];
    let catalog = Catalog::new(vec![openai], &[list("l", None, 0, listed)]);
    let found = |model: &str| {
        let facts = catalog.facts(&"mine".into(), &model.into());
        (facts.window.is_some(), facts.sheet.is_some())
    };
    for model in [
        "gpt-4o",
        "chatgpt-4o",
        "GPT_4o",
        "openai/gpt-4o",
        "house",
        "llama-3.3-70b",
        "vendor/x:free",
    ] {
        assert_eq!(found(model), (true, true), "{model}");
    }
    for model in ["gpt-4o-2024-08-06", "gpt-4o:nitro", "vendor/x"] {
        assert_eq!(found(model), (true, false), "{model}");
    }
    for model in [
        "gpt-4",
        "gpt-4o-mini",
        "automatic",
        "autopilot/auto",
        "x",
        "",
    ] {
        assert_eq!(found(model), (false, false), "{model}");
    }
    let other = catalog.facts(&"other".into(), &"gpt-4o".into());
    assert_eq!(*other, Facts::default());
}

#[test]
fn a_zero_of_a_list_that_writes_it_for_unknown_counts_only_at_home() {
    let mut zero = entry(Some("p"), "m");
    zero.sheet = sheet("0", "0", None);
    zero.zero = Zero::FreeIfLocal;
    let zero = [list("map", None, 0, vec![zero]), models_dev()];
    let abroad = Catalog::new(vec![provider("p")], &zero);
    let facts = abroad.facts(&"p".into(), &"m".into());
    assert_eq!(rates(&facts).3, "models.dev");
    assert!(!facts.free);
    let mut local = provider("p");
    local.local = true;
    let facts = Catalog::new(vec![local], &zero).facts(&"p".into(), &"m".into());
    assert_eq!(rates(&facts).0, Some(Pico::ZERO));
    assert!(facts.free);
}

#[test]
fn lists_of_many_providers_say_nothing_of_others() {
    let catalog = Catalog::new(
        vec![provider("p"), provider("q")],
        &[own_list(), index(), models_dev()],
    );
    assert_eq!(*catalog.facts(&"q".into(), &"m".into()), Facts::default());
    assert_eq!(catalog.len(), 1);
    assert!(Catalog::default().is_empty());
}
