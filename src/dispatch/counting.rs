//! Exact counts of tokens beside the requests' tasks: so many at once, and none for a request that is gone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use tokio::sync::Semaphore;

use super::tokens;
use crate::wire::openai::request::RequestDoc;

/// A count keeps a core busy: more at once than there are cores make each other late.
static COUNTS: LazyLock<Counts> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism();
    Counts::new(cores.map_or(1, std::num::NonZero::get))
});

/// [`tokens::count`] where blocking is allowed. It ends soon after this future is dropped. `None` when it failed, which
/// decides nothing.
pub(super) async fn count(doc: RequestDoc, most: u64) -> Option<u64> {
    COUNTS.count(doc, most).await
}

/// Places for counts.
struct Counts(Arc<Semaphore>);

/// Tells a count that nobody waits for it any more.
struct Cancel(Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Counts {
    fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once)))
    }

    async fn count(&self, doc: RequestDoc, most: u64) -> Option<u64> {
        let place = Arc::clone(&self.0).acquire_owned().await.ok()?;
        let gone = Arc::new(AtomicBool::new(false));
        let _cancel = Cancel(Arc::clone(&gone));
        let counting = tokio::task::spawn_blocking(move || {
            // Until the work ends, not until nobody waits for it.
            let _place = place;
            tokens::count(&doc, most, &gone)
        });
        counting.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn doc(words: usize) -> RequestDoc {
        let text = "word ".repeat(words);
        let body = serde_json::json!({"messages": [{"role": "user", "content": text}]});
        RequestDoc::parse(body.to_string().into()).unwrap()
    }

    #[tokio::test]
    async fn a_count_ends_when_nobody_waits_for_it_and_its_place_is_free_only_then() {
        let counts = Counts::new(1);
        assert!(counts.count(doc(10), u64::MAX).await.unwrap() > 10);
        let mut large = Box::pin(counts.count(doc(6_000_000), u64::MAX));
        assert!(futures_util::poll!(large.as_mut()).is_pending());
        assert_eq!(counts.0.available_permits(), 0);
        drop(large);
        // The whole count would take far longer.
        let small = counts.count(doc(10), u64::MAX);
        let small = tokio::time::timeout(Duration::from_secs(8), small).await;
        assert!(small.unwrap().unwrap() > 10);
    }
}
