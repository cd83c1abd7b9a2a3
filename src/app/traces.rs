//! Traces: what sends them, and what they say of providers.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use super::error::StartError;
use crate::config::{Config, ContentCapture, ProviderConfig};
use crate::runtime::clock::Clock;
use crate::telemetry::otlp_spans;
use crate::telemetry::recorder::Recorder;
use crate::telemetry::spans::ProviderLocation;
use crate::telemetry::traces::{Batching, TraceSettings, TracedProviders, Traces};
use crate::wire::mask::Mask;

/// What sends traces, where the configuration names a receiver.
pub(super) fn start(config: &Config, clock: Clock) -> Result<Option<Traces>, StartError> {
    let telemetry = &config.telemetry;
    let Some(target) = &telemetry.otlp.traces else {
        return Ok(None);
    };
    let policy = telemetry.traces;
    let server = &config.server;
    let mut listens = server.listen.iter();
    let encrypted = listens.any(|listen| server.listeners.tls_at(listen).is_some());
    let terms = TraceSettings {
        sampler: policy.sampler,
        keep: policy.keep,
        batching: Batching {
            delay: policy.delay,
            batch: policy.batch,
            queue: policy.queue,
        },
        mask: match telemetry.content {
            ContentCapture::Off => None,
            ContentCapture::Masked => Some(Mask::new(&telemetry.mask).unwrap_or_default()),
        },
        scheme: if encrypted { "https" } else { "http" },
    };
    let exporter = otlp_spans::exporter(&telemetry.otlp, target)?;
    let traces = Traces::start(&terms, known(config), clock, exporter);
    Ok(Some(traces.map_err(StartError::Traces)?))
}

/// What spans say of each provider, and what they must not.
pub(super) fn known(config: &Config) -> TracedProviders {
    let providers = config.providers.iter();
    let places = providers.map(|provider| (provider.name.clone(), place(provider)));
    let keys = config.providers.iter().flat_map(|provider| &provider.keys);
    TracedProviders {
        places: places.collect(),
        keys: keys
            .filter_map(|key| key.material.clone())
            .chain(config.providers.iter().flat_map(super::access::secrets))
            .collect(),
    }
}

fn place(provider: &ProviderConfig) -> ProviderLocation {
    let kind = provider.kind.clone();
    let uri = provider.base_url.parse::<Uri>().ok();
    let uri = uri.filter(|_| provider.dialect.is_remote());
    let usual = uri.as_ref().and_then(|uri| match uri.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    });
    let host = uri.as_ref().and_then(Uri::host);
    ProviderLocation {
        kind,
        // An IPv6 address stands in brackets in a URL only.
        host: host.map(|host| host.trim_matches(['[', ']']).to_owned()),
        port: uri.as_ref().and_then(Uri::port_u16).or(usual),
    }
}

/// How long the receiver of traces gets for the last of them.
const FLUSH: Duration = Duration::from_secs(5);

/// Exports the last traces and metrics; waits for that, for a bounded time, if `patient`.
pub(super) async fn flush(recorder: &Arc<Recorder>, patient: bool) {
    let traces = recorder.traces().filter(|_| patient);
    let spans = async {
        if let Some(traces) = traces {
            traces.finish(FLUSH).await;
        }
    };
    // Beside each other: it is one receiver that may be down.
    tokio::join!(spans, super::metrics::end(recorder, patient));
}
