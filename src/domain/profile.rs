//! What a target has of its own: a profile, the rescue of its streams, patience, hedging, and how soon a first token is
//! due. No I/O, no clock, no logging.

use std::collections::BTreeMap;
use std::time::Duration;

use super::dropped::Unsupported;
use super::rescue::{RescueMode, RescuePolicy};

/// A word for several settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// For people who read the answer as it comes.
    Interactive,
}

impl Profile {
    /// Its name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
        }
    }
}

/// How whole answers are fetched.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fetch {
    /// As they are.
    Whole,
    /// As streams, which are put together here.
    Stream,
}

impl Fetch {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Whole, Self::Stream];

    /// Its word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Stream => "stream",
        }
    }
}

/// People notice a change of model within a conversation, and wait a little rather than have one.
pub const INTERACTIVE_PATIENCE: Duration = Duration::from_secs(3);
/// A model that does not reason says its first word within a second or two. After ten seconds (Nielsen, "Response Times:
/// The 3 Important Limits") people turn to something else.
pub const INTERACTIVE_FIRST_TOKEN: Duration = Duration::from_secs(10);

/// What was written key by key. It counts for more than a profile.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExplicitSettings {
    /// `Some(None)`: expressly none.
    pub rescue: Option<Option<RescuePolicy>>,
    /// `dispatch.patience`
    pub patience: Option<Duration>,
    /// There is a `dispatch.hedge`, which is for all targets.
    pub hedge: bool,
    /// What is done where an upstream's dialect has no place for something.
    pub unsupported: Option<Unsupported>,
    /// How whole answers are fetched; `None`: as its providers or its profile have it.
    pub fetch: Option<Fetch>,
}

/// What holds for one target.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TargetPolicy {
    /// Where what was not written key by key comes from.
    pub profile: Option<Profile>,
    /// What is done for streams that break off; `None`: nothing.
    pub rescue: Option<RescuePolicy>,
    /// How long to wait for a preferred upstream before the next one is tried.
    pub patience: Duration,
    /// Whether its streams are hedged.
    pub hedge: bool,
    /// When the first token of a model that does not reason is due, for providers that do not say it themselves.
    pub first_token: Option<Duration>,
    /// What is done where an upstream's dialect has no place for something; `None`: what its provider says.
    pub unsupported: Option<Unsupported>,
    /// How whole answers are fetched; `None`: as its providers or its profile have it.
    pub fetch: Option<Fetch>,
}

impl TargetPolicy {
    /// What follows from a profile and from single keys.
    pub fn new(profile: Option<Profile>, said: ExplicitSettings) -> Self {
        let plain = Self {
            profile,
            ..Self::default()
        };
        let usual = match profile {
            None => plain,
            Some(Profile::Interactive) => Self {
                rescue: Some(RescuePolicy {
                    mode: RescueMode::Continue,
                    hold: Duration::ZERO,
                }),
                patience: INTERACTIVE_PATIENCE,
                hedge: true,
                first_token: Some(INTERACTIVE_FIRST_TOKEN),
                ..plain
            },
        };
        Self {
            rescue: said.rescue.unwrap_or(usual.rescue),
            patience: said.patience.unwrap_or(usual.patience),
            hedge: said.hedge || usual.hedge,
            unsupported: said.unsupported,
            fetch: said.fetch,
            ..usual
        }
    }
}

/// What holds for which target.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TargetPolicies {
    usual: TargetPolicy,
    own: BTreeMap<String, TargetPolicy>,
}

impl TargetPolicies {
    /// `own` for the targets that have one of their own, `usual` for all others.
    pub fn new(usual: TargetPolicy, own: BTreeMap<String, TargetPolicy>) -> Self {
        Self { usual, own }
    }

    /// What holds for a target.
    pub fn of(&self, target: &str) -> &TargetPolicy {
        self.own.get(target).unwrap_or(&self.usual)
    }

    /// What holds for targets that have nothing of their own.
    pub fn usual(&self) -> &TargetPolicy {
        &self.usual
    }

    /// Whether any target's streams are hedged.
    pub fn hedge(&self) -> bool {
        self.usual.hedge || self.own.values().any(|policy| policy.hedge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_sets_what_no_key_says() {
        let interactive =
            TargetPolicy::new(Some(Profile::Interactive), ExplicitSettings::default());
        assert_eq!(interactive.rescue.unwrap().mode, RescueMode::Continue);
        assert_eq!(interactive.patience, INTERACTIVE_PATIENCE);
        assert_eq!(interactive.first_token, Some(INTERACTIVE_FIRST_TOKEN));
        assert!(interactive.hedge);
        let said = ExplicitSettings {
            rescue: Some(None),
            patience: Some(Duration::ZERO),
            hedge: false,
            unsupported: None,
            fetch: None,
        };
        let policy = TargetPolicy::new(Some(Profile::Interactive), said);
        assert_eq!((policy.rescue, policy.patience), (None, Duration::ZERO));
        assert!(policy.hedge && policy.first_token.is_some());
        assert_eq!(
            TargetPolicy::new(None, ExplicitSettings::default()),
            TargetPolicy::default()
        );
    }
}
