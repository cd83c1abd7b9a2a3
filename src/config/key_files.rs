//! Files of keys, as they come from secret mounts: a file, or a directory in which each file holds a key.

use std::fs;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::odd_keys;
use super::read::Report;
use super::resolved::KeyConfig;
use crate::domain::secret::ApiKey;

/// A file of keys is small; what is larger is something else, in bytes.
const MAX_SIZE: u64 = 1024 * 1024;

/// The files of keys at `path`: itself, or those in it when it is a directory, by name. Hidden ones are not keys:
/// Kubernetes keeps what its links lead to in `..data` and `..2026_01_31_…`. Neither are directories in it.
pub fn files_at(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else {
        return vec![path.to_owned()];
    };
    let visible = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !name.starts_with('.') && path.is_file()
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> = paths.filter(visible).collect();
    files.sort();
    files
}

/// The content of files of keys.
#[derive(Default)]
pub(super) struct Read {
    pub(super) keys: Vec<KeyConfig>,
    warnings: Vec<String>,
}

impl Read {
    /// Reports the warnings and mistakes, and returns the keys.
    pub(super) fn told(self, report: &mut Report) -> Vec<KeyConfig> {
        report.warnings.extend(self.warnings);
        self.keys
    }

    /// The keys, and the warnings.
    pub(super) fn parts(self) -> (Vec<KeyConfig>, Vec<String>) {
        (self.keys, self.warnings)
    }
}

/// The keys at `path`: one per line; blank lines and those that begin with `#` do not count.
///
/// # Errors
/// Why a file can't be read.
pub(super) fn read(path: &Path) -> Result<Read, String> {
    let is_directory = path.is_dir();
    let mut all = Read::default();
    for file in files_at(path) {
        let found = read_one(&file).map_err(|error| {
            let name = file.file_name().filter(|_| is_directory);
            name.map_or(error.clone(), |name| {
                format!("{}: {error}", name.to_string_lossy())
            })
        })?;
        all.keys.extend(found.keys);
        all.warnings.extend(found.warnings);
    }
    Ok(all)
}

fn read_one(path: &Path) -> Result<Read, String> {
    let why = |error: std::io::Error| error.kind().to_string();
    if fs::metadata(path).map_err(why)?.len() > MAX_SIZE {
        return Err("it is larger than a file of keys can be (1 MiB)".to_owned());
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(why)?);
    let text = text.trim_start_matches('\u{feff}');
    let mut read = Read::default();
    for (number, line) in (1_usize..).zip(text.lines()) {
        let key = line.trim();
        if key.is_empty() || key.starts_with('#') {
            continue;
        }
        let source = format!("file {} line {number}", path.display());
        let odd = odd_keys::told(line, &source);
        read.warnings.extend(odd);
        read.keys.push(KeyConfig {
            account: None,
            material: Some(ApiKey::new(key)),
            source,
        });
    }
    Ok(read)
}
