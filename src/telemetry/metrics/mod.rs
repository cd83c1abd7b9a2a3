//! Metrics: one set of instruments, scraped as text from `/metrics` and pushed by OTLP
//! where that is configured. `docs/observability.md` lists them.
//!
//! A label is only ever a word of this program or a name of the configuration: no request's id, no text of a caller.

mod instruments;
mod observed;
mod process;
mod push;
mod requests;
pub mod specs;
mod state;
mod tables;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use prometheus::{Encoder, Registry, TextEncoder};

use self::instruments::Instruments;
use self::observed::Observed;
use self::specs::Sizes;
use self::tables::Tables;
use super::otlp::{self, OtlpError};
use super::request_record::RequestRecord;
use crate::config::TelemetryPolicy;

pub use self::state::{
    ActorGauges, BudgetGauges, CacheGauges, FleetGauges, KeyGauges, LimitGauges, StateGauges,
    StateObserver, UpstreamGauges,
};
pub use self::tables::{ConfiguredNames, ProviderLabels};

/// In what form [`Metrics::text`] is.
pub const TEXT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The numbers of one process.
pub struct Metrics {
    provider: SdkMeterProvider,
    registry: Registry,
    instruments: Instruments,
    tables: ArcSwap<Tables>,
    observed: Arc<Observed>,
    /// Whether the last push failed, where anything is pushed.
    push_fails: Option<Arc<AtomicBool>>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// All instruments, with room for what a configuration of these `sizes` has; and with a target of `telemetry.otlp` a thread that pushes.
    ///
    /// # Errors
    /// What keeps metrics from being pushed.
    pub fn new(policy: &TelemetryPolicy, sizes: Sizes) -> Result<Self, OtlpError> {
        let observed = Observed::new();
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build()
            .map_err(|error| OtlpError::Exporter(error.to_string()))?;
        let builder = SdkMeterProvider::builder()
            .with_resource(otlp::resource(&policy.otlp))
            .with_view(move |instrument: &Instrument| bounded(instrument, sizes))
            .with_reader(reader);
        let (builder, push_fails) = match &policy.otlp.metrics {
            Some(target) => {
                let (reader, fails) = push::reader(target, policy.metrics, &observed)?;
                (builder.with_reader(reader), Some(fails))
            }
            None => (builder, None),
        };
        let provider = builder.build();
        let meter = provider.meter("pointsman");
        observed::register(&meter, &observed);
        Ok(Self {
            instruments: Instruments::new(&meter),
            tables: ArcSwap::from_pointee(Tables::new(&ConfiguredNames::default(), None)),
            observed,
            registry,
            provider,
            push_fails,
        })
    }

    /// From now on these are the names that may become labels.
    pub fn name(&self, named: &ConfiguredNames) {
        let before = self.tables.load();
        let tables = Tables::new(named, Some(&before));
        self.tables.store(Arc::new(tables));
    }

    /// From now on this is where the state comes from.
    pub fn look_with(&self, look: StateObserver) {
        self.observed.look_with(look);
    }

    /// A request has ended.
    pub fn record(&self, record: &RequestRecord) {
        requests::record(record, &self.instruments, &self.tables.load());
    }

    /// A request was refused on arrival.
    pub fn turned_away(&self, record: &RequestRecord) {
        requests::count_request(record, &self.instruments, &self.tables.load());
    }

    /// A configuration was read again, and taken over or not.
    pub fn reloaded(&self, trigger: &'static str, good: bool) {
        self.observed.reloaded(trigger, good);
    }

    /// Everything in Prometheus's text form ([`TEXT_TYPE`]).
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Written to memory, and what is malformed was never registered.
        drop(TextEncoder::new().encode(&self.registry.gather(), &mut text));
        text
    }

    /// Whether anything is pushed.
    pub fn pushes(&self) -> bool {
        self.push_fails.is_some()
    }

    /// Pushes a last time and ends; waits for that up to five seconds, so not on a thread of the runtime. `false` when it
    /// did not succeed.
    pub fn end(&self) -> bool {
        let ended = self.provider.shutdown().is_ok();
        let fails = |fails: &Arc<AtomicBool>| fails.load(Ordering::Relaxed);
        ended && !self.push_fails.as_ref().is_some_and(fails)
    }
}

/// Each instrument has room for as many sets of labels as it may have: the library would make room for 2000.
fn bounded(instrument: &Instrument, sizes: Sizes) -> Option<Stream> {
    let spec = specs::ALL
        .iter()
        .find(|spec| spec.name == instrument.name())?;
    let stream = Stream::builder().with_cardinality_limit(spec.most.of(sizes));
    stream.build().ok()
}
