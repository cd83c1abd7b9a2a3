//! A fact in bytes.
//!
//! | Bytes | |
//! |---|---|
//! | 1 | the version of this form, 1 |
//! | 1 | what is known, and 1 why |
//! | 8 | the generation |
//! | 8 | how long it lasts from when it was written, in ms |
//! | 8 | how long it is remembered, likewise |
//! | 16 | whom it is about: a keyed hash |
//! | 1 + n | the path of the operation that it is for |
//! | 2 + n | the model that it is for |
//! | 1 + n | who wrote it |
//! | 16 | the signature of everything above |
//!
//! Numbers begin with their highest byte; a text comes behind its length, 0 for none. Only lengths of time are in it: no two
//! machines need to agree on what time it is. The store adds its own time when a record is written and when it is
//! read; so the age of a record is told by one clock, and is never negative.

use std::time::Duration;

use super::secret::{FleetSecret, LONGEST_NODE, SIGNATURE, is_node};
use crate::domain::dialect::Operation;
use crate::domain::fleet::admit;
use crate::domain::fleet::{FactKind, FactReason, FleetFact, FleetSubject};
use crate::domain::ids::{FleetNode, ModelName};
use crate::domain::persisted::Fingerprint;
use crate::domain::time::Time;

const VERSION: u8 = 1;
/// Longer names of models are not told: callers make them up.
pub const LONGEST_MODEL: usize = 256;
/// No record is longer, in bytes.
pub const LONGEST: usize = 1024;

/// A fact as it was written, with lengths of time only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FleetRecord {
    /// What it is about.
    pub subject: FleetSubject,
    /// Counts the early ends.
    pub generation: u64,
    /// How long it lasts from when it was written.
    pub left: Duration,
    /// How long it is remembered from then.
    pub keep: Duration,
    /// Why.
    pub reason: FactReason,
    /// Who wrote it.
    pub node: FleetNode,
}

/// Why bytes are no record that is believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotARecord {
    /// Of another version, cut, or something else.
    #[error("it is of another version, or no record at all")]
    Form,
    /// Signed with another secret, or changed.
    #[error("its signature is not of this fleet's secret")]
    Signature,
}

impl FleetRecord {
    /// What a process tells of a fact at `now`. `None`: its model's name is too long.
    pub fn of(subject: &FleetSubject, fact: &FleetFact, now: Time) -> Option<Self> {
        let model = subject.model.as_ref();
        if model.is_some_and(|it| it.as_str().is_empty() || it.as_str().len() > LONGEST_MODEL) {
            return None;
        }
        Some(Self {
            subject: subject.clone(),
            generation: fact.generation,
            left: millis(fact.until.until(now)),
            keep: millis(fact.keep.until(now)),
            reason: fact.reason,
            node: fact.node.clone(),
        })
    }

    /// The fact that it is at `now`, written `age` ago; believed for so long at most as such facts are.
    pub fn fact(&self, age: Duration, now: Time) -> FleetFact {
        let left = admit::believed(self.subject.kind, self.left, age);
        let longest = admit::longest(self.subject.kind) * 2;
        FleetFact {
            generation: self.generation,
            until: if left.is_zero() {
                Time::ZERO
            } else {
                now + left
            },
            keep: now + self.keep.min(longest).saturating_sub(age),
            reason: self.reason,
            node: self.node.clone(),
        }
    }

    /// In bytes, signed.
    pub fn encode(&self, secret: &FleetSecret) -> Vec<u8> {
        let mut bytes = vec![VERSION, number(&FactKind::ALL, &self.subject.kind)];
        bytes.push(number(&FactReason::ALL, &self.reason));
        for count in [self.generation, whole(self.left), whole(self.keep)] {
            bytes.extend_from_slice(&count.to_be_bytes());
        }
        bytes.extend_from_slice(&self.subject.owner.0);
        short(
            &mut bytes,
            self.subject.operation.map_or("", |it| it.spec().route),
        );
        let model = self.subject.model.as_ref().map_or("", |it| it.as_str());
        let length = u16::try_from(model.len()).unwrap_or(0);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&model.as_bytes()[..usize::from(length)]);
        short(&mut bytes, self.node.as_str());
        let signature = secret.sign(&bytes);
        bytes.extend_from_slice(&signature);
        bytes
    }

    /// Reads what [`encode`](Self::encode) made.
    ///
    /// # Errors
    /// Other bytes, or another secret.
    pub fn decode(bytes: &[u8], secret: &FleetSecret) -> Result<Self, NotARecord> {
        if bytes.len() > LONGEST {
            return Err(NotARecord::Form);
        }
        let (signed, signature) = bytes
            .split_last_chunk::<SIGNATURE>()
            .ok_or(NotARecord::Form)?;
        if signed.first() != Some(&VERSION) {
            return Err(NotARecord::Form);
        }
        let ours = secret.sign(signed);
        aws_lc_rs::constant_time::verify_slices_are_equal(&ours, signature)
            .map_err(|_| NotARecord::Signature)?;
        let mut rest = RecordBytes(&signed[1..]);
        let record = rest.record().ok_or(NotARecord::Form)?;
        if rest.0.is_empty() {
            Ok(record)
        } else {
            Err(NotARecord::Form)
        }
    }
}

/// What is left of a record.
struct RecordBytes<'a>(&'a [u8]);

impl<'a> RecordBytes<'a> {
    fn record(&mut self) -> Option<FleetRecord> {
        let kind = *FactKind::ALL.get(usize::from(self.byte()?))?;
        let reason = *FactReason::ALL.get(usize::from(self.byte()?))?;
        let generation = u64::from_be_bytes(self.array()?);
        let left = Duration::from_millis(u64::from_be_bytes(self.array()?));
        let keep = Duration::from_millis(u64::from_be_bytes(self.array()?));
        let owner = Fingerprint(self.array()?);
        let length = usize::from(self.byte()?);
        let operation = match self.text(length)? {
            "" => None,
            route => {
                let mut all = Operation::ALL.into_iter();
                Some(all.find(|operation| operation.spec().route == route)?)
            }
        };
        let length = usize::from(u16::from_be_bytes(self.array()?));
        let model = match self.text(length)? {
            "" => None,
            model if model.len() <= LONGEST_MODEL => Some(ModelName::from(model)),
            _ => return None,
        };
        let length = usize::from(self.byte()?);
        let node = self.text(length).filter(|name| is_node(name))?;
        Some(FleetRecord {
            subject: FleetSubject {
                owner,
                kind,
                model,
                operation,
            },
            generation,
            left,
            keep,
            reason,
            node: node.into(),
        })
    }

    fn byte(&mut self) -> Option<u8> {
        let [byte] = self.array()?;
        Some(byte)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn text(&mut self, length: usize) -> Option<&'a str> {
        let (first, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(first).ok()
    }
}

fn number<T: PartialEq>(all: &[T], one: &T) -> u8 {
    let place = all.iter().position(|it| it == one).unwrap_or(all.len());
    u8::try_from(place).unwrap_or(u8::MAX)
}

fn short(bytes: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).unwrap_or(0);
    bytes.push(length);
    bytes.extend_from_slice(&text.as_bytes()[..usize::from(length)]);
}

/// In milliseconds, rounded up: what is to be waited for comes no sooner.
fn millis(span: Duration) -> Duration {
    Duration::from_millis(u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

fn whole(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

const _: () = assert!(LONGEST_NODE < 256 && LONGEST > LONGEST_MODEL + LONGEST_NODE + 400);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::secret::EncryptionKey;

    fn secret(byte: u8) -> FleetSecret {
        FleetSecret::new(&EncryptionKey::new(&[byte; 32]).unwrap())
    }

    fn record() -> impl Strategy<Value = FleetRecord> {
        let kind = prop::sample::select(FactKind::ALL.to_vec());
        let reason = prop::sample::select(FactReason::ALL.to_vec());
        let operation = prop::option::of(prop::sample::select(Operation::ALL.to_vec()));
        let owner: [u8; 16] = [3; 16];
        let spans = (any::<u64>(), any::<u64>(), any::<u64>());
        (
            kind,
            reason,
            operation,
            prop::option::of("\\PC{1,60}"),
            spans,
            "[a-z.]{1,64}",
        )
            .prop_map(
                move |(kind, reason, operation, model, (generation, left, keep), node)| {
                    FleetRecord {
                        subject: FleetSubject {
                            owner: Fingerprint(owner),
                            kind,
                            model: model.map(ModelName::from),
                            operation,
                        },
                        generation,
                        left: Duration::from_millis(left),
                        keep: Duration::from_millis(keep),
                        reason,
                        node: node.into(),
                    }
                },
            )
    }

    proptest! {
        #[test]
        fn a_record_comes_back_as_it_was_and_only_with_its_secret(record in record()) {
            let bytes = record.encode(&secret(1));
            prop_assert!(bytes.len() <= LONGEST);
            prop_assert_eq!(FleetRecord::decode(&bytes, &secret(1)), Ok(record));
            prop_assert_eq!(FleetRecord::decode(&bytes, &secret(2)), Err(NotARecord::Signature));
        }

        #[test]
        fn a_changed_record_is_none(record in record(), at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = record.encode(&secret(1));
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(FleetRecord::decode(&bytes, &secret(1)).is_err());
        }

        #[test]
        fn any_bytes_are_refused(bytes: Vec<u8>) {
            prop_assert!(FleetRecord::decode(&bytes, &secret(1)).is_err());
        }
    }

    #[test]
    fn age_is_subtracted_and_a_lie_is_capped() {
        let now = Time::from_millis(5000);
        let record = FleetRecord {
            subject: FleetSubject {
                owner: Fingerprint([0; 16]),
                kind: FactKind::Cooling,
                model: None,
                operation: None,
            },
            generation: 0,
            left: Duration::from_secs(60),
            keep: Duration::from_secs(70),
            reason: FactReason::Reported,
            node: "a".into(),
        };
        let fact = record.fact(Duration::from_secs(20), now);
        assert_eq!(fact.until, now + Duration::from_secs(40));
        let lie = FleetRecord {
            left: Duration::MAX,
            keep: Duration::MAX,
            ..record.clone()
        };
        assert_eq!(lie.fact(Duration::ZERO, now).until, now + admit::USUAL);
        assert!(lie.fact(Duration::ZERO, now).keep < Time::NEVER);
        let over = record.fact(Duration::from_secs(60), now);
        assert!(!over.is_running(now));
    }
}
