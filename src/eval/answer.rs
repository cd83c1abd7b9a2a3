//! An answer, as assertions see it.

use serde_json::Value;

use crate::domain::money::Pico;

/// One whole answer.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct EvalAnswer {
    /// Its text; empty where it has none.
    pub text: String,
    /// Its calls of tools, in OpenAI's form.
    pub tool_calls: Vec<Value>,
    /// Why it ended: `stop`, `length`, `tool_calls`, `content_filter`.
    pub finish_reason: String,
    /// How long it took, in milliseconds.
    pub millis: f64,
    /// What it cost, as far as that is known.
    pub cost: Option<Pico>,
    /// The upstream that gave it.
    pub upstream: String,
}

impl EvalAnswer {
    /// Reads the body of a chat completion.
    ///
    /// # Errors
    /// What it is instead.
    pub fn read(body: &str) -> Result<Self, String> {
        let answer: Value =
            serde_json::from_str(body).map_err(|_| "the answer is no JSON".to_owned())?;
        let choice = &answer["choices"][0];
        let message = &choice["message"];
        if !message.is_object() {
            return Err("the answer is no chat completion".to_owned());
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let said = match text(&message["content"]) {
            empty if empty.is_empty() => text(&message["refusal"]),
            said => said,
        };
        let calls = message["tool_calls"].as_array();
        Ok(Self {
            text: said,
            tool_calls: calls.cloned().unwrap_or_default(),
            finish_reason: text(&choice["finish_reason"]),
            ..Self::default()
        })
    }

    /// What is compared with texts: its text, or else its calls of tools as JSON.
    pub fn output(&self) -> String {
        match self.text.is_empty() && !self.tool_calls.is_empty() {
            true => Value::from(self.tool_calls.clone()).to_string(),
            false => self.text.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_completion_has_text_or_calls() {
        let body = r#"{"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}"#;
        let answer = EvalAnswer::read(body).unwrap();
        assert_eq!(
            (answer.output().as_str(), answer.finish_reason.as_str()),
            ("a", "stop")
        );
        let body = r#"{"choices": [{"message": {"content": null, "tool_calls": [{"id": "1"}]}}]}"#;
        assert_eq!(EvalAnswer::read(body).unwrap().output(), r#"[{"id":"1"}]"#);
        assert!(EvalAnswer::read("{}").is_err() && EvalAnswer::read("<html>").is_err());
    }
}
