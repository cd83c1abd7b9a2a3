//! Bounds of requests that follow from the rest of a draft: enough attempts for each upstream of the longest chain, and the
//! time that the slowest provider may take.

use std::collections::{BTreeMap, BTreeSet};

use super::provider::USUAL_MILLIS;
use super::{ConfigDraft, DraftVirtual, MemberTarget};
use crate::import::spans::span;
use crate::import::tree::YamlTree;

/// Attempts where the configuration does not say so.
const USUAL_ATTEMPTS: usize = 8;
/// Attempts that are made again at the same upstream, where the configuration does not say so.
const USUAL_RETRIES: usize = 1;
/// The most attempts that a long chain alone is reason for.
const MOST_ATTEMPTS: usize = 100;

impl ConfigDraft {
    /// Sets them, where what is usual, or what the file asks for, would be too little.
    pub(super) fn bound(&self, root: &mut YamlTree) {
        let attempts = ["dispatch", "max_attempts"];
        let asked = match root.get(&attempts) {
            Some(YamlTree::Bare(count)) => count.parse().ok(),
            _ => None,
        };
        // A failure that may pass by itself is tried again at the same upstream: that must not use up what others need.
        let longest = (self.longest() * (1 + self.most_retries())).min(MOST_ATTEMPTS);
        if longest > asked.unwrap_or(USUAL_ATTEMPTS) {
            root.set(&attempts, YamlTree::bare(longest));
        }
        let deadline = ["dispatch", "deadline"];
        let slowest = self.providers.iter().map(|placed| placed.wanted.timeout);
        if let Some(slowest) = slowest.max().filter(|millis| *millis > USUAL_MILLIS)
            && root.get(&deadline).is_none()
        {
            root.set(&deadline, span(slowest));
        }
    }

    /// How often an attempt is made again at the same upstream.
    fn most_retries(&self) -> usize {
        let own = |settings: &YamlTree| match settings.get(&["retry", "same_upstream"]) {
            Some(YamlTree::Bare(count)) => count.parse().unwrap_or(USUAL_RETRIES),
            _ => USUAL_RETRIES,
        };
        let counts = self
            .providers
            .iter()
            .map(|placed| own(&placed.wanted.settings));
        counts.max().unwrap_or(USUAL_RETRIES)
    }

    /// The upstreams of the longest chain.
    fn longest(&self) -> usize {
        let by_name: BTreeMap<&str, &DraftVirtual> = self
            .virtuals
            .iter()
            .map(|one| (one.name.as_str(), one))
            .collect();
        let lengths = self.virtuals.iter().map(|one| length(one, &by_name));
        lengths.max().unwrap_or(0)
    }
}

/// How many upstreams a virtual provider leads to, each counted once.
fn length(one: &DraftVirtual, by_name: &BTreeMap<&str, &DraftVirtual>) -> usize {
    let mut seen: BTreeSet<&str> = BTreeSet::from([one.name.as_str()]);
    let mut open = vec![one];
    let mut found = BTreeSet::new();
    while let Some(next) = open.pop() {
        for member in &next.members {
            match &member.target {
                MemberTarget::Upstream(at, model) => {
                    found.insert((*at, model.as_str()));
                }
                MemberTarget::Provider(at) => {
                    found.insert((*at, ""));
                }
                MemberTarget::Virtual(name) if seen.insert(name) => {
                    open.extend(by_name.get(name.as_str()));
                }
                MemberTarget::Virtual(_) => {}
            }
        }
    }
    found.len()
}
