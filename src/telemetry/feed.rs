//! The latest changes of state, for clients that follow them: a ring of events.
//!
//! Readers hold nothing but a number. A slow one loses the events that were overwritten in the meantime and gets their
//! number; so memory is bounded whatever readers do, and publishing never waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::once_map::OnceMap;

/// The number of events that are kept.
pub const KEPT: usize = 1024;

/// The feed of this process.
static FEED: LazyLock<EventFeed> = LazyLock::new(|| EventFeed::new(KEPT));

/// The feed of this process.
pub fn feed() -> &'static EventFeed {
    &FEED
}

/// One change of state.
#[derive(Clone, PartialEq, Debug)]
pub struct FeedEvent {
    /// Counts from 1.
    pub number: u64,
    /// When it happened.
    pub at: SystemTime,
    /// What, such as `key_cooling`.
    pub name: &'static str,
    /// The same fields as in the log.
    pub fields: Map<String, Value>,
}

/// The latest events.
#[derive(Debug)]
pub struct EventFeed {
    /// Distinguishes this feed from that of an earlier process.
    epoch: u64,
    latest: AtomicU64,
    slots: Box<[ArcSwapOption<FeedEvent>]>,
    /// How many there were of each name.
    counts: OnceMap<&'static str, AtomicU64>,
    news: watch::Sender<()>,
}

/// What a reader gets.
#[derive(Clone, PartialEq, Debug)]
pub enum FeedItem {
    /// The next event.
    Event(Arc<FeedEvent>),
    /// This many events were overwritten before they were read.
    Missed(u64),
}

/// Reads one event after the other.
#[derive(Debug)]
pub struct FeedReader<'a> {
    feed: &'a EventFeed,
    /// The last one that was read.
    at: u64,
    news: watch::Receiver<()>,
}

impl EventFeed {
    /// An empty feed that keeps `kept` events, at least one.
    pub fn new(kept: usize) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = since.unwrap_or_default().as_millis();
        Self {
            epoch: u64::try_from(millis).unwrap_or(u64::MAX),
            latest: AtomicU64::new(0),
            slots: (0..kept.max(1)).map(|_| ArcSwapOption::empty()).collect(),
            counts: OnceMap::default(),
            news: watch::Sender::default(),
        }
    }

    /// Adds an event.
    pub fn publish(&self, name: &'static str, fields: Vec<(&'static str, Value)>) {
        let count = self.counts.get(name, AtomicU64::default);
        count.fetch_add(1, Ordering::Relaxed);
        let number = self.latest.fetch_add(1, Ordering::AcqRel) + 1;
        let event = FeedEvent {
            number,
            at: SystemTime::now(),
            name,
            fields: fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        };
        if let Some(slot) = self.slot(number) {
            slot.store(Some(Arc::new(event)));
        }
        self.news.send_replace(());
    }

    /// How many there were of each name so far.
    pub fn each_count(&self, mut tell: impl FnMut(&'static str, u64)) {
        let counts = &self.counts;
        counts.each(|name, count| tell(name, count.load(Ordering::Relaxed)));
    }

    /// How an event is referred to.
    pub fn id(&self, number: u64) -> String {
        format!("{:x}-{number}", self.epoch)
    }

    /// The number of the last event.
    pub fn latest(&self) -> u64 {
        self.latest.load(Ordering::Acquire)
    }

    /// Reads what comes after the event of this id; what comes from now on without one. With an id of another process
    /// everything that is kept, and first that some may be missing.
    pub fn after(&self, id: Option<&str>) -> (FeedReader<'_>, Option<FeedItem>) {
        let reader = |at: u64| FeedReader {
            feed: self,
            at,
            news: self.news.subscribe(),
        };
        let latest = self.latest();
        let Some(id) = id else {
            return (reader(latest), None);
        };
        let known = id.split_once('-').and_then(|(epoch, number)| {
            let here = u64::from_str_radix(epoch, 16).ok()? == self.epoch;
            let number: u64 = number.parse().ok()?;
            (here && number <= latest).then_some(number)
        });
        match known {
            Some(number) => (reader(number), None),
            None => {
                let kept = u64::try_from(self.slots.len()).unwrap_or(u64::MAX);
                (
                    reader(latest.saturating_sub(kept)),
                    Some(FeedItem::Missed(0)),
                )
            }
        }
    }

    fn slot(&self, number: u64) -> Option<&ArcSwapOption<FeedEvent>> {
        let at = usize::try_from(number).unwrap_or_default() % self.slots.len();
        self.slots.get(at)
    }
}

impl FeedReader<'_> {
    /// The number of the last one that was read, or that it began after.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// The next one, once there is one. May be dropped and called again: nothing is lost.
    pub async fn next(&mut self) -> FeedItem {
        loop {
            // Before the look: what comes after it wakes.
            self.news.mark_unchanged();
            if let Some(news) = self.look() {
                return news;
            }
            // The feed outlives its readers, so this fails never.
            let _ = self.news.changed().await;
        }
    }

    fn look(&mut self) -> Option<FeedItem> {
        let wanted = self.at + 1;
        let found = self.feed.slot(wanted)?.load_full()?;
        if found.number < wanted {
            return None;
        }
        if found.number == wanted {
            self.at = wanted;
            return Some(FeedItem::Event(found));
        }
        // A round or more behind: on with the oldest that may still be there, half a ring of leeway included.
        let kept = u64::try_from(self.feed.slots.len()).unwrap_or(u64::MAX);
        let oldest = (self.feed.latest() + 1).saturating_sub(kept / 2 + 1);
        let next = oldest.max(wanted + 1);
        let missed = next - wanted;
        self.at = next - 1;
        Some(FeedItem::Missed(missed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(feed: &EventFeed, from: u64, to: u64) {
        for n in from..=to {
            feed.publish("test", vec![("n", n.into())]);
        }
    }

    fn number(news: FeedItem) -> u64 {
        match news {
            FeedItem::Event(event) => {
                assert_eq!(event.fields["n"], event.number);
                event.number
            }
            FeedItem::Missed(missed) => panic!("missed {missed}"),
        }
    }

    #[tokio::test]
    async fn readers_hear_everything_in_order_from_where_they_began() {
        let feed = EventFeed::new(8);
        publish(&feed, 1, 3);
        let (mut new, _) = feed.after(None);
        let (mut resumed, told) = feed.after(Some(&feed.id(1)));
        assert_eq!(told, None);
        publish(&feed, 4, 5);
        for n in 4..=5 {
            assert_eq!(number(new.next().await), n);
        }
        for n in 2..=5 {
            assert_eq!(number(resumed.next().await), n);
        }
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let feed = EventFeed::new(8);
        let (mut reader, _) = feed.after(None);
        let read = reader.next();
        let publish = async {
            tokio::task::yield_now().await;
            publish(&feed, 1, 1);
        };
        let (news, ()) = futures_util::future::join(read, publish).await;
        assert_eq!(number(news), 1);
    }

    #[tokio::test]
    async fn who_is_slow_is_told_how_much_is_lost() {
        let feed = EventFeed::new(8);
        let (mut reader, _) = feed.after(None);
        publish(&feed, 1, 100);
        let FeedItem::Missed(missed) = reader.next().await else {
            panic!("nothing was missed")
        };
        assert!(missed >= 92);
        for n in missed + 1..=100 {
            assert_eq!(number(reader.next().await), n);
        }
    }

    #[tokio::test]
    async fn an_id_of_another_process_leads_to_all_that_is_kept() {
        let feed = EventFeed::new(8);
        publish(&feed, 1, 3);
        for id in ["1-2", "x", "", &feed.id(9)] {
            let (mut reader, told) = feed.after(Some(id));
            assert_eq!(told, Some(FeedItem::Missed(0)), "{id}");
            assert_eq!(number(reader.next().await), 1);
        }
    }
}
