//! TLS: certificate, key and the certificates that callers may show, read from files, and read again when they change.
//! Connections keep to what held when they began.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

/// What an HTTP/2 client asks for in the handshake.
pub(super) const H2: &[u8] = b"h2";

/// Where it is all read from. PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// The server's certificate, then those that lead to its root.
    pub cert: PathBuf,
    /// The file of the private key.
    pub key: PathBuf,
    /// Callers' certificates must lead to one of these.
    pub client_ca: Option<PathBuf>,
    /// Whether a caller without a certificate is refused.
    pub require_client_cert: bool,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

/// What listeners encrypt with.
pub struct Tls(ArcSwap<ServerConfig>);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// Why there is no TLS with these files. Never says what a key is.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The underlying error.
        source: io::Error,
    },
    /// A file that holds no certificate in PEM.
    #[error("{} holds no PEM certificate: it must begin with -----BEGIN CERTIFICATE-----", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A file that holds no private key in PEM.
    #[error("{} holds no PEM private key without a password", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key do not fit, or are not understood.
    #[error("certificate {} and key {} cannot be used together", cert.display(), key.display())]
    Unusable {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// The underlying error.
        source: rustls::Error,
    },
    /// Certificates of callers' issuers that are not understood.
    #[error("the client certificates' issuers in {} cannot be used", path.display())]
    ClientCa {
        /// The file of the authorities.
        path: PathBuf,
        /// The underlying error.
        source: VerifierBuilderError,
    },
    /// The cryptography offers no version of TLS that is asked for.
    #[error("TLS cannot be set up")]
    Versions(#[source] rustls::Error),
}

impl Tls {
    /// Reads them.
    ///
    /// # Errors
    /// The first file that cannot be used, and why.
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        read(files).map(|config| Self(ArcSwap::from_pointee(config)))
    }

    /// New connections get what `next` has.
    pub fn replace(&self, next: &Self) {
        self.0.store(next.0.load_full());
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.load_full())
    }
}

fn read(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    // Named, because a process may hold several kinds of cryptography; this one comes with the HTTP client.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Versions)?;
    // Certificates of callers.
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if files.require_client_cert {
                verifier
            } else {
                verifier.allow_unauthenticated()
            };
            let verifier = verifier.build().map_err(|source| TlsError::ClientCa {
                path: path.clone(),
                source,
            })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    // The server's own certificate.
    let chain = certificates(&files.cert)?;
    let key = match PrivateKeyDer::from_pem_slice(&bytes(&files.key)?) {
        Ok(key) => key,
        Err(_) => {
            return Err(TlsError::NoKey {
                path: files.key.clone(),
            });
        }
    };
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|source| TlsError::Unusable {
        cert: files.cert.clone(),
        key: files.key.clone(),
        source,
    })?;
    config.alpn_protocols = if files.http2 {
        vec![H2.to_vec(), b"http/1.1".to_vec()]
    } else {
        vec![b"http/1.1".to_vec()]
    };
    Ok(config)
}

fn bytes(path: &PathBuf) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Unreadable {
        path: path.clone(),
        source,
    })
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes(path)?).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(TlsError::NoCertificate { path: path.clone() }),
    }
}
