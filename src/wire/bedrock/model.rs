//! What the models of each maker take, by the id of the model.
//!
//! Converse is one form for all of them, but refuses a request for one field that its model does not know. The facts are
//! those of AWS's documentation ("Supported models and model features", "Prompt caching", "Structured outputs") and of the
//! tables in LiteLLM and the AI SDK. An id that tells no maker, such as the ARN of an application's inference profile, is
//! asked as the larger makers' models are.

use crate::wire::anthropic::model::{ModelRules, Sampling, Thinking};

/// What a model takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ConverseRules {
    /// What the rules of the Messages API know.
    pub(super) rules: ModelRules,
    /// How it is told to think, if not as Claude is.
    pub(super) effort: Effort,
    /// Where it takes `top_k`.
    pub(super) top_k: TopK,
    /// Whether it takes marks for caches.
    pub(super) caches: bool,
    /// Whether its thoughts go back to it.
    pub(super) keeps_thoughts: bool,
    /// Whether results of tools may say that the tool failed.
    pub(super) tells_failures: bool,
    /// Whether it is Claude, which names the word that it stopped at and wants a limit of tokens.
    pub(super) is_claude: bool,
}

/// How a model is told how much to think.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effort {
    /// As the Messages API has it.
    Claude,
    /// `reasoningConfig`, Amazon Nova's.
    Nova,
    /// `reasoning_effort`, that of the open models.
    Named,
    /// It cannot be told.
    None,
}

/// Where a model takes `top_k`: beside the common parameters there is no place for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TopK {
    /// `top_k`.
    Plain,
    /// `inferenceConfig.topK`.
    Nested,
    /// Nowhere.
    Nowhere,
}

/// The rules of models that are not Claude.
const OTHERS: ModelRules = ModelRules {
    thinking: Thinking::Never,
    thinks_unless_told: false,
    always_thinks: false,
    sampling: Sampling::All,
    forced_choice: false,
    prefill: false,
    schema: false,
    max_tokens: 0,
};

const PLAIN: ConverseRules = ConverseRules {
    rules: OTHERS,
    effort: Effort::None,
    top_k: TopK::Nowhere,
    caches: false,
    keeps_thoughts: false,
    tells_failures: false,
    is_claude: false,
};

/// Parts of ids, and whether models of that name can be made to call a tool and hold to a schema by themselves.
const MAKERS: [(&str, bool, bool); 16] = [
    ("ai21.", false, false),
    ("cohere.", false, false),
    ("deepseek.r1", false, false),
    ("deepseek.", true, true),
    ("google.", true, true),
    ("meta.", false, false),
    ("minimax.", true, true),
    ("mistral.", true, false),
    ("moonshot", true, true),
    ("nvidia.", true, true),
    ("openai.", true, true),
    ("qwen.", true, true),
    ("titan", false, false),
    ("writer.", true, false),
    ("xai.", true, true),
    ("zai.", true, true),
];

impl ConverseRules {
    /// Those of the model with this id.
    pub(super) fn of(id: &str) -> Self {
        let id = id.to_ascii_lowercase();
        if id.contains("claude") {
            return Self {
                rules: ModelRules::of(&id),
                effort: Effort::Claude,
                top_k: TopK::Plain,
                caches: true,
                keeps_thoughts: true,
                tells_failures: true,
                is_claude: true,
            };
        }
        let forced = ModelRules {
            forced_choice: true,
            ..OTHERS
        };
        if id.contains("nova") {
            return Self {
                rules: ModelRules {
                    prefill: true,
                    ..forced
                },
                effort: match id.contains("nova-2") {
                    true => Effort::Nova,
                    false => Effort::None,
                },
                top_k: TopK::Nested,
                caches: true,
                tells_failures: true,
                ..PLAIN
            };
        }
        let maker = MAKERS.into_iter().find(|(part, ..)| id.contains(part));
        match maker {
            Some((part, forced_choice, schema)) => Self {
                rules: ModelRules {
                    forced_choice,
                    schema,
                    ..OTHERS
                },
                effort: match id.contains("gpt-oss") {
                    true => Effort::Named,
                    false => Effort::None,
                },
                top_k: match part == "mistral." {
                    true => TopK::Plain,
                    false => TopK::Nowhere,
                },
                ..PLAIN
            },
            None => Self {
                rules: ModelRules {
                    prefill: true,
                    ..forced
                },
                caches: true,
                keeps_thoughts: true,
                tells_failures: true,
                ..PLAIN
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_its_maker_whatever_stands_before_it() {
        let of = ConverseRules::of;
        let claude = of("eu.anthropic.claude-sonnet-4-5-20250929-v1:0");
        assert!(claude.is_claude && claude.rules.schema && claude.caches);
        assert_eq!(of("us.amazon.nova-2-lite-v1:0").effort, Effort::Nova);
        assert_eq!(of("amazon.nova-pro-v1:0").effort, Effort::None);
        let llama = of("us.meta.llama3-3-70b-instruct-v1:0");
        assert!(!llama.rules.forced_choice && !llama.caches);
        assert!(of("qwen.qwen3-32b-v1:0").rules.schema);
        assert!(!of("us.deepseek.r1-v1:0").rules.schema && of("deepseek.v3-v1:0").rules.schema);
        assert_eq!(of("openai.gpt-oss-120b-1:0").effort, Effort::Named);
        let unknown = of("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc");
        assert!(unknown.caches && !unknown.is_claude && unknown.rules.forced_choice);
    }
}
