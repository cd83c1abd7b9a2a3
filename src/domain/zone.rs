//! Zones of time, as functions of moments. No I/O, no clock, no logging.

use std::fmt;
use std::sync::Arc;

/// A zone of time: seconds ahead of UTC at a moment in seconds since 1970.
#[derive(Clone)]
pub struct Zone {
    /// Its name, such as `Europe/Berlin`.
    pub name: Arc<str>,
    /// The seconds.
    pub offset: Arc<dyn Fn(i64) -> i64 + Send + Sync>,
}

impl Zone {
    /// UTC.
    pub fn utc() -> Self {
        Self {
            name: "UTC".into(),
            offset: Arc::new(|_| 0),
        }
    }

    /// The local time of a moment, as if it were in UTC.
    pub fn local(&self, unix: i64) -> i64 {
        unix.saturating_add((self.offset)(unix))
    }

    /// The moment of a local time. One that is skipped when clocks go forward is that of the jump or shortly after it.
    pub fn unix(&self, local: i64) -> i64 {
        let guess = local.saturating_sub((self.offset)(local));
        local.saturating_sub((self.offset)(guess))
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
