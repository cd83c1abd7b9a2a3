//! Times, windows of budgets, prices and shares, as other programs write them.

use super::source::SourceNode;
use super::tree::YamlTree;
use crate::domain::money::Pico;

/// The longest time that a configuration takes, in seconds.
const MOST_SECONDS: f64 = 365.0 * 86_400.0;

/// A time in seconds as whole milliseconds; `None` for what is no time above 0.
pub(super) fn millis_of(value: f64) -> Option<u64> {
    millis(value * 1000.0)
}

/// A time in milliseconds, rounded.
pub(super) fn millis(value: f64) -> Option<u64> {
    let whole = value.round();
    let fits = whole >= 1.0 && whole <= MOST_SECONDS * 1000.0;
    fits.then(|| format!("{whole:.0}").parse().ok()).flatten()
}

/// A time in milliseconds as this configuration writes it.
pub(super) fn span(millis: u64) -> YamlTree {
    YamlTree::Bare(match millis % 1000 == 0 {
        true => format!("{}s", millis / 1000),
        false => format!("{millis}ms"),
    })
}

/// A time in seconds as this configuration writes it; `None` for what is no time above 0.
pub(super) fn seconds(value: f64) -> Option<YamlTree> {
    millis_of(value).map(span)
}

/// How long an answer is kept, in seconds: at most 30 days. And whether that is what was asked for.
pub(super) fn kept(value: f64) -> Option<(YamlTree, bool)> {
    const MOST: f64 = 30.0 * 86_400.0;
    let span = seconds(value.min(MOST))?;
    Some((span, value <= MOST))
}

/// A window of a budget: `1h`, `7d`, `1w`, `1mo`, `daily`. The shortest one here is an hour.
pub(super) fn window(text: &str) -> Option<YamlTree> {
    let text = text.trim();
    let word = match text {
        "hourly" => "1h",
        "daily" => "1d",
        "weekly" => "1w",
        "monthly" => "1mo",
        other => other,
    };
    let at = word.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = word.split_at(at);
    let count: u64 = count
        .parse()
        .ok()
        .filter(|count| (1..=100_000).contains(count))?;
    let window = match (unit, count) {
        ("s" | "m", _) | ("h", 1) => "hour".to_owned(),
        ("h", count) => format!("{count}h"),
        ("d", 1) => "day".to_owned(),
        ("d", count) => format!("{count}d"),
        ("w", 1) => "week".to_owned(),
        ("w", count) => format!("{}d", count * 7),
        ("mo" | "M", 1) => "month".to_owned(),
        ("mo" | "M", count) => format!("{}d", count * 30),
        _ => return None,
    };
    Some(YamlTree::Bare(window))
}

/// A price per token, as one per million tokens.
pub(super) fn per_million(node: &SourceNode) -> Option<YamlTree> {
    let price = Pico::rounded(node.text()?)?;
    Some(YamlTree::Bare(price.decimal(6)))
}

/// An amount of money, or a price of one thing.
pub(super) fn amount(node: &SourceNode) -> Option<YamlTree> {
    let price = Pico::rounded(node.text()?)?;
    Some(YamlTree::Bare(price.decimal(12)))
}

/// A whole number above 0.
pub(super) fn count(node: &SourceNode) -> Option<u64> {
    let number = node.number()?;
    let whole = number.fract() == 0.0 && (1.0..1e15).contains(&number);
    whole.then(|| format!("{number:.0}").parse().ok()).flatten()
}

/// Shares as whole numbers without a common divisor. Fractions keep three places.
pub(super) fn weights(shares: &[f64]) -> Vec<u64> {
    let fractions = shares.iter().any(|share| share.fract() != 0.0);
    let factor = if fractions { 1000.0 } else { 1.0 };
    let whole = |share: &f64| {
        let scaled = (share * factor).round().clamp(0.0, 1e9);
        format!("{scaled:.0}").parse().unwrap_or(0_u64)
    };
    let whole: Vec<u64> = shares.iter().map(whole).collect();
    let divisor = whole.iter().fold(0, |a, b| divisor(a, *b)).max(1);
    whole.iter().map(|share| share / divisor).collect()
}

const fn divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(tree: Option<YamlTree>) -> String {
        tree.map_or_else(String::new, |tree| tree.to_yaml().trim().to_owned())
    }

    #[test]
    fn times_prices_and_windows_are_written_as_here() {
        assert_eq!(yaml(seconds(30.0)), "30s");
        assert_eq!(yaml(seconds(0.25)), "250ms");
        assert_eq!(yaml(seconds(0.0)), "");
        assert_eq!(yaml(seconds(1e12)), "");
        assert_eq!(yaml(millis(600_000.4).map(span)), "600s");
        let price = SourceNode::Number("5.9e-07".to_owned());
        assert_eq!(yaml(per_million(&price)), "0.59");
        for (text, expected) in [
            ("1d", "day"),
            ("7d", "7d"),
            ("1mo", "month"),
            ("30s", "hour"),
            ("2w", "14d"),
            ("weekly", "week"),
        ] {
            assert_eq!(yaml(window(text)), expected, "{text}");
        }
        assert!(window("soon").is_none() && window("0d").is_none());
    }

    #[test]
    fn shares_become_whole_numbers() {
        assert_eq!(weights(&[0.7, 0.3]), [7, 3]);
        assert_eq!(weights(&[900.0, 10.0, 0.0]), [90, 1, 0]);
        assert_eq!(weights(&[0.333, 0.667]), [333, 667]);
        assert_eq!(weights(&[1.0, 1.0]), [1, 1]);
        assert_eq!(weights(&[0.0]), [0]);
    }
}
