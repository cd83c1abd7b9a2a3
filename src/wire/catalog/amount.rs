//! Prices as lists write them: decimal text in the list's own unit, read into integers.

use crate::domain::money::Pico;

/// What a price of 1 means in a list. It belongs to the list, and is never guessed from how large a price is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PriceUnit {
    /// One unit of the currency for one token, request, picture…
    Each,
    /// One for a million tokens.
    Million,
    /// A ten-thousandth of one for a million tokens (xAI, Novita).
    TenThousandthOfMillion,
}

impl PriceUnit {
    /// A price of 1 is ten to this power of 10⁻¹² for a token.
    const fn exponent(self) -> i64 {
        match self {
            Self::Each => 12,
            Self::Million => 6,
            Self::TenThousandthOfMillion => 2,
        }
    }
}

/// Digits that are kept of a number: more than an amount can have.
const DIGITS: u32 = 36;

/// A price in 10⁻¹² for one token or piece, rounded half to even. `None` for what is no price: negative, no number, too
/// large, or above zero and too small to be counted, which would make it free.
pub(super) fn price(text: &str, unit: PriceUnit) -> Option<Pico> {
    let number = Number::parse(text)?;
    let value = number.scaled(unit.exponent())?;
    if value == 0 && !number.is_zero() {
        return None;
    }
    u64::try_from(value).ok().map(Pico::new)
}

/// A factor in thousandths.
pub(super) fn thousandths(text: &str) -> Option<u32> {
    let value = Number::parse(text)?.scaled(3)?;
    u32::try_from(value).ok().filter(|value| *value > 0)
}

/// A whole number; `None` when it has a fraction, is negative or no number.
pub(super) fn whole(text: &str) -> Option<u64> {
    if let Ok(number) = text.trim().parse() {
        return Some(number);
    }
    let number = Number::parse(text)?;
    let value = number.scaled(0)?;
    let exact = number.scaled(6)? == value.checked_mul(1_000_000)?;
    u64::try_from(value).ok().filter(|_| exact)
}

/// `digits` times ten to the power of `exponent`, and whether digits beyond these were not zero.
struct Number {
    digits: u128,
    exponent: i64,
    more: bool,
}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (text.get(..at)?, text.get(at + 1..)?.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && part.is_empty() {
            return None;
        }
        let most = 10_u128.checked_pow(DIGITS)?;
        let mut number = Self {
            digits: 0,
            exponent: i64::from(exponent) - i64::try_from(part.len()).ok()?,
            more: false,
        };
        for byte in whole.bytes().chain(part.bytes()) {
            byte.is_ascii_digit().then_some(())?;
            let digit = u128::from(byte - b'0');
            if number.digits >= most {
                number.exponent += 1;
                number.more |= digit > 0;
            } else {
                number.digits = number.digits * 10 + digit;
            }
        }
        Some(number)
    }

    const fn is_zero(&self) -> bool {
        self.digits == 0 && !self.more
    }

    /// It times ten to the power of `places`, rounded half to even; `None` when that is too large.
    fn scaled(&self, places: i64) -> Option<u128> {
        if self.digits == 0 {
            return Some(0);
        }
        let shift = self.exponent.checked_add(places)?;
        let power = u32::try_from(shift.unsigned_abs()).ok()?;
        if shift >= 0 {
            return self.digits.checked_mul(10_u128.checked_pow(power)?);
        }
        let Some(divisor) = 10_u128.checked_pow(power) else {
            return Some(0);
        };
        let (value, rest) = (self.digits / divisor, self.digits % divisor);
        let half = divisor / 2;
        let up = rest > half || (rest == half && (self.more || value % 2 == 1));
        Some(value + u128::from(up))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_price_in_many_units_and_spellings() {
        for (text, unit) in [
            ("0.0000025", PriceUnit::Each),
            ("2.5e-06", PriceUnit::Each),
            ("2.5", PriceUnit::Million),
            ("2.500", PriceUnit::Million),
            ("25000", PriceUnit::TenThousandthOfMillion),
            (" 25e3 ", PriceUnit::TenThousandthOfMillion),
            ("2.5000000000000001e-06", PriceUnit::Each),
            (
                "0.00000249999999999999999999999999999999999999999",
                PriceUnit::Each,
            ),
        ] {
            assert_eq!(price(text, unit), Some(Pico::new(2_500_000)), "{text}");
        }
        for text in [
            "-1", "-0.1", "NaN", "", "inf", "Infinity", "1e400", "$1", "1,5", "1e-13", "1e-99999",
            ".", "+1", "free",
        ] {
            assert_eq!(price(text, PriceUnit::Each), None, "{text}");
        }
        assert_eq!(price("0.000", PriceUnit::Each), Some(Pico::ZERO));
        assert_eq!(price("0e9", PriceUnit::Million), Some(Pico::ZERO));
        assert_eq!(thousandths("1.1"), Some(1_100));
        assert_eq!(whole("131072.0"), Some(131_072));
        assert_eq!(whole("1.5"), None);
    }

    proptest! {
        #[test]
        fn whole_numbers_are_read_exactly(number in 0_u64..1_000_000, unit in 0_usize..3) {
            let unit = [PriceUnit::Each, PriceUnit::Million, PriceUnit::TenThousandthOfMillion][unit];
            let power = 10_u64.pow(u32::try_from(unit.exponent()).unwrap());
            prop_assert_eq!(price(&number.to_string(), unit), Some(Pico::new(number * power)));
        }

        #[test]
        fn no_text_is_too_much(text in "[0-9.eE+-]{0,60}") {
            for unit in [PriceUnit::Each, PriceUnit::Million, PriceUnit::TenThousandthOfMillion] {
                let _ = price(&text, unit);
            }
            let _ = (whole(&text), thousandths(&text));
        }
    }
}
