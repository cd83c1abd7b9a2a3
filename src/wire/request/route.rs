//! What a request's route says in place of its body, and what stands inside of other fields: Gemini's callers name the
//! model in the path, and most settings in `generationConfig`.

use serde::Deserialize;

use super::{RequestDoc, RequestError};

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
}

/// Whether a model's name is fit for headers, errors and the log.
pub(super) fn check(model: &str) -> Result<(), RequestError> {
    let expected = match model {
        model if model.len() > MAX_MODEL => "a name of at most 256 bytes",
        model if model.chars().any(char::is_control) => "a name without control characters",
        _ => return Ok(()),
    };
    Err(RequestError::WrongType {
        field: "model",
        expected,
    })
}

impl RequestDoc {
    /// The same request for this model, its answer streamed or not, whatever its body says of either.
    ///
    /// # Errors
    /// A model longer than 256 bytes or with control characters.
    pub fn routed(mut self, model: &str, stream: bool) -> Result<Self, RequestError> {
        check(model)?;
        self.routed = Some(model.into());
        self.stream = stream;
        Ok(self)
    }

    pub(super) fn generation_config(&self) -> Option<GenerationConfig> {
        let mut names = ["generationConfig", "generation_config"].into_iter();
        let raw = names.find_map(|name| self.raw(name))?;
        serde_json::from_slice(raw).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(body: &str) -> RequestDoc {
        RequestDoc::parse(body.to_owned().into()).unwrap()
    }

    #[test]
    fn the_route_goes_before_the_body() {
        let asked = doc(r#"{"model":"other","contents":[]}"#)
            .routed("a:b/c", true)
            .unwrap();
        assert_eq!(asked.model().as_deref(), Some("a:b/c"));
        assert!(asked.stream());
        assert!(doc("{}").routed(&"m".repeat(257), false).is_err());
        assert!(doc("{}").routed("m\u{7}", false).is_err());
    }

    #[test]
    fn limits_stand_in_the_configuration_of_the_answer() {
        for body in [
            r#"{"generationConfig":{"maxOutputTokens":9,"candidateCount":3}}"#,
            r#"{"generation_config":{"max_output_tokens":9,"candidate_count":3,"x":null}}"#,
        ] {
            assert_eq!(
                (doc(body).max_output_tokens(), doc(body).choices()),
                (Some(9), 3)
            );
        }
        assert_eq!(doc(r#"{"generationConfig":[]}"#).max_output_tokens(), None);
    }

    #[test]
    fn contents_are_the_prompt() {
        let asked = doc(
            r#"{"contents":[{"parts":[{"text":"hello"},{"inlineData":{"mimeType":"image/png","data":"AAAAAAAA"}}]},{}],
               "systemInstruction":{"parts":[{"text":"be"}]}}"#,
        );
        assert_eq!(asked.message_count(), 2);
        assert!(asked.prompt_bytes() > 40 && asked.media_tokens() == 2);
    }
}
