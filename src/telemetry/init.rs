//! Where log lines go and how they look: text for people, JSON for machines, on standard output.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::json::JsonLines;

/// Lines waiting for the writer thread, at most; beyond that lines are dropped rather than requests slowed.
const QUEUE: usize = 65_536;
/// The writer's rest between two batches.
const REST: Duration = Duration::from_millis(5);

/// How lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Flushes what is queued when dropped. Keep it until the end of `main`.
#[derive(Debug)]
pub struct LogGuard {
    queue: Option<SyncSender<Vec<u8>>>,
    writer: Option<JoinHandle<()>>,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        // The subscriber's own sender lives as long as the process: an empty line asks the writer to end.
        if let Some(queue) = self.queue.take() {
            drop(queue.send(Vec::new()));
        }
        if let Some(writer) = self.writer.take() {
            drop(writer.join());
        }
    }
}

/// Installs the process's subscriber. `level` is a level or a filter such as `info,pointsman=debug`.
pub fn init(format: Format, level: &str) -> LogGuard {
    let (queue, lines) = mpsc::sync_channel(QUEUE);
    let writer = std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || write_lines(&lines))
        .ok();
    let filter = EnvFilter::try_new(level)
        .unwrap_or_else(|_| EnvFilter::new("info"))
        // The actor framework logs each actor's life as its own.
        .add_directive(tracing::Level::WARN.into_directive("ractor"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Lines(queue.clone()))
        .with_target(false);
    // A second call, in tests, keeps the first subscriber.
    let installed = match format {
        Format::Json => builder.event_format(JsonLines).try_init(),
        Format::Text => builder.with_ansi(io::stdout().is_terminal()).try_init(),
    };
    drop(installed);
    LogGuard {
        queue: Some(queue),
        writer,
    }
}

trait IntoDirective {
    fn into_directive(self, target: &str) -> tracing_subscriber::filter::Directive;
}

impl IntoDirective for tracing::Level {
    fn into_directive(self, target: &str) -> tracing_subscriber::filter::Directive {
        format!("{target}={self}")
            .parse()
            .unwrap_or_else(|_| self.into())
    }
}

/// Writes batches: many lines, one system call. Between two batches it rests a moment: a thread that waits
/// for each line would have to be woken, by a system call, from every request.
#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own, which may rest"
)]
fn write_lines(lines: &Receiver<Vec<u8>>) {
    let mut out = io::stdout().lock();
    let mut batch = Vec::with_capacity(64 * 1024);
    while let Ok(line) = lines.recv() {
        let mut end = line.is_empty();
        batch.extend_from_slice(&line);
        while batch.len() < 64 * 1024
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

#[derive(Clone)]
struct Lines(SyncSender<Vec<u8>>);

struct Line {
    queue: SyncSender<Vec<u8>>,
    text: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line {
            queue: self.0.clone(),
            text: Vec::with_capacity(512),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            // Full: the line is lost, the request is not.
            drop(self.queue.try_send(std::mem::take(&mut self.text)));
        }
    }
}
