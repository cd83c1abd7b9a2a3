//! What has become of an addition under a configuration.

use std::fmt;

use crate::config::error::Problem;
use crate::domain::ids::ProviderName;

/// What has become of an addition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AdditionUse {
    /// It is used.
    Active,
    /// The configuration has the same name, or the same key, and comes first.
    Shadowed,
    /// Something is wrong with it.
    Unusable,
}

impl AdditionUse {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Shadowed => "shadowed",
            Self::Unusable => "unusable",
        }
    }
}

/// One addition, and what has become of it under this configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlacedAddition {
    /// The provider that it is, or is for.
    pub provider: ProviderName,
    /// The number of the key that it is; `None`: it is a provider.
    pub number: Option<u64>,
    /// Whether it is used.
    pub used: AdditionUse,
    /// Why it is not.
    pub problems: Vec<Problem>,
    /// Of a key that is used: where it stands among its provider's, from 1; several for several.
    pub keys: Vec<usize>,
}

impl PlacedAddition {
    /// Whether it is not used.
    pub fn is_left_out(&self) -> bool {
        self.used != AdditionUse::Active
    }

    /// A provider, or the key of one, with which something is wrong.
    pub(super) fn unusable(provider: &ProviderName, number: Option<u64>, why: &str) -> Self {
        let problems = vec![Problem {
            place: String::new(),
            message: why.to_owned(),
            suggestion: None,
        }];
        Self {
            provider: provider.clone(),
            number,
            used: AdditionUse::Unusable,
            problems,
            keys: Vec::new(),
        }
    }

    /// A provider, or the key of one, that is not used because something else comes first.
    pub(in crate::config) fn shadowed(
        provider: &ProviderName,
        number: Option<u64>,
        why: &str,
    ) -> Self {
        let kind = if number.is_some() { "key" } else { "provider" };
        Self {
            provider: provider.clone(),
            number,
            used: AdditionUse::Shadowed,
            problems: vec![Problem {
                place: String::new(),
                message: format!("the {kind} is shadowed: {why}"),
                suggestion: None,
            }],
            keys: Vec::new(),
        }
    }
}

impl fmt::Display for PlacedAddition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "the key a{number} that was added to {}", self.provider)?,
            None => write!(f, "the provider {} that was added", self.provider)?,
        }
        write!(f, " is {}", self.used.as_str())?;
        let problems = self.problems.iter();
        problems.enumerate().try_for_each(|(at, problem)| {
            let before = if at == 0 { ": " } else { "; " };
            write!(f, "{before}{problem}")
        })
    }
}
