//! Where finished log lines go: a queue to the one thread that writes them.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::time::Duration;

/// Lines waiting for the writer thread, at most; beyond that lines are dropped rather than requests slowed.
const QUEUE: usize = 16_384;
/// The writer's rest between two batches.
const REST: Duration = Duration::from_millis(5);
/// At the end the writer gets so long for what is queued: whoever should read it may have stopped.
const FLUSH: Duration = Duration::from_secs(2);
/// How often a full queue is tried at the end.
const FLUSH_STEP: Duration = Duration::from_millis(10);
/// A batch is written when it has so many bytes.
const BATCH: usize = 64 * 1024;

/// The process's queue of lines for machines, once there is one: the request line goes there directly.
static JSON_LINES: OnceLock<SyncSender<Vec<u8>>> = OnceLock::new();

/// Lines that found the queue full.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Flushes what is queued when dropped, as far as it is read. Keep it until the end of `main`.
#[derive(Debug)]
pub struct LogGuard {
    queue: SyncSender<Vec<u8>>,
    /// Closed by the writer's end.
    ended: Receiver<()>,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let mut left = FLUSH;
        // The subscriber's own sender lives as long as the process: an empty line asks the writer to end.
        while let Err(TrySendError::Full(_)) = self.queue.try_send(Vec::new()) {
            let _ = self.ended.recv_timeout(FLUSH_STEP);
            left = left.saturating_sub(FLUSH_STEP);
            if left.is_zero() {
                return;
            }
        }
        // Over in time or not: this is the end.
        let _ = self.ended.recv_timeout(left);
    }
}

/// Starts the writer thread; what it is sent goes to standard output.
pub(super) fn start() -> (SyncSender<Vec<u8>>, LogGuard) {
    let (queue, lines) = mpsc::sync_channel(QUEUE);
    let (end, ended) = mpsc::channel();
    let writer = move || {
        write_lines(&lines);
        drop(end);
    };
    // Without the thread there is nobody to write, and nothing to wait for.
    drop(
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(writer),
    );
    let guard = LogGuard {
        queue: queue.clone(),
        ended,
    };
    (queue, guard)
}

/// From now on [`json_lines`] leads there.
pub(super) fn install_json(queue: &SyncSender<Vec<u8>>) {
    // A second one, in tests, changes nothing.
    drop(JSON_LINES.set(queue.clone()));
}

/// Sends a line; one that finds the queue full is lost, and counted.
pub(super) fn send(queue: &SyncSender<Vec<u8>>, line: Vec<u8>) {
    if let Err(TrySendError::Full(_)) = queue.try_send(line) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many lines were lost so far.
pub(super) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Where a line of JSON may be sent without a detour, if lines are JSON.
pub(super) fn json_lines() -> Option<&'static SyncSender<Vec<u8>>> {
    JSON_LINES.get()
}

/// Writes batches: many lines, one system call. Between two batches it rests a moment: a thread that waits
/// for each line would have to be woken, by a system call, from every request.
#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own, which may rest"
)]
fn write_lines(lines: &Receiver<Vec<u8>>) {
    let mut out = io::stdout().lock();
    let mut batch = Vec::with_capacity(BATCH);
    while let Ok(line) = lines.recv() {
        let mut end = line.is_empty();
        batch.extend_from_slice(&line);
        while batch.len() < BATCH
            && let Ok(line) = lines.try_recv()
        {
            end |= line.is_empty();
            batch.extend_from_slice(&line);
        }
        // A closed standard output is no reason to stop serving.
        drop(out.write_all(&batch).and_then(|()| out.flush()));
        batch.clear();
        if end {
            return;
        }
        std::thread::sleep(REST);
    }
}
