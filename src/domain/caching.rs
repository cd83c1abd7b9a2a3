//! For which targets answers are kept, for how long and for whom. No I/O, no clock, no logging.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::chain::Chain;
use super::ids::ProviderName;

/// The longest time for which an answer may be kept.
pub const LONGEST_TTL: Duration = Duration::from_hours(30 * 24);

/// Which requests are looked up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CacheWhen {
    /// Those whose answer is always the same: `temperature` 0, or none that counts.
    Deterministic,
    /// All.
    Always,
}

impl CacheWhen {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Deterministic, Self::Always];

    /// Its word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deterministic => "deterministic",
            Self::Always => "always",
        }
    }
}

/// Who gets the answers to whose requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CacheScope {
    /// Each client those to its own.
    Client,
    /// Everybody.
    Shared,
    /// Everybody who comes by a configuration with this label.
    Label(Arc<str>),
}

impl CacheScope {
    /// The scope that a configuration names.
    pub fn named(word: &str) -> Self {
        match word {
            "client" => Self::Client,
            "shared" => Self::Shared,
            label => Self::Label(label.into()),
        }
    }

    /// What tells the scopes' kinds apart, and the scope's name for a request of this client.
    pub fn of<'a>(&'a self, client: Option<&'a str>) -> (u8, &'a str) {
        match self {
            Self::Client => (0, client.unwrap_or_default()),
            Self::Shared => (1, "shared"),
            Self::Label(label) => (2, label),
        }
    }
}

/// Where answers are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CacheStoreKind {
    /// In the memory of the process.
    #[default]
    Memory,
    /// In a server that processes share, with memory in front.
    Valkey,
}

impl CacheStoreKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Memory, Self::Valkey];

    /// Its word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Valkey => "valkey",
        }
    }
}

/// What holds for one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CachePolicy {
    /// Whether answers are kept at all.
    pub enabled: bool,
    /// How long one serves.
    pub ttl: Duration,
    /// Larger answers are not kept, in bytes.
    pub max_entry: usize,
    /// Which requests are looked up.
    pub when: CacheWhen,
    /// Who gets the answers to whose requests.
    pub scope: CacheScope,
    /// How much longer one serves where no upstream can.
    pub stale_if_error: Duration,
    /// How fast a kept answer is streamed; `None`: at once.
    pub tokens_per_second: Option<NonZeroU32>,
}

impl Default for CachePolicy {
    fn default() -> Self {
        Self {
            enabled: false,
            ttl: Duration::from_secs(300),
            max_entry: 1024 * 1024,
            when: CacheWhen::Deterministic,
            scope: CacheScope::Client,
            stale_if_error: Duration::ZERO,
            tokens_per_second: None,
        }
    }
}

/// What is written in one place; `None`: as further out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CacheRules {
    /// [`CachePolicy::enabled`]
    pub enabled: Option<bool>,
    /// [`CachePolicy::ttl`]
    pub ttl: Option<Duration>,
    /// [`CachePolicy::max_entry`]
    pub max_entry: Option<usize>,
    /// [`CachePolicy::when`]
    pub when: Option<CacheWhen>,
    /// [`CachePolicy::scope`]
    pub scope: Option<CacheScope>,
    /// [`CachePolicy::stale_if_error`]
    pub stale_if_error: Option<Duration>,
    /// [`CachePolicy::tokens_per_second`]
    pub tokens_per_second: Option<NonZeroU32>,
}

impl CachePolicy {
    /// With what is written further in. To write anything there turns it on.
    #[must_use]
    pub fn with(&self, rules: &CacheRules) -> Self {
        Self {
            enabled: rules.enabled.unwrap_or(true),
            ttl: rules.ttl.unwrap_or(self.ttl),
            max_entry: rules.max_entry.unwrap_or(self.max_entry),
            when: rules.when.unwrap_or(self.when),
            scope: rules.scope.clone().unwrap_or_else(|| self.scope.clone()),
            stale_if_error: rules.stale_if_error.unwrap_or(self.stale_if_error),
            tokens_per_second: rules.tokens_per_second.or(self.tokens_per_second),
        }
    }

    /// What both allow.
    #[must_use]
    fn and(self, other: &Self) -> Self {
        Self {
            enabled: self.enabled && other.enabled,
            ttl: self.ttl.min(other.ttl),
            max_entry: self.max_entry.min(other.max_entry),
            when: self.when.min(other.when),
            scope: match self.scope == other.scope {
                true => self.scope,
                false => CacheScope::Client,
            },
            stale_if_error: self.stale_if_error.min(other.stale_if_error),
            tokens_per_second: self.tokens_per_second.min(other.tokens_per_second),
        }
    }
}

/// What holds for which target.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CacheTable {
    /// Where answers are kept.
    pub store: CacheStoreKind,
    /// What tells one server with its settings from another; `None` without one.
    pub server: Option<[u8; 32]>,
    /// Bytes of answers that are kept in memory.
    pub max_size: u64,
    /// Whether equal requests that are under way at the same time are one call.
    pub coalesce: bool,
    /// For what says nothing of its own.
    pub usual: CachePolicy,
    /// Virtual providers' own.
    pub virtuals: BTreeMap<String, CachePolicy>,
    /// Providers' own.
    pub providers: BTreeMap<ProviderName, CachePolicy>,
}

impl CacheTable {
    /// Whether answers are kept for any target.
    pub fn keeps(&self) -> bool {
        let mut all = self.virtuals.values().chain(self.providers.values());
        self.usual.enabled || all.any(|policy| policy.enabled)
    }

    /// The largest answer that is kept for any target, in bytes.
    pub fn largest(&self) -> usize {
        let inner = self.virtuals.values().chain(self.providers.values());
        let sizes = inner.map(|policy| policy.max_entry);
        sizes.fold(self.usual.max_entry, usize::max)
    }

    /// What holds for a target that means this. A virtual provider's own word goes before that of its providers, but for one
    /// that wants nothing kept; without one it is what all of its providers allow.
    pub fn of(&self, chain: &Chain) -> CachePolicy {
        let own = |provider| self.providers.get(provider);
        let mut providers = chain.upstreams.iter().map(|upstream| &upstream.provider);
        if let Some(policy) = self.virtuals.get(&*chain.target) {
            let refused = providers.any(|it| own(it).is_some_and(|policy| !policy.enabled));
            return CachePolicy {
                enabled: policy.enabled && !refused,
                ..policy.clone()
            };
        }
        let mut policies = providers.map(|provider| own(provider).unwrap_or(&self.usual));
        let Some(first) = policies.next() else {
            return self.usual.clone();
        };
        policies.fold(first.clone(), CachePolicy::and)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Upstream;

    const S: Duration = Duration::from_secs(1);

    fn chain(target: &str, providers: &[&str]) -> Chain {
        let upstreams = providers.iter().map(|name| Upstream::new(*name, "m"));
        Chain {
            target: target.into(),
            upstreams: upstreams.collect(),
        }
    }

    fn ttl(seconds: u32) -> CacheRules {
        CacheRules {
            ttl: Some(seconds * S),
            ..CacheRules::default()
        }
    }

    #[test]
    fn the_inner_word_holds() {
        let usual = CachePolicy::default().with(&ttl(10));
        let off = CacheRules {
            enabled: Some(false),
            ..CacheRules::default()
        };
        let table = CacheTable {
            virtuals: BTreeMap::from([("v".to_owned(), usual.with(&ttl(20)))]),
            providers: BTreeMap::from([
                ("b".into(), usual.with(&ttl(5))),
                ("never".into(), usual.with(&off)),
            ]),
            usual,
            ..CacheTable::default()
        };
        let of = |target, providers: &[&str]| {
            let policy = table.of(&chain(target, providers));
            policy.enabled.then_some(policy.ttl)
        };
        assert_eq!(of("a", &["a"]), Some(10 * S));
        assert_eq!(of("b", &["b"]), Some(5 * S));
        assert_eq!(of("v", &["a", "b"]), Some(20 * S));
        assert_eq!(of("w", &["a", "b"]), Some(5 * S), "what all of them allow");
        assert_eq!(of("never", &["never"]), None);
        assert_eq!(of("v", &["a", "never"]), None, "not even then");
        assert_eq!(of("w", &["a", "never"]), None);
    }

    #[test]
    fn nothing_is_kept_unless_it_is_said() {
        let mut table = CacheTable::default();
        assert!(!table.keeps() && !table.of(&chain("a", &["a"])).enabled);
        let own = CachePolicy::default().with(&CacheRules::default());
        table.providers.insert("b".into(), own);
        assert!(table.keeps() && table.of(&chain("b:m", &["b"])).enabled);
        assert!(!table.of(&chain("a", &["a"])).enabled);
        assert!(!table.of(&chain("v", &["a", "b"])).enabled);
    }

    #[test]
    fn scopes_never_meet() {
        let (client, shared) = (CacheScope::named("client"), CacheScope::named("shared"));
        assert_eq!(client.of(Some("shared")), (0, "shared"));
        assert_eq!(shared.of(Some("shared")), (1, "shared"));
        assert_eq!(client.of(None), (0, ""));
        assert_eq!(CacheScope::named("team").of(Some("x")), (2, "team"));
    }
}
