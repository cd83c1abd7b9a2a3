//! Tokens that let calls in for a while: what is asked of the server that gives them, and what it answers.
//!
//! Google's service accounts by a signed assertion (RFC 7523), its users by a refresh token, Microsoft Entra's programs by
//! a secret or by another's token (RFC 6749, 4.4), machines by the metadata service of their cloud, and files that somebody
//! else keeps fresh.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs1KeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use crate::domain::outcome::Class;
use crate::domain::secret::ApiKey;

/// Where Google gives tokens.
const GOOGLE: &str = "https://oauth2.googleapis.com/token";
/// Where Microsoft Entra does, with the directory in between.
const ENTRA: &str = "https://login.microsoftonline.com";
/// The metadata services of machines, at Google and at Azure.
const GOOGLE_METADATA: &str =
    "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token";
const AZURE_METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
/// What tokens are to open, where nothing else is said.
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
const COGNITIVE_SERVICES: &str = "https://cognitiveservices.azure.com/.default";
/// How long an assertion holds: the most that Google takes.
const ASSERTION: Duration = Duration::from_secs(3600);
/// How long a token is taken to hold whose life is not told: that of most, less a margin.
const USUAL_LIFE: Duration = Duration::from_secs(600);
/// A token from a file is read again after this time: whoever keeps it fresh writes it anew long before it ends.
const FILE_LIFE: Duration = Duration::from_secs(60);
/// The most of a server's words that is told, in bytes.
const MAX_WORDS: usize = 300;
/// How long a key stays away after a server could not be asked for its token.
const AGAIN: Duration = Duration::from_secs(10);

/// What a token is fetched with.
#[derive(Debug)]
pub struct Grant {
    /// In which way.
    pub kind: GrantKind,
    /// From which server, if not the usual one.
    pub url: Option<String>,
    /// What for, if not the usual.
    pub scope: Option<String>,
}

/// The ways.
#[derive(Debug)]
pub enum GrantKind {
    /// A file with the token in it.
    File(PathBuf),
    /// Google's metadata service.
    Metadata,
    /// Azure's, for one of the machine's identities.
    ManagedIdentity {
        /// Which one, where there are several.
        client: Option<String>,
    },
    /// A service account at Google.
    ServiceAccount {
        /// Its name.
        email: String,
        /// What it signs with.
        key: SigningKey,
        /// That key's name.
        key_id: Option<String>,
    },
    /// A person at Google.
    User {
        /// The program that the person allowed.
        client: String,
        /// Its secret.
        secret: ApiKey,
        /// What shows that.
        refresh: ApiKey,
    },
    /// A program at Microsoft Entra.
    ClientSecret {
        /// Its directory.
        tenant: String,
        /// Its id.
        client: String,
        /// Its secret.
        secret: ApiKey,
    },
    /// The same, known by a token of somebody whom Entra trusts.
    Federated {
        /// Its directory.
        tenant: String,
        /// Its id.
        client: String,
        /// Where that token is.
        file: PathBuf,
    },
}

/// A private RSA key.
pub struct SigningKey(RsaKeyPair);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(****)")
    }
}

impl SigningKey {
    /// From PEM; `None` for what is no RSA key.
    pub fn read(pem: &ApiKey) -> Option<Self> {
        let pem = pem.expose().as_bytes();
        let newer = PrivatePkcs8KeyDer::from_pem_slice(pem).ok();
        let newer = newer.and_then(|der| RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok());
        let older = || {
            let der = PrivatePkcs1KeyDer::from_pem_slice(pem).ok()?;
            RsaKeyPair::from_der(der.secret_pkcs1_der()).ok()
        };
        newer.or_else(older).map(Self)
    }

    /// A signed assertion of these claims (RFC 7515, compact form; RS256).
    fn assert(&self, key_id: Option<&str>, claims: &Value) -> Option<String> {
        let mut head = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = key_id {
            head["kid"] = json!(id);
        }
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let text = format!("{}.{}", part(&head), part(claims));
        let mut signature = vec![0; self.0.public_modulus_len()];
        let random = SystemRandom::new();
        let signed = self
            .0
            .sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature);
        signed.ok()?;
        Some(format!("{text}.{}", BASE64URL_NOPAD.encode(&signature)))
    }
}

/// A token, and how long it holds from now on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchedToken {
    /// The token.
    pub token: ApiKey,
    /// How long it holds.
    pub life: Duration,
}

/// A call to a server that gives tokens.
#[derive(Debug)]
pub struct TokenRequest {
    /// `GET` or `POST`.
    pub method: Method,
    /// The whole URL.
    pub url: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// A form, or nothing.
    pub body: ApiKey,
}

/// Why there is no token. Each concerns one key alone.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TokenError {
    /// The key that signs does not.
    #[error(
        "the private key of the service account cannot sign; give the provider another credential file"
    )]
    Unsigned,
    /// A file that is missing, or without a token.
    #[error("the file of a token {path} cannot be used ({why}); mount it, or correct its path")]
    File {
        /// Its path.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// No answer.
    #[error(
        "the token server at {host} gave no answer ({why}); check the way to it, or set token_url"
    )]
    Unreachable {
        /// Its host.
        host: String,
        /// What happened.
        why: String,
    },
    /// It knows the credential, and says no.
    #[error(
        "the token server at {host} refused the credential ({status}: {words}); renew it there and here"
    )]
    Refused {
        /// Its host.
        host: String,
        /// Its status.
        status: u16,
        /// Its words.
        words: String,
    },
    /// It failed.
    #[error("the token server at {host} failed ({status}: {words}); it is asked again later")]
    Failed {
        /// Its host.
        host: String,
        /// Its status.
        status: u16,
        /// Its words.
        words: String,
    },
}

impl TokenError {
    /// What it means for the key: it is invalid, or is left alone for a moment.
    pub const fn class(&self) -> Class {
        match self {
            Self::Unsigned | Self::Refused { .. } => Class::InvalidKey,
            Self::File { .. } | Self::Unreachable { .. } | Self::Failed { .. } => Class::NoToken,
        }
    }

    /// When asking again may help.
    pub fn retry_after(&self) -> Option<Duration> {
        (self.class() == Class::NoToken).then_some(AGAIN)
    }
}

fn form(pairs: &[(&str, &str)]) -> ApiKey {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(pairs);
    ApiKey::new(form.finish())
}

fn post(url: String, pairs: &[(&str, &str)]) -> TokenRequest {
    let mut headers = HeaderMap::new();
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    TokenRequest {
        method: Method::POST,
        url,
        headers,
        body: form(pairs),
    }
}

fn get(url: String, name: &'static str, value: &'static str) -> TokenRequest {
    let mut headers = HeaderMap::new();
    headers.insert(
        HeaderName::from_static(name),
        HeaderValue::from_static(value),
    );
    TokenRequest {
        method: Method::GET,
        url,
        headers,
        body: ApiKey::new(""),
    }
}

impl Grant {
    /// The file to read before a request is made, or in place of one.
    pub fn file(&self) -> Option<&PathBuf> {
        match &self.kind {
            GrantKind::File(file) | GrantKind::Federated { file, .. } => Some(file),
            _ => None,
        }
    }

    /// The server that is asked; `None` where a file is all there is.
    pub fn server(&self) -> Option<String> {
        let usual = match &self.kind {
            GrantKind::File(_) => return None,
            GrantKind::Metadata => GOOGLE_METADATA.to_owned(),
            GrantKind::ManagedIdentity { .. } => AZURE_METADATA.to_owned(),
            GrantKind::ServiceAccount { .. } | GrantKind::User { .. } => GOOGLE.to_owned(),
            GrantKind::ClientSecret { tenant, .. } | GrantKind::Federated { tenant, .. } => {
                format!("{ENTRA}/{tenant}/oauth2/v2.0/token")
            }
        };
        Some(self.url.clone().unwrap_or(usual))
    }

    /// What of it nobody may see, where a server could repeat it.
    pub fn secrets(&self) -> Vec<&ApiKey> {
        match &self.kind {
            GrantKind::User {
                secret, refresh, ..
            } => vec![secret, refresh],
            GrantKind::ClientSecret { secret, .. } => vec![secret],
            _ => Vec::new(),
        }
    }

    /// Whether the server is the machine's own cloud's.
    pub fn is_near(&self) -> bool {
        matches!(
            self.kind,
            GrantKind::Metadata | GrantKind::ManagedIdentity { .. }
        )
    }

    /// What is asked of the server. `proof` is what stands in [`file`](Self::file), `wall` is now.
    ///
    /// # Errors
    /// A key that cannot sign.
    pub fn request(
        &self,
        proof: Option<&ApiKey>,
        wall: SystemTime,
    ) -> Result<TokenRequest, TokenError> {
        let url = self.server().unwrap_or_default();
        let scope = |usual: &'static str| self.scope.as_deref().unwrap_or(usual);
        Ok(match &self.kind {
            GrantKind::File(_) | GrantKind::Metadata => get(url, "metadata-flavor", "Google"),
            GrantKind::ManagedIdentity { client } => {
                let resource = scope(COGNITIVE_SERVICES).trim_end_matches("/.default");
                let mut query = form_urlencoded::Serializer::new(String::new());
                query.append_pair("api-version", "2018-02-01");
                query.append_pair("resource", resource);
                if let Some(client) = client {
                    query.append_pair("client_id", client);
                }
                get(format!("{url}?{}", query.finish()), "metadata", "true")
            }
            GrantKind::ServiceAccount { email, key, key_id } => {
                let now = wall
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap_or_default();
                let claims = json!({
                    "iss": email, "scope": scope(CLOUD_PLATFORM), "aud": url,
                    "iat": now.as_secs(), "exp": (now + ASSERTION).as_secs(),
                });
                let assertion = key
                    .assert(key_id.as_deref(), &claims)
                    .ok_or(TokenError::Unsigned)?;
                let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
                post(url, &[("grant_type", grant), ("assertion", &assertion)])
            }
            GrantKind::User {
                client,
                secret,
                refresh,
            } => post(
                url,
                &[
                    ("grant_type", "refresh_token"),
                    ("client_id", client),
                    ("client_secret", secret.expose()),
                    ("refresh_token", refresh.expose()),
                ],
            ),
            GrantKind::ClientSecret { client, secret, .. } => post(
                url,
                &[
                    ("grant_type", "client_credentials"),
                    ("client_id", client),
                    ("client_secret", secret.expose()),
                    ("scope", scope(COGNITIVE_SERVICES)),
                ],
            ),
            GrantKind::Federated { client, .. } => post(
                url,
                &[
                    ("grant_type", "client_credentials"),
                    ("client_id", client),
                    (
                        "client_assertion_type",
                        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                    ),
                    ("client_assertion", proof.map_or("", ApiKey::expose)),
                    ("scope", scope(COGNITIVE_SERVICES)),
                ],
            ),
        })
    }
}

/// Whether a text can be sent as a token.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The token that stands in a file; `None` where nothing stands there that can be sent as one.
pub fn token_of_file(text: &ApiKey) -> Option<FetchedToken> {
    // Editors on Windows put a byte order mark in front.
    let text = text.expose();
    let token = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
    is_token(token).then(|| FetchedToken {
        token: ApiKey::new(token),
        life: FILE_LIFE,
    })
}

/// Reads what a server at `host` answered.
///
/// # Errors
/// What it is in place of a token.
pub fn read_answer(host: &str, status: u16, body: &[u8]) -> Result<FetchedToken, TokenError> {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let words = || {
        let named = ["error_description", "error"]
            .into_iter()
            .find_map(|name| value.get(name)?.as_str());
        let plain = String::from_utf8_lossy(body.get(..MAX_WORDS).unwrap_or(body));
        let words = named.map_or_else(|| plain.trim().to_owned(), str::to_owned);
        let line: String = words
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        line.get(..line.floor_char_boundary(MAX_WORDS))
            .unwrap_or_default()
            .to_owned()
    };
    let host = || host.to_owned();
    if !(200..300).contains(&status) {
        return Err(match status {
            400..=403 => TokenError::Refused {
                host: host(),
                status,
                words: words(),
            },
            _ => TokenError::Failed {
                host: host(),
                status,
                words: words(),
            },
        });
    }
    let token = value.get("access_token").and_then(Value::as_str);
    let Some(token) = token.filter(|token| is_token(token)) else {
        return Err(TokenError::Failed {
            host: host(),
            status,
            words: "there is no token in its answer".to_owned(),
        });
    };
    // Azure's metadata service writes its numbers as texts.
    let life = value.get("expires_in").and_then(|life| match life {
        Value::String(text) => text.parse().ok(),
        life => life.as_u64(),
    });
    Ok(FetchedToken {
        token: ApiKey::new(token),
        life: life.map_or(USUAL_LIFE, Duration::from_secs),
    })
}

#[cfg(test)]
mod tests;
