use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

const TERMS: DnsPolicy = DnsPolicy {
    ttl: Duration::from_secs(30),
    negative_ttl: Duration::from_secs(1),
    max_stale: Duration::from_secs(600),
};

/// Answers in order, each after a time; counts the lookups.
struct Script {
    lookups: Arc<AtomicUsize>,
    dns: DnsCache,
}

fn playing(answers: Vec<(u64, Result<&'static str, &'static str>)>, terms: DnsPolicy) -> Script {
    let lookups = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lookups);
    let lookup = move |_host: String| -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let at = count.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
        let (millis, answer) = answers[at];
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            let addresses = answer.map_err(io::Error::other)?;
            Ok(addresses
                .split_whitespace()
                .map(|ip| ip.parse().unwrap())
                .collect())
        })
    };
    let dns = DnsCache::asking(Arc::new(lookup), terms);
    Script { lookups, dns }
}

impl Script {
    async fn ask(&self) -> Result<String, LookupError> {
        let good = self.dns.callable("api.example", false).await?;
        Ok(good
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" "))
    }

    fn count(&self) -> usize {
        self.lookups.load(Ordering::Relaxed)
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_holds_for_its_time_and_is_looked_up_again() {
    let script = playing(vec![(5, Ok("1.1.1.1")), (5, Ok("2.2.2.2 3.3.3.3"))], TERMS);
    assert_eq!(script.ask().await.unwrap(), "1.1.1.1");
    pass(29).await;
    assert_eq!(script.ask().await.unwrap(), "1.1.1.1");
    assert_eq!(script.count(), 1);
    pass(2).await;
    assert_eq!(script.ask().await.unwrap(), "2.2.2.2 3.3.3.3");
    assert_eq!(script.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_at_once_are_one_lookup() {
    for ttl in [30, 0] {
        let terms = DnsPolicy {
            ttl: Duration::from_secs(ttl),
            ..TERMS
        };
        let script = playing(vec![(50, Ok("1.1.1.1"))], terms);
        let all = futures_util::future::join_all((0..20).map(|_| script.ask())).await;
        assert!(all.into_iter().all(|found| found.unwrap() == "1.1.1.1"));
        assert_eq!(script.count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_does_not_end_the_lookup_of_the_others() {
    let script = playing(vec![(500, Ok("1.1.1.1"))], TERMS);
    let impatient = tokio::time::timeout(Duration::from_millis(100), script.ask());
    assert!(impatient.await.is_err());
    assert_eq!(script.ask().await.unwrap(), "1.1.1.1");
    assert_eq!(script.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_holds_briefly() {
    let script = playing(vec![(5, Err("no such name")), (5, Ok("1.1.1.1"))], TERMS);
    let error = script.ask().await.unwrap_err().to_string();
    assert!(
        error.contains("api.example") && error.contains("no such name"),
        "{error}"
    );
    assert!(script.ask().await.is_err());
    assert_eq!(script.count(), 1, "not asked again at once");
    pass(2).await;
    assert_eq!(script.ask().await.unwrap(), "1.1.1.1");
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_bridges_failures_but_not_for_ever() {
    let script = playing(vec![(5, Ok("1.1.1.1")), (5, Err("servfail"))], TERMS);
    assert_eq!(script.ask().await.unwrap(), "1.1.1.1");
    for _ in 0..3 {
        pass(200).await;
        assert_eq!(script.ask().await.unwrap(), "1.1.1.1");
    }
    assert_eq!(script.count(), 4, "each time it was tried");
    pass(100).await;
    assert!(script.ask().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_hangs_is_bridged_too_and_its_answer_is_taken() {
    let script = playing(vec![(5, Ok("1.1.1.1")), (60_000, Ok("2.2.2.2"))], TERMS);
    assert_eq!(script.ask().await.unwrap(), "1.1.1.1");
    pass(31).await;
    let before = Instant::now();
    assert_eq!(script.ask().await.unwrap(), "1.1.1.1");
    assert!(before.elapsed() <= Duration::from_secs(2));
    pass(60).await;
    assert_eq!(script.ask().await.unwrap(), "2.2.2.2");
    assert_eq!(script.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn addresses_that_no_provider_has_are_left_out_or_refused() {
    let script = playing(
        vec![(0, Ok("169.254.169.254 1.1.1.1 ::ffff:169.254.1.1"))],
        TERMS,
    );
    assert_eq!(script.ask().await.unwrap(), "1.1.1.1");
    let script = playing(vec![(0, Ok("::ffff:169.254.169.254"))], TERMS);
    let error = script.ask().await.unwrap_err();
    assert!(matches!(
        error,
        LookupError::Refused {
            why: AddressRefusal::LinkLocal,
            ..
        }
    ));
    assert!(script.dns.callable("api.example", true).await.is_ok());
    let script = playing(vec![(0, Ok("127.0.0.1 10.0.0.1"))], TERMS);
    assert_eq!(script.ask().await.unwrap(), "127.0.0.1 10.0.0.1");
}

/// The task that keeps the answers ends when its last handle is gone.
#[tokio::test(start_paused = true)]
async fn nothing_is_left_behind() {
    let (sender, receiver): (Sender<()>, Receiver<()>) = channel();
    let lookup = move |_host: String| -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let _ = &sender;
        Box::pin(async { Ok(vec![]) })
    };
    let dns = DnsCache::asking(Arc::new(lookup), TERMS);
    assert!(dns.callable("x", false).await.is_err());
    drop(dns);
    pass(1).await;
    assert!(
        receiver
            .try_recv()
            .is_err_and(|error| error == std::sync::mpsc::TryRecvError::Disconnected)
    );
}
