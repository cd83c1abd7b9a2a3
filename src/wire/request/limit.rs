//! The same request for less output.

use serde_json::{Value, json};

use super::RequestDoc;
use crate::wire::json;

/// The fields of the limit, by their dialects' names.
const LIMITS: [&str; 3] = ["max_completion_tokens", "max_tokens", "max_output_tokens"];
/// Where Gemini's callers have it.
const CONFIGS: [(&str, &str); 2] = [
    ("generationConfig", "maxOutputTokens"),
    ("generation_config", "max_output_tokens"),
];
/// Claude thinks with at least so many tokens, or not at all.
const LEAST_THOUGHT: u64 = 1024;

impl RequestDoc {
    /// The same request for at most `most` tokens of output, and the name of the field that was changed; `None` where it
    /// asks for no more, or would have to think less than its model can.
    pub fn with_less_output(&self, most: u64) -> Option<(Self, &'static str)> {
        let mut fields: Vec<(&str, Vec<u8>)> = Vec::new();
        let mut changed = None;
        let digits = || most.to_string().into_bytes();
        let is_more = |limit: u64| limit > most;
        for name in LIMITS {
            let limit = self
                .raw(name)
                .and_then(|raw| serde_json::from_slice(raw).ok());
            if limit.is_some_and(is_more) {
                fields.push((name, digits()));
                changed.get_or_insert(name);
            }
        }
        for (config, _) in CONFIGS {
            let Some(Value::Object(mut settings)) = self.raw(config).and_then(json::value) else {
                continue;
            };
            for (_, name) in CONFIGS {
                let limit = settings.get(name).and_then(Value::as_u64);
                if limit.is_some_and(is_more) {
                    settings.insert(name.to_owned(), most.into());
                    changed.get_or_insert("maxOutputTokens");
                }
            }
            if changed.is_some() {
                fields.push((config, Value::Object(settings).to_string().into_bytes()));
            }
        }
        if changed.is_none() && self.max_output_tokens().is_none() {
            changed = Some(self.limited_anew(&mut fields, most));
        }
        let changed = changed?;
        if let Some(budget) = self.thoughts_within(most)? {
            fields.push(("thinking", budget));
        }
        Some((self.with(&fields)?, changed))
    }

    /// Adds a limit to a request that has none.
    fn limited_anew(&self, fields: &mut Vec<(&str, Vec<u8>)>, most: u64) -> &'static str {
        let name = match () {
            () if self.has("contents") => {
                let before = self.raw("generationConfig").and_then(json::value);
                let mut settings = before.unwrap_or_else(|| json!({}));
                if let Value::Object(settings) = &mut settings {
                    settings.insert("maxOutputTokens".to_owned(), most.into());
                }
                fields.push(("generationConfig", settings.to_string().into_bytes()));
                return "maxOutputTokens";
            }
            () if self.has("input") => "max_output_tokens",
            () => "max_tokens",
        };
        fields.push((name, most.to_string().into_bytes()));
        name
    }

    /// The field `thinking` with a budget below `most`; nothing where it is below that already.
    ///
    /// The outer `None`: no such budget is left.
    #[expect(clippy::option_option, reason = "unchanged, or impossible")]
    fn thoughts_within(&self, most: u64) -> Option<Option<Vec<u8>>> {
        const NAME: &str = "budget_tokens";
        let Some(Value::Object(mut thinking)) = self.raw("thinking").and_then(json::value) else {
            return Some(None);
        };
        let budget = thinking.get(NAME).and_then(Value::as_u64);
        if budget.is_none_or(|budget| budget < most) {
            return Some(None);
        }
        let less = (most / 2).max(LEAST_THOUGHT);
        (less < most).then(|| {
            thinking.insert(NAME.to_owned(), less.into());
            Some(Value::Object(thinking).to_string().into_bytes())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn less(body: &Value, most: u64) -> Option<(Value, &'static str)> {
        let doc = RequestDoc::parse(body.to_string().into()).unwrap();
        let (doc, name) = doc.with_less_output(most)?;
        Some((serde_json::from_slice(doc.body()).unwrap(), name))
    }

    #[test]
    fn each_dialects_limit_is_lowered_and_only_that() {
        for (body, lowered, name) in [
            (
                json!({"messages": [], "max_tokens": 9000, "x": 1.50}),
                json!({"messages": [], "max_tokens": 100, "x": 1.50}),
                "max_tokens",
            ),
            (
                json!({"messages": [], "max_completion_tokens": 9000}),
                json!({"messages": [], "max_completion_tokens": 100}),
                "max_completion_tokens",
            ),
            (
                json!({"input": "hi", "max_output_tokens": 9000}),
                json!({"input": "hi", "max_output_tokens": 100}),
                "max_output_tokens",
            ),
            (
                json!({"contents": [], "generationConfig": {"maxOutputTokens": 9000, "topK": 1}}),
                json!({"contents": [], "generationConfig": {"maxOutputTokens": 100, "topK": 1}}),
                "maxOutputTokens",
            ),
            (
                json!({"contents": [], "generation_config": {"max_output_tokens": 9000}}),
                json!({"contents": [], "generation_config": {"max_output_tokens": 100}}),
                "maxOutputTokens",
            ),
            (
                json!({"messages": []}),
                json!({"messages": [], "max_tokens": 100}),
                "max_tokens",
            ),
            (
                json!({"contents": []}),
                json!({"contents": [], "generationConfig": {"maxOutputTokens": 100}}),
                "maxOutputTokens",
            ),
        ] {
            assert_eq!(less(&body, 100), Some((lowered, name)), "{body}");
        }
        assert_eq!(less(&json!({"messages": [], "max_tokens": 100}), 100), None);
    }

    #[test]
    fn a_request_keeps_its_route() {
        let body = json!({"contents": [], "generationConfig": {"maxOutputTokens": 9}});
        let doc = RequestDoc::parse(body.to_string().into()).unwrap();
        let doc = doc.routed("m", true).unwrap();
        let (less, _) = doc.with_less_output(5).unwrap();
        assert!(less.stream() && less.model().as_deref() == Some("m"));
    }

    #[test]
    fn thoughts_take_less_than_all_of_it() {
        let body = |budget: u64| {
            json!({"messages": [], "max_tokens": 32_000,
            "thinking": {"type": "enabled", "budget_tokens": budget}})
        };
        let budget = |asked, most| {
            let (lowered, _) = less(&body(asked), most)?;
            lowered["thinking"]["budget_tokens"].as_u64()
        };
        assert_eq!(budget(2000, 8192), Some(2000));
        assert_eq!(budget(20_000, 8192), Some(4096));
        assert_eq!(budget(20_000, 1500), Some(1024));
        assert_eq!(budget(20_000, 1000), None);
    }
}
