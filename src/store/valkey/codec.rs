//! The form of an entry in bytes.
//!
//! | Bytes | |
//! |---|---|
//! | 1 | the version of this form, 1 |
//! | 1 | flags: 1 compressed with zstd, 2 encrypted |
//! | 8 | a hash of the target, by which its entries are found |
//! | 8 | a hash of the scope, likewise |
//! | 8 | when it was stored, seconds since 1970 |
//! | 4 | bytes of the content before compression |
//! | 16 | encrypted ones only: the name of the key, and the nonce |
//! | | the content, compressed when it is longer than 1 KiB and becomes shorter, then encrypted |
//! | 8 | the beginning of the SHA-256 of the entry's name and everything above |
//!
//! Numbers begin with their highest byte. The name of the entry goes into the checksum, and the head with it into what
//! the encryption authenticates: an entry that somebody copied to another name is broken.

use std::ops::Range;

use zstd::bulk;

use super::sealing::{Sealing, Unsealed, hashed};

const VERSION: u8 = 1;
const COMPRESSED: u8 = 1;
const ENCRYPTED: u8 = 2;

/// Bytes of the hash of a target or a scope.
pub const LABEL: usize = 8;
/// Bytes of the head, which is never encrypted.
pub const HEAD: usize = 2 + 2 * LABEL + 8 + 4;
const CHECKSUM: usize = 8;

/// Shorter contents are not compressed, in bytes.
const WORTH_COMPRESSING: usize = 1024;
/// The fastest level but for the negative ones: texts become a third.
const LEVEL: i32 = 1;

/// An entry as it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SharedEntry {
    /// What it belongs to.
    pub labels: LabelHashes,
    /// The content.
    pub content: Vec<u8>,
}

/// What an entry is found by when a part of all is purged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LabelHashes {
    /// A hash of its target.
    pub target: [u8; LABEL],
    /// A hash of its scope.
    pub scope: [u8; LABEL],
    /// When it was stored, in seconds since 1970.
    pub stored: u64,
}

/// What the head of an entry says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryHead {
    /// What it belongs to.
    pub labels: LabelHashes,
    flags: u8,
    length: usize,
}

/// Why bytes are no entry that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Broken {
    /// It is of another version, or was written by another program.
    #[error("it is of another version, or no entry at all")]
    Form,
    /// It was changed, cut or copied.
    #[error("its checksum is wrong")]
    Checksum,
    /// It is larger than an entry may be.
    #[error("it is larger than an entry may be")]
    Size,
    /// It cannot be decrypted.
    #[error(transparent)]
    Seal(#[from] Unsealed),
    /// It is not encrypted, and what is not encrypted is not believed.
    #[error("it is not encrypted")]
    Clear,
    /// It is not what zstd makes.
    #[error("it cannot be decompressed")]
    Compression,
}

/// The entry in bytes, to be stored under `name`. `None` when it is larger than 4 GiB, or the system has no randomness.
pub fn encode(entry: &SharedEntry, name: &[u8], sealing: Option<&Sealing>) -> Option<Vec<u8>> {
    let length = u32::try_from(entry.content.len()).ok()?;
    let worth = entry.content.len() > WORTH_COMPRESSING;
    let compressed = worth.then(|| bulk::compress(&entry.content, LEVEL).ok());
    let compressed = compressed
        .flatten()
        .filter(|shorter| shorter.len() < entry.content.len());
    let mut flags = 0;
    if compressed.is_some() {
        flags |= COMPRESSED;
    }
    if sealing.is_some() {
        flags |= ENCRYPTED;
    }
    let mut bytes = Vec::with_capacity(HEAD + entry.content.len() / 2 + 64);
    bytes.extend_from_slice(&[VERSION, flags]);
    bytes.extend_from_slice(&entry.labels.target);
    bytes.extend_from_slice(&entry.labels.scope);
    bytes.extend_from_slice(&entry.labels.stored.to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    match sealing {
        Some(sealing) => {
            let plain = compressed.unwrap_or_else(|| entry.content.clone());
            bytes.append(&mut sealing.seal(plain, &bound(&bytes, name))?);
        }
        None => bytes.extend_from_slice(compressed.as_ref().unwrap_or(&entry.content)),
    }
    let sum = checksum(&bytes, name);
    bytes.extend_from_slice(&sum);
    Some(bytes)
}

/// The entry that was stored under `name`, when it has at most `largest` bytes of content.
///
/// # Errors
/// The bytes are no such entry.
pub fn decode(
    bytes: &[u8],
    name: &[u8],
    sealing: Option<&Sealing>,
    largest: usize,
) -> Result<SharedEntry, Broken> {
    let (bytes, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(Broken::Form)?;
    let head = head(bytes).ok_or(Broken::Form)?;
    if checksum(bytes, name) != *sum {
        return Err(Broken::Checksum);
    }
    if head.length > largest {
        return Err(Broken::Size);
    }
    let (clear, body) = bytes.split_at_checked(HEAD).ok_or(Broken::Form)?;
    let opened = match (sealing, head.flags & ENCRYPTED != 0) {
        (Some(sealing), true) => sealing.open(body, &bound(clear, name))?,
        (None, true) => return Err(Unsealed::OtherKey.into()),
        (Some(_), false) => return Err(Broken::Clear),
        (None, false) => body.to_vec(),
    };
    let content = match head.flags & COMPRESSED != 0 {
        true => bulk::decompress(&opened, head.length).map_err(|_| Broken::Compression)?,
        false => opened,
    };
    if content.len() != head.length {
        return Err(Broken::Compression);
    }
    Ok(SharedEntry {
        labels: head.labels,
        content,
    })
}

/// What the first [`HEAD`] bytes of an entry say; `None` when it is none of this version.
pub fn head(bytes: &[u8]) -> Option<EntryHead> {
    let (bytes, _) = bytes.split_first_chunk::<HEAD>()?;
    let [VERSION, flags, ..] = *bytes else {
        return None;
    };
    if flags & !(COMPRESSED | ENCRYPTED) != 0 {
        return None;
    }
    let length = u32::from_be_bytes(part(bytes, 26..HEAD)?);
    Some(EntryHead {
        labels: LabelHashes {
            target: part(bytes, 2..10)?,
            scope: part(bytes, 10..18)?,
            stored: u64::from_be_bytes(part(bytes, 18..26)?),
        },
        flags,
        length: usize::try_from(length).ok()?,
    })
}

fn part<const N: usize>(bytes: &[u8], range: Range<usize>) -> Option<[u8; N]> {
    bytes.get(range)?.try_into().ok()
}

/// What an encrypted content can only be read together with.
fn bound(head: &[u8], name: &[u8]) -> Vec<u8> {
    // The head has one length: no two pairs come out alike.
    [head, name].concat()
}

fn checksum(bytes: &[u8], name: &[u8]) -> [u8; CHECKSUM] {
    hashed(None, &[name, bytes])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::secret::EncryptionKey;

    fn sealing(byte: u8) -> Sealing {
        Sealing::new(&EncryptionKey::new(&[byte; 32]).unwrap()).unwrap()
    }

    fn entry(content: Vec<u8>) -> SharedEntry {
        SharedEntry {
            labels: LabelHashes {
                target: *b"target-1",
                scope: *b"client-1",
                stored: 1_700_000_000,
            },
            content,
        }
    }

    proptest! {
        #[test]
        fn what_was_stored_is_read_again(
            words in proptest::collection::vec("[a-z]{1,8}|\\PC", 0..800),
            stored: u64,
            encrypted: bool,
        ) {
            let sealing = encrypted.then(|| sealing(3));
            let mut entry = entry(words.concat().into_bytes());
            entry.labels.stored = stored;
            let bytes = encode(&entry, b"name", sealing.as_ref()).unwrap();
            let largest = entry.content.len();
            let read = decode(&bytes, b"name", sealing.as_ref(), largest);
            prop_assert_eq!(read.as_ref(), Ok(&entry));
            let head = head(&bytes).unwrap();
            prop_assert_eq!(head.labels, entry.labels);
        }

        #[test]
        fn no_changed_byte_goes_unnoticed(at: prop::sample::Index, bit in 0_u8..8, encrypted: bool) {
            let sealing = encrypted.then(|| sealing(3));
            let mut bytes = encode(&entry(b"hello".repeat(400)), b"name", sealing.as_ref()).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(decode(&bytes, b"name", sealing.as_ref(), 1 << 20).is_err());
        }
    }

    #[test]
    fn an_entry_is_read_under_its_own_name_and_key_only() {
        let clear = encode(&entry(b"answer".to_vec()), b"a", None).unwrap();
        let sealed = encode(&entry(b"answer".to_vec()), b"a", Some(&sealing(1))).unwrap();
        let read = |bytes: &[u8], name: &[u8], sealing: Option<&Sealing>, largest| {
            decode(bytes, name, sealing, largest).map(|entry| entry.content)
        };
        let content = Ok(b"answer".to_vec());
        assert_eq!(read(&clear, b"a", None, 6), content);
        assert_eq!(read(&sealed, b"a", Some(&sealing(1)), 6), content);
        assert_eq!(read(&clear, b"b", None, 6), Err(Broken::Checksum));
        assert_eq!(read(&clear, b"a", None, 5), Err(Broken::Size));
        assert_eq!(read(&clear, b"a", Some(&sealing(1)), 6), Err(Broken::Clear));
        let other = Err(Broken::Seal(Unsealed::OtherKey));
        assert_eq!(read(&sealed, b"a", None, 6), other);
        assert_eq!(read(&sealed, b"a", Some(&sealing(2)), 6), other);
        // As somebody does who knows how the checksum is made, but not the key.
        let mut copied = sealed[..sealed.len() - CHECKSUM].to_vec();
        copied.extend_from_slice(&checksum(&copied, b"b"));
        let changed = Err(Broken::Seal(Unsealed::Changed));
        assert_eq!(read(&copied, b"b", Some(&sealing(1)), 6), changed);
    }

    #[test]
    fn texts_become_shorter_and_what_is_short_stays() {
        let text = "The quick brown fox jumps over the lazy dog. ".repeat(100);
        let long = encode(&entry(text.clone().into_bytes()), b"n", None).unwrap();
        assert!(long.len() < text.len() / 3, "{}", long.len());
        let short = encode(&entry(b"short".to_vec()), b"n", None).unwrap();
        assert_eq!(short.len(), HEAD + 5 + CHECKSUM);
    }

    #[test]
    fn nothing_grows_beyond_what_its_head_says() {
        let mut entry = entry(vec![b' '; 2_000_000]);
        let bytes = encode(&entry, b"n", None).unwrap();
        assert!(bytes.len() < 2_000);
        let mut lying = bytes[..bytes.len() - CHECKSUM].to_vec();
        lying[26..HEAD].copy_from_slice(&1_000_u32.to_be_bytes());
        lying.extend_from_slice(&checksum(&lying, b"n"));
        assert_eq!(
            decode(&lying, b"n", None, 1 << 20),
            Err(Broken::Compression)
        );
        entry.content.truncate(1_000);
        assert!(encode(&entry, b"n", None).is_some());
    }
}
