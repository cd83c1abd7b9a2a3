//! Many values of one metric in a few figures.

use super::numbers::real;

/// The figures of one metric.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MetricSummary {
    /// The arithmetic mean.
    pub mean: f64,
    /// The 50th percentile.
    pub median: f64,
    /// The standard deviation of the values themselves (divided by their number).
    pub std: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
}

impl MetricSummary {
    /// All figures by their names.
    pub const fn named(&self) -> [(&'static str, f64); 6] {
        [
            ("mean", self.mean),
            ("median", self.median),
            ("std", self.std),
            ("p90", self.p90),
            ("p95", self.p95),
            ("p99", self.p99),
        ]
    }
}

/// The figures of these values; `None` without any.
pub fn summarised(mut values: Vec<f64>) -> Option<MetricSummary> {
    if values.is_empty() {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let count = real(u64::try_from(values.len()).unwrap_or(u64::MAX));
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean).powi(2));
    Some(MetricSummary {
        mean,
        median: percentile(&values, 50.0),
        std: (squares.sum::<f64>() / count).sqrt(),
        p90: percentile(&values, 90.0),
        p95: percentile(&values, 95.0),
        p99: percentile(&values, 99.0),
    })
}

/// A percentile of sorted values, interpolated between the two that are nearest.
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let place = real(u64::try_from(last).unwrap_or(u64::MAX)) * percent / 100.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and at most the length"
    )]
    let below = place as usize;
    let at = |index: usize| sorted.get(index.min(last)).copied().unwrap_or_default();
    let (low, high) = (at(below), at(below + 1));
    (high - low).mul_add(place.fract(), low)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn percentiles_are_interpolated() {
        let found = summarised(vec![100.0, 50.0, 100.0, 50.0]).unwrap();
        assert_eq!((found.mean, found.median, found.std), (75.0, 75.0, 25.0));
        let hundred = summarised((1..=100_u8).map(f64::from).collect()).unwrap();
        let close = |one: f64, other: f64| (one - other).abs() < 1e-9;
        assert!(close(hundred.p90, 90.1) && close(hundred.p99, 99.01));
        assert_eq!(summarised(Vec::new()), None);
    }

    proptest! {
        #[test]
        fn figures_lie_within_the_values(values in prop::collection::vec(0.0..1e6f64, 1..200)) {
            let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
            let found = summarised(values).unwrap();
            for (name, figure) in found.named().into_iter().filter(|(name, _)| *name != "std") {
                prop_assert!(figure >= low - 1e-6 && figure <= high + 1e-6, "{name} {figure}");
            }
            prop_assert!(found.median <= found.p90 && found.p90 <= found.p95 && found.p95 <= found.p99);
        }
    }
}
