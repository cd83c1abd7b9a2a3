//! How long the answers of an upstream are, for what a request is expected to cost before it is sent. No I/O, no clock, no
//! logging.

/// What is expected of an upstream when none has answered yet, in tokens.
pub const FIRST_GUESS: u64 = 500;
/// An answer counts for one part in so many: after some 20 of another length, most of the difference is gone.
const SHARE: u64 = 8;
/// The average is kept in these parts of a token, so that small differences are not lost in rounding.
const PARTS: u64 = 1024;
/// Longer answers count as ones of this length.
const LONGEST: u64 = 1 << 32;
/// After so many answers nothing is left of the guess: less than a token in a thousand.
const SETTLED: usize = 64;
/// What is left of the guess is counted in these parts of it.
const WHOLE: u64 = 1 << 20;
/// What is left of the guess after so many answers.
const LEFT: [u64; SETTLED + 1] = left();
/// Where the number of answers begins in [`OutputAverage::parts`]; the average is below `LONGEST * PARTS`.
const ANSWERS_AT: u32 = 48;

const fn left() -> [u64; SETTLED + 1] {
    let mut all = [0; SETTLED + 1];
    all[0] = WHOLE;
    let mut at = 1;
    while at < SETTLED {
        all[at] = all[at - 1] - all[at - 1] / SHARE;
        at += 1;
    }
    all
}

/// A moving average of the tokens of an upstream's answers (exponentially weighted). What stands for answers that did not come yet, the
/// guess, is said by whoever reads it: it depends on what the upstream is compared with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OutputAverage {
    /// The part of the average that answers have, in parts of a token.
    heard: u64,
    /// How many there were, at most `SETTLED`.
    answers: usize,
}

impl OutputAverage {
    /// As a plain number, for [`from_parts`](Self::from_parts).
    pub fn parts(self) -> u64 {
        let answers = u64::try_from(self.answers).unwrap_or_default();
        self.heard | answers << ANSWERS_AT
    }

    /// From what [`parts`](Self::parts) gave.
    pub fn from_parts(parts: u64) -> Self {
        let answers = usize::try_from(parts >> ANSWERS_AT).unwrap_or(SETTLED);
        Self {
            heard: (parts & ((1 << ANSWERS_AT) - 1)).min(LONGEST * PARTS),
            answers: answers.min(SETTLED),
        }
    }

    /// An answer had so many tokens.
    pub fn add(&mut self, tokens: u64) {
        let answer = tokens.min(LONGEST) * PARTS;
        self.heard = self.heard - self.heard / SHARE + answer / SHARE;
        self.answers = (self.answers + 1).min(SETTLED);
    }

    /// The tokens of an answer that may have at most this many, where nothing is known of others.
    pub fn expected(self, most: Option<u64>) -> u64 {
        self.expected_beside(|| usual_output(std::iter::empty()), most)
    }

    /// The same for an upstream that is compared with others, of which `usual` is the [`usual_output`]: what has not been heard of this
    /// one is taken to be as it is there. With a guess that is the same everywhere, a cheaper one of which little is known would stay
    /// behind where answers are short.
    pub fn expected_beside(self, usual: impl FnOnce() -> u64, most: Option<u64>) -> u64 {
        let guess = match self.left() {
            0 => 0,
            left => scaled(usual(), left, WHOLE),
        };
        let average = (self.heard.saturating_add(guess) + PARTS / 2) / PARTS;
        most.map_or(average, |most| average.min(most))
    }

    /// What is left of the guess.
    fn left(self) -> u64 {
        LEFT.get(self.answers).copied().unwrap_or_default()
    }

    /// The average of the answers alone, if there were any.
    fn of_answers(self) -> Option<u64> {
        (self.answers > 0).then(|| scaled(self.heard, WHOLE, WHOLE - self.left()))
    }
}

/// The mean of those that have answered, or the guess where none has, for [`OutputAverage::expected_beside`].
pub fn usual_output(all: impl Iterator<Item = OutputAverage>) -> u64 {
    let answered = all.filter_map(OutputAverage::of_answers);
    let (sum, count) = answered.fold((0_u64, 0), |(sum, count), one| {
        (sum.saturating_add(one), count + 1)
    });
    sum.checked_div(count).unwrap_or(FIRST_GUESS * PARTS)
}

/// `number × part ÷ whole`, as far as a number goes.
fn scaled(number: u64, part: u64, whole: u64) -> u64 {
    let product = u128::from(number) * u128::from(part);
    u64::try_from(product / u128::from(whole.max(1))).unwrap_or(u64::MAX)
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
        assert_eq!(OutputAverage::from_parts(average.parts()), average);
    }

    #[test]
    fn what_was_not_heard_is_taken_to_be_as_it_is_beside() {
        let answered = |tokens: u64, count: usize| {
            let mut average = OutputAverage::default();
            (0..count).for_each(|_| average.add(tokens));
            average
        };
        let (short, long) = (answered(10, 100), answered(30, 2));
        let new = OutputAverage::default();
        let beside = |one: OutputAverage| {
            one.expected_beside(|| usual_output([short, new, long].into_iter()), None)
        };
        assert_eq!(beside(new), 20, "the mean of two");
        assert_eq!(beside(answered(20, 1)), 20, "after its first answer, too");
        // An eighth of the way: one long answer says little.
        assert_eq!(beside(answered(820, 1)), 120);
        assert_eq!(beside(short), 10);
        let alone = new.expected_beside(|| usual_output([new].into_iter()), None);
        assert_eq!(alone, FIRST_GUESS);
    }
}
