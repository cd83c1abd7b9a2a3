//! Fingerprints of keys: of the material, the provider's name and the provider's address, so
//! that lists may be reordered and providers renamed or moved without one key being taken for another.
//!
//! HMAC-SHA-256 (RFC 2104) under a random salt from the file: two files cannot be compared, and
//! tables made before are useless. Keys are long and random, so they cannot be guessed either.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::{digest, hmac, rand};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

use crate::domain::ids::ProviderName;
use crate::domain::persisted::Fingerprint;
use crate::domain::secret::ApiKey;

const SALT: usize = 32;

/// Makes fingerprints, always with the same salt.
#[derive(Clone)]
pub struct Fingerprinter {
    salt: [u8; SALT],
    /// Larger than it looks.
    key: Arc<hmac::Key>,
}

impl Fingerprinter {
    /// With a salt of its own; `None` when the system has no randomness to give.
    pub fn random() -> Option<Self> {
        let mut salt = [0; SALT];
        rand::fill(&mut salt).ok()?;
        Some(Self::of(salt))
    }

    fn of(salt: [u8; SALT]) -> Self {
        let key = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &salt));
        Self { salt, key }
    }

    /// With the salt that [`salt`](Self::salt) gave.
    pub fn with_salt(text: &str) -> Option<Self> {
        from_hex(text).map(Self::of)
    }

    /// Its salt in hexadecimal digits.
    pub fn salt(&self) -> String {
        HEXLOWER.encode(&self.salt)
    }

    /// A key's fingerprint; `home` is where its calls go. A provider without keys has a fingerprint of its own.
    pub fn key(
        &self,
        provider: &ProviderName,
        home: &str,
        material: Option<&ApiKey>,
    ) -> Fingerprint {
        let material = material.map(|key| key.expose().as_bytes());
        self.fingerprint(b"key", provider, home, material)
    }

    /// A provider's fingerprint.
    pub fn provider(&self, provider: &ProviderName, home: &str) -> Fingerprint {
        self.fingerprint(b"provider", provider, home, None)
    }

    fn fingerprint(
        &self,
        kind: &[u8],
        provider: &ProviderName,
        home: &str,
        last: Option<&[u8]>,
    ) -> Fingerprint {
        let mut context = hmac::Context::with_key(&self.key);
        let parts = [kind, provider.as_str().as_bytes(), home.as_bytes()];
        for part in parts.into_iter().chain(last) {
            // With its length in front no two lists of parts come out as the same bytes.
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        let tag = context.sign();
        let (first, _) = tag.as_ref().as_chunks::<16>();
        Fingerprint(first.first().copied().unwrap_or_default())
    }
}

impl fmt::Debug for Fingerprinter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Marker(****)")
    }
}

/// A fingerprint from its hexadecimal digits.
pub(super) fn fingerprint(text: &str) -> Option<Fingerprint> {
    from_hex(text).map(Fingerprint)
}

/// The SHA-256 of `bytes` in hexadecimal digits: against damage, not against people.
pub(super) fn checksum(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_only_with_its_provider_and_address_and_under_the_same_salt() {
        let fingerprinter = Fingerprinter::random().unwrap();
        let same = Fingerprinter::with_salt(&fingerprinter.salt()).unwrap();
        let mark = |fingerprinter: &Fingerprinter, name: &str, home: &str, key: Option<&str>| {
            fingerprinter.key(&name.into(), home, key.map(ApiKey::new).as_ref())
        };
        let known = mark(&fingerprinter, "a", "https://x", Some("sk-1"));
        assert_eq!(mark(&same, "a", "https://x", Some("sk-1")), known);
        let other = Fingerprinter::random().unwrap();
        for mark in [
            mark(&fingerprinter, "b", "https://x", Some("sk-1")),
            mark(&fingerprinter, "a", "https://y", Some("sk-1")),
            mark(&fingerprinter, "a", "https://x", Some("sk-2")),
            mark(&fingerprinter, "a", "https://x", Some("")),
            mark(&fingerprinter, "a", "https://x", None),
            mark(&fingerprinter, "ah", "ttps://x", Some("sk-1")),
            fingerprinter.provider(&"a".into(), "https://x"),
            mark(&other, "a", "https://x", Some("sk-1")),
        ] {
            assert_ne!(mark, known);
        }
    }

    #[test]
    fn neither_the_marker_nor_a_mark_shows_the_key() {
        let fingerprinter = Fingerprinter::random().unwrap();
        let mark = fingerprinter.key(&"a".into(), "", Some(&ApiKey::new("sk-planted")));
        assert_eq!(super::fingerprint(&mark.to_string()), Some(mark));
        assert!(!format!("{fingerprinter:?} {mark:?}").contains("planted"));
        assert!(!format!("{fingerprinter:?}").contains(&fingerprinter.salt()));
    }
}
