//! Whether files have changed. Their contents are compared, once a second: they are small, and neither links that
//! are swapped (as secret mounts do it), nor coarse times of files, nor files that come and go in a directory can hide
//! a change from that.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::config::{Config, ConfigErrors, files_at};

/// The interval between two checks of the files.
const EVERY: Duration = Duration::from_secs(1);
/// Between two looks at what is just changing.
const SETTLING: Duration = Duration::from_millis(100);
/// A file that keeps changing is read after this many checks.
const LOOKS: u32 = 20;

/// Files and directories of files, and what was seen of them last.
pub(super) struct Watch {
    files: Vec<PathBuf>,
    seen: u64,
    /// When to check next: kept here, because the caller also waits for other things.
    next: Instant,
    /// While they are changing, how many more looks they get to come to rest.
    restless: Option<u32>,
}

impl Watch {
    /// Looks at them a first time. Those that do not exist may come into being later.
    pub(super) async fn new(files: Vec<PathBuf>) -> Self {
        let mut watch = Self {
            files,
            seen: 0,
            next: Instant::now() + EVERY,
            restless: None,
        };
        watch.look().await;
        watch
    }

    /// Completes when a file differs from the last check and no longer changes: an editor may
    /// still be writing it. Never without files. Cancel-safe: may be dropped and called again.
    pub(super) async fn changed(&mut self) {
        loop {
            tokio::time::sleep_until(self.next).await;
            let differs = self.look().await;
            let left = self.restless.unwrap_or(LOOKS);
            self.restless = (differs && left > 0).then(|| left - 1);
            let rested = self.restless.is_none() && (differs || left < LOOKS);
            self.next = match self.restless {
                Some(_) => Instant::now() + SETTLING,
                None => Instant::now() + EVERY,
            };
            if rested {
                return;
            }
        }
    }

    /// The files that are watched.
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
            for path in files {
                for file in files_at(&path) {
                    file.hash(&mut hasher);
                    content(&file).as_deref().hash(&mut hasher);
                }
            }
            hasher.finish()
        });
        let Ok(found) = looking.await else {
            return false;
        };
        std::mem::replace(&mut self.seen, found) != found
    }
}

/// The files whose change is a reason to read again: of what was read, and of what serves when that has mistakes. Any
/// one of them may mend it.
pub(super) fn wanted(read: &Result<Config, ConfigErrors>, serving: &Config) -> Vec<PathBuf> {
    match read {
        Ok(config) => config.files.clone(),
        Err(errors) => {
            let more = errors.files().iter();
            let more = more.filter(|file| !serving.files.contains(file));
            serving.files.iter().chain(more).cloned().collect()
        }
    }
}

/// What a file holds; of what is no file, a pipe say, nothing is read: it would be gone then.
fn content(file: &Path) -> Option<Zeroizing<Vec<u8>>> {
    let is_file = std::fs::metadata(file).is_ok_and(|found| found.is_file());
    is_file.then(|| std::fs::read(file).ok().map(Zeroizing::new))?
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::runtime::temp::TempDir;

    #[tokio::test]
    async fn a_directory_whose_links_are_swapped_has_changed() {
        let dir = TempDir::new();
        let at = |name: &str| dir.0.join(name);
        // As Kubernetes mounts a secret.
        for (version, key) in [("..v1", "one"), ("..v2", "two")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("key"), key).unwrap();
        }
        symlink("..v1", at("..data")).unwrap();
        symlink("..data/key", at("key")).unwrap();
        let mut both = Watch::new(vec![dir.0.clone()]).await;
        let mut one = Watch::new(vec![at("key")]).await;
        assert!(!both.look().await && !one.look().await);
        symlink("..v2", at("..next")).unwrap();
        fs::rename(at("..next"), at("..data")).unwrap();
        assert!(both.look().await && one.look().await);
        fs::write(at("second"), "three").unwrap();
        assert!(both.look().await && !one.look().await);
        fs::remove_file(at("second")).unwrap();
        assert!(both.look().await);
        fs::write(at("..v2").join("key"), "edited in place").unwrap();
        assert!(both.look().await && one.look().await);
        assert!(!both.look().await && !one.look().await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_told_when_it_has_come_to_rest_and_never_forgotten() {
        let dir = TempDir::new();
        let file = dir.0.join("key");
        fs::write(&file, "one").unwrap();
        let mut watch = Watch::new(vec![file.clone()]).await;
        let quiet = tokio::time::timeout(EVERY * 9 / 2, watch.changed()).await;
        assert!(quiet.is_err());
        fs::write(&file, "tw").unwrap();
        // Seen, but it may still be written; the caller may wait for other things in between.
        let seen = EVERY / 2 + SETTLING / 2;
        assert!(tokio::time::timeout(seen, watch.changed()).await.is_err());
        fs::write(&file, "two").unwrap();
        let before = Instant::now();
        watch.changed().await;
        assert!(before.elapsed() >= SETTLING && before.elapsed() < EVERY);
        assert!(
            tokio::time::timeout(5 * EVERY, watch.changed())
                .await
                .is_err(),
            "told once"
        );
    }

    #[tokio::test]
    async fn a_key_that_moves_to_another_file_is_a_change() {
        let dir = TempDir::new();
        fs::write(dir.0.join("a"), "key").unwrap();
        let mut watch = Watch::new(vec![dir.0.clone()]).await;
        fs::rename(dir.0.join("a"), dir.0.join("b")).unwrap();
        assert!(watch.look().await);
    }
}
