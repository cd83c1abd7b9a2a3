//! What one client may do: which targets, how often, and whose turn comes first. No I/O, no clock, no logging.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use super::chain::Chain;

/// The order in which waiting requests are served: the first class first. Within a class it is first come, first
/// served.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Priority {
    /// Before all others.
    High,
    /// The default.
    #[default]
    Normal,
    /// After all others.
    Low,
}

impl Priority {
    /// All of them, first served first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

/// The client and class under which a request waits.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Requester {
    /// The client's class.
    pub priority: Priority,
    /// The client's name; `None` where no clients are configured.
    pub client: Option<Arc<str>>,
}

/// What one client may do at once and per minute; `None` means not limited.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClientLimits {
    /// Requests per minute.
    pub rpm: Option<NonZeroU64>,
    /// Tokens per minute, prompt and answer together.
    pub tpm: Option<NonZeroU64>,
    /// Requests at the same time.
    pub max_in_flight: Option<NonZeroU32>,
}

/// One client, but for its tokens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientPolicy {
    /// The client's unique name.
    pub name: Arc<str>,
    /// What it may ask for.
    pub allow: Allow,
    /// How much the client may use.
    pub limits: ClientLimits,
    /// When its turn comes.
    pub priority: Priority,
}

/// Targets by name, with `*` for any text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Allow(Option<Vec<String>>);

impl Allow {
    /// Allows every target.
    pub const fn everything() -> Self {
        Self(None)
    }

    /// What one of these patterns matches, and nothing else.
    pub fn only(patterns: Vec<String>) -> Self {
        Self(Some(patterns))
    }

    /// The patterns; `None` means everything.
    pub fn patterns(&self) -> Option<&[String]> {
        self.0.as_deref()
    }

    /// Whether this name is allowed by itself.
    pub fn names(&self, name: &str) -> bool {
        match &self.0 {
            None => true,
            Some(patterns) => patterns.iter().any(|pattern| matches(pattern, name)),
        }
    }

    /// Whether this name is allowed; of several with commas between them each: a star for any text of one name does not
    /// stand for more names.
    fn names_each(&self, name: &str) -> bool {
        if !name.contains(',') {
            return self.names(name);
        }
        let whole = self
            .patterns()
            .is_some_and(|all| all.iter().any(|pattern| pattern == name));
        let mut parts = name
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        whole || parts.all(|part| self.names(part))
    }

    /// Whether a request may go there: what was asked for is allowed, or what that is called, or each upstream that
    /// it comes down to.
    pub fn permits(&self, asked: Option<&str>, chain: &Chain) -> bool {
        if self.0.is_none() {
            return true;
        }
        asked.is_some_and(|asked| self.names_each(asked))
            || self.names_each(&chain.target)
            || chain
                .upstreams
                .iter()
                .all(|upstream| self.names(&upstream.to_string()))
    }
}

/// Whether `text` is what `pattern` says: the pieces between its stars follow each other in `text`, the first at its
/// beginning, the last at its end. Takes time linear in both but for overlaps.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        // No star at all.
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::ids::Upstream;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text) in [
            ("smart", "smart"),
            ("groq:*", "groq:"),
            ("groq:*", "groq:llama:8b"),
            ("*", ""),
            ("*:a", "x:y:a"),
            ("a*b*c", "a-b-b-c"),
            ("a**", "ab"),
            ("*ab", "aab"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("smart", "smarter"),
            ("groq:*", "groq"),
            ("ab*b", "ab"),
            ("a*b*c", "a-c-b"),
            ("", "a"),
            ("Groq:*", "groq:a"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    fn chain(target: &str, upstreams: &[(&str, &str)]) -> Chain {
        let upstreams = upstreams
            .iter()
            .map(|(provider, model)| Upstream::new(*provider, *model));
        Chain {
            target: Arc::from(target),
            upstreams: upstreams.collect(),
        }
    }

    #[test]
    fn a_chain_is_allowed_by_its_name_or_by_all_that_it_comes_down_to() {
        let allow = Allow::only(vec!["groq:*".into(), "smart".into()]);
        let mixed = [("groq", "a"), ("openai", "b")];
        assert!(allow.permits(Some("smart"), &chain("smart", &mixed)));
        assert!(allow.permits(None, &chain("smart", &mixed)));
        let list = "groq:a, openai:b";
        assert!(!allow.permits(Some(list), &chain(list, &mixed)));
        let list = "groq:a, smart";
        assert!(allow.permits(Some(list), &chain(list, &mixed)));
        assert!(allow.permits(
            Some("groq"),
            &chain("groq", &[("groq", "a"), ("groq", "b")])
        ));
        assert!(!allow.permits(Some("other"), &chain("other", &mixed)));
        assert!(!allow.permits(Some("openai:b"), &chain("openai:b", &mixed[1..])));
        assert!(!Allow::only(Vec::new()).permits(Some("smart"), &chain("smart", &mixed)));
        assert!(Allow::everything().permits(None, &chain("x", &mixed)));
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_definition(pattern in "[ab*]{0,6}", text in "[ab]{0,8}") {
            fn plain(pattern: &[u8], text: &[u8]) -> bool {
                match pattern.split_first() {
                    None => text.is_empty(),
                    Some((b'*', rest)) => (0..=text.len()).any(|skip| plain(rest, &text[skip..])),
                    Some((byte, rest)) => text.first() == Some(byte) && plain(rest, &text[1..]),
                }
            }
            prop_assert_eq!(matches(&pattern, &text), plain(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
