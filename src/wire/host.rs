//! The host that a request is for (RFC 9110, 7.2; RFC 9112, 3.2; RFC 9113, 8.3.1), and whether a host is a name of this
//! machine's own.

use std::net::{IpAddr, Ipv6Addr};

use http::{HeaderMap, Uri, Version, header};

/// Which host a request names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NamedHost<'a> {
    /// None: HTTP/1.0 does not have to.
    Nobody,
    /// This one, with its port if it has one. May be empty.
    Host(&'a str),
    /// The target says another one than the header. HTTP/1.1 goes by the target (RFC 9112, 3.2.2), but no honest client
    /// sends this.
    Different,
}

/// Why a request's host makes it a malformed request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HostFault {
    /// There is no host.
    #[error("the request has no Host header, which HTTP/1.1 requires: send one")]
    Missing,
    /// There are several hosts.
    #[error("the request has more than one Host header: send one")]
    Several,
    /// It is no host, or no port.
    #[error(
        "the Host of the request is not a host with an optional port: send one such as localhost:8080"
    )]
    Invalid,
    /// HTTP/2: `:authority` and `host` differ.
    #[error("the request's :authority and Host differ: send one of them, or the same in both")]
    Differs,
}

/// The host that this request is for.
///
/// # Errors
/// What a server answers with 400 (RFC 9112, 3.2).
pub fn named<'a>(
    version: Version,
    uri: &'a Uri,
    headers: &'a HeaderMap,
) -> Result<NamedHost<'a>, HostFault> {
    let mut lines = headers.get_all(header::HOST).iter();
    let line = match lines.next() {
        None => None,
        Some(value) => {
            let text = value.to_str().map_err(|_| HostFault::Invalid)?;
            Some(text)
                .filter(|text| is_valid(text))
                .ok_or(HostFault::Invalid)?
                .into()
        }
    };
    if lines.next().is_some() {
        return Err(HostFault::Several);
    }
    let target = uri.authority().map(http::uri::Authority::as_str);
    if target.is_some_and(|target| !is_valid(target)) {
        return Err(HostFault::Invalid);
    }
    match (target, line) {
        (Some(target), Some(line)) if !target.eq_ignore_ascii_case(line) => match version {
            Version::HTTP_2 | Version::HTTP_3 => Err(HostFault::Differs),
            _ => Ok(NamedHost::Different),
        },
        // HTTP/1.1 requires the header even when the target names a host.
        (_, None) if version == Version::HTTP_11 => Err(HostFault::Missing),
        (Some(host), _) | (None, Some(host)) => Ok(NamedHost::Host(host)),
        (None, None) if version <= Version::HTTP_10 => Ok(NamedHost::Nobody),
        (None, None) => Err(HostFault::Missing),
    }
}

/// Whether this is `uri-host [ ":" port ]` (RFC 3986, 3.2.2): in particular without a user.
fn is_valid(text: &str) -> bool {
    let (host, port) = parts(text);
    let port = port.unwrap_or_default();
    if port.len() > 5 || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').is_some_and(|address| {
            // A zone (RFC 6874) belongs to the machine that sent it.
            let (address, zone) = address.split_once("%25").unwrap_or((address, "0"));
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
            address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && zone.bytes().all(fits)
        }),
        None => host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)),
    }
}

/// Host and port; the host of an IPv6 address with its brackets.
fn parts(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    }
}

/// Names by which containers call the machine that they run on. They are below `.internal`, which is reserved for private
/// use (ICANN, 2024), so that no page on the internet has them.
const HOSTS_OF_CONTAINERS: [&str; 3] = [
    "host.docker.internal",
    "gateway.docker.internal",
    "host.containers.internal",
];

/// Whether a page in a browser cannot have this host for its own: an address, a name that leads to this machine
/// everywhere (`localhost` and what is below it, RFC 6761, 6.3), or one that leads to it from containers. Any other name
/// can be given any address ("DNS rebinding").
pub fn is_fixed(host: &str) -> bool {
    if !is_valid(host) {
        return false;
    }
    let (name, _) = parts(host);
    let name = name.strip_suffix('.').unwrap_or(name);
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    bare.unwrap_or(name).parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || HOSTS_OF_CONTAINERS
            .iter()
            .any(|host| name.eq_ignore_ascii_case(host))
        || name
            .len()
            .checked_sub(".localhost".len())
            .and_then(|at| name.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(".localhost"))
}

/// Whether the host is one of these names. A name that begins with `*.` matches all subdomains.
pub fn is_one_of(host: &str, names: &[String]) -> bool {
    let (name, _) = parts(host);
    let name = name.strip_suffix('.').unwrap_or(name);
    names.iter().any(|own| match own.strip_prefix('*') {
        Some(end) => name
            .len()
            .checked_sub(end.len())
            .filter(|at| *at > 0)
            .and_then(|at| name.get(at..))
            .is_some_and(|rest| rest.eq_ignore_ascii_case(end)),
        None => own.eq_ignore_ascii_case(name),
    })
}

/// Host without port, and the port, which is the usual one of the scheme when there is none.
pub(super) fn with_port<'a>(host: &'a str, usual: &'a str) -> (&'a str, &'a str) {
    let (name, port) = parts(host);
    (name, port.filter(|port| !port.is_empty()).unwrap_or(usual))
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};
    use proptest::prelude::*;

    use super::*;

    fn outcome(version: Version, target: &str, hosts: &[&str]) -> Result<String, HostFault> {
        let mut request = Request::builder().version(version).uri(target);
        for host in hosts {
            request = request.header("host", HeaderValue::from_str(host).unwrap());
        }
        let request = request.body(()).unwrap();
        let named = named(version, request.uri(), request.headers())?;
        Ok(match named {
            NamedHost::Host(host) => host.to_owned(),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn the_header_is_needed_once_and_must_be_a_host() {
        let v11 = |hosts: &[&str]| outcome(Version::HTTP_11, "/x", hosts);
        for host in [
            "a",
            "a:80",
            "a:",
            "",
            "[::1]:8080",
            "127.0.0.1",
            "a.",
            "[fe80::1%25eth0]:1",
        ] {
            assert_eq!(v11(&[host]), Ok(host.to_owned()), "{host}");
        }
        for host in [
            "a b",
            "a@b",
            "a/b",
            "a:b",
            "::1",
            "[::1",
            "[x]",
            "a,b",
            "a:80:80",
            "a:123456",
            "http://a",
            "a?b",
            "a\\b",
            "[::1]x",
            "[::1%25@b]",
            "[::1%25]",
        ] {
            let expected = match host {
                // A sub-delimiter is allowed in a name (RFC 3986, 3.2.2).
                "a,b" => Ok(host.to_owned()),
                _ => Err(HostFault::Invalid),
            };
            assert_eq!(v11(&[host]), expected, "{host}");
        }
        assert_eq!(v11(&[]), Err(HostFault::Missing));
        assert_eq!(v11(&["a", "a"]), Err(HostFault::Several));
        assert_eq!(outcome(Version::HTTP_10, "/x", &[]), Ok("Nobody".into()));
        assert_eq!(
            outcome(Version::HTTP_10, "/x", &["a", "b"]),
            Err(HostFault::Several)
        );
    }

    #[test]
    fn a_target_comes_before_the_header_and_may_not_differ_on_http2() {
        let (v11, v2) = (Version::HTTP_11, Version::HTTP_2);
        assert_eq!(outcome(v11, "http://a/x", &["A"]), Ok("a".into()));
        assert_eq!(outcome(v11, "http://a/x", &["b"]), Ok("Different".into()));
        assert_eq!(outcome(v11, "http://a/x", &[]), Err(HostFault::Missing));
        assert_eq!(
            outcome(v11, "http://u@a/x", &["a"]),
            Err(HostFault::Invalid)
        );
        assert_eq!(outcome(v2, "http://a/x", &[]), Ok("a".into()));
        assert_eq!(outcome(v2, "http://a/x", &["b"]), Err(HostFault::Differs));
        assert_eq!(outcome(v2, "/x", &["b"]), Ok("b".into()));
        assert_eq!(outcome(v2, "/x", &[]), Err(HostFault::Missing));
    }

    #[test]
    fn addresses_and_localhost_cannot_be_a_pages_own() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:80",
            "localhost",
            "LocalHost.:80",
            "app.localhost",
            "0.0.0.0",
            "192.168.1.7:8080",
            "127.0.0.1.",
            "host.docker.internal:8080",
            "Host.Containers.Internal",
        ] {
            assert!(is_fixed(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evillocalhost",
            "2130706433",
            "0x7f.1",
            "localhost..",
            "[::1].evil",
            ":::.evil.example",
            "evil.docker.internal",
            "host.docker.internal.evil.example",
        ] {
            assert!(!is_fixed(host), "{host}");
        }
        let own = ["gate.example".to_owned(), "*.svc".to_owned()];
        for host in ["GATE.example:80", "gate.example.", "a.b.svc"] {
            assert!(is_one_of(host, &own), "{host}");
        }
        for host in ["x.gate.example", "svc", ".svc", "example", ""] {
            assert!(!is_one_of(host, &own), "{host}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(text in "\\PC{0,30}") {
            is_valid(&text);
            is_fixed(&text);
            is_one_of(&text, &["*.a".to_owned(), "é".to_owned()]);
        }

        #[test]
        fn whatever_ends_in_a_foreign_name_is_not_fixed(start in "[a-z0-9.:\\[\\]-]{0,20}") {
            let host = format!("{start}.evil.example");
            prop_assert!(!is_fixed(&host));
        }
    }
}
