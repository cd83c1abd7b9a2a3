//! Zones of time, as typed and as meant.

use std::sync::Arc;

use serde_json::json;

use super::describe::{Describe, Shape};
use super::read::{ConfigNode, FromNode, Report};
use crate::domain::zone::Zone;

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
