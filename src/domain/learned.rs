//! One limit of an upstream as learned from its answers: what is left of it now, and when there is enough.
//!
//! Two kinds exist in the field and look alike in headers: a window that is renewed as a whole, and a bucket
//! that refills evenly (its reset is the time until it is full). A limit is taken for a window, the careful
//! guess, until its headers prove it a bucket: there the time to the reset is the used share of a period, for
//! every share. In a window share and time only meet once, so a stretch of `PROOF` decides.
//! No I/O, no clock, no logging.

use std::time::Duration;

use super::allowance::{Allowance, Unit};
use super::ids::LeaseId;
use super::time::Time;

/// Observations older than this are forgotten, whatever they promised: a wrong header, or a daily limit that
/// was raised, costs no more than that.
pub const TRUST: Duration = Duration::from_secs(15 * 60);
/// While the renewed window's own headers are awaited, waiting requests are offered again after this span.
const POLL: Duration = Duration::from_millis(250);
/// A reset that moves by less is the same one, reported later or rounded.
const JITTER: Duration = Duration::from_millis(2500);
/// The periods that buckets have, in seconds.
const PERIODS: [f64; 3] = [60.0, 3600.0, 86_400.0];
/// The used shares over which a bucket's headers must agree. With the tolerance of `agrees` a window's can
/// agree over no more than a tenth.
const PROOF: f64 = 0.15;
/// After this many contradicting headers in a row, they are believed.
const DOUBTS: u8 = 3;
/// A renewed window without headers of its own is forgotten after this span.
const UNCONFIRMED: Duration = Duration::from_secs(60);
/// A request that takes more than the whole limit may start when this share of it is there.
const NEARLY_ALL: f64 = 0.98;

/// How a limit comes back.
#[derive(Clone, Copy, PartialEq, Debug)]
enum LimitKind {
    /// As a whole, at its reset.
    Window,
    /// It fills evenly, by this much per second.
    Bucket(f64),
}

/// The shares of a period at which headers agreed with a bucket of that period (seconds).
#[derive(Clone, Copy, Debug)]
struct Evidence {
    period: f64,
    lowest: f64,
    highest: f64,
}

/// A limit that was learned from answers.
#[derive(Clone, Debug)]
pub struct Learned {
    /// The unit that is counted.
    pub unit: Unit,
    /// The period in its name; with the unit it identifies the limit.
    pub period: Duration,
    /// The limit itself, when the upstream names it.
    pub limit: Option<f64>,
    kind: LimitKind,
    /// What was left at `at`; below zero when more was sent than the upstream knew of.
    level: f64,
    at: Time,
    reset: Time,
    /// The reset has passed and what is left is reckoned from the limit, not from a header.
    renewed: bool,
    /// The attempt whose answer reported it: reports of earlier attempts are ignored.
    told_by: LeaseId,
    /// When the report expires: `TRUST` after it came.
    trusted_until: Time,
    evidence: Option<Evidence>,
    /// Headers in a row that do not fit a bucket.
    doubts: u8,
}

/// What an answer's head reports of a limit, and the key's state at that moment.
#[derive(Clone, Copy, Debug)]
pub struct LimitObservation {
    /// The reported limit.
    pub allowance: Allowance,
    /// By the answer to this attempt.
    pub by: LeaseId,
    /// When that was sent.
    pub sent: Time,
    /// What attempts take that were sent later: the upstream had not counted them yet.
    pub later: f64,
    /// What attempts take that were sent about the same time: it may have counted them or not.
    pub near: f64,
    /// When the answer's head came.
    pub now: Time,
}

impl Learned {
    /// A limit that is reported for the first time.
    pub fn new(observed: &LimitObservation) -> Self {
        let Allowance {
            unit,
            period,
            limit,
            ..
        } = observed.allowance;
        let mut new = Self {
            unit,
            period,
            limit,
            kind: LimitKind::Window,
            level: f64::INFINITY,
            at: observed.now,
            reset: observed.now,
            renewed: false,
            told_by: observed.by,
            trusted_until: observed.now + TRUST,
            evidence: None,
            doubts: 0,
        };
        new.hear(observed);
        new
    }

    /// Whether this is the limit that `allowance` describes.
    pub fn is(&self, allowance: &Allowance) -> bool {
        self.unit == allowance.unit && self.period == allowance.period
    }

    /// Whether it says anything at `now`.
    pub fn is_known(&self, now: Time) -> bool {
        let renewal = self.limit.is_some() && !(self.renewed && now >= self.reset + UNCONFIRMED);
        let holds = match self.kind {
            LimitKind::Window => now < self.reset || renewal,
            LimitKind::Bucket(_) => true,
        };
        holds && now < self.trusted_until
    }

    /// A header about it.
    pub fn hear(&mut self, observed: &LimitObservation) {
        let LimitObservation { allowance, now, .. } = *observed;
        if observed.by < self.told_by {
            return;
        }
        let over = now >= self.reset;
        let grown = match self.kind {
            LimitKind::Window => 0.0,
            LimitKind::Bucket(rate) => rate * now.since(observed.sent).as_secs_f64(),
        };
        let reckoned = self.left(now) - grown;
        if self.kind == LimitKind::Window && self.renewed && observed.sent + JITTER < self.reset {
            // A late report about the old window.
            return;
        }
        self.limit = allowance.limit;
        self.weigh(&allowance);
        let reset = now + allowance.reset;
        let earlier_by_jitter = !over && reset < self.reset + JITTER;
        self.reset = match self.kind {
            // The answer took its time: of several claims about one window the earliest is the best.
            LimitKind::Window if earlier_by_jitter => self.reset.min(reset),
            LimitKind::Window | LimitKind::Bucket(_) => reset,
        };
        // Between what was surely not counted and what may not have been, our own count decides.
        let most = allowance.remaining - observed.later;
        self.level = reckoned.clamp(most - observed.near, most);
        // What a bucket had when the attempt arrived there has grown since.
        self.at = observed.sent;
        self.told_by = observed.by;
        self.trusted_until = now + TRUST;
        self.renewed = false;
    }

    /// An attempt that takes `cost` is sent.
    pub fn spend(&mut self, cost: f64, now: Time) {
        self.level = self.left(now) - cost;
        self.at = now;
        self.renewed |= now >= self.reset;
    }

    /// An attempt ended that took `used` instead of `reserved`. Later reports of the upstream are not corrected.
    pub fn correct(&mut self, lease: LeaseId, reserved: f64, used: f64) {
        if lease > self.told_by || used > reserved {
            self.level += reserved - used;
        }
    }

    /// What is left at `now`, as far as known. Below zero when more was sent.
    pub fn left(&self, now: Time) -> f64 {
        match (self.kind, self.limit) {
            (LimitKind::Bucket(rate), limit) => {
                let grown = self.level + rate * now.since(self.at).as_secs_f64();
                grown.min(limit.unwrap_or(grown))
            }
            (LimitKind::Window, Some(limit)) if now >= self.reset && !self.renewed => limit,
            (LimitKind::Window, _) => self.level,
        }
    }

    /// When it is whole again.
    pub fn whole_at(&self, now: Time) -> Time {
        self.reset.max(now)
    }

    /// Whether `cost` may be sent. `alone` says that nothing is under way that could bring news of it.
    ///
    /// # Errors
    /// When it can.
    pub fn ready(&self, cost: f64, alone: bool, now: Time) -> Result<(), Time> {
        if !self.is_known(now) {
            return Ok(());
        }
        let whole = self
            .limit
            .map_or(cost, |limit| cost.min(limit * NEARLY_ALL));
        let short = whole - self.left(now);
        if short <= 0.0 {
            return Ok(());
        }
        let ready = match self.kind {
            LimitKind::Bucket(rate) => {
                let wait = Duration::try_from_secs_f64(short / rate).unwrap_or(TRUST);
                now + wait.max(Duration::from_millis(1))
            }
            LimitKind::Window if now < self.reset => self.reset,
            LimitKind::Window if alone => return Ok(()),
            LimitKind::Window => now + POLL,
        };
        Err(ready.min(self.trusted_until))
    }

    /// Is it a bucket, after all these headers?
    fn weigh(&mut self, allowance: &Allowance) {
        let Some(limit) = allowance.limit else {
            self.kind = LimitKind::Window;
            return;
        };
        let used = 1.0 - allowance.remaining / limit;
        let reset = allowance.reset.as_secs_f64();
        let agrees = |period: f64| {
            let expected = period * used;
            // Rounding to whole seconds, and counts that moved while the header was made.
            (reset - expected).abs() <= 1.2_f64.min(0.02 * period) + 0.03 * expected
        };
        match &mut self.evidence {
            Some(evidence) if agrees(evidence.period) => {
                evidence.lowest = evidence.lowest.min(used);
                evidence.highest = evidence.highest.max(used);
                self.doubts = 0;
                if evidence.highest - evidence.lowest >= PROOF {
                    self.kind = LimitKind::Bucket(limit / evidence.period);
                }
            }
            Some(_) if matches!(self.kind, LimitKind::Bucket(_)) && self.doubts < DOUBTS => {
                self.doubts += 1;
            }
            Some(_) | None => {
                let period = PERIODS.into_iter().find(|period| agrees(*period));
                self.evidence = period.map(|period| Evidence {
                    period,
                    lowest: used,
                    highest: used,
                });
                self.doubts = 0;
                self.kind = LimitKind::Window;
            }
        }
    }
}

mod persisted;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) const S: Duration = Duration::from_secs(1);

    pub(super) fn allowance(limit: Option<f64>, remaining: f64, reset: Duration) -> Allowance {
        Allowance {
            unit: Unit::Requests,
            period: Duration::ZERO,
            limit,
            remaining,
            reset,
        }
    }

    pub(super) fn told(by: u64, allowance: Allowance, now: Time) -> LimitObservation {
        LimitObservation {
            allowance,
            by: LeaseId(by),
            sent: now,
            later: 0.0,
            near: 0.0,
            now,
        }
    }

    pub(super) fn at(seconds: u32) -> Time {
        Time::ZERO + S * seconds
    }

    #[test]
    fn an_empty_window_is_left_alone_until_its_reset_and_whole_afterwards() {
        let mut window = Learned::new(&told(1, allowance(Some(3.0), 0.0, 20 * S), at(5)));
        assert_eq!(window.ready(1.0, true, at(6)), Err(at(25)));
        assert_eq!(window.ready(1.0, true, at(25)), Ok(()));
        for _ in 0..3 {
            assert_eq!(window.ready(1.0, false, at(25)), Ok(()));
            window.spend(1.0, at(25));
        }
        assert!(window.ready(1.0, false, at(25)).is_err(), "not a flood");
        assert_eq!(window.ready(1.0, true, at(26)), Ok(()), "nor a deadlock");
    }

    #[test]
    fn what_attempts_under_way_take_is_not_left() {
        let observed = LimitObservation {
            later: 2.0,
            ..told(7, allowance(Some(10.0), 3.0, 20 * S), at(1))
        };
        let window = Learned::new(&observed);
        assert_eq!(window.ready(1.0, false, at(1)), Ok(()));
        assert!(window.ready(2.0, false, at(1)).is_err());
    }

    #[test]
    fn the_answer_to_an_attempt_sent_earlier_has_no_say() {
        let mut window = Learned::new(&told(7, allowance(Some(10.0), 0.0, 20 * S), at(1)));
        window.hear(&told(6, allowance(Some(10.0), 9.0, 20 * S), at(2)));
        assert!(window.ready(1.0, false, at(2)).is_err());
    }

    #[test]
    fn a_bucket_shows_itself_and_is_paced_evenly() {
        let header = |left: f64| allowance(Some(60.0), left, Duration::from_secs_f64(60.0 - left));
        let mut bucket = Learned::new(&told(1, header(59.0), at(0)));
        for n in 2..=60_u32 {
            bucket.hear(&told(n.into(), header(f64::from(60 - n)), at(0)));
        }
        assert_eq!(bucket.ready(1.0, false, at(0)), Err(at(1)));
        assert_eq!(bucket.ready(1.0, false, at(1)), Ok(()));
        bucket.spend(1.0, at(1));
        assert_eq!(bucket.ready(1.0, false, at(1)), Err(at(2)));
    }

    #[test]
    fn one_request_larger_than_the_whole_goes_when_all_is_there() {
        let window = Learned::new(&told(1, allowance(Some(100.0), 50.0, 20 * S), at(0)));
        assert_eq!(window.ready(500.0, true, at(1)), Err(at(20)));
        assert_eq!(window.ready(500.0, true, at(20)), Ok(()));
        let unknown = Learned::new(&told(1, allowance(None, 50.0, 20 * S), at(0)));
        assert_eq!(unknown.ready(500.0, false, at(20)), Ok(()));
    }

    #[test]
    fn a_reset_far_away_is_forgotten_after_a_quarter_of_an_hour() {
        let window = Learned::new(&told(1, allowance(Some(10.0), 0.0, 86_400 * S), at(0)));
        assert_eq!(window.ready(1.0, true, at(10)), Err(at(900)));
        assert_eq!(window.ready(1.0, true, at(900)), Ok(()));
    }

    proptest! {
        /// Whatever headers come in whatever order: a waiting request gets a moment in the future, and waiting
        /// for it again and again ends.
        #[test]
        fn nobody_waits_for_ever(headers in prop::collection::vec((1u64..50, 0u32..2000, prop::option::of(1.0f64..1e6), 0.0f64..1.0, 1u64..100_000_000), 1..30),
                                 cost in 0.0f64..1e7) {
            let mut learned: Option<Learned> = None;
            let mut now = Time::ZERO;
            for (by, pause, limit, share, reset) in headers {
                now = now + Duration::from_millis(pause.into());
                let remaining = limit.unwrap_or(100.0) * share;
                let observed = told(by, allowance(limit, remaining, Duration::from_millis(reset)), now);
                match &mut learned {
                    Some(learned) => learned.hear(&observed),
                    None => learned = Some(Learned::new(&observed)),
                }
            }
            let learned = learned.unwrap();
            let end = now + TRUST;
            let mut looks = 0;
            while let Err(ready) = learned.ready(cost, true, now) {
                prop_assert!(ready > now && ready <= end);
                looks += 1;
                prop_assert!(looks < 1000);
                now = ready;
            }
        }

        /// A window with any consumption within the tolerance of clocks is never taken for a bucket.
        #[test]
        fn a_window_is_never_taken_for_a_bucket(steps in prop::collection::vec((0.0f64..3.0, 0.0f64..8.0), 1..80)) {
            let (mut elapsed, mut used) = (0.0, 0.0);
            let mut learned: Option<Learned> = None;
            for (n, (pause, more)) in steps.into_iter().enumerate() {
                elapsed += pause;
                if elapsed >= 59.0 { break; }
                used = f64::min(used + more, 100.0);
                let header = allowance(Some(100.0), 100.0 - used, Duration::from_secs_f64(60.0 - elapsed));
                let observed = told(n as u64 + 1, header, Time::ZERO + Duration::from_secs_f64(elapsed));
                match &mut learned {
                    Some(learned) => learned.hear(&observed),
                    None => learned = Some(Learned::new(&observed)),
                }
                prop_assert_eq!(learned.as_ref().unwrap().kind, LimitKind::Window);
            }
        }
    }
}
