//! What a request's route may say in place of its body, and what stands inside of other fields: Gemini's callers name the
//! model in the path, and most settings in `generationConfig`.

use serde::Deserialize;

/// Longest name of a model, in bytes: names go into errors and the log.
const MAX_MODEL: usize = 256;

/// What of `generationConfig` is asked for here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GenerationConfig {
    #[serde(default, alias = "max_output_tokens")]
    pub(super) max_output_tokens: Option<u64>,
    #[serde(default, alias = "candidate_count")]
    pub(super) candidate_count: Option<u32>,
    #[serde(default)]
    pub(super) temperature: Option<f64>,
}

/// The temperature in an object of settings.
pub(super) fn temperature(settings: &[u8]) -> Option<f64> {
    #[derive(Deserialize)]
    struct SamplingSettings {
        temperature: Option<f64>,
    }
    let read: SamplingSettings = serde_json::from_slice(settings).ok()?;
    read.temperature
}

/// What a model's name has to be and is not: names go into headers, errors and the log.
pub(super) fn misfit(model: &str) -> Option<&'static str> {
    match model {
        model if model.len() > MAX_MODEL => Some("a name of at most 256 bytes"),
        model if model.chars().any(char::is_control) => Some("a name without control characters"),
        _ => None,
    }
}
