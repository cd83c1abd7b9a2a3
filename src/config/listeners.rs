//! What is typed about listeners, besides their addresses: limits against slow and greedy clients, HTTP/2, TLS, the
//! files of Unix sockets, handing over; and what it means.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::ValueKind;

use super::listen::Listen;
use super::read::{ConfigNode, FromNode, Report, section};
use super::values::{PositiveSpan, Size, Span};
use crate::domain::connection::{ConnectionPolicy, Http2Policy};

section! {
    /// `server.drain`
    DrainSection {
        /// From the signal to refusing new connections. Default `0s`.
        delay: Span,
        /// How long requests under way may take to finish. Default `30s`.
        timeout: Span,
    }
}

section! {
    /// `server.timeouts`
    ClientTimeouts {
        /// From the first byte of a request's head, or of a TLS handshake, to its last. Default `30s`.
        head: PositiveSpan,
        /// Between two pieces of a request's body. Default `30s`.
        body: PositiveSpan,
        /// A connection without a request. Default `75s`.
        idle: PositiveSpan,
        /// A client that takes in nothing of what is written to it. Default `60s`.
        write: PositiveSpan,
    }
}

section! {
    /// `server.http2`
    Http2Table {
        /// Requests at the same time on one connection. Default 200.
        max_streams: NonZeroU32,
        /// How often a silent connection is asked whether it is still there; 0 means never. Default `30s`.
        ping_interval: Span,
        /// How long it may take to answer that. Default `20s`.
        ping_timeout: PositiveSpan,
        /// Streams that a client may open and reset before they were looked at. Default 20.
        max_resets: NonZeroUsize,
    }
}

/// `server.http2`, also as a switch.
pub(super) struct Http2(Option<Http2Policy>);

impl FromNode for Http2 {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let usual = Http2Policy::default();
        if !matches!(node.value.kind, ValueKind::Table(_)) {
            return bool::read(node, report).map(|on| Self(on.then_some(usual)));
        }
        let table = Http2Table::read(node, report)?;
        Some(Self(Some(Http2Policy {
            max_streams: table.max_streams.map_or(usual.max_streams, NonZeroU32::get),
            ping_interval: table
                .ping_interval
                .map_or(usual.ping_interval, |Span(span)| span),
            ping_timeout: or(table.ping_timeout, usual.ping_timeout),
            max_resets: table.max_resets.map_or(usual.max_resets, NonZeroUsize::get),
        })))
    }
}

section! {
    /// `server.tls`
    TlsSection {
        /// The certificate and those that lead to its root, PEM.
        cert: String = required,
        /// Its private key, PEM.
        key: String = required,
        /// Certificates, PEM: callers may show one that leads to one of these.
        client_ca: String,
        /// Whether a caller without a certificate is refused. Default true where there is a `client_ca`.
        require_client_cert: bool,
        /// Whether addresses that only this machine can reach are encrypted too. Default true.
        loopback: bool,
    }
}

section! {
    /// `server.unix`
    UnixFile {
        /// Permission bits in octal; connecting takes the right to write. Default `"0660"`.
        mode: OctalMode,
        /// A user's name or number. Default: the user that runs the process.
        owner: String,
        /// A group's name or number.
        group: String,
    }
}

/// `server.unix.mode`: octal digits, however they are typed.
pub(super) struct OctalMode(u32);

impl FromNode for OctalMode {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let text = node.text().unwrap_or_default();
        let digits = text.trim().trim_start_matches("0o");
        let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
        // An unquoted 0o660 arrives as 432, and so does any other mode of use without the owner's 6.
        let usable = |mode: &u32| (0o600..=0o777).contains(mode);
        let mode = u32::from_str_radix(digits, 8).ok();
        match mode.filter(|mode| plain && usable(mode)) {
            Some(mode) => Some(Self(mode)),
            None => node.wrong(
                "permission bits in octal, quoted, with 6 or 7 for the owner, such as \"0660\"",
                report,
            ),
        }
    }
}

/// How connections are taken in, whatever the address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listeners {
    /// What clients may do, and for how long.
    pub connections: ConnectionPolicy,
    /// `None`: nothing is encrypted.
    pub tls: Option<TlsSettings>,
    /// The files of Unix sockets.
    pub unix: UnixFileMode,
    /// Whether another process may take the addresses over.
    pub reuse_port: bool,
}

/// TLS of the data listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsSettings {
    /// The certificate and those that lead to its root, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Callers' certificates must lead to one of these, PEM.
    pub client_ca: Option<PathBuf>,
    /// Whether a caller without a certificate is refused.
    pub require_client_cert: bool,
    /// Whether addresses that only this machine can reach are encrypted too.
    pub loopback: bool,
}

/// Owner and permissions of a Unix socket's file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnixFileMode {
    /// Permission bits.
    pub mode: u32,
    /// A user's name or number.
    pub owner: Option<String>,
    /// A group's name or number.
    pub group: Option<String>,
}

impl Default for Listeners {
    fn default() -> Self {
        Self {
            connections: ConnectionPolicy::default(),
            tls: None,
            unix: UnixFileMode {
                mode: 0o660,
                owner: None,
                group: None,
            },
            reuse_port: false,
        }
    }
}

impl Listeners {
    /// The encryption of this address, if it has any: Unix sockets need none.
    pub fn tls_at(&self, listen: &Listen) -> Option<&TlsSettings> {
        let tls = self.tls.as_ref()?;
        let encrypted = matches!(listen, Listen::Tcp(_)) && (tls.loopback || !listen.is_local());
        encrypted.then_some(tls)
    }

    /// Whether all callers at this address show a certificate.
    pub(super) fn identifies(&self, listen: &Listen) -> bool {
        self.tls_at(listen)
            .is_some_and(|tls| tls.require_client_cert)
    }
}

fn or(typed: Option<PositiveSpan>, usual: Duration) -> Duration {
    typed.map_or(usual, |PositiveSpan(span)| span)
}

/// The keys of `server` that say so.
pub(super) struct ListenerKeys {
    pub(super) max_connections: Option<NonZeroUsize>,
    pub(super) max_head: Option<Size>,
    pub(super) timeouts: Option<ClientTimeouts>,
    pub(super) http2: Option<Http2>,
    pub(super) tls: Option<TlsSection>,
    pub(super) unix: Option<UnixFile>,
    pub(super) reuse_port: Option<bool>,
}

/// What they mean. Files are relative to `dir`.
pub(super) fn resolve(raw: ListenerKeys, dir: &Path, report: &mut Report) -> Listeners {
    let usual = Listeners::default();
    let typed = raw.timeouts.unwrap_or_default();
    let times = usual.connections;
    let max_head = raw.max_head.map_or(times.max_head, |size| size.0);
    if !(1024..=1024 * 1024).contains(&max_head) {
        let path = "server.max_head";
        report.problem(path, "must be from 1KiB to 1MiB", "the usual one is 64KiB");
    }
    let file = raw.unix.unwrap_or_default();
    Listeners {
        connections: ConnectionPolicy {
            max_connections: raw
                .max_connections
                .map_or(times.max_connections, NonZeroUsize::get),
            max_head,
            head: or(typed.head, times.head),
            body: or(typed.body, times.body),
            idle: or(typed.idle, times.idle),
            write: or(typed.write, times.write),
            http2: raw.http2.map_or(times.http2, |Http2(http2)| http2),
        },
        tls: raw.tls.and_then(|raw| tls(raw, dir, report)),
        unix: UnixFileMode {
            mode: file.mode.map_or(usual.unix.mode, |OctalMode(mode)| mode),
            owner: file.owner,
            group: file.group,
        },
        reuse_port: raw.reuse_port.unwrap_or_default(),
    }
}

fn tls(raw: TlsSection, dir: &Path, report: &mut Report) -> Option<TlsSettings> {
    let mut file = |name: &str, typed: Option<String>| {
        let path = format!("server.tls.{name}");
        let typed = typed.filter(|typed| !typed.trim().is_empty())?;
        let found = dir.join(typed.trim());
        // What is in it is looked at when it is used; here only that there is something to look at.
        if let Err(error) = std::fs::File::open(&found) {
            let message = format!("cannot read {}: {error}", found.display());
            report.problem(&path, message, "");
        }
        report.files.push(found.clone());
        Some(found)
    };
    let (cert, key) = (file("cert", raw.cert), file("key", raw.key));
    let client_ca = file("client_ca", raw.client_ca);
    let require = raw.require_client_cert;
    if require == Some(true) && client_ca.is_none() {
        report.problem(
            "server.tls.require_client_cert",
            "needs a client_ca to compare certificates with",
            "add client_ca: /path/to/ca.pem",
        );
    }
    let (Some(cert), Some(key)) = (cert, key) else {
        report.problem(
            "server.tls",
            "needs both a certificate and its key",
            "write tls: {cert: /path/to/chain.pem, key: /path/to/key.pem}",
        );
        return None;
    };
    Some(TlsSettings {
        cert,
        key,
        require_client_cert: require.unwrap_or(client_ca.is_some()),
        client_ca,
        loopback: raw.loopback.unwrap_or(true),
    })
}
