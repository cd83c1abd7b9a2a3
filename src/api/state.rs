//! What the data listener's handlers share, and how far its shutdown has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::admission_limit::AdmissionLimit;
use crate::access::Clients;
use crate::config::Pages;
use crate::dispatch::Dispatch;
use crate::domain::hash_map::HashMap;
use crate::domain::ids::ProviderName;
use crate::runtime::abort::Abort;
use crate::runtime::spool::SpoolLimits;
use crate::wire::model_entry::ModelEntry;

/// What the data listener needs to know.
pub struct Api {
    serving: ArcSwap<Serving>,
    /// Limits the requests in flight.
    pub admission: AdmissionLimit,
    draining: AtomicBool,
    /// Ends what is still under way at the end of the process.
    pub abort: Abort,
}

/// What one configuration says. A request keeps to the one under which it began.
pub struct Serving {
    /// Serves requests.
    pub dispatch: Arc<Dispatch>,
    /// The clients; `None`: no token is needed.
    pub clients: Option<Clients>,
    /// Which pages in browsers may call.
    pub pages: Pages,
    /// Larger bodies are refused, in bytes.
    pub max_body: usize,
    /// What bounds forms and bodies that pass through.
    pub spool: SpoolLimits,
    /// The longest pause between two pieces of a body.
    pub body_timeout: Duration,
    /// A stream without content for this long (more than zero) gets a comment to keep proxies awake; `None`:
    /// never.
    pub stream_keepalive: Option<Duration>,
    /// What is told of providers.
    pub providers: HashMap<ProviderName, ShownProvider>,
    /// What `GET /v1/models` lists.
    pub models: Vec<ModelEntry>,
}

/// What callers are told of a provider beside its models.
pub struct ShownProvider {
    /// Where it is, without its query and without credentials.
    pub base_url: String,
    /// The tier of its upstreams.
    pub tier: u32,
}

impl Api {
    /// A listener's state that starts with `serving`.
    pub fn new(serving: Serving, door: AdmissionLimit, halt: Abort) -> Self {
        Self {
            serving: ArcSwap::from_pointee(serving),
            admission: door,
            draining: AtomicBool::new(false),
            abort: halt,
        }
    }

    /// What holds for a request that begins now.
    pub fn serving(&self) -> Arc<Serving> {
        self.serving.load_full()
    }

    /// What holds from now on.
    pub fn replace(&self, serving: Serving) {
        self.serving.store(Arc::new(serving));
    }

    /// Makes readiness fail, so that load balancers send no more; requests that come are still served.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
