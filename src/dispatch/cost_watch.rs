//! Upstreams that charge something else than their prices say: told of once in a while, not with every answer.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;

use crate::domain::ids::Upstream;
use crate::domain::time::Time;

/// An upstream is told of once in this time.
const TOLD_EVERY: Duration = Duration::from_mins(10);
/// So many upstreams are remembered; callers make up names of models.
const REMEMBERED: usize = 512;

/// Upstreams whose own figures differ from what their prices say, and when that was last told. A memory aid for the log.
#[derive(Debug)]
pub struct CostWatch(watch::Sender<BTreeMap<Upstream, Time>>);

impl Default for CostWatch {
    fn default() -> Self {
        Self(watch::channel(BTreeMap::new()).0)
    }
}

impl CostWatch {
    /// Whether to tell of this upstream now.
    pub(super) fn is_due(&self, upstream: &Upstream, now: Time) -> bool {
        self.0.send_if_modified(|told| {
            told.retain(|_, last| now.since(*last) < TOLD_EVERY);
            let is_due = told.len() < REMEMBERED && !told.contains_key(upstream);
            if is_due {
                told.insert(upstream.clone(), now);
            }
            is_due
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_told_of_once_in_a_while() {
        let watch = CostWatch::default();
        let (one, other) = (Upstream::new("a", "m"), Upstream::new("b", "m"));
        let at = |seconds: u64| Time::from_millis(seconds * 1000);
        assert!(watch.is_due(&one, at(1)));
        assert!(!watch.is_due(&one, at(300)));
        assert!(watch.is_due(&other, at(300)));
        assert!(watch.is_due(&one, at(700)));
    }
}
