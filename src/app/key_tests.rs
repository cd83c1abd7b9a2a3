//! Tests keys with calls that cost nothing, or, where that is asked for, with one token each. No running process is asked, and
//! none is told.

mod asking;
mod key_test;

use std::cell::Cell;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::Semaphore;

use self::asking::ProviderProbe;
pub(crate) use self::key_test::{KeyTest, KeyTestOptions};
use crate::config::{Config, ProviderConfig};
use crate::domain::key_verdict::KeyVerdict;
use crate::runtime::clock::Clock;
use crate::upstream::dns::{DnsCache, DnsPolicy};

/// After so many calls in a row that met nobody a provider's other keys are not tried: it would be the same with each.
const SILENT: u32 = 2;
/// What is said of a key that was not tried.
const NOT_TRIED: &str = "not tried: the provider gave no answer to the keys before";

/// How many keys a test with these options has.
pub(crate) fn count(config: &Config, options: &KeyTestOptions) -> usize {
    let wanted = wanted(config, options);
    wanted.iter().map(|provider| provider.keys.len()).sum()
}

fn wanted<'c>(config: &'c Config, options: &KeyTestOptions) -> Vec<&'c ProviderConfig> {
    let all = config.providers.iter();
    let is_wanted = |provider: &&ProviderConfig| {
        let mut names = options.providers.iter();
        options.providers.is_empty() || names.any(|name| name == provider.name.as_str())
    };
    all.filter(is_wanted).collect()
}

/// Tests all keys of these providers; `done` is told of each as soon as it is known. They come back in the order of the
/// configuration.
pub(crate) async fn test_keys(
    config: &Config,
    options: &KeyTestOptions,
    done: &dyn Fn(&KeyTest),
) -> Vec<KeyTest> {
    let dns = DnsCache::new(DnsPolicy {
        ttl: config.server.dns.ttl,
        negative_ttl: config.server.dns.negative_ttl,
        max_stale: config.server.dns.max_stale,
    });
    let clock = Clock::start();
    let places = Semaphore::new(options.concurrency.max(1));
    let wanted = wanted(config, options);
    let lanes = wanted.iter().map(|provider| {
        let (dns, places) = (&dns, &places);
        async move {
            let probe = ProviderProbe::new(provider, dns, clock, options);
            test_provider(provider, &probe, options, places, done).await
        }
    });
    let all: Vec<Vec<KeyTest>> = futures_util::future::join_all(lanes).await;
    all.into_iter().flatten().collect()
}

async fn test_provider(
    provider: &ProviderConfig,
    probe: &ProviderProbe<'_>,
    options: &KeyTestOptions,
    places: &Semaphore,
    done: &dyn Fn(&KeyTest),
) -> Vec<KeyTest> {
    let silent = Cell::new(0_u32);
    let tests = provider.keys.iter().enumerate().map(|(at, key)| {
        let silent = &silent;
        async move {
            // Never closed.
            let place = places.acquire().await;
            let mut test = KeyTest {
                provider: provider.name.to_string(),
                number: at + 1,
                masked: key.material.as_ref().map(|material| material.masked()),
                source: key.source.clone(),
                verdict: KeyVerdict::Unreachable,
                http: None,
                millis: None,
                models: None,
                note: NOT_TRIED.to_owned(),
            };
            if silent.get() < SILENT {
                probe.test(key.material.as_ref(), &mut test).await;
                let met_nobody = test.verdict == KeyVerdict::Unreachable && test.http.is_none();
                silent.set(if met_nobody { silent.get() + 1 } else { 0 });
            }
            drop(place);
            done(&test);
            test
        }
    });
    let per_provider = options.per_provider.max(1);
    stream::iter(tests).buffered(per_provider).collect().await
}
