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
    /// White space behind `expected` that was sent as well, as far as what is new may still begin with it.
    space: String,
}

impl Overlap {
    /// For an answer that starts from the beginning.
    pub fn restarted(sent: &str) -> Self {
        Self::new(sent, OverlapPhase::Repeating)
    }

    /// For an answer that goes on from a prefill; `echoed` when the upstream is known to repeat that first. `cut` is how many
    /// bytes of white space at the end of what was sent are not in the prefill: the answer is likely to go on with them.
    pub fn continued(sent: &str, echoed: bool, cut: usize) -> Self {
        let (sent, space) = sent
            .split_at_checked(sent.len().saturating_sub(cut))
            .unwrap_or((sent, ""));
        let phase = match echoed || sent.len() >= SHORTEST_ECHO {
            true => OverlapPhase::MayRepeat,
            false => OverlapPhase::New,
        };
        Self {
            space: space.to_owned(),
            ..Self::new(sent, phase)
        }
    }

    fn new(sent: &str, phase: OverlapPhase) -> Self {
        Self {
            expected: sent.to_owned(),
            at: 0,
            phase: match sent {
                "" => OverlapPhase::New,
                _ => phase,
            },
            space: String::new(),
        }
    }

    /// The part of `text` that the caller does not have; `last` when no more text of this kind can be expected. `None`
    /// for another answer.
    pub fn text(&mut self, text: String, last: bool) -> Option<String> {
        if self.phase == OverlapPhase::New {
            return Some(self.unspaced(text));
        }
        let rest = self.expected.get(self.at..).unwrap_or_default();
        let known = rest.starts_with(text.as_str());
        if let Some(new) = text.strip_prefix(rest) {
            self.phase = OverlapPhase::New;
            return Some(self.unspaced(new.to_owned()));
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
        let text = format!("{begun}{text}");
        Some(self.unspaced(text))
    }

    /// New text without the white space that its caller has already.
    fn unspaced(&mut self, mut text: String) -> String {
        if self.space.is_empty() || text.is_empty() {
            return text;
        }
        let same = text.chars().zip(self.space.chars());
        let same: usize = same
            .take_while(|(new, sent)| new == sent)
            .map(|(new, _)| new.len_utf8())
            .sum();
        match same == text.len() {
            // More of it may follow.
            true => drop(self.space.drain(..same)),
            false => self.space.clear(),
        }
        text.drain(..same);
        text
    }

    /// No more text comes: what looked like a repetition and was the answer itself. `None` for another answer.
    pub fn end(&mut self) -> Option<String> {
        match self.phase {
            OverlapPhase::Repeating => None,
            OverlapPhase::New => Some(String::new()),
            OverlapPhase::MayRepeat => {
                self.phase = OverlapPhase::New;
                let begun = self.expected.get(..self.at).unwrap_or_default().to_owned();
                Some(self.unspaced(begun))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is new of these pieces.
    fn new(overlap: &mut Overlap, pieces: &[&str]) -> String {
        let new = pieces
            .iter()
            .map(|piece| overlap.text((*piece).to_owned(), false).unwrap());
        new.collect::<String>() + &overlap.end().unwrap()
    }

    #[test]
    fn white_space_that_was_cut_off_is_told_once() {
        for (sent, cut, pieces, told) in [
            ("The answer is ", 1, &[" 42"][..], "42"),
            ("The answer is ", 1, &["42"], "42"),
            ("One.\n\n", 2, &["\n", "\nTwo"], "Two"),
            ("One.\n\n", 2, &["\nTwo"], "Two"),
            ("One.\n", 1, &["\n\nTwo"], "\nTwo"),
            ("One.\n", 1, &["", "Two\n"], "Two\n"),
            ("One. ", 1, &["\nTwo"], "\nTwo"),
            ("One.\u{a0}", 2, &["\u{a0}", "\u{a0}Two"], "\u{a0}Two"),
            // It repeats all of it.
            (
                "Four and twenty blackbirds. ",
                1,
                &["Four and twenty ", "blackbirds. Two"],
                "Two",
            ),
        ] {
            let mut overlap = Overlap::continued(sent, false, cut);
            assert_eq!(new(&mut overlap, pieces), told, "{sent:?} {pieces:?}");
        }
    }

    proptest! {
        #[test]
        fn a_model_that_goes_on_with_what_was_cut_off_is_heard_once(
            sent in "[a-z]{1,40}", space in "[ \n\t\u{3000}]{0,5}", rest in "[a-z][a-z ]{0,20}", size in 1_usize..5,
        ) {
            let whole: Vec<char> = format!("{space}{rest}").chars().collect();
            let pieces: Vec<String> = whole.chunks(size).map(|piece| piece.iter().collect()).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let mut overlap = Overlap::continued(&format!("{sent}{space}"), false, space.len());
            prop_assert_eq!(new(&mut overlap, &pieces), rest);
        }
    }
}
