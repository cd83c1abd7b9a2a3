//! Why an upstream is not for a request, whatever its health: a condition that does not hold, or something that it is
//! known to lack. No I/O, no clock, no logging.

use super::catalog::capability::{Capabilities, Capability};
use super::hint_fields::HintField;

/// A set of features.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features(u8);

impl Features {
    /// No feature.
    pub const NONE: Self = Self(0);

    /// The set with one more, or not.
    #[must_use]
    pub const fn with(self, feature: Capability, has: bool) -> Self {
        if has {
            Self(self.0 | (1 << feature as u8))
        } else {
            self
        }
    }

    /// Whether it is in the set.
    pub const fn has(self, feature: Capability) -> bool {
        self.0 & (1 << feature as u8) != 0
    }

    /// The first of these that is not in the set.
    pub fn lacks(self, wanted: Self) -> Option<Capability> {
        let mut all = Capability::ALL.into_iter();
        all.find(|feature| wanted.has(*feature) && !self.has(*feature))
    }

    /// Those in the set.
    pub fn each(self) -> impl Iterator<Item = Capability> {
        let all = Capability::ALL.into_iter();
        all.filter(move |feature| self.has(*feature))
    }
}

impl FromIterator<Capability> for Features {
    fn from_iter<I: IntoIterator<Item = Capability>>(features: I) -> Self {
        let add = |all: Self, feature| all.with(feature, true);
        features.into_iter().fold(Self::NONE, add)
    }
}

/// What is known of what models can do. What is not known excludes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KnownCapabilities {
    /// Features that are known to be there, or not.
    known: Features,
    has: Features,
    /// The most tokens of an answer.
    pub max_output_tokens: Option<u64>,
}

impl KnownCapabilities {
    /// Nothing but the most tokens of an answer.
    pub fn of_output(max_output_tokens: Option<u64>) -> Self {
        Self {
            max_output_tokens,
            ..Self::default()
        }
    }

    /// The same, with what is said of one feature.
    #[must_use]
    pub const fn with(self, feature: Capability, has: Option<bool>) -> Self {
        match has {
            None => self,
            Some(has) => Self {
                known: self.known.with(feature, true),
                has: self.has.with(feature, has),
                ..self
            },
        }
    }

    /// The same, and what lists say of each feature of which nothing is said here.
    #[must_use]
    pub fn or_listed(self, can: impl Fn(Capability) -> Option<bool>) -> Self {
        let unknown = Capability::ALL.into_iter();
        let unknown = unknown.filter(|feature| !self.known.has(*feature));
        unknown.fold(self, |known, feature| known.with(feature, can(feature)))
    }

    /// What is said of each feature.
    pub fn each(&self) -> Capabilities {
        let mut all = Capabilities::default();
        for feature in Capability::ALL {
            let said = self.known.has(feature).then(|| self.has.has(feature));
            all.set(feature, said);
        }
        all
    }

    /// Whether all of these are known to be there.
    pub fn confirms(&self, wanted: Features) -> bool {
        self.has.lacks(wanted).is_none()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is known to be lacking for a request that needs these features and an answer of up to `output` tokens.
    pub fn lacks(&self, wanted: Features, output: Option<u64>) -> Option<Unmet> {
        let mut missing = wanted.each();
        let missing = missing.find(|it| self.known.has(*it) && !self.has.has(*it));
        let too_long = output.zip(self.max_output_tokens);
        let too_long = too_long.is_some_and(|(output, most)| output > most);
        missing
            .map(Unmet::Lacks)
            .or(too_long.then_some(Unmet::Output))
    }
}

/// Why an upstream is not for a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Unmet {
    /// It is not the time of day or the day.
    Hours,
    /// It is for other clients.
    Client,
    /// The prompt is shorter than it is for.
    ShortPrompt,
    /// The prompt is longer than it is for.
    LongPrompt,
    /// It is for requests that have something else.
    Has,
    /// It is for streams only, or for whole answers only.
    Stream,
    /// It is for requests with another header.
    Header,
    /// Its expression does not hold.
    Cel,
    /// Its expression says nothing about the request, which does not have what it speaks of.
    CelFailed,
    /// The model is known to lack it.
    Lacks(Capability),
    /// The model is known to answer at less length than is asked for.
    Output,
    /// Its price is not known, and the policy leaves such upstreams out.
    Unpriced,
    /// Its score is not above 0.
    Score,
    /// The expression that makes scores gives it none.
    ScoreFailed,
    /// The request itself leaves it out.
    Hint(HintField),
}

impl Unmet {
    /// Whether an expression has failed.
    pub const fn is_failed_expression(self) -> bool {
        matches!(self, Self::CelFailed | Self::ScoreFailed)
    }

    /// Whether it gives way where no upstream would be left: a request can be served without reasoning, or with a shorter
    /// answer, and its caller is told.
    pub const fn gives_way(self) -> bool {
        matches!(self, Self::Lacks(Capability::Reasoning) | Self::Output)
    }

    /// The name in logs and error messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hours => "when_hours",
            Self::Client => "when_clients",
            Self::ShortPrompt => "when_min_prompt_tokens",
            Self::LongPrompt => "when_max_prompt_tokens",
            Self::Has => "when_has",
            Self::Stream => "when_stream",
            Self::Header => "when_header",
            Self::Cel => "when_cel",
            Self::CelFailed => "when_cel_failed",
            Self::Lacks(Capability::Tools) => "lacks_tools",
            Self::Lacks(Capability::Images) => "lacks_images",
            Self::Lacks(Capability::Audio) => "lacks_audio",
            Self::Lacks(Capability::JsonSchema) => "lacks_json_schema",
            Self::Lacks(Capability::Reasoning) => "lacks_reasoning",
            Self::Output => "lacks_output",
            Self::Unpriced => "unpriced",
            Self::Score => "score",
            Self::ScoreFailed => "score_failed",
            Self::Hint(field) => field.reason(),
        }
    }

    /// The same for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Hours => "it is not the time for it (when.hours, when.days)",
            Self::Client => "it is for other clients (when.clients)",
            Self::ShortPrompt => "the prompt is too short for it (when.min_prompt_tokens)",
            Self::LongPrompt => "the prompt is too long for it (when.max_prompt_tokens)",
            Self::Has => "the request does not have what it is for (when.has)",
            Self::Stream => "it is for the other kind of answers (when.stream)",
            Self::Header => "the request does not have its header (when.header)",
            Self::Cel => "its expression does not hold (when.cel)",
            Self::CelFailed => "its expression fails for this request (when.cel)",
            Self::Lacks(Capability::Tools) => "the model has no tools",
            Self::Lacks(Capability::Images) => "the model takes no images",
            Self::Lacks(Capability::Audio) => "the model takes no audio",
            Self::Lacks(Capability::JsonSchema) => "the model answers by no schema",
            Self::Lacks(Capability::Reasoning) => "the model does not reason",
            Self::Output => "the model answers at less length than is asked for",
            Self::Unpriced => "its price is not known",
            Self::Score => "its score is not above 0",
            Self::ScoreFailed => "the expression gives it no score (policy.cel)",
            Self::Hint(field) => field.words(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_tells_the_first_that_it_lacks() {
        let all: Features = Capability::ALL.into_iter().collect();
        let some: Features = [Capability::Tools, Capability::Audio].into_iter().collect();
        assert_eq!(all.lacks(some), None);
        assert_eq!(some.lacks(all), Some(Capability::Images));
        assert_eq!(Features::NONE.lacks(Features::NONE), None);
        let known = KnownCapabilities::default()
            .with(Capability::Tools, Some(true))
            .with(Capability::Images, Some(false))
            .with(Capability::Audio, None);
        let known = KnownCapabilities {
            max_output_tokens: Some(100),
            ..known
        };
        assert_eq!(
            known.lacks(some, Some(100)),
            None,
            "unknown excludes nothing"
        );
        assert_eq!(
            known.lacks(all, None),
            Some(Unmet::Lacks(Capability::Images))
        );
        assert_eq!(known.lacks(Features::NONE, Some(101)), Some(Unmet::Output));
        assert!(!known.is_empty() && KnownCapabilities::default().is_empty());
        let listed = known.or_listed(|feature| Some(feature == Capability::Images));
        let mut all = Capability::ALL.into_iter();
        let lacks = |feature| {
            listed
                .lacks([feature].into_iter().collect(), None)
                .is_some()
        };
        assert!(
            all.all(|feature| lacks(feature) == (feature != Capability::Tools)),
            "what is configured goes before what lists say"
        );
        assert_eq!(
            some.each().collect::<Vec<_>>(),
            [Capability::Tools, Capability::Audio]
        );
    }
}
