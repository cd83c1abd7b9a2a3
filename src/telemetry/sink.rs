//! Where finished log lines go: a queue to the one thread that writes them.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::time::Duration;

use crate::domain::shown::{self, may_hide};

/// Lines waiting for the writer thread, at most; beyond that lines are dropped rather than requests slowed.
const QUEUE: usize = 16_384;
/// The writer's rest between two batches.
const REST: Duration = Duration::from_millis(5);
/// How long the writer gets at the end for queued lines: the reader may have stopped.
const FLUSH: Duration = Duration::from_secs(2);
/// How often a full queue is tried at the end.
const FLUSH_STEP: Duration = Duration::from_millis(10);
/// A batch is written when it has this many bytes.
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
        // The process ends whether or not all lines were written.
        let _ = self.ended.recv_timeout(left);
    }
}

/// Starts the writer thread; what it is sent goes to standard output.
/// `json`: each line is a JSON object.
pub(super) fn start(json: bool) -> (SyncSender<Vec<u8>>, LogGuard) {
    let (queue, lines) = mpsc::sync_channel(QUEUE);
    let (end, ended) = mpsc::channel();
    let writer = move || {
        write_lines(&lines, json);
        drop(end);
    };
    // Without the thread there is no writer, and nothing to wait for.
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

/// A line without characters that hide or turn what is read around them. Those of ASCII were escaped when the line was
/// made; the others are looked for on this thread, where no request waits.
fn push(batch: &mut Vec<u8>, line: &[u8], json: bool) {
    let hides = may_hide(line);
    let Some(text) = hides.then(|| std::str::from_utf8(line).ok()).flatten() else {
        batch.extend_from_slice(line);
        return;
    };
    let shown = if json {
        shown::json(text)
    } else {
        shown::beyond_ascii(text)
    };
    batch.extend_from_slice(shown.as_bytes());
}

/// Writes batches: many lines, one system call. Between two batches it rests a moment: a thread that waits
/// for each line would have to be woken, by a system call, from every request.
#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own, which may rest"
)]
fn write_lines(lines: &Receiver<Vec<u8>>, json: bool) {
    let mut out = io::stdout().lock();
    let mut batch = Vec::with_capacity(BATCH);
    while let Ok(line) = lines.recv() {
        let mut end = line.is_empty();
        push(&mut batch, &line, json);
        while batch.len() < BATCH
            && let Ok(line) = lines.try_recv()
        {
            end |= line.is_empty();
            push(&mut batch, &line, json);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(line: &str, json: bool) -> String {
        let mut batch = Vec::new();
        push(&mut batch, line.as_bytes(), json);
        String::from_utf8(batch).unwrap()
    }

    #[test]
    fn a_line_shows_what_it_holds() {
        let line = "\u{1b}[2mmodel\u{1b}[0m=a\u{202e}b\u{e0041}é模\n";
        let shown = "\u{1b}[2mmodel\u{1b}[0m=a\\u{202e}b\\u{e0041}é模\n";
        assert_eq!(pushed(line, false), shown);
        let line = serde_json::json!({"model": "a\u{202e}b\u{e0041}\u{200b}é"}).to_string();
        let shown = pushed(&line, true);
        assert!(shown.contains("a\\u202eb\\udb40\\udc41\\u200bé"), "{shown}");
        let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(value["model"], "a\u{202e}b\u{e0041}\u{200b}é");
    }
}
