//! An API key, from the moment it is read until it becomes a request header.
//! Zeroed on drop; `Debug` and `Display` never show it.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
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

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(****)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shows_at_most_its_last_four_characters() {
        assert_eq!(ApiKey::new("sk-0123456789abcdef").masked(), "****cdef");
        assert_eq!(ApiKey::new("short").masked(), "****");
        assert!(!format!("{:?}", ApiKey::new("sk-0123456789abcdef")).contains("cdef"));
    }
}
