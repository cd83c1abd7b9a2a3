//! Pushing by OTLP over HTTP: in whose name, and the client that carries it. What the file and the variables say
//! together is settled in the configuration; each exporter is given all of it.
//!
//! The client waits for answers on the thread that calls it: exporters have threads of their own. It must not be made on
//! a thread of the runtime.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use reqwest::Certificate;
use reqwest::blocking::{Client, ClientBuilder};
use reqwest::redirect::Policy;

use crate::config::{OtlpPolicy, OtlpTarget};

/// Distinguishes this process from others of the same service, while it runs (`service.instance.id`).
static INSTANCE: LazyLock<String> = LazyLock::new(|| {
    // A random UUID (RFC 9562, 5.4): its version and variant are fixed.
    let id = fastrand::u128(..) & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let text = format!("{id:032x}");
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    let parts = parts.map(|(from, to)| text.get(from..to).unwrap_or_default());
    parts.join("-")
});

/// Why nothing can be pushed.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// A certificate authority that the HTTP client refuses.
    #[error("a certificate of telemetry.otlp.ca_file cannot be used")]
    Authority(#[source] reqwest::Error),
    /// TLS that cannot be set up.
    #[error("the HTTP client for OTLP cannot be set up")]
    Client(#[source] reqwest::Error),
    /// Threads that cannot be started.
    #[error("a thread for OTLP cannot be started")]
    Thread(#[source] std::io::Error),
    /// What the exporter itself refuses.
    #[error("the exporter for OTLP cannot be set up: {0}")]
    Exporter(String),
}

/// The OpenTelemetry resource of this process.
pub fn resource(policy: &OtlpPolicy) -> Resource {
    let own = [
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", INSTANCE.as_str()),
    ];
    let more = policy.resource.iter();
    let more = more.map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(own)
        .with_attributes(more)
        .with_service_name(policy.service_name.clone())
        .build()
}

/// The client for one signal; it adds the headers. May be called anywhere, and waits a moment.
///
/// # Errors
/// Certificates or TLS that cannot be used.
pub fn client(target: &OtlpTarget) -> Result<Client, OtlpError> {
    let target = target.clone();
    // The client starts a runtime of its own, and must not do that on a thread of another one.
    let made = std::thread::Builder::new()
        .name("otlp-start".to_owned())
        .spawn(move || build(&target))
        .map_err(OtlpError::Thread)?;
    made.join()
        .map_err(|_| OtlpError::Thread(std::io::Error::other("it panicked")))?
}

fn build(target: &OtlpTarget) -> Result<Client, OtlpError> {
    let builder = builder(target);
    let authorities = target.authorities.iter();
    let authorities: Vec<Certificate> = authorities
        .map(|der| Certificate::from_der(der))
        .collect::<Result<_, _>>()
        .map_err(OtlpError::Authority)?;
    if !target.url.starts_with("https") {
        // The system's certificates are neither needed nor read.
        let built = builder.tls_certs_only(authorities).build();
        return built.map_err(OtlpError::Client);
    }
    if !authorities.is_empty() {
        let built = builder.tls_certs_merge(authorities).build();
        return built.map_err(OtlpError::Client);
    }
    builder.build().or_else(|_| {
        // The one setting that depends on the machine is its certificates.
        tracing::warn!(
            "no certificate authorities are known on this machine, so nothing can be pushed over https: install the \
             package ca-certificates, name a bundle in SSL_CERT_FILE, or set telemetry.otlp.ca_file"
        );
        let built = self::builder(target).tls_certs_only([]).build();
        built.map_err(OtlpError::Client)
    })
}

fn builder(target: &OtlpTarget) -> ClientBuilder {
    let headers = target.headers.iter().filter_map(|(name, value)| {
        // Validation has accepted the value.
        let mut value = HeaderValue::from_str(value.expose()).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::try_from(name).ok()?, value))
    });
    Client::builder()
        .default_headers(headers.collect::<HeaderMap>())
        .user_agent(concat!("pointsman/", env!("CARGO_PKG_VERSION")))
        .timeout(target.timeout)
        // A redirect would carry the headers to whatever host it names.
        .redirect(Policy::none())
        .no_proxy()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::Key;

    use super::*;
    use crate::config::Compression;
    use crate::domain::secret::ApiKey;

    #[test]
    fn what_is_pushed_says_whose_it_is() {
        let policy = OtlpPolicy {
            service_name: "edge".to_owned(),
            resource: vec![
                ("service.version".to_owned(), "theirs".to_owned()),
                ("team".to_owned(), "a".to_owned()),
            ],
            ..OtlpPolicy::default()
        };
        let resource = resource(&policy);
        let get = |name: &'static str| {
            let value = resource.get(&Key::from_static_str(name));
            value.map(|value| value.to_string()).unwrap_or_default()
        };
        assert_eq!(get("service.name"), "edge");
        assert_eq!(get("service.version"), "theirs");
        assert_eq!(get("team"), "a");
        assert_eq!(get("telemetry.sdk.language"), "rust");
        let id = get("service.instance.id");
        assert_eq!((id.len(), id.as_bytes()[14]), (36, b'4'), "{id}");
        assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
    }

    #[tokio::test]
    async fn a_client_is_made_on_the_runtime_and_shows_no_header() {
        let target = OtlpTarget {
            url: "http://127.0.0.1:9/v1/metrics".to_owned(),
            headers: vec![("x-token".to_owned(), ApiKey::new("hidden-token"))],
            timeout: Duration::from_secs(1),
            compression: Compression::None,
            authorities: Vec::new(),
        };
        let client = client(&target).unwrap();
        assert!(!format!("{client:?}").contains("hidden"));
        // As exporters do: elsewhere.
        tokio::task::spawn_blocking(move || drop(client))
            .await
            .unwrap();
    }
}
