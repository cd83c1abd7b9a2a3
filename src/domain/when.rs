//! Conditions under which a member of a target is asked: times, clients, sizes, what the request has. No I/O, no clock, no
//! logging.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::asked::RequestShape;
use super::calendar::Calendar;
use super::money::Pico;
use super::pattern::matches;
use super::unmet::{Features, Unmet};
use super::zone::Zone;

/// The member that a condition is about. What is known of it is looked up when a condition speaks of it; a member of several
/// upstreams is as good as the best of them.
#[cfg_attr(
    not(any(feature = "cel", feature = "internals")),
    expect(dead_code, reason = "expressions alone ask for all of it")
)]
pub trait ConditionSubject {
    /// As configured.
    fn name(&self) -> &str;
    /// Its provider, where it has only one.
    fn provider(&self) -> Option<&str>;
    /// Its model, where it has only one.
    fn model(&self) -> Option<&str>;
    /// The price of a token of a short prompt.
    fn input_price(&self) -> Option<Pico>;
    /// The price of a token of the answer.
    fn output_price(&self) -> Option<Pico>;
    /// Tokens that its context window holds.
    fn context_window(&self) -> Option<u64>;
    /// How long its first tokens took of late.
    fn first_token(&self) -> Option<Duration>;
    /// Requests in flight.
    fn in_flight(&self) -> u32;
    /// The used share of its tightest limit.
    fn used_share(&self) -> Option<f64>;
    /// Its own tags, and those that all of its upstreams have; each once.
    fn tags(&self) -> Vec<&str>;
}

/// A condition in a language of its own.
pub trait Condition: Send + Sync {
    /// As it is written.
    fn text(&self) -> &str;
    /// Whether it holds for that member, at this local time in seconds since 1970; `None` when that cannot be told.
    fn holds(
        &self,
        asked: &RequestShape<'_>,
        candidate: &dyn ConditionSubject,
        local: i64,
    ) -> Option<bool>;
}

/// Such a condition, and where its times of day are.
#[derive(Clone)]
pub struct CustomCondition {
    /// The condition.
    pub condition: Arc<dyn Condition>,
    /// The zone.
    pub zone: Zone,
}

impl CustomCondition {
    fn unmet(&self, asked: &RequestShape<'_>, candidate: &dyn ConditionSubject) -> Option<Unmet> {
        let local = self.zone.local(asked.unix);
        match self.condition.holds(asked, candidate, local) {
            Some(true) => None,
            Some(false) => Some(Unmet::Cel),
            None => Some(Unmet::CelFailed),
        }
    }
}

impl PartialEq for CustomCondition {
    fn eq(&self, other: &Self) -> bool {
        self.condition.text() == other.condition.text() && self.zone == other.zone
    }
}

impl fmt::Debug for CustomCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.condition.text())
    }
}

/// What must hold of a request for a member to be asked. What is absent always holds.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct When {
    /// When.
    pub calendar: Option<Calendar>,
    /// Names of clients, with `*` for any text; empty: every client, and requests without one.
    pub clients: Vec<String>,
    /// Tokens that the prompt has at least.
    pub min_prompt_tokens: Option<u64>,
    /// Tokens that the prompt has at most.
    pub max_prompt_tokens: Option<u64>,
    /// What it has.
    pub has: Features,
    /// Whether a stream is asked for.
    pub stream: Option<bool>,
    /// Headers by their names in small letters, and their values, with `*` for any text.
    pub headers: Vec<(String, String)>,
    /// What else must hold.
    pub custom: Option<CustomCondition>,
}

impl When {
    /// The first of its conditions that does not hold for a member.
    pub fn unmet(
        &self,
        asked: &RequestShape<'_>,
        candidate: &dyn ConditionSubject,
    ) -> Option<Unmet> {
        let calendar = self.calendar.as_ref();
        let is_client = |pattern: &String| asked.client.is_some_and(|name| matches(pattern, name));
        let has_header = |(name, pattern): &(String, String)| (asked.header_fits)(name, pattern);
        if calendar.is_some_and(|calendar| !calendar.holds(asked.unix)) {
            Some(Unmet::Hours)
        } else if !self.clients.is_empty() && !self.clients.iter().any(is_client) {
            Some(Unmet::Client)
        } else if self
            .min_prompt_tokens
            .is_some_and(|min| asked.prompt_tokens < min)
        {
            Some(Unmet::ShortPrompt)
        } else if self
            .max_prompt_tokens
            .is_some_and(|max| asked.prompt_tokens > max)
        {
            Some(Unmet::LongPrompt)
        } else if asked.features.lacks(self.has).is_some() {
            Some(Unmet::Has)
        } else if self.stream.is_some_and(|stream| stream != asked.stream) {
            Some(Unmet::Stream)
        } else if !self.headers.iter().all(has_header) {
            Some(Unmet::Header)
        } else {
            let custom = self.custom.as_ref();
            custom.and_then(|custom| custom.unmet(asked, candidate))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::catalog::capability::Capability;

    struct Unknown;

    impl ConditionSubject for Unknown {
        fn name(&self) -> &str {
            "a"
        }

        fn provider(&self) -> Option<&str> {
            None
        }

        fn model(&self) -> Option<&str> {
            None
        }

        fn input_price(&self) -> Option<Pico> {
            None
        }

        fn output_price(&self) -> Option<Pico> {
            None
        }

        fn context_window(&self) -> Option<u64> {
            None
        }

        fn first_token(&self) -> Option<Duration> {
            None
        }

        fn in_flight(&self) -> u32 {
            0
        }

        fn used_share(&self) -> Option<f64> {
            None
        }

        fn tags(&self) -> Vec<&str> {
            Vec::new()
        }
    }

    /// Holds in the first minute of 1970 only, and cannot tell for streams.
    struct FirstMinute;

    impl Condition for FirstMinute {
        fn text(&self) -> &str {
            "first minute"
        }

        fn holds(
            &self,
            asked: &RequestShape<'_>,
            _: &dyn ConditionSubject,
            local: i64,
        ) -> Option<bool> {
            (!asked.stream).then_some(local < 60)
        }
    }

    #[test]
    fn a_condition_of_its_own_is_asked_in_its_zone_and_what_it_cannot_tell_does_not_hold() {
        let in_zone = |ahead| When {
            custom: Some(CustomCondition {
                condition: Arc::new(FirstMinute),
                zone: Zone {
                    offset: Arc::new(move |_| ahead),
                    ..Zone::utc()
                },
            }),
            ..When::default()
        };
        let mut asked = RequestShape::default();
        assert_eq!(in_zone(0).unmet(&asked, &Unknown), None);
        assert_eq!(in_zone(60).unmet(&asked, &Unknown), Some(Unmet::Cel));
        asked.stream = true;
        assert_eq!(in_zone(0).unmet(&asked, &Unknown), Some(Unmet::CelFailed));
    }

    #[test]
    fn each_condition_is_told_by_its_name() {
        let images: Features = [Capability::Images].into_iter().collect();
        let header = |name: &str, pattern: &str| name == "x-tier" && matches(pattern, "gold");
        let asked = RequestShape {
            prompt_tokens: 100,
            stream: true,
            features: images,
            client: Some("team-a"),
            header_fits: &header,
            ..RequestShape::default()
        };
        let fridays = Calendar {
            hours: Vec::new(),
            days: [false, false, false, false, true, false, false],
            zone: Zone::utc(),
        };
        let none = When::default();
        assert_eq!(none.unmet(&asked, &Unknown), None);
        let texts = |all: &[&str]| {
            all.iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        let pair = |value: &str| vec![("x-tier".to_owned(), value.to_owned())];
        for (when, unmet) in [
            (
                When {
                    clients: texts(&["b", "team-*"]),
                    ..none.clone()
                },
                None,
            ),
            (
                When {
                    clients: texts(&["b"]),
                    ..none.clone()
                },
                Some(Unmet::Client),
            ),
            (
                When {
                    min_prompt_tokens: Some(100),
                    ..none.clone()
                },
                None,
            ),
            (
                When {
                    min_prompt_tokens: Some(101),
                    ..none.clone()
                },
                Some(Unmet::ShortPrompt),
            ),
            (
                When {
                    max_prompt_tokens: Some(100),
                    ..none.clone()
                },
                None,
            ),
            (
                When {
                    max_prompt_tokens: Some(99),
                    ..none.clone()
                },
                Some(Unmet::LongPrompt),
            ),
            (
                When {
                    has: images,
                    ..none.clone()
                },
                None,
            ),
            (
                When {
                    has: images.with(Capability::Tools, true),
                    ..none.clone()
                },
                Some(Unmet::Has),
            ),
            (
                When {
                    stream: Some(true),
                    ..none.clone()
                },
                None,
            ),
            (
                When {
                    stream: Some(false),
                    ..none.clone()
                },
                Some(Unmet::Stream),
            ),
            (
                When {
                    headers: pair("gold"),
                    ..none.clone()
                },
                None,
            ),
            (
                When {
                    headers: pair("g*"),
                    ..none.clone()
                },
                None,
            ),
            (
                When {
                    headers: pair("silver"),
                    ..none.clone()
                },
                Some(Unmet::Header),
            ),
            (
                When {
                    calendar: Some(fridays),
                    ..none.clone()
                },
                Some(Unmet::Hours),
            ),
        ] {
            assert_eq!(when.unmet(&asked, &Unknown), unmet, "{when:?}");
        }
        let nobody = RequestShape::default();
        let clients = When {
            clients: texts(&["*"]),
            ..none
        };
        assert_eq!(clients.unmet(&nobody, &Unknown), Some(Unmet::Client));
    }
}
