//! Connections of a listener: accepted, served, and on shutdown asked to end after their present request.
//!
//! `axum::serve` is not used: it never sets a timer, so a client that sends half a head is held for ever,
//! and its graceful shutdown waits for open streams without a bound.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use crate::runtime::task;

/// A client gets so long for a request's head, and an idle connection is closed after the same time
/// between two requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest request head, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// After an error of `accept` (no file descriptors left, say) a short rest instead of a busy loop.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Where requests come in.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port.
    Tcp(TcpListener),
    /// A Unix socket, and its path to remove at the end.
    Unix(UnixListener, SocketFile),
}

/// Removes the socket's file when dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody else may have taken it away already.
        drop(std::fs::remove_file(&self.0));
    }
}

/// What a listener's tasks watch: set to true to begin the shutdown.
pub type Shutdown = watch::Receiver<bool>;

impl Listener {
    /// Binds a TCP address; port 0 takes a free one.
    ///
    /// # Errors
    /// As the operating system says.
    pub async fn tcp(address: &str) -> io::Result<Self> {
        TcpListener::bind(address).await.map(Self::Tcp)
    }

    /// Binds a Unix socket with mode 0660. A stale socket in its place is replaced, a live one is not.
    ///
    /// # Errors
    /// As the operating system says; `AddrInUse` when somebody listens there.
    pub async fn unix(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        if path.exists() {
            if tokio::net::UnixStream::connect(path).await.is_ok() {
                return Err(io::Error::from(io::ErrorKind::AddrInUse));
            }
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
        Ok(Self::Unix(listener, SocketFile(path.to_owned())))
    }

    /// Its real address, for the log.
    pub fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|error| error.to_string(), |address| address.to_string()),
            Self::Unix(_, file) => format!("unix:{}", file.0.display()),
        }
    }

    /// Serves until the shutdown begins; connections then end after their present request. `alive` is
    /// dropped by the last connection.
    pub async fn serve(self, router: Router, mut shutdown: Shutdown, alive: Arc<()>) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = stopped(&mut shutdown) => return,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok(Stream::Tcp(stream)) => {
                    // Without this small chunks wait for the acknowledgement of the last one.
                    drop(stream.set_nodelay(true));
                    task::detach(connection(
                        stream,
                        router.clone(),
                        shutdown.clone(),
                        Arc::clone(&alive),
                    ));
                }
                Ok(Stream::Unix(stream)) => {
                    task::detach(connection(
                        stream,
                        router.clone(),
                        shutdown.clone(),
                        Arc::clone(&alive),
                    ));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => listener
                .accept()
                .await
                .map(|(stream, _)| Stream::Tcp(stream)),
            Self::Unix(listener, _) => listener
                .accept()
                .await
                .map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

/// Completes when the shutdown begins. The guard that the channel gives out must not be held any longer.
async fn stopped(shutdown: &mut Shutdown) {
    drop(shutdown.wait_for(|stop| *stop).await.map(|_| ()));
}

enum Stream {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    mut shutdown: Shutdown,
    alive: Arc<()>,
) {
    let service = TowerToHyperService::new(router);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let result = tokio::select! {
        result = serving.as_mut() => result,
        () = stopped(&mut shutdown) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended early");
    }
    drop(alive);
}
