//! Parts of days and days of the week, where a zone of time has them. No I/O, no clock, no logging.

use super::zone::Zone;

const DAY: i64 = 24 * 60 * 60;
/// Minutes of a day.
pub const MINUTES: u16 = 24 * 60;

/// A part of a day in minutes: the start is inside, the end outside. One that ends before it starts goes on into the next
/// day and belongs to the day on which it began; one with equal ends is the whole day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hours {
    /// Up to 24:00.
    pub start: u16,
    /// Up to 24:00.
    pub end: u16,
}

/// Days of the week, and parts of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Calendar {
    /// Any of these; none: the whole day.
    pub hours: Vec<Hours>,
    /// Monday first.
    pub days: [bool; 7],
    /// Where these are times of day.
    pub zone: Zone,
}

impl Calendar {
    /// Whether it holds at this moment, in seconds since 1970.
    pub fn holds(&self, unix: i64) -> bool {
        let local = self.zone.local(unix);
        let (day, second) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let minute = u16::try_from(second / 60).unwrap_or(0);
        // 1970 began on a Thursday.
        let weekday = |day: i64| usize::try_from((day + 3).rem_euclid(7)).unwrap_or(0);
        let has = |day: i64| self.days.get(weekday(day)).copied().unwrap_or(false);
        let (today, yesterday) = (has(day), has(day - 1));
        let within = |hours: &Hours| {
            let Hours { start, end } = *hours;
            if start % MINUTES == end % MINUTES {
                today
            } else if start < end {
                today && (start..end).contains(&minute)
            } else {
                (today && minute >= start) || (yesterday && minute < end)
            }
        };
        match self.hours.is_empty() {
            true => today,
            false => self.hours.iter().any(within),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const MONDAY: i64 = 4 * DAY;

    fn at(day: i64, hour: i64, minute: i64) -> i64 {
        MONDAY + day * DAY + hour * 3600 + minute * 60
    }

    fn hours(start: u16, end: u16) -> Vec<Hours> {
        vec![Hours {
            start: start * 60,
            end: end * 60,
        }]
    }

    fn calendar(hours: Vec<Hours>, days: [bool; 7]) -> Calendar {
        Calendar {
            hours,
            days,
            zone: Zone::utc(),
        }
    }

    const EVERY_DAY: [bool; 7] = [true; 7];
    const FRIDAY: [bool; 7] = [false, false, false, false, true, false, false];

    #[test]
    fn the_start_is_inside_and_the_end_outside() {
        let office = calendar(hours(9, 17), EVERY_DAY);
        assert!(!office.holds(at(0, 9, 0) - 1) && office.holds(at(0, 9, 0)));
        assert!(office.holds(at(0, 17, 0) - 1) && !office.holds(at(0, 17, 0)));
        let evening = calendar(hours(20, 24), EVERY_DAY);
        assert!(evening.holds(at(1, 0, 0) - 1) && !evening.holds(at(1, 0, 0)));
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_began() {
        let night = calendar(hours(22, 6), FRIDAY);
        assert!(night.holds(at(4, 22, 0)) && night.holds(at(5, 5, 59)));
        assert!(!night.holds(at(4, 5, 0)), "that was Thursday's");
        assert!(!night.holds(at(5, 22, 0)) && !night.holds(at(5, 6, 0)));
    }

    #[test]
    fn equal_ends_are_the_whole_day_and_several_parts_add_up() {
        for (start, end) in [(0, 0), (9, 9), (0, 24)] {
            let all = calendar(hours(start, end), FRIDAY);
            assert!(
                all.holds(at(4, 0, 0)) && all.holds(at(4, 23, 59)),
                "{start}-{end}"
            );
            assert!(!all.holds(at(3, 23, 59)) && !all.holds(at(5, 0, 0)));
        }
        let two = calendar([hours(8, 12), hours(13, 17)].concat(), EVERY_DAY);
        assert!(two.holds(at(2, 11, 0)) && !two.holds(at(2, 12, 0)) && two.holds(at(2, 13, 0)));
        let days = calendar(Vec::new(), FRIDAY);
        assert!(days.holds(at(4, 0, 0)) && !days.holds(at(5, 0, 0)));
    }

    #[test]
    fn hours_are_those_of_the_zone() {
        let zone = Zone {
            name: "X".into(),
            offset: Arc::new(|_| -5 * 3600),
        };
        let office = Calendar {
            zone,
            ..calendar(hours(9, 17), FRIDAY)
        };
        assert!(!office.holds(at(4, 13, 59)) && office.holds(at(4, 14, 0)));
        let late = Calendar {
            hours: hours(20, 24),
            ..office
        };
        assert!(late.holds(at(5, 2, 0)), "still Friday there");
        assert!(calendar(Vec::new(), EVERY_DAY).holds(-1), "before 1970");
    }
}
