//! Pushes the metrics by OTLP, on a thread of its own. A receiver that is down slows nothing else: what it did
//! not get is in the next push; with `delta` it is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_otlp::{MetricExporter, Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, Temporality};

use super::observed::Observed;
use crate::config::{self, Compression, MetricsPolicy, OtlpTarget};
use crate::telemetry::otlp::{self, OtlpError};

/// What is pushed, in the counters.
const SIGNAL: &str = "metrics";

/// Reads and pushes at the configured interval; and whether the last push failed.
pub(super) fn reader(
    target: &OtlpTarget,
    policy: MetricsPolicy,
    observed: &Arc<Observed>,
) -> Result<(PeriodicReader<CountingExporter>, Arc<AtomicBool>), OtlpError> {
    let exporter = MetricExporter::builder()
        .with_http()
        .with_http_client(otlp::client(target)?)
        .with_endpoint(&target.url)
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(target.timeout);
    let exporter = match target.compression {
        Compression::Gzip => exporter.with_compression(opentelemetry_otlp::Compression::Gzip),
        Compression::None => exporter,
    };
    let exporter = exporter.with_temporality(match policy.temporality {
        config::Temporality::Cumulative => Temporality::Cumulative,
        config::Temporality::Delta => Temporality::Delta,
        config::Temporality::LowMemory => Temporality::LowMemory,
    });
    let exporter = exporter
        .build()
        .map_err(|error| OtlpError::Exporter(error.to_string()))?;
    let failing = Arc::<AtomicBool>::default();
    let counted = CountingExporter {
        exporter,
        observed: Arc::clone(observed),
        failing: Arc::clone(&failing),
    };
    let reader = PeriodicReader::builder(counted).with_interval(policy.interval);
    Ok((reader.build(), failing))
}

/// Counts successful and failed exports, and logs the first of each in a row.
#[derive(Debug)]
pub(super) struct CountingExporter {
    exporter: MetricExporter,
    observed: Arc<Observed>,
    failing: Arc<AtomicBool>,
}

impl PushMetricExporter for CountingExporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        self.observed.exported(SIGNAL, result.is_ok());
        let failed_before = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Err(error) if !failed_before => {
                tracing::warn!(%error, signal = SIGNAL, "OTLP export fails; it will be retried");
            }
            Ok(()) if failed_before => tracing::info!(signal = SIGNAL, "OTLP export works again"),
            _ => {}
        }
        // It is logged here, so the library need not log it.
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
