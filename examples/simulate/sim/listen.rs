//! Searches everything that is said for the keys' material (law L9): log lines of every level with their fields, and
//! what is shown of errors, answers and published state.

use std::fmt::Debug;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use super::calls::PLANTED;
use super::state::State;

/// What was heard so far, on this thread.
#[derive(Clone, Default)]
pub struct Listener {
    leaked: Arc<AtomicBool>,
    line: Arc<Mutex<String>>,
}

impl Listener {
    /// Listens to this thread's log until the guard is dropped.
    pub fn attach(&self) -> DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    /// The line with a key that was heard since the last time, if one was.
    pub fn leak(&self) -> Option<String> {
        let leaked = self.leaked.swap(false, Ordering::Relaxed);
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        leaked.then(|| line.clone())
    }

    /// Breaks the law if a key was heard.
    pub fn judge(&self, state: &mut State) {
        if let Some(line) = self.leak() {
            state.break_law("L9", 0, format!("a key in the log: {line}"));
        }
    }
}

impl io::Write for Listener {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        if text.contains(PLANTED) {
            self.leaked.store(true, Ordering::Relaxed);
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            *line = text.into_owned();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Listener {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Holds what somebody may see against the law.
pub fn shown(state: &mut State, request: u32, what: &impl Debug) {
    if !state.world.listens {
        return;
    }
    let text = format!("{what:?}");
    if text.contains(PLANTED) {
        state.break_law("L9", request, format!("a key is shown: {text}"));
    }
}
