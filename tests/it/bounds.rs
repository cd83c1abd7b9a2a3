//! Everything that callers can make grow by making up names has a bound, and `docs/security.md` says which.

use std::time::Duration;

use pointsman::domain::allowance::{Allowance, Unit};
use pointsman::domain::breaker::BreakerPolicy;
use pointsman::domain::client::Requester;
use pointsman::domain::cooldown::CooldownPolicy;
use pointsman::domain::dialect::Operation;
use pointsman::domain::fair_queue::FairQueue;
use pointsman::domain::ids::{LeaseId, ModelName};
use pointsman::domain::key_state::{self, KeyState, Settlement};
use pointsman::domain::limits::{KeyLimits, RetryBudgetPolicy};
use pointsman::domain::outcome::Class;
use pointsman::domain::pace;
use pointsman::domain::persisted::{
    PersistedCooldown, PersistedKey, PersistedLimit, PersistedProvider,
};
use pointsman::domain::provider_state::{self, Pass, ProviderState};
use pointsman::domain::retry_budget::BudgetCharge;
use pointsman::domain::time::Time;
use pointsman::domain::waiting::{Waiter, WaitingRoom};
use pointsman::wire::json;
use pointsman::wire::request::{MAX_FIELDS, RequestDoc};

/// So many names are made up: about twice as many as are kept of anything.
const NAMES: usize = 1_000;

/// What grows (as the documentation calls it), its bound, and what is left of it after a flood.
type Row = (&'static str, usize, fn() -> usize);

const TABLE: &[Row] = &[
    (
        "Models that cool, of a key",
        key_state::MODELS_KEPT,
        cooling,
    ),
    (
        "Models with learned limits, of a key",
        pace::MODELS_KEPT,
        paced,
    ),
    (
        "Models that are gone, lack an operation or have a breaker, of a provider",
        provider_state::MODELS_KEPT,
        gone,
    ),
    (
        "Models with a retry budget, of a provider",
        provider_state::MODELS_KEPT,
        budgets,
    ),
    ("Top-level fields of a request", MAX_FIELDS, fields),
    (
        "Parts of a body that is built as a value",
        json::MOST_PARTS,
        parts,
    ),
];

#[test]
fn nothing_grows_beyond_its_bound() {
    for (what, bound, flood) in TABLE {
        let left = flood();
        assert!(left <= *bound, "{what}: {left} of at most {bound}");
    }
}

/// A state file may come from elsewhere, or from a version with other bounds.
#[test]
fn what_is_restored_has_the_same_bounds() {
    let until = Time::ZERO + Duration::from_secs(300);
    let cooling = PersistedCooldown { until, strikes: 1 };
    let memory = PersistedKey {
        models: names().map(|name| (name, cooling)).collect(),
        ..PersistedKey::default()
    };
    let limit = |model| PersistedLimit {
        model,
        unit: Unit::Requests,
        period: Duration::ZERO,
        limit: Some(10.0),
        left: 9.0,
        at: Time::ZERO,
        reset: until,
        trusted_until: until,
        refills_in: None,
    };
    let limits: Vec<PersistedLimit> = names().map(limit).collect();
    let mut key = KeyState::new(KeyLimits::default(), CooldownPolicy::default());
    key.restore(&memory, &limits, Time::ZERO);
    assert_eq!(
        key.cooling_models(Time::ZERO).count(),
        key_state::MODELS_KEPT
    );
    assert_eq!(key.limits_memory(Time::ZERO).len(), pace::MODELS_KEPT);
    // A file may also hold more limits of one model than any upstream names.
    let many = (1..=100).map(|seconds| PersistedLimit {
        period: Duration::from_secs(seconds),
        ..limit("m".into())
    });
    let many: Vec<PersistedLimit> = many.collect();
    let mut key = KeyState::new(KeyLimits::default(), CooldownPolicy::default());
    key.restore(&PersistedKey::default(), &many, Time::ZERO);
    assert_eq!(key.limits_memory(Time::ZERO).len(), 8);
    let mut provider = provider();
    let memory = PersistedProvider {
        gone: names().map(|name| (name, Operation::Chat, until)).collect(),
        ..PersistedProvider::default()
    };
    provider.restore(&memory, Duration::from_secs(300), Time::ZERO);
    assert_eq!(provider.models(), provider_state::MODELS_KEPT);
}

#[test]
fn the_documentation_names_every_bound() {
    let docs = include_str!("../../docs/security.md");
    for (what, bound, _) in TABLE {
        let row = format!("| {what} | {} |", with_commas(*bound));
        assert!(
            docs.contains(&row),
            "docs/security.md lacks the row `{row}`"
        );
    }
}

/// The waiting room and the order of counts have the bounds of their configuration: they keep nobody who does not wait.
#[test]
fn who_no_longer_waits_leaves_nothing_behind() {
    let mut room = WaitingRoom::new(100);
    for name in names() {
        let standing = Requester {
            client: Some(name.as_str().into()),
            ..Requester::default()
        };
        let waiter = Waiter {
            ticket: room.ticket(standing.priority),
            standing,
            wake_at: Time::ZERO,
            wants: Vec::new(),
            payload: (),
        };
        let _ = room.park(waiter);
    }
    assert_eq!(room.len(), 100);
    let mut queue = FairQueue::default();
    for name in names() {
        queue.push(Some(name.as_str().into()), 1000, Time::ZERO, ());
    }
    while queue.pop().is_some() {}
    assert_eq!((queue.len(), queue.owners()), (0, 0));
}

fn with_commas(number: usize) -> String {
    match number / 1000 {
        0 => number.to_string(),
        thousands => format!("{thousands},{:03}", number % 1000),
    }
}

fn names() -> impl Iterator<Item = ModelName> {
    (0..NAMES).map(|n| ModelName::from(format!("made-up-{n}")))
}

/// A key, after an attempt for each name that `heard` something and ended like this. What is left after each must be
/// within the bound, so the largest is returned.
fn flooded(class: Class, heard: &[Allowance], size: impl Fn(&KeyState, Time) -> usize) -> usize {
    let mut key = KeyState::new(KeyLimits::default(), CooldownPolicy::default());
    let mut most = 0;
    let now = Time::ZERO;
    for (id, name) in (0..).map(LeaseId).zip(names()) {
        if key.admit(id, &name, 10, now).is_err() {
            // The key is out as a whole: nothing is asked, and nothing can grow. An operator lets it go on.
            break;
        }
        key.heard(id, heard, None, now);
        let settlement = Settlement {
            class,
            retry_after: Some(Duration::from_secs(300)),
            tokens: None,
            counts: true,
        };
        key.settle(id, &settlement, now);
        most = most.max(size(&key, now));
    }
    assert!(most > 0);
    most
}

fn cooling() -> usize {
    flooded(Class::RateLimited, &[], |key, now| {
        let remembered = key.persisted(now).models.len();
        key.cooling_models(now).count().max(remembered)
    })
}

fn paced() -> usize {
    let heard = Allowance {
        unit: Unit::Requests,
        period: Duration::ZERO,
        limit: Some(10.0),
        remaining: 9.0,
        reset: Duration::from_secs(60),
    };
    flooded(Class::Success, &[heard], |key, now| {
        key.learned_limits(now)
            .len()
            .max(key.limits_memory(now).len())
    })
}

fn provider() -> ProviderState {
    ProviderState::new(BreakerPolicy::default(), RetryBudgetPolicy::default())
}

fn gone() -> usize {
    let mut provider = provider();
    for name in names() {
        provider.settled(
            &name,
            Operation::Chat,
            Class::ModelGone,
            true,
            false,
            Time::ZERO,
        );
        for _ in 0..5 {
            provider.settled(
                &name,
                Operation::Chat,
                Class::Transient,
                true,
                false,
                Time::ZERO,
            );
        }
    }
    let remembered = provider.persisted(Time::ZERO).gone.len();
    provider.unwell(Time::ZERO).len().max(remembered)
}

fn budgets() -> usize {
    let mut provider = provider();
    for name in names() {
        let pass = Pass { probe: false };
        provider.started(&name, pass, BudgetCharge::First, Time::ZERO);
    }
    provider.models()
}

fn fields() -> usize {
    let many: String = (0..=MAX_FIELDS).map(|n| format!(r#""{n}":0,"#)).collect();
    let body = |fields: String| RequestDoc::parse(format!(r#"{{{fields}"model":"m"}}"#).into());
    assert!(body(many).is_err());
    let most = (1..MAX_FIELDS).map(|n| format!(r#""{n}":0,"#)).collect();
    assert!(body(most).is_ok());
    MAX_FIELDS
}

fn parts() -> usize {
    let large = format!("[{}0]", "0,".repeat(2 * json::MOST_PARTS));
    let value = json::value(large.as_bytes()).unwrap();
    value.as_array().unwrap().len()
}
