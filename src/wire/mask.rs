//! Masks secrets in recorded texts: matches of an operator's patterns, e-mail addresses, tokens, and
//! the keys of upstreams.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::key_forms;
use super::redact::Redactor;

/// The replacement of a secret.
const MASK: &str = "****";

/// In prose, fewer characters than this behind a key's prefix are more likely a word (`sk-learn`).
const LEAST: usize = 12;

/// E-mail addresses and bearer tokens.
static USUAL: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = [
        r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
        r"(?i:\bbearer\s+)[A-Za-z0-9._~+/=-]{6,}",
    ];
    let patterns = patterns.iter().filter_map(|text| Regex::new(text).ok());
    patterns.collect()
});

/// Keys by their forms.
static KEYS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&key_forms::pattern(LEAST)).ok());

/// Masks secrets in texts.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    own: Vec<Regex>,
}

impl Mask {
    /// With patterns of the operator, which are applied first.
    ///
    /// # Errors
    /// The first invalid pattern, and why.
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
        // The keys first: a pattern may leave a part of one.
        let redactor = keys.fold(Redactor::default(), Redactor::with);
        let mut text = redactor
            .masked_text(text)
            .map_or(Cow::Borrowed(text), Cow::Owned);
        for pattern in self.own.iter().chain(USUAL.iter()) {
            if let Cow::Owned(masked) = pattern.replace_all(&text, MASK) {
                text = Cow::Owned(masked);
            }
        }
        let keys = KEYS.as_ref().map(|keys| {
            keys.replace_all(&text, |found: &Captures<'_>| {
                let found = found.get(0).map_or("", |found| found.as_str());
                if key_forms::is_key(found) {
                    MASK.to_owned()
                } else {
                    found.to_owned()
                }
            })
            .into_owned()
        });
        keys.unwrap_or_else(|| MASK.to_owned())
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

    #[test]
    fn keys_of_every_known_form_are_masked_and_prose_is_not() {
        let mask = Mask::default();
        for key in [
            "csk-8kd2m5x9p3n6v1c4t7w2r5y8",
            "r8_AbCdEf0123456789AbCdEf0123456789abc",
            "fw_3ZAbCdEf0123456789AbCd",
            "tgp_v1_AbCdEf0123456789AbCdEf0123456789",
            "pplx-AbCdEf0123456789AbCdEf0123456789AbCdEf01234567",
            "github_pat_11ABCDEFG0123456789_abcdefghijklmnop",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVPmB92K27uhb",
            "AKIAIOSFODNN7EXAMPLE",
        ] {
            let masked = mask.masked(&format!("use ({key}) please"), std::iter::empty());
            assert_eq!(masked, "use (****) please", "{key}");
        }
        let prose = "pplx-70b-chat, fw_model, co-author, pa-tent, r8_x and secret_sauce are names";
        assert_eq!(mask.masked(prose, std::iter::empty()), prose);
    }
}
