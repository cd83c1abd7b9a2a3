//! `cache.url` and what belongs to it, as typed.

use std::path::Path;

use serde_json::json;
use zeroize::Zeroizing;

use super::cache_server::CacheServer;
use super::describe::{Describe, Shape};
use super::outbound;
use super::read::{ConfigNode, FromNode, Report};
use super::values::Names;
use crate::domain::secret::EncryptionKey;
use crate::wire::encryption_key;
use crate::wire::valkey_url::{self, ServerPlace, ValkeyServer};

/// What the names of entries begin with where nothing is said.
const PREFIX: &str = "pointsman";
/// A larger file holds no key of 32 bytes in any form.
const LARGEST_KEY_FILE: u64 = 4096;

/// What `cache` says of it.
#[derive(Default)]
pub(super) struct CacheServerForm {
    pub url: Option<ValkeyUrl>,
    pub prefix: Option<KeyPrefix>,
    pub encrypt_key_file: Option<String>,
    pub ca_file: Option<Names>,
}

impl CacheServerForm {
    /// The first of these keys that is there.
    fn named(&self) -> Option<&'static str> {
        [
            ("url", self.url.is_some()),
            ("prefix", self.prefix.is_some()),
            ("encrypt_key_file", self.encrypt_key_file.is_some()),
            ("ca_file", self.ca_file.is_some()),
        ]
        .into_iter()
        .find_map(|(name, is_there)| is_there.then_some(name))
    }

    /// The server; `None` without one, or with a mistake, which is reported. `is_wanted` says whether answers are to be kept
    /// in one.
    pub(super) fn resolve(
        self,
        is_wanted: bool,
        dir: &Path,
        report: &mut Report,
    ) -> Option<CacheServer> {
        if !is_wanted {
            if let Some(name) = self.named() {
                report.problem(
                    &format!("cache.{name}"),
                    "is for answers that are kept in a server",
                    "write store: valkey beside it, or remove it",
                );
            }
            return None;
        }
        let authorities = outbound::authorities(self.ca_file, "cache", dir, report);
        let key = self.encrypt_key_file.as_deref();
        let key = key.and_then(|file| key_of_file(file, "cache.encrypt_key_file", dir, report));
        let Some(ValkeyUrl(server)) = self.url else {
            // One that cannot be read was reported where it was.
            let place = report.place("cache.url");
            if !report.problems.iter().any(|problem| problem.place == place) {
                let suggestion = "write url: redis://host:6379";
                report.problem("cache", "store: valkey needs a server", suggestion);
            }
            return None;
        };
        check(&server, !authorities.is_empty(), "cache", report);
        Some(CacheServer {
            server,
            authorities,
            prefix: self.prefix.map_or_else(|| PREFIX.to_owned(), |it| it.0),
            key,
        })
    }
}

/// What works but may not be meant.
pub(super) fn check(
    server: &ValkeyServer,
    has_authorities: bool,
    section: &str,
    report: &mut Report,
) {
    let ServerPlace::Tcp { host, tls, .. } = &server.place else {
        return;
    };
    let is_local = matches!(&**host, "localhost" | "::1") || host.starts_with("127.");
    if !tls && !is_local && server.password.is_some() {
        let text = "its password goes over the network unencrypted: rediss:// is with TLS";
        report.warn(&format!("{section}.url"), text);
    }
    if !tls && has_authorities {
        let text = "is read for TLS, which redis:// is without: rediss:// is with it";
        report.warn(&format!("{section}.ca_file"), text);
    }
}

/// The key of 32 bytes that a file holds; a mistake is reported at `place`.
pub(super) fn key_of_file(
    file: &str,
    place: &str,
    dir: &Path,
    report: &mut Report,
) -> Option<EncryptionKey> {
    let path = dir.join(file.trim());
    report.files.push(path.clone());
    let told = match key_in(&path) {
        Ok(key) => return Some(key),
        Err(told) => told,
    };
    report.suspect(file);
    report.problem(
        place,
        format!("{} {told}", path.display()),
        "make one with: openssl rand -base64 32",
    );
    None
}

fn key_in(path: &Path) -> Result<EncryptionKey, String> {
    let unread = |error: std::io::Error| format!("can't be read: {}", error.kind());
    let size = std::fs::metadata(path).map_err(unread)?.len();
    if size > LARGEST_KEY_FILE {
        return Err("is too large for a key of 32 bytes".to_owned());
    }
    let content = Zeroizing::new(std::fs::read(path).map_err(unread)?);
    encryption_key::read(&content).map_err(|error| error.to_string())
}

/// `cache.url`, which may hold a password and is never shown.
pub(super) struct ValkeyUrl(pub(super) ValkeyServer);

impl FromNode for ValkeyUrl {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let text = Zeroizing::new(node.text().unwrap_or_default());
        match valkey_url::parse(&text) {
            Ok(server) => Some(Self(server)),
            Err(mistake) => node.reject(mistake.message, mistake.suggestion, report),
        }
    }
}

impl Describe for ValkeyUrl {
    fn shape() -> Shape {
        let schemes = "[rR][eE][dD][iI][sS][sS]?|[vV][aA][lL][kK][eE][yY][sS]?";
        let sockets = "([rR][eE][dD][iI][sS]\\+|[vV][aA][lL][kK][eE][yY]\\+)?[uU][nN][iI][xX]";
        let variable = "\\$\\{";
        let pattern = format!("^\\s*(({schemes})://|({sockets}):(//)?/|{variable})");
        Shape::plain(
            "URL of a server",
            json!({"type": "string", "pattern": pattern}),
        )
    }
}

/// `cache.prefix`
pub(super) struct KeyPrefix(String);

impl FromNode for KeyPrefix {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let text = String::read(node, report)?;
        let letter = |byte: u8| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'-' | b'_' | b'.' | b':' | b'{' | b'}' | b'/')
        };
        let is_name = (1..=64).contains(&text.len()) && text.bytes().all(letter);
        if !is_name {
            let suggestion = "write 1 to 64 letters, digits and - _ . : / { }";
            return node.reject("is no beginning of names", suggestion, report);
        }
        Some(Self(text))
    }
}

impl Describe for KeyPrefix {
    fn shape() -> Shape {
        let schema = json!({"anyOf": [
            {"type": "integer"}, {"type": "string", "pattern": "^[A-Za-z0-9_.:/{}-]{1,64}$"}
        ]});
        Shape::plain("beginning of names", schema)
    }
}
