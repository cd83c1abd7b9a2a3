//! The words for a request that fits into no context window, as each vendor's clients look for them.

/// A request that is too long, in tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overlong {
    /// Of its prompt, as counted here; `None` where they were not counted.
    pub prompt: Option<u64>,
    /// The most that it asks for.
    pub output: u64,
    /// What the largest window of its upstreams holds, where that is known.
    pub window: Option<u64>,
}

impl Overlong {
    /// As OpenAI says it: clients know it by the words about the maximum.
    pub fn in_usual_words(&self) -> String {
        let mut text = match self.window {
            Some(window) => format!("This model's maximum context length is {window} tokens."),
            None => "They exceed the model's maximum context length.".to_owned(),
        };
        if let Some(prompt) = self.prompt {
            let sum = prompt.saturating_add(self.output);
            let of = match self.output {
                0 => String::new(),
                output => format!(" ({prompt} in the prompt, {output} in the output)"),
            };
            text.push_str(&format!(
                " However, your prompt and the requested output need about {sum} tokens{of}."
            ));
        }
        text
    }

    /// As Anthropic says it. Claude Code reads the three numbers and asks again for less output; of a prompt that alone is
    /// too long it makes a shorter one.
    pub fn in_anthropics_words(&self) -> String {
        match (self.prompt, self.window) {
            (Some(prompt), Some(window)) if prompt > window => {
                format!("prompt is too long: {prompt} tokens > {window} maximum.")
            }
            (Some(prompt), Some(window)) => format!(
                "input length and `max_tokens` exceed context limit: {prompt} + {} > {window}, decrease input length or `max_tokens` and try again.",
                self.output
            ),
            _ => format!("prompt is too long. {}", self.in_usual_words()),
        }
    }

    /// As Google says it of a prompt that alone is too long.
    pub fn in_googles_words(&self) -> String {
        match (self.prompt, self.window) {
            (Some(prompt), Some(window)) if prompt > window => format!(
                "The input token count ({prompt}) exceeds the maximum number of tokens allowed ({window})."
            ),
            _ => self.in_usual_words(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vendors_clients_find_their_words_and_the_numbers() {
        let size = Overlong {
            prompt: Some(30_000),
            output: 8_000,
            window: Some(32_000),
        };
        assert_eq!(
            size.in_anthropics_words(),
            "input length and `max_tokens` exceed context limit: 30000 + 8000 > 32000, decrease input length or `max_tokens` and try again."
        );
        let usual = size.in_usual_words();
        for part in [
            "maximum context length is 32000 tokens",
            "need about 38000 tokens (30000 in the prompt, 8000 in the output)",
        ] {
            assert!(usual.contains(part), "{usual}");
        }
        let alone = Overlong {
            prompt: Some(40_000),
            ..size
        };
        assert!(
            alone
                .in_anthropics_words()
                .contains("prompt is too long: 40000 tokens > 32000 maximum")
        );
        assert!(
            alone
                .in_googles_words()
                .contains("input token count (40000)")
        );
        let unknown = Overlong {
            prompt: None,
            window: None,
            ..size
        };
        assert!(
            unknown
                .in_anthropics_words()
                .starts_with("prompt is too long")
        );
    }
}
