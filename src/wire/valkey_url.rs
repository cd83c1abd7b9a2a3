//! The address of a Valkey server, or of any other that speaks the Redis protocol, from the URL that programs write for
//! it: `redis://user:password@host:6379/0`, `rediss://…` with TLS, `unix:/path`.

use std::fmt;
use std::path::PathBuf;

use super::segment::decoded;
use crate::domain::secret::ApiKey;

/// The port of a URL that names none.
const PORT: u16 = 6379;

/// How a server is reached and what it is told first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValkeyServer {
    /// Where it is.
    pub place: ServerPlace,
    /// The user of its access control list; `None`: its default one.
    pub user: Option<Box<str>>,
    /// The password, if it wants one.
    pub password: Option<ApiKey>,
    /// The number of the database.
    pub database: u16,
}

/// Where a server listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServerPlace {
    /// At an address in the network.
    Tcp {
        /// A name or an address, an IPv6 one without brackets.
        host: Box<str>,
        /// Its port.
        port: u16,
        /// Whether TLS is spoken.
        tls: bool,
    },
    /// At a socket of this machine.
    Unix(PathBuf),
}

/// As it may be shown: without user and password.
impl fmt::Display for ValkeyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            ServerPlace::Tcp { host, port, tls } => {
                let scheme = if *tls { "rediss" } else { "redis" };
                match host.contains(':') {
                    true => write!(f, "{scheme}://[{host}]:{port}/{}", self.database),
                    false => write!(f, "{scheme}://{host}:{port}/{}", self.database),
                }
            }
            ServerPlace::Unix(path) => {
                write!(f, "unix:{}?db={}", path.display(), self.database)
            }
        }
    }
}

/// Why a text is no such URL, and what to write instead. Shows nothing of the text, which may hold a password.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct UrlMistake {
    /// What is wrong.
    pub message: &'static str,
    /// What to write instead.
    pub suggestion: &'static str,
}

const USUAL: &str =
    "write redis://host:6379, rediss://user:password@host:6379/0 (with TLS) or unix:/path";

const fn mistake(message: &'static str, suggestion: &'static str) -> UrlMistake {
    UrlMistake {
        message,
        suggestion,
    }
}

/// Reads a URL.
///
/// # Errors
/// It is none, or says something that is not known.
pub fn parse(text: &str) -> Result<ValkeyServer, UrlMistake> {
    let text = text.trim();
    let Some((scheme, rest)) = text.split_once(':') else {
        return Err(mistake("is no URL", USUAL));
    };
    match scheme.to_ascii_lowercase().as_str() {
        "redis" | "valkey" => tcp(rest, false),
        "rediss" | "valkeys" => tcp(rest, true),
        "unix" | "redis+unix" | "valkey+unix" => unix(rest),
        _ => Err(mistake(
            "begins with a scheme that is not spoken here",
            USUAL,
        )),
    }
}

fn tcp(rest: &str, tls: bool) -> Result<ValkeyServer, UrlMistake> {
    let Some(rest) = rest.strip_prefix("//") else {
        return Err(mistake("is no URL", USUAL));
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (credentials, address) = match authority.rsplit_once('@') {
        Some((credentials, address)) => (Some(credentials), address),
        None => (None, authority),
    };
    let (host, port) = host_and_port(address)?;
    let (user, password) = match credentials.map(|text| text.split_once(':').unwrap_or((text, "")))
    {
        Some((user, password)) => (named(user), secret(password)),
        None => (None, None),
    };
    if user.is_some() && password.is_none() {
        return Err(mistake(
            "names a user without a password",
            "write redis://user:password@host; of a password alone redis://:password@host",
        ));
    }
    let path = path.strip_prefix('/').unwrap_or(path);
    Ok(ValkeyServer {
        place: ServerPlace::Tcp {
            host: host.into(),
            port,
            tls,
        },
        user,
        password,
        database: database(path.strip_suffix('/').unwrap_or(path))?,
    })
}

fn host_and_port(address: &str) -> Result<(&str, u16), UrlMistake> {
    const HOST: UrlMistake = mistake(
        "has no host that can be one",
        "characters such as / # ? in a password are written as %2F %23 %3F",
    );
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(HOST)?;
            let is_address = host.parse::<std::net::Ipv6Addr>().is_ok();
            (is_address.then_some(host).ok_or(HOST)?, port)
        }
        None => {
            let end = address.find(':').unwrap_or(address.len());
            let (host, port) = address.split_at(end);
            let is_name =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
            let is_host = !host.is_empty() && host.bytes().all(is_name);
            (is_host.then_some(host).ok_or(HOST)?, port)
        }
    };
    if port.is_empty() {
        return Ok((host, PORT));
    }
    let number = port.strip_prefix(':').and_then(|port| port.parse().ok());
    let number = number.filter(|port| *port != 0).ok_or(mistake(
        "has no port that can be one",
        "characters such as / # ? in a password are written as %2F %23 %3F",
    ))?;
    Ok((host, number))
}

fn database(text: &str) -> Result<u16, UrlMistake> {
    match text {
        "" => Ok(0),
        text => text.parse().map_err(|_| {
            mistake(
                "has something behind the host that is no number of a database",
                "write redis://host:6379/0; other settings are keys beside this one",
            )
        }),
    }
}

/// `unix:/path`, `unix:///path`; `db`, `user` and `pass` behind a question mark.
fn unix(rest: &str) -> Result<ValkeyServer, UrlMistake> {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !path.starts_with('/') || path.ends_with('/') {
        return Err(mistake(
            "names no socket",
            "write unix:/run/valkey/valkey.sock",
        ));
    }
    let mut server = ValkeyServer {
        place: ServerPlace::Unix(PathBuf::from(decoded(path))),
        user: None,
        password: None,
        database: 0,
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "db" => server.database = database(value)?,
            "user" => server.user = named(value),
            "pass" | "password" => server.password = secret(value),
            _ => {
                return Err(mistake(
                    "asks for something that is not known",
                    "of db, user and pass write what is needed: unix:/path?db=0&user=name&pass=word",
                ));
            }
        }
    }
    Ok(server)
}

fn named(text: &str) -> Option<Box<str>> {
    (!text.is_empty()).then(|| decoded(text).into())
}

fn secret(text: &str) -> Option<ApiKey> {
    (!text.is_empty()).then(|| ApiKey::new(decoded(text)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        let server = parse(text).unwrap();
        let user = server.user.as_deref().unwrap_or("-");
        let password = server.password.as_ref().map_or("-", ApiKey::expose);
        format!("{server} {user} {password}")
    }

    #[test]
    fn urls_say_where_who_and_which_database() {
        for (text, expected) in [
            ("redis://cache", "redis://cache:6379/0 - -"),
            ("valkey://cache:7000/3", "redis://cache:7000/3 - -"),
            (
                " rediss://app:s%40e%2fcret@cache.example:6380/ ",
                "rediss://cache.example:6380/0 app s@e/cret",
            ),
            ("redis://:only@10.0.0.1", "redis://10.0.0.1:6379/0 - only"),
            ("redis://a:b@c@host", "redis://host:6379/0 a b@c"),
            ("redis://[::1]:6379/1", "redis://[::1]:6379/1 - -"),
            ("unix:/run/v.sock", "unix:/run/v.sock?db=0 - -"),
            (
                "redis+unix:///run/v.sock?db=2&user=u&pass=p%26q",
                "unix:/run/v.sock?db=2 u p&q",
            ),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn what_is_none_is_refused_without_showing_it() {
        for text in [
            "",
            "cache:6379",
            "http://cache",
            "redis:cache",
            "redis://",
            "redis://:6379",
            "redis://host:0",
            "redis://host:port",
            "redis://user:hunter2/3@host",
            "redis://user@host",
            "redis://host/db",
            "redis://host/0?protocol=3",
            "redis://host/70000",
            "redis://[::1",
            "redis://ho st",
            "unix:relative",
            "unix:/run/?db=0",
            "unix:/run/v.sock?timeout=3",
        ] {
            let mistake = parse(text).unwrap_err();
            assert!(!mistake.suggestion.is_empty(), "{text}");
            assert!(!format!("{mistake:?}").contains("hunter2"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_password_is_never_shown(text in "\\PC{0,40}", password in "[a-z]{12}") {
            let url = format!("redis://u:{password}{text}@host/1");
            let shown = match parse(&url) {
                Ok(server) => format!("{server} {server:?}"),
                Err(mistake) => format!("{mistake} {mistake:?}"),
            };
            prop_assert!(!shown.contains(&password));
        }
    }
}
