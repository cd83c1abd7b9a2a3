//! Amounts of the configuration's currency, as integers. No f64 takes part: sums of many small costs stay exact.

use std::cmp::Ordering;
use std::fmt;

/// Amounts are counted in this fraction of the currency's unit: a price of 1 per million tokens is 1,000,000 per token.
const PER_UNIT: u64 = 1_000_000_000_000;
/// Decimal places of an amount.
const PLACES: usize = 12;
/// Decimal places that are always shown.
const SHOWN: usize = 6;

/// An amount, in 10⁻¹² of the currency's unit: 0 to some 18.4 million units.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Pico(u64);

impl Pico {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount; sums stop there.
    #[cfg(feature = "internals")]
    pub const MAX: Self = Self(u64::MAX);

    /// So many 10⁻¹² of a unit.
    pub const fn new(picos: u64) -> Self {
        Self(picos)
    }

    /// In 10⁻¹² of a unit.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// In units, for what takes nothing else, such as a metric.
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact up to 2^53, which is 9,007 units"
    )]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / PER_UNIT as f64
    }

    /// A sum; the largest amount when it is larger.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// A difference; nothing when it is negative.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// So many times the amount; the largest amount when it is larger.
    #[must_use]
    pub const fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }

    /// An amount in units as it is written: digits with at most one point, and perhaps an exponent (`0.25`, `2.5e-06`).
    /// `None` for what is negative, no number, too large, or has digits that are lost (beyond the 12th place).
    pub fn parse(text: &str) -> Option<Self> {
        decimal(text, PLACES).map(Self)
    }

    /// The same of what an upstream writes, which may have come through a floating-point number: digits beyond the 12th place
    /// are rounded half to even.
    pub fn rounded(text: &str) -> Option<Self> {
        rounded(text, PLACES).map(Self)
    }

    /// In 10 to the power of minus `places`, as text without zeros at its end: a price per token with 6 places is that per
    /// million tokens, with 12 it is that per token.
    pub fn decimal(self, places: usize) -> String {
        let digits = format!("{:0width$}", self.0, width = places + 1);
        let (whole, part) = digits.split_at(digits.len() - places);
        match part.trim_end_matches('0') {
            "" => whole.to_owned(),
            part => format!("{whole}.{part}"),
        }
    }

    /// A price in units per million tokens, as an amount per token. `None` as for [`parse`](Self::parse); digits beyond the
    /// 6th place are lost, which is refused too.
    pub fn per_token_of_million(text: &str) -> Option<Self> {
        decimal(text, PLACES - 6).map(Self)
    }
}

impl fmt::Display for Pico {
    /// In units, with six decimal places, or as many as the first digit that is not zero needs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / PER_UNIT, self.0 % PER_UNIT);
        let digits = format!("{part:012}");
        let first = digits.find(|digit| digit != '0').map_or(0, |at| at + 1);
        let shown = if whole > 0 { SHOWN } else { first.max(SHOWN) };
        let digits = digits.get(..shown).unwrap_or(&digits);
        write!(f, "{whole}.{digits}")
    }
}

/// A written number times ten to the power of `places`, if that is a whole number that can be held.
fn decimal(text: &str, places: usize) -> Option<u64> {
    let (whole, rest) = scaled(text, places)?;
    (rest == Remainder::Nothing).then_some(whole)
}

/// The same, rounded half to even.
fn rounded(text: &str, places: usize) -> Option<u64> {
    let (whole, rest) = scaled(text, places)?;
    let up = rest == Remainder::More || (rest == Remainder::Half && whole % 2 == 1);
    whole.checked_add(u64::from(up))
}

/// What is left of a number behind its whole part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Remainder {
    Nothing,
    Less,
    Half,
    More,
}

/// A written number times ten to the power of `places`, as its whole part and the rest.
fn scaled(text: &str, places: usize) -> Option<(u64, Remainder)> {
    let text = text.trim();
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (text.get(..at)?, text.get(at + 1..)?.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !all_digits(whole) || !all_digits(part) {
        return None;
    }
    let mut value: u128 = 0;
    for digit in whole.bytes().chain(part.bytes()) {
        value = value
            .checked_mul(10)?
            .checked_add(u128::from(digit - b'0'))?;
    }
    let places = i64::try_from(places).ok()?;
    let shift = i64::from(exponent) + places - i64::try_from(part.len()).ok()?;
    if value == 0 {
        return Some((0, Remainder::Nothing));
    }
    let power = 10_u128.checked_pow(u32::try_from(shift.unsigned_abs()).ok()?);
    let (whole, rest) = match (shift >= 0, power) {
        (true, power) => (value.checked_mul(power?)?, Remainder::Nothing),
        // So small that it is nothing at any number of places.
        (false, None) => (0, Remainder::Less),
        (false, Some(power)) => {
            let rest = value % power;
            let rest = match (rest, rest.cmp(&(power - rest))) {
                (0, _) => Remainder::Nothing,
                (_, Ordering::Less) => Remainder::Less,
                (_, Ordering::Equal) => Remainder::Half,
                (_, Ordering::Greater) => Remainder::More,
            };
            (value / power, rest)
        }
    };
    Some((u64::try_from(whole).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_price_in_many_spellings() {
        for text in [
            "0.0000025",
            "2.5e-06",
            "2.5E-6",
            "0.00000250",
            ".0000025",
            "25e-7",
        ] {
            assert_eq!(Pico::parse(text), Some(Pico::new(2_500_000)), "{text}");
        }
        assert_eq!(
            Pico::per_token_of_million("2.5"),
            Some(Pico::new(2_500_000))
        );
        for text in [
            "-1", "", "NaN", "inf", "1.2.3", "1e400", "1e-13", "+1", "0x1", "1_000", "99999999",
        ] {
            assert_eq!(Pico::parse(text), None, "{text}");
        }
        assert_eq!(Pico::parse("0e-400"), Some(Pico::ZERO));
    }

    #[test]
    fn what_an_upstream_writes_is_rounded_half_to_even() {
        for (text, picos) in [
            ("0.00014", 140_000_000),
            ("0.000037349999999999997", 37_350_000),
            ("1.5e-12", 2),
            ("2.5e-12", 2),
            ("2.51e-12", 3),
            ("4e-13", 0),
            ("1e-400", 0),
        ] {
            assert_eq!(Pico::rounded(text), Some(Pico::new(picos)), "{text}");
        }
        for text in ["-0.1", "", "x", "1e400"] {
            assert_eq!(Pico::rounded(text), None, "{text}");
        }
    }

    #[test]
    fn amounts_are_shown_with_as_many_places_as_they_need() {
        for (picos, shown) in [
            (0, "0.000000"),
            (37_350_000_000, "0.037350"),
            (35_000_000_000, "0.035000"),
            (1, "0.000000000001"),
            (450, "0.0000000004"),
            (1_500_000_000_000, "1.500000"),
            (1_000_000_000_001, "1.000000"),
        ] {
            assert_eq!(Pico::new(picos).to_string(), shown);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_in_full_is_read_back(picos in any::<u64>()) {
            let text = format!("{}.{:012}", picos / PER_UNIT, picos % PER_UNIT);
            prop_assert_eq!(Pico::parse(&text), Some(Pico::new(picos)));
        }

        #[test]
        fn no_text_is_too_much(text in "[0-9.eE+-]{0,40}") {
            let _ = Pico::parse(&text);
            let _ = Pico::per_token_of_million(&text);
            let _ = Pico::rounded(&text);
        }
    }
}
