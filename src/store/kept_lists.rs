//! The file that keeps fetched lists of models, as they came, for the next process.

use std::fs;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The form of the file; another one is not read.
const VERSION: u32 = 1;
/// The largest file that is read, in bytes.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// One list as it came.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SavedList {
    /// The provider, or the URL, that it came from.
    pub place: String,
    /// Whether it is a provider's own.
    pub own: bool,
    /// When it came, in seconds since 1970.
    pub read_at: u64,
    /// What the server calls this version of it.
    pub etag: Option<String>,
    /// Its pages.
    #[serde(serialize_with = "all", deserialize_with = "shared")]
    pub pages: Arc<[String]>,
}

fn all<S: Serializer>(pages: &Arc<[String]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(pages.iter())
}

fn shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[String]>, D::Error> {
    Vec::deserialize(deserializer).map(Arc::from)
}

#[derive(Serialize, Deserialize)]
struct SavedLists {
    version: u32,
    lists: Vec<SavedList>,
}

/// What was kept; nothing where there is no file.
///
/// # Errors
/// The file cannot be read, or is no such file.
pub fn read(path: &Path) -> io::Result<Vec<SavedList>> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    if found.len() > MOST_BYTES || !found.is_file() {
        return Err(io::Error::other("it is no file of lists"));
    }
    let kept: SavedLists = serde_json::from_slice(&fs::read(path)?).map_err(io::Error::other)?;
    if kept.version != VERSION {
        return Err(io::Error::other("it is of another version"));
    }
    Ok(kept.lists)
}

/// Writes them beside the file, and puts that in its place.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, lists: &[SavedList]) -> io::Result<()> {
    let kept = SavedLists {
        version: VERSION,
        lists: lists.to_vec(),
    };
    let text = serde_json::to_vec(&kept).map_err(io::Error::other)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    // A URL may hold a credential.
    let mut options = fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&new)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_nothing_else_is() {
        let dir = std::env::temp_dir().join(format!("pointsman-lists-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("lists.json");
        assert_eq!(read(&path).unwrap(), Vec::new());
        let list = SavedList {
            place: "groq".to_owned(),
            own: true,
            read_at: 7,
            etag: None,
            pages: Arc::new(["{}".to_owned()]),
        };
        write(&path, std::slice::from_ref(&list)).unwrap();
        assert_eq!(read(&path).unwrap(), [list]);
        fs::write(&path, r#"{"version": 2, "lists": []}"#).unwrap();
        assert!(read(&path).is_err());
        assert!(read(&dir).is_err());
        fs::remove_dir_all(&dir).unwrap();
    }
}
