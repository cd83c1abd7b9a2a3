//! Moments of arrival, and counts as real numbers.

/// The time between two arrivals of a Poisson process with `rate` arrivals per second, in seconds; `draw` is a random
/// number, 0 to 1.
pub fn poisson_gap(rate: f64, draw: f64) -> f64 {
    -(1.0 - draw).max(f64::MIN_POSITIVE).ln() / rate
}

/// A count as a real number.
#[expect(
    clippy::cast_precision_loss,
    reason = "exact up to 2^53, more than is ever counted"
)]
pub const fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_have_the_rate_that_is_asked_for() {
        let draws = 10_000_u32;
        let gaps = (0..draws).map(|at| poisson_gap(50.0, (f64::from(at) + 0.5) / f64::from(draws)));
        let mean = gaps.sum::<f64>() / f64::from(draws);
        assert!((mean - 0.02).abs() < 1e-4, "{mean}");
        assert!(poisson_gap(1.0, 1.0).is_finite());
    }
}
