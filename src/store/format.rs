//! The file's form: one JSON document with a format, a version and a checksum of the rest. Times are milliseconds
//! since the Unix epoch.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::book::{Book, KeyPage, ProviderPage};
use super::marks::{self, Marker};
use crate::domain::allowance::Unit;
use crate::domain::ids::ModelName;
use crate::domain::memory::{
    CooldownMemory, KeyMemory, LimitMemory, ProviderMemory, QuarantineMemory,
};
use crate::domain::time::{Anchor, Time};

const FORMAT: &str = "pointsman-state";
/// What was added since the first one may be left out by who writes and passed over by who reads, both ways: an earlier
/// program keeps what it knows of a later one's file. Whatever is not like that takes another number.
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
struct Envelope<'a> {
    format: &'a str,
    version: u64,
    sha256: &'a str,
    #[serde(borrow)]
    state: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
struct State {
    saved_at: u64,
    salt: String,
    providers: Vec<ProviderEntry>,
    keys: Vec<KeyEntry>,
}

#[derive(Serialize, Deserialize)]
struct ProviderEntry {
    mark: String,
    provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cooling: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gone: Vec<Gone>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine: Option<Held>,
}

/// By an operator's hand. Without `until`: until it is released.
#[derive(Serialize, Deserialize)]
struct Held {
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
}

impl Held {
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
    until: u64,
}

#[derive(Serialize, Deserialize)]
struct KeyEntry {
    mark: String,
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
    quarantine: Option<Held>,
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
pub fn encode(book: &Book, marker: &Marker, anchor: &Anchor) -> Result<Vec<u8>, serde_json::Error> {
    let providers = book.providers().map(|(mark, page)| {
        let gone = page.memory.gone.iter().filter(|(model, _)| is_kept(model));
        ProviderEntry {
            mark: mark.to_string(),
            provider: page.name.to_string(),
            cooling: page.memory.cooling.map(|until| anchor.wall_millis(until)),
            gone: gone
                .map(|(model, until)| Gone {
                    model: model.to_string(),
                    until: anchor.wall_millis(*until),
                })
                .collect(),
            quarantine: page.memory.held.map(|held| Held::encoded(held, anchor)),
        }
    });
    let state = State {
        saved_at: anchor.wall_millis(anchor.time),
        salt: marker.salt(),
        providers: providers.collect(),
        keys: book
            .keys()
            .map(|(mark, page)| key_entry(mark.to_string(), page, anchor))
            .collect(),
    };
    let state = serde_json::value::to_raw_value(&state)?;
    let mut bytes = serde_json::to_vec(&Envelope {
        format: FORMAT,
        version: VERSION,
        sha256: &marks::checksum(state.get().as_bytes()),
        state: &state,
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn is_kept(model: &ModelName) -> bool {
    model.as_str().len() <= LONGEST_NAME
}

fn key_entry(mark: String, page: &KeyPage, anchor: &Anchor) -> KeyEntry {
    let KeyMemory {
        whole,
        exhausted,
        models,
        quarantine,
        held,
    } = &page.memory;
    let models = models.iter().filter(|(model, _)| is_kept(model));
    let limits = page.limits.iter().filter(|limit| is_kept(&limit.model));
    KeyEntry {
        mark,
        provider: page.provider.to_string(),
        cooling: whole.map(|CooldownMemory { until, strikes }| Cooling {
            until: anchor.wall_millis(until),
            strikes,
        }),
        quota_exhausted: *exhausted,
        invalid: quarantine.map(|QuarantineMemory { until, span }| Invalid {
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
        quarantine: held.map(|held| Held::encoded(held, anchor)),
    }
}

/// What `bytes` say, in the times of this process. `anchor` is the moment of reading.
///
/// # Errors
/// Why they are not to be believed.
pub fn decode(bytes: &[u8], anchor: Anchor) -> Result<(Marker, Book), Defect> {
    let head: Head = serde_json::from_slice(bytes).map_err(|_| Defect::Foreign)?;
    if head.format != FORMAT {
        return Err(Defect::Foreign);
    }
    if head.version > VERSION {
        return Err(Defect::Newer(head.version));
    }
    let envelope: Envelope<'_> = serde_json::from_slice(bytes).map_err(|_| Defect::Foreign)?;
    if marks::checksum(envelope.state.get().as_bytes()) != envelope.sha256 {
        return Err(Defect::Damaged);
    }
    let state: State = serde_json::from_str(envelope.state.get()).map_err(|_| Defect::Foreign)?;
    let marker = Marker::with_salt(&state.salt).ok_or(Defect::Foreign)?;
    let anchor = anchor.not_before(state.saved_at);
    let mut book = Book::default();
    for entry in state.keys {
        let mark = marks::mark(&entry.mark).ok_or(Defect::Foreign)?;
        book.note_key(mark, key_page(entry, &anchor));
    }
    for entry in state.providers {
        let mark = marks::mark(&entry.mark).ok_or(Defect::Foreign)?;
        let gone = entry.gone.into_iter();
        let memory = ProviderMemory {
            cooling: entry.cooling.map(|until| anchor.time_of(until)),
            gone: gone
                .map(|gone| (gone.model.into(), anchor.time_of(gone.until)))
                .collect(),
            held: entry.quarantine.map(|held| held.decoded(&anchor)),
        };
        let name = entry.provider.into();
        book.note_provider(mark, ProviderPage { name, memory });
    }
    Ok((marker, book))
}

fn key_page(entry: KeyEntry, anchor: &Anchor) -> KeyPage {
    let models = entry.models.into_iter().map(|cooling| {
        let cooldown = CooldownMemory {
            until: anchor.time_of(cooling.until),
            strikes: cooling.strikes,
        };
        (cooling.model.into(), cooldown)
    });
    let limits = entry.limits.into_iter();
    KeyPage {
        provider: entry.provider.into(),
        memory: KeyMemory {
            whole: entry.cooling.map(|cooling| CooldownMemory {
                until: anchor.time_of(cooling.until),
                strikes: cooling.strikes,
            }),
            exhausted: entry.quota_exhausted,
            models: models.collect(),
            quarantine: entry.invalid.map(|invalid| QuarantineMemory {
                until: anchor.time_of(invalid.probe_at),
                span: Duration::from_secs(invalid.span_seconds),
            }),
            held: entry.quarantine.map(|held| held.decoded(anchor)),
        },
        limits: Arc::new(
            limits
                .filter_map(|limit| limit_memory(limit, anchor))
                .collect(),
        ),
    }
}

/// A limit that this version cannot make sense of is left out: the next answer tells it again.
fn limit_memory(limit: Limit, anchor: &Anchor) -> Option<LimitMemory> {
    let units = [
        Unit::Requests,
        Unit::Tokens,
        Unit::ProjectTokens,
        Unit::PromptTokens,
        Unit::AnswerTokens,
    ];
    let memory = LimitMemory {
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
