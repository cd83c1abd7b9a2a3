use std::collections::HashMap;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, KeyPair, UnparsedPublicKey};
use data_encoding::BASE64;
use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_700_000_000;

fn wall() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

fn grant(kind: GrantKind) -> Grant {
    Grant {
        kind,
        url: None,
        scope: None,
    }
}

fn fields(request: &TokenRequest) -> HashMap<String, String> {
    form_urlencoded::parse(request.body.expose().as_bytes())
        .into_owned()
        .collect()
}

#[test]
fn a_service_account_asks_with_an_assertion_that_its_key_signed() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let coded = BASE64.encode(der.as_ref());
    let lines: Vec<&str> = coded
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    );
    let key = SigningKey::read(&ApiKey::new(pem)).unwrap();
    let grant = grant(GrantKind::ServiceAccount {
        email: "robot@p.iam.gserviceaccount.com".to_owned(),
        key,
        key_id: Some("k1".to_owned()),
    });
    let request = grant.request(None, wall()).unwrap();
    assert_eq!(
        (request.method.as_str(), request.url.as_str()),
        ("POST", GOOGLE)
    );
    let fields = fields(&request);
    assert_eq!(
        fields["grant_type"],
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    );
    let parts: Vec<&str> = fields["assertion"].split('.').collect();
    let part = |at: usize| BASE64URL_NOPAD.decode(parts[at].as_bytes()).unwrap();
    let json = |at: usize| serde_json::from_slice::<Value>(&part(at)).unwrap();
    assert_eq!(json(0), json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
    let claims = json(1);
    assert_eq!(
        (&claims["iss"], &claims["aud"]),
        (&json!("robot@p.iam.gserviceaccount.com"), &json!(GOOGLE))
    );
    assert_eq!(
        (&claims["iat"], &claims["exp"]),
        (&json!(NOW), &json!(NOW + 3600))
    );
    let public = UnparsedPublicKey::new(
        &signature::RSA_PKCS1_2048_8192_SHA256,
        pair.public_key().as_ref(),
    );
    let signed = format!("{}.{}", parts[0], parts[1]);
    assert!(public.verify(signed.as_bytes(), &part(2)).is_ok());
    assert!(!format!("{grant:?}").contains("PRIVATE"));
}

#[test]
fn a_program_asks_entra_with_its_secret_or_with_anothers_token() {
    let own = grant(GrantKind::ClientSecret {
        tenant: "t".to_owned(),
        client: "c".to_owned(),
        secret: ApiKey::new("s&1"),
    });
    let request = own.request(None, wall()).unwrap();
    assert_eq!(
        request.url,
        "https://login.microsoftonline.com/t/oauth2/v2.0/token"
    );
    let form = fields(&request);
    assert_eq!(
        (form["client_secret"].as_str(), form["scope"].as_str()),
        ("s&1", COGNITIVE_SERVICES)
    );
    let federated = Grant {
        url: Some("http://127.0.0.1:1/token".to_owned()),
        ..grant(GrantKind::Federated {
            tenant: "t".to_owned(),
            client: "c".to_owned(),
            file: "/x".into(),
        })
    };
    let request = federated
        .request(Some(&ApiKey::new("jwt")), wall())
        .unwrap();
    assert_eq!(request.url, "http://127.0.0.1:1/token");
    assert_eq!(fields(&request)["client_assertion"], "jwt");
}

#[test]
fn machines_ask_the_metadata_service_of_their_cloud() {
    let google = grant(GrantKind::Metadata).request(None, wall()).unwrap();
    assert!(google.headers["metadata-flavor"] == "Google");
    let azure = grant(GrantKind::ManagedIdentity {
        client: Some("c".to_owned()),
    });
    let azure = azure.request(None, wall()).unwrap();
    assert!(azure.headers["metadata"] == "true");
    assert!(
        azure.url.ends_with(
            "?api-version=2018-02-01&resource=https%3A%2F%2Fcognitiveservices.azure.com&client_id=c"
        ),
        "{}",
        azure.url
    );
}

#[test]
fn an_answer_is_a_token_a_refusal_or_a_failure() {
    let read = |status, body: &str| read_answer("h", status, body.as_bytes());
    let token = read(200, r#"{"access_token":"t","expires_in":3599}"#).unwrap();
    assert_eq!((token.token.expose(), token.life.as_secs()), ("t", 3599));
    let text = read(200, r#"{"access_token":"t","expires_in":"86399"}"#).unwrap();
    assert_eq!(text.life.as_secs(), 86_399);
    let refused = read(
        401,
        "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215:\\r\\nno\"}",
    )
    .unwrap_err();
    assert_eq!(refused.class(), Class::InvalidKey);
    assert!(
        refused.to_string().contains("AADSTS7000215:  no"),
        "{refused}"
    );
    for (status, body) in [
        (500, "oh"),
        (429, ""),
        (200, "{}"),
        (200, "<html>"),
        (200, "{\"access_token\":\"a\\nb\"}"),
    ] {
        let error = read(status, body).unwrap_err();
        assert_eq!(
            (error.class(), error.retry_after()),
            (Class::NoToken, Some(AGAIN)),
            "{status}"
        );
    }
}

#[test]
fn a_file_holds_a_token_or_nothing() {
    assert_eq!(
        token_of_file(&ApiKey::new(" t\n")).unwrap().token.expose(),
        "t"
    );
    assert!(token_of_file(&ApiKey::new(" \n")).is_none());
}

#[test]
fn a_file_holds_a_token_that_can_be_sent_or_none() {
    let read = |text: &str| {
        let found = token_of_file(&ApiKey::new(text));
        found.map(|found| found.token.expose().to_owned())
    };
    for text in ["eyJ0.x.y", " eyJ0.x.y\r\n", "\u{feff}eyJ0.x.y\n"] {
        assert_eq!(read(text).as_deref(), Some("eyJ0.x.y"), "{text:?}");
    }
    for text in [
        "",
        "\n",
        "\u{feff}",
        "two words",
        "one\ntwo",
        "\u{0}",
        "t\u{f6}ken",
    ] {
        assert_eq!(read(text), None, "{text:?}");
    }
}

proptest! {
    #[test]
    fn nothing_panics(status in 0..700u16, body in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read_answer("h", status, &body);
    }
}
