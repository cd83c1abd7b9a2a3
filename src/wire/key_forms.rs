//! The forms in which providers issue keys and tokens: one list for everything that masks them or looks for them.
//!
//! The prefixes are those of the providers' own documentation and of the public rules of secret scanners (gitleaks,
//! GitHub's list of partner patterns). A form says how long what follows its prefix must be, and of which characters, so
//! that names of models (`pplx-70b-online`, `hf_hub`) are not taken for keys.

use std::sync::LazyLock;

use regex::Regex;

/// What follows a prefix.
#[derive(Clone, Copy)]
enum Rest {
    /// Letters, digits, `-` and `_`, as many as the place at which the text is looked at asks for.
    Loose,
    /// The same, if it is not made of words: the prefix is also one of models' names (`xai-grok-4-fast`).
    Named,
    /// At least so many letters, digits, `-` and `_`: the prefix is also a beginning of ordinary words.
    Long(usize),
    /// At least so many letters and digits without anything in between: the same.
    Solid(usize),
    /// Exactly so many capitals and digits.
    Capitals(usize),
    /// At least so many characters of base64.
    Base64(usize),
    /// The header, the payload and maybe the signature of a JWT.
    Jwt,
}

/// Prefix and rest of every known form, by whose it is.
const FORMS: &[(&str, Rest)] = &[
    // OpenAI, Anthropic (`sk-ant-`), OpenRouter (`sk-or-v1-`), DeepSeek, Moonshot and many more; Stripe's three.
    ("sk-", Rest::Loose),
    ("sk_", Rest::Loose),
    ("pk-", Rest::Loose),
    ("pk_", Rest::Loose),
    ("rk-", Rest::Loose),
    ("rk_", Rest::Loose),
    // Groq, Cerebras, xAI, NVIDIA, Hugging Face, Replicate, Fireworks, Together, Perplexity.
    ("gsk_", Rest::Loose),
    ("gsk-", Rest::Loose),
    ("csk-", Rest::Loose),
    ("csk_", Rest::Loose),
    ("xai-", Rest::Named),
    ("nvapi-", Rest::Loose),
    ("hf_", Rest::Solid(12)),
    ("r8_", Rest::Solid(12)),
    ("fw_", Rest::Solid(12)),
    ("tgp_v1_", Rest::Long(12)),
    ("pplx-", Rest::Solid(16)),
    // Databricks, Jina, Voyage, Tavily, Exa-like services with a word in front.
    ("dapi", Rest::Solid(32)),
    ("jina_", Rest::Solid(20)),
    ("pa-", Rest::Long(40)),
    ("tvly-", Rest::Long(16)),
    ("secret_", Rest::Solid(20)),
    // Google: API keys, the newer ones, and OAuth access tokens.
    ("AIza", Rest::Loose),
    ("AQ.", Rest::Loose),
    ("ya29.", Rest::Loose),
    // AWS: ids of access keys, Bedrock's own keys.
    ("AKIA", Rest::Capitals(16)),
    ("ASIA", Rest::Capitals(16)),
    ("ABSK", Rest::Base64(20)),
    ("bedrock-api-key-", Rest::Base64(20)),
    // GitHub, GitLab, Slack: callers' prompts hold them too.
    ("github_pat_", Rest::Loose),
    ("ghp_", Rest::Loose),
    ("gho_", Rest::Loose),
    ("ghu_", Rest::Loose),
    ("ghs_", Rest::Loose),
    ("ghr_", Rest::Loose),
    ("glpat-", Rest::Loose),
    ("xoxa-", Rest::Loose),
    ("xoxb-", Rest::Loose),
    ("xoxp-", Rest::Loose),
    ("xoxr-", Rest::Loose),
    ("xoxs-", Rest::Loose),
    // Any service's JSON web tokens.
    ("eyJ", Rest::Jwt),
];

/// A regular expression for every form, whole or partly masked by whoever quotes it (`sk-abc****wxyz`). Of the loose
/// ones at least `least` characters must follow the prefix.
pub(crate) fn pattern(least: usize) -> String {
    let prefixes: Vec<String> = FORMS
        .iter()
        .map(|(prefix, _)| regex::escape(prefix))
        .collect();
    // The masked ones first: a regular expression takes the first alternative that fits.
    let mut pattern = format!(
        r"\b(?:(?:{})[A-Za-z0-9_-]*(?:\*{{2,}}|[•…]+|\.{{3,}})[A-Za-z0-9_*.•…-]*",
        prefixes.join("|")
    );
    for (prefix, (_, rest)) in prefixes.iter().zip(FORMS) {
        let rest = match rest {
            Rest::Loose | Rest::Named => format!("[A-Za-z0-9_-]{{{least},}}"),
            Rest::Long(least) => format!("[A-Za-z0-9_-]{{{least},}}"),
            Rest::Solid(least) => format!("[A-Za-z0-9]{{{least},}}"),
            Rest::Capitals(count) => format!(r"[A-Z0-9]{{{count}}}\b"),
            Rest::Base64(least) => format!("[A-Za-z0-9+/_-]{{{least},}}={{0,2}}"),
            Rest::Jwt => r"[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?".to_owned(),
        };
        pattern.push('|');
        pattern.push_str(prefix);
        pattern.push_str(&rest);
    }
    pattern.push(')');
    pattern
}

/// Whether a text begins with a prefix that nothing but keys has.
pub fn begins_like_key(text: &str) -> bool {
    let certain = FORMS.iter().filter(|(_, rest)| matches!(rest, Rest::Loose));
    certain
        .into_iter()
        .any(|(prefix, _)| text.starts_with(prefix))
}

/// Whether a text begins like a key and is probably a name.
fn is_named(text: &str) -> bool {
    let named =
        |(prefix, rest): &(&str, Rest)| matches!(rest, Rest::Named) && text.starts_with(prefix);
    FORMS.iter().any(named) && is_made_of_words(text)
}

/// A whole text that is a key.
static WHOLE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!("^{}$", pattern(12))).ok());

/// Runs long enough to be a key without a known prefix.
static RUN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[A-Za-z0-9+/_=.-]{32,}$").ok());

/// A part of a name that a person made: a word, an abbreviation, a number, a version.
static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(?:[A-Z]?[a-z]{0,18}|[A-Z]{1,19}|(?:[A-Z][a-z]+){1,8}|[A-Za-z]{0,6}\d{1,8}[A-Za-z]{0,3}|v\d{1,3}p\d{1,3})$").ok()
});

/// A UUID (RFC 9562): ids of projects and deployments look like that, and keys hardly ever.
static UUID: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$").ok()
});

fn fits(pattern: &Option<Regex>, text: &str) -> bool {
    pattern
        .as_ref()
        .is_some_and(|pattern| pattern.is_match(text))
}

/// Whether a run of characters is made of words, numbers and versions, as names of models are.
pub(super) fn is_made_of_words(run: &str) -> bool {
    run.split(['-', '_', '/', '.'])
        .all(|part| fits(&WORD, part))
}

/// Whether a text as a whole is probably a key or token: one of a known form, also behind `Bearer `, or at least 32
/// characters in a row that make no words. A masked one (`sk-abc****`) counts, a placeholder in braces does not, and
/// neither do URLs, UUIDs and names of models.
pub fn looks_like_key(text: &str) -> bool {
    let text = text.trim();
    let text = match text.split_once(char::is_whitespace) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim_start(),
        _ => text,
    };
    let text = text.trim_matches(['"', '\'', '`']);
    if fits(&WHOLE, text) && !is_named(text) {
        return true;
    }
    let mixed = text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| byte.is_ascii_alphabetic());
    mixed && fits(&RUN, text) && !fits(&UUID, text) && !is_made_of_words(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_of_all_forms_look_like_keys() {
        for key in [
            "sk-p-0123456789",
            "sk-proj-abcdEFGH0123456789",
            "sk-ant-api03-AbCdEf0123456789-xyz",
            "sk-or-v1-0123456789abcdef0123456789abcdef",
            "gsk_AbCdEf0123456789AbCdEf0123456789",
            "csk-8kd2m5x9p3n6v1c4t7w2r5y8",
            "xai-AbCdEf0123456789",
            "nvapi-AbCdEf0123456789_-x",
            "hf_AbCdEf0123456789AbCdEf0123456789",
            "r8_AbCdEf0123456789AbCdEf0123456789abc",
            "fw_3ZAbCdEf0123456789AbCd",
            "tgp_v1_AbCdEf0123456789-AbCdEf0123456789",
            "pplx-AbCdEf0123456789AbCdEf0123456789",
            "dapi0123456789abcdef0123456789abcdef-2",
            "jina_0123456789abcdef0123456789abcdef",
            "pa-AbCdEf0123456789-AbCdEf0123456789_AbCdEf0123",
            "AIzaSyA0123456789-AbCdEf_0123456789AbCdE",
            "AQ.Ab8RN6AbCdEf0123456789",
            "ya29.a0AfH6SMAbCdEf0123456789",
            "AKIAIOSFODNN7EXAMPLE",
            "ASIAIOSFODNN7EXAMPLE",
            "ABSKQmVkcm9ja0FQSUtleS1hYmNkZWZnaA==",
            "github_pat_11ABCDEFG0123456789_abcdef",
            "ghp_AbCdEf0123456789AbCdEf0123456789",
            "gho_AbCdEf0123456789AbCdEf0123456789",
            "glpat-AbCdEf0123456789",
            "xoxb-123456789012-AbCdEf",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVPmB92K27uhb",
            "0123456789abcdef0123456789abcdef",
            "Bearer sk-proj-abcdEFGH0123456789",
            "\"sk-proj-abcdEFGH0123456789\"",
            "sk-abc****wxyz",
        ] {
            assert!(looks_like_key(key), "{key}");
        }
    }

    #[test]
    fn names_and_addresses_do_not() {
        for name in [
            "",
            "gpt-5.1-codex-mini",
            "pplx-70b-online",
            "grok-4-fast-reasoning",
            "xai-grok-4-fast-reasoning",
            "meta-llama/llama-4-maverick-17b-128e-instruct",
            "accounts/fireworks/models/deepseek-v3p1",
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "hf_hub",
            "fw_model",
            "secret_name",
            "co-author",
            "https://api.example.com/v1/chat/completions",
            "${GROQ_API_KEY}",
            "GROQ_API_KEY",
            "6f1b0c3e-8a52-4c11-9d0e-3f2a1b4c5d6e",
            "my-team-production-deployment-eu-west-1",
            "a sentence with many words and 1 number in it, longer than a key",
        ] {
            assert!(!looks_like_key(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_prefix_with_enough_behind_it_is_always_found(at in 0..FORMS.len(), rest in "[A-Z0-9]{48}") {
            let (prefix, form) = FORMS[at];
            let key = match form {
                Rest::Capitals(count) => format!("{prefix}{}", &rest[..count]),
                Rest::Jwt => format!("{prefix}{rest}.{rest}.{rest}"),
                _ => format!("{prefix}{rest}"),
            };
            prop_assert!(looks_like_key(&key), "{}", key);
        }

        #[test]
        fn any_text_is_judged(text in "\\PC{0,80}") {
            let _ = looks_like_key(&text);
        }
    }
}
