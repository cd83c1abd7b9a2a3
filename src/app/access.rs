//! What lets calls in where a key is no text that is sent: made of the configuration.

use std::sync::Arc;

use super::error::StartError;
use crate::config::{self, ProviderConfig};
use crate::domain::secret::ApiKey;
use crate::runtime::clock::Clock;
use crate::upstream::access::{KeyAccess, ProviderAccess};
use crate::upstream::dns::DnsCache;
use crate::upstream::http_client::{ClientOptions, HttpUpstream, ProxySetting};
use crate::upstream::tokens::TokenSource;
use crate::wire::auth::AuthScheme;
use crate::wire::credential::{self, Credential};

/// The service that signatures are for.
const SERVICE: &str = "bedrock";

/// The way to a provider.
pub(super) fn way_of<'a>(provider: &'a ProviderConfig, dns: &'a DnsCache) -> ClientOptions<'a> {
    ClientOptions {
        connect: provider.timeouts.connect,
        dns,
        allow_link_local: provider.allow_link_local,
        proxy: match &provider.proxy {
            None | Some(config::ProxyConfig::Off) => ProxySetting::Off,
            Some(config::ProxyConfig::Environment) => ProxySetting::Environment,
            Some(config::ProxyConfig::Url(url)) => ProxySetting::Url(url.expose()),
        },
        authorities: &provider.authorities,
    }
}

/// The access of a provider; `None` where its keys are sent as they are.
///
/// # Errors
/// A token server whose URL cannot be used.
pub(super) fn of(
    provider: &ProviderConfig,
    dns: &DnsCache,
    clock: Clock,
) -> Result<Option<Arc<ProviderAccess>>, StartError> {
    let Some(scheme) = provider.auth.filter(|scheme| scheme.makes()) else {
        return Ok(None);
    };
    let mut keys = Vec::with_capacity(provider.keys.len());
    for key in provider.keys.iter().filter_map(|key| key.material.as_ref()) {
        // Legal by validation.
        let access = match credential::read(scheme, key) {
            Ok(Credential::Token(token)) => KeyAccess::Token(token),
            Ok(Credential::Access(access)) => KeyAccess::Access(access),
            Ok(Credential::Grant(grant)) => {
                let url = grant.server().unwrap_or_default();
                let usual = way_of(provider, dns);
                let way = match grant.is_near() {
                    // The machine's own cloud is past any proxy, where nobody else is called.
                    true => ClientOptions {
                        proxy: ProxySetting::Off,
                        allow_link_local: true,
                        ..usual
                    },
                    false => usual,
                };
                let made = (!url.is_empty()).then(|| HttpUpstream::new(&url, &[], None, &way));
                let server = made.transpose().map_err(|source| StartError::Provider {
                    name: provider.name.to_string(),
                    source,
                })?;
                KeyAccess::Source(TokenSource::new(*grant, server, &url, clock))
            }
            Err(_) => continue,
        };
        keys.push((key.clone(), access));
    }
    let access = ProviderAccess::new(keys, &provider.region, SERVICE, clock);
    Ok(Some(Arc::new(access)))
}

/// Whether two providers are let in the same way.
pub(super) fn is_same(one: &ProviderConfig, other: &ProviderConfig) -> bool {
    let keys = |provider: &ProviderConfig| -> Vec<Option<ApiKey>> {
        let keys = provider.keys.iter();
        keys.map(|key| key.material.clone()).collect()
    };
    one.auth == other.auth && one.region == other.region && keys(one) == keys(other)
}

/// The parts of a provider's keys that nobody may see.
pub(super) fn secrets(provider: &ProviderConfig) -> Vec<ApiKey> {
    let scheme = provider.auth.unwrap_or(AuthScheme::None);
    let keys = provider.keys.iter().filter_map(|key| key.material.as_ref());
    keys.flat_map(|key| credential::secrets(scheme, key))
        .collect()
}
