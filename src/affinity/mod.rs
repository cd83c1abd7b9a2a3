//! Floor 3: which key holds what a provider keeps. One task owns [`Holders`]; all others ask it. What is noted before a
//! question is known to its answer: both go the same way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{mpsc, oneshot};

use crate::domain::holders::Holders;
use crate::domain::ids::KeyId;
use crate::runtime::task;

/// Names and the keys that hold what they name, the one that was not asked for longest first.
pub type Held = Vec<(Box<str>, KeyId)>;

/// The way to the task. It ends with the last of its clones.
#[derive(Clone, Debug)]
pub struct Affinity {
    asks: mpsc::UnboundedSender<Ask>,
    /// So many names are known, roughly.
    known: Arc<AtomicUsize>,
}

#[derive(Debug)]
enum Ask {
    Note(Vec<Box<str>>, KeyId),
    Find(Vec<Box<str>>, oneshot::Sender<Option<KeyId>>),
    News(oneshot::Sender<Option<Held>>),
    Restore(Held),
}

impl Affinity {
    /// Starts the task. Nothing is known.
    pub fn start() -> Self {
        let (asks, asked) = mpsc::unbounded_channel();
        let known = Arc::new(AtomicUsize::new(0));
        task::detach(run(asked, Arc::clone(&known)));
        Self { asks, known }
    }

    /// This key holds what is named so.
    pub fn note(&self, names: Vec<Box<str>>, key: KeyId) {
        if !names.is_empty() {
            self.known.fetch_add(1, Ordering::Relaxed);
            // Without the task nothing is remembered, which costs no request anything.
            drop(self.asks.send(Ask::Note(names, key)));
        }
    }

    /// Whether nothing is known, so that no question is worth its while.
    pub fn is_empty(&self) -> bool {
        self.known.load(Ordering::Relaxed) == 0
    }

    /// The key that holds the first of these that is known.
    pub async fn find(&self, names: Vec<Box<str>>) -> Option<KeyId> {
        if names.is_empty() || self.is_empty() {
            return None;
        }
        let (reply, found) = oneshot::channel();
        drop(self.asks.send(Ask::Find(names, reply)));
        found.await.ok().flatten()
    }

    /// All that is known, if something was noted since the last time that this was asked.
    pub async fn news(&self) -> Option<Held> {
        if self.is_empty() {
            return None;
        }
        let (reply, news) = oneshot::channel();
        drop(self.asks.send(Ask::News(reply)));
        news.await.ok().flatten()
    }

    /// What was known to an earlier process.
    pub fn restore(&self, held: Held) {
        if !held.is_empty() {
            self.known.fetch_add(held.len(), Ordering::Relaxed);
            drop(self.asks.send(Ask::Restore(held)));
        }
    }
}

/// What the name is kept with: resources that requests cannot do without, or all that they can (which has a space in its
/// name). However many thoughts there are, no file is forgotten for them.
fn of(name: &str) -> usize {
    usize::from(name.contains(' '))
}

async fn run(mut asked: mpsc::UnboundedReceiver<Ask>, known: Arc<AtomicUsize>) {
    let mut holders = [Holders::default(), Holders::default()];
    let mut is_new = false;
    while let Some(ask) = asked.recv().await {
        match ask {
            Ask::Note(names, key) => {
                for name in names {
                    is_new |= note(&mut holders, &name, &key);
                }
            }
            Ask::Find(names, reply) => {
                let mut found = names.iter();
                let found = found.find_map(|name| holders.get_mut(of(name))?.find(name));
                // Whoever asked may be gone.
                drop(reply.send(found));
            }
            Ask::News(reply) => {
                let all = || {
                    let all = holders.iter().flat_map(Holders::all);
                    all.map(|(name, key)| (name.into(), key.clone())).collect()
                };
                drop(reply.send(std::mem::take(&mut is_new).then(all)));
            }
            Ask::Restore(held) => {
                for (name, key) in held {
                    note(&mut holders, &name, &key);
                }
            }
        }
        let names: usize = holders.iter().map(Holders::len).sum();
        known.store(names.max(asked.len()), Ordering::Relaxed);
    }
}

fn note(holders: &mut [Holders; 2], name: &str, key: &KeyId) -> bool {
    let holders = holders.get_mut(of(name));
    holders.is_some_and(|holders| holders.note(name, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(index: u32) -> KeyId {
        KeyId {
            provider: "p".into(),
            index,
        }
    }

    #[tokio::test]
    async fn what_is_noted_is_found_at_once_and_told_once() {
        let affinity = Affinity::start();
        assert!(affinity.is_empty());
        assert_eq!(affinity.news().await, None);
        affinity.note(vec!["file-1".into()], key(2));
        let names = vec!["other".into(), "file-1".into()];
        assert_eq!(affinity.find(names).await, Some(key(2)));
        assert_eq!(affinity.find(vec!["other".into()]).await, None);
        assert_eq!(affinity.news().await, Some(vec![("file-1".into(), key(2))]));
        assert_eq!(affinity.news().await, None);
        let next = Affinity::start();
        next.restore(vec![("file-1".into(), key(2))]);
        assert_eq!(next.find(vec!["file-1".into()]).await, Some(key(2)));
        assert_eq!(next.news().await, None);
    }

    #[tokio::test]
    async fn no_resource_is_forgotten_for_thoughts() {
        let affinity = Affinity::start();
        affinity.note(vec!["file-1".into()], key(2));
        for at in 0..2 * crate::domain::holders::MOST {
            affinity.note(vec![format!("thought {at}").into()], key(1));
        }
        assert_eq!(affinity.find(vec!["thought 0".into()]).await, None);
        assert_eq!(affinity.find(vec!["file-1".into()]).await, Some(key(2)));
        let all = affinity.news().await.unwrap();
        assert_eq!(all.len(), crate::domain::holders::MOST + 1);
    }
}
