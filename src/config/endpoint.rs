//! A provider's URL: an API root, or the full URL of its chat completions.

use std::net::IpAddr;

use http::Uri;

use crate::wire::dialects::Dialect;

/// Where a provider is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ProviderAddress {
    /// API root without a trailing slash.
    pub base_url: String,
    /// The full URL that was given.
    pub chat_url: Option<String>,
    /// It is on this machine or in a private network.
    pub local: bool,
}

impl ProviderAddress {
    /// Reads an absolute http(s) URL. A trailing slash does not matter; one that ends in the dialect's
    /// [`full_path`](crate::wire::dialect::UpstreamDialect::full_path) is kept as the full URL, with its query. Of any
    /// other the dialect tells the [`root`](crate::wire::dialect::UpstreamDialect::root).
    ///
    /// # Errors
    /// What is wrong with it. The URL itself is not part of the message: it may hold a secret.
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, String> {
        let text = text.trim();
        let uri: Uri = text.parse().map_err(|_| "is not a URL".to_owned())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err("is not an absolute http:// or https:// URL".to_owned());
        }
        let Some(authority) = uri.authority() else {
            return Err("names no host".to_owned());
        };
        if authority.as_str().contains('@') {
            return Err("holds a user name: put credentials into api_key or headers".to_owned());
        }
        let rest = authority.as_str().strip_prefix(authority.host());
        let bad_port = rest.is_some_and(|rest| !rest.is_empty() && authority.port_u16().is_none());
        if authority.host().is_empty() || bad_port {
            return Err("names no host, or a port that is none".to_owned());
        }
        if text.contains('#') {
            return Err("has a fragment (`#`)".to_owned());
        }
        let (root, query) = match text.split_once('?') {
            Some((root, query)) => (root, Some(query)),
            None => (text, None),
        };
        let root = root.trim_end_matches('/');
        let local = is_local(authority.host());
        if let Some(base) = root.strip_suffix(dialect.full_path()) {
            let chat_url = match query {
                Some(query) => format!("{root}?{query}"),
                None => root.to_owned(),
            };
            return Ok(Self {
                base_url: base.trim_end_matches('/').to_owned(),
                chat_url: Some(chat_url),
                local,
            });
        }
        if query.is_some() {
            return Err("is an API root with a query: give the full URL instead".to_owned());
        }
        Ok(Self {
            base_url: dialect.root(root).to_owned(),
            chat_url: None,
            local,
        })
    }
}

/// Whether a host is this machine or in a private network, where calls without a key are usual.
fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(v4)) => {
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified()
        }
        Ok(IpAddr::V6(v6)) => {
            v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()
        }
        Err(_) => {
            let name = bare.to_ascii_lowercase();
            let private = ["localhost", "local", "internal", "lan"];
            // A name without a dot is one of a container network or of the hosts file.
            !name.contains('.')
                || name
                    .rsplit('.')
                    .next()
                    .is_some_and(|end| private.contains(&end))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::dialects;

    fn parse(text: &str) -> Result<ProviderAddress, String> {
        ProviderAddress::parse(text, dialects::usual())
    }

    #[test]
    fn roots_lose_their_slash_and_full_urls_are_kept() {
        let root = parse("https://api.example.com/v1/").unwrap();
        assert_eq!(
            (root.base_url.as_str(), root.chat_url),
            ("https://api.example.com/v1", None)
        );
        let full = parse("https://api.groq.com/openai/v1/chat/completions/").unwrap();
        assert_eq!(full.base_url, "https://api.groq.com/openai/v1");
        assert_eq!(
            full.chat_url.as_deref(),
            Some("https://api.groq.com/openai/v1/chat/completions")
        );
        let query = parse("http://h:1/d/chat/completions?api-version=2").unwrap();
        assert_eq!(
            query.chat_url.as_deref(),
            Some("http://h:1/d/chat/completions?api-version=2")
        );
    }

    #[test]
    fn what_is_no_url_is_refused_without_being_shown() {
        for text in [
            "",
            "api.example.com/v1",
            "ftp://x/v1",
            "https://",
            "http://u:secret@h/v1",
            "http://h:99999/v1",
            "http://h/v1?x=1",
            "http://h/v1#x",
            "http://a b/",
        ] {
            let error = parse(text).unwrap_err();
            assert!(!error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn private_hosts_are_local() {
        let local = |host: &str| parse(&format!("http://{host}/v1")).unwrap().local;
        assert!(local("localhost:1") && local("127.0.0.1") && local("[::1]:8") && local("ollama"));
        assert!(local("192.168.0.9") && local("10.1.1.1") && local("gpu.internal"));
        assert!(!local("1.2.3.4") && !local("api.example.com") && !local("[2001:db8::1]"));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "(http://)?\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
