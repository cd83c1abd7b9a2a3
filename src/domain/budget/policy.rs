//! What budgets there are, and whose.

use std::sync::Arc;

use super::period::Period;
use crate::domain::ids::ProviderName;
use crate::domain::money::Pico;
use crate::domain::zone::Zone;

/// Whose spending is counted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Spender {
    /// All requests of the process.
    Whole,
    /// Those of the client of this name.
    Client(Arc<str>),
    /// The attempts at this provider.
    Provider(ProviderName),
}

impl Spender {
    /// Its kind, as in configuration, answers and the state file.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Whole => "all",
            Self::Client(_) => "client",
            Self::Provider(_) => "provider",
        }
    }

    /// Its name; empty for the whole.
    pub fn name(&self) -> &str {
        match self {
            Self::Whole => "",
            Self::Client(name) => name,
            Self::Provider(name) => name.as_str(),
        }
    }

    /// From what [`kind`](Self::kind) and [`name`](Self::name) gave.
    pub fn of(kind: &str, name: &str) -> Option<Self> {
        match kind {
            "all" => Some(Self::Whole),
            "client" => Some(Self::Client(name.into())),
            "provider" => Some(Self::Provider(name.into())),
            _ => None,
        }
    }
}

/// Which requests a budget counts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BudgetScope {
    /// Whose they are.
    pub owner: Spender,
    /// The targets that they go to, in order; empty: all.
    pub targets: Arc<[Box<str>]>,
}

impl BudgetScope {
    /// All requests of this one.
    #[cfg(feature = "internals")]
    pub fn all_of(owner: Spender) -> Self {
        Self {
            owner,
            targets: Arc::default(),
        }
    }

    /// Whether requests that go to this target are among them. A provider's name stands for all of its models.
    pub fn has(&self, target: &str) -> bool {
        let is = |name: &str| {
            let rest = target.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        self.targets.is_empty() || self.targets.iter().any(|name| is(name))
    }
}

/// Who asks for something, and what it asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Payer<'a> {
    /// Its client's name.
    pub client: Option<&'a str>,
    /// The target that the request goes to.
    pub target: &'a str,
}

/// What happens when a budget is used up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Mode {
    /// What costs something is refused.
    #[default]
    Hard,
    /// It is told, and requests go on.
    Soft,
}

impl Mode {
    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
        }
    }
}

/// What a hard budget does with upstreams whose price is not known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum UnpricedSpend {
    /// They are not asked.
    #[default]
    Refuse,
    /// They are asked as long as something is left, and count as nothing.
    Allow,
}

/// One budget.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BudgetPolicy {
    /// What it bounds.
    pub scope: BudgetScope,
    /// How much may be spent in a window.
    pub amount: Pico,
    /// How long a window is.
    pub period: Period,
    /// Where days begin.
    pub zone: Zone,
    /// What happens at its end.
    pub mode: Mode,
    /// What it does with upstreams without a price.
    pub unpriced: UnpricedSpend,
    /// The target that requests go to when it is used up. It does not bound what goes there.
    pub then: Option<Arc<str>>,
}

impl BudgetPolicy {
    /// For messages: `the budget of client ci of 5.000000 per day`.
    pub fn described(&self) -> String {
        let BudgetScope { owner, targets } = &self.scope;
        let whose = match owner {
            Spender::Whole => "the budget of all requests".to_owned(),
            Spender::Client(name) => format!("the budget of client `{name}`"),
            Spender::Provider(name) => format!("the budget of provider `{name}`"),
        };
        let of = match targets.is_empty() {
            true => String::new(),
            false => format!(" for `{}`", targets.join("`, `")),
        };
        match self.period {
            Period::Total => format!("{whose}{of} of {} in total", self.amount),
            period => format!("{whose}{of} of {} per {}", self.amount, period.word()),
        }
    }
}
