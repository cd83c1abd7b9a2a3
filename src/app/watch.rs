//! Whether files have changed. Their contents are compared, once a second: they are small, and neither links that
//! are swapped (as secret mounts do it) nor coarse times of files can hide a change from that.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// Files, and what was seen of them last.
pub(super) struct Watch {
    files: Vec<PathBuf>,
    seen: u64,
    /// When to look again: kept here, because who waits for a change also waits for other things.
    next: Instant,
}

impl Watch {
    /// Looks at them a first time. Those that do not exist may come into being later.
    pub(super) async fn new(files: Vec<PathBuf>) -> Self {
        let mut watch = Self {
            files,
            seen: 0,
            next: Instant::now() + EVERY,
        };
        watch.look().await;
        watch
    }

    /// Completes when one of them differs from what was seen last; never without files.
    pub(super) async fn changed(&mut self) {
        loop {
            tokio::time::sleep_until(self.next).await;
            let differs = self.look().await;
            self.next = Instant::now() + EVERY;
            if differs {
                return;
            }
        }
    }

    /// What is watched.
    pub(super) fn watches(&self) -> &[PathBuf] {
        &self.files
    }

    /// Watches these from now on.
    pub(super) fn watch(&mut self, files: &[PathBuf]) {
        files.clone_into(&mut self.files);
    }

    /// Looks now; says whether anything differs from the last time.
    pub(super) async fn look(&mut self) -> bool {
        let files = self.files.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let mut hasher = DefaultHasher::new();
            for file in files {
                std::fs::read(file).ok().hash(&mut hasher);
            }
            hasher.finish()
        });
        let Ok(found) = looking.await else {
            return false;
        };
        std::mem::replace(&mut self.seen, found) != found
    }
}
