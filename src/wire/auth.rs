//! Where a call carries its key, when it is another place than the one that its dialect is used to.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::domain::secret::ApiKey;

/// A way to carry a key, as `auth:` of a provider names it.
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
    /// Not at all.
    None,
}

impl AuthScheme {
    /// All of them, by their names in the configuration.
    pub const ALL: [(&'static str, Self); 5] = [
        ("bearer", Self::Bearer),
        ("x-api-key", Self::XApiKey),
        ("api-key", Self::ApiKey),
        ("x-goog-api-key", Self::XGoogApiKey),
        ("none", Self::None),
    ];

    /// Puts the key there, marked as sensitive.
    pub fn put(self, headers: &mut HeaderMap, key: &ApiKey) {
        let (name, prefix) = match self {
            Self::Bearer => (header::AUTHORIZATION, "Bearer "),
            Self::XApiKey => (HeaderName::from_static("x-api-key"), ""),
            Self::ApiKey => (HeaderName::from_static("api-key"), ""),
            Self::XGoogApiKey => (HeaderName::from_static("x-goog-api-key"), ""),
            Self::None => return,
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
        }
        let mut headers = HeaderMap::new();
        AuthScheme::None.put(&mut headers, &ApiKey::new("k"));
        assert!(headers.is_empty());
    }
}
