//! What a key is where it is no text that is sent: an AWS access key, or what a token is fetched with.
//!
//! All of it is one text, as every key is: JSON with the fields that AWS, Microsoft and Google have for it (Google's
//! credential file as it is), or for AWS `ID:SECRET` and `ID:SECRET:SESSION`. Any other text for Google or Azure is a
//! token that somebody else fetched.

use serde::Deserialize;

use super::auth::AuthScheme;
use super::grant::{Grant, GrantKind, SigningKey};
use super::sigv4::AccessKey;
use crate::domain::secret::ApiKey;

/// What a call is let in with.
#[derive(Debug)]
pub enum Credential {
    /// A token, as it is.
    Token(ApiKey),
    /// What the call is signed with.
    Access(AccessKey),
    /// What a token is fetched with.
    Grant(Box<Grant>),
}

/// What is wrong with a credential. Nothing of it is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CredentialError {
    /// JSON that is cut, or of another type.
    #[error("is no JSON object with texts in it")]
    Unreadable,
    /// A half of a pair.
    #[error("lacks {0}")]
    Lacks(&'static str),
    /// A kind of Google's that is not known here.
    #[error("is of a type that is not supported: service_account and authorized_user are")]
    Kind,
    /// A private key that is none.
    #[error("has a private key that is no RSA key in PEM")]
    PrivateKey,
}

/// The fields of a credential.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct CredentialFields {
    /// `service_account` or `authorized_user`, in Google's files.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// An AWS access key's id.
    pub access_key_id: Option<String>,
    /// Its secret.
    pub secret_access_key: Option<String>,
    /// What a temporary one comes with.
    pub session_token: Option<String>,
    /// A directory at Microsoft Entra.
    pub tenant_id: Option<String>,
    /// A program there, or at Google.
    pub client_id: Option<String>,
    /// Its secret.
    pub client_secret: Option<String>,
    /// A file with a token that proves who the program is.
    pub federated_token_file: Option<String>,
    /// What a person agreed to, at Google.
    pub refresh_token: Option<String>,
    /// A service account at Google.
    pub client_email: Option<String>,
    /// Its private key, in PEM.
    pub private_key: Option<String>,
    /// That key's name.
    pub private_key_id: Option<String>,
    /// A file with a ready token that somebody else keeps fresh.
    pub token_file: Option<String>,
    /// The machine's own identity.
    pub metadata: Option<bool>,
    /// The token server, where it is another one than the usual.
    pub token_url: Option<String>,
    /// The same in Google's files.
    pub token_uri: Option<String>,
    /// What the token is to open.
    pub scope: Option<String>,
}

/// The secrets in a key, which nobody may see: those of its parts where it has some.
pub fn secrets(scheme: AuthScheme, key: &ApiKey) -> Vec<ApiKey> {
    let own = |fields: CredentialFields| {
        let all = [
            fields.secret_access_key,
            fields.session_token,
            fields.client_secret,
            fields.refresh_token,
            fields.private_key,
        ];
        all.into_iter().flatten().map(ApiKey::new).collect()
    };
    match read(scheme, key) {
        _ if !scheme.makes() => Vec::new(),
        Ok(Credential::Access(access)) => {
            let token = access.session_token.into_iter();
            token.chain([access.secret]).collect()
        }
        _ => fields(key.expose()).map(own).unwrap_or_default(),
    }
}

fn fields(text: &str) -> Option<CredentialFields> {
    let json = text.trim_start().starts_with('{');
    json.then(|| serde_json::from_str(text).ok()).flatten()
}

/// Reads a key of a scheme that makes something of it.
///
/// # Errors
/// What is wrong with it.
pub fn read(scheme: AuthScheme, key: &ApiKey) -> Result<Credential, CredentialError> {
    let text = key.expose();
    if !text.trim_start().starts_with('{') {
        return match scheme {
            AuthScheme::Aws => access_of(text).map(Credential::Access),
            _ => Ok(Credential::Token(key.clone())),
        };
    }
    let fields = fields(text).ok_or(CredentialError::Unreadable)?;
    match scheme {
        AuthScheme::Aws => Ok(Credential::Access(AccessKey {
            id: fields
                .access_key_id
                .ok_or(CredentialError::Lacks("access_key_id"))?,
            secret: fields
                .secret_access_key
                .map(ApiKey::new)
                .ok_or(CredentialError::Lacks("secret_access_key"))?,
            session_token: fields.session_token.map(ApiKey::new),
        })),
        _ => Ok(Credential::Grant(Box::new(grant(scheme, fields)?))),
    }
}

/// `ID:SECRET`, perhaps with `:SESSION`.
fn access_of(text: &str) -> Result<AccessKey, CredentialError> {
    let (id, rest) = text
        .split_once(':')
        .ok_or(CredentialError::Lacks("secret_access_key (ID:SECRET)"))?;
    let (secret, token) = match rest.split_once(':') {
        Some((secret, token)) => (secret, Some(token)),
        None => (rest, None),
    };
    if id.is_empty() {
        return Err(CredentialError::Lacks("access_key_id (ID:SECRET)"));
    }
    if secret.is_empty() {
        return Err(CredentialError::Lacks("secret_access_key (ID:SECRET)"));
    }
    Ok(AccessKey {
        id: id.to_owned(),
        secret: ApiKey::new(secret),
        session_token: token.filter(|token| !token.is_empty()).map(ApiKey::new),
    })
}

fn grant(scheme: AuthScheme, fields: CredentialFields) -> Result<Grant, CredentialError> {
    use CredentialError::Lacks;
    let kind = if let Some(path) = fields.token_file {
        GrantKind::File(path.into())
    } else if fields.metadata == Some(true) {
        match scheme {
            AuthScheme::Azure => GrantKind::ManagedIdentity {
                client: fields.client_id,
            },
            _ => GrantKind::Metadata,
        }
    } else if scheme == AuthScheme::Azure {
        let tenant = fields.tenant_id.ok_or(Lacks("tenant_id"))?;
        let client = fields.client_id.ok_or(Lacks("client_id"))?;
        match (fields.client_secret, fields.federated_token_file) {
            (Some(secret), _) => GrantKind::ClientSecret {
                tenant,
                client,
                secret: ApiKey::new(secret),
            },
            (None, Some(file)) => GrantKind::Federated {
                tenant,
                client,
                file: file.into(),
            },
            (None, None) => return Err(Lacks("client_secret or federated_token_file")),
        }
    } else {
        match fields.kind.as_deref() {
            Some("authorized_user") => GrantKind::User {
                client: fields.client_id.ok_or(Lacks("client_id"))?,
                secret: ApiKey::new(fields.client_secret.ok_or(Lacks("client_secret"))?),
                refresh: ApiKey::new(fields.refresh_token.ok_or(Lacks("refresh_token"))?),
            },
            Some("service_account") | None => {
                let pem = ApiKey::new(fields.private_key.ok_or(Lacks("private_key"))?);
                GrantKind::ServiceAccount {
                    email: fields.client_email.ok_or(Lacks("client_email"))?,
                    key: SigningKey::read(&pem).ok_or(CredentialError::PrivateKey)?,
                    key_id: fields.private_key_id,
                }
            }
            Some(_) => return Err(CredentialError::Kind),
        }
    };
    Ok(Grant {
        kind,
        url: fields.token_url.or(fields.token_uri),
        scope: fields.scope,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(scheme: AuthScheme, text: &str) -> String {
        read(scheme, &ApiKey::new(text)).unwrap_err().to_string()
    }

    #[test]
    fn an_access_key_is_two_or_three_texts() {
        for (text, token) in [
            ("AKIA:s/e+c=", None),
            ("AKIA:s/e+c=:tok", Some("tok")),
            (
                r#"{"access_key_id":"AKIA","secret_access_key":"s/e+c="}"#,
                None,
            ),
        ] {
            let Credential::Access(key) = read(AuthScheme::Aws, &ApiKey::new(text)).unwrap() else {
                panic!("{text}")
            };
            assert_eq!((key.id.as_str(), key.secret.expose()), ("AKIA", "s/e+c="));
            assert_eq!(key.session_token.as_ref().map(ApiKey::expose), token);
        }
        assert_eq!(
            error(AuthScheme::Aws, "AKIA"),
            "lacks secret_access_key (ID:SECRET)"
        );
        assert_eq!(error(AuthScheme::Aws, "{}"), "lacks access_key_id");
    }

    #[test]
    fn a_text_is_a_token_and_an_object_what_one_is_fetched_with() {
        for scheme in [AuthScheme::Google, AuthScheme::Azure] {
            let read = read(scheme, &ApiKey::new("eyJ0.x.y")).unwrap();
            assert!(matches!(read, Credential::Token(token) if token.expose() == "eyJ0.x.y"));
        }
        let secret = r#"{"tenant_id":"t","client_id":"c","client_secret":"s"}"#;
        let Ok(Credential::Grant(grant)) = read(AuthScheme::Azure, &ApiKey::new(secret)) else {
            panic!("a grant")
        };
        assert!(matches!(grant.kind, GrantKind::ClientSecret { .. }));
        let shown = secrets(AuthScheme::Azure, &ApiKey::new(secret));
        assert_eq!(shown, [ApiKey::new("s")]);
        assert_eq!(
            error(AuthScheme::Azure, r#"{"tenant_id":"t","client_id":"c"}"#),
            "lacks client_secret or federated_token_file"
        );
        assert_eq!(
            error(AuthScheme::Google, r#"{"type":"external_account"}"#),
            CredentialError::Kind.to_string()
        );
        assert_eq!(
            error(
                AuthScheme::Google,
                r#"{"type":"service_account","client_email":"e","private_key":"x"}"#
            ),
            CredentialError::PrivateKey.to_string()
        );
        assert_eq!(
            error(AuthScheme::Google, "{cut"),
            CredentialError::Unreadable.to_string()
        );
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,40}") {
            for scheme in [AuthScheme::Aws, AuthScheme::Google, AuthScheme::Azure] {
                let _ = read(scheme, &ApiKey::new(text.clone()));
                secrets(scheme, &ApiKey::new(text.clone()));
            }
        }
    }
}
