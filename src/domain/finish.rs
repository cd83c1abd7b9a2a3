//! Whether a streamed answer is complete. Usually a finish reason marks that, but some upstreams put one on every
//! chunk, and some send content after it. No I/O, no clock, no logging.

/// The choices that can be told apart, which is also the most that OpenAI's API takes (`n`).
const MOST_CHOICES: u32 = u128::BITS;

/// What one event of a stream says of the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EventFacts {
    /// A part of the answer.
    pub content: bool,
    /// The choices that have a finish reason, one bit each, by index.
    pub finished: u128,
    /// The token counts of the answer are there.
    pub usage: bool,
}

/// What the answer is to have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FinishCriteria {
    /// The choices that the answer must have.
    pub choices: u32,
    /// Whether the caller asked for token counts at the end.
    pub usage: bool,
}

/// How far an answer has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Finish {
    choices: u128,
    settled: bool,
    goes_on: bool,
    usage: bool,
    last_word: bool,
}

impl Finish {
    /// Notes one more event of an answer that must have what `wanted` names.
    pub fn note(&mut self, step: EventFacts, wanted: FinishCriteria) {
        let was_complete = self.is_complete(wanted);
        self.choices |= step.finished;
        let is_complete = self.is_complete(wanted);
        self.usage |= step.usage && is_complete;
        if step.content {
            // Content after a finish reason shows that the reason does not mark the end.
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
    pub fn is_complete(&self, wanted: FinishCriteria) -> bool {
        // More choices than there are bits for are known from the end mark only.
        wanted.choices <= MOST_CHOICES && self.choices.count_ones() >= wanted.choices
    }

    /// Whether the answer is whole where its connection ended, which is all that says that its stream has. A cut
    /// connection looks the same, so a finish reason that every part has says nothing: then token counts must have been
    /// the last word.
    pub fn is_over_at_close(&self, wanted: FinishCriteria) -> bool {
        self.is_complete(wanted) && (!self.goes_on || self.last_word)
    }

    /// Whether nothing more of the answer is to be expected, though neither its end mark nor the end of the stream
    /// came: every choice has a finish reason, the last of them without content beside it, and nothing of the answer
    /// came after it. Only such an answer is whole when its stream breaks or falls silent.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Whether the caller may still hope for the token counts that it asked for.
    pub fn lacks_usage(&self, wanted: FinishCriteria) -> bool {
        wanted.usage && !self.usage
    }

    /// Whether an end mark now ends a whole answer: a choice has a finish reason (some upstreams send fewer choices
    /// than were asked for), or token counts by themselves were the last word, as they are of a whole answer.
    pub fn may_end(&self, wanted: FinishCriteria) -> bool {
        self.choices != 0 || self.last_word || wanted.choices > MOST_CHOICES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: FinishCriteria = FinishCriteria {
        choices: 1,
        usage: false,
    };
    const TEXT: EventFacts = EventFacts {
        content: true,
        finished: 0,
        usage: false,
    };
    const STOP: EventFacts = EventFacts {
        content: false,
        finished: 1,
        usage: false,
    };
    const BOTH: EventFacts = EventFacts {
        content: true,
        ..STOP
    };
    const USAGE: EventFacts = EventFacts {
        content: false,
        finished: 0,
        usage: true,
    };

    fn after(steps: &[EventFacts], wanted: FinishCriteria) -> Finish {
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
        let two = FinishCriteria { choices: 2, ..ONE };
        let second = EventFacts {
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
                &[EventFacts {
                    usage: true,
                    ..TEXT
                }],
                false,
            ),
        ] {
            assert_eq!(after(steps, ONE).may_end(ONE), whole, "{steps:?}");
        }
        let many = FinishCriteria {
            choices: 129,
            ..ONE
        };
        assert!(after(&[TEXT], many).may_end(many));
    }

    #[test]
    fn as_many_choices_as_openai_takes_are_each_known_to_have_finished() {
        let all = FinishCriteria {
            choices: 128,
            ..ONE
        };
        let stop = |index: u32| EventFacts {
            finished: 1 << index,
            ..STOP
        };
        let steps: Vec<EventFacts> = (0..128).map(stop).collect();
        assert!(after(&steps, all).is_complete(all));
        assert!(!after(&steps[..127], all).is_complete(all));
        assert!(!after(&[TEXT], all).may_end(all));
    }

    #[test]
    fn the_end_of_a_connection_alone_ends_no_answer_that_has_a_finish_reason_on_every_part() {
        for (steps, whole) in [
            (&[TEXT, STOP][..], true),
            (&[TEXT, BOTH], true),
            (&[BOTH], true),
            (&[BOTH, BOTH], false),
            (&[BOTH, BOTH, STOP], false),
            (&[BOTH, BOTH, USAGE], true),
            (&[BOTH, BOTH, USAGE, TEXT], false),
            (&[TEXT], false),
        ] {
            assert_eq!(after(steps, ONE).is_over_at_close(ONE), whole, "{steps:?}");
        }
    }

    #[test]
    fn usage_is_there_when_it_comes_with_the_finish_reason_or_after_it() {
        let asked = FinishCriteria { usage: true, ..ONE };
        let along = EventFacts {
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
