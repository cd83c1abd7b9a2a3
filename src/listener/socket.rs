//! Sockets on which connections come in: bound or passed in, served, and closed without losing connections that wait.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[cfg(target_os = "linux")]
use socket2::{SockFilter, SockRef};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream, lookup_host};
use tokio::time::Instant;

use super::connection::{Connections, ServeOptions};
use super::drain::{DrainPhase, ShutdownHandle};
use super::passed::{Passed, Socket};
use super::room::Leaves;
use super::service::Serves;
use super::shortage::{self, Shortage, Word};
use super::socket_file::{self, BACKLOG, FileMode, SocketFile};
use super::tls::Tls;
use crate::config::Listen;

/// After an error of `accept` (no file descriptors left, say) a short rest instead of a busy loop.
const ACCEPT_REST: Duration = Duration::from_millis(50);
/// While connections could not be accepted, it is looked so often whether that is over.
const ACCEPT_LOOK: Duration = Duration::from_secs(1);
/// From the moment when a shared port ignores new connections until it is closed: connections that had begun before
/// have this long for the rest of their handshake, one round trip.
const SETTLE: Duration = Duration::from_millis(250);

/// How an address is listened on.
#[derive(Debug)]
pub struct Bind<'a> {
    /// The limits it shares with others.
    pub connections: &'a Connections,
    /// `None`: without TLS.
    pub tls: Option<&'a Arc<Tls>>,
    /// For a Unix socket.
    pub file: &'a FileMode,
    /// Whether another process may listen there at the same time (TCP), or may take it over (Unix).
    pub reuse: bool,
    /// Sockets that take the place of a bound one.
    pub passed: &'a mut Passed,
}

/// Where connections come in.
#[derive(Debug)]
pub struct Listener {
    bound: BoundSocket,
    how: ServeOptions,
}

#[derive(Debug)]
enum BoundSocket {
    Tcp(TcpListener, PortSharing),
    /// Without a file when it was passed in, and its path.
    Unix(UnixListener, Option<SocketFile>, PathBuf),
}

/// The other sockets of a TCP port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum PortSharing {
    /// No other socket has the port.
    Own,
    /// With other sockets of the same address: each has a queue of its own.
    Port,
    /// With other holders of the same socket: the queue outlives this process.
    Queue,
}

/// Listens on this address; port 0 takes a free one. Call [`take_place`](Listener::take_place) before it serves.
///
/// # Errors
/// The operating system's error; `AddrInUse` when another process listens there, `AlreadyExists` when another kind of
/// file is at a Unix socket's path.
pub async fn bind(listen: &Listen, options: Bind<'_>) -> io::Result<Listener> {
    let how = ServeOptions {
        connections: options.connections.clone(),
        tls: options.tls.cloned(),
        // From further away it could be a proxy that forwards what it does not understand.
        sniff: listen.is_local() && options.connections.has_http2(),
    };
    let bound = match (options.passed.claim(listen), listen) {
        (Some(Socket::Tcp(socket)), _) => {
            BoundSocket::Tcp(TcpListener::from_std(socket)?, PortSharing::Queue)
        }
        (Some(Socket::Unix(socket, path)), _) => {
            BoundSocket::Unix(UnixListener::from_std(socket)?, None, path)
        }
        (None, Listen::Tcp(address)) => {
            let share = match options.reuse {
                true => PortSharing::Port,
                false => PortSharing::Own,
            };
            BoundSocket::Tcp(tcp(address, options.reuse).await?, share)
        }
        (None, Listen::Unix(path)) => {
            let (socket, file) = socket_file::bind(path, options.file, options.reuse).await?;
            BoundSocket::Unix(socket, Some(file), path.clone())
        }
    };
    Ok(Listener { bound, how })
}

/// The first address of that name that can be bound; with `reuse` other sockets may have it too. The runtime's own
/// function would queue only 128 connections, and a client that is not queued waits for a second.
async fn tcp(address: &str, reuse: bool) -> io::Result<TcpListener> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in lookup_host(address).await? {
        let bound = || {
            let socket = if address.is_ipv4() {
                TcpSocket::new_v4()?
            } else {
                TcpSocket::new_v6()?
            };
            socket.set_reuseaddr(true)?;
            socket.set_reuseport(reuse)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        match bound() {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    /// Takes the place of another process's Unix socket, which stays untouched until then, since the start may still
    /// fail.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn take_place(&mut self) -> io::Result<()> {
        match &mut self.bound {
            BoundSocket::Unix(_, Some(file), _) => file.take_place(),
            _ => Ok(()),
        }
    }

    /// Its real address, for the log.
    pub fn address(&self) -> String {
        match &self.bound {
            BoundSocket::Tcp(listener, _) => listener
                .local_addr()
                .map_or_else(|error| error.to_string(), |address| address.to_string()),
            BoundSocket::Unix(_, _, path) => format!("unix:{}", path.display()),
        }
    }

    /// Whether it is a Unix socket.
    pub fn is_unix(&self) -> bool {
        matches!(self.bound, BoundSocket::Unix(..))
    }

    /// Whether it is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.how.tls.is_some()
    }

    /// Serves until the shutdown closes listeners. Connections that exist by then are still served.
    pub async fn serve<S: Serves>(self, service: S, shutdown: ShutdownHandle) {
        let mut watching = shutdown.clone();
        let closing = watching.reached(DrainPhase::Closed);
        tokio::select! {
            biased;
            () = closing => {}
            () = self.accept_all(&service, &shutdown) => {}
        }
        if self.turn_away() {
            let settling = self.accept_all(&service, &shutdown);
            drop(tokio::time::timeout(SETTLE, settling).await);
        }
        self.empty(&service, &shutdown);
    }

    async fn accept_all<S: Serves>(&self, service: &S, shutdown: &ShutdownHandle) {
        let mut shortage = Shortage::default();
        loop {
            let accepted = match shortage.lasts() {
                false => Some(self.accept().await),
                // There may be no connection for long; the end of a shortage is logged all the same.
                true => tokio::time::timeout(ACCEPT_LOOK, self.accept()).await.ok(),
            };
            match accepted {
                Some(Ok(stream)) => self.take(stream, service, shutdown),
                Some(Err(error)) => {
                    self.lack(&error, shortage.failed(Instant::now()));
                    tokio::time::sleep(ACCEPT_REST).await;
                    continue;
                }
                None => {}
            }
            if let Some(Word::Ends(lasted)) = shortage.quiet(Instant::now()) {
                let address = self.address();
                let lasted_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
                tracing::info!(address, lasted_ms, "connections are accepted again");
            }
        }
    }

    /// A connection could not be accepted. Without a free file descriptor, idle connections are asked to close.
    fn lack(&self, error: &io::Error, word: Option<Word>) {
        if shortage::is_of_descriptors(error) {
            // Strangers are asked each time, idle connections only when a line is logged.
            self.how.connections.make_room(match word {
                Some(Word::Goes(_)) => Leaves::Idle,
                _ => Leaves::Strangers,
            });
        }
        let address = self.address();
        match word {
            Some(Word::Begins) => tracing::warn!(%error, address, "cannot accept a connection"),
            Some(Word::Goes(failed)) => {
                tracing::warn!(%error, address, failed, "still cannot accept connections");
            }
            Some(Word::Ends(_)) | None => {}
        }
    }

    async fn accept(&self) -> io::Result<Stream> {
        match &self.bound {
            BoundSocket::Tcp(listener, _) => {
                let accepted = listener.accept().await;
                accepted.map(|(stream, _)| Stream::Tcp(stream))
            }
            BoundSocket::Unix(listener, ..) => {
                let accepted = listener.accept().await;
                accepted.map(|(stream, _)| Stream::Unix(stream))
            }
        }
    }

    fn take<S: Serves>(&self, stream: Stream, service: &S, shutdown: &ShutdownHandle) {
        match stream {
            Stream::Tcp(stream) => {
                // Without this small chunks wait for the acknowledgement of the last one.
                drop(stream.set_nodelay(true));
                self.how.take(stream, service.clone(), shutdown.clone());
            }
            Stream::Unix(stream) => self.how.take(stream, service.clone(), shutdown.clone()),
        }
    }

    /// Ignores clients that begin to connect to a shared port: they try again after a second, and reach another socket
    /// of the port when this one is gone. Without this, a connection between the last `accept` and the close is reset.
    /// Returns whether the filter is attached.
    #[cfg(target_os = "linux")]
    fn turn_away(&self) -> bool {
        let BoundSocket::Tcp(listener, PortSharing::Port) = &self.bound else {
            return false;
        };
        // Classic BPF (filter.rst of the kernel): load the byte with the flags of the TCP header, drop if SYN is set.
        let filter = [
            SockFilter::new(0x30, 0, 0, 13),
            SockFilter::new(0x45, 0, 1, 0x02),
            SockFilter::new(0x06, 0, 0, 0),
            SockFilter::new(0x06, 0, 0, u32::MAX),
        ];
        let attached = SockRef::from(listener).attach_filter(&filter);
        if let Err(error) = &attached {
            tracing::debug!(%error, "connections may be reset while the port is handed over");
        }
        attached.is_ok()
    }

    #[cfg(not(target_os = "linux"))]
    fn turn_away(&self) -> bool {
        false
    }

    /// Closes the socket. Connections in a queue that ends with it are accepted first.
    fn empty<S: Serves>(self, service: &S, shutdown: &ShutdownHandle) {
        let how = self.how;
        match self.bound {
            BoundSocket::Tcp(_, PortSharing::Queue) | BoundSocket::Unix(_, None, _) => {}
            BoundSocket::Tcp(listener, _) => {
                // The operating system is asked, since the runtime may not know of the last ones yet.
                let Ok(listener) = listener.into_std() else {
                    return;
                };
                for (stream, _) in waiting(|| listener.accept()) {
                    let ready = stream.set_nonblocking(true);
                    if let Ok(stream) = ready.and_then(|()| TcpStream::from_std(stream)) {
                        drop(stream.set_nodelay(true));
                        how.take(stream, service.clone(), shutdown.clone());
                    }
                }
            }
            BoundSocket::Unix(listener, Some(file), _) => {
                let Ok(listener) = listener.into_std() else {
                    return;
                };
                // The path is gone: no new client can connect.
                drop(file);
                for (stream, _) in waiting(|| listener.accept()) {
                    let ready = stream.set_nonblocking(true);
                    if let Ok(stream) = ready.and_then(|()| UnixStream::from_std(stream)) {
                        how.take(stream, service.clone(), shutdown.clone());
                    }
                }
            }
        }
    }
}

/// Everything that can be accepted without waiting.
fn waiting<T>(mut accept: impl FnMut() -> io::Result<T>) -> impl Iterator<Item = T> {
    std::iter::from_fn(move || {
        loop {
            match accept() {
                Ok(accepted) => return Some(accepted),
                // This client left while it waited.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    })
}
