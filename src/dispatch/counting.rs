//! Exact token counts outside the requests' tasks: a bounded number at once, in fair order, and none for a request that
//! has ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, mpsc};
use std::thread;

use tokio::sync::oneshot;

use super::shared::Dispatch;
use super::tokens;
use crate::domain::fair_queue::{FairQueue, Owner, QueueTicket};
use crate::domain::time::Time;
use crate::wire::request::RequestDoc;

/// A count keeps a core busy: more at once than there are cores make each other late.
static COUNTS: LazyLock<CountingQueue> = LazyLock::new(|| {
    let cores = thread::available_parallelism();
    CountingQueue::new(cores.map_or(1, std::num::NonZero::get))
});

/// What a prompt has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted {
    /// Tokens, images and the like at a flat amount.
    pub tokens: u64,
    /// Whether the text was counted; otherwise it is a quarter of its bytes.
    pub exact: bool,
}

impl Dispatch {
    /// Counts the tokens of a request's prompt here, without any upstream.
    pub async fn count_prompt(&self, doc: RequestDoc, owner: Owner) -> Counted {
        let media = doc.media_tokens();
        let estimate = tokens::prompt(&doc);
        let job = Job {
            doc,
            most: MOST,
            owner,
            now: self.clock.now(),
        };
        match count(job).await.filter(|tokens| *tokens <= MOST) {
            Some(tokens) => Counted {
                tokens: tokens.saturating_add(media),
                exact: true,
            },
            None => Counted {
                tokens: estimate,
                exact: false,
            },
        }
    }
}

/// More tokens than any model holds.
const MOST: u64 = 16 * 1024 * 1024;

/// The texts to be counted, and their client.
pub(super) struct Job {
    pub(super) doc: RequestDoc,
    /// The largest context window of the chain, in tokens.
    pub(super) most: u64,
    pub(super) owner: Owner,
    pub(super) now: Time,
}

/// [`tokens::count`] where blocking is allowed, when it is this job's turn: each client has its share of the places, and
/// of one client's jobs the small ones are first. It ends soon after this future is dropped. `None` when it failed,
/// which decides nothing.
pub(super) async fn count(job: Job) -> Option<u64> {
    COUNTS.count(job).await
}

/// Places for counts, given out by a thread of their own, which owns the queue; counts are rare, and it sleeps when there
/// are none. A task would end with the runtime that it was started on.
struct CountingQueue(mpsc::Sender<CountingMessage>);

enum CountingMessage {
    /// A place is wanted.
    Ask {
        owner: Owner,
        size: u64,
        now: Time,
        /// Known by this number when it leaves.
        number: u64,
        reply: oneshot::Sender<CountingPermit>,
    },
    /// The task that asked under this number no longer waits.
    Left(u64),
    /// A place is free again.
    Free,
}

/// Leave to count. Given back when dropped.
#[derive(Debug)]
struct CountingPermit(mpsc::Sender<CountingMessage>);

impl Drop for CountingPermit {
    fn drop(&mut self) {
        // The scheduler has ended: the process is ending.
        drop(self.0.send(CountingMessage::Free));
    }
}

/// Reports to the scheduler and the count that the request no longer waits.
struct CountingGuard<'a> {
    counts: &'a CountingQueue,
    number: u64,
    gone: Arc<AtomicBool>,
    waits: bool,
}

impl Drop for CountingGuard<'_> {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
        if self.waits {
            drop(self.counts.0.send(CountingMessage::Left(self.number)));
        }
    }
}

impl CountingQueue {
    fn new(at_once: usize) -> Self {
        let (send, messages) = mpsc::channel();
        let places = send.clone();
        let giving = thread::Builder::new()
            .name("counts".to_owned())
            .spawn(move || give_places(&messages, &places, at_once));
        // Without it nothing is counted, and nothing that a count would have decided is decided.
        drop(giving);
        Self(send)
    }

    async fn count(&self, job: Job) -> Option<u64> {
        let Job {
            doc,
            most,
            owner,
            now,
        } = job;
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let (reply, place) = oneshot::channel();
        let size = u64::try_from(doc.prompt_bytes()).unwrap_or(u64::MAX);
        let ask = CountingMessage::Ask {
            owner,
            size,
            now,
            number,
            reply,
        };
        let gone = Arc::new(AtomicBool::new(false));
        let mut leaving = CountingGuard {
            counts: self,
            number,
            gone: Arc::clone(&gone),
            waits: true,
        };
        self.0.send(ask).ok()?;
        let place = place.await.ok()?;
        leaving.waits = false;
        let counting = tokio::task::spawn_blocking(move || {
            // Held until the work ends, even if the request leaves before.
            let _place = place;
            tokens::count(&doc, most, &gone)
        });
        counting.await.ok()
    }
}

/// The numbers under which places are asked for.
static NUMBERS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// Gives out `free` places until all senders are gone.
fn give_places(
    messages: &mpsc::Receiver<CountingMessage>,
    places: &mpsc::Sender<CountingMessage>,
    mut free: usize,
) {
    let mut queue: FairQueue<(u64, oneshot::Sender<CountingPermit>)> = FairQueue::default();
    let mut tickets: std::collections::HashMap<u64, QueueTicket> = std::collections::HashMap::new();
    while let Ok(message) = messages.recv() {
        match message {
            CountingMessage::Ask {
                owner,
                size,
                now,
                number,
                reply,
            } => {
                tickets.insert(number, queue.push(owner, size, now, (number, reply)));
            }
            CountingMessage::Left(number) => {
                if let Some(ticket) = tickets.remove(&number) {
                    queue.remove(&ticket);
                }
            }
            CountingMessage::Free => free += 1,
        }
        while free > 0
            && let Some((number, reply)) = queue.pop()
        {
            tickets.remove(&number);
            free -= 1;
            // If the request has left, the permit is dropped, which frees its place.
            drop(reply.send(CountingPermit(places.clone())));
        }
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

    fn job(words: usize, owner: &str) -> Job {
        Job {
            doc: doc(words),
            most: u64::MAX,
            owner: Some(Arc::from(owner)),
            now: Time::ZERO,
        }
    }

    #[tokio::test]
    async fn a_count_ends_when_nobody_waits_for_it_and_its_place_is_free_only_then() {
        let counts = CountingQueue::new(1);
        assert!(counts.count(job(10, "a")).await.unwrap() > 10);
        let mut large = Box::pin(counts.count(job(6_000_000, "a")));
        assert!(futures_util::poll!(large.as_mut()).is_pending());
        let waiting = counts.count(job(10, "a"));
        drop(large);
        // The whole count would take far longer.
        let small = tokio::time::timeout(Duration::from_secs(8), waiting).await;
        assert!(small.unwrap().unwrap() > 10);
    }

    #[tokio::test]
    async fn a_small_one_of_another_client_does_not_wait_for_many_large_ones() {
        use futures_util::StreamExt;
        use futures_util::stream::FuturesUnordered;

        let counts = CountingQueue::new(1);
        assert!(counts.count(job(10, "a")).await.is_some());
        let all = FuturesUnordered::new();
        let sized = |words, owner: &'static str| {
            let counted = counts.count(job(words, owner));
            async move { counted.await.map(|_| owner) }
        };
        for _ in 0..6 {
            all.push(futures_util::future::Either::Left(sized(60_000, "many")));
        }
        all.push(futures_util::future::Either::Right(sized(100, "few")));
        let order: Vec<_> = all.collect().await;
        let place = order.iter().position(|who| *who == Some("few")).unwrap();
        // The first large one was under way, and another one may have been let in before the small one asked.
        assert!(place <= 2, "{order:?}");
    }
}
