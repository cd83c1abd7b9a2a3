//! Queues: what a request asks for, and what served it, in the words of each dialect. The neutral form has OpenAI's words,
//! and of Anthropic `standard_only`.

/// What a request asks for: how the neutral form calls it, and each dialect. Empty where nothing has to be said for it.
/// `-` where a dialect has no such queue.
const ASKED: [(&str, [&str; 4]); 8] = [
    // openai and responses, anthropic, gemini, bedrock
    ("auto", ["auto", "auto", "", ""]),
    ("default", ["default", "standard_only", "", "default"]),
    ("standard_only", ["default", "standard_only", "", "default"]),
    ("standard", ["default", "standard_only", "", "default"]),
    ("flex", ["flex", "-", "flex", "flex"]),
    ("priority", ["priority", "-", "priority", "priority"]),
    ("unspecified", ["", "", "", ""]),
    ("", ["", "", "", ""]),
];
/// What served an answer, in OpenAI's words, and in those of each other dialect; `-` where it has none.
const SERVED: [(&str, [&str; 3]); 6] = [
    // anthropic, gemini (`usageMetadata.trafficType`), bedrock
    ("default", ["standard", "ON_DEMAND", "default"]),
    ("priority", ["priority", "ON_DEMAND_PRIORITY", "priority"]),
    ("flex", ["-", "ON_DEMAND_FLEX", "flex"]),
    ("batch", ["batch", "-", "-"]),
    ("scale", ["-", "-", "-"]),
    ("fast", ["-", "-", "-"]),
];
/// The same by the words in which Google is asked for it.
const GOOGLE: [(&str, &str); 1] = [("standard", "default")];
/// What OpenAI's APIs say of an answer.
const OPENAI: [&str; 6] = ["auto", "default", "flex", "priority", "scale", "fast"];

/// The dialect of a table's column.
#[derive(Clone, Copy, Debug)]
pub(in crate::wire) enum TierWords {
    /// Chat completions and Responses.
    OpenAi,
    /// Messages.
    Anthropic,
    /// Google's.
    Gemini,
    /// Converse.
    Bedrock,
}

/// What becomes of a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::wire) enum Tier<'a> {
    /// Said with this word.
    Word(&'a str),
    /// What holds without a word.
    Usual,
    /// There is none such.
    Missing,
}

impl TierWords {
    /// The word for what is asked for.
    pub(in crate::wire) fn asked(self, tier: &str) -> Tier<'_> {
        let row = ASKED.iter().find(|(known, _)| *known == tier);
        let word = match (row, self) {
            (Some((_, [word, ..])), Self::OpenAi) => word,
            // Words that hosts of this API share are passed on.
            (None, Self::OpenAi) => return Tier::Word(tier),
            (Some((_, [_, word, ..])), Self::Anthropic) => word,
            (Some((_, [_, _, word, _])), Self::Gemini) => word,
            (Some((_, [_, _, _, word])), Self::Bedrock) => word,
            (None, _) => return Tier::Missing,
        };
        match *word {
            "-" => Tier::Missing,
            "" => Tier::Usual,
            word => Tier::Word(word),
        }
    }

    /// The word for what served an answer; `None` where the dialect has none.
    pub(in crate::wire) fn served(self, tier: &str) -> Option<&str> {
        let row = SERVED.iter().find(|(known, _)| *known == tier);
        let word = match (row, self) {
            (_, Self::OpenAi) => return Some(tier).filter(|tier| OPENAI.contains(tier)),
            (Some((_, [word, ..])), Self::Anthropic) => word,
            (Some((_, [_, word, _])), Self::Gemini) => word,
            (Some((_, [_, _, word])), Self::Bedrock) => word,
            (None, _) => return None,
        };
        Some(*word).filter(|word| *word != "-")
    }

    /// What a dialect's word for what served an answer means in OpenAI's words; an unknown one stays as it is.
    pub(in crate::wire) fn read(self, word: &str) -> String {
        let google = GOOGLE.iter().find(|(known, _)| *known == word);
        let mut rows = SERVED.iter();
        let own = match self {
            Self::OpenAi => None,
            Self::Anthropic => rows.find(|(_, [own, ..])| *own == word),
            Self::Gemini => rows.find(|(_, [_, own, _])| *own == word),
            Self::Bedrock => rows.find(|(_, [_, _, own])| *own == word),
        };
        let meant = own.map(|(meant, _)| *meant);
        let meant = meant.or_else(|| google.map(|(_, meant)| *meant));
        meant.unwrap_or(word).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_has_its_own_words() {
        use TierWords::{Anthropic, Bedrock, Gemini, OpenAi};
        for (tier, words) in [
            (
                "auto",
                [Tier::Word("auto"), Tier::Word("auto"), Tier::Usual],
            ),
            (
                "default",
                [
                    Tier::Word("default"),
                    Tier::Word("standard_only"),
                    Tier::Usual,
                ],
            ),
            (
                "flex",
                [Tier::Word("flex"), Tier::Missing, Tier::Word("flex")],
            ),
            (
                "standard",
                [
                    Tier::Word("default"),
                    Tier::Word("standard_only"),
                    Tier::Usual,
                ],
            ),
            ("scale", [Tier::Word("scale"), Tier::Missing, Tier::Missing]),
            ("unspecified", [Tier::Usual, Tier::Usual, Tier::Usual]),
        ] {
            assert_eq!(
                [OpenAi, Anthropic, Gemini].map(|one| one.asked(tier)),
                words,
                "{tier}"
            );
        }
        assert_eq!(Anthropic.read("standard"), "default");
        assert_eq!(Gemini.read("ON_DEMAND_FLEX"), "flex");
        assert_eq!(
            Gemini.read("PROVISIONED_THROUGHPUT"),
            "PROVISIONED_THROUGHPUT"
        );
        assert_eq!(Bedrock.read("priority"), "priority");
        assert_eq!(Anthropic.served("default"), Some("standard"));
        assert_eq!(Anthropic.served("flex"), None);
        assert_eq!(OpenAi.served("batch"), None);
        assert_eq!(Gemini.served("flex"), Some("ON_DEMAND_FLEX"));
        assert_eq!(
            [Gemini.read("standard"), Gemini.read("priority")],
            ["default", "priority"]
        );
    }
}
