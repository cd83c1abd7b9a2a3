//! What is known of a member at the moment of a request. No I/O, no clock, no logging.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::ids::{ProviderName, Upstream};
use crate::domain::money::Pico;
use crate::domain::policy::UpstreamFigures;
use crate::domain::tags;
use crate::domain::when::ConditionSubject;

/// A member by its name and its upstreams.
pub(super) struct MemberLook<'a> {
    pub(super) name: &'a str,
    /// Its own tags.
    pub(super) tags: &'a [Arc<str>],
    pub(super) upstreams: &'a [Upstream],
    pub(super) figures: &'a dyn UpstreamFigures,
}

impl MemberLook<'_> {
    /// Its upstreams that can serve the request: the others do not speak for them.
    fn able(&self) -> impl Iterator<Item = &Upstream> {
        let all = self.upstreams.iter();
        all.filter(|upstream| self.figures.lacks(upstream).is_none())
    }

    /// What all of its upstreams have in common.
    fn common<'a>(&'a self, of: impl Fn(&'a Upstream) -> &'a str) -> Option<&'a str> {
        let mut all = self.upstreams.iter().map(of);
        let first = all.next()?;
        all.all(|other| other == first).then_some(first)
    }

    /// Requests of ranked targets on their way to its upstreams.
    pub(super) fn pending(&self) -> u32 {
        let all = self.upstreams.iter();
        let all = all.map(|upstream| self.figures.pending(upstream));
        all.fold(0, u32::saturating_add)
    }

    /// The providers of its upstreams, each once.
    fn providers(&self) -> impl Iterator<Item = &ProviderName> {
        let all = self.upstreams.iter().enumerate();
        all.filter(|(at, upstream)| {
            let mut before = self.upstreams.iter().take(*at);
            before.all(|other| other.provider != upstream.provider)
        })
        .map(|(_, upstream)| &upstream.provider)
    }
}

impl ConditionSubject for MemberLook<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn provider(&self) -> Option<&str> {
        self.common(|upstream| upstream.provider.as_str())
    }

    fn model(&self) -> Option<&str> {
        self.common(|upstream| upstream.model.as_str())
    }

    fn input_price(&self) -> Option<Pico> {
        let prices = self.able().map(|it| self.figures.token_prices(it).input);
        prices.flatten().min()
    }

    fn output_price(&self) -> Option<Pico> {
        let prices = self.able().map(|it| self.figures.token_prices(it).output);
        prices.flatten().min()
    }

    fn context_window(&self) -> Option<u64> {
        let windows = self.able().map(|it| self.figures.context_window(it));
        windows.flatten().max()
    }

    fn first_token(&self) -> Option<Duration> {
        let took = self.able().filter_map(|it| self.figures.first_token(it));
        took.min()
    }

    /// At its providers. What was ranked a moment ago counts too, though no key has been leased for it yet.
    fn in_flight(&self) -> u32 {
        let at_providers = self.providers().map(|name| self.figures.in_flight(name));
        let at_providers = at_providers.fold(0, u32::saturating_add);
        at_providers.max(self.pending())
    }

    fn used_share(&self) -> Option<f64> {
        let shares = self.able().filter_map(|it| self.figures.used(it));
        shares.reduce(f64::min)
    }

    /// What not all of its upstreams have does not hold for it: a tag may say where data goes.
    fn tags(&self) -> Vec<&str> {
        let mut all = self.upstreams.iter().map(|it| self.figures.tags(it));
        let mut common = all.next().unwrap_or_default();
        for tags in all {
            common.retain(|tag| tags.contains(tag));
        }
        let mut tags: Vec<&str> = self.tags.iter().map(|tag| &**tag).chain(common).collect();
        tags::once(&mut tags);
        tags
    }
}
