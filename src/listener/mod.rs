//! Floor 6: listeners, whatever they serve. Sockets are bound here, connections accepted, encrypted, bounded, served
//! over HTTP/1.1 and HTTP/2, and brought to an orderly end.

mod activity;
mod bytes;
mod connection;
mod drain;
mod head_lines;
mod monitor;
mod passed;
mod pump;
mod room;
mod service;
mod shortage;
mod socket;
mod socket_file;
mod tls;

#[cfg(test)]
mod tests;

pub use connection::Connections;
pub use drain::{Drain, DrainPhase, ShutdownHandle};
pub use passed::Passed;
pub use socket::{Bind, Listener, bind};
pub use socket_file::FileMode;
pub use tls::{Tls, TlsError, TlsFiles};
