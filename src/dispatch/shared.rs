//! What the tasks of all requests share under one configuration.

use std::sync::Arc;

use super::caching::Caching;
use super::cost_watch::CostWatch;
use super::hedge_controller::HedgeController;
use super::request::Endpoint;
use super::routing_state::RoutingState;
use crate::actors::tree::TreeClient;
use crate::affinity::Affinity;
use crate::budgets::Budgets;
use crate::domain::attempts::Candidate;
use crate::domain::catalog::lists::Catalog;
use crate::domain::chain::{Chain, Targets};
use crate::domain::hash_map::HashMap;
use crate::domain::ids::{ProviderName, Upstream};
use crate::domain::limits::DispatchPolicy;
use crate::domain::price::PriceBook;
use crate::domain::profile::TargetPolicies;
use crate::runtime::abort::Abort;
use crate::runtime::buffers::Buffers;
use crate::runtime::clock::Clock;
use crate::telemetry::recorder::Recorder;

/// Everything a request's task needs, as one configuration says. Shared by all requests that begin under it.
pub struct Dispatch {
    /// Counts the configurations of this process, from 0.
    pub generation: u64,
    /// The way into the tree.
    pub tree: TreeClient,
    /// What may be asked for.
    pub targets: Arc<Targets>,
    /// The endpoints of each provider.
    pub endpoints: HashMap<ProviderName, Arc<Endpoint>>,
    /// What bounds a request.
    pub policy: DispatchPolicy,
    /// Statistics of late first tokens; `None` when hedging is off.
    pub hedge_controller: Option<HedgeController>,
    /// Answers that are there before any upstream is asked; `None` where none are kept nor shared.
    pub cache: Option<Arc<Caching>>,
    /// What lists of models say of upstreams; `None` where there are none.
    pub catalog: Option<Arc<Catalog>>,
    /// What holds for which target.
    pub policies: TargetPolicies,
    /// The time source.
    pub clock: Clock,
    /// Ends the requests that are still under way at the end of the process.
    pub abort: Abort,
    /// Where ended requests are recorded.
    pub recorder: Arc<Recorder>,
    /// Which key holds what providers keep.
    pub affinity: Affinity,
    /// What upstreams cost.
    pub prices: PriceBook,
    /// Upstreams whose own figures differ from that.
    pub cost_watch: Arc<CostWatch>,
    /// What is spent, and what may be.
    pub budgets: Budgets,
    /// Tokens of an answer that are reserved where a request names no bound.
    pub assume_output: u64,
    /// How many bytes of bodies and answers are held.
    pub buffers: Buffers,
    /// What ranking counts.
    pub routing: RoutingState,
}

impl Dispatch {
    /// Where candidate `index` of a chain is.
    pub(super) fn endpoint(&self, chain: &Chain, index: usize) -> Option<&Arc<Endpoint>> {
        self.endpoints.get(&chain.upstreams.get(index)?.provider)
    }

    /// Tokens that prompt and answer may have together: the configured ones, else what lists say.
    pub(super) fn window(
        &self,
        upstream: &Upstream,
        endpoint: Option<&Arc<Endpoint>>,
    ) -> Option<u64> {
        let configured = endpoint.and_then(|endpoint| endpoint.context_window);
        let catalog = self.catalog.as_ref().filter(|_| configured.is_none());
        let listed = catalog.and_then(|catalog| {
            let facts = catalog.facts(&upstream.provider, &upstream.model);
            facts.window.as_ref().map(|known| known.value)
        });
        configured.or(listed)
    }

    /// Tokens that prompt and answer may have together at an upstream, where that is known.
    pub fn window_of(&self, upstream: &Upstream) -> Option<u64> {
        self.window(upstream, self.endpoints.get(&upstream.provider))
    }

    /// What the request's machine needs to know of the chain.
    pub(super) fn candidates<'a>(&'a self, chain: &'a Chain) -> impl Iterator<Item = Candidate> {
        chain.upstreams.iter().map(|upstream| {
            let endpoint = self.endpoints.get(&upstream.provider);
            Candidate {
                upstream: upstream.clone(),
                context_window: self.window(upstream, endpoint),
                retry: endpoint.map_or_else(Arc::default, |endpoint| Arc::clone(&endpoint.retry)),
                continues: endpoint.is_some_and(|endpoint| endpoint.prefill.is_some()),
            }
        })
    }
}
