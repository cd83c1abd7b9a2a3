//! Where log lines go and how they look: text for people, JSON for machines, on standard output.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::SyncSender;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::json::JsonLines;
use super::level;
use super::sink::{self, LogGuard};

/// The format of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Installs the process's subscriber. `level` is a level or a filter such as `info,pointsman=debug`.
pub fn init(format: LineFormat, level: &str) -> LogGuard {
    let (queue, guard) = sink::start(format == LineFormat::Json);
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(level::usual(filter))
        .with_writer(TextLines(queue.clone()))
        .with_target(false);
    // A second call, in tests, keeps the first subscriber.
    match format {
        LineFormat::Json => {
            sink::install_json(&queue);
            let builder = builder.event_format(JsonLines).with_filter_reloading();
            let handle = builder.reload_handle();
            if builder.try_init().is_ok() {
                level::installed(level, Box::new(move |new| handle.reload(new).is_ok()));
            }
        }
        LineFormat::Text => {
            let builder = builder.with_ansi(io::stdout().is_terminal());
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            if builder.try_init().is_ok() {
                level::installed(level, Box::new(move |new| handle.reload(new).is_ok()));
            }
        }
    }
    guard
}

#[derive(Clone)]
struct TextLines(SyncSender<Vec<u8>>);

struct TextLine {
    queue: SyncSender<Vec<u8>>,
    text: Vec<u8>,
}

impl<'a> MakeWriter<'a> for TextLines {
    type Writer = TextLine;

    fn make_writer(&'a self) -> TextLine {
        TextLine {
            queue: self.0.clone(),
            text: Vec::with_capacity(512),
        }
    }
}

impl Write for TextLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for TextLine {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            sink::send(&self.queue, std::mem::take(&mut self.text));
        }
    }
}
