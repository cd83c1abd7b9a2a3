//! TLS towards a server that processes share: by the certificate authorities of the system, or by those of the
//! configuration in their place.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore};

/// How TLS is spoken. `authorities` are certificates in DER; none: those of the system.
///
/// # Errors
/// A certificate that cannot be used, or a system without any.
pub(super) fn connector(authorities: &[Vec<u8>]) -> Result<TlsConnector, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let config = match authorities {
        [] => {
            let verifier = Verifier::new(provider)?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth()
        }
        own => {
            let mut roots = RootCertStore::empty();
            for der in own {
                roots.add(CertificateDer::from(der.clone()))?;
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}
