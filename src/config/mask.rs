//! Masks keys that were written in a wrong place: messages about a configuration show only their last four characters.
//! Every mistake and every warning passes through here before it is shown.
//!
//! A key is recognised by its form. A value in a place where a key, or the name of one, belongs is suspected by
//! its place, and then less is enough.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::wire::key_forms;

/// Forms of keys: those of known providers (`wire/key_forms.rs`), and long runs that are unlikely as a name. A run
/// counts when it mixes what names do not mix ([`is_random`]).
static KEYS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let forms = [
        // What has a known form, to its end: it may go on in characters of base64.
        &format!("(?:{})[A-Za-z0-9_+/=-]*", key_forms::pattern(6)),
        // UUIDs.
        r"\b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b",
        r"[A-Za-z0-9]{16,}(?:[.][A-Za-z0-9]{12,})?",
    ];
    Regex::new(&forms.join("|")).ok()
});

/// A user or a password before a host, `Bearer` and its token, and parameters of a URL that carry credentials.
static CREDENTIALS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let forms = [
        r"(?P<before>://)[^/@\s]+(?P<after>@)",
        r"(?P<scheme>(?i:\b(?:bearer|basic)\s+))[A-Za-z0-9._~+/=-]{8,}",
        r"(?P<name>[?&][A-Za-z0-9_.-]*(?i:key|token|secret|sig|signature|auth|password|pass|credential)[A-Za-z0-9_.-]*=)[^&#\s`'\x22]+",
    ];
    Regex::new(&forms.join("|")).ok()
});

/// The text as it may be shown. `suspects` are values from places where a key belongs.
pub(super) fn masked<'t>(text: &'t str, suspects: &[String]) -> Cow<'t, str> {
    let mut text = Cow::Borrowed(text);
    for suspect in suspects {
        if text.contains(suspect.as_str()) {
            text = Cow::Owned(text.replace(suspect.as_str(), &tail(suspect)));
        }
    }
    if let Some(forms) = &*CREDENTIALS
        && let Cow::Owned(done) = forms.replace_all(&text, |found: &Captures<'_>| {
            let part = |name| found.name(name).map_or("", |part| part.as_str());
            format!(
                "{}{}{}****{}",
                part("before"),
                part("scheme"),
                part("name"),
                part("after")
            )
        })
    {
        text = Cow::Owned(done);
    }
    if let Some(forms) = &*KEYS
        && let Cow::Owned(done) = forms.replace_all(&text, |found: &Captures<'_>| {
            let found = found.get(0).map_or("", |found| found.as_str());
            if is_key(found) {
                tail(found)
            } else {
                found.to_owned()
            }
        })
    {
        text = Cow::Owned(done);
    }
    text
}

/// The text of an error that speaks of a configuration, without what looks like a key.
pub fn shown(text: &str) -> String {
    masked(text, &[]).into_owned()
}

/// Whether a text that is meant as a name or a path looks like a key.
pub(super) fn looks_like_key(text: &str) -> bool {
    masked(text, &[]) != text
}

/// Whether a value, written where a key's variable or file belongs, may be the key itself: it is no path, and no name
/// that a variable has.
pub(super) fn is_suspect(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let small = text.bytes().any(|byte| byte.is_ascii_lowercase());
    let large = text.bytes().any(|byte| byte.is_ascii_uppercase());
    let path = text.contains(['/', '\\']) || text.starts_with('.');
    let ending = text
        .rsplit_once('.')
        .is_some_and(|(_, ending)| (1..=5).contains(&ending.len()));
    let mixed = digits >= 3 && (small || text.len() >= 24) || small && large && text.len() >= 20;
    text.len() >= 8 && !path && !ending && mixed
}

/// The last four characters; none of a short text, of which they would be too much.
fn tail(key: &str) -> String {
    let count = key.chars().count();
    let end: String = key.chars().skip(count.saturating_sub(4)).collect();
    match count {
        0..12 => "****".to_owned(),
        _ => format!("****{end}"),
    }
}

fn is_key(text: &str) -> bool {
    let runs = || text.split(|c: char| !c.is_ascii_alphanumeric());
    let certain = key_forms::begins_like_key(text) || key_forms::looks_like_key(text);
    let uuid = text.len() == 36 && runs().map(str::len).eq([8, 4, 4, 4, 12]);
    certain || uuid || runs().any(is_random)
}

/// Whether a run of letters and digits is unlikely to be a chosen name.
fn is_random(run: &str) -> bool {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    let small = run.bytes().any(|byte| byte.is_ascii_lowercase());
    let large = run.bytes().any(|byte| byte.is_ascii_uppercase());
    let hex = run.bytes().all(|byte| byte.is_ascii_hexdigit());
    let letters = small || large;
    match run.len() {
        0..16 => false,
        16..24 => letters && digits >= 2 && (hex || small && large),
        _ => letters && digits >= 3 || small && large && run.len() >= 32,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_of_all_forms_are_shown_by_their_ends() {
        for key in [
            "sk-live-0123456789abcdef",
            "sk-proj-abc_DEF-0123456789",
            "gsk_abcdefghijklmnop0123",
            "xai-AbCdEf0123456789AbCdEf01",
            "hf_AbCdEfGhIjKlMnOpQrStUvWxYz0123",
            "AIzaSyA0123456789abcdefghij",
            "nvapi-0123456789abcdefgh",
            "0123456789abcdef0123456789abcdef",
            "0123456789abcdef0123456789abcdef.AbCdEfGhIjKl1234",
            "123e4567-e89b-42d3-a456-426614174000",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.c2lnbmF0dXJl",
            "aB3dE5fG7hI9jK1lM3nO",
            "AKIAIOSFODNN7EXAMPLE",
            "jina_0123456789abcdef0123456789abcdef",
        ] {
            let text = format!("no key is in {key}; set the variable");
            let shown = masked(&text, &[]);
            let end = &key[key.len() - 4..];
            assert_eq!(shown, format!("no key is in ****{end}; set the variable"));
            let path = format!("pointsman.yaml llm.providers[0].{key}: unknown key");
            assert!(!masked(&path, &[]).contains(&key[..8]), "{key}");
        }
        assert_eq!(masked("sk-abcdef", &[]), "****");
    }

    #[test]
    fn credentials_in_urls_and_headers_are_not_shown() {
        for (text, shown) in [
            (
                "`https://me:hunter2@h/v1` is no URL",
                "`https://****@h/v1` is no URL",
            ),
            (
                "https://h/v1?api-key=abc&x=1",
                "https://h/v1?api-key=****&x=1",
            ),
            ("found `Bearer abcdefgh`", "found `Bearer ****`"),
        ] {
            assert_eq!(masked(text, &[]), shown);
        }
    }

    #[test]
    fn names_models_paths_and_numbers_stay_readable() {
        for text in [
            "llm.providers[0].timeouts.conect: unknown key; did you mean `connect`?",
            "claude-3-5-sonnet-20241022, meta-llama/llama-3.3-70b-instruct, deepseek-r1-distill-qwen-32b",
            "xai-grok-4-fast, hf-inference, fw-llama, gpt-4o-mini-2024-07-18",
            "variable GROQ_API_KEY_FILE, OPENAI_API_KEY_12, AZURE_OPENAI_API_KEY",
            "/run/secrets/groq_api_key/..2026_01_31_00_00_00.123456789/key can't be read: entity not found",
            "context_window_fallbacks, default_first_token_timeout, https://api.example.com/v1",
            "write what `printf %s \"$TOKEN\" | sha256sum` prints",
            "18446744073709551616 is too large",
        ] {
            assert_eq!(masked(text, &[]), text);
        }
    }

    #[test]
    fn what_stands_in_a_keys_place_is_suspected_sooner() {
        for text in ["my-secret-123456", "abc123def456", "Zm9vYmFyYmF6cXV4Zm9v"] {
            assert!(is_suspect(text), "{text}");
        }
        for text in [
            "GROQ_API_KEY",
            "GROQ_API_KEY_2",
            "groq_key",
            "keys.txt",
            "secrets/groq1234",
            "./a1b2c3d4",
            "K1",
        ] {
            assert!(!is_suspect(text), "{text}");
        }
        let suspects = ["abc123def456".to_owned()];
        assert_eq!(
            masked("no key is in abc123def456", &suspects),
            "no key is in ****f456"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_around_a_key_it_is_not_shown(
            before in "[ .:`'\"\\[(,=/]{0,3}", after in "[ .:;`'\")\\],]{0,3}", key in "sk-[A-Za-z0-9]{16,40}"
        ) {
            let text = format!("{before}{key}{after}");
            let shown = masked(&text, &[]);
            prop_assert!(!shown.contains(&key[..12]), "{shown}");
        }

        #[test]
        fn any_text_is_masked_without_a_panic(text in "\\PC{0,60}", suspect in "\\PC{1,5}") {
            masked(&text, &[suspect]);
        }
    }
}
