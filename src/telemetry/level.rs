//! What is logged, and how that is changed while the process runs.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use tracing_subscriber::EnvFilter;

use super::events;

/// A filter that is longer was not written by a person.
const LONGEST: usize = 4096;
/// Levels without a target.
const PLAIN: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

type Replace = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

/// Set by the subscriber of this process.
static CURRENT: OnceLock<(Replace, ArcSwap<String>)> = OnceLock::new();

/// Why a level cannot be set.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LevelError {
    /// The text is no level.
    #[error(
        "`{0}` is no level: write error, warn, info, debug, trace, off, or directives such as info,pointsman::actors=debug"
    )]
    Invalid(String),
    /// Nothing is logged by this process's own subscriber.
    #[error("this process has no log of its own")]
    NoLog,
}

/// The level or filter in use, as it was written.
pub fn current() -> Option<String> {
    CURRENT.get().map(|(_, text)| text.load().as_ref().clone())
}

/// Sets the level; the change itself is logged by the more verbose of the two filters. `by`: the source of the change.
///
/// # Errors
/// A text that is no level and no list of directives; then nothing has changed.
pub fn set(text: &str, by: &str) -> Result<(), LevelError> {
    let text = text.trim();
    let filter = filter(text)?;
    let (replace, current) = CURRENT.get().ok_or(LevelError::NoLog)?;
    let told = tracing::enabled!(tracing::Level::INFO);
    if told {
        events::log_level_changed(text, by);
    }
    if !replace(filter) {
        return Err(LevelError::NoLog);
    }
    current.store(Arc::new(text.to_owned()));
    if !told {
        events::log_level_changed(text, by);
    }
    Ok(())
}

/// The filter that a text means.
fn filter(text: &str) -> Result<EnvFilter, LevelError> {
    let short: String = text.chars().take(100).collect();
    let invalid = || LevelError::Invalid(short.clone());
    // A word alone would be taken for a module of which everything is logged.
    let plain = PLAIN.contains(&text.to_lowercase().as_str());
    if text.len() > LONGEST || (!plain && !text.contains(['=', ','])) {
        return Err(invalid());
    }
    EnvFilter::try_new(text).map(usual).map_err(|_| invalid())
}

/// The actor framework logs each actor's life as its own.
pub(super) fn usual(filter: EnvFilter) -> EnvFilter {
    match "ractor=warn".parse() {
        Ok(quiet) => filter.add_directive(quiet),
        Err(_) => filter,
    }
}

/// The subscriber of this process is there, and takes other filters this way.
pub(super) fn installed(text: &str, replace: Replace) {
    // A second subscriber, in tests, is none.
    drop(CURRENT.set((replace, ArcSwap::from_pointee(text.to_owned()))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives_are_taken_and_nothing_else() {
        for text in [
            "info",
            "OFF",
            "info,pointsman::actors=debug",
            "pointsman=trace",
        ] {
            assert!(filter(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "loud",
            "pointsman=loud",
            "a=b=c,",
            "[",
            &"a=info,".repeat(999),
        ] {
            assert!(filter(text).is_err(), "{text}");
        }
    }
}
