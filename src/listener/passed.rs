//! Sockets that the parent process passes in (systemd's socket activation). They stay open while one
//! process follows another, so that no connection is refused.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use listenfd::ListenFd;

use crate::config::Listen;

/// The name by which a socket is meant for an admin listener.
const ADMIN: &str = "admin";

/// Sockets that were passed in and are not in use yet.
#[derive(Debug, Default)]
pub struct Passed(Vec<PassedEntry>);

#[derive(Debug)]
struct PassedEntry {
    /// From `LISTEN_FDNAMES`; empty without it.
    name: String,
    listen: Listen,
    socket: Socket,
}

/// One passed socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// What was passed in cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error(
    "the socket passed in as number {number} (LISTEN_FDS) must be a TCP or Unix stream socket with an address"
)]
pub struct PassedError {
    /// The position among the passed sockets, from 0.
    number: usize,
    /// What the operating system says.
    source: io::Error,
}

impl Passed {
    /// Takes them; `names` is what `LISTEN_FDNAMES` says. To be called before there are threads: the variables are
    /// taken away, so that they are not taken for those of a child.
    ///
    /// # Errors
    /// The first one that cannot be listened on.
    pub fn take(names: Option<&str>) -> Result<Self, PassedError> {
        let mut names = names.unwrap_or_default().split(':');
        let mut fds = ListenFd::from_env();
        let entries = (0..fds.len()).map(|number| {
            let name = names.next().unwrap_or_default().to_owned();
            let (listen, socket) =
                socket(&mut fds, number).map_err(|source| PassedError { number, source })?;
            Ok(PassedEntry {
                name,
                listen,
                socket,
            })
        });
        entries.collect::<Result<_, _>>().map(Self)
    }

    /// The addresses of those that are for data, as `--listen` takes them.
    pub fn addresses(&self) -> Vec<String> {
        let data = self.0.iter().filter(|entry| entry.name != ADMIN);
        data.map(|entry| entry.listen.to_string()).collect()
    }

    /// The addresses of those that are for an admin listener, as `--admin-listen` takes them.
    pub fn admin_addresses(&self) -> Vec<String> {
        let admin = self.0.iter().filter(|entry| entry.name == ADMIN);
        admin.map(|entry| entry.listen.to_string()).collect()
    }

    /// The one with this address, if there is one.
    pub(super) fn claim(&mut self, listen: &Listen) -> Option<Socket> {
        let found = self.0.iter().position(|entry| entry.listen == *listen)?;
        Some(self.0.swap_remove(found).socket)
    }
}

fn socket(fds: &mut ListenFd, number: usize) -> io::Result<(Listen, Socket)> {
    // Asking for the wrong kind leaves it where it is.
    if let Ok(Some(socket)) = fds.take_unix_listener(number) {
        let address = socket.local_addr()?;
        let path = address
            .as_pathname()
            .ok_or(io::ErrorKind::AddrNotAvailable)?;
        socket.set_nonblocking(true)?;
        let path = path.to_owned();
        return Ok((Listen::Unix(path.clone()), Socket::Unix(socket, path)));
    }
    let socket = fds.take_tcp_listener(number)?;
    let socket = socket.ok_or(io::ErrorKind::NotFound)?;
    let address = socket.local_addr()?;
    socket.set_nonblocking(true)?;
    Ok((Listen::Tcp(address.to_string()), Socket::Tcp(socket)))
}
