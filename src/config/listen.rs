//! Addresses to listen on: `host:port` or `unix:/path`.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::read::{ConfigNode, FromNode, Report};

/// One address to listen on.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Listen {
    /// `host:port`; port 0 binds a free one.
    Tcp(String),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Listen {
    /// Reads `host:port`, `[v6]:port` or `unix:/path`.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, (String, String)> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            // The kernel's limit for the path of a socket is 108 bytes with the final zero.
            return match path.len() {
                1..=107 => Ok(Self::Unix(PathBuf::from(path))),
                0 => Err(("names no socket file".into(), "write unix:/path".into())),
                _ => Err((
                    "the path of a socket may have at most 107 bytes".into(),
                    String::new(),
                )),
            };
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            let address = rest.split('/').next().unwrap_or_default();
            return Err((
                format!("begins with `{scheme}://`, and an address has no scheme"),
                match address.rsplit_once(':') {
                    Some(_) => format!("write {address}"),
                    None => format!("write {address}:8080"),
                },
            ));
        }
        let usual = |port: &str| format!("write 127.0.0.1:{port}");
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(match text.parse::<u16>() {
                Ok(port) => ("has no host".into(), usual(&port.to_string())),
                Err(_) => ("has no port".into(), format!("write {text}:8080")),
            });
        };
        if port.parse::<u16>().is_err() {
            return Err((
                format!("`{port}` is not a port"),
                "ports are 0 to 65535".into(),
            ));
        }
        if host.is_empty() {
            return Err(("has no host".into(), usual(port)));
        }
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        match bare {
            Some(v6) if v6.parse::<IpAddr>().is_ok() => {}
            None if !host.contains([':', '[', ']', '/', ' ']) => {}
            _ => {
                return Err((
                    format!("`{host}` is not a host"),
                    "write an IPv6 address in brackets: [::1]:8080".into(),
                ));
            }
        }
        Ok(Self::Tcp(text.to_owned()))
    }

    /// Its host as it was typed: a name, or an address.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Tcp(address) => Some(address.rsplit_once(':')?.0),
            Self::Unix(_) => None,
        }
    }

    /// Whether anyone from outside may call here: `identified` says that all callers show a certificate, `clients`
    /// that they need a token. What must have been asked for (`server.insecure_open`).
    pub fn is_open(&self, identified: bool, clients: bool) -> bool {
        !clients && !identified && !self.is_local()
    }

    /// Whether only this machine can connect.
    pub fn is_local(&self) -> bool {
        let Self::Tcp(address) = self else {
            return true;
        };
        let host = address.rsplit_once(':').map_or("", |(host, _)| host);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => bare.eq_ignore_ascii_case("localhost"),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `server.listen`: one or several, as a list or with commas between them.
pub(super) struct Listens(pub Vec<Listen>);

impl FromNode for Listens {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let mut found: Vec<Listen> = Vec::new();
        let before = report.problems.len();
        for item in node.items() {
            let Some(texts) = item.text() else {
                item.wrong::<()>("an address such as 127.0.0.1:8080", report);
                continue;
            };
            for text in texts.split(',').map(str::trim) {
                match Listen::parse(text) {
                    Ok(listen) if found.contains(&listen) && !text.ends_with(":0") => {
                        item.reject::<()>(format!("`{text}` is named twice"), "", report);
                    }
                    Ok(listen) => found.push(listen),
                    Err((message, suggestion)) => {
                        item.reject::<()>(format!("`{text}` {message}"), &suggestion, report);
                    }
                }
            }
        }
        if found.is_empty() && report.problems.len() == before {
            return node.reject("names no address", "write 127.0.0.1:8080", report);
        }
        Some(Self(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_written() {
        for text in [
            "127.0.0.1:8080",
            "[::1]:0",
            "localhost:80",
            "0.0.0.0:1",
            "unix:/run/p.sock",
        ] {
            assert_eq!(Listen::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "8080",
            ":8080",
            "localhost",
            "::1:8080",
            "h:99999",
            "unix:",
            "[x]:1",
            "a b:1",
        ] {
            assert!(Listen::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_loopback_and_sockets_are_local() {
        let local = |text: &str| Listen::parse(text).unwrap().is_local();
        assert!(local("127.0.0.1:1") && local("127.9.9.9:1") && local("[::1]:1"));
        assert!(local("localhost:1") && local("unix:/x") && local("[::ffff:127.0.0.1]:1"));
        assert!(!local("0.0.0.0:1") && !local("[::]:1") && !local("10.0.0.1:1"));
        assert!(!local("localhost.example:1"));
    }
}
