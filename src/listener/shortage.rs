//! The log lines while connections cannot be accepted: the beginning, the number of failures once a second, and the
//! end.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

/// The interval of the number's lines, and the quiet time after which the shortage is over.
const TELL: Duration = Duration::from_secs(1);

/// One listener's failures to accept. Begins without any.
#[derive(Debug, Default)]
pub(super) struct Shortage(Option<Lack>);

#[derive(Debug)]
struct Lack {
    since: Instant,
    told: Instant,
    last: Instant,
    /// Failures since the last line.
    failed: u64,
}

/// The next line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Word {
    /// The shortage begins.
    Begins,
    /// The number of failures since the last line.
    Goes(u64),
    /// The shortage is over, after this span.
    Ends(Duration),
}

impl Shortage {
    /// Whether connections could not be accepted a moment ago.
    pub(super) fn lasts(&self) -> bool {
        self.0.is_some()
    }

    /// One could not be accepted.
    pub(super) fn failed(&mut self, now: Instant) -> Option<Word> {
        let Some(lack) = &mut self.0 else {
            self.0 = Some(Lack {
                since: now,
                told: now,
                last: now,
                failed: 0,
            });
            return Some(Word::Begins);
        };
        lack.last = now;
        lack.failed += 1;
        if now.duration_since(lack.told) < TELL {
            return None;
        }
        lack.told = now;
        Some(Word::Goes(std::mem::take(&mut lack.failed)))
    }

    /// None failed just now. What comes and goes within a second is one and the same shortage.
    pub(super) fn quiet(&mut self, now: Instant) -> Option<Word> {
        let lack = self.0.as_ref()?;
        if now.duration_since(lack.last) < TELL {
            return None;
        }
        let lasted = lack.last.duration_since(lack.since);
        self.0 = None;
        Some(Word::Ends(lasted))
    }
}

/// Whether the process, or the machine, has no file descriptor left (EMFILE, ENFILE).
pub(super) fn is_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_told_when_it_begins_once_a_second_and_at_its_end() {
        let start = Instant::now();
        let mut shortage = Shortage::default();
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(shortage.quiet(at(0)), None);
        assert_eq!(shortage.failed(at(0)), Some(Word::Begins));
        let mut words = Vec::new();
        for step in 1..=50 {
            words.extend(shortage.failed(at(50 * step)));
            words.extend(shortage.quiet(at(50 * step + 1)));
        }
        assert_eq!(words, [Word::Goes(20), Word::Goes(20)]);
        assert!(shortage.lasts());
        assert_eq!(shortage.quiet(at(3499)), None);
        assert_eq!(
            shortage.quiet(at(3500)),
            Some(Word::Ends(Duration::from_millis(2500)))
        );
        assert!(!shortage.lasts());
    }
}
