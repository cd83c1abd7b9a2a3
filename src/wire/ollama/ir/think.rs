//! `think`: whether the model is to think, and for the models that know levels how much.
//!
//! Ollama refuses a level for all models but gpt-oss, and a wish to think for models that cannot (`server/routes.go`).

use serde_json::{Number, Value, json};

use crate::wire::ir::Extra;
use crate::wire::ir::ReasoningConfig;
use crate::wire::ir::fields::{Encoder, put};
use crate::wire::reasoning;

/// Parts of the names of models in Ollama's library that cannot think, where nothing else in the name says that they do.
const UNTHINKING: [&str; 17] = [
    "codellama",
    "codestral",
    "command-r",
    "embed",
    "gemma2",
    "gemma3",
    "instruct",
    "llama2",
    "llama3",
    "llama4",
    "llava",
    "mistral",
    "mixtral",
    "phi3",
    "qwen2",
    "qwen3-coder",
    "tinyllama",
];

/// How a model takes `think`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ThinkForm {
    /// A level; it cannot be told not to.
    Levels,
    /// Yes or no.
    Switch,
    /// It cannot think.
    Never,
}

fn thinking_of(model: &str) -> ThinkForm {
    let model = model.to_ascii_lowercase();
    if model.contains("gpt-oss") || model.contains("gptoss") {
        return ThinkForm::Levels;
    }
    let refuses = UNTHINKING.iter().any(|part| model.contains(part));
    match refuses && !reasoning::model_reasons(&model) {
        true => ThinkForm::Never,
        false => ThinkForm::Switch,
    }
}

/// Writes how much the model is to think, where nothing is said of that in Ollama's own words.
pub(super) fn encode_reasoning(
    encoder: &mut Encoder,
    body: &mut Extra,
    asked: &ReasoningConfig,
    model: &str,
) {
    let effort = asked.effort.as_deref().filter(|word| !word.is_empty());
    let off = asked.enabled == Some(false) || effort == Some("none");
    let on = effort.is_some() || asked.enabled == Some(true) || asked.budget_tokens.is_some();
    if body.contains_key("think") || !(off || on) {
        return;
    }
    let think = match thinking_of(model) {
        ThinkForm::Never if off => None,
        ThinkForm::Never => {
            return encoder.lose("reasoning.effort", "the model does not think");
        }
        ThinkForm::Levels if off => {
            return encoder.lose("reasoning.effort", "the model always thinks");
        }
        ThinkForm::Levels => level(effort, asked.budget_tokens.as_ref()).map(Value::from),
        ThinkForm::Switch => Some(json!(!off)),
    };
    put(body, "think", think);
}

/// The level that comes nearest.
fn level(effort: Option<&str>, budget: Option<&Number>) -> Option<&'static str> {
    Some(match (effort, budget.and_then(Number::as_u64)) {
        (Some("minimal" | "low"), _) | (None, Some(0..4096)) => "low",
        (Some("high" | "xhigh" | "max"), _) | (None, Some(16_384..)) => "high",
        (Some(_), _) | (None, Some(_)) => "medium",
        // As it likes, which it does anyway.
        (None, None) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_models_that_know_levels_get_one_and_those_that_cannot_think_nothing() {
        let asked = |effort: &str, model: &str| {
            let config = ReasoningConfig {
                effort: Some(effort.to_owned()),
                ..ReasoningConfig::default()
            };
            let mut encoder = Encoder::new("openai", "ollama", "");
            let mut body = Extra::new();
            encode_reasoning(&mut encoder, &mut body, &config, model);
            let lost = !encoder.losses.is_empty();
            (body.remove("think").unwrap_or_default(), lost)
        };
        for (effort, model, think, lost) in [
            ("xhigh", "gpt-oss:20b", json!("high"), false),
            ("minimal", "gpt-oss:120b-cloud", json!("low"), false),
            ("none", "gpt-oss:20b", Value::Null, true),
            ("high", "qwen3:8b", json!(true), false),
            ("none", "qwen3:8b", json!(false), false),
            ("high", "deepseek-r1:70b-llama3", json!(true), false),
            ("high", "my-own-model", json!(true), false),
            ("low", "llama3.2", Value::Null, true),
            ("none", "llama3.2", Value::Null, false),
        ] {
            assert_eq!(asked(effort, model), (think, lost), "{effort} {model}");
        }
    }
}
