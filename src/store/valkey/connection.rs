//! One connection to a server: socket, TLS, greeting.

use std::io;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::domain::secret::ApiKey;
use crate::runtime::task::{self, TaskGuard};
use crate::wire::valkey_url::{ServerPlace, ValkeyServer};

/// Commands that may wait to be written. More wait for their turn within their own time.
const WAITING: usize = 1024;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The socket.
    #[error("it cannot be reached")]
    Socket(#[source] io::Error),
    /// A name that no certificate can be for.
    #[error("its name is none that a certificate can be for")]
    Name,
    /// The TLS handshake.
    #[error("TLS with it fails")]
    Tls(#[source] io::Error),
    /// It refuses the user, the password or the database, or is no such server.
    #[error("it refuses: {0}")]
    Refused(RedisError),
}

trait ServerStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ServerStream for T {}

/// A connection that was greeted, and the task that moves its bytes: it ends with the connection, which ends when this is
/// dropped.
pub(super) struct Connected {
    pub(super) commands: MultiplexedConnection,
    pub(super) ended: tokio::sync::oneshot::Receiver<()>,
    pub(super) driver: TaskGuard,
}

/// Connects and greets. The caller bounds the time.
pub(super) async fn connect(
    server: &ValkeyServer,
    tls: Option<&TlsConnector>,
) -> Result<Connected, LinkError> {
    let stream = socket(server, tls).await?;
    let version = env!("CARGO_PKG_VERSION");
    let mut hello = RedisConnectionInfo::default()
        .set_db(i64::from(server.database))
        .set_lib_name("pointsman", version);
    if let Some(user) = &server.user {
        hello = hello.set_username(user);
    }
    if let Some(password) = server.password.as_ref().map(ApiKey::expose) {
        hello = hello.set_password(password);
    }
    // Each command has a limit of its own.
    let options = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_pipeline_buffer_size(WAITING);
    let greeted = MultiplexedConnection::new_with_config(&hello, stream, options).await;
    let (commands, driver) = greeted.map_err(LinkError::Refused)?;
    let (end, ended) = tokio::sync::oneshot::channel();
    let driver = task::guarded(async move {
        driver.await;
        // Nobody waits for it any more.
        let _ = end.send(());
    });
    Ok(Connected {
        commands,
        ended,
        driver,
    })
}

async fn socket(
    server: &ValkeyServer,
    tls: Option<&TlsConnector>,
) -> Result<Box<dyn ServerStream>, LinkError> {
    match &server.place {
        ServerPlace::Unix(path) => {
            let stream = UnixStream::connect(path).await;
            Ok(Box::new(stream.map_err(LinkError::Socket)?))
        }
        ServerPlace::Tcp { host, port, .. } => {
            let stream = TcpStream::connect((&**host, *port)).await;
            let stream = stream.map_err(LinkError::Socket)?;
            stream.set_nodelay(true).map_err(LinkError::Socket)?;
            let Some(tls) = tls else {
                return Ok(Box::new(stream));
            };
            let name = ServerName::try_from(host.to_string()).map_err(|_| LinkError::Name)?;
            let stream = tls.connect(name, stream).await;
            Ok(Box::new(stream.map_err(LinkError::Tls)?))
        }
    }
}
