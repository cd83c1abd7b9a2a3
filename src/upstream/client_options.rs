//! The way to a provider, as it is configured, and why a client for it cannot be made.

use std::time::Duration;

use tokio_rustls::rustls;

use super::dns::DnsCache;
use crate::domain::address::AddressRefusal;

/// The way to a provider.
#[derive(Debug)]
pub struct ClientOptions<'a> {
    /// Until a connection is established.
    pub connect: Duration,
    /// Looks names up, those of proxies too.
    pub dns: &'a DnsCache,
    /// Whether link-local addresses and metadata services are called.
    pub allow_link_local: bool,
    /// The proxy on it.
    pub proxy: ProxySetting<'a>,
    /// Certificate authorities to trust besides those of the system, in DER.
    pub authorities: &'a [Vec<u8>],
}

/// The proxy on the way.
#[derive(Clone, Copy)]
pub enum ProxySetting<'a> {
    /// None, whatever the environment says.
    Off,
    /// As the process's environment says.
    Environment,
    /// The one at this URL, which may hold a password.
    Url(&'a str),
}

impl std::fmt::Debug for ProxySetting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::Environment => "Environment",
            Self::Url(_) => "Url(****)",
        })
    }
}

/// Why a provider's client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A URL that does not parse.
    #[error("`{url}` is not a URL: write it like https://api.example.com/v1")]
    Url {
        /// The URL as configured.
        url: String,
    },
    /// An address that is not called.
    #[error("{host} is {why}, which is not called")]
    Address {
        /// As it is called.
        host: String,
        /// The reason.
        why: AddressRefusal,
    },
    /// A proxy's URL that the HTTP client refuses.
    #[error("the proxy's URL cannot be used: write it like http://proxy.example.com:3128")]
    Proxy,
    /// A certificate authority that the HTTP client refuses.
    #[error("a certificate of ca_file cannot be used")]
    Authority(#[source] rustls::Error),
    /// TLS or other settings that the HTTP client refuses.
    #[error("the HTTP client cannot be set up")]
    Client(#[from] rustls::Error),
}
