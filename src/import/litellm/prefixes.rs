//! The prefixes of LiteLLM's models (`groq/llama-3.3-70b`): which provider each one means.

/// What a prefix means here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
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
const PREFIXES: &[(&str, Place)] = &[
    ("openai", Place::BuiltIn("openai")),
    ("text-completion-openai", Place::BuiltIn("openai")),
    ("anthropic", Place::Anthropic),
    ("azure", Place::Azure),
    ("azure_text", Place::Azure),
    ("azure_ai", Place::AzureAi),
    ("bedrock", Place::Bedrock),
    ("bedrock_converse", Place::Bedrock),
    ("vertex_ai", Place::Vertex),
    ("vertex_ai_beta", Place::Vertex),
    ("gemini", Place::BuiltIn("google")),
    ("groq", Place::BuiltIn("groq")),
    ("cerebras", Place::BuiltIn("cerebras")),
    ("openrouter", Place::BuiltIn("openrouter")),
    ("mistral", Place::BuiltIn("mistralai")),
    (
        "codestral",
        Place::Service("https://codestral.mistral.ai/v1"),
    ),
    ("together_ai", Place::BuiltIn("togetherai")),
    ("fireworks_ai", Place::BuiltIn("fireworks")),
    ("deepinfra", Place::BuiltIn("deepinfra")),
    ("deepseek", Place::BuiltIn("deepseek")),
    ("perplexity", Place::BuiltIn("perplexity")),
    ("xai", Place::BuiltIn("xai")),
    ("nvidia_nim", Place::BuiltIn("nvidia_nim")),
    ("huggingface", Place::BuiltIn("huggingface")),
    ("moonshot", Place::BuiltIn("moonshot")),
    ("novita", Place::BuiltIn("novita")),
    ("sambanova", Place::BuiltIn("sambanova")),
    ("zai", Place::BuiltIn("zai")),
    ("minimax", Place::BuiltIn("minimax")),
    ("nebius", Place::BuiltIn("nebius")),
    ("chutes", Place::BuiltIn("chutes")),
    ("cohere", Place::BuiltIn("cohere")),
    ("cohere_chat", Place::BuiltIn("cohere")),
    ("dashscope", Place::BuiltIn("qwen")),
    ("featherless_ai", Place::BuiltIn("featherless")),
    ("scaleway", Place::BuiltIn("scaleway")),
    ("anyscale", Place::BuiltIn("anyscale")),
    ("ollama", Place::Ollama),
    ("ollama_chat", Place::Ollama),
    ("lm_studio", Place::BuiltIn("lmstudio")),
    ("llamafile", Place::Server),
    ("hosted_vllm", Place::Server),
    ("vllm", Place::Server),
    ("openai_like", Place::Server),
    ("custom_openai", Place::Server),
    ("litellm_proxy", Place::Server),
    ("xinference", Place::Server),
    ("docker_model_runner", Place::Server),
    ("lemonade", Place::Server),
    (
        "volcengine",
        Place::Service("https://ark.cn-beijing.volces.com/api/v3"),
    ),
    (
        "hyperbolic",
        Place::Service("https://api.hyperbolic.xyz/v1"),
    ),
    ("lambda_ai", Place::Service("https://api.lambda.ai/v1")),
    (
        "github",
        Place::Service("https://models.inference.ai.azure.com"),
    ),
    (
        "friendliai",
        Place::Service("https://api.friendli.ai/serverless/v1"),
    ),
    ("aiml", Place::Service("https://api.aimlapi.com/v1")),
    (
        "meta_llama",
        Place::Service("https://api.llama.com/compat/v1"),
    ),
    (
        "inception",
        Place::Service("https://api.inceptionlabs.ai/v1"),
    ),
    ("morph", Place::Service("https://api.morphllm.com/v1")),
    ("v0", Place::Service("https://api.v0.dev/v1")),
    (
        "nscale",
        Place::Service("https://inference.api.nscale.com/v1"),
    ),
    (
        "vercel_ai_gateway",
        Place::Service("https://ai-gateway.vercel.sh/v1"),
    ),
    (
        "sagemaker",
        Place::None("there is no dialect for SageMaker's endpoints"),
    ),
    (
        "sagemaker_chat",
        Place::None("there is no dialect for SageMaker's endpoints"),
    ),
    ("watsonx", Place::None("there is no dialect for watsonx")),
    (
        "watsonx_text",
        Place::None("there is no dialect for watsonx"),
    ),
    (
        "replicate",
        Place::None("there is no dialect for Replicate's predictions"),
    ),
    (
        "cloudflare",
        Place::None("write it as a provider with Cloudflare's OpenAI address (…/ai/v1)"),
    ),
    (
        "databricks",
        Place::None("write it as a provider with the address of its serving endpoints"),
    ),
    (
        "snowflake",
        Place::None("there is no dialect for Snowflake Cortex"),
    ),
    ("oci", Place::None("there is no dialect for Oracle's cloud")),
    (
        "github_copilot",
        Place::None("Copilot lets in only by its own login"),
    ),
    (
        "chatgpt",
        Place::None("ChatGPT's subscription lets in only by its own login"),
    ),
    (
        "predibase",
        Place::None("there is no dialect for Predibase"),
    ),
    ("triton", Place::None("there is no dialect for Triton")),
    (
        "elevenlabs",
        Place::None("there is no dialect for ElevenLabs"),
    ),
    ("deepgram", Place::None("there is no dialect for Deepgram")),
    (
        "assemblyai",
        Place::None("there is no dialect for AssemblyAI"),
    ),
    ("recraft", Place::None("there is no dialect for Recraft")),
    ("gigachat", Place::None("there is no dialect for GigaChat")),
    (
        "auto_router",
        Place::None("LiteLLM's own routers by content have no counterpart"),
    ),
    ("dify", Place::None("there is no dialect for Dify")),
    ("bytez", Place::None("there is no dialect for Bytez")),
    ("jina_ai", Place::Service("https://api.jina.ai/v1")),
    ("voyage", Place::Service("https://api.voyageai.com/v1")),
    ("zhipu", Place::BuiltIn("zai")),
];

/// What the prefix of that name means.
pub(super) fn place(prefix: &str) -> Option<Place> {
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
            if let Place::BuiltIn(name) = place {
                assert!(catalog::find(name).is_some(), "{prefix}: {name}");
            }
        }
    }
}
