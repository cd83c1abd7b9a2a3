//! The prefixes of LiteLLM's models (`groq/llama-3.3-70b`): which provider each one means.

/// What a prefix means here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PrefixPlace {
    /// This built-in provider, which speaks OpenAI's API, or an address of its kind.
    BuiltIn(&'static str),
    /// A server that speaks OpenAI's API, at the address that the file gives.
    Server,
    /// A service that speaks OpenAI's API at this address.
    Service(&'static str),
    /// Ollama's own API.
    Ollama,
    /// Anthropic's API.
    Anthropic,
    /// Azure's OpenAI.
    Azure,
    /// Azure's models of other makers.
    AzureAi,
    /// Amazon's Bedrock.
    Bedrock,
    /// Google's Vertex.
    Vertex,
    /// Nothing here calls it, because of that.
    None(&'static str),
}

/// One row for each prefix.
const PREFIXES: &[(&str, PrefixPlace)] = &[
    ("openai", PrefixPlace::BuiltIn("openai")),
    ("text-completion-openai", PrefixPlace::BuiltIn("openai")),
    ("anthropic", PrefixPlace::Anthropic),
    ("azure", PrefixPlace::Azure),
    ("azure_text", PrefixPlace::Azure),
    ("azure_ai", PrefixPlace::AzureAi),
    ("bedrock", PrefixPlace::Bedrock),
    ("bedrock_converse", PrefixPlace::Bedrock),
    ("vertex_ai", PrefixPlace::Vertex),
    ("vertex_ai_beta", PrefixPlace::Vertex),
    ("gemini", PrefixPlace::BuiltIn("google")),
    ("groq", PrefixPlace::BuiltIn("groq")),
    ("cerebras", PrefixPlace::BuiltIn("cerebras")),
    ("openrouter", PrefixPlace::BuiltIn("openrouter")),
    ("mistral", PrefixPlace::BuiltIn("mistralai")),
    (
        "codestral",
        PrefixPlace::Service("https://codestral.mistral.ai/v1"),
    ),
    ("together_ai", PrefixPlace::BuiltIn("togetherai")),
    ("fireworks_ai", PrefixPlace::BuiltIn("fireworks")),
    ("deepinfra", PrefixPlace::BuiltIn("deepinfra")),
    ("deepseek", PrefixPlace::BuiltIn("deepseek")),
    ("perplexity", PrefixPlace::BuiltIn("perplexity")),
    ("xai", PrefixPlace::BuiltIn("xai")),
    ("nvidia_nim", PrefixPlace::BuiltIn("nvidia_nim")),
    ("huggingface", PrefixPlace::BuiltIn("huggingface")),
    ("moonshot", PrefixPlace::BuiltIn("moonshot")),
    ("novita", PrefixPlace::BuiltIn("novita")),
    ("sambanova", PrefixPlace::BuiltIn("sambanova")),
    ("zai", PrefixPlace::BuiltIn("zai")),
    ("minimax", PrefixPlace::BuiltIn("minimax")),
    ("nebius", PrefixPlace::BuiltIn("nebius")),
    ("chutes", PrefixPlace::BuiltIn("chutes")),
    ("cohere", PrefixPlace::BuiltIn("cohere")),
    ("cohere_chat", PrefixPlace::BuiltIn("cohere")),
    ("dashscope", PrefixPlace::BuiltIn("qwen")),
    ("featherless_ai", PrefixPlace::BuiltIn("featherless")),
    ("scaleway", PrefixPlace::BuiltIn("scaleway")),
    ("anyscale", PrefixPlace::BuiltIn("anyscale")),
    ("ollama", PrefixPlace::Ollama),
    ("ollama_chat", PrefixPlace::Ollama),
    ("lm_studio", PrefixPlace::BuiltIn("lmstudio")),
    ("llamafile", PrefixPlace::Server),
    ("hosted_vllm", PrefixPlace::Server),
    ("vllm", PrefixPlace::Server),
    ("openai_like", PrefixPlace::Server),
    ("custom_openai", PrefixPlace::Server),
    ("litellm_proxy", PrefixPlace::Server),
    ("xinference", PrefixPlace::Server),
    ("docker_model_runner", PrefixPlace::Server),
    ("lemonade", PrefixPlace::Server),
    (
        "volcengine",
        PrefixPlace::Service("https://ark.cn-beijing.volces.com/api/v3"),
    ),
    (
        "hyperbolic",
        PrefixPlace::Service("https://api.hyperbolic.xyz/v1"),
    ),
    (
        "lambda_ai",
        PrefixPlace::Service("https://api.lambda.ai/v1"),
    ),
    (
        "github",
        PrefixPlace::Service("https://models.inference.ai.azure.com"),
    ),
    (
        "friendliai",
        PrefixPlace::Service("https://api.friendli.ai/serverless/v1"),
    ),
    ("aiml", PrefixPlace::Service("https://api.aimlapi.com/v1")),
    (
        "meta_llama",
        PrefixPlace::Service("https://api.llama.com/compat/v1"),
    ),
    (
        "inception",
        PrefixPlace::Service("https://api.inceptionlabs.ai/v1"),
    ),
    ("morph", PrefixPlace::Service("https://api.morphllm.com/v1")),
    ("v0", PrefixPlace::Service("https://api.v0.dev/v1")),
    (
        "nscale",
        PrefixPlace::Service("https://inference.api.nscale.com/v1"),
    ),
    (
        "vercel_ai_gateway",
        PrefixPlace::Service("https://ai-gateway.vercel.sh/v1"),
    ),
    (
        "sagemaker",
        PrefixPlace::None("there is no dialect for SageMaker's endpoints"),
    ),
    (
        "sagemaker_chat",
        PrefixPlace::None("there is no dialect for SageMaker's endpoints"),
    ),
    (
        "watsonx",
        PrefixPlace::None("there is no dialect for watsonx"),
    ),
    (
        "watsonx_text",
        PrefixPlace::None("there is no dialect for watsonx"),
    ),
    (
        "replicate",
        PrefixPlace::None("there is no dialect for Replicate's predictions"),
    ),
    (
        "cloudflare",
        PrefixPlace::None("write it as a provider with Cloudflare's OpenAI address (…/ai/v1)"),
    ),
    (
        "databricks",
        PrefixPlace::None("write it as a provider with the address of its serving endpoints"),
    ),
    (
        "snowflake",
        PrefixPlace::None("there is no dialect for Snowflake Cortex"),
    ),
    (
        "oci",
        PrefixPlace::None("there is no dialect for Oracle's cloud"),
    ),
    (
        "github_copilot",
        PrefixPlace::None("Copilot lets in only by its own login"),
    ),
    (
        "chatgpt",
        PrefixPlace::None("ChatGPT's subscription lets in only by its own login"),
    ),
    (
        "predibase",
        PrefixPlace::None("there is no dialect for Predibase"),
    ),
    (
        "triton",
        PrefixPlace::None("there is no dialect for Triton"),
    ),
    (
        "elevenlabs",
        PrefixPlace::None("there is no dialect for ElevenLabs"),
    ),
    (
        "deepgram",
        PrefixPlace::None("there is no dialect for Deepgram"),
    ),
    (
        "assemblyai",
        PrefixPlace::None("there is no dialect for AssemblyAI"),
    ),
    (
        "recraft",
        PrefixPlace::None("there is no dialect for Recraft"),
    ),
    (
        "gigachat",
        PrefixPlace::None("there is no dialect for GigaChat"),
    ),
    (
        "auto_router",
        PrefixPlace::None("LiteLLM's own routers by content have no counterpart"),
    ),
    ("dify", PrefixPlace::None("there is no dialect for Dify")),
    ("bytez", PrefixPlace::None("there is no dialect for Bytez")),
    ("jina_ai", PrefixPlace::Service("https://api.jina.ai/v1")),
    (
        "voyage",
        PrefixPlace::Service("https://api.voyageai.com/v1"),
    ),
    ("zhipu", PrefixPlace::BuiltIn("zai")),
];

/// What the prefix of that name means.
pub(super) fn place(prefix: &str) -> Option<PrefixPlace> {
    let found = PREFIXES.iter().find(|(known, _)| *known == prefix);
    found.map(|(_, place)| *place)
}

/// The prefix that LiteLLM finds for a model without one, by its name.
pub(super) fn guessed(model: &str) -> Option<&'static str> {
    let openai = [
        "gpt-",
        "chatgpt-",
        "o1",
        "o3",
        "o4",
        "text-embedding-",
        "dall-e",
        "tts-",
        "whisper",
        "omni-moderation",
        "text-moderation",
        "davinci",
        "babbage",
        "ft:gpt-",
        "codex-",
    ];
    let begins = |names: &[&str]| names.iter().any(|name| model.starts_with(name));
    if begins(&openai) {
        Some("openai")
    } else if begins(&["claude-"]) {
        Some("anthropic")
    } else if begins(&["gemini-"]) {
        Some("vertex_ai")
    } else if begins(&["command-", "command", "embed-", "rerank-"]) {
        Some("cohere")
    } else if begins(&[
        "anthropic.",
        "amazon.",
        "meta.",
        "mistral.",
        "us.",
        "eu.",
        "apac.",
    ]) {
        Some("bedrock")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::catalog;

    #[test]
    fn every_prefix_is_there_once_and_means_something_that_is_there() {
        for (at, (prefix, place)) in PREFIXES.iter().enumerate() {
            let again = PREFIXES
                .iter()
                .skip(at + 1)
                .any(|(other, _)| other == prefix);
            assert!(!again, "{prefix} twice");
            if let PrefixPlace::BuiltIn(name) = place {
                assert!(catalog::find(name).is_some(), "{prefix}: {name}");
            }
        }
    }
}
