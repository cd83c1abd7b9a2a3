//! Zones of time and dates, as typed and as meant.

use std::sync::Arc;

use serde_json::json;

use super::describe::{Describe, Shape};
use super::read::{ConfigNode, FromNode, Report};
use crate::domain::zone::Zone;

/// The length of a day that is written as `2027-01-01`.
const DATE: usize = 10;

/// A zone of time by its name in the database of IANA, which is part of the program.
pub(super) struct ZoneForm(pub(super) Zone);

impl FromNode for ZoneForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let name = node.text().unwrap_or_default();
        let Ok(zone) = jiff::tz::TimeZone::get(name.trim()) else {
            return node.wrong("a zone such as Europe/Berlin or UTC", report);
        };
        let offset = move |unix: i64| {
            let at = jiff::Timestamp::from_second(unix);
            at.map_or(0, |at| i64::from(zone.to_offset(at).seconds()))
        };
        Some(Self(Zone {
            name: name.trim().into(),
            offset: Arc::new(offset),
        }))
    }
}

impl Describe for ZoneForm {
    fn shape() -> Shape {
        const ZONE: &str = r"^\s*([A-Za-z_]+/[A-Za-z0-9_+/-]+|[A-Z]{3})\s*$";
        Shape::plain("zone of time", json!({"type": "string", "pattern": ZONE}))
    }
}

/// A day (`2027-01-01`, its beginning in UTC) or a moment as in RFC 3339, in seconds since 1970.
pub fn moment(text: &str) -> Option<i64> {
    let text = text.trim();
    let day = || {
        let day: jiff::civil::Date = text.parse().ok().filter(|_| text.len() == DATE)?;
        let begins = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(begins.timestamp())
    };
    let moment = text.parse::<jiff::Timestamp>().ok().or_else(day)?;
    Some(moment.as_second())
}

/// A day or a moment, in seconds since 1970.
#[derive(Clone, Copy)]
pub(super) struct DateForm(pub(super) i64);

impl FromNode for DateForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        match moment(&node.text().unwrap_or_default()) {
            Some(moment) => Some(Self(moment)),
            None => node.wrong("a day such as 2027-01-01", report),
        }
    }
}

impl Describe for DateForm {
    fn shape() -> Shape {
        const DAY: &str = r"^\s*[0-9]{4}-[0-9]{2}-[0-9]{2}";
        Shape::plain("date", json!({"type": "string", "pattern": DAY}))
    }
}
