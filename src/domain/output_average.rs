//! How long the answers of an upstream are, for what a request is expected to cost before it is sent. No I/O, no clock, no
//! logging.

/// What is expected of an upstream that has not answered yet, in tokens.
pub const FIRST_GUESS: u64 = 500;
/// An answer counts for one part in so many: after some 20 of another length, most of the difference is gone.
const SHARE: u64 = 8;
/// The average is kept in these parts of a token, so that small differences are not lost in rounding.
const PARTS: u64 = 1024;
/// Longer answers count as ones of this length.
const LONGEST: u64 = 1 << 32;

/// A moving average of the tokens of an upstream's answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutputAverage(u64);

impl Default for OutputAverage {
    fn default() -> Self {
        Self(FIRST_GUESS * PARTS)
    }
}

impl OutputAverage {
    /// As a plain number, for [`from_parts`](Self::from_parts).
    pub fn parts(self) -> u64 {
        self.0
    }

    /// From what [`parts`](Self::parts) gave.
    pub fn from_parts(parts: u64) -> Self {
        Self(parts.min(LONGEST * PARTS))
    }

    /// An answer had so many tokens.
    pub fn add(&mut self, tokens: u64) {
        let answer = tokens.min(LONGEST) * PARTS;
        self.0 = self.0 - self.0 / SHARE + answer / SHARE;
    }

    /// This, or of an upstream that has not answered yet the mean of those beside it that have: compared by a guess, the cheaper one
    /// of two might never be asked where answers are short.
    #[must_use]
    pub fn or_usual(self, beside: impl Iterator<Item = Self>) -> Self {
        if self != Self::default() {
            return self;
        }
        let answered = beside.filter(|one| *one != Self::default());
        let (sum, count) = answered.fold((0_u128, 0_u128), |(sum, count), one| {
            (sum + u128::from(one.0), count + 1)
        });
        let mean = sum.checked_div(count).map(u64::try_from);
        mean.and_then(Result::ok).map_or(self, Self)
    }

    /// The tokens of an answer that may have at most this many.
    pub fn expected(self, most: Option<u64>) -> u64 {
        let average = (self.0 + PARTS / 2) / PARTS;
        most.map_or(average, |most| average.min(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_follows_the_answers_and_keeps_to_what_is_allowed() {
        let mut average = OutputAverage::default();
        assert_eq!(average.expected(None), FIRST_GUESS);
        assert_eq!(average.expected(Some(100)), 100);
        average.add(1300);
        assert_eq!(average.expected(None), 600);
        for _ in 0..100 {
            average.add(40);
        }
        assert_eq!(average.expected(None), 40);
        assert_eq!(average.expected(Some(100)), 40);
        for _ in 0..200 {
            average.add(0);
        }
        assert_eq!(average.expected(None), 0);
        for _ in 0..1000 {
            average.add(u64::MAX);
        }
        assert_eq!(average.expected(None), LONGEST);
    }

    #[test]
    fn who_has_not_answered_is_taken_for_as_long_as_those_beside_it() {
        let mut short = OutputAverage::default();
        (0..100).for_each(|_| short.add(10));
        let mut long = OutputAverage::default();
        (0..100).for_each(|_| long.add(30));
        let new = OutputAverage::default();
        let usual = new.or_usual([short, new, long].into_iter());
        assert_eq!(usual.expected(None), 20);
        assert_eq!(short.or_usual([long].into_iter()), short);
        assert_eq!(new.or_usual([new].into_iter()), new);
    }
}
