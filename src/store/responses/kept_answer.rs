//! An answer as it is kept: all of it, in its caller's dialect, with who gave it and what it took. The form in bytes is a
//! line of JSON and the body behind it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::domain::dropped::Dropped;
use crate::domain::ids::{KeyId, Upstream};
use crate::domain::money::Pico;

/// The form of an entry. Others are not read.
const FORM: u8 = 1;

/// A whole answer of an upstream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptAnswer {
    /// When it was there, to a millisecond.
    pub stored: SystemTime,
    /// How long it serves from then on.
    pub ttl: Duration,
    /// HTTP status, 200 to 299.
    pub status: u16,
    /// What its body is.
    pub content_type: String,
    /// The upstream that answered.
    pub upstream: Upstream,
    /// The key of the attempt.
    pub key: KeyId,
    /// The fields that were left out on the way to the upstream and back.
    pub dropped: Dropped,
    /// Whether its token counts are in it, where its caller may not have asked for them.
    pub has_usage: bool,
    /// Tokens that it took, as far as they are known.
    pub tokens: u64,
    /// What it cost, as far as that is known.
    pub cost: Pico,
    /// The body, plain.
    pub body: Bytes,
}

#[derive(Serialize, Deserialize)]
struct KeptHead {
    form: u8,
    stored: u64,
    ttl: u64,
    status: u16,
    kind: String,
    provider: String,
    model: String,
    key_of: String,
    key: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dropped: Vec<String>,
    usage: bool,
    tokens: u64,
    cost: u64,
}

impl KeptAnswer {
    /// Its form in bytes.
    pub fn to_bytes(&self) -> Bytes {
        let since = self.stored.duration_since(SystemTime::UNIX_EPOCH);
        let head = KeptHead {
            form: FORM,
            stored: millis(since.unwrap_or_default()),
            ttl: millis(self.ttl),
            status: self.status,
            kind: self.content_type.clone(),
            provider: self.upstream.provider.to_string(),
            model: self.upstream.model.to_string(),
            key_of: self.key.provider.to_string(),
            key: self.key.index,
            dropped: self.dropped.names().map(str::to_owned).collect(),
            usage: self.has_usage,
            tokens: self.tokens,
            cost: self.cost.get(),
        };
        let mut bytes = serde_json::to_vec(&head).unwrap_or_default();
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.body);
        bytes.into()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; `None` for anything else.
    pub fn of_bytes(bytes: &Bytes) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let head: KeptHead = serde_json::from_slice(bytes.get(..end)?).ok()?;
        if head.form != FORM {
            return None;
        }
        let mut dropped = Dropped::default();
        for name in &head.dropped {
            dropped.add(name);
        }
        let stored = Duration::from_millis(head.stored);
        Some(Self {
            stored: SystemTime::UNIX_EPOCH.checked_add(stored)?,
            ttl: Duration::from_millis(head.ttl),
            status: head.status,
            content_type: head.kind,
            upstream: Upstream::new(&*head.provider, &*head.model),
            key: KeyId {
                provider: head.key_of.as_str().into(),
                index: head.key,
            },
            dropped,
            has_usage: head.usage,
            tokens: head.tokens,
            cost: Pico::new(head.cost),
            body: bytes.slice(end + 1..),
        })
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_back_as_it_was() {
        let mut dropped = Dropped::default();
        dropped.add("top_k");
        let answer = KeptAnswer {
            stored: SystemTime::UNIX_EPOCH + Duration::from_millis(1_234_567),
            ttl: Duration::from_secs(300),
            status: 200,
            content_type: "application/json".to_owned(),
            upstream: Upstream::new("groq", "openai/gpt-oss"),
            key: KeyId {
                provider: "groq".into(),
                index: 2,
            },
            dropped,
            has_usage: true,
            tokens: 15,
            cost: Pico::new(7),
            body: Bytes::from_static(b"{\n}\n"),
        };
        let bytes = answer.to_bytes();
        assert_eq!(KeptAnswer::of_bytes(&bytes), Some(answer));
        for other in [&b""[..], b"\n", b"{}\n{}", &bytes[..20]] {
            assert_eq!(KeptAnswer::of_bytes(&Bytes::copy_from_slice(other)), None);
        }
    }
}
