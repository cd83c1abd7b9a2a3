//! An answer as it is kept: all of it, in its caller's dialect, with who gave it and what it took. The form in bytes is a
//! head of numbers and short texts, and the body behind it: it is read for every hit.

use std::time::{Duration, SystemTime};

use crate::domain::dropped::Dropped;
use crate::domain::ids::{KeyId, Upstream};
use crate::domain::money::Pico;
use bytes::Bytes;

/// The form of an entry. Others are not read.
const FORM: u8 = 2;

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

impl KeptAnswer {
    /// Its form in bytes.
    pub fn to_bytes(&self) -> Bytes {
        let since = self.stored.duration_since(SystemTime::UNIX_EPOCH);
        let mut head = HeadWriter(Vec::with_capacity(128 + self.body.len()));
        head.0.push(FORM);
        head.0.extend_from_slice(&self.status.to_le_bytes());
        head.0.push(u8::from(self.has_usage));
        for number in [
            millis(since.unwrap_or_default()),
            millis(self.ttl),
            self.tokens,
            self.cost.get(),
            u64::from(self.key.index),
        ] {
            head.0.extend_from_slice(&number.to_le_bytes());
        }
        head.text(&self.content_type);
        head.text(self.upstream.provider.as_str());
        head.text(self.upstream.model.as_str());
        head.text(self.key.provider.as_str());
        let dropped: Vec<&str> = self.dropped.names().collect();
        let count = u8::try_from(dropped.len()).unwrap_or(u8::MAX);
        head.0.push(count);
        for name in dropped.into_iter().take(usize::from(count)) {
            head.text(name);
        }
        head.0.extend_from_slice(&self.body);
        head.0.into()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; `None` for anything else.
    pub fn of_bytes(bytes: &Bytes) -> Option<Self> {
        let mut head = HeadReader(bytes);
        let [FORM, one, other, usage] = head.take()? else {
            return None;
        };
        let status = u16::from_le_bytes([one, other]);
        let has_usage = match usage {
            0 => false,
            1 => true,
            _ => return None,
        };
        let stored = Duration::from_millis(head.number()?);
        let ttl = Duration::from_millis(head.number()?);
        let (tokens, cost) = (head.number()?, Pico::new(head.number()?));
        let index = u32::try_from(head.number()?).ok()?;
        let content_type = head.text()?.to_owned();
        let (provider, model) = (head.text()?, head.text()?);
        let key_of = head.text()?;
        let [count] = head.take()?;
        let mut dropped = Dropped::default();
        for _ in 0..count {
            dropped.add(head.text()?);
        }
        Some(Self {
            stored: SystemTime::UNIX_EPOCH.checked_add(stored)?,
            ttl,
            status,
            content_type,
            upstream: Upstream::new(provider, model),
            key: KeyId {
                provider: key_of.into(),
                index,
            },
            dropped,
            has_usage,
            tokens,
            cost,
            body: bytes.slice_ref(head.0),
        })
    }
}

/// Writes the head of an answer.
struct HeadWriter(Vec<u8>);

impl HeadWriter {
    /// A text with its length in front; the rest of a longer one than 65,535 bytes is left out.
    fn text(&mut self, text: &str) {
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        let text = text.as_bytes();
        let told = text.get(..usize::from(length)).unwrap_or(text);
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(told);
    }
}

/// Reads the head of an answer: what is left of its bytes.
struct HeadReader<'a>(&'a [u8]);

impl<'a> HeadReader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.take().map(u16::from_le_bytes)?;
        let (text, rest) = self.0.split_at_checked(usize::from(length))?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
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
        for other in [&b""[..], b"\n", b"{}\n{}", &bytes[..20], &bytes[..60]] {
            assert_eq!(KeptAnswer::of_bytes(&Bytes::copy_from_slice(other)), None);
        }
    }
}
