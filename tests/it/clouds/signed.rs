//! Calls that are signed with an AWS access key, and the variables of AWS's own tools.

use std::time::SystemTime;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use http::{HeaderMap, HeaderValue};
use pointsman::domain::secret::ApiKey;
use pointsman::wire::sigv4::{AccessKey, Signing};
use serde_json::json;

use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream};

const SECRET: &str = "sk-planted-wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SESSION: &str = "sk-planted-session/token+1==";

fn answer() -> Behaviour {
    let body = json!({"output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}}, "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}});
    Behaviour::json(200, &body.to_string())
}

/// `20150830T123600Z`
fn time(text: &str) -> SystemTime {
    let part = |from: usize, to: usize| text.get(from..to).unwrap();
    let (date, clock) = (part(0, 8), part(9, 15));
    let long = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &date[..4],
        &date[4..6],
        &date[6..],
        &clock[..2],
        &clock[2..4],
        &clock[4..]
    );
    DateTime::from_str(&long, Format::DateTime)
        .unwrap()
        .try_into()
        .unwrap()
}

#[tokio::test]
async fn a_call_is_signed_as_it_is_sent() {
    let b = ScriptedUpstream::start().await;
    b.on(Match::any(), [answer()]);
    let yaml = format!(
        "
llm:
  providers:
    - name: br
      dialect: bedrock
      base_url: <b>
      model: \"a.b-v1:0\"
      region: eu-west-1
      credentials: {{access_key_id: AKIDEXAMPLE, secret_access_key: \"{SECRET}\", session_token: \"{SESSION}\"}}
"
    );
    let gateway = Gateway::start(&yaml, &[("b", &b)]).await;
    assert_eq!(gateway.chat("br").send().await.says(), "hi");
    let request = &b.requests()[0];
    assert_eq!(request.path, "/v1/model/a.b-v1%3A0/converse");
    let told = request.header("authorization").unwrap();
    let scope = "eu-west-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=";
    assert!(
        told.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") && told.contains(scope),
        "{told}"
    );
    assert_eq!(request.header("x-amz-security-token"), Some(SESSION));
    let signing = Signing {
        key: AccessKey {
            id: "AKIDEXAMPLE".to_owned(),
            secret: ApiKey::new(SECRET),
            session_token: Some(ApiKey::new(SESSION)),
        },
        region: "eu-west-1".to_owned(),
        service: "bedrock",
        wall: time(request.header("x-amz-date").unwrap()),
    };
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let url = format!("http://{}{}", request.header("host").unwrap(), request.path);
    signing
        .sign("POST", &url, &mut headers, &request.body)
        .unwrap();
    assert_eq!(headers["authorization"], told);
}

#[tokio::test]
async fn what_awss_tools_read_is_enough_and_a_refused_key_makes_way() {
    let b = ScriptedUpstream::start().await;
    let refusal = Behaviour::json(
        403,
        r#"{"message":"The security token included in the request is invalid."}"#,
    )
    .header("x-amzn-errortype", "UnrecognizedClientException");
    b.on(Match::any(), [answer(), refusal]);
    let root = b.base_url();
    let env = [
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_REGION", "ap-south-1"),
        ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", &root),
    ];
    let yaml = "llm: {providers: [{name: bedrock, model: m, retry: {same_upstream: 0}}]}";
    let gateway = Gateway::start_with(yaml, &[], &env).await;
    assert_eq!(gateway.chat("bedrock").send().await.says(), "hi");
    let told = b.requests()[0].header("authorization").unwrap().to_owned();
    assert!(told.contains("/ap-south-1/bedrock/aws4_request"), "{told}");
    let refused = gateway.chat("bedrock").send().await;
    refused.assert_error(502, "no_usable_keys");
}

#[tokio::test]
async fn a_bearer_key_of_bedrocks_comes_first() {
    let b = ScriptedUpstream::start().await;
    b.on(Match::any(), [answer()]);
    let root = b.base_url();
    let env = [
        ("AWS_BEARER_TOKEN_BEDROCK", "sk-planted-bedrock-0001"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", &root),
    ];
    let gateway = Gateway::start_with("llm: {providers: [{name: echo}]}", &[], &env).await;
    assert_eq!(gateway.chat("bedrock:m").send().await.says(), "hi");
    let request = &b.requests()[0];
    assert_eq!(
        request.header("authorization"),
        Some("Bearer sk-planted-bedrock-0001")
    );
    assert_eq!(request.header("x-amz-date"), None);
}
