//! The file's form: one JSON document with a format, a version and a checksum of the rest. Times are milliseconds
//! since the Unix epoch.

use crate::domain::dialect::Operation;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::additions::StoredAdditions;
use super::fingerprint::{self, Fingerprinter};
use super::snapshot::{SnapshotKey, SnapshotProvider, StateSnapshot};
use super::spending::StoredSpending;
use crate::domain::allowance::Unit;
use crate::domain::holders;
use crate::domain::ids::ModelName;
use crate::domain::persisted::{
    PersistedCooldown, PersistedKey, PersistedLimit, PersistedProvider, PersistedQuarantine,
};
use crate::domain::time::{Anchor, Time};

const FORMAT: &str = "pointsman-state";
/// Fields that were added since the first version may be missing, and unknown ones are ignored, both ways: an earlier
/// program keeps its part of a later one's file. An incompatible change takes another number.
const VERSION: u64 = 1;
/// Callers choose the names of models: longer ones are not kept.
const LONGEST_NAME: usize = 256;

/// Why bytes are not what was once written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Defect {
    /// Something else's file, or one cut off early.
    #[error("it is not a state file, or it is cut off")]
    Foreign,
    /// Of a later version of this program.
    #[error("it has the form of a later version ({0})")]
    Newer(u64),
    /// The checksum does not fit.
    #[error("it is damaged: its checksum does not fit")]
    Damaged,
}

#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct FileEnvelope<'a> {
    format: &'a str,
    version: u64,
    sha256: &'a str,
    #[serde(borrow)]
    state: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
struct StoredState {
    saved_at: u64,
    salt: String,
    providers: Vec<ProviderRecord>,
    keys: Vec<KeyRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    resources: Vec<ResourceRecord>,
    #[serde(default, skip_serializing_if = "StoredSpending::is_empty")]
    spending: StoredSpending,
    #[serde(default, skip_serializing_if = "StoredAdditions::is_empty")]
    additions: StoredAdditions,
}

/// What a provider keeps, and the fingerprint of the key that holds it.
#[derive(Serialize, Deserialize)]
struct ResourceRecord {
    name: Box<str>,
    key: String,
}

#[derive(Serialize, Deserialize)]
struct ProviderRecord {
    fingerprint: String,
    provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cooling: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gone: Vec<Gone>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<HeldRecord>,
}

/// An operator's hold. Without `until`: until it is released.
#[derive(Serialize, Deserialize)]
struct HeldRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
}

impl HeldRecord {
    fn encoded(held: Time, anchor: &Anchor) -> Self {
        let until = (held != Time::NEVER).then(|| anchor.wall_millis(held));
        Self { until }
    }

    fn decoded(self, anchor: &Anchor) -> Time {
        self.until
            .map_or(Time::NEVER, |until| anchor.time_of(until))
    }
}

#[derive(Serialize, Deserialize)]
struct Gone {
    model: String,
    /// The path of the operation for which it is gone.
    operation: String,
    until: u64,
}

#[derive(Serialize, Deserialize)]
struct KeyRecord {
    fingerprint: String,
    provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cooling: Option<Cooling>,
    #[serde(default)]
    quota_exhausted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    invalid: Option<Invalid>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    models: Vec<ModelCooling>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    limits: Vec<Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<HeldRecord>,
}

#[derive(Serialize, Deserialize)]
struct Cooling {
    until: u64,
    strikes: u32,
}

#[derive(Serialize, Deserialize)]
struct ModelCooling {
    model: String,
    until: u64,
    strikes: u32,
}

#[derive(Serialize, Deserialize)]
struct Invalid {
    probe_at: u64,
    span_seconds: u64,
}

#[derive(Serialize, Deserialize)]
struct Limit {
    model: String,
    unit: String,
    period_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<f64>,
    left: f64,
    at: u64,
    reset: u64,
    trusted_until: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refills_in_seconds: Option<u64>,
}

/// The file's content. `anchor` is the moment of writing.
///
/// # Errors
/// What the serializer says: it never does, but its type cannot know.
pub fn encode(
    book: &StateSnapshot,
    fingerprinter: &Fingerprinter,
    anchor: &Anchor,
) -> Result<Vec<u8>, serde_json::Error> {
    let providers = book.providers().map(|(mark, page)| {
        let gone = page
            .persisted
            .gone
            .iter()
            .filter(|(model, ..)| is_kept(model));
        ProviderRecord {
            fingerprint: mark.to_string(),
            provider: page.name.to_string(),
            cooling: page
                .persisted
                .cooling
                .map(|until| anchor.wall_millis(until)),
            gone: gone
                .map(|(model, operation, until)| Gone {
                    model: model.to_string(),
                    operation: operation.path().to_owned(),
                    until: anchor.wall_millis(*until),
                })
                .collect(),
            hold: page
                .persisted
                .held
                .map(|held| HeldRecord::encoded(held, anchor)),
        }
    });
    let state = StoredState {
        saved_at: anchor.wall_millis(anchor.time),
        salt: fingerprinter.salt(),
        providers: providers.collect(),
        keys: book
            .keys()
            .map(|(mark, page)| key_entry(mark.to_string(), page, anchor))
            .collect(),
        resources: book
            .resources
            .iter()
            .map(|(name, key)| ResourceRecord {
                name: name.clone(),
                key: key.to_string(),
            })
            .collect(),
        spending: StoredSpending::encoded(&book.spending),
        additions: StoredAdditions::encoded(&book.additions),
    };
    let state = serde_json::value::to_raw_value(&state)?;
    let mut bytes = serde_json::to_vec(&FileEnvelope {
        format: FORMAT,
        version: VERSION,
        sha256: &fingerprint::checksum(state.get().as_bytes()),
        state: &state,
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn is_kept(model: &ModelName) -> bool {
    model.as_str().len() <= LONGEST_NAME
}

fn key_entry(mark: String, page: &SnapshotKey, anchor: &Anchor) -> KeyRecord {
    let PersistedKey {
        whole,
        exhausted,
        models,
        invalid: quarantine,
        held,
    } = &page.persisted;
    let models = models.iter().filter(|(model, ..)| is_kept(model));
    let limits = page.limits.iter().filter(|limit| is_kept(&limit.model));
    KeyRecord {
        fingerprint: mark,
        provider: page.provider.to_string(),
        cooling: whole.map(|PersistedCooldown { until, strikes }| Cooling {
            until: anchor.wall_millis(until),
            strikes,
        }),
        quota_exhausted: *exhausted,
        invalid: quarantine.map(|PersistedQuarantine { until, span }| Invalid {
            probe_at: anchor.wall_millis(until),
            span_seconds: span.as_secs(),
        }),
        models: models
            .map(|(model, cooldown)| ModelCooling {
                model: model.to_string(),
                until: anchor.wall_millis(cooldown.until),
                strikes: cooldown.strikes,
            })
            .collect(),
        limits: limits
            .map(|limit| Limit {
                model: limit.model.to_string(),
                unit: limit.unit.as_str().to_owned(),
                period_seconds: limit.period.as_secs_f64(),
                limit: limit.limit,
                left: limit.left,
                at: anchor.wall_millis(limit.at),
                reset: anchor.wall_millis(limit.reset),
                trusted_until: anchor.wall_millis(limit.trusted_until),
                refills_in_seconds: limit.refills_in.map(|span| span.as_secs()),
            })
            .collect(),
        hold: held.map(|held| HeldRecord::encoded(held, anchor)),
    }
}

/// What `bytes` say, in the times of this process. `anchor` is the moment of reading.
///
/// # Errors Why they are not restored.
pub fn decode(bytes: &[u8], anchor: Anchor) -> Result<(Fingerprinter, StateSnapshot), Defect> {
    let head: Head = serde_json::from_slice(bytes).map_err(|_| Defect::Foreign)?;
    if head.format != FORMAT {
        return Err(Defect::Foreign);
    }
    if head.version > VERSION {
        return Err(Defect::Newer(head.version));
    }
    // The checksum is of the state as text, so it is checked before that is read.
    let envelope: FileEnvelope<'_> = serde_json::from_slice(bytes).map_err(|_| Defect::Foreign)?;
    if fingerprint::checksum(envelope.state.get().as_bytes()) != envelope.sha256 {
        return Err(Defect::Damaged);
    }
    let state: StoredState =
        serde_json::from_str(envelope.state.get()).map_err(|_| Defect::Foreign)?;
    let fingerprinter = Fingerprinter::with_salt(&state.salt).ok_or(Defect::Foreign)?;
    // A clock that was set back since then makes nothing last longer.
    let anchor = anchor.not_before(state.saved_at);
    let mut book = StateSnapshot::default();
    book.spending = Arc::new(state.spending.decoded());
    book.additions = Arc::new(state.additions.decoded());
    for entry in state.keys {
        let mark = fingerprint::fingerprint(&entry.fingerprint).ok_or(Defect::Foreign)?;
        book.note_key(mark, key_page(entry, &anchor));
    }
    for entry in state.resources.into_iter().take(2 * holders::MOST) {
        let key = fingerprint::fingerprint(&entry.key).ok_or(Defect::Foreign)?;
        book.resources.push((entry.name, key));
    }
    for entry in state.providers {
        let mark = fingerprint::fingerprint(&entry.fingerprint).ok_or(Defect::Foreign)?;
        let gone = entry.gone.into_iter();
        let memory = PersistedProvider {
            cooling: entry.cooling.map(|until| anchor.time_of(until)),
            gone: gone
                // An operation that only another version knows is asked again.
                .filter_map(|gone| {
                    let operation = Operation::at(&gone.operation)?;
                    Some((gone.model.into(), operation, anchor.time_of(gone.until)))
                })
                .collect(),
            held: entry.hold.map(|held| held.decoded(&anchor)),
        };
        let name = entry.provider.into();
        book.note_provider(
            mark,
            SnapshotProvider {
                name,
                persisted: memory,
            },
        );
    }
    Ok((fingerprinter, book))
}

fn key_page(entry: KeyRecord, anchor: &Anchor) -> SnapshotKey {
    let models = entry.models.into_iter().map(|cooling| {
        let cooldown = PersistedCooldown {
            until: anchor.time_of(cooling.until),
            strikes: cooling.strikes,
        };
        (cooling.model.into(), cooldown)
    });
    let limits = entry.limits.into_iter();
    SnapshotKey {
        provider: entry.provider.into(),
        persisted: PersistedKey {
            whole: entry.cooling.map(|cooling| PersistedCooldown {
                until: anchor.time_of(cooling.until),
                strikes: cooling.strikes,
            }),
            exhausted: entry.quota_exhausted,
            models: models.collect(),
            invalid: entry.invalid.map(|invalid| PersistedQuarantine {
                until: anchor.time_of(invalid.probe_at),
                span: Duration::from_secs(invalid.span_seconds),
            }),
            held: entry.hold.map(|held| held.decoded(anchor)),
        },
        limits: Arc::new(
            limits
                .filter_map(|limit| limit_memory(limit, anchor))
                .collect(),
        ),
    }
}

/// A limit that this version does not understand is left out: the next answer reports it again.
fn limit_memory(limit: Limit, anchor: &Anchor) -> Option<PersistedLimit> {
    let units = [
        Unit::Requests,
        Unit::Tokens,
        Unit::ProjectTokens,
        Unit::PromptTokens,
        Unit::AnswerTokens,
    ];
    let memory = PersistedLimit {
        model: limit.model.into(),
        unit: units.into_iter().find(|unit| unit.as_str() == limit.unit)?,
        period: Duration::try_from_secs_f64(limit.period_seconds).ok()?,
        limit: limit.limit,
        left: limit.left,
        at: anchor.time,
        reset: anchor.time_of(limit.reset),
        trusted_until: anchor.time_of(limit.trusted_until),
        refills_in: limit.refills_in_seconds.map(Duration::from_secs),
    };
    Some(memory.refilled(anchor.since_millis(limit.at)))
}

#[cfg(test)]
mod tests;
