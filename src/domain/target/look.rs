//! What is known of a member for the conditions that speak of it. No I/O, no clock, no logging.

use std::time::Duration;

use super::Member;
use crate::domain::ids::Upstream;
use crate::domain::money::Pico;
use crate::domain::policy::{Signal, UpstreamFigures};
use crate::domain::when::Candidate;

/// A member at the moment of a request.
pub(super) struct MemberLook<'a> {
    pub(super) member: &'a Member,
    pub(super) figures: &'a dyn UpstreamFigures,
}

impl MemberLook<'_> {
    /// Its upstreams that can serve the request: the others do not speak for them.
    fn able(&self) -> impl Iterator<Item = &Upstream> {
        let all = self.member.chain.upstreams.iter();
        all.filter(|upstream| self.figures.lacks(upstream).is_none())
    }

    /// What all of its upstreams have in common.
    fn common<'a>(&'a self, of: impl Fn(&'a Upstream) -> &'a str) -> Option<&'a str> {
        let mut all = self.member.chain.upstreams.iter().map(of);
        let first = all.next()?;
        all.all(|other| other == first).then_some(first)
    }
}

impl Candidate for MemberLook<'_> {
    fn name(&self) -> &str {
        &self.member.name
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
        let took = self.able();
        let took = took.filter_map(|it| self.figures.latency(it, Signal::FirstToken));
        took.min()
    }

    fn in_flight(&self) -> u32 {
        self.member.in_flight(self.figures)
    }

    fn used_share(&self) -> Option<f64> {
        let shares = self.able().filter_map(|it| self.figures.used(it));
        shares.reduce(f64::min)
    }
}
