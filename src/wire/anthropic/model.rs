//! What each generation of models takes, by the name of the model.
//!
//! The API refuses a whole request for one parameter that its model does not know. The facts are those of Anthropic's
//! documentation and of the tables in the AI SDK (`@ai-sdk/anthropic`). A version that is newer than all of them is like
//! the newest; a model that is not Claude stands at a compatible host, and is asked in the oldest common form.

/// What a model takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::wire) struct ModelRules {
    /// How it is told to think.
    pub(in crate::wire) thinking: Thinking,
    /// Whether it can be told not to think, where it would otherwise.
    pub(in crate::wire) thinks_unless_told: bool,
    /// Whether it cannot be told not to think.
    pub(in crate::wire) always_thinks: bool,
    /// Which of temperature, top_p and top_k it takes.
    pub(in crate::wire) sampling: Sampling,
    /// Whether it can be made to call a tool.
    pub(in crate::wire) forced_choice: bool,
    /// Whether it goes on with a last message of the assistant.
    pub(in crate::wire) prefill: bool,
    /// Whether it takes `output_config.format` and strict tools.
    pub(in crate::wire) schema: bool,
    /// The limit of tokens where the request names none.
    pub(in crate::wire) max_tokens: u64,
}

/// How a model is told to think.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::wire) enum Thinking {
    /// It cannot.
    Never,
    /// With a budget of tokens.
    Budget,
    /// As it sees fit, with an effort.
    Adaptive,
}

/// Which parameters of sampling a model takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::wire) enum Sampling {
    /// All of them.
    All,
    /// One of temperature and top_p.
    One,
    /// None.
    None,
}

/// Room for an answer; thinking comes on top.
const USUAL: u64 = 8192;
/// The most that Claude 3 gives.
const OLDEST: u64 = 4096;

/// The family and version in a name, such as `opus` and 4.8; `None` when it is not Claude.
fn version(name: &str) -> Option<(&str, (u32, u32))> {
    let at = name.find("claude")?;
    let words = name.get(at..)?.split(|c: char| !c.is_ascii_alphanumeric());
    let (mut family, mut numbers) = ("", Vec::new());
    for word in words.skip(1) {
        match word.parse::<u32>() {
            // Longer ones are dates.
            Ok(number) if word.len() <= 2 && numbers.len() < 2 => numbers.push(number),
            Ok(_) => break,
            Err(_) if !numbers.is_empty() && !family.is_empty() => break,
            Err(_) if word.chars().all(char::is_alphabetic) && family.is_empty() => family = word,
            Err(_) => {}
        }
    }
    let version = match *numbers {
        [] => (u32::MAX, 0),
        [major] => (major, 0),
        [major, minor, ..] => (major, minor),
    };
    Some((family, version))
}

impl ModelRules {
    /// Those of the model of this name.
    pub(in crate::wire) fn of(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let Some((family, version)) = version(&name) else {
            return Self {
                thinking: Thinking::Budget,
                thinks_unless_told: true,
                always_thinks: false,
                sampling: Sampling::All,
                forced_choice: true,
                prefill: true,
                schema: false,
                max_tokens: USUAL,
            };
        };
        let forced_until = match family {
            "fable" => (5, 1),
            _ => (5, 5),
        };
        Self {
            thinking: match version {
                version if version >= (4, 6) => Thinking::Adaptive,
                version if version >= (3, 7) => Thinking::Budget,
                _ => Thinking::Never,
            },
            thinks_unless_told: false,
            always_thinks: match family {
                "fable" => version >= (5, 0),
                "haiku" => false,
                // Without a number it is nobody knows which.
                _ => ((5, 5)..(u32::MAX, 0)).contains(&version),
            },
            sampling: match version {
                version if version >= (4, 7) => Sampling::None,
                version if version >= (4, 1) => Sampling::One,
                _ => Sampling::All,
            },
            forced_choice: version < forced_until,
            prefill: version < (4, 6),
            schema: version >= (4, 5),
            max_tokens: match version {
                version if version < (3, 5) => OLDEST,
                _ => USUAL,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_hosts_tell_family_and_version() {
        for (name, family, number) in [
            ("claude-opus-4-8", "opus", (4, 8)),
            ("anthropic/claude-opus-4.8", "opus", (4, 8)),
            (
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                "sonnet",
                (4, 5),
            ),
            ("claude-3-5-sonnet-20241022", "sonnet", (3, 5)),
            ("claude-3-opus@20240229", "opus", (3, 0)),
            ("claude-opus-4-20250514", "opus", (4, 0)),
            ("claude-fable-5-1", "fable", (5, 1)),
            ("claude-2.1", "", (2, 1)),
            ("claude-sonnet-latest", "sonnet", (u32::MAX, 0)),
        ] {
            assert_eq!(version(name), Some((family, number)), "{name}");
        }
        assert_eq!(version("glm-5"), None);
    }

    #[test]
    fn each_generation_has_its_rules() {
        let of = ModelRules::of;
        assert_eq!(of("claude-opus-4-8").thinking, Thinking::Adaptive);
        assert_eq!(of("claude-haiku-4-5").thinking, Thinking::Budget);
        assert_eq!(of("claude-3-haiku-20240307").thinking, Thinking::Never);
        assert_eq!(of("claude-opus-5").sampling, Sampling::None);
        assert_eq!(of("claude-sonnet-4-6").sampling, Sampling::One);
        assert!(of("claude-sonnet-4-5").prefill && !of("claude-sonnet-4-6").prefill);
        assert!(!of("Claude-Opus-5-5").forced_choice && of("claude-opus-5").forced_choice);
        assert!(!of("claude-fable-5-1").forced_choice);
        let always = ["claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5"];
        assert!(always.iter().all(|name| of(name).always_thinks));
        let asked = [
            "claude-opus-5",
            "claude-haiku-5-5",
            "claude-sonnet-4-6",
            "other",
        ];
        assert!(asked.iter().all(|name| !of(name).always_thinks));
        assert!(of("claude-haiku-4-5").schema && !of("claude-sonnet-4").schema);
        assert!(of("deepseek-chat").prefill && !of("deepseek-chat").schema);
    }
}
