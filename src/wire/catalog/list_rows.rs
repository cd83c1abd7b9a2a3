//! Where providers' own lists of models have each fact, and in what unit prices are: one row for each shape.
//!
//! Sources: the vendors' documentation and live lists as of 2026-11; Together's, Novita's, DeepInfra's and SambaNova's
//! units are those that clients of these lists use.

use super::amount::PriceUnit;
use super::sheet::Rate;
use crate::domain::catalog::capability::Capability;

/// Where the facts of one provider's list stand. Paths are tried in their order.
pub(super) struct ListRow {
    /// The kinds of provider that list so.
    pub kinds: &'static [&'static str],
    /// The path of the list behind the API's root.
    pub path: &'static str,
    /// The query that asks for as many models at once as the API gives; empty where it gives all.
    pub query: &'static str,
    /// Only a provider that is called in this dialect knows that query; empty: all do.
    pub query_of: &'static str,
    /// Windows that the model supports.
    pub window: &'static [&'static str],
    /// Windows that are really taken.
    pub effective: &'static [&'static str],
    /// The most tokens of an answer.
    pub output: &'static [&'static str],
    /// A smaller window is none of text (Whisper's 448).
    pub least_window: u64,
    /// Prices, all in one unit.
    pub prices: &'static [(&'static str, Rate)],
    pub unit: PriceUnit,
    /// Rates of which a zero means that there is none.
    pub zero_is_unknown: &'static [Rate],
    /// Words, or flags, for what a model can do.
    pub features: &'static [&'static str],
    /// Kinds of input.
    pub inputs: &'static [&'static str],
    /// Flags of their own for what a model can do.
    pub flags: &'static [(&'static str, Capability)],
    /// Where it stands what kind of model it is, and what is said there of one that chats: one of the words of a list, the
    /// word, or a flag.
    pub chats: Option<(&'static str, &'static [&'static str])>,
}

/// What every list may call a window, and the only fields that are read of an unknown server's list.
const WINDOWS: &[&str] = &[
    "context_length",
    "context_window",
    "max_model_len",
    "max_context_length",
    "max_input_tokens",
    "context_size",
    "inputTokenLimit",
    "max_prompt_length",
    "meta.n_ctx_train",
];

/// Prices as OpenRouter calls them, which others have taken over.
const PROMPT_AND_COMPLETION: &[(&str, Rate)] = &[
    ("pricing.prompt", Rate::Input),
    ("pricing.completion", Rate::Output),
    ("pricing.input_cache_read", Rate::CachedInput),
    ("pricing.input_cache_reads", Rate::CachedInput),
    ("pricing.input_cache_write", Rate::CacheWrite),
    ("pricing.input_cache_writes", Rate::CacheWrite),
    ("pricing.internal_reasoning", Rate::Reasoning),
];

const USUAL: ListRow = ListRow {
    kinds: &[],
    path: "/models",
    query: "",
    query_of: "",
    window: WINDOWS,
    effective: &[],
    output: &[],
    least_window: 0,
    prices: &[],
    unit: PriceUnit::Each,
    zero_is_unknown: &[],
    features: &[],
    inputs: &[],
    flags: &[],
    chats: None,
};

static ROWS: &[ListRow] = &[
    ListRow {
        kinds: &[
            "openai",
            "deepseek",
            "cerebras",
            "nvidia_nim",
            "fireworks",
            "perplexity",
            "moonshot",
            "zai",
        ],
        ..USUAL
    },
    ListRow {
        kinds: &["anthropic"],
        query: "limit=1000",
        output: &["max_tokens"],
        features: &["capabilities"],
        ..USUAL
    },
    ListRow {
        kinds: &["google", "google_native", "vertex"],
        query: "pageSize=1000",
        // The same host's list in OpenAI's shape comes whole.
        query_of: "gemini",
        output: &["outputTokenLimit"],
        flags: &[("thinking", Capability::Reasoning)],
        chats: Some(("supportedGenerationMethods", &["generateContent"])),
        ..USUAL
    },
    ListRow {
        kinds: &["groq"],
        output: &["max_completion_tokens"],
        least_window: 1024,
        ..USUAL
    },
    ListRow {
        kinds: &["mistralai"],
        features: &["capabilities"],
        chats: Some(("capabilities.completion_chat", &[])),
        ..USUAL
    },
    ListRow {
        kinds: &["togetherai"],
        prices: &[
            ("pricing.input", Rate::Input),
            ("pricing.output", Rate::Output),
            ("pricing.cached_input", Rate::CachedInput),
        ],
        unit: PriceUnit::Million,
        chats: Some(("type", &["chat", "language", "code"])),
        ..USUAL
    },
    ListRow {
        kinds: &["deepinfra"],
        window: &["metadata.context_length", "context_length"],
        output: &["metadata.max_tokens"],
        prices: &[
            ("metadata.pricing.input_tokens", Rate::Input),
            ("metadata.pricing.output_tokens", Rate::Output),
            ("metadata.pricing.cache_read_tokens", Rate::CachedInput),
        ],
        unit: PriceUnit::Million,
        features: &["metadata.tags", "tags"],
        ..USUAL
    },
    ListRow {
        kinds: &["sambanova", "baseten"],
        output: &["max_completion_tokens"],
        prices: PROMPT_AND_COMPLETION,
        features: &["supported_features"],
        ..USUAL
    },
    ListRow {
        kinds: &["novita"],
        output: &["max_output_tokens"],
        prices: &[
            ("input_token_price_per_m", Rate::Input),
            ("output_token_price_per_m", Rate::Output),
            ("pricing.input_cache_read.price_per_m", Rate::CachedInput),
        ],
        unit: PriceUnit::TenThousandthOfMillion,
        features: &["features"],
        inputs: &["input_modalities"],
        ..USUAL
    },
    ListRow {
        kinds: &["xai"],
        path: "/language-models",
        prices: &[
            ("prompt_text_token_price", Rate::Input),
            ("cached_prompt_text_token_price", Rate::CachedInput),
            ("completion_text_token_price", Rate::Output),
        ],
        unit: PriceUnit::TenThousandthOfMillion,
        inputs: &["input_modalities"],
        ..USUAL
    },
    ListRow {
        kinds: &["chutes"],
        output: &["max_output_length"],
        prices: PROMPT_AND_COMPLETION,
        unit: PriceUnit::Million,
        features: &["supported_features"],
        inputs: &["input_modalities"],
        ..USUAL
    },
    ListRow {
        kinds: &["vercel"],
        output: &["max_tokens"],
        prices: &[
            ("pricing.input", Rate::Input),
            ("pricing.output", Rate::Output),
            ("pricing.input_cache_read", Rate::CachedInput),
            ("pricing.input_cache_write", Rate::CacheWrite),
        ],
        features: &["tags"],
        chats: Some(("type", &["language"])),
        ..USUAL
    },
    ListRow {
        kinds: &["ovh", "ovhcloud"],
        output: &["max_output_tokens", "max_completion_tokens"],
        prices: PROMPT_AND_COMPLETION,
        features: &["supported_features", "supported_parameters"],
        ..USUAL
    },
    ListRow {
        kinds: &["llmgateway"],
        effective: &["top_provider.context_length"],
        output: &["top_provider.max_completion_tokens", "max_output"],
        prices: PROMPT_AND_COMPLETION,
        zero_is_unknown: &[Rate::CachedInput, Rate::CacheWrite, Rate::Reasoning],
        features: &["supported_parameters"],
        inputs: &["architecture.input_modalities"],
        ..USUAL
    },
    ListRow {
        kinds: &["venice"],
        window: &["model_spec.availableContextTokens"],
        output: &["model_spec.maxCompletionTokens"],
        prices: &[
            ("model_spec.pricing.input.usd", Rate::Input),
            ("model_spec.pricing.output.usd", Rate::Output),
            ("model_spec.pricing.cache_input.usd", Rate::CachedInput),
            ("model_spec.pricing.cache_write.usd", Rate::CacheWrite),
        ],
        unit: PriceUnit::Million,
        flags: &[
            (
                "model_spec.capabilities.supportsFunctionCalling",
                Capability::Tools,
            ),
            ("model_spec.capabilities.supportsVision", Capability::Images),
            (
                "model_spec.capabilities.supportsAudioInput",
                Capability::Audio,
            ),
            (
                "model_spec.capabilities.supportsResponseSchema",
                Capability::JsonSchema,
            ),
            (
                "model_spec.capabilities.supportsReasoning",
                Capability::Reasoning,
            ),
        ],
        chats: Some(("type", &["text", "code"])),
        ..USUAL
    },
    ListRow {
        kinds: &["llamacpp"],
        effective: &["meta.n_ctx", "default_generation_settings.n_ctx"],
        ..USUAL
    },
    ListRow {
        kinds: &["cohere"],
        query: "page_size=1000",
        features: &["features"],
        chats: Some(("endpoints", &["chat"])),
        ..USUAL
    },
    ListRow {
        kinds: &["lmstudio"],
        features: &["capabilities"],
        chats: Some(("type", &["llm", "vlm"])),
        ..USUAL
    },
    ListRow {
        kinds: &["ollama", "ollama_native"],
        features: &["capabilities"],
        ..USUAL
    },
];

/// The row of this kind of provider; the usual one for a kind that is not known.
pub(super) fn row(kind: &str) -> &'static ListRow {
    let found = ROWS.iter().find(|row| row.kinds.contains(&kind));
    found.unwrap_or(&USUAL)
}
