//! How providers are reached: names and their addresses, proxies, certificate authorities, and what is refused.

use std::path::Path;

use http::Uri;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use zeroize::Zeroizing;

use super::context::Placed;
use super::endpoint::ProviderAddress;
use super::read::{ConfigNode, FromNode, Report, section};
use super::resolved::{DnsConfig, ProxyConfig};
use super::values::{Names, Span};
use crate::domain::address;
use crate::domain::secret::ApiKey;

section! {
    /// `server.dns`
    DnsForm {
        /// How long an answer holds; then the name is looked up again, for the next connection. Default `30s`.
        ttl: Span,
        /// How long a failed lookup holds. Default `1s`.
        negative_ttl: Span,
        /// How much longer an answer holds while lookups fail. Default `10m`.
        max_stale: Span,
    }
}

/// The terms that were typed, or the usual ones.
pub(super) fn dns(raw: Option<DnsForm>) -> DnsConfig {
    let usual = DnsConfig::default();
    let raw = raw.unwrap_or_default();
    DnsConfig {
        ttl: raw.ttl.map_or(usual.ttl, |Span(span)| span),
        negative_ttl: raw
            .negative_ttl
            .map_or(usual.negative_ttl, |Span(span)| span),
        max_stale: raw.max_stale.map_or(usual.max_stale, |Span(span)| span),
    }
}

/// `proxy`: `off`, `environment`, or a URL, which may hold a password and is never shown.
pub(super) struct ProxyForm(pub ProxyConfig);

impl FromNode for ProxyForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        if node.value.kind == config::ValueKind::Boolean(false) {
            return Some(Self(ProxyConfig::Off));
        }
        let text = Zeroizing::new(node.text().unwrap_or_default());
        let text = text.trim();
        match text {
            "off" => return Some(Self(ProxyConfig::Off)),
            "environment" => return Some(Self(ProxyConfig::Environment)),
            _ => {}
        }
        let usual = "write http://host:port, `environment` or `off`";
        let uri: Option<Uri> = text.parse().ok();
        let Some(host) = uri
            .as_ref()
            .and_then(Uri::host)
            .filter(|host| !host.is_empty())
        else {
            return node.reject("is no URL of a proxy", usual, report);
        };
        if !matches!(
            uri.as_ref().and_then(Uri::scheme_str),
            Some("http" | "https")
        ) {
            return node.reject("proxies are spoken to in http or https", usual, report);
        }
        if let Some(why) = address::literal(host).and_then(|ip| address::refused(ip, false)) {
            return node.reject(format!("names {why}"), usual, report);
        }
        Some(Self(ProxyConfig::Url(ApiKey::new(text))))
    }
}

/// Reports a URL whose host is an address that is not called. The URL is well-formed.
pub(super) fn check_address(url: &str, allow_link_local: bool, place: &str, report: &mut Report) {
    let host = url.parse::<Uri>().ok();
    let host = host.as_ref().and_then(Uri::host).unwrap_or_default();
    let Some(why) = address::literal(host).and_then(|ip| address::refused(ip, allow_link_local))
    else {
        return;
    };
    let suggestion = match why {
        why if why.can_be_allowed() => {
            "if a provider really is there, set allow_link_local: true on it"
        }
        address::AddressRefusal::Unspecified => "write 127.0.0.1 for this machine",
        _ => "",
    };
    report.problem(place, format!("leads to {host}, {why}"), suggestion);
}

/// The certificates of `ca_file`, in DER. Mistakes are reported.
pub(super) fn authorities(
    files: Option<Names>,
    path: &str,
    dir: &Path,
    report: &mut Report,
) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for file in files.map(|names| names.0).unwrap_or_default() {
        let full = dir.join(&file);
        report.files.push(full.clone());
        match certificates(&full) {
            Ok(found) => all.extend(found),
            Err(error) => {
                let suggestion = "name a file of certificates in PEM: -----BEGIN CERTIFICATE-----";
                let message = format!("{file} {error}");
                report.problem(&format!("{path}.ca_file"), message, suggestion);
            }
        }
    }
    all
}

fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let text = std::fs::read(path).map_err(|error| format!("can't be read: {}", error.kind()))?;
    let mut found = Vec::new();
    for (at, certificate) in CertificateDer::pem_slice_iter(&text).enumerate() {
        let broken = || {
            format!(
                "holds something broken: certificate {} can't be read",
                at + 1
            )
        };
        let certificate = certificate.map_err(|_| broken())?;
        if !is_certificate(&certificate) {
            return Err(broken());
        }
        found.push(certificate.to_vec());
    }
    if found.is_empty() {
        Err("holds no certificate".to_owned())
    } else {
        Ok(found)
    }
}

/// A DER sequence that begins with a sequence and is as long as it says (X.690, 8.1; RFC 5280, 4.1). What else may
/// be wrong with it shows when it is used.
fn is_certificate(der: &[u8]) -> bool {
    let [0x30, first, rest @ ..] = der else {
        return false;
    };
    let size = usize::from(first & 0x7f);
    let (length, content) = match first & 0x80 {
        0 => (size, rest),
        _ => {
            let Some((size, content)) = rest.split_at_checked(size).filter(|_| size <= 3) else {
                return false;
            };
            let length = size
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, content)
        }
    };
    content.len() == length && content.first() == Some(&0x30)
}

/// What holds for all providers, where they do not say otherwise: `llm.proxy` is the way out, so it is not for those
/// that are near. Warns of keys that go out in the clear.
pub(super) fn settle(placed: &mut [Placed], proxy: Option<ProxyForm>, report: &mut Report) {
    let common = proxy.map(|ProxyForm(proxy)| proxy).unwrap_or_default();
    for placed in placed {
        let provider = &mut placed.provider;
        if !provider.dialect.is_remote() {
            continue;
        }
        let local = ProviderAddress::parse(&provider.base_url, provider.dialect)
            .is_ok_and(|endpoint| endpoint.local);
        if provider.proxy.is_none() && !local {
            provider.proxy = Some(common.clone());
        }
        let open = provider.base_url.starts_with("http://") && !local;
        if open && provider.keys.iter().any(|key| key.material.is_some()) {
            let name = &provider.name;
            let text =
                format!("provider {name}: its keys go over the network unencrypted (http://)");
            report.warnings.push(text);
        }
    }
}
