//! What a process has of limits that it shares: the words for them, and what admission keeps to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::share::FIRST_PART;
use crate::domain::ids::KeyId;
use crate::domain::persisted::Fingerprint;
use crate::domain::time::Time;

/// How often shares are asked for while they are used, a fifth more or less.
pub const ASK_EVERY: Duration = Duration::from_millis(500);
/// Requests of a minute or a day that are of use to a process.
const LEAST_REQUESTS: u64 = 12;

/// What a limit counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum QuotaKind {
    /// Requests per minute.
    Requests,
    /// Tokens per minute.
    Tokens,
    /// Requests per day.
    Day,
    /// Requests at the same time.
    Places,
}

impl QuotaKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Requests, Self::Tokens, Self::Day, Self::Places];

    /// The word for it, as in the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requests => "rpm",
            Self::Tokens => "tpm",
            Self::Day => "rpd",
            Self::Places => "max_in_flight",
        }
    }

    /// Its number in the store. None is ever used for another kind.
    pub const fn number(self) -> u8 {
        match self {
            Self::Requests => 0,
            Self::Tokens => 1,
            Self::Day => 2,
            Self::Places => 3,
        }
    }

    /// How long what was used counts when its process says nothing any more and its share has ended: with the shortest share,
    /// which is asked for after the use, as long as the windows of a key's state with their last slot. Places are free with
    /// their share.
    pub const fn span(self) -> Duration {
        match self {
            Self::Requests | Self::Tokens => Duration::from_secs(59),
            Self::Day => Duration::from_secs(24 * 60 * 60 + 5 * 60),
            Self::Places => Duration::ZERO,
        }
    }

    /// What a process can do with, of a limit of which its largest request needs `largest`.
    pub fn least(self, limit: u64, largest: u64) -> u64 {
        let least = match self {
            Self::Requests | Self::Day => LEAST_REQUESTS,
            Self::Tokens => largest,
            Self::Places => 1,
        };
        least.clamp(1, limit.max(1))
    }
}

/// A limit in the fleet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LimitSubject {
    /// The key or the client: a keyed hash under the fleet's secret.
    pub owner: Fingerprint,
    /// What it counts.
    pub kind: QuotaKind,
}

/// A budget in the fleet, in one of its windows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BudgetSubject {
    /// The budget: a keyed hash under the fleet's secret.
    pub owner: Fingerprint,
    /// The number of the window.
    pub window: i64,
}

/// Who counts a limit here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LimitHolder {
    /// A key.
    Key(KeyId),
    /// The client of this name.
    Client(Arc<str>),
}

impl LimitHolder {
    /// Its kind, in answers and metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::Client(_) => "client",
        }
    }
}

impl fmt::Display for LimitHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "{key}"),
            Self::Client(name) => f.write_str(name),
        }
    }
}

/// How a limit is used here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitUse {
    /// What it counts.
    pub kind: QuotaKind,
    /// The whole limit, as configured.
    pub limit: u64,
    /// What counts of it at present.
    pub used: u64,
    /// What was wanted of it since the last time that this was asked, refused requests included.
    pub demand: u64,
    /// The largest request of those, in the unit of the limit.
    pub largest: u64,
}

/// What happens to a limit while the store cannot be asked and its share has ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum OnLost {
    /// An even part of it, by the number of processes that were there last.
    #[default]
    Share,
    /// All of it.
    Local,
    /// Nothing.
    Refuse,
}

/// The same by what is limited.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LostPolicy {
    /// Requests and tokens per minute and day.
    pub rates: OnLost,
    /// Requests at the same time.
    pub concurrency: OnLost,
    /// Hard budgets, beyond what is claimed.
    pub budgets: OnLost,
}

impl Default for LostPolicy {
    fn default() -> Self {
        Self {
            rates: OnLost::Share,
            concurrency: OnLost::Share,
            budgets: OnLost::Refuse,
        }
    }
}

impl LostPolicy {
    /// For limits of this kind.
    pub const fn of(&self, kind: QuotaKind) -> OnLost {
        match kind {
            QuotaKind::Requests | QuotaKind::Tokens | QuotaKind::Day => self.rates,
            QuotaKind::Places => self.concurrency,
        }
    }
}

/// What admission keeps to in place of a limit. It needs nobody to tell it that it has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnShare {
    /// So much, …
    pub share: u64,
    /// … until then; …
    pub until: Time,
    /// … and so much afterwards.
    pub lost: u64,
    /// Then everything is refused.
    pub refuses: bool,
}

impl OwnShare {
    /// Of a limit that the fleet was not asked about yet: a small part, or nothing where what is not given is refused.
    pub const fn first(limit: u64, lost: OnLost) -> Self {
        Self {
            share: match lost {
                OnLost::Share | OnLost::Local => limit / FIRST_PART,
                OnLost::Refuse => 0,
            },
            until: Time::NEVER,
            lost: 0,
            refuses: false,
        }
    }

    /// What may be used at `now`.
    pub fn amount(&self, now: Time) -> u64 {
        if now < self.until {
            self.share
        } else {
            self.lost
        }
    }

    /// Whether everything is refused because the store cannot be asked.
    pub fn is_refused(&self, now: Time) -> bool {
        self.refuses && now >= self.until
    }

    /// Which part of it, for one of `count` that share it here.
    pub(super) const fn part(&self, place: u64, count: u64) -> Self {
        const fn part(whole: u64, place: u64, count: u64) -> u64 {
            whole / count + (place < whole % count) as u64
        }
        Self {
            share: part(self.share, place, count),
            lost: part(self.lost, place, count),
            ..*self
        }
    }
}

/// Shares of the limits of one owner, by kind.
pub type GivenShares = Vec<(QuotaKind, OwnShare)>;

/// Counts limits outside of the tree of actors: a client. Neither waits.
pub trait SharedLimits: Send + Sync + fmt::Debug {
    /// Who it is.
    fn holder(&self) -> LimitHolder;
    /// How its limits are used.
    fn uses(&self, now: Time) -> Vec<LimitUse>;
    /// From now on it keeps to these.
    fn keep_to(&self, shares: &[(QuotaKind, OwnShare)], now: Time);
}
