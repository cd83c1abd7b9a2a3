//! An API key, from the moment it is read until it becomes a request header, and the key that stored answers are
//! encrypted with. Zeroed on drop; `Debug` and `Display` never show them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretBox, SecretString};
use zeroize::Zeroize;

/// Key material of one API key.
#[derive(Clone)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// Takes ownership of key material; the text that it came in is wiped.
    pub fn new(material: impl Into<String>) -> Self {
        let mut text = material.into();
        // Copied at its exact length: a text that is made shorter in place may leave its old bytes behind.
        let secret = SecretString::from(Box::<str>::from(text.as_str()));
        text.zeroize();
        Self(secret)
    }

    /// The material itself. Call this only where the outgoing header is built or two keys are compared.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What a person may see of it: the last four characters of a long key, nothing of a short one.
    pub fn masked(&self) -> String {
        let text = self.expose();
        let count = text.chars().count();
        if count < 16 {
            return "****".to_owned();
        }
        let tail: String = text.chars().skip(count - 4).collect();
        format!("****{tail}")
    }
}

impl PartialEq for ApiKey {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for ApiKey {}

impl Hash for ApiKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expose().hash(state);
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(****)")
    }
}

/// A key of AES-256, 32 bytes.
#[derive(Clone)]
pub struct EncryptionKey(Arc<SecretBox<[u8; EncryptionKey::LENGTH]>>);

impl EncryptionKey {
    /// In bytes.
    pub const LENGTH: usize = 32;

    /// Copies the bytes; `None` unless there are 32 of them. Wiping `bytes` is the caller's.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LENGTH] = bytes.try_into().ok()?;
        // Copied where it will stay: what moves leaves its bytes behind.
        let fill = |inside: &mut [u8; Self::LENGTH]| inside.copy_from_slice(bytes);
        Some(Self(Arc::new(SecretBox::init_with_mut(fill))))
    }

    /// The bytes themselves. Call this only where something is encrypted, or keys are derived.
    pub fn expose(&self) -> &[u8; Self::LENGTH] {
        self.0.expose_secret()
    }
}

impl PartialEq for EncryptionKey {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for EncryptionKey {}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(****)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_32_bytes_is_never_shown() {
        let key = EncryptionKey::new(&[7; 32]).unwrap();
        assert_eq!(key.expose(), &[7; 32]);
        assert_eq!(format!("{key:?}"), "EncryptionKey(****)");
        assert_eq!(EncryptionKey::new(&[7; 31]), None);
    }

    #[test]
    fn a_key_shows_at_most_its_last_four_characters() {
        assert_eq!(ApiKey::new("sk-0123456789abcdef").masked(), "****cdef");
        assert_eq!(ApiKey::new("short").masked(), "****");
        assert!(!format!("{:?}", ApiKey::new("sk-0123456789abcdef")).contains("cdef"));
    }
}
