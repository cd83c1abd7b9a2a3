//! What is peculiar to each provider, one row each: its errors, its limits, its clocks, its hosts, its name in telemetry.
//! What a provider needs to be called (URL, variables of keys, models, prefill) is its row in `config/catalog.toml`.
//!
//! The rows come from the providers' documentation, their client libraries and reports of what they really send.

use std::time::Duration;

use super::classify::tables::table::ErrorTable;
use super::classify::tables::{clouds, hosts, local, makers};
use super::error_doc::ErrorField;

const MINUTE: Duration = Duration::from_secs(60);
/// Seconds that clocks in Beijing are ahead of UTC.
const BEIJING: i64 = 8 * 3600;

/// What is peculiar to a provider.
pub struct ProviderTraits {
    /// Its name in the catalogue, or here alone where it is known by its hosts or by the name that the configuration gives
    /// it.
    pub id: &'static str,
    /// What its errors mean.
    pub(super) errors: Option<&'static ErrorTable>,
    /// What OpenTelemetry's conventions call it, if they have a name for it.
    telemetry: Option<&'static str>,
    /// Other names that mean it there.
    telemetry_aliases: &'static [&'static str],
    /// Its hosts, beside that of the catalogue. A host matches with whatever stands before it; `*` stands for the rest of
    /// one label.
    pub hosts: &'static [&'static str],
    /// Seconds that its clocks are ahead of UTC where its texts name no zone.
    pub(super) clocks_ahead: i64,
    /// Limits whose renewal its headers do not name fill up evenly over this time.
    pub(super) refills: Option<Duration>,
    /// Where it names no limit beside what remains of it, what remains means nothing.
    pub(super) tells_limits: bool,
    /// How it speaks of an allowance that is renewed daily.
    pub(super) daily: Option<DailyLimit>,
}

/// An allowance that is renewed at midnight.
#[derive(Clone, Copy)]
pub(super) struct DailyLimit {
    /// One of these in the message, in small letters, means it.
    pub(super) words: &'static [&'static str],
    /// This fact means it.
    pub(super) fact: Option<(ErrorField, &'static str)>,
    /// The time zone in which daily limits are renewed at midnight.
    pub(super) midnight: Midnight,
    /// It counts more than the hints that come with it, which are about another limit.
    pub(super) overrides: bool,
}

/// The time zone of a daily limit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Midnight {
    /// UTC.
    Utc,
    /// In Los Angeles.
    Pacific,
}

/// A provider of which nothing is peculiar.
const PLAIN: ProviderTraits = ProviderTraits {
    id: "",
    errors: None,
    telemetry: None,
    telemetry_aliases: &[],
    hosts: &[],
    clocks_ahead: 0,
    refills: None,
    tells_limits: false,
    daily: None,
};

const UTC: DailyLimit = DailyLimit {
    words: &[],
    fact: None,
    midnight: Midnight::Utc,
    overrides: false,
};

/// Every provider that has something peculiar, by name.
pub static PROVIDERS: &[ProviderTraits] = &[
    ProviderTraits {
        id: "anthropic",
        errors: Some(&makers::ANTHROPIC),
        ..PLAIN
    },
    ProviderTraits {
        id: "azure_openai",
        errors: Some(&clouds::AZURE_OPENAI),
        telemetry: Some("azure.ai.openai"),
        telemetry_aliases: &["azure"],
        hosts: &[
            "openai.azure.com",
            "services.ai.azure.com",
            "cognitiveservices.azure.com",
        ],
        tells_limits: true,
        ..PLAIN
    },
    ProviderTraits {
        id: "bedrock",
        errors: Some(&clouds::BEDROCK),
        telemetry: Some("aws.bedrock"),
        hosts: &[
            "bedrock-runtime.*.amazonaws.com",
            "bedrock-runtime-fips.*.amazonaws.com",
            "bedrock-mantle.*.api.aws",
        ],
        daily: Some(DailyLimit {
            words: &["per day"],
            ..UTC
        }),
        ..PLAIN
    },
    ProviderTraits {
        id: "cerebras",
        errors: Some(&hosts::CEREBRAS),
        daily: Some(DailyLimit {
            words: &["per day", "daily"],
            ..UTC
        }),
        ..PLAIN
    },
    ProviderTraits {
        id: "cloudflare",
        errors: Some(&clouds::CLOUDFLARE),
        hosts: &["api.cloudflare.com"],
        daily: Some(DailyLimit {
            words: &["daily"],
            fact: Some((ErrorField::Cloudflare, "3036")),
            ..UTC
        }),
        ..PLAIN
    },
    ProviderTraits {
        id: "cohere",
        errors: Some(&makers::COHERE),
        hosts: &["api.cohere.com"],
        ..PLAIN
    },
    ProviderTraits {
        id: "deepinfra",
        errors: Some(&hosts::DEEPINFRA),
        ..PLAIN
    },
    ProviderTraits {
        id: "deepseek",
        errors: Some(&makers::DEEPSEEK),
        ..PLAIN
    },
    ProviderTraits {
        id: "featherless",
        errors: Some(&hosts::FEATHERLESS),
        ..PLAIN
    },
    ProviderTraits {
        id: "fireworks",
        errors: Some(&hosts::FIREWORKS),
        refills: Some(MINUTE),
        ..PLAIN
    },
    ProviderTraits {
        id: "github_models",
        errors: Some(&clouds::GITHUB_MODELS),
        hosts: &["models.github.ai", "models.inference.ai.azure.com"],
        ..PLAIN
    },
    ProviderTraits {
        id: "google",
        errors: Some(&clouds::GOOGLE),
        telemetry: Some("gcp.gemini"),
        telemetry_aliases: &["gemini"],
        daily: Some(DailyLimit {
            words: &["per day", "perday"],
            fact: Some((ErrorField::QuotaId, "PerDay")),
            midnight: Midnight::Pacific,
            overrides: true,
        }),
        ..PLAIN
    },
    ProviderTraits {
        id: "groq",
        errors: Some(&hosts::GROQ),
        ..PLAIN
    },
    ProviderTraits {
        id: "huggingface",
        errors: Some(&clouds::HUGGINGFACE),
        ..PLAIN
    },
    ProviderTraits {
        id: "litellm",
        errors: Some(&local::LITELLM),
        ..PLAIN
    },
    ProviderTraits {
        id: "llamacpp",
        errors: Some(&local::LLAMACPP),
        ..PLAIN
    },
    ProviderTraits {
        id: "lmstudio",
        errors: Some(&local::LMSTUDIO),
        ..PLAIN
    },
    ProviderTraits {
        id: "minimax",
        errors: Some(&makers::MINIMAX),
        hosts: &["api.minimaxi.com", "api.minimax.chat"],
        clocks_ahead: BEIJING,
        ..PLAIN
    },
    ProviderTraits {
        id: "mistralai",
        errors: Some(&makers::MISTRALAI),
        telemetry: Some("mistral_ai"),
        telemetry_aliases: &["mistral"],
        hosts: &["codestral.mistral.ai"],
        ..PLAIN
    },
    ProviderTraits {
        id: "moonshot",
        errors: Some(&makers::MOONSHOT),
        telemetry: Some("moonshot_ai"),
        hosts: &["api.moonshot.cn", "api.kimi.com"],
        clocks_ahead: BEIJING,
        daily: Some(DailyLimit {
            words: &["tpd"],
            ..UTC
        }),
        ..PLAIN
    },
    ProviderTraits {
        id: "nebius",
        refills: Some(MINUTE),
        ..PLAIN
    },
    ProviderTraits {
        id: "novita",
        errors: Some(&hosts::NOVITA),
        ..PLAIN
    },
    ProviderTraits {
        id: "nvidia_nim",
        errors: Some(&clouds::NVIDIA_NIM),
        ..PLAIN
    },
    ProviderTraits {
        id: "ollama",
        errors: Some(&local::OLLAMA),
        hosts: &["ollama.com"],
        ..PLAIN
    },
    ProviderTraits {
        id: "openai",
        errors: Some(&makers::OPENAI),
        ..PLAIN
    },
    ProviderTraits {
        id: "openrouter",
        errors: Some(&hosts::OPENROUTER),
        daily: Some(DailyLimit {
            words: &["per-day", "per day", "daily"],
            ..UTC
        }),
        ..PLAIN
    },
    ProviderTraits {
        id: "perplexity",
        errors: Some(&makers::PERPLEXITY),
        ..PLAIN
    },
    ProviderTraits {
        id: "qwen",
        errors: Some(&makers::QWEN),
        hosts: &["dashscope*.aliyuncs.com"],
        clocks_ahead: BEIJING,
        ..PLAIN
    },
    ProviderTraits {
        id: "sambanova",
        errors: Some(&hosts::SAMBANOVA),
        ..PLAIN
    },
    ProviderTraits {
        id: "scaleway",
        errors: Some(&clouds::SCALEWAY),
        ..PLAIN
    },
    ProviderTraits {
        id: "sglang",
        errors: Some(&local::SGLANG),
        ..PLAIN
    },
    ProviderTraits {
        id: "tgi",
        errors: Some(&local::TGI),
        ..PLAIN
    },
    ProviderTraits {
        id: "togetherai",
        errors: Some(&hosts::TOGETHERAI),
        hosts: &["api.together.xyz"],
        ..PLAIN
    },
    ProviderTraits {
        id: "vertex",
        errors: Some(&clouds::VERTEX),
        telemetry: Some("gcp.vertex_ai"),
        hosts: &[
            "*-aiplatform.googleapis.com",
            "aiplatform.googleapis.com",
            "aiplatform.*.rep.googleapis.com",
        ],
        ..PLAIN
    },
    ProviderTraits {
        id: "vllm",
        errors: Some(&local::VLLM),
        ..PLAIN
    },
    ProviderTraits {
        id: "xai",
        errors: Some(&makers::XAI),
        telemetry: Some("x_ai"),
        refills: Some(MINUTE),
        ..PLAIN
    },
    ProviderTraits {
        id: "zai",
        errors: Some(&makers::ZAI),
        hosts: &["open.bigmodel.cn"],
        clocks_ahead: BEIJING,
        ..PLAIN
    },
];

/// What is peculiar to the provider of this name; of any other, nothing.
pub fn traits_of(id: &str) -> &'static ProviderTraits {
    static NOTHING: ProviderTraits = PLAIN;
    PROVIDERS
        .iter()
        .find(|row| row.id == id)
        .unwrap_or(&NOTHING)
}

/// What OpenTelemetry's conventions call a provider; where they have no name for it, its own.
pub fn telemetry_name(id: &str) -> &str {
    let row = PROVIDERS
        .iter()
        .find(|row| row.id == id || row.telemetry_aliases.contains(&id));
    row.and_then(|row| row.telemetry).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_there_once() {
        let names: Vec<&str> = PROVIDERS.iter().map(|row| row.id).collect();
        assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
        assert!(traits_of("nobody").errors.is_none());
        assert_eq!(telemetry_name("gemini"), "gcp.gemini");
        assert_eq!(telemetry_name("nobody"), "nobody");
    }
}
