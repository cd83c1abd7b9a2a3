//! Credentials of clouds: what a token is fetched with, and AWS's access keys. Each becomes a key like any other, as the
//! text that `wire/credential.rs` reads.

use std::fs;
use std::path::Path;

use config::ValueKind;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::context::Context;
use super::describe::{Describe, Shape};
use super::keys;
use super::read::{ConfigNode, FromNode, Report, section};
use super::resolved::KeyConfig;
use super::values::KeyTexts;
use crate::domain::secret::ApiKey;
use crate::wire::auth::AuthScheme;
use crate::wire::credential;

section! {
    /// `llm.providers[].credentials[]`
    CredentialSection {
        /// An AWS access key's id.
        access_key_id: String,
        /// Its secret.
        secret_access_key: KeyTexts,
        /// What a temporary access key comes with.
        session_token: KeyTexts,
        /// The directory of a program at Microsoft Entra.
        tenant_id: String,
        /// The program's id; beside `metadata` the id of one of the machine's identities.
        client_id: String,
        /// The program's secret.
        client_secret: KeyTexts,
        /// A file with a token of somebody whom Entra trusts, such as Kubernetes; read whenever a token is fetched.
        federated_token_file: String,
        /// Google's file of a service account or of a user, relative to this file.
        file: String,
        /// A file with a ready token that somebody else keeps fresh; read again once a minute.
        token_file: String,
        /// The machine's own identity, from the metadata service of its cloud.
        metadata: bool,
        /// The URL of the token server. Default: Entra's, Google's, or what `file` says.
        token_url: String,
        /// What the token is to open. Default: the cloud's own for models.
        scope: String,
    }
}

/// `credentials`: one, or a list.
pub(super) struct CredentialList(pub Vec<(CredentialSection, String)>);

impl FromNode for CredentialList {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        if !matches!(node.value.kind, ValueKind::Array(_) | ValueKind::Table(_)) {
            return node.wrong("a map, or a list of maps", report);
        }
        let read = |item: &ConfigNode<'_>| {
            let section = CredentialSection::read(item, report)?;
            Some((section, item.path.clone()))
        };
        Some(Self(node.items().iter().filter_map(read).collect()))
    }
}

impl Describe for CredentialList {
    fn shape() -> Shape {
        Vec::<CredentialSection>::shape().or(CredentialSection::shape())
    }
}

fn first(keys: Option<KeyTexts>) -> Option<Value> {
    let (key, _) = keys?.0.into_iter().next()?;
    Some(json!(key.expose()))
}

impl CredentialSection {
    /// In which scheme it lets a call in, where its fields tell.
    pub(super) fn scheme(&self) -> Option<AuthScheme> {
        if self.access_key_id.is_some() {
            Some(AuthScheme::Aws)
        } else if self.tenant_id.is_some() || self.federated_token_file.is_some() {
            Some(AuthScheme::Azure)
        } else if self.file.is_some() {
            Some(AuthScheme::Google)
        } else {
            None
        }
    }

    /// The key that it is.
    fn key(self, dir: &Path, path: &str, report: &mut Report) -> Option<KeyConfig> {
        let mut fields = match &self.file {
            Some(file) => google_file(&dir.join(file), report)
                .map_err(|why| {
                    let message = format!("{file} {why}");
                    report.problem(
                        &format!("{path}.file"),
                        message,
                        "name Google's credential file",
                    );
                })
                .ok()?,
            None => Map::new(),
        };
        let shown = |file: String| dir.join(file).display().to_string();
        let texts = [
            ("access_key_id", self.access_key_id),
            ("tenant_id", self.tenant_id),
            ("client_id", self.client_id),
            ("federated_token_file", self.federated_token_file.map(shown)),
            ("token_file", self.token_file.map(shown)),
            ("token_url", self.token_url),
            ("scope", self.scope),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                fields.insert(name.to_owned(), json!(text.trim()));
            }
        }
        let secrets = [
            ("secret_access_key", first(self.secret_access_key)),
            ("session_token", first(self.session_token)),
            ("client_secret", first(self.client_secret)),
            ("metadata", self.metadata.map(Value::Bool)),
        ];
        for (name, secret) in secrets {
            if let Some(secret) = secret {
                fields.insert(name.to_owned(), secret);
            }
        }
        Some(KeyConfig {
            account: None,
            material: Some(ApiKey::new(Value::Object(fields).to_string())),
            source: format!("file {}", report.place(path)),
        })
    }
}

/// The keys of a list of credentials.
pub(super) fn keys_of(list: CredentialList, dir: &Path, report: &mut Report) -> Vec<KeyConfig> {
    let keys = list.0.into_iter();
    keys.filter_map(|(section, path)| section.key(dir, &path, report))
        .collect()
}

/// The fields of a credential file of Google's.
fn google_file(path: &Path, report: &mut Report) -> Result<Map<String, Value>, String> {
    report.files.push(path.to_owned());
    let text = fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| format!("can't be read: {}", error.kind()))?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err("is no JSON object".to_owned()),
    }
}

/// The project that a key's credential file names.
pub(super) fn project_of(keys: &[KeyConfig]) -> Option<String> {
    let mut texts = keys.iter().filter_map(|key| key.material.as_ref());
    texts.find_map(|key| {
        let fields: Map<String, Value> = serde_json::from_str(key.expose()).ok()?;
        Some(fields.get("project_id")?.as_str()?.to_owned())
    })
}

/// Whether a key is the path of a file.
fn is_path(text: &str) -> bool {
    text.ends_with(".json") || text.starts_with('/') || text.starts_with("./")
}

/// Completes and checks keys of this scheme: a path is Google's credential file. `dir` is where relative paths start.
pub(super) fn settle(
    keys: Vec<KeyConfig>,
    scheme: AuthScheme,
    path: &str,
    dir: &Path,
    report: &mut Report,
) -> Vec<KeyConfig> {
    let mut settled = Vec::with_capacity(keys.len());
    for mut key in keys {
        let Some(material) = &key.material else {
            settled.push(key);
            continue;
        };
        if scheme == AuthScheme::Google && is_path(material.expose()) {
            let file = dir.join(material.expose());
            match google_file(&file, report) {
                Ok(fields) => {
                    key.source = format!("file {} ({})", file.display(), key.source);
                    key.material = Some(ApiKey::new(Value::Object(fields).to_string()));
                }
                Err(why) => {
                    let message = format!("the file from {} {why}", key.source);
                    report.problem(path, message, "name Google's credential file");
                    continue;
                }
            }
        }
        let read = key
            .material
            .as_ref()
            .map(|key| credential::read(scheme, key));
        match read {
            Some(Err(error)) => {
                let message = format!("the key from {} {error}", key.source);
                report.problem(path, message, "see docs/clouds.md");
            }
            _ => settled.push(key),
        }
    }
    keys::distinct(settled)
}

/// The key of a cloud that stands in several variables, as the vendor's own tools read them, and its scheme.
pub(super) fn from_env(
    scheme: AuthScheme,
    context: &Context<'_>,
) -> Option<(AuthScheme, KeyConfig)> {
    let get = |name: &str| {
        let value = context.env.get(name).map(|value| value.trim());
        value.filter(|value| !value.is_empty())
    };
    let key = |fields: Value, source: &str| KeyConfig {
        account: None,
        material: Some(ApiKey::new(fields.to_string())),
        source: format!("env {source}"),
    };
    let found = match scheme {
        AuthScheme::Aws => {
            let (id, secret) = (get("AWS_ACCESS_KEY_ID")?, get("AWS_SECRET_ACCESS_KEY")?);
            let mut fields = json!({"access_key_id": id, "secret_access_key": secret});
            if let Some(token) = get("AWS_SESSION_TOKEN") {
                fields["session_token"] = json!(token);
            }
            key(fields, "AWS_ACCESS_KEY_ID")
        }
        AuthScheme::Azure => {
            if let Some(token) = get("AZURE_OPENAI_AD_TOKEN") {
                return Some((
                    scheme,
                    KeyConfig {
                        account: None,
                        material: Some(ApiKey::new(token)),
                        source: "env AZURE_OPENAI_AD_TOKEN".to_owned(),
                    },
                ));
            }
            let (tenant, client) = (get("AZURE_TENANT_ID")?, get("AZURE_CLIENT_ID")?);
            let mut fields = json!({"tenant_id": tenant, "client_id": client});
            match (
                get("AZURE_CLIENT_SECRET"),
                get("AZURE_FEDERATED_TOKEN_FILE"),
            ) {
                (Some(secret), _) => fields["client_secret"] = json!(secret),
                (None, Some(file)) => fields["federated_token_file"] = json!(file),
                (None, None) => return None,
            }
            if let Some(authority) = get("AZURE_AUTHORITY_HOST") {
                let authority = authority.trim_end_matches('/');
                fields["token_url"] = json!(format!("{authority}/{tenant}/oauth2/v2.0/token"));
            }
            key(fields, "AZURE_CLIENT_ID")
        }
        AuthScheme::Google => KeyConfig {
            account: None,
            material: Some(ApiKey::new(get("GOOGLE_APPLICATION_CREDENTIALS")?)),
            source: "env GOOGLE_APPLICATION_CREDENTIALS".to_owned(),
        },
        _ => return None,
    };
    Some((scheme, found))
}
