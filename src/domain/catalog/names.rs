//! When an id of one list means the model of another: never because one is a part of the other.

/// What lists call providers, and the built-in provider that it is, where both differ by more than spelling. From
/// models.dev's ids (2026-07), LiteLLM's `litellm_provider` (1.110) and llmrouter's types.
const PROVIDERS: &[(&str, &str)] = &[
    ("gemini", "google"),
    ("mistral", "mistralai"),
    ("together", "togetherai"),
    ("fireworksai", "fireworks"),
    ("coherechat", "cohere"),
    ("dashscope", "qwen"),
    ("alibaba", "qwen"),
    ("featherlessai", "featherless"),
    ("ollamachat", "ollama"),
    ("moonshotai", "moonshot"),
    ("novitaai", "novita"),
    ("nvidia", "nvidianim"),
    ("hf", "huggingface"),
    ("azure", "azureopenai"),
    ("amazonbedrock", "bedrock"),
    ("bedrockconverse", "bedrock"),
    ("googlevertex", "vertex"),
    ("googlevertexanthropic", "vertexanthropic"),
    ("textcompletionopenai", "openai"),
    ("zhipuai", "zai"),
    ("claude", "anthropic"),
    ("grok", "xai"),
    ("hostedvllm", "vllm"),
];

/// A provider's name without case, dots, dashes and underscores, and with one name for what lists call differently.
pub fn provider_key(name: &str) -> String {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    // LiteLLM has one word for each family of models at Vertex.
    let plain = match plain.strip_prefix("vertexai") {
        Some(family) if family.starts_with("anthropic") => "vertexanthropic".to_owned(),
        Some(_) => "vertex".to_owned(),
        None => plain,
    };
    let known = PROVIDERS.iter().find(|(name, _)| *name == plain);
    known.map_or(plain, |(_, id)| (*id).to_owned())
}

/// An id without what is only spelling: lower case, `-` for `_` and spaces, without a prefix that names the provider, and
/// its suffix (`:free`) apart.
pub fn normalised(id: &str, provider_keys: &[String]) -> (String, Option<String>) {
    let id = id.trim().to_lowercase();
    let id = id.strip_prefix("models/").unwrap_or(&id);
    let id = match id.split_once('/') {
        Some((head, rest)) if provider_keys.contains(&provider_key(head)) => rest,
        _ => id,
    };
    let (id, suffix) = match id.rsplit_once(':') {
        Some((id, suffix)) => (id, Some(suffix.to_owned())),
        None => (id, None),
    };
    let mut plain = String::with_capacity(id.len());
    for letter in id.chars() {
        let letter = match letter {
            '_' => '-',
            letter if letter.is_whitespace() => '-',
            letter => letter,
        };
        if letter != '-' || !plain.ends_with('-') {
            plain.push(letter);
        }
    }
    (plain, suffix)
}

/// The id of which this one is a dated snapshot: `gpt-4o-2024-08-06`, `claude-sonnet-4-20250514`, `gpt-4-0613`.
pub fn undated(id: &str) -> Option<&str> {
    let at = id.rfind('@');
    if let Some((head, date)) = at.and_then(|at| Some((id.get(..at)?, id.get(at + 1..)?))) {
        return is_date(date).then_some(head);
    }
    let cut = |len: usize| {
        let (head, tail) = id.split_at_checked(id.len().checked_sub(len)?)?;
        let date = tail.strip_prefix('-')?;
        (!head.is_empty() && is_date(date)).then_some(head)
    };
    cut("-2024-08-06".len())
        .or_else(|| cut("-20240806".len()))
        .or_else(|| cut("-0613".len()))
}

/// `20240806`, `2024-08-06`, `0613` (month and day), `2411` (year and month).
fn is_date(text: &str) -> bool {
    let shape = |dashes: &[usize]| {
        text.bytes().enumerate().all(|(at, byte)| {
            if dashes.contains(&at) {
                byte == b'-'
            } else {
                byte.is_ascii_digit()
            }
        })
    };
    let number = |from: usize, to: usize| -> u32 {
        let digits = text.get(from..to).unwrap_or_default();
        digits.parse().unwrap_or(0)
    };
    let is_day = |month: u32, day: u32| (1..=12).contains(&month) && (1..=31).contains(&day);
    match text.len() {
        10 if shape(&[4, 7]) => text.starts_with("20") && is_day(number(5, 7), number(8, 10)),
        8 if shape(&[]) => text.starts_with("20") && is_day(number(4, 6), number(6, 8)),
        4 if shape(&[]) => {
            let (first, second) = (number(0, 2), number(2, 4));
            is_day(first, second) || ((20..40).contains(&first) && is_day(second, 1))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn providers_are_known_by_what_lists_call_them() {
        for (names, key) in [
            (&["together_ai", "togetherai", "Together"][..], "togetherai"),
            (&["fireworks_ai", "fireworks-ai", "fireworks"], "fireworks"),
            (&["gemini", "google"], "google"),
            (&["nvidia_nim", "nvidia"], "nvidianim"),
            (&["vertex_ai-language-models", "vertex"], "vertex"),
            (&["vertex_ai-anthropic_models"], "vertexanthropic"),
            (&["groq", "Groq"], "groq"),
            (&["azure", "azure_openai"], "azureopenai"),
        ] {
            for name in names {
                assert_eq!(provider_key(name), key, "{name}");
            }
        }
        assert_ne!(provider_key("groq-2"), provider_key("groq"));
    }

    #[test]
    fn spelling_is_taken_off_but_not_the_maker() {
        let keys = ["groq".to_owned()];
        let plain = |id: &str| normalised(id, &keys).0;
        assert_eq!(plain("Groq/Llama_3.3  70B"), "llama-3.3-70b");
        assert_eq!(plain("models/gemini-2.5-pro"), "gemini-2.5-pro");
        assert_eq!(plain("openai/gpt-oss-120b"), "openai/gpt-oss-120b");
        assert_eq!(
            normalised("x:Free", &keys),
            ("x".to_owned(), Some("free".to_owned()))
        );
    }

    #[test]
    fn a_snapshot_has_an_undated_name() {
        for (id, wanted) in [
            ("gpt-4o-2024-08-06", Some("gpt-4o")),
            ("claude-sonnet-4-20250514", Some("claude-sonnet-4")),
            ("claude-sonnet-4@20250514", Some("claude-sonnet-4")),
            ("gpt-4-0613", Some("gpt-4")),
            ("mistral-large-2411", Some("mistral-large")),
            ("llama-3.3-70b", None),
            ("mixtral-8x7b-32768", None),
            ("model-8192", None),
            ("-0613", None),
            ("x-20241399", None),
            ("", None),
        ] {
            assert_eq!(undated(id), wanted, "{id}");
        }
    }

    proptest! {
        #[test]
        fn any_id_can_be_looked_at(id in ".{0,40}") {
            let _ = undated(&id);
            let (plain, _) = normalised(&id, &[provider_key(&id)]);
            prop_assert!(plain.len() <= id.to_lowercase().len());
        }
    }
}
