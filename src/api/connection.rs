//! Connections of a listener: accepted, served, and on shutdown asked to end after their present request.
//!
//! `axum::serve` is not used: it never sets a timer, so a client that sends half a head is held for ever,
//! and its graceful shutdown waits for open streams without a bound.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use super::front::Front;
use super::write_timeout::WriteTimeout;
use crate::runtime::task;

/// A client gets so long for a request's head, and an idle connection is closed after the same time
/// between two requests: hyper starts one timer for both and cannot tell them apart. More than the 60 s
/// for which load balancers usually keep a connection, so that it is they who close it: a close from here
/// could meet a request on its way.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// A client that takes in nothing of what is written to it is given up after this time.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
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

/// Removes the socket's file when dropped, if the path still leads to the same socket.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            identity: identity(path),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody else may have taken it away, or put another in its place.
        if self.identity.is_some() && identity(&self.path) == self.identity {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Device and inode of what stands there.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Makes room for a socket: takes away one on which nobody listens, and nothing else.
async fn clear(path: &Path) -> io::Result<()> {
    let found = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        let message = format!(
            "{} exists and is not a socket: move it away, or choose another path",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    match tokio::net::UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A full backlog, say, or no permission: somebody may well listen.
        Ok(_) | Err(_) => Err(io::Error::from(io::ErrorKind::AddrInUse)),
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
    /// As the operating system says; `AddrInUse` when somebody listens there, `AlreadyExists` when something
    /// else than a socket stands there.
    pub async fn unix(path: &Path) -> io::Result<Self> {
        clear(path).await?;
        let listener = UnixListener::bind(path)?;
        let file = SocketFile::new(path);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
        Ok(Self::Unix(listener, file))
    }

    /// Its real address, for the log.
    pub fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|error| error.to_string(), |address| address.to_string()),
            Self::Unix(_, file) => format!("unix:{}", file.path.display()),
        }
    }

    /// Serves until the shutdown begins; connections then end after their present request. `alive` is
    /// dropped by the last connection.
    pub async fn serve(self, front: Front, mut shutdown: Shutdown, alive: Arc<()>) {
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
                        front.clone(),
                        shutdown.clone(),
                        Arc::clone(&alive),
                    ));
                }
                Ok(Stream::Unix(stream)) => {
                    task::detach(connection(
                        stream,
                        front.clone(),
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
    front: Front,
    mut shutdown: Shutdown,
    alive: Arc<()>,
) {
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(
            TokioIo::new(WriteTimeout::new(stream, WRITE_TIMEOUT)),
            front,
        );
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// An empty directory of its own, removed at the end.
    struct Dir(PathBuf);

    impl Dir {
        fn new() -> Self {
            let name = format!("pointsman-socket-{:016x}", fastrand::u64(..));
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[tokio::test]
    async fn a_file_in_the_sockets_place_is_left_alone_and_named() {
        let dir = Dir::new();
        let path = dir.0.join("notes");
        fs::write(&path, "precious").unwrap();
        let error = Listener::unix(&path).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let dir = Dir::new();
        let path = dir.0.join("socket");
        // The standard library's listener leaves its file behind.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let live = Listener::unix(&path).await.unwrap();
        let error = Listener::unix(&path).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(live);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn another_ones_socket_is_not_removed_at_the_end() {
        let dir = Dir::new();
        let path = dir.0.join("socket");
        let ours = Listener::unix(&path).await.unwrap();
        // Moved, not removed: a free inode could be given out again.
        fs::rename(&path, dir.0.join("moved")).unwrap();
        let _theirs = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(ours);
        assert!(path.exists());
    }
}
