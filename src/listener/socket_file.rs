//! The file of a Unix socket: made with the right owner and mode, taken over or left alone when it is there already,
//! and removed at the end if it is still ours.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::{Group, User};
use tokio::net::{UnixListener, UnixSocket};

/// Connections that may wait to be accepted (the kernel takes `net.core.somaxconn` if that is less).
pub(super) const BACKLOG: u32 = 1024;

/// Owner and permissions of a socket's file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileMode {
    /// Permission bits; connecting takes the right to write.
    pub mode: u32,
    /// A user's name or number; `None`: the user that runs the process.
    pub owner: Option<String>,
    /// A group's name or number.
    pub group: Option<String>,
}

/// Removes the socket's file when dropped, if the path still leads to the same socket.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// The final path, while another process's socket is still there.
    place: Option<PathBuf>,
    identity: Option<(u64, u64)>,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another process may have removed or replaced it.
        if self.identity.is_some() && identity(&self.path) == self.identity {
            drop(fs::remove_file(&self.path));
        }
    }
}

impl SocketFile {
    /// Replaces the socket that is still there, without a gap: clients that connected before
    /// belong to the old one, later ones to this one.
    ///
    /// # Errors
    /// The operating system's error; then it has not moved.
    pub(super) fn take_place(&mut self) -> io::Result<()> {
        if let Some(place) = &self.place {
            fs::rename(&self.path, place)?;
            place.clone_into(&mut self.path);
            self.place = None;
        }
        Ok(())
    }
}

/// Binds a socket there. A stale one in its place is replaced; a live one only with `take_over`: then the new one waits
/// beside it until `take_place` is called.
///
/// # Errors
/// The operating system's error; `AddrInUse` when another process listens there, `AlreadyExists` when another kind of
/// file is there, `NotFound` for an owner or a group that does not exist.
pub(super) async fn bind(
    path: &Path,
    file: &FileMode,
    take_over: bool,
) -> io::Result<(UnixListener, SocketFile)> {
    let live = clear(path, take_over).await?;
    let bound = |path: &Path| {
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        let listener = socket.listen(BACKLOG)?;
        let made = SocketFile {
            path: path.to_owned(),
            place: None,
            identity: identity(path),
        };
        set_owner_and_mode(path, file)?;
        Ok::<_, io::Error>((listener, made))
    };
    if !live {
        return bound(path);
    }
    let aside = path.with_file_name(format!(".{:08x}", fastrand::u32(..)));
    let (listener, mut made) = bound(&aside)?;
    made.place = Some(path.to_owned());
    Ok((listener, made))
}

/// Sets owner, group and permissions.
fn set_owner_and_mode(path: &Path, file: &FileMode) -> io::Result<()> {
    let owner = number(file.owner.as_deref(), "user", user)?;
    let group = number(file.group.as_deref(), "group", group)?;
    if owner.is_some() || group.is_some() {
        chown(path, owner, group)?;
    }
    fs::set_permissions(path, Permissions::from_mode(file.mode))
}

/// The number of a user or a group, given as such or by a name that `lookup` knows.
fn number(
    name: Option<&str>,
    what: &str,
    lookup: impl FnOnce(&str) -> nix::Result<Option<u32>>,
) -> io::Result<Option<u32>> {
    let Some(name) = name else { return Ok(None) };
    if let Ok(number) = name.parse() {
        return Ok(Some(number));
    }
    let message = || format!("there is no {what} `{name}` on this machine: write its number");
    lookup(name)?
        .map(Some)
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, message()))
}

fn user(name: &str) -> nix::Result<Option<u32>> {
    Ok(User::from_name(name)?.map(|user| user.uid.as_raw()))
}

fn group(name: &str) -> nix::Result<Option<u32>> {
    Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
}

/// Device and inode of the file at `path`.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Removes a stale socket, and nothing else. Returns whether a live one is there,
/// which must be allowed.
async fn clear(path: &Path, live_allowed: bool) -> io::Result<bool> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found?,
    };
    if !found.file_type().is_socket() {
        let message = format!(
            "{} exists and is not a socket: move it away, or choose another path",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    match tokio::net::UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map(|()| false)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        // A full backlog, say, or no permission: a process may be listening.
        Ok(_) | Err(_) if live_allowed => Ok(true),
        Ok(_) | Err(_) => Err(io::Error::from(io::ErrorKind::AddrInUse)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::temp::TempDir;

    fn usual() -> FileMode {
        FileMode {
            mode: 0o660,
            owner: None,
            group: None,
        }
    }

    #[tokio::test]
    async fn a_file_in_the_sockets_place_is_left_alone_and_named() {
        let dir = TempDir::new();
        let path = dir.0.join("notes");
        fs::write(&path, "precious").unwrap();
        for take_over in [false, true] {
            let error = bind(&path, &usual(), take_over).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            let text = error.to_string();
            assert!(text.contains(path.to_str().unwrap()), "{text}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let dir = TempDir::new();
        let path = dir.0.join("socket");
        // The standard library's listener leaves its file behind.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let live = bind(&path, &usual(), false).await.unwrap();
        let error = bind(&path, &usual(), false).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(live);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn another_ones_socket_is_not_removed_at_the_end() {
        let dir = TempDir::new();
        let path = dir.0.join("socket");
        let ours = bind(&path, &usual(), false).await.unwrap();
        // Moved, not removed: a free inode could be given out again.
        fs::rename(&path, dir.0.join("moved")).unwrap();
        let _theirs = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(ours);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_live_socket_that_is_taken_over_keeps_who_had_connected_to_it() {
        let dir = TempDir::new();
        let path = dir.0.join("socket");
        let (old, old_file) = bind(&path, &usual(), true).await.unwrap();
        let _early = tokio::net::UnixStream::connect(&path).await.unwrap();
        let (new, mut new_file) = bind(&path, &usual(), true).await.unwrap();
        new_file.take_place().unwrap();
        // The check for a listener was a connection too.
        for _ in 0..2 {
            old.accept().await.unwrap();
        }
        drop((old, old_file));
        let _late = tokio::net::UnixStream::connect(&path).await.unwrap();
        new.accept().await.unwrap();
        assert_eq!(fs::read_dir(&dir.0).unwrap().count(), 1);
    }

    #[test]
    fn names_of_users_and_groups_are_looked_up() {
        let lookup = |name| number(Some(name), "user", user);
        assert_eq!(lookup("root").unwrap(), Some(0));
        assert_eq!(lookup("4711").unwrap(), Some(4711));
        assert_eq!(number(Some("root"), "group", group).unwrap(), Some(0));
        let error = lookup("no-such-user").unwrap_err();
        assert!(error.to_string().contains("no-such-user"), "{error}");
    }
}
