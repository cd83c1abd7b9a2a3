//! Laws of what tokens are fetched with, and of what their servers answer: a key is read or refused without a word of it;
//! what is asked is what the key says; a token is one that can be sent; a failure is one line of words.
//!
//! The input is a line with the scheme, a status and a time in seconds since 1970; then a text, which is read as a key, as
//! a file with a token, and as an answer. In it `<secret>` stands for a secret and `<pem>` for a private key.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use pointsman::domain::outcome::Class;
use pointsman::domain::secret::ApiKey;
use pointsman::wire::auth::AuthScheme;
use pointsman::wire::credential::{Credential, read, secrets};
use pointsman::wire::grant::{Grant, GrantKind, TokenRequest, read_answer, token_of_file};
use serde_json::{Value, json};

use super::line;

const SECRET: &str = "T3qNz81LmWc0vXbY7KpRe5HaUd2JfGs9";
const HOST: &str = "tokens.example";
/// The most of a server's words that is told, in bytes.
const WORDS: usize = 300;

/// A private key in PEM, its line ends as JSON has them.
static PEM: LazyLock<String> = LazyLock::new(|| {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let coded = BASE64.encode(der.as_ref());
    let (begin, end) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
    format!("{begin}\\n{coded}\\n{end}\\n")
});

pub fn hold(data: &[u8]) {
    let (head, text) = line(data);
    let head = String::from_utf8_lossy(head);
    let mut words = head.split(' ');
    let name = words.next().unwrap_or_default();
    let mut number = |usual: u32| {
        let word = words.next().and_then(|word| word.trim().parse().ok());
        word.unwrap_or(usual)
    };
    let status = u16::try_from(number(200)).unwrap_or(200);
    let wall = UNIX_EPOCH + Duration::from_secs(number(1_790_000_000).into());
    answer(status, text);
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    if let Some(file) = token_of_file(&ApiKey::new(text)) {
        let token = file.token.expose();
        assert!(is_token(token), "{token:?}");
        assert!(text.contains(token) && !file.life.is_zero());
    }
    let schemes = [AuthScheme::Aws, AuthScheme::Azure, AuthScheme::Google];
    let scheme = schemes.into_iter().find(|scheme| scheme.as_str() == name);
    let Some(scheme) = scheme.filter(|_| !text.contains(&SECRET[..6])) else {
        return;
    };
    let planted = text.replace("<secret>", SECRET).replace("<pem>", &PEM);
    let key = ApiKey::new(planted.clone());
    let hidden = secrets(scheme, &key);
    match read(scheme, &key) {
        Err(error) => {
            let words = error.to_string();
            assert!(!words.is_empty() && !words.contains(SECRET), "{words}");
        }
        Ok(read) => {
            let shown = format!("{read:?}");
            // A secret that stands in two places may be none in one of them.
            let once = text.matches("<secret>").count() == 1;
            let is_hidden = hidden.iter().any(|one| one.expose() == SECRET);
            assert!(!once || !is_hidden || !shown.contains(SECRET), "{shown}");
            credential(&read, &planted, wall);
        }
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What a server answered.
fn answer(status: u16, body: &[u8]) {
    let is_good = (200..300).contains(&status);
    match read_answer(HOST, status, body) {
        Ok(fetched) => {
            assert!(is_good && is_token(fetched.token.expose()));
            let token = fetched.token.expose();
            let same = json!({"access_token": token, "expires_in": fetched.life.as_secs()});
            let again = read_answer(HOST, status, same.to_string().as_bytes());
            assert_eq!(again, Ok(fetched));
        }
        Err(error) => {
            let words = error.to_string();
            assert!(words.len() <= WORDS + 200, "{words}");
            assert!(!words.contains(char::is_control), "{words:?}");
            let is_refused = error.class() == Class::InvalidKey;
            assert!(!is_refused || (400..=403).contains(&status), "{words}");
            assert_eq!(is_refused, error.retry_after().is_none());
        }
    }
}

fn credential(read: &Credential, text: &str, wall: std::time::SystemTime) {
    match read {
        Credential::Token(token) => assert_eq!(token.expose(), text),
        Credential::Access(access) => {
            let session = access.session_token.iter().map(ApiKey::expose);
            let parts = [access.id.as_str(), access.secret.expose()].into_iter();
            let short = parts.chain(session).collect::<Vec<_>>().join(":");
            let is_short = !text.trim_start().starts_with('{');
            let rest = text.strip_prefix(&short);
            assert!(!is_short || matches!(rest, Some("" | ":")), "{short}");
        }
        Credential::Grant(grant) => {
            let Some(server) = grant.server() else {
                return assert!(grant.file().is_some());
            };
            let request = grant.request(Some(&ApiKey::new("proof")), wall).unwrap();
            assert!(request.url.starts_with(&server), "{}", request.url);
            asked(grant, &request, &server);
        }
    }
}

/// What is asked of the server is what the key says.
fn asked(grant: &Grant, request: &TokenRequest, server: &str) {
    let form: HashMap<String, String> = form_urlencoded::parse(request.body.expose().as_bytes())
        .into_owned()
        .collect();
    let has = |name: &str, value: &str| form.get(name).is_some_and(|own| own == value);
    match &grant.kind {
        GrantKind::File(_) => {}
        GrantKind::Metadata | GrantKind::ManagedIdentity { .. } => {
            assert!(request.body.expose().is_empty() && request.method == "GET");
        }
        GrantKind::ServiceAccount { email, key_id, .. } => {
            let parts: Vec<&str> = form["assertion"].split('.').collect();
            let read = |at: usize| -> Value {
                let part = BASE64URL_NOPAD.decode(parts[at].as_bytes()).unwrap();
                serde_json::from_slice(&part).unwrap()
            };
            assert_eq!(parts.len(), 3);
            assert_eq!(read(0)["kid"].as_str(), key_id.as_deref());
            let claims = read(1);
            assert_eq!(
                (&claims["iss"], &claims["aud"]),
                (&json!(email), &json!(server))
            );
            let (from, to) = (claims["iat"].as_u64(), claims["exp"].as_u64());
            assert!(from.is_some() && from < to);
        }
        GrantKind::User {
            client,
            secret,
            refresh,
        } => {
            assert!(has("client_id", client) && has("client_secret", secret.expose()));
            assert!(has("refresh_token", refresh.expose()));
        }
        GrantKind::ClientSecret { client, secret, .. } => {
            assert!(has("client_id", client) && has("client_secret", secret.expose()));
        }
        GrantKind::Federated { client, .. } => {
            assert!(has("client_id", client) && has("client_assertion", "proof"));
        }
    }
}
