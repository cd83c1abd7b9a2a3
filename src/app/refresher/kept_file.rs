//! The file that keeps fetched lists, as they came, for the next process.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The form of the file; another one is not read.
const VERSION: u32 = 1;
/// The largest file that is read, in bytes.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// One list as it came.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    /// The provider, or the URL, it came from.
    pub place: String,
    /// Whether it is a provider's own.
    pub own: bool,
    /// When it came, in seconds since 1970.
    pub read_at: u64,
    /// What the server calls this version of it.
    pub etag: Option<String>,
    /// Its pages.
    pub pages: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    lists: Vec<Saved>,
}

/// What was kept; nothing, with a warning, where it cannot be read.
pub(super) async fn read(path: PathBuf) -> Vec<Saved> {
    let shown = path.display().to_string();
    let read = tokio::task::spawn_blocking(move || read_now(&path)).await;
    match read {
        Ok(Ok(lists)) => lists,
        Ok(Err(error)) => {
            tracing::warn!(file = shown, %error, "the kept lists of models cannot be read: they are fetched anew");
            Vec::new()
        }
        Err(_) => Vec::new(),
    }
}

fn read_now(path: &Path) -> Result<Vec<Saved>, std::io::Error> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    if found.len() > MOST_BYTES || !found.is_file() {
        return Err(std::io::Error::other("it is no file of lists"));
    }
    let kept: Kept = serde_json::from_slice(&fs::read(path)?).map_err(std::io::Error::other)?;
    if kept.version != VERSION {
        return Err(std::io::Error::other("it is of another version"));
    }
    Ok(kept.lists)
}

/// Writes them beside the file, and puts that in its place.
pub(super) async fn write(path: PathBuf, lists: Vec<Saved>) {
    let shown = path.display().to_string();
    let written = tokio::task::spawn_blocking(move || write_now(&path, lists)).await;
    if let Ok(Err(error)) = written {
        tracing::warn!(file = shown, %error, "the lists of models cannot be kept");
    }
}

fn write_now(path: &Path, lists: Vec<Saved>) -> Result<(), std::io::Error> {
    let kept = Kept {
        version: VERSION,
        lists,
    };
    let text = serde_json::to_vec(&kept).map_err(std::io::Error::other)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    // A URL may hold a credential.
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&new, path)
}
