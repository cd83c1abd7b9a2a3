//! What the providers' errors mean, as tables: one row is one recognisable answer.
//!
//! A table is ordered by what must not be mistaken: keys, quota, the prompt's size, content, the model,
//! capacity, rate. The rows come from the providers' documentation, their client libraries and reports of what
//! they really send.

mod clouds;
mod common;
mod hosts;
mod local;
mod makers;
mod table;

pub(super) use common::{COMMON, STATUSLESS};
#[cfg(test)]
pub(super) use table::Rule;
use table::Table;

/// Each kind of provider whose errors are known, and its table.
pub(super) static TABLES: &[(&str, &Table)] = &[
    ("anthropic", &makers::ANTHROPIC),
    ("azure_openai", &clouds::AZURE_OPENAI),
    ("bedrock", &clouds::BEDROCK),
    ("cerebras", &hosts::CEREBRAS),
    ("cloudflare", &clouds::CLOUDFLARE),
    ("cohere", &makers::COHERE),
    ("deepinfra", &hosts::DEEPINFRA),
    ("deepseek", &makers::DEEPSEEK),
    ("featherless", &hosts::FEATHERLESS),
    ("fireworks", &hosts::FIREWORKS),
    ("github_models", &clouds::GITHUB_MODELS),
    ("google", &clouds::GOOGLE),
    ("groq", &hosts::GROQ),
    ("huggingface", &clouds::HUGGINGFACE),
    ("litellm", &local::LITELLM),
    ("llamacpp", &local::LLAMACPP),
    ("lmstudio", &local::LMSTUDIO),
    ("minimax", &makers::MINIMAX),
    ("mistralai", &makers::MISTRALAI),
    ("moonshot", &makers::MOONSHOT),
    ("novita", &hosts::NOVITA),
    ("nvidia_nim", &clouds::NVIDIA_NIM),
    ("ollama", &local::OLLAMA),
    ("openai", &makers::OPENAI),
    ("openrouter", &hosts::OPENROUTER),
    ("perplexity", &makers::PERPLEXITY),
    ("qwen", &makers::QWEN),
    ("sambanova", &hosts::SAMBANOVA),
    ("scaleway", &clouds::SCALEWAY),
    ("sglang", &local::SGLANG),
    ("tgi", &local::TGI),
    ("togetherai", &hosts::TOGETHERAI),
    ("vertex", &clouds::VERTEX),
    ("vllm", &local::VLLM),
    ("xai", &makers::XAI),
    ("zai", &makers::ZAI),
];

/// The table of a kind of provider; `None` for any other.
pub(super) fn table_of(kind: &str) -> Option<&'static Table> {
    let mut tables = TABLES.iter();
    let found = tables.find(|(known, _)| *known == kind)?;
    Some(found.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::error_doc::Field;

    #[test]
    fn every_pattern_compiles() {
        let mut seen = 0;
        let tables = TABLES.iter().map(|(_, table)| *table);
        for table in tables.chain([&COMMON, &STATUSLESS]) {
            for (at, rule) in table.rules.iter().enumerate() {
                let wants = rule.when.iter().any(|(field, _)| *field == Field::Message);
                assert_eq!(wants, table.regex(at).is_some(), "{:?}", rule.when);
                seen += 1;
            }
        }
        assert!(seen > 200, "{seen}");
    }
}
