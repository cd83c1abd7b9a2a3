//! The state file: its lock, its atomic replacement, and what happens to one that can't be read.
//!
//! A new version is written beside it, forced to the disk, and renamed over it; then the folder is forced to the disk.
//! So at any moment there is one whole version, the old or the new one. A lock on a file beside it, which the
//! operating system lets go of when its process ends in whatever way, keeps a second process from writing.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fingerprint::Fingerprinter;
use super::format::{self, Defect};
use super::snapshot::StateSnapshot;
use crate::config::Additions;
use crate::domain::time::{Anchor, Time};

/// Larger files were not written by this program.
const LARGEST: u64 = 256 * 1024 * 1024;

/// Why a path cannot hold the state.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no folder for it.
    #[error("state.path: {} cannot be written: there is no folder {}; create it, or remove state.path", path.display(), folder.display())]
    NoFolder {
        /// The path as configured.
        path: PathBuf,
        /// Where it would be.
        folder: PathBuf,
    },
    /// Something that is no file has that name.
    #[error("state.path: {} is not a file; name a file", .0.display())]
    NotAFile(PathBuf),
    /// It can't be written.
    #[error("state.path: {} cannot be written; let this process write to its folder, or remove state.path", path.display())]
    Denied {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is no randomness for a salt.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

/// What was found that kept nothing from starting.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// Another process writes it.
    #[error("another process keeps its state in {}: until that ends nothing is kept of this one", .0.display())]
    Locked(PathBuf),
    /// The file system has no locks.
    #[error("the file system of {} has no locks: see to it that no second process writes it", .0.display())]
    NoLocks(PathBuf),
    /// It could not be understood, and was renamed.
    #[error("{} was set aside as {}, and this process begins without it: {why}", path.display(), aside.display())]
    SetAside {
        /// The file.
        path: PathBuf,
        /// Where it is now.
        aside: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The disk is full, or something else is wrong that the configuration can't mend.
    #[error("{} cannot be written, trying again every second: {why}", path.display())]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        why: String,
    },
    /// It could not be understood, and could or should not be renamed.
    #[error("{} cannot be used, and this process begins without it: {why}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// The file, and the right to write it or not.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    lock: File,
    /// It may be written.
    held: bool,
}

/// A store and what it held.
#[derive(Debug)]
pub struct Opened {
    /// Writes the file.
    pub store: Store,
    /// Makes the fingerprints that are in the snapshot.
    pub fingerprinter: Fingerprinter,
    /// The state that was in the file.
    pub snapshot: StateSnapshot,
    /// Problems for the log.
    pub faults: Vec<StoreFault>,
    /// The file is to be written again as soon as that is possible.
    pub unwritten: bool,
}

impl Store {
    /// Opens the file, or prepares a new one. A file that cannot be understood never keeps a process from starting: it
    /// is renamed. With another process at work it is read, and left alone.
    ///
    /// # Errors
    /// The path cannot be written.
    pub fn open(path: &Path, anchor: Anchor) -> Result<Opened, OpenError> {
        // Through links, so that the link stays and all processes lock the same file.
        let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let denied = |source| OpenError::Denied {
            path: path.clone(),
            source,
        };
        // A path that cannot hold a file is a mistake of the configuration.
        let folder = folder(path);
        if !folder.is_dir() {
            let (path, folder) = (path.clone(), folder.to_owned());
            return Err(OpenError::NoFolder { path, folder });
        }
        let is_file = fs::metadata(path).map_or(true, |found| found.is_file());
        if path.file_name().is_none() || !is_file {
            return Err(OpenError::NotAFile(path.clone()));
        }
        let mut faults = Vec::new();
        let (lock, held) = take_lock(path, &mut faults).map_err(denied)?;
        let store = Self {
            path: path.clone(),
            lock,
            held,
        };
        // What the file says, or an empty state where there is none or it is damaged.
        let (marker, book) = match store.load(anchor) {
            Ok(Some(found)) => found,
            Ok(None) => fresh()?,
            Err(why) => {
                faults.push(store.set_aside(why));
                fresh()?
            }
        };
        let mut unwritten = false;
        if store.held {
            // A first write shows at once whether it is possible, and stores the salt.
            let encoded = format::encode(&book, &marker, &anchor).map_err(io::Error::other);
            match encoded.and_then(|bytes| store.write(&bytes)) {
                Ok(()) => {}
                Err(source) if is_mistake(source.kind()) => return Err(denied(source)),
                Err(error) => {
                    let why = error.to_string();
                    faults.push(StoreFault::Unwritten {
                        path: path.clone(),
                        why,
                    });
                    unwritten = true;
                }
            }
        }
        Ok(Opened {
            store,
            fingerprinter: marker,
            snapshot: book,
            faults,
            unwritten,
        })
    }

    /// Whether this process writes it.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tries again to get the lock; on success returns what the process before wrote last.
    pub fn take_over(&mut self, anchor: Anchor) -> Option<Option<(Fingerprinter, StateSnapshot)>> {
        self.held = try_lock(&self.lock).ok()?;
        self.held.then(|| self.load(anchor).ok().flatten())
    }

    /// Replaces the file. When it fails, the file is as it was.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let temporary = beside(&self.path, "tmp");
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        drop(file);
        if let Err(error) = written.and_then(|()| fs::rename(&temporary, &self.path)) {
            // A full disk gets its space back.
            drop(fs::remove_file(&temporary));
            return Err(error);
        }
        // Not every file system can do that for a folder; then a power cut may bring back the version before.
        drop(File::open(folder(&self.path)).and_then(|folder| folder.sync_all()));
        Ok(())
    }

    /// `None` when there is no file.
    fn load(&self, anchor: Anchor) -> Result<Option<(Fingerprinter, StateSnapshot)>, String> {
        let bytes = match read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| format!("it can't be read: {error}"))?,
        };
        let decoded = format::decode(&bytes, anchor);
        decoded
            .map(Some)
            .map_err(|defect: Defect| defect.to_string())
    }

    fn set_aside(&self, why: String) -> StoreFault {
        let path = self.path.clone();
        let aside = beside(&path, "broken");
        if self.held && fs::rename(&path, &aside).is_ok() {
            return StoreFault::SetAside { path, aside, why };
        }
        StoreFault::Unusable { path, why }
    }
}

/// What was added to the process whose state is in this file; `None`: there is no such file, or it cannot be read. The
/// file stays as it is, whoever writes it.
pub fn additions_in(path: &Path) -> Option<Additions> {
    let bytes = read(path).ok()?;
    let anchor = Anchor {
        time: Time::ZERO,
        wall: Duration::ZERO,
    };
    let (_, snapshot) = format::decode(&bytes, anchor).ok()?;
    Some((*snapshot.additions).clone())
}

/// Whether that is for the operator to mend before anything starts. A full disk is not: it must not keep a process
/// from serving.
fn is_mistake(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        kind,
        Kind::NotFound
            | Kind::PermissionDenied
            | Kind::ReadOnlyFilesystem
            | Kind::NotADirectory
            | Kind::IsADirectory
            | Kind::InvalidFilename
    )
}

fn fresh() -> Result<(Fingerprinter, StateSnapshot), OpenError> {
    let marker = Fingerprinter::random().ok_or(OpenError::NoRandomness)?;
    Ok((marker, StateSnapshot::default()))
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut limited = File::open(path)?.take(LARGEST + 1);
    limited.read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
        return Err(io::Error::other("it is too large"));
    }
    Ok(bytes)
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// `state.json` and `lock` make `state.json.lock`.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// The file's lock, and whether this process holds it: it does where there are no locks.
fn take_lock(path: &Path, faults: &mut Vec<StoreFault>) -> io::Result<(File, bool)> {
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(beside(path, "lock"))?;
    let held = match try_lock(&lock) {
        Ok(held) => held,
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            faults.push(StoreFault::NoLocks(path.to_owned()));
            true
        }
        Err(error) => return Err(error),
    };
    if !held {
        faults.push(StoreFault::Locked(path.to_owned()));
    }
    Ok((lock, held))
}

#[cfg(test)]
mod tests;
