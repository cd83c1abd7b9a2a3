//! Zones of time, as upstreams name them beside a time of day.

use super::calendar::{eu_summer, us_summer};

/// How far a zone is from UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ZoneRule {
    /// Minutes ahead of UTC, all year.
    Fixed(i64),
    /// Hours behind UTC in winter, with the summer time of the United States.
    American(i64),
    /// Hours ahead of UTC in winter, with the summer time of the European Union.
    European(i64),
}
use ZoneRule::{American, European, Fixed};

/// The names. Of an abbreviation that several zones share, the one that providers of models mean.
const ZONES: [(&str, ZoneRule); 48] = [
    ("z", Fixed(0)),
    ("utc", Fixed(0)),
    ("gmt", Fixed(0)),
    ("etc/utc", Fixed(0)),
    ("pst", Fixed(-480)),
    ("pdt", Fixed(-420)),
    ("mst", Fixed(-420)),
    ("mdt", Fixed(-360)),
    ("cst", Fixed(-360)),
    ("cdt", Fixed(-300)),
    ("est", Fixed(-300)),
    ("edt", Fixed(-240)),
    ("pt", American(8)),
    ("pacific time", American(8)),
    ("pacific", American(8)),
    ("america/los_angeles", American(8)),
    ("us/pacific", American(8)),
    ("mt", American(7)),
    ("america/denver", American(7)),
    ("ct", American(6)),
    ("america/chicago", American(6)),
    ("et", American(5)),
    ("eastern time", American(5)),
    ("america/new_york", American(5)),
    ("us/eastern", American(5)),
    ("america/toronto", American(5)),
    ("america/sao_paulo", Fixed(-180)),
    ("bst", Fixed(60)),
    ("cest", Fixed(120)),
    ("cet", Fixed(60)),
    ("europe/london", European(0)),
    ("europe/dublin", European(0)),
    ("europe/berlin", European(1)),
    ("europe/paris", European(1)),
    ("europe/amsterdam", European(1)),
    ("europe/zurich", European(1)),
    ("europe/madrid", European(1)),
    ("europe/rome", European(1)),
    ("europe/stockholm", European(1)),
    ("europe/warsaw", European(1)),
    ("europe/kyiv", European(2)),
    ("ist", Fixed(330)),
    ("asia/kolkata", Fixed(330)),
    ("asia/shanghai", Fixed(480)),
    ("asia/singapore", Fixed(480)),
    ("beijing time", Fixed(480)),
    ("jst", Fixed(540)),
    ("asia/tokyo", Fixed(540)),
];

/// What a clock that shows `local` seconds since 1970 is ahead of UTC, in seconds; `None` for a zone that is not
/// known. `name` is one of the names above in any case, or an offset such as `+02:00`, `-0500`, `UTC+8`.
pub(super) fn ahead(name: &str, local: i64) -> Option<i64> {
    let name = name.trim().to_ascii_lowercase();
    if let Some(offset) = offset(&name) {
        return Some(offset);
    }
    let (_, rule) = ZONES.iter().find(|(known, _)| *known == name)?;
    Some(match rule {
        Fixed(minutes) => minutes * 60,
        American(hours) => us_summer(*hours, local + hours * 3600) - hours * 3600,
        European(hours) => eu_summer(local - hours * 3600) + hours * 3600,
    })
}

/// A regular expression that finds a name or an offset, without blanks around it.
pub(super) fn pattern() -> String {
    let mut names: Vec<&str> = ZONES.iter().map(|(name, _)| *name).collect();
    // The first alternative wins: longer names before their beginnings.
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let names = names.join("|");
    format!(r"(?:utc|gmt)?\s?[+-]\d{{1,2}}(?::?\d{{2}})?\b|(?:{names})\b")
}

/// `+02:00`, `-0500`, `+8`, with or without `UTC` or `GMT` before it, in seconds.
fn offset(name: &str) -> Option<i64> {
    let name = ["utc", "gmt"]
        .iter()
        .find_map(|lead| name.strip_prefix(lead))
        .unwrap_or(name)
        .trim_start();
    let sign = match name.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    let (hours, minutes) = match digits.len() {
        1 | 2 => (digits.as_str(), "0"),
        3 | 4 => digits.split_at_checked(digits.len() - 2)?,
        _ => return None,
    };
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_by_name_and_by_offset() {
        /// 2026-07-15 and 2026-01-15, at noon.
        const SUMMER: i64 = 1_784_116_800;
        const WINTER: i64 = 1_768_478_400;
        for (name, summer, winter) in [
            ("UTC", 0, 0),
            ("z", 0, 0),
            ("PT", -7, -8),
            ("America/New_York", -4, -5),
            ("PST", -8, -8),
            ("Europe/Berlin", 2, 1),
            ("Europe/London", 1, 0),
            ("Asia/Shanghai", 8, 8),
            ("+02:00", 2, 2),
            ("-0500", -5, -5),
            ("UTC+8", 8, 8),
            ("GMT -3", -3, -3),
        ] {
            let hours = |local| ahead(name, local).map(|seconds| seconds / 3600);
            assert_eq!(
                (hours(SUMMER), hours(WINTER)),
                (Some(summer), Some(winter)),
                "{name}"
            );
        }
        for name in ["", "soon", "+99", "+1:99", "+"] {
            assert_eq!(ahead(name, WINTER), None, "{name}");
        }
    }
}
