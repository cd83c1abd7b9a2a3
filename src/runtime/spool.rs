//! A body that is kept as it comes in, so that it can be sent while it still comes, and sent once more if that fails: in
//! memory up to a bound, and beyond that in a file without a name.
//!
//! One task writes, any number read. A reader that has read all there is waits for more.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;

use super::buffers::{Buffered, Buffers};
use super::gathered_bytes::Mapped;

/// What is kept is read in pieces of at most so many bytes. Of the memory the first part is as large; most bodies need no
/// other.
const PIECE: usize = 64 * 1024;
/// Each further part of the memory is a mapping of so many bytes, of which those take memory that were written. Many blocks
/// of the allocator would take an eighth more, and be kept by it for a while.
const SEGMENT: usize = 1024 * 1024;

/// Files are written and read by so many threads at most. A disk is no faster with more, and each takes memory.
const AT_ONCE: usize = 16;
static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Why a body is not there as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SpoolFault {
    /// It is larger than allowed.
    #[error("the body is larger than {0} bytes (server.max_upload)")]
    TooLarge(u64),
    /// Who sends it stopped before its end.
    #[error("the body broke off")]
    BrokenOff,
    /// Nothing more of it came for too long.
    #[error("nothing more of the body came in time (server.timeouts.body)")]
    Stalled,
    /// All bodies together have as much in files as they may.
    #[error(
        "bodies have as many bytes in temporary files as they may (server.max_spooled): retry later"
    )]
    NoFile,
    /// There is neither memory nor disk for it.
    #[error(
        "there is no room for the body, neither in memory (server.max_buffered) nor in the directory for temporary files: {0}"
    )]
    NoRoom(io::ErrorKind),
}

/// How much memory a body may take, and how large it may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpoolLimits {
    /// Bytes in memory; what is beyond goes into a file.
    pub memory: usize,
    /// Bytes in all.
    pub whole: u64,
    /// Bytes in memory that count for a body from its beginning on, beside what is kept of it: the buffers that it goes
    /// through.
    pub moving: usize,
}

impl SpoolLimits {
    /// What an upload takes, by measurement (`cargo bench --bench memory`, 2,000 forms): what its connection reads into, a
    /// piece on its way to the disk, and the request itself.
    pub const MOVING: usize = 256 * 1024;
}

/// A body as far as it has come. Clones are of the same body.
#[derive(Clone, Debug)]
pub struct Spool(watch::Receiver<SpoolProgress>);

/// The side that puts in. When it is dropped before [`finish`](Self::finish) the body has broken off.
#[derive(Debug)]
pub struct SpoolWriter {
    progress: watch::Sender<SpoolProgress>,
    limits: SpoolLimits,
}

#[derive(Debug)]
struct SpoolProgress {
    /// The first part of what is in memory, and the others, all of them full but the last.
    memory: Vec<u8>,
    more_memory: Vec<Mapped>,
    in_memory: usize,
    /// What the memory counts for.
    room: Buffered,
    /// What the file counts for.
    on_disk: Buffered,
    file: Option<Arc<File>>,
    /// Bytes in all.
    length: u64,
    end: Option<Result<(), SpoolFault>>,
}

/// An empty spool.
pub fn spool(limits: SpoolLimits, buffers: &Buffers) -> (SpoolWriter, Spool) {
    let (progress, reader) = watch::channel(SpoolProgress {
        memory: Vec::new(),
        more_memory: Vec::new(),
        in_memory: 0,
        room: buffers.count(limits.moving),
        on_disk: buffers.on_disk().count(0),
        file: None,
        length: 0,
        end: None,
    });
    let writer = SpoolWriter { progress, limits };
    (writer, Spool(reader))
}

impl SpoolWriter {
    /// Adds what came.
    ///
    /// # Errors
    /// It is too large, or there is no room for it. Readers hear of that too.
    pub async fn push(&mut self, data: Bytes) -> Result<(), SpoolFault> {
        let added = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let length = self.progress.borrow().length.saturating_add(added);
        if length > self.limits.whole {
            return Err(self.fail(SpoolFault::TooLarge(self.limits.whole)));
        }
        if self.keep_in_memory(&data) {
            return Ok(());
        }
        if !self.has_room_on_disk(length) {
            return Err(self.fail(SpoolFault::NoFile));
        }
        let (file, at) = {
            let progress = self.progress.borrow();
            let kept = u64::try_from(progress.in_memory).unwrap_or(u64::MAX);
            (progress.file.clone(), progress.length.saturating_sub(kept))
        };
        let writing = move || -> io::Result<(Arc<File>, Bytes)> {
            let file = match file {
                Some(file) => file,
                None => Arc::new(tempfile::tempfile()?),
            };
            file.write_all_at(&data, at)?;
            Ok((file, data))
        };
        match on_disk(writing).await {
            // The bytes are given back where bodies are read, so that their memory is used again there.
            Ok(Ok((file, _written))) => {
                self.progress.send_modify(|progress| {
                    progress.file = Some(file);
                    progress.length = length;
                });
                Ok(())
            }
            Ok(Err(error)) => Err(self.fail(SpoolFault::NoRoom(error.kind()))),
            Err(_) => Err(self.fail(SpoolFault::NoRoom(io::ErrorKind::Other))),
        }
    }

    /// Whether all but what is in memory of so many bytes may be in a file.
    fn has_room_on_disk(&self, length: u64) -> bool {
        let mut has_room = false;
        self.progress.send_if_modified(|progress| {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let on_disk = length.saturating_sub(progress.in_memory);
            has_room = progress.on_disk.reach(on_disk);
            // It is nothing that readers wait for.
            false
        });
        has_room
    }

    /// Keeps it in memory, where it has its place there. What follows something in the file has not.
    fn keep_in_memory(&self, data: &[u8]) -> bool {
        let limits = self.limits;
        self.progress.send_if_modified(|progress| {
            let in_memory = progress.in_memory + data.len();
            if progress.file.is_some() || in_memory > limits.memory {
                return false;
            }
            if !progress.room.reach(limits.moving + in_memory) {
                return false;
            }
            let segments = in_memory.saturating_sub(PIECE).div_ceil(SEGMENT);
            while progress.more_memory.len() < segments {
                let Some(segment) = Mapped::new(SEGMENT, &[]) else {
                    return false;
                };
                progress.more_memory.push(segment);
            }
            let first = data.len().min(PIECE - progress.memory.len());
            let (first, mut rest) = data.split_at(first);
            progress.memory.reserve_exact(first.len());
            progress.memory.extend_from_slice(first);
            for segment in &mut progress.more_memory {
                let free = SEGMENT - segment.as_ref().len();
                let (now, then) = rest.split_at(rest.len().min(free));
                segment.push(now);
                rest = then;
            }
            progress.in_memory = in_memory;
            progress.length += u64::try_from(data.len()).unwrap_or(u64::MAX);
            true
        })
    }

    /// The body is not there as a whole. Readers hear of it.
    pub fn fail(&self, fault: SpoolFault) -> SpoolFault {
        self.progress.send_modify(|progress| {
            progress.end.get_or_insert(Err(fault));
        });
        fault
    }

    /// Nothing follows.
    pub fn finish(self) {
        self.progress.send_modify(|progress| {
            progress.end.get_or_insert(Ok(()));
        });
    }

    /// Completes when nobody can read it any more.
    pub async fn unwanted(&self) {
        self.progress.closed().await;
    }
}

impl Drop for SpoolWriter {
    fn drop(&mut self) {
        self.fail(SpoolFault::BrokenOff);
    }
}

/// Where the next bytes are.
enum NextPiece {
    Memory(Bytes),
    File(Arc<File>, u64, usize),
    End,
    Broken(SpoolFault),
    Later,
}

impl Spool {
    /// Its length in bytes, once all of it is there.
    pub fn length(&self) -> Option<u64> {
        let progress = self.0.borrow();
        matches!(progress.end, Some(Ok(()))).then_some(progress.length)
    }

    /// Why it will never be there as a whole.
    pub fn fault(&self) -> Option<SpoolFault> {
        match self.0.borrow().end {
            Some(Err(fault)) => Some(fault),
            Some(Ok(())) | None => None,
        }
    }

    /// Its bytes from `start` on, up to but without `end`, as they come. Ends with an error where the body is not there as a
    /// whole.
    pub fn read(&self, start: u64, end: u64) -> BoxStream<'static, Result<Bytes, SpoolFault>> {
        let state = Some((self.0.clone(), start));
        stream::unfold(state, move |state| async move {
            let (mut progress, at) = state?;
            loop {
                let next = progress.borrow_and_update().next(at, end);
                let piece = match next {
                    NextPiece::End => return None,
                    NextPiece::Broken(fault) => return Some((Err(fault), None)),
                    NextPiece::Later => {
                        if progress.changed().await.is_err() {
                            // The writer has said its last word.
                            let last = progress.borrow().next(at, end);
                            match last {
                                NextPiece::Later => {
                                    return Some((Err(SpoolFault::BrokenOff), None));
                                }
                                _ => continue,
                            }
                        }
                        continue;
                    }
                    NextPiece::Memory(piece) => Ok(piece),
                    NextPiece::File(file, place, length) => read_piece(file, place, length).await,
                };
                return Some(match piece {
                    Ok(piece) => {
                        let next = at + u64::try_from(piece.len()).unwrap_or(u64::MAX);
                        (Ok(piece), Some((progress, next)))
                    }
                    Err(fault) => (Err(fault), None),
                });
            }
        })
        .boxed()
    }
}

/// Does something with a file, no more than [`AT_ONCE`] at a time. The work keeps its turn until it is done, also when
/// nobody waits for it any more: it goes on all the same.
async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ()> {
    let turn = TURNS.acquire().await.map_err(|_| ())?;
    let working = spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    working.await.map_err(|_| ())
}

/// Reads a piece of the file.
async fn read_piece(file: Arc<File>, place: u64, length: usize) -> Result<Bytes, SpoolFault> {
    let mut piece = vec![0; length];
    let reading = move || file.read_exact_at(&mut piece, place).map(|()| piece);
    match on_disk(reading).await {
        Ok(Ok(piece)) => Ok(piece.into()),
        Ok(Err(error)) => Err(SpoolFault::NoRoom(error.kind())),
        Err(_) => Err(SpoolFault::NoRoom(io::ErrorKind::Other)),
    }
}

impl SpoolProgress {
    fn next(&self, at: u64, end: u64) -> NextPiece {
        if at >= end {
            return NextPiece::End;
        }
        if at >= self.length {
            return match self.end {
                Some(Ok(())) => NextPiece::End,
                Some(Err(fault)) => NextPiece::Broken(fault),
                None => NextPiece::Later,
            };
        }
        let most = usize::try_from(end - at).unwrap_or(usize::MAX);
        let kept = u64::try_from(self.in_memory).unwrap_or(u64::MAX);
        let Some(place) = at.checked_sub(kept) else {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            let piece = match at.checked_sub(PIECE) {
                None => self.memory.get(at..),
                Some(at) => {
                    let segment = self.more_memory.get(at / SEGMENT);
                    segment.and_then(|segment| segment.as_ref().get(at % SEGMENT..))
                }
            };
            let piece = piece.unwrap_or_default();
            let piece = piece
                .get(..most.min(PIECE).min(piece.len()))
                .unwrap_or_default();
            return NextPiece::Memory(Bytes::copy_from_slice(piece));
        };
        let Some(file) = &self.file else {
            return NextPiece::Broken(SpoolFault::NoRoom(io::ErrorKind::NotFound));
        };
        let there = usize::try_from(self.length - at).unwrap_or(usize::MAX);
        NextPiece::File(Arc::clone(file), place, there.min(most).min(PIECE))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::runtime::task;

    const LIMITS: SpoolLimits = SpoolLimits {
        memory: 100_000,
        whole: 1_000_000,
        moving: 0,
    };

    async fn all(spool: &Spool, start: u64, end: u64) -> Result<Vec<u8>, SpoolFault> {
        let mut bytes = Vec::new();
        let mut pieces = spool.read(start, end);
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece?);
        }
        Ok(bytes)
    }

    fn text(length: usize) -> Vec<u8> {
        (0..length)
            .map(|at| u8::try_from(at % 251).unwrap())
            .collect()
    }

    #[tokio::test]
    async fn a_reader_hears_what_comes_later_and_the_end() {
        let buffers = Buffers::new(1 << 20);
        let (mut writer, spool) = spool(LIMITS, &buffers);
        let reader = spool.clone();
        let reading = task::spawn(async move { all(&reader, 0, u64::MAX).await });
        let body = text(300_000);
        for piece in body.chunks(7_777) {
            writer.push(Bytes::copy_from_slice(piece)).await.unwrap();
            tokio::task::yield_now().await;
        }
        writer.finish();
        assert_eq!(reading.await.unwrap().unwrap(), body);
        // And once more.
        assert_eq!(all(&spool, 0, u64::MAX).await.unwrap(), body);
        assert_eq!(spool.length(), Some(300_000));
        assert!(
            buffers.held() <= LIMITS.memory + PIECE,
            "{}",
            buffers.held()
        );
        drop(spool);
        assert_eq!(buffers.held(), 0);
    }

    #[tokio::test]
    async fn what_finds_no_room_in_memory_goes_into_a_file() {
        let buffers = Buffers::new(10);
        let (mut writer, spool) = spool(LIMITS, &buffers);
        writer
            .push(Bytes::from_static(b"0123456789abc"))
            .await
            .unwrap();
        writer.push(Bytes::from_static(b"de")).await.unwrap();
        writer.finish();
        assert_eq!(buffers.held(), 0);
        assert_eq!(all(&spool, 0, u64::MAX).await.unwrap(), b"0123456789abcde");
    }

    #[tokio::test]
    async fn files_are_bounded_all_together_and_given_back() {
        let buffers = Buffers::new(10);
        buffers.on_disk().resize(100);
        let (mut first, read) = spool(LIMITS, &buffers);
        first.push(text(8).into()).await.unwrap();
        first.push(text(60).into()).await.unwrap();
        assert_eq!((buffers.held(), buffers.on_disk().held()), (8, 60));
        let (mut second, other) = spool(LIMITS, &buffers);
        assert_eq!(second.push(text(41).into()).await, Err(SpoolFault::NoFile));
        assert_eq!(other.fault(), Some(SpoolFault::NoFile));
        first.push(text(40).into()).await.unwrap();
        drop((first, read, second, other));
        assert_eq!((buffers.held(), buffers.on_disk().held()), (0, 0));
    }

    #[tokio::test]
    async fn what_breaks_off_or_is_too_large_is_told_to_its_readers() {
        let buffers = Buffers::new(1 << 20);
        let (mut writer, cut) = spool(LIMITS, &buffers);
        writer.push(Bytes::from_static(b"ab")).await.unwrap();
        drop(writer);
        assert_eq!(all(&cut, 0, u64::MAX).await, Err(SpoolFault::BrokenOff));
        assert_eq!(cut.fault(), Some(SpoolFault::BrokenOff));
        let (mut writer, large) = spool(LIMITS, &buffers);
        let too_large = SpoolFault::TooLarge(LIMITS.whole);
        assert_eq!(writer.push(text(1_000_001).into()).await, Err(too_large));
        assert_eq!(all(&large, 0, u64::MAX).await, Err(too_large));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_part_comes_back_as_it_was(
            sizes in prop::collection::vec(0usize..90_000, 0..6),
            memory in 0usize..500_000,
            part in (0u64..300_000, 0u64..300_000),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let buffers = Buffers::new(1 << 20);
                let limits = SpoolLimits { memory, whole: 1 << 20, moving: 0 };
                let (mut writer, spool) = spool(limits, &buffers);
                let body = text(sizes.iter().sum());
                let mut rest = &body[..];
                for size in sizes {
                    let (now, then) = rest.split_at(size);
                    writer.push(Bytes::copy_from_slice(now)).await.unwrap();
                    rest = then;
                }
                writer.finish();
                let (start, end) = part;
                let length = body.len();
                let from = usize::try_from(start).unwrap().min(length);
                let to = usize::try_from(end).unwrap().min(length).max(from);
                let read = all(&spool, start, end).await.unwrap();
                assert_eq!(read, &body[from..to]);
            });
        }
    }
}
