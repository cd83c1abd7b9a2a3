//! Whether a streamed answer is whole. A finish reason says so, but not from everybody: some upstreams put one on every
//! chunk, and some go on after it. No I/O, no clock, no logging.

/// What one event of a stream says of the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Step {
    /// A part of the answer.
    pub content: bool,
    /// The choices that have a finish reason, one bit each, by index.
    pub finished: u64,
    /// Token counts.
    pub usage: bool,
}

/// What the answer is to have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Choices.
    pub choices: u32,
    /// Whether the caller asked for token counts at the end.
    pub usage: bool,
}

/// How far an answer has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Finish {
    choices: u64,
    settled: bool,
    goes_on: bool,
    usage: bool,
    last_word: bool,
}

impl Finish {
    /// Notes one more event of an answer that is to have so much.
    pub fn note(&mut self, step: Step, wanted: Wanted) {
        let was_complete = self.is_complete(wanted);
        self.choices |= step.finished;
        let is_complete = self.is_complete(wanted);
        self.usage |= step.usage && is_complete;
        if step.content {
            // Whoever goes on after a finish reason means nothing by it.
            self.goes_on |= was_complete;
            self.settled = false;
            self.last_word = false;
        } else {
            let says_end = step.finished != 0 || step.usage;
            self.settled |= says_end && is_complete && !self.goes_on;
            self.last_word |= step.usage;
        }
    }

    /// Whether any choice has a finish reason.
    pub fn has_finish_reason(&self) -> bool {
        self.choices != 0
    }

    /// Whether every choice has a finish reason. An end of the stream is then an end of the answer.
    pub fn is_complete(&self, wanted: Wanted) -> bool {
        // More choices than there are bits for are known from the end mark only.
        wanted.choices <= 64 && self.choices.count_ones() >= wanted.choices
    }

    /// Whether nothing more of the answer is to be expected, though neither its end mark nor the end of the stream
    /// came: every choice has a finish reason, the last of them without content beside it, and nothing of the answer
    /// came after it. Only such an answer is whole when its stream breaks or falls silent.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Whether the caller may still hope for the token counts that it asked for.
    pub fn lacks_usage(&self, wanted: Wanted) -> bool {
        wanted.usage && !self.usage
    }

    /// Whether an end mark now ends a whole answer: a choice has a finish reason (some upstreams send fewer choices
    /// than were asked for), or token counts by themselves were the last word, as they are of a whole answer.
    pub fn may_end(&self, wanted: Wanted) -> bool {
        self.choices != 0 || self.last_word || wanted.choices > 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Wanted = Wanted {
        choices: 1,
        usage: false,
    };
    const TEXT: Step = Step {
        content: true,
        finished: 0,
        usage: false,
    };
    const STOP: Step = Step {
        content: false,
        finished: 1,
        usage: false,
    };
    const BOTH: Step = Step {
        content: true,
        ..STOP
    };
    const USAGE: Step = Step {
        content: false,
        finished: 0,
        usage: true,
    };

    fn after(steps: &[Step], wanted: Wanted) -> Finish {
        let mut finish = Finish::default();
        steps.iter().for_each(|step| finish.note(*step, wanted));
        finish
    }

    #[test]
    fn only_a_finish_reason_by_itself_settles_an_answer_and_only_until_it_goes_on() {
        for (steps, settled) in [
            (&[TEXT, STOP][..], true),
            (&[STOP], true),
            (&[TEXT, STOP, USAGE], true),
            (&[TEXT, BOTH, USAGE], true),
            (&[TEXT, BOTH, STOP], true),
            (&[TEXT], false),
            (&[TEXT, USAGE], false),
            (&[TEXT, BOTH], false),
            (&[BOTH, BOTH], false),
            (&[BOTH, BOTH, STOP, USAGE], false),
            (&[TEXT, STOP, TEXT], false),
            (&[TEXT, STOP, TEXT, STOP], false),
        ] {
            assert_eq!(after(steps, ONE).is_settled(), settled, "{steps:?}");
        }
    }

    #[test]
    fn a_choice_that_goes_on_beside_a_finished_one_is_no_doubt() {
        let two = Wanted { choices: 2, ..ONE };
        let second = Step {
            finished: 2,
            ..STOP
        };
        let finish = after(&[TEXT, STOP, TEXT], two);
        assert!(!finish.is_complete(two) && !finish.is_settled() && finish.may_end(two));
        let finish = after(&[TEXT, STOP, TEXT, second], two);
        assert!(finish.is_complete(two) && finish.is_settled());
    }

    #[test]
    fn an_end_mark_ends_what_has_a_finish_reason_or_a_last_word_on_usage() {
        for (steps, whole) in [
            (&[TEXT, STOP][..], true),
            (&[BOTH], true),
            (&[TEXT, USAGE], true),
            (&[TEXT], false),
            (&[TEXT, USAGE, TEXT], false),
            (
                &[Step {
                    usage: true,
                    ..TEXT
                }],
                false,
            ),
        ] {
            assert_eq!(after(steps, ONE).may_end(ONE), whole, "{steps:?}");
        }
        let many = Wanted { choices: 65, ..ONE };
        assert!(after(&[TEXT], many).may_end(many));
    }

    #[test]
    fn usage_is_there_when_it_comes_with_the_finish_reason_or_after_it() {
        let asked = Wanted { usage: true, ..ONE };
        let along = Step {
            usage: true,
            ..STOP
        };
        for (steps, lacks) in [
            (&[TEXT, STOP][..], true),
            (&[TEXT, USAGE, STOP], true),
            (&[TEXT, along], false),
            (&[TEXT, STOP, USAGE], false),
        ] {
            assert_eq!(after(steps, asked).lacks_usage(asked), lacks, "{steps:?}");
        }
        assert!(!after(&[TEXT, STOP], ONE).lacks_usage(ONE));
    }
}
