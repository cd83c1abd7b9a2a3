//! The process starts, whatever the file looks like; and two processes never write it at once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::*;
use crate::domain::ids::ProviderName;
use crate::domain::persisted::{Fingerprint, PersistedCooldown, PersistedKey};
use crate::domain::time::Time;
use crate::store::SnapshotKey;

const NOW: Anchor = Anchor {
    time: Time::ZERO,
    wall: Duration::from_secs(1_000_000),
};

struct StoreDir(PathBuf);

impl StoreDir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pointsman-store-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("state.json")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for StoreDir {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn book() -> StateSnapshot {
    let mut book = StateSnapshot::default();
    let whole = PersistedCooldown {
        until: Time::ZERO + Duration::from_secs(60),
        strikes: 1,
    };
    let page = SnapshotKey {
        provider: ProviderName::from("p"),
        persisted: PersistedKey {
            whole: Some(whole),
            ..PersistedKey::default()
        },
        limits: std::sync::Arc::default(),
    };
    book.note_key(Fingerprint([1; 16]), page);
    book
}

/// The bytes of a file that holds `book()`.
fn written(path: &Path) -> Vec<u8> {
    let opened = Store::open(path, NOW).unwrap();
    let bytes = format::encode(&book(), &opened.fingerprinter, &NOW).unwrap();
    opened.store.write(&bytes).unwrap();
    bytes
}

#[test]
fn what_was_written_is_there_after_a_restart_and_only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = StoreDir::new();
    written(&dir.file());
    assert_eq!(dir.names(), ["state.json", "state.json.lock"]);
    let mode = fs::metadata(dir.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let opened = Store::open(&dir.file(), NOW).unwrap();
    assert_eq!(opened.snapshot, book());
    assert!(opened.faults.is_empty());
}

#[test]
fn a_file_cut_off_is_set_aside_and_the_start_goes_on() {
    let dir = StoreDir::new();
    let bytes = written(&dir.file());
    // That every byte counts is the format's test; each of these starts forces several files to the disk.
    for length in (0..bytes.len() - 1).step_by(61) {
        fs::write(dir.file(), &bytes[..length]).unwrap();
        let opened = Store::open(&dir.file(), NOW).unwrap();
        assert!(
            matches!(opened.faults[..], [StoreFault::SetAside { .. }]),
            "{length}"
        );
        assert_eq!(opened.snapshot, StateSnapshot::default());
        let aside = fs::read(dir.0.join("state.json.broken")).unwrap();
        assert_eq!(aside, &bytes[..length]);
        drop(opened);
        let again = Store::open(&dir.file(), NOW).unwrap();
        assert!(again.faults.is_empty(), "told once");
    }
}

#[test]
fn a_kill_while_writing_leaves_the_version_before() {
    let dir = StoreDir::new();
    let bytes = written(&dir.file());
    fs::write(dir.0.join("state.json.tmp"), &bytes[..20]).unwrap();
    let opened = Store::open(&dir.file(), NOW).unwrap();
    assert_eq!(opened.snapshot, book());
    opened.store.write(&bytes).unwrap();
    assert_eq!(dir.names(), ["state.json", "state.json.lock"]);
}

#[test]
fn a_second_process_reads_but_does_not_write_until_the_first_has_ended() {
    let dir = StoreDir::new();
    let bytes = written(&dir.file());
    let first = Store::open(&dir.file(), NOW).unwrap();
    let mut second = Store::open(&dir.file(), NOW).unwrap();
    assert!(first.store.is_held() && !second.store.is_held());
    assert!(matches!(second.faults[..], [StoreFault::Locked(_)]));
    assert_eq!(second.snapshot, book());
    assert_eq!(second.fingerprinter.salt(), first.fingerprinter.salt());
    assert!(second.store.take_over(NOW).is_none());
    // A broken file of another process is left alone too.
    fs::write(dir.file(), "garbage").unwrap();
    let third = Store::open(&dir.file(), NOW).unwrap();
    assert!(matches!(
        third.faults[..],
        [StoreFault::Locked(_), StoreFault::Unusable { .. }]
    ));
    assert_eq!(fs::read(dir.file()).unwrap(), b"garbage");
    fs::write(dir.file(), &bytes).unwrap();
    drop(first);
    let theirs = second.store.take_over(NOW).unwrap();
    assert_eq!(theirs.unwrap().1, book());
    assert!(second.store.is_held());
}

#[test]
fn a_path_that_cannot_be_written_is_told_with_what_to_do() {
    let dir = StoreDir::new();
    let told = |path: &Path| Store::open(path, NOW).unwrap_err().to_string();
    let text = told(&dir.0.join("none/state.json"));
    assert!(
        text.contains("there is no folder") && text.contains("create it"),
        "{text}"
    );
    let text = told(&dir.0);
    assert!(text.contains("is not a file"), "{text}");
    fs::create_dir(dir.0.join("state.json.lock")).unwrap();
    let text = told(&dir.file());
    assert!(
        text.contains("cannot be written; let this process write"),
        "{text}"
    );
}

#[test]
fn a_failed_write_leaves_the_file_as_it_was() {
    let dir = StoreDir::new();
    let bytes = written(&dir.file());
    let opened = Store::open(&dir.file(), NOW).unwrap();
    fs::create_dir(dir.0.join("state.json.tmp")).unwrap();
    assert!(opened.store.write(b"new").is_err());
    assert_eq!(fs::read(dir.file()).unwrap(), bytes);
    fs::remove_dir(dir.0.join("state.json.tmp")).unwrap();
    opened.store.write(b"new").unwrap();
    assert_eq!(fs::read(dir.file()).unwrap(), b"new");
}

#[test]
fn a_link_stays_a_link() {
    let dir = StoreDir::new();
    let real = dir.0.join("real.json");
    written(&real);
    std::os::unix::fs::symlink(&real, dir.file()).unwrap();
    let opened = Store::open(&dir.file(), NOW).unwrap();
    assert_eq!(opened.snapshot, book());
    assert!(fs::symlink_metadata(dir.file()).unwrap().is_symlink());
}
