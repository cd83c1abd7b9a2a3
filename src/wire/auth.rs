//! Where a call carries its key, when it is another place than the one that its dialect is used to, and how what it
//! carries is made of the key.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::segment;
use crate::domain::secret::ApiKey;

/// A way to let a call in, as `auth:` of a provider names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthScheme {
    /// `authorization: Bearer KEY`.
    Bearer,
    /// `x-api-key: KEY`, Anthropic's.
    XApiKey,
    /// `api-key: KEY`, Azure's.
    ApiKey,
    /// `x-goog-api-key: KEY`, Google's.
    XGoogApiKey,
    /// `?key=KEY`, Google's too.
    Query,
    /// `authorization: Bearer TOKEN`, where the token is fetched from Google with the key.
    Google,
    /// `authorization: Bearer TOKEN`, where the token is fetched from Microsoft Entra with the key.
    Azure,
    /// The call is signed with the key, an AWS access key.
    Aws,
    /// Not at all.
    None,
}

impl AuthScheme {
    /// All of them, by their names in the configuration.
    pub const ALL: [(&'static str, Self); 9] = [
        ("bearer", Self::Bearer),
        ("x-api-key", Self::XApiKey),
        ("api-key", Self::ApiKey),
        ("x-goog-api-key", Self::XGoogApiKey),
        ("query", Self::Query),
        ("google", Self::Google),
        ("azure", Self::Azure),
        ("aws", Self::Aws),
        ("none", Self::None),
    ];

    /// Its name in the configuration.
    pub fn as_str(self) -> &'static str {
        let found = Self::ALL.into_iter().find(|(_, scheme)| *scheme == self);
        found.map_or("", |(name, _)| name)
    }

    /// Whether a key is no text that is sent as it is, but what something else is made with.
    pub const fn makes(self) -> bool {
        matches!(self, Self::Google | Self::Azure | Self::Aws)
    }

    /// Puts the key there, marked as sensitive. Those that stand elsewhere or make something else are put by others.
    pub fn put(self, headers: &mut HeaderMap, key: &ApiKey) {
        let (name, prefix) = match self {
            Self::Bearer => (header::AUTHORIZATION, "Bearer "),
            Self::XApiKey => (HeaderName::from_static("x-api-key"), ""),
            Self::ApiKey => (HeaderName::from_static("api-key"), ""),
            Self::XGoogApiKey => (HeaderName::from_static("x-goog-api-key"), ""),
            Self::Query | Self::Google | Self::Azure | Self::Aws | Self::None => return,
        };
        let mut text = String::with_capacity(prefix.len() + key.expose().len());
        text.push_str(prefix);
        text.push_str(key.expose());
        if let Ok(mut value) = HeaderValue::try_from(text) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
}

/// A path with a key in its query, `?key=KEY`.
pub fn with_key(path: &str, key: &ApiKey) -> String {
    let mark = if path.contains('?') { '&' } else { '?' };
    format!("{path}{mark}key={}", segment::escaped(key.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_where_the_scheme_says_and_is_marked() {
        for (scheme, name, expected) in [
            (AuthScheme::Bearer, "authorization", "Bearer k"),
            (AuthScheme::XApiKey, "x-api-key", "k"),
            (AuthScheme::ApiKey, "api-key", "k"),
            (AuthScheme::XGoogApiKey, "x-goog-api-key", "k"),
        ] {
            let mut headers = HeaderMap::new();
            scheme.put(&mut headers, &ApiKey::new("k"));
            assert_eq!(headers[name], expected);
            assert!(headers[name].is_sensitive() && headers.len() == 1);
            assert!(!scheme.makes());
        }
        for scheme in [AuthScheme::None, AuthScheme::Query, AuthScheme::Aws] {
            let mut headers = HeaderMap::new();
            scheme.put(&mut headers, &ApiKey::new("k"));
            assert!(headers.is_empty());
        }
    }

    #[test]
    fn a_key_in_a_query_is_escaped() {
        let key = ApiKey::new("a&b=c");
        assert_eq!(with_key("/m:x", &key), "/m:x?key=a%26b%3Dc");
        assert_eq!(with_key("/m:x?alt=sse", &key), "/m:x?alt=sse&key=a%26b%3Dc");
    }
}
