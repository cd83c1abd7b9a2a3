//! An average that rises at once and falls slowly: the peak-sensitive moving average of Finagle (`PeakEwma`). No I/O, no
//! clock, no logging.

use std::time::Duration;

use super::time::Time;

/// The average, and the moment for which it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeakEwma {
    value: Duration,
    at: Time,
}

impl PeakEwma {
    /// The first sample is the average.
    pub const fn new(sample: Duration, at: Time) -> Self {
        Self { value: sample, at }
    }

    /// The average, and the moment for which it holds.
    pub const fn parts(self) -> (Duration, Time) {
        (self.value, self.at)
    }

    /// Adds a sample. One that is higher replaces the average; else the average moves towards it, by the time that
    /// passed.
    pub fn learn(&mut self, sample: Duration, now: Time, decay: Duration) {
        self.value = if sample > self.value {
            sample
        } else {
            let weight = weight(now.since(self.at), decay);
            self.value.mul_f64(weight) + sample.mul_f64(1.0 - weight)
        };
        self.at = self.at.max(now);
    }

    /// The average as of `now`: without samples it falls towards 0, so that an upstream that is not asked is asked again.
    pub fn read(self, now: Time, decay: Duration) -> Duration {
        self.value.mul_f64(weight(now.since(self.at), decay))
    }
}

fn weight(passed: Duration, decay: Duration) -> f64 {
    if decay.is_zero() {
        return 0.0;
    }
    (-passed.as_secs_f64() / decay.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECAY: Duration = Duration::from_secs(10);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    fn near(found: Duration, expected: u64) {
        assert!(
            found.abs_diff(ms(expected)) < ms(2),
            "{found:?} is not {expected} ms"
        );
    }

    #[test]
    fn it_rises_at_once_and_falls_by_the_time_that_passed() {
        let mut average = PeakEwma::new(ms(100), at(0));
        average.learn(ms(900), at(1), DECAY);
        near(average.read(at(1), DECAY), 900);
        // 900 · e^-1 + 100 · (1 - e^-1)
        average.learn(ms(100), at(11), DECAY);
        near(average.read(at(11), DECAY), 394);
        // Unasked it falls towards 0.
        near(average.read(at(31), DECAY), 53);
        average.learn(ms(200), at(11), DECAY);
        near(average.read(at(11), DECAY), 394);
        near(average.read(at(5), DECAY), 394);
        near(PeakEwma::new(ms(5), at(0)).read(at(1), Duration::ZERO), 0);
    }
}
