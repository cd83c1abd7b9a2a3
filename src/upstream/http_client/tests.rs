//! Tests of calls: the addresses that are not called, and what is lacking here.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;

use std::time::Duration;

use super::super::dns::{DnsCache, DnsPolicy, Lookup};
use super::*;

/// Every name has this address.
fn all_at(address: &'static str) -> DnsCache {
    let lookup: Lookup = Arc::new(move |_host| {
        Box::pin(async move { Ok(vec![address.parse::<IpAddr>().unwrap()]) })
    });
    let second = Duration::from_secs(1);
    let terms = DnsPolicy {
        ttl: second,
        negative_ttl: second,
        max_stale: second,
    };
    DnsCache::asking(lookup, terms)
}

fn way<'a>(dns: &'a DnsCache, proxy: ProxySetting<'a>) -> ClientOptions<'a> {
    ClientOptions {
        connect: Duration::from_secs(1),
        dns,
        allow_link_local: false,
        proxy,
        authorities: &[],
    }
}

async fn failure(url: &str, way: &ClientOptions<'_>) -> SendError {
    let upstream = HttpUpstream::new(url, &["/chat/completions"], None, way).unwrap();
    let call = UpstreamRequest {
        method: Method::POST,
        path: "/chat/completions".into(),
        passed: false,
        model: ModelName::from("m"),
        headers: HeaderMap::new(),
        body: Bytes::new().into(),
        signing: None,
    };
    upstream.send(call).await.unwrap_err()
}

#[tokio::test]
async fn a_name_that_leads_to_a_metadata_service_is_not_called() {
    for address in [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fd00:ec2::254",
        "0.0.0.0",
    ] {
        let dns = all_at(address);
        let direct = failure("http://api.example/v1", &way(&dns, ProxySetting::Off)).await;
        let by_proxy = way(&dns, ProxySetting::Url("http://proxy.example:3128"));
        let by_proxy = failure("http://api.example/v1", &by_proxy).await;
        for error in [direct, by_proxy] {
            assert!(
                matches!(&error, SendError::Connect(why) if why.contains("not called")),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn an_address_in_any_disguise_is_judged_too() {
    let dns = all_at("127.0.0.1");
    for host in [
        "169.254.169.254",
        "0xa9fea9fe",
        "2852039166",
        "%31%36%39.254.169.254",
        "[::ffff:a9fe:a9fe]",
    ] {
        let made = HttpUpstream::new(
            &format!("http://{host}/v1"),
            &[],
            None,
            &way(&dns, ProxySetting::Off),
        );
        assert!(matches!(made, Err(ClientError::Address { .. })), "{host}");
    }
}

#[tokio::test]
async fn what_this_machine_lacks_for_a_lookup_is_no_failure_of_the_upstream() {
    // EMFILE, then EAGAIN, which says nothing about this machine.
    for (code, local) in [(24, true), (11, false)] {
        let lookup: Lookup =
            Arc::new(move |_host| Box::pin(async move { Err(io::Error::from_raw_os_error(code)) }));
        let second = Duration::from_secs(1);
        let terms = DnsPolicy {
            ttl: second,
            negative_ttl: second,
            max_stale: second,
        };
        let dns = DnsCache::asking(lookup, terms);
        let error = failure("http://api.example/v1", &way(&dns, ProxySetting::Off)).await;
        assert_eq!(matches!(error, SendError::Local(_)), local, "{error}");
    }
}

#[test]
fn a_proxys_password_is_not_shown() {
    let shown = format!("{:?}", ProxySetting::Url("http://me:hunter2@proxy.example"));
    assert!(!shown.contains("hunter2"));
}
