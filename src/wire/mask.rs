//! Masks what should not leave in a text that is told of: what an operator's patterns find, e-mail addresses, tokens, and
//! the keys of upstreams.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::redact::Redactor;

/// What stands in their place.
const MASK: &str = "****";

/// E-mail addresses, bearer tokens, and keys by their usual beginnings.
static USUAL: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = [
        r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
        r"(?i:\bbearer\s+)[A-Za-z0-9._~+/=-]{6,}",
        r"\b(?:sk|pk|rk|gsk|xai|hf|ghp|nvapi|AIza)[-_A-Za-z0-9]{12,}",
    ];
    let patterns = patterns.iter().filter_map(|text| Regex::new(text).ok());
    patterns.collect()
});

/// What is masked.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    own: Vec<Regex>,
}

impl Mask {
    /// With patterns of one's own, which come first.
    ///
    /// # Errors
    /// The first pattern that is none, and why.
    pub fn new(patterns: &[String]) -> Result<Self, String> {
        let own = patterns.iter().map(|text| {
            let pattern = Regex::new(text);
            pattern.map_err(|_| format!("`{text}` is not a regular expression"))
        });
        Ok(Self {
            own: own.collect::<Result<_, _>>()?,
        })
    }

    /// The text without what is masked, and without these keys.
    pub fn masked<'k>(&self, text: &str, keys: impl Iterator<Item = &'k str>) -> String {
        let mut text = Cow::Borrowed(text);
        for pattern in self.own.iter().chain(USUAL.iter()) {
            if let Cow::Owned(masked) = pattern.replace_all(&text, MASK) {
                text = Cow::Owned(masked);
            }
        }
        for key in keys {
            if let Some(masked) = Redactor::new(Some(key)).masked_text(&text) {
                text = Cow::Owned(masked);
            }
        }
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_patterns_addresses_tokens_and_keys_are_masked() {
        let mask = Mask::new(&["project \\w+".to_owned()]).unwrap();
        let text = "project Falcon: mail a.b@example.org, Authorization: Bearer abc.def-123, \
                    sk-proj-abcdefghijklmnop, upstream key my-own-secret-key, ask me";
        let masked = mask.masked(text, ["my-own-secret-key"].into_iter());
        assert_eq!(
            masked,
            "****: mail ****, Authorization: ****, ****, upstream key ****, ask me"
        );
        assert!(Mask::new(&["(".to_owned()]).is_err());
    }
}
