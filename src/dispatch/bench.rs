//! One provider with one upstream of a scripted transport, for tests of whole requests.

use std::sync::Arc;

use http::HeaderMap;

use super::{Dispatch, Endpoint};
use crate::actors::tree::{ProviderSpec, Tree, TreeSpec};
use crate::domain::chain::{ProviderEntry, Targets};
use crate::domain::hash_map::HashMap;
use crate::domain::ids::{ModelName, ProviderName};
use crate::domain::limits::{DispatchPolicy, RetryPolicy, Timeouts};
use crate::domain::profile::TargetPolicies;
use crate::runtime::abort::Abort;
use crate::runtime::buffers::Buffers;
use crate::runtime::clock::Clock;
use crate::telemetry::recorder::Recorder;
use crate::upstream::Transport;

/// An endpoint of the usual dialect, with the default limits.
pub(super) fn endpoint(transport: impl Transport + 'static) -> Endpoint {
    Endpoint {
        dialect: crate::wire::dialects::usual(),
        max_answer: 64 << 20,
        max_event: 8 << 20,
        kind: String::new(),
        transport: Arc::new(transport),
        headers: HeaderMap::new(),
        credentials: Vec::new().into(),
        params: serde_json::Map::new(),
        context_window: None,
        timeouts: Timeouts::default(),
        retry: Arc::new(RetryPolicy::default()),
        trace_context: false,
        forward_user_agent: false,
        auth: None,
        access: None,
        prefill: None,
        unsupported: Default::default(),
        native: Default::default(),
        output_limits: Default::default(),
        tokens: Default::default(),
        passthrough: false,
        fetch: None,
        base_priority: 1.0,
        data_policy: Default::default(),
        capabilities: Default::default(),
        tags: Default::default(),
    }
}

/// A running tree, and what requests share, for provider `a` with `model` at `endpoint` and one key.
pub(super) async fn dispatch(model: &str, endpoint: Endpoint) -> (Tree, Dispatch) {
    let (name, clock) = (ProviderName::from("a"), Clock::start());
    let provider = ProviderSpec::new(name.clone(), vec![None]);
    let tree = Tree::start(TreeSpec::new(vec![provider], 1, clock)).await;
    let entry = ProviderEntry {
        name: name.clone(),
        model: Some(ModelName::from(model)),
        models: Vec::new(),
        builtin: false,
        added: false,
    };
    let dispatch = Dispatch {
        generation: 0,
        hedge_controller: None,
        cache: None,
        catalog: None,
        policies: TargetPolicies::default(),
        tree: tree.client().clone(),
        targets: Arc::new(Targets::build(&[entry], &[], None).unwrap()),
        endpoints: HashMap::from_iter([(name, Arc::new(endpoint))]),
        policy: DispatchPolicy::default(),
        clock,
        abort: Abort::default(),
        recorder: Arc::new(Recorder::new(8)),
        affinity: crate::affinity::Affinity::start(),
        prices: Default::default(),
        cost_watch: Default::default(),
        budgets: crate::budgets::Budgets::start(),
        assume_output: 1024,
        buffers: Buffers::default(),
        routing: Default::default(),
    };
    (tree, dispatch)
}
