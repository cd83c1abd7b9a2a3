//! The body of a call: bytes that are there, or a spool that may still be filling.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use crate::runtime::spool::{Spool, SpoolFault};
use crate::wire::multipart::Replacement;

/// What a call says.
#[derive(Clone, Debug)]
pub enum CallBody {
    /// All of it is in memory.
    Bytes(Bytes),
    /// It is read from where it is kept.
    Spooled(SpooledBody),
}

/// A body in a spool, a part of it perhaps replaced.
#[derive(Clone, Debug)]
pub struct SpooledBody {
    /// Where it is kept.
    pub spool: Spool,
    /// What is said in place of a part of it.
    pub replacement: Option<Replacement>,
    /// Its length in bytes before that, as far as it is known.
    pub length: Option<u64>,
}

impl From<Bytes> for CallBody {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl CallBody {
    /// Bytes of it that are in memory for this call alone.
    pub fn in_memory(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Spooled(_) => 0,
        }
    }

    /// All of it, where it is in memory.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Spooled(_) => None,
        }
    }
}

impl SpooledBody {
    /// The length that goes out, in bytes; `None` where it is not known yet.
    pub(super) fn length(&self) -> Option<u64> {
        let whole = self.spool.length().or(self.length)?;
        let Some(Replacement { at, with }) = &self.replacement else {
            return Some(whole);
        };
        let with = u64::try_from(with.len()).ok()?;
        whole.checked_sub(at.end - at.start)?.checked_add(with)
    }

    /// Its bytes, from the first one on.
    pub(super) fn read(&self) -> BoxStream<'static, Result<Bytes, SpoolFault>> {
        let Some(Replacement { at, with }) = self.replacement.clone() else {
            return self.spool.read(0, u64::MAX);
        };
        let with = stream::iter([Ok(with)]);
        self.spool
            .read(0, at.start)
            .chain(with)
            .chain(self.spool.read(at.end, u64::MAX))
            .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::buffers::Buffers;
    use crate::runtime::spool::{SpoolLimits, spool};

    #[tokio::test]
    async fn a_part_is_replaced_and_the_length_told() {
        let limits = SpoolLimits {
            memory: 4,
            whole: 100,
            moving: 0,
        };
        let (mut writer, spool) = spool(limits, &Buffers::default());
        writer.push(Bytes::from_static(b"abc")).await.unwrap();
        writer.push(Bytes::from_static(b"defgh")).await.unwrap();
        writer.finish();
        let body = SpooledBody {
            spool,
            replacement: Some(Replacement {
                at: 2..5,
                with: Bytes::from_static(b"-"),
            }),
            length: None,
        };
        for _ in 0..2 {
            let read: Vec<Bytes> = body.read().map(Result::unwrap).collect().await;
            assert_eq!(read.concat(), b"ab-fgh");
        }
        assert_eq!(body.length(), Some(6));
    }
}
