//! Calls signed with an AWS access key (Signature Version 4, by AWS's own library).
//!
//! The signature covers the method, the path and query as they are sent, the host, the type and the bytes of the body, and
//! the time, which may differ from AWS's by five minutes.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::domain::secret::ApiKey;

/// An access key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessKey {
    /// Its public id, such as `AKIA…`.
    pub id: String,
    /// The secret that signs.
    pub secret: ApiKey,
    /// What temporary keys come with.
    pub session_token: Option<ApiKey>,
}

/// How a call is to be signed.
#[derive(Clone, Debug)]
pub struct Signing {
    /// With which key.
    pub key: AccessKey,
    /// The region that is called, such as `us-east-1`.
    pub region: String,
    /// The service, such as `bedrock`.
    pub service: &'static str,
    /// The time of the call.
    pub wall: SystemTime,
}

/// A call cannot be signed: its URL, its headers or the key are not what AWS takes.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the call cannot be signed: {0}")]
pub struct SignError(String);

impl Signing {
    /// Adds the signature of a call to its headers.
    ///
    /// # Errors
    /// What AWS does not take.
    pub fn sign(
        &self,
        method: &str,
        url: &str,
        headers: &mut HeaderMap,
        body: &[u8],
    ) -> Result<(), SignError> {
        let fail = |error: &dyn std::fmt::Display| SignError(error.to_string());
        let token = self.key.session_token.as_ref();
        let identity = Credentials::new(
            self.key.id.as_str(),
            self.key.secret.expose(),
            token.map(|token| token.expose().to_owned()),
            None,
            "configuration",
        )
        .into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service)
            .time(self.wall)
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| fail(&error))?
            .into();
        // What is on the way changed or added by others must not be signed.
        let kind = headers
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        let signed = kind.map(|kind| ("content-type", kind));
        let request =
            SignableRequest::new(method, url, signed.into_iter(), SignableBody::Bytes(body))
                .map_err(|error| fail(&error))?;
        let signed = sign(request, &params).map_err(|error| fail(&error))?;
        let (instructions, _) = signed.into_parts();
        for (name, value) in instructions.headers() {
            let name = HeaderName::try_from(name).map_err(|error| fail(&error))?;
            let mut value = HeaderValue::try_from(value).map_err(|error| fail(&error))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The key and the time of AWS's test suite for Signature Version 4.
    fn suite(service: &'static str, session_token: Option<&str>) -> Signing {
        Signing {
            key: AccessKey {
                id: "AKIDEXAMPLE".to_owned(),
                secret: ApiKey::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
                session_token: session_token.map(ApiKey::new),
            },
            region: "us-east-1".to_owned(),
            service,
            // 2015-08-30T12:36:00Z
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160),
        }
    }

    fn signature(headers: &HeaderMap) -> &str {
        let all = headers[header::AUTHORIZATION].to_str().unwrap();
        all.rsplit_once("Signature=").unwrap().1
    }

    #[test]
    fn signatures_are_those_of_awss_test_suite() {
        // The cases `get-vanilla` and `post-vanilla`.
        for (method, expected) in [
            (
                "GET",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "POST",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
        ] {
            let mut headers = HeaderMap::new();
            let url = "https://example.amazonaws.com/";
            suite("service", None)
                .sign(method, url, &mut headers, b"")
                .unwrap();
            assert_eq!(signature(&headers), expected, "{method}");
            assert_eq!(headers["x-amz-date"], "20150830T123600Z");
            assert!(headers[header::AUTHORIZATION].is_sensitive());
        }
    }

    #[test]
    fn body_path_and_session_are_signed() {
        let sign = |url: &str, body: &[u8], token| {
            let mut headers = HeaderMap::new();
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
            suite("bedrock", token)
                .sign("POST", url, &mut headers, body)
                .unwrap();
            headers
        };
        let url = "http://127.0.0.1:9/model/a%3A0/converse";
        let one = sign(url, b"{}", None);
        let told = one[header::AUTHORIZATION].to_str().unwrap();
        assert!(told.starts_with(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request"
        ));
        assert!(
            told.contains("SignedHeaders=content-type;host;x-amz-date,"),
            "{told}"
        );
        let with = sign(url, b"{}", Some("session"));
        assert_eq!(with["x-amz-security-token"], "session");
        let others = [
            sign(url, b"{ }", None),
            sign("http://127.0.0.1:9/model/a/converse", b"{}", None),
            sign("http://127.0.0.1:8/model/a%3A0/converse", b"{}", None),
            with,
        ];
        assert!(
            others
                .iter()
                .all(|other| signature(other) != signature(&one))
        );
        let bad = suite("bedrock", None).sign("POST", "not a url", &mut HeaderMap::new(), b"");
        assert!(bad.is_err());
    }
}
