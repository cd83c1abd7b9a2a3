//! The text of a second answer beside what its caller has of the first: which part of it is new.

/// An answer that repeats less than this before it goes on may as well do so by chance, in bytes.
const SHORTEST_ECHO: usize = 24;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum OverlapPhase {
    /// It must repeat what was sent before it goes on.
    Repeating,
    /// It may repeat what was sent, or just go on.
    MayRepeat,
    /// All of it is new.
    New,
}

/// How far a second answer has repeated what was sent of the first.
#[derive(Debug)]
pub struct Overlap {
    expected: String,
    /// Bytes of `expected` that were repeated.
    at: usize,
    phase: OverlapPhase,
}

impl Overlap {
    /// For an answer that starts from the beginning.
    pub fn restarted(sent: &str) -> Self {
        Self::new(sent, OverlapPhase::Repeating)
    }

    /// For an answer that goes on from a prefill; `echoed` when the upstream is known to repeat that first.
    pub fn continued(sent: &str, echoed: bool) -> Self {
        let phase = match echoed || sent.len() >= SHORTEST_ECHO {
            true => OverlapPhase::MayRepeat,
            false => OverlapPhase::New,
        };
        Self::new(sent, phase)
    }

    fn new(sent: &str, phase: OverlapPhase) -> Self {
        Self {
            expected: sent.to_owned(),
            at: 0,
            phase: match sent {
                "" => OverlapPhase::New,
                _ => phase,
            },
        }
    }

    /// The part of `text` that the caller does not have; `last` when no more text of this kind can be expected. `None`
    /// for another answer.
    pub fn text(&mut self, text: String, last: bool) -> Option<String> {
        if self.phase == OverlapPhase::New {
            return Some(text);
        }
        let rest = self.expected.get(self.at..).unwrap_or_default();
        let known = rest.starts_with(text.as_str());
        if let Some(new) = text.strip_prefix(rest) {
            self.phase = OverlapPhase::New;
            return Some(new.to_owned());
        }
        if known && !last {
            self.at += text.len();
            return Some(String::new());
        }
        if self.phase == OverlapPhase::Repeating {
            return None;
        }
        // It was no repetition but the answer itself, which began alike.
        self.phase = OverlapPhase::New;
        let begun = self.expected.get(..self.at).unwrap_or_default();
        Some(format!("{begun}{text}"))
    }

    /// No more text comes: what looked like a repetition and was the answer itself. `None` for another answer.
    pub fn end(&mut self) -> Option<String> {
        match self.phase {
            OverlapPhase::Repeating => None,
            OverlapPhase::New => Some(String::new()),
            OverlapPhase::MayRepeat => {
                self.phase = OverlapPhase::New;
                let begun = self.expected.get(..self.at).unwrap_or_default();
                Some(begun.to_owned())
            }
        }
    }
}
