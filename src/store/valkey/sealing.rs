//! Encryption of what is stored, with AES-256-GCM under a random nonce, and names that only holders of the key can make.
//!
//! A nonce has 96 random bits, so that a key is good for 2³² entries (NIST SP 800-38D, 8.3): 50 entries a second for
//! more than two years.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, hmac};

use crate::domain::secret::EncryptionKey;

/// Bytes of the name of a key.
pub const KEY_ID: usize = 4;
/// Bytes that come before what was encrypted: the name of the key and the nonce.
pub const SEAL_HEAD: usize = KEY_ID + NONCE_LEN;

/// Encrypts and decrypts with one key.
pub struct Sealing {
    id: [u8; KEY_ID],
    cipher: RandomizedNonceKey,
    naming: hmac::Key,
}

/// What was encrypted cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unsealed {
    /// It was encrypted with another key.
    #[error("it was encrypted with another key")]
    OtherKey,
    /// It was changed, cut, or belongs elsewhere.
    #[error("it does not belong to its key, or was changed")]
    Changed,
}

impl Sealing {
    /// With this key. `None` when the library refuses it, which it does for none of 32 bytes.
    pub fn new(key: &EncryptionKey) -> Option<Self> {
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, key.expose()).ok()?;
        let derive = |purpose: &[u8]| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
            hmac::sign(&key, purpose)
        };
        let mut id = [0; KEY_ID];
        copy(derive(b"pointsman: name of the key").as_ref(), &mut id);
        let naming = derive(b"pointsman: names of entries");
        Some(Self {
            id,
            cipher,
            naming: hmac::Key::new(hmac::HMAC_SHA256, naming.as_ref()),
        })
    }

    /// Encrypts `plain` so that it can only be read together with the same `bound`; puts the name of the key and the nonce
    /// in front. `None` when the system has no randomness to give.
    pub(super) fn seal(&self, mut plain: Vec<u8>, bound: &[u8]) -> Option<Vec<u8>> {
        let nonce = self
            .cipher
            .seal_in_place_append_tag(Aad::from(bound), &mut plain);
        let nonce = nonce.ok()?;
        let mut sealed = Vec::with_capacity(SEAL_HEAD + plain.len());
        sealed.extend_from_slice(&self.id);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut plain);
        Some(sealed)
    }

    /// Decrypts what [`seal`](Self::seal) made.
    ///
    /// # Errors
    /// Another key, another `bound`, or other bytes.
    pub(super) fn open(&self, sealed: &[u8], bound: &[u8]) -> Result<Vec<u8>, Unsealed> {
        let (id, rest) = sealed
            .split_first_chunk::<KEY_ID>()
            .ok_or(Unsealed::Changed)?;
        if *id != self.id {
            return Err(Unsealed::OtherKey);
        }
        let (nonce, rest) = rest
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(Unsealed::Changed)?;
        let mut bytes = rest.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self
            .cipher
            .open_in_place(nonce, Aad::from(bound), &mut bytes);
        let length = plain.map_err(|_| Unsealed::Changed)?.len();
        bytes.truncate(length);
        Ok(bytes)
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealing(****)")
    }
}

/// A hash of texts with their lengths: a keyed one with encryption, so that nobody without the key can try guesses.
pub(in crate::store) fn hashed<const N: usize>(
    sealing: Option<&Sealing>,
    texts: &[&[u8]],
) -> [u8; N] {
    let lengths = texts.iter().map(|text| u64::try_from(text.len()));
    let parts = lengths.zip(texts).map(|(length, text)| {
        let length = length.unwrap_or(u64::MAX).to_be_bytes();
        (length, *text)
    });
    let mut hash = [0; N];
    match sealing {
        Some(sealing) => {
            let mut context = hmac::Context::with_key(&sealing.naming);
            for (length, text) in parts {
                context.update(&length);
                context.update(text);
            }
            copy(context.sign().as_ref(), &mut hash);
        }
        None => {
            let mut context = digest::Context::new(&digest::SHA256);
            for (length, text) in parts {
                context.update(&length);
                context.update(text);
            }
            copy(context.finish().as_ref(), &mut hash);
        }
    }
    hash
}

/// As many bytes as fit.
fn copy(from: &[u8], to: &mut [u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealing(byte: u8) -> Sealing {
        Sealing::new(&EncryptionKey::new(&[byte; 32]).unwrap()).unwrap()
    }

    #[test]
    fn what_was_sealed_is_opened_with_the_same_key_in_the_same_place_only() {
        let mine = sealing(1);
        let sealed = mine.seal(b"secret words".to_vec(), b"here").unwrap();
        assert_eq!(mine.open(&sealed, b"here").unwrap(), b"secret words");
        assert_eq!(mine.open(&sealed, b"there"), Err(Unsealed::Changed));
        assert_eq!(sealing(2).open(&sealed, b"here"), Err(Unsealed::OtherKey));
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        let again = mine.seal(b"secret words".to_vec(), b"here").unwrap();
        assert_ne!(sealed, again, "a nonce is used once");
        for length in 0..sealed.len() {
            assert!(mine.open(&sealed[..length], b"here").is_err());
        }
    }

    #[test]
    fn names_depend_on_the_key_and_on_where_texts_end() {
        let (one, two) = (sealing(1), sealing(2));
        let name = |sealing: Option<&Sealing>, texts: &[&[u8]]| hashed::<16>(sealing, texts);
        let mine = name(Some(&one), &[b"ab", b"c"]);
        assert_eq!(name(Some(&sealing(1)), &[b"ab", b"c"]), mine);
        for other in [
            name(Some(&two), &[b"ab", b"c"]),
            name(None, &[b"ab", b"c"]),
            name(Some(&one), &[b"a", b"bc"]),
            name(Some(&one), &[b"abc"]),
        ] {
            assert_ne!(other, mine);
        }
    }
}
