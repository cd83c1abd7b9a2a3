//! Encrypted listeners: certificates, their change, those of clients, and both versions of HTTP.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::support::certs::{Issuer, Pair};
use crate::support::gateway::{filled, run};
use crate::support::raw::{H2, rest, tell};
use crate::support::temp::TempDir;
use crate::support::wait::bounded;
use crate::support::{Gateway, ScriptedUpstream, chat, ms, until};

const CONFIG: &str = "
server: {tls: {cert: cert.pem, key: key.pem MORE}, timeouts: {head: 500ms}}
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1}
";

const GET: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

struct Server {
    a: ScriptedUpstream,
    gateway: Gateway,
    issuer: Issuer,
    /// The gateway's own directory.
    path: std::path::PathBuf,
}

impl Server {
    async fn start(more: &str) -> Self {
        let (a, dir, issuer) = (
            ScriptedUpstream::start().await,
            TempDir::new(),
            Issuer::new(),
        );
        issuer.server().write(&dir);
        dir.write("ca.pem", &issuer.pem());
        let text = CONFIG.replace("MORE", more);
        dir.write("pointsman.yaml", &filled(&text, &[("a", &a)]));
        let path = dir.path().to_owned();
        let gateway = Gateway::start_in(dir, &[], &[]).await;
        Self {
            a,
            gateway,
            issuer,
            path,
        }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path.join(name), text).unwrap();
    }

    async fn connect(&self, client: &Client) -> std::io::Result<TlsStream<TcpStream>> {
        client.connect(self.gateway.address()).await
    }
}

/// What a client trusts, shows and speaks.
struct Client(TlsConnector);

impl Client {
    fn new(trusts: &Issuer, shows: Option<&Pair>, speaks: &[&str]) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(trusts.pem().as_bytes()).unwrap())
            .unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(
            tokio_rustls::rustls::crypto::aws_lc_rs::default_provider(),
        ));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = match shows {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let cert = CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![cert], key).unwrap()
            }
        };
        config.alpn_protocols = speaks.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self(TlsConnector::from(Arc::new(config)))
    }

    async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        bounded("the handshake", self.0.connect(name, stream)).await
    }
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_as_the_client_asks() {
    let server = Server::start("").await;
    let plain = Client::new(&server.issuer, None, &["http/1.1"]);
    let mut stream = server.connect(&plain).await.unwrap();
    assert!(tell(&mut stream, GET).await.starts_with("HTTP/1.1 200"));
    let none = Client::new(&server.issuer, None, &[]);
    let mut stream = server.connect(&none).await.unwrap();
    assert!(tell(&mut stream, GET).await.starts_with("HTTP/1.1 200"));
    let both = Client::new(&server.issuer, None, &["h2", "http/1.1"]);
    let stream = server.connect(&both).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut h2 = H2::over(stream).await;
    let (status, text) = h2.ask("/v1/chat/completions", chat("a")).await;
    assert!(status == 200 && text.contains("ok"), "{status} {text}");
    assert_eq!(server.a.count(), 1);
}

#[tokio::test]
async fn who_does_not_shake_hands_is_not_served() {
    let server = Server::start("").await;
    let address = server.gateway.address();
    let mut plain = TcpStream::connect(address).await.unwrap();
    let answer = tell(&mut plain, GET).await;
    assert!(!answer.contains("200"), "{answer:?}");
    // Half a hello: closed after `timeouts.head`.
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(&[22, 3, 1, 2, 0, 1, 0]).await.unwrap();
    let started = std::time::Instant::now();
    rest(&mut slow).await;
    assert!(started.elapsed() >= ms(400));
    let stranger = Client::new(&Issuer::new(), None, &[]);
    server.connect(&stranger).await.unwrap_err();
}

#[tokio::test]
async fn a_new_certificate_is_used_and_a_broken_one_changes_nothing() {
    let server = Server::start("").await;
    let old = Client::new(&server.issuer, None, &["http/1.1"]);
    let mut kept = server.connect(&old).await.unwrap();
    server.write("cert.pem", "-----BEGIN CERTIFICATE-----\nbroken");
    server.gateway.logged("certificates not reloaded").await;
    server.connect(&old).await.unwrap();
    let issuer = Issuer::new();
    let new = Client::new(&issuer, None, &[]);
    let pair = issuer.server();
    // Certificate and key are rarely written at the same moment.
    server.write("cert.pem", &pair.cert);
    server.gateway.signal("HUP");
    server.gateway.logged("cannot be used together").await;
    server.connect(&old).await.unwrap();
    server.write("key.pem", &pair.key);
    until("the new certificate", async || {
        server.connect(&new).await.is_ok()
    })
    .await;
    server.connect(&old).await.unwrap_err();
    let answer = tell(&mut kept, GET).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "what was open goes on");
    let logs = server.gateway.logs().join("\n");
    assert!(!logs.contains(pair.key.lines().nth(1).unwrap()));
}

#[tokio::test]
async fn callers_without_a_certificate_are_refused_where_that_is_asked_for() {
    let server = Server::start(", client_ca: ca.pem").await;
    let pair = server.issuer.client();
    let known = Client::new(&server.issuer, Some(&pair), &[]);
    let mut stream = server.connect(&known).await.unwrap();
    assert!(tell(&mut stream, GET).await.starts_with("HTTP/1.1 200"));
    let strange = Issuer::new().client();
    for shows in [None, Some(&strange)] {
        let client = Client::new(&server.issuer, shows, &[]);
        // A client of TLS 1.3 hears of it with the first answer.
        if let Ok(mut stream) = server.connect(&client).await {
            assert_eq!(tell(&mut stream, GET).await, "");
        }
    }
}

#[tokio::test]
async fn certificates_can_be_optional_and_loopback_plain() {
    let more = ", client_ca: ca.pem, require_client_cert: false";
    let server = Server::start(more).await;
    let client = Client::new(&server.issuer, None, &[]);
    let mut stream = server.connect(&client).await.unwrap();
    assert!(tell(&mut stream, GET).await.starts_with("HTTP/1.1 200"));
    let server = Server::start(", loopback: off").await;
    assert_eq!(server.gateway.chat("a").send().await.says(), "ok");
}

async fn refused(dir: &Path, part: &str) {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off"];
    for arguments in [&arguments[..], &["check"]] {
        let output = run(dir, arguments, &[]).await;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(output.status.code(), Some(78), "{text}");
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_mistakes() {
    let (a, dir, issuer) = (
        ScriptedUpstream::start().await,
        TempDir::new(),
        Issuer::new(),
    );
    let text = filled(&CONFIG.replace("MORE", ""), &[("a", &a)]);
    dir.write("pointsman.yaml", &text);
    refused(dir.path(), "server.tls.cert").await;
    let (one, other) = (issuer.server(), issuer.server());
    one.write(&dir);
    dir.write("key.pem", &other.key);
    refused(dir.path(), "cannot be used together").await;
    dir.write("key.pem", "no key");
    refused(dir.path(), "key.pem").await;
    dir.write("cert.pem", "");
    refused(dir.path(), "BEGIN CERTIFICATE").await;
    one.write(&dir);
    dir.write("ca.pem", "not one");
    let with = filled(&CONFIG.replace("MORE", ", client_ca: ca.pem"), &[("a", &a)]);
    dir.write("pointsman.yaml", &with);
    refused(dir.path(), "ca.pem").await;
}
