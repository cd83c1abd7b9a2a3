//! The forms in which providers issue keys and tokens: one list for everything that masks them or looks for them.
//!
//! The prefixes are those of the providers' own documentation and of the public rules of secret scanners (gitleaks,
//! GitHub's list of partner patterns). A form says how long what follows its prefix must be, and of which characters.
//! Names of models and deployments begin like keys too (`pplx-70b-online`, `xai-grok-4-fast`, `gsk-gpt-4o-prod`), so what
//! has the form of a key must also be random enough (`is_key`).

use std::sync::LazyLock;

use regex::Regex;

/// What follows a prefix.
#[derive(Clone, Copy)]
enum Rest {
    /// Letters, digits, `-` and `_`, as many as the place at which the text is looked at asks for. The prefix is that of
    /// keys alone, or of plain words at the most (`sk-learn`).
    Loose,
    /// The same. Names of models and deployments have the prefix too.
    Named,
    /// At least this many letters, digits, `-` and `_`: the prefix also begins ordinary words.
    Long(usize),
    /// At least this many letters and digits without a break: the prefix also begins ordinary words.
    Solid(usize),
    /// Exactly this many capitals and digits.
    Capitals(usize),
    /// At least this many characters of base64.
    Base64(usize),
    /// The header, the payload and maybe the signature of a JWT.
    Jwt,
}

/// Prefix and rest of every known form, by whose it is.
const FORMS: &[(&str, Rest)] = &[
    // OpenAI, Anthropic (`sk-ant-`), OpenRouter (`sk-or-v1-`), DeepSeek, Moonshot and many more; Stripe's three.
    ("sk-", Rest::Loose),
    ("sk_", Rest::Loose),
    ("pk-", Rest::Named),
    ("pk_", Rest::Named),
    ("rk-", Rest::Named),
    ("rk_", Rest::Named),
    // Groq, Cerebras, xAI, NVIDIA, Hugging Face, Replicate, Fireworks, Together, Perplexity.
    ("gsk_", Rest::Loose),
    ("gsk-", Rest::Named),
    ("csk-", Rest::Named),
    ("csk_", Rest::Named),
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

/// A regular expression for every form, whole or partly masked by an error that quotes it (`sk-abc****wxyz`). Of the
/// loose ones at least `least` characters must follow the prefix.
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

/// Whether a match of [`pattern`] is a key and no name. A masked key is one; others must have random parts, unlike
/// chosen names.
pub(crate) fn is_key(found: &str) -> bool {
    if found.contains(['*', '•', '…']) || found.contains("...") {
        return true;
    }
    let form = FORMS.iter().find(|(prefix, _)| found.starts_with(prefix));
    match form {
        Some((_, Rest::Loose)) => !found
            .split(SEPARATORS)
            .all(|part| is_word(part) && part.bytes().all(|byte| byte.is_ascii_lowercase())),
        Some((_, Rest::Named | Rest::Long(_) | Rest::Solid(_) | Rest::Base64(_))) => {
            random(found) >= NAMED_RANDOM
        }
        Some((_, Rest::Capitals(_) | Rest::Jwt)) | None => true,
    }
}

/// A whole text that is a key.
static WHOLE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!("^{}$", pattern(12))).ok());

/// Runs long enough to be a key without a known prefix.
static RUN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[A-Za-z0-9+/_=.-]{32,}$").ok());

/// What separates the parts of a name.
const SEPARATORS: [char; 6] = ['-', '_', '/', '.', '+', '='];

/// With this many characters in random parts a match that begins like a key is one: errors quote keys shortened. In
/// names of models such parts (`8x22B`, `WizardLM`) are shorter, or these do not begin like a key.
const NAMED_RANDOM: usize = 8;
/// The same for a match that does not begin like a key: ids in names of resources have up to 12, keys 20 and more.
const RANDOM: usize = 16;

/// A part of a name that a person made: a word, an abbreviation, a number, a version.
static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(?:[A-Z]?[a-z]{0,15}|[A-Z]{1,19}|[a-z]{0,15}(?:[A-Z][a-z]+){1,8}|[A-Za-z]{0,6}\d{1,8}[A-Za-z]{0,3}|v\d{1,3}p\d{1,3})$").ok()
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

fn is_word(part: &str) -> bool {
    fits(&WORD, part)
}

/// Whether a part has letters of both cases, or letters and digits.
fn is_mixed(part: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| part.bytes().any(|byte| kind(&byte));
    let small = has(u8::is_ascii_lowercase);
    let large = has(u8::is_ascii_uppercase);
    small && large || (small || large) && has(u8::is_ascii_digit)
}

/// The number of a run's characters that are in parts other than words, numbers and versions.
fn random(run: &str) -> usize {
    let parts = run.split(SEPARATORS);
    let random = parts.filter(|part| !is_word(part) && is_mixed(part));
    random.map(str::len).sum()
}

/// Whether a run of characters is too random for a name of a model, a deployment or a resource: the names have words,
/// numbers, versions and at most a short id in them (`8x22B`, `provisioned-model/abc123def456`).
pub(super) fn is_random(run: &str) -> bool {
    random(run) >= RANDOM
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
    if fits(&WHOLE, text) && is_key(text) {
        return true;
    }
    let mixed = text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| byte.is_ascii_alphabetic());
    mixed && fits(&RUN, text) && !fits(&UUID, text) && is_random(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Models of OpenAI, Anthropic, Google, OpenRouter, Groq, xAI, Fireworks, Together, Hugging Face, Mistral, Cerebras,
    /// NVIDIA, Perplexity, Cloudflare and Replicate; Bedrock's ids and ARNs; deployments as Azure's users name them.
    const NAMES: &str = "
        gpt-4o-2024-08-06 gpt-5.1-codex-mini o4-mini-deep-research-2025-06-26 gpt-4o-mini-transcribe-2025-12-15
        text-embedding-3-large gpt-3.5-turbo-instruct-0914 gpt-oss-120b ft:gpt-4o-mini-2024-07-18:acme:support:AbC123de
        claude-opus-4-1-20250805 claude-3-7-sonnet-latest gemini-2.5-flash-lite-preview-09-2025 gemini-embedding-001
        openai/gpt-oss-20b:free anthropic/claude-sonnet-4.5 x-ai/grok-code-fast-1 z-ai/glm-4.5-air:free
        moonshotai/kimi-k2-0905 qwen/qwen3-235b-a22b-thinking-2507 deepseek/deepseek-r1-0528-qwen3-8b
        nousresearch/hermes-3-llama-3.1-405b microsoft/wizardlm-2-8x22b mistralai/mixtral-8x7b-instruct-v0.1
        cognitivecomputations/dolphin-mistral-24b-venice-edition:free baidu/ernie-4.5-vl-424b-a47b
        llama-3.3-70b-versatile meta-llama/llama-4-maverick-17b-128e-instruct moonshotai/kimi-k2-instruct-0905
        whisper-large-v3-turbo playai-tts-arabic gsk-llama-3.3-70b-versatile
        grok-4-fast-non-reasoning xai-grok-4-fast xai-grok-4-1-fast-reasoning xai-grok-code-fast-1 xai-grok-8x22b-beta
        accounts/fireworks/models/deepseek-v3p1 accounts/fireworks/models/llama4-maverick-instruct-basic
        accounts/acme/deployedModels/llama-v3p1-8b-instruct-a1b2c3d4 fw-llama-v3p1-405b-instruct fw_deepseek_v3p1_terminus
        fw-mixtral-8x22b-instruct-hf fw_firefunctionpreview
        meta-llama/Llama-3.3-70B-Instruct-Turbo-Free Qwen/Qwen2.5-VL-72B-Instruct deepseek-ai/DeepSeek-R1-Distill-Llama-70B
        mistralai/Mixtral-8x22B-Instruct-v0.1 microsoft/WizardLM-2-8x22B togethercomputer/m2-bert-80M-32k-retrieval
        Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8 NousResearch/Nous-Hermes-2-Mixtral-8x7B-DPO allenai/OLMo-2-0325-32B-Instruct
        sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2 BAAI/bge-large-en-v1.5 hf_inferenceendpoints_llama
        mistral-large-2411 open-mixtral-8x22b-2404 voxtral-mini-transcribe-2507 csk-llama-4-scout-17b-16e-instruct
        qwen-3-235b-a22b-instruct-2507 nvidia/llama-3.1-nemotron-ultra-253b-v1 nvidia/NVIDIA-Nemotron-Nano-9B-v2
        pplx-70b-online pplx-7b-chat-alpha sonar-deep-research @cf/meta/llama-3.3-70b-instruct-fp8-fast
        meta/meta-llama-3-70b-instruct r8_llama_instruct_finetuned rk-3588-qwen2.5-7b-instruct pk-sonnet-4-5-prod-westeurope
        anthropic.claude-sonnet-4-5-20250929-v1:0 us.anthropic.claude-haiku-4-5-20251001-v1:0 amazon.nova-premier-v1:0:1000k
        arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-5-sonnet-20241022-v2:0
        arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.meta.llama3-2-3b-instruct-v1:0
        arn:aws:bedrock:us-west-2:123456789012:provisioned-model/abc123def456
        arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/a1b2c3d4e5f6
        gpt-4o-prod-swedencentral-001 gsk-gpt-4o-prod gsk-finance-gpt-4-1-mini-eastus2 dapi-gpt-5-team-platform
        pa-production-gpt-5-deployment-eastus2-team-alpha-0001 tvly-search-summaries-gpt-4o jina_embeddings_v3_small
        secret_santa_gpt_4o_mini sk-learn sk-learn-embedding-classifier hf_hub jina_rerankermultilingual
    ";

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
    fn no_model_or_deployment_is_taken_for_a_key() {
        let found = |least| Regex::new(&pattern(least)).unwrap();
        let long = Regex::new("[A-Za-z0-9+/_=-]{20,}").unwrap();
        for name in NAMES.split_whitespace() {
            assert!(!looks_like_key(name), "{name}");
            for least in [3, 6, 12] {
                let found = found(least);
                let taken = found.find_iter(name).find(|found| is_key(found.as_str()));
                assert!(taken.is_none(), "{name}: {taken:?}");
            }
            let taken = long.find_iter(name).find(|run| is_random(run.as_str()));
            assert!(taken.is_none(), "{name}: {taken:?}");
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
