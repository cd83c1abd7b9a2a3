//! What is added while the process serves: each change is tried as a reload, is in use when it is answered, and is in the
//! state file by then where there is one.

use super::admin;
use super::programs;
use super::reader::ConfigReader;
use super::reload;
use super::running::App;
use super::state_writer::Opening;
use super::watch::Watch;
use crate::admin::{AdditionChange, ChangeDone, ChangeRefusal, Mistake, OfferedKey};
use crate::config::{
    AdditionConflict, AdditionUse, Additions, Config, KeyOrigin, LoadedAdditions, PlacedAddition,
    Problem, number_of,
};
use crate::domain::ids::ProviderName;
use crate::telemetry::events;

/// What the process before had, and the configuration with it; `None`: there is nothing, or it cannot be read any more.
pub(super) async fn at_start(
    config: &Config,
    opened: Option<&Opening>,
    read: &ConfigReader,
) -> (LoadedAdditions, Option<Config>) {
    let additions = opened.map(Opening::additions).unwrap_or_default();
    let mut added = LoadedAdditions {
        additions,
        ..LoadedAdditions::default()
    };
    if added.additions.is_empty() {
        return (added, None);
    }
    let rules = &config.server.additions;
    added.printed = programs::all(&added.additions, rules, &added.printed).await;
    // The file may have changed since it was read, and have mistakes now.
    let read = read(&added).ok();
    for addition in read.iter().flat_map(|config| &config.additions) {
        if addition.is_left_out() {
            tracing::warn!("{addition}");
        }
    }
    (added, read)
}

/// What a change comes to.
struct Edited {
    is_new: bool,
    /// The key that was added.
    number: Option<u64>,
    /// What has to be of use afterwards.
    wanted: Vec<(ProviderName, Option<u64>)>,
}

/// Does what was asked for, or changes nothing.
pub(super) async fn change(
    app: &mut App,
    read: &ConfigReader,
    files: &mut Watch,
    change: AdditionChange,
) -> Result<ChangeDone, ChangeRefusal> {
    let mut next = app.added.clone();
    let told = described(&change, &app.added.additions);
    let edited = edit(&mut next, &app.config, change)?;
    // What is there already but of no use is tried again.
    let unused = |(provider, number): &(ProviderName, Option<u64>)| {
        judge(&app.config, provider, *number).is_err()
    };
    if edited.is_new || edited.wanted.iter().any(unused) {
        let read = reload::read_watched(app, read, files, &next).await;
        let config = read.map_err(|errors| ChangeRefusal::Invalid(admin::mistakes(&errors)))?;
        for (provider, number) in &edited.wanted {
            judge(&config, provider, *number)?;
        }
        let taken = reload::take_over(app, &config, next).await;
        for text in taken.map_err(|(_, mistakes)| ChangeRefusal::Invalid(mistakes))? {
            tracing::warn!("{text}: that takes a restart");
        }
    }
    let generation = app.api.serving().dispatch.generation;
    if edited.is_new {
        tell(&told, &edited, &app.added.additions, generation);
    }
    Ok(ChangeDone {
        generation,
        is_new: edited.is_new,
        number: edited.number,
        forgotten: keep(app, &edited).await,
    })
}

/// Keeps what is there now for the next process; else says why that will not know of the change.
async fn keep(app: &App, edited: &Edited) -> Option<&'static str> {
    let Some(keeper) = &app.keeper else {
        return Some("there is no state file: state.path names none");
    };
    let additions = &app.added.additions;
    if !keeper.keep(additions).await {
        return Some(
            "the state file cannot be written now, or another process writes it: it is written as soon as that is possible",
        );
    }
    let named = |number: u64| additions.keys().iter().find(|key| key.number == number);
    let mut numbers = edited.wanted.iter().filter_map(|(_, number)| *number);
    let is_literal =
        |number| named(number).is_some_and(|key| matches!(key.origin, KeyOrigin::Literal(_)));
    let forgotten =
        "a key that was given as it is is written nowhere: give a reference for one that stays";
    numbers.any(is_literal).then_some(forgotten)
}

/// Changes the additions.
fn edit(
    next: &mut LoadedAdditions,
    config: &Config,
    change: AdditionChange,
) -> Result<Edited, ChangeRefusal> {
    let conflict = |error: AdditionConflict| ChangeRefusal::Conflict(error.to_string());
    match change {
        AdditionChange::AddProvider {
            name,
            settings,
            keys,
        } => {
            let all = &mut next.additions;
            let mut is_new = all.add_provider(name.clone(), settings).map_err(conflict)?;
            let mut wanted = vec![(name.clone(), None)];
            for key in keys {
                let (number, new) = add_key(next, &name, key).map_err(conflict)?;
                is_new |= new;
                wanted.push((name.clone(), Some(number)));
            }
            Ok(Edited {
                is_new,
                number: None,
                wanted,
            })
        }
        AdditionChange::AddKey { provider, key } => {
            let known = config.providers.iter().any(|it| it.name == provider);
            if !known && !next.additions.has_provider(&provider) {
                let why = format!("no provider is called `{provider}`");
                return Err(ChangeRefusal::Missing(why));
            }
            let (number, is_new) = add_key(next, &provider, key).map_err(conflict)?;
            Ok(Edited {
                is_new,
                number: Some(number),
                wanted: vec![(provider, Some(number))],
            })
        }
        AdditionChange::RemoveProvider(name) => {
            if !next.additions.remove_provider(&name) {
                return Err(not_added_provider(config, &name));
            }
            forget_printed(next);
            Ok(removed())
        }
        AdditionChange::RemoveKey { provider, id } => {
            let number = number_of(&id);
            let gone = number.is_some_and(|number| next.additions.remove_key(&provider, number));
            if !gone {
                return Err(not_added_key(config, &provider, &id));
            }
            forget_printed(next);
            Ok(removed())
        }
    }
}

fn removed() -> Edited {
    Edited {
        is_new: true,
        number: None,
        wanted: Vec::new(),
    }
}

fn add_key(
    next: &mut LoadedAdditions,
    provider: &ProviderName,
    key: OfferedKey,
) -> Result<(u64, bool), AdditionConflict> {
    let (number, is_new) = next.additions.add_key(provider.clone(), key.origin)?;
    if let Some(printed) = key.printed {
        next.printed.insert(number, Ok(printed));
    }
    Ok((number, is_new))
}

fn forget_printed(next: &mut LoadedAdditions) {
    let keys = next.additions.keys();
    next.printed
        .retain(|number, _| keys.iter().any(|key| key.number == *number));
}

fn not_added_provider(config: &Config, name: &ProviderName) -> ChangeRefusal {
    if config.providers.iter().any(|it| it.name == *name) {
        return ChangeRefusal::Conflict(format!(
            "`{name}` is in the configuration and was not added: only that takes it away, or hold it"
        ));
    }
    ChangeRefusal::Missing(format!("no provider `{name}` was added"))
}

fn not_added_key(config: &Config, provider: &ProviderName, id: &str) -> ChangeRefusal {
    let index: Option<usize> = id.parse().ok();
    let mut providers = config.providers.iter();
    let keys = providers.find(|it| it.name == *provider);
    let there = keys.zip(index).filter(|(it, index)| {
        let numbers = 1..=it.keys.len();
        numbers.contains(index)
    });
    let Some((_, index)) = there else {
        let why = format!(
            "no key `{id}` was added to `{provider}`: GET /admin/v1/additions tells their ids"
        );
        return ChangeRefusal::Missing(why);
    };
    let mut added = config.additions.iter();
    let added = added.find(|it| it.provider == *provider && it.keys.contains(&index));
    ChangeRefusal::Conflict(match added.and_then(|it| it.number) {
        Some(number) => {
            format!("{provider}#{index} was added as a{number}, and is taken away by that id")
        }
        None => format!(
            "{provider}#{index} is in the configuration and was not added: only that takes it away, or hold it"
        ),
    })
}

/// Whether an addition is of use under this configuration.
fn judge(
    config: &Config,
    provider: &ProviderName,
    number: Option<u64>,
) -> Result<(), ChangeRefusal> {
    let mut all = config.additions.iter();
    let found = all.find(|it| it.provider == *provider && it.number == number);
    let Some(PlacedAddition { used, problems, .. }) = found else {
        return Ok(());
    };
    match used {
        AdditionUse::Active => Ok(()),
        AdditionUse::Shadowed => {
            let why = problems.iter().map(ToString::to_string);
            let why: Vec<String> = why.collect();
            Err(ChangeRefusal::Conflict(why.join("; ")))
        }
        AdditionUse::Unusable => {
            let mistakes = problems.iter().map(mistake);
            Err(ChangeRefusal::Invalid(mistakes.collect()))
        }
    }
}

fn mistake(problem: &Problem) -> Mistake {
    Mistake {
        place: problem.place.clone(),
        message: problem.message.clone(),
        suggestion: problem.suggestion.clone(),
    }
}

/// What a change is about, for the log.
enum Described {
    AddedProvider(ProviderName),
    AddedKey,
    RemovedProvider(ProviderName),
    RemovedKey(ProviderName, String),
}

fn described(change: &AdditionChange, before: &Additions) -> Described {
    match change {
        // A key more of a provider that is there already.
        AdditionChange::AddProvider { name, .. } if before.has_provider(name) => {
            Described::AddedKey
        }
        AdditionChange::AddProvider { name, .. } => Described::AddedProvider(name.clone()),
        AdditionChange::AddKey { .. } => Described::AddedKey,
        AdditionChange::RemoveProvider(name) => Described::RemovedProvider(name.clone()),
        AdditionChange::RemoveKey { provider, id } => {
            Described::RemovedKey(provider.clone(), id.clone())
        }
    }
}

fn tell(told: &Described, edited: &Edited, now: &Additions, generation: u64) {
    match told {
        Described::AddedProvider(name) => events::provider_added(name, generation),
        Described::RemovedProvider(name) => events::provider_removed(name, generation),
        Described::RemovedKey(provider, id) => events::key_removed(provider, id, generation),
        Described::AddedKey => {}
    }
    for (provider, number) in &edited.wanted {
        let key = number.and_then(|number| now.key(provider, number));
        if let Some(key) = key {
            events::key_added(provider, &key.id(), &key.shown(), generation);
        }
    }
}
