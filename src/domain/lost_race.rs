//! What an attempt that lost a race says about the health of its upstream. No I/O, no clock, no logging.

use std::time::Duration;

use super::latency::LatencySnapshot;
use super::time::Time;

/// A loser that ran for less than this shows nothing about its upstream.
const LEAST_SILENCE: Duration = Duration::from_secs(1);
/// An upstream is silent when it took this many times as long as the winner, without an answer.
const TIMES_AS_LONG: u32 = 3;

/// An attempt that had not served its request when another one did.
#[derive(Clone, Copy, Debug)]
pub struct Loser {
    /// Whether the answer was to be streamed.
    pub stream: bool,
    /// When the loser started.
    pub started: Time,
    /// Whether the head of its answer is there.
    pub heard: bool,
    /// Whether the winner was served by the same upstream, with another key.
    pub same_upstream: bool,
    /// Whether it is the one probe of a breaker that is half-open.
    pub probe: bool,
    /// How long the winner took, where the race was about the request's time and the winner served it.
    pub winner_took: Option<Duration>,
}

/// What a lost race says about the loser's upstream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Silence {
    /// Nothing: the attempt is cancelled.
    Excused,
    /// The attempt is cancelled, but its breaker's probe has failed: a breaker that learns nothing of its probe would
    /// let the next request hang, and the next.
    FailedProbe,
    /// The upstream has timed out.
    TimedOut,
}

/// Judges a loser by the published `latency` of its upstream; `None` for upstreams without any.
///
/// An upstream that has begun to answer, or served others meanwhile, is not silent, however long it takes. Silence is
/// measured by the winner and by the slowest of the upstream's own latest answers, and never by the caller's haste
/// alone (law L7): otherwise attempts of callers with little time could never show that an upstream is silent.
pub fn judge(loser: Loser, latency: Option<LatencySnapshot>, now: Time) -> Silence {
    let lives = loser.heard || loser.same_upstream;
    let silent = |known: &LatencySnapshot| !lives && !known.served_since(loser.started);
    let Some(latency) = latency.filter(silent) else {
        return Silence::Excused;
    };
    let waited = now.since(loser.started);
    let slowest = latency.slowest(loser.stream);
    let is_silent = |took| is_unresponsive(waited, took, slowest);
    if loser.winner_took.is_some_and(is_silent) {
        return Silence::TimedOut;
    }
    let as_slow = slowest.is_none_or(|slowest| waited >= slowest);
    if loser.probe && as_slow {
        return Silence::FailedProbe;
    }
    Silence::Excused
}

/// Whether an upstream that gave nothing for `waited`, while another one served the same request in `took`, counts as
/// having timed out.
fn is_unresponsive(waited: Duration, took: Duration, slowest: Option<Duration>) -> bool {
    let longer_than = |span: Duration| waited >= span.saturating_mul(TIMES_AS_LONG);
    waited >= LEAST_SILENCE && longer_than(took) && slowest.is_none_or(longer_than)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_hurried_or_slow_as_ever_is_not_silent() {
        let millis = Duration::from_millis;
        let silent =
            |waited, took| is_unresponsive(millis(waited), millis(took), Some(millis(1500)));
        assert!(silent(5000, 600));
        assert!(
            is_unresponsive(millis(5000), millis(600), None),
            "it never answered anybody"
        );
        assert!(
            !is_unresponsive(millis(900), millis(5), None),
            "too little time for anybody"
        );
        assert!(!silent(5000, 2000), "the other is slow too");
        assert!(!silent(4000, 600), "it often takes so long");
    }

    /// A loser that started at second 10, and took part in a race about the request's time.
    const HURRIED: Loser = Loser {
        stream: false,
        started: Time::from_millis(10_000),
        heard: false,
        same_upstream: false,
        probe: false,
        winner_took: Some(Duration::from_millis(100)),
    };
    const NOW: Time = Time::from_millis(20_000);

    fn served_at(second: u64) -> LatencySnapshot {
        LatencySnapshot {
            slowest_whole: Some(Duration::from_secs(2)),
            served: Some(Time::from_millis(second * 1000)),
            ..LatencySnapshot::default()
        }
    }

    #[test]
    fn who_gave_nothing_to_anybody_has_timed_out() {
        assert_eq!(judge(HURRIED, Some(served_at(5)), NOW), Silence::TimedOut);
        let never = LatencySnapshot::default();
        assert_eq!(judge(HURRIED, Some(never), NOW), Silence::TimedOut);
    }

    #[test]
    fn who_lives_or_is_not_known_is_excused() {
        let heard = Loser {
            heard: true,
            probe: true,
            ..HURRIED
        };
        // What is published of the winner may be a moment late.
        let by_another_key = Loser {
            same_upstream: true,
            ..HURRIED
        };
        for (loser, pulse) in [
            (HURRIED, Some(served_at(15))),
            (by_another_key, Some(served_at(5))),
            (heard, Some(served_at(5))),
            (HURRIED, None),
        ] {
            assert_eq!(judge(loser, pulse, NOW), Silence::Excused, "{loser:?}");
        }
    }

    #[test]
    fn the_loser_of_a_hedge_is_excused_but_for_a_probe_that_had_its_time() {
        let hedged = Loser {
            winner_took: None,
            ..HURRIED
        };
        let probe = Loser {
            probe: true,
            ..hedged
        };
        let pulse = served_at(5);
        assert_eq!(judge(hedged, Some(pulse), NOW), Silence::Excused);
        assert_eq!(judge(probe, Some(pulse), NOW), Silence::FailedProbe);
        let early = Time::from_millis(11_999);
        assert_eq!(judge(probe, Some(pulse), early), Silence::Excused);
        let never = LatencySnapshot::default();
        assert_eq!(judge(probe, Some(never), early), Silence::FailedProbe);
    }
}
