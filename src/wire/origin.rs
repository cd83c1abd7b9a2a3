//! The headers by which a browser identifies the page of a request (`Origin`, RFC 6454; `Sec-Fetch-Site`, Fetch
//! Metadata), and those that allow pages to read the answer (CORS, the Fetch standard). Programs that are no browsers
//! send none of these headers.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::host::{NamedHost, is_fixed, with_port};

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a browser's marks are on the request.
pub fn is_marked(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || headers.contains_key(SITE)
}

/// Whether a browser says that a page from elsewhere sent it. `encrypted`: it came over TLS.
pub fn is_foreign(headers: &HeaderMap, named: NamedHost<'_>, encrypted: bool) -> bool {
    let mut sites = headers.get_all(SITE).iter();
    if sites.any(|site| site != "same-origin" && site != "none") {
        return true;
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return false;
    };
    let (Ok(origin), NamedHost::Host(host), None) = (origin.to_str(), named, origins.next()) else {
        return true;
    };
    !is_same(origin, host, encrypted)
}

/// Whether that is the origin of what is called by this host. At an address or `localhost` the scheme counts as well: an
/// `https` page there is another server's. A name may belong to a proxy that takes TLS off.
fn is_same(origin: &str, host: &str, encrypted: bool) -> bool {
    let Some((scheme, site)) = origin.split_once("://") else {
        return false;
    };
    let secure = scheme.eq_ignore_ascii_case("https");
    if !secure && !scheme.eq_ignore_ascii_case("http") {
        return false;
    }
    if is_fixed(host) && secure != encrypted {
        return false;
    }
    let usual = if secure { "443" } else { "80" };
    let (site, site_port) = with_port(site, usual);
    let (host, port) = with_port(host, usual);
    site.eq_ignore_ascii_case(host) && site_port == port
}

/// The origins whose pages may call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origins {
    /// All of them may.
    pub any: bool,
    /// In lower case: `https://app.example`, `http://localhost:3000`.
    pub listed: Vec<String>,
}

impl Origins {
    /// Whether no page may call.
    pub fn is_empty(&self) -> bool {
        !self.any && self.listed.is_empty()
    }

    /// The origin of the request, if its pages may call.
    pub fn allowed<'h>(&self, headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
        if self.is_empty() {
            return None;
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let (Some(origin), None) = (origins.next(), origins.next()) else {
            return None;
        };
        let is = |own: &String| origin.as_bytes().eq_ignore_ascii_case(own.as_bytes());
        (self.any || self.listed.iter().any(is)).then_some(origin)
    }

    /// Reads one as it is typed: a scheme and a host, with a port where it is not the usual one; `null`; `*` for all. What
    /// a browser would never send is refused.
    pub fn add(&mut self, text: &str) -> bool {
        if text == "*" {
            self.any = true;
            return true;
        }
        if text == "null" {
            // What pages without a site of their own send: those of files, of desktop programs, and sandboxed frames.
            self.listed.push(text.to_owned());
            return true;
        }
        let text = text.strip_suffix('/').unwrap_or(text);
        let Some((scheme, site)) = text.split_once("://") else {
            return false;
        };
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let placed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        let fits = !scheme.is_empty()
            && scheme.bytes().all(named)
            && !site.is_empty()
            && site.bytes().all(placed);
        if !fits {
            return false;
        }
        let mut origin = text.to_ascii_lowercase();
        for (scheme, port) in [("http://", ":80"), ("https://", ":443")] {
            // A browser leaves the usual port out.
            if origin.starts_with(scheme)
                && let Some(short) = origin.strip_suffix(port)
            {
                origin.truncate(short.len());
            }
        }
        self.listed.push(origin);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    fn foreign(origin: &'static str, host: &str, encrypted: bool) -> bool {
        is_foreign(
            &headers(&[("origin", origin)]),
            NamedHost::Host(host),
            encrypted,
        )
    }

    #[test]
    fn only_the_hosts_own_origin_is_at_home() {
        for (origin, host, encrypted) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080", false),
            ("HTTP://LOCALHOST:8080", "localhost:8080", false),
            ("http://localhost", "localhost:80", false),
            ("http://[::1]:8080", "[::1]:8080", false),
            ("https://localhost", "localhost:443", true),
            ("https://gate.example", "gate.example", false),
            ("http://gate.example:81", "gate.example:81", false),
        ] {
            assert!(!foreign(origin, host, encrypted), "{origin} {host}");
        }
        for (origin, host) in [
            ("null", "127.0.0.1:8080"),
            ("", "127.0.0.1:8080"),
            ("http://evil.example", "127.0.0.1:8080"),
            ("http://127.0.0.1:3000", "127.0.0.1:8080"),
            ("http://127.0.0.1", "127.0.0.1:8080"),
            ("http://localhost:8080", "127.0.0.1:8080"),
            ("https://127.0.0.1:8080", "127.0.0.1:8080"),
            ("chrome-extension://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://127.0.0.1:8080/x", "127.0.0.1:8080"),
            ("http://u@127.0.0.1:8080", "127.0.0.1:8080"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://x", ""),
        ] {
            assert!(foreign(origin, host, false), "{origin} {host}");
        }
        let named = NamedHost::Host("localhost");
        let two = headers(&[
            ("origin", "http://localhost"),
            ("origin", "http://evil.example"),
        ]);
        assert!(is_foreign(&two, named, false));
        for site in ["cross-site", "same-site", "SAME-ORIGIN", "", "new-word"] {
            let site = headers(&[("sec-fetch-site", site)]);
            assert!(is_foreign(&site, named, false), "{site:?}");
        }
        for site in ["same-origin", "none"] {
            assert!(!is_foreign(
                &headers(&[("sec-fetch-site", site)]),
                named,
                false
            ));
        }
        assert!(!is_foreign(&headers(&[]), named, false));
    }

    #[test]
    fn origins_read_as_a_browser_sends_them() {
        let mut origins = Origins::default();
        for text in [
            "https://App.example/",
            "http://localhost:3000",
            "https://b.example:443",
            "tauri://localhost",
            "null",
        ] {
            assert!(origins.add(text), "{text}");
        }
        for text in [
            "",
            "NULL/",
            "app.example",
            "https://",
            "://a",
            "https://a/b",
            "https://u@a",
            "https://*.a",
            "https://a?",
        ] {
            assert!(!origins.add(text), "{text}");
        }
        for origin in [
            "https://app.example",
            "HTTPS://APP.EXAMPLE",
            "http://localhost:3000",
            "https://b.example",
        ] {
            assert!(
                origins.allowed(&headers(&[("origin", origin)])).is_some(),
                "{origin}"
            );
        }
        for origin in [
            "http://app.example",
            "https://app.example:8443",
            "https://x.app.example",
            "NULL/",
        ] {
            assert!(
                origins.allowed(&headers(&[("origin", origin)])).is_none(),
                "{origin}"
            );
        }
        assert!(origins.allowed(&headers(&[])).is_none());
    }
}
