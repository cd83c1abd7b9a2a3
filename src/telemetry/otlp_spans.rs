//! The exporter of spans: OpenTelemetry's own, by OTLP over HTTP with protobuf. It blocks the thread that it works on.

use opentelemetry_otlp::{Compression, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::trace::SpanExporter as _;

use super::otlp::{self, OtlpError};
use crate::config::{self, OtlpPolicy, OtlpTarget};

/// Sends spans to `target` in the name of `policy`. May be called anywhere; must be dropped on a thread of its own.
///
/// # Errors
/// Certificates, TLS or a URL that cannot be used.
pub fn exporter(policy: &OtlpPolicy, target: &OtlpTarget) -> Result<SpanExporter, OtlpError> {
    let builder = SpanExporter::builder()
        .with_http()
        .with_http_client(otlp::client(target)?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(target.url.as_str())
        .with_timeout(target.timeout);
    let builder = match target.compression {
        config::Compression::None => builder,
        config::Compression::Gzip => builder.with_compression(Compression::Gzip),
    };
    let mut exporter = builder
        .build()
        .map_err(|error| OtlpError::Exporter(error.to_string()))?;
    exporter.set_resource(&otlp::resource(policy));
    Ok(exporter)
}
