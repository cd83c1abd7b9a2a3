//! What the attempts of a request cost: found out when it ends, or when a whole answer goes back.

use http::HeaderName;

use super::request::Request;
use super::request_trace::RequestTrace;
use super::shared::Dispatch;
use super::tokens;
use crate::domain::attempt_record::AttemptRecord;
use crate::domain::cost::{self, Cost};
use crate::domain::dialect::Operation;
use crate::domain::money::Pico;
use crate::domain::outcome::Class;
use crate::telemetry::events;

/// What all attempts of a request cost together, in decimals of the configuration's currency.
pub(super) const COST: HeaderName = HeaderName::from_static("x-pointsman-cost");

/// Bytes of text to a token, roughly.
pub(super) const BYTES_PER_TOKEN: u64 = 4;

/// The content of a stream, by the bytes of its events: about how many tokens that is.
#[derive(Clone, Copy, Debug)]
pub(super) struct SaidEvents {
    events: u64,
    bytes: u64,
    least: u64,
}

impl SaidEvents {
    /// The first content came in events of so many bytes.
    pub(super) fn begun(bytes: usize) -> Self {
        let bytes = length(bytes);
        Self {
            events: 1,
            bytes,
            least: bytes,
        }
    }

    /// More content, in an event of so many bytes.
    pub(super) fn add(&mut self, bytes: usize) {
        let bytes = length(bytes);
        self.events += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.least = self.least.min(bytes);
    }

    /// A token for each event, as most upstreams send them; more where events are longer than the shortest, which is little
    /// else than what surrounds a text.
    pub(super) fn tokens(&self) -> u64 {
        let around = self.least.saturating_mul(self.events);
        let text = self.bytes.saturating_sub(around);
        self.events.max(text / BYTES_PER_TOKEN)
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Finds out what those of a request's attempts cost of which that is not known yet.
pub(super) fn price(
    dispatch: &Dispatch,
    request: &Request,
    trace: &RequestTrace,
    records: &mut [AttemptRecord],
) {
    let characters = spoken(request);
    if characters > 0 {
        let served = records.iter_mut();
        for record in served.filter(|record| record.class == Class::Success) {
            let usage = record.usage.get_or_insert_default();
            usage.details.characters = characters;
        }
    }
    let open = records.iter_mut();
    for record in open.filter(|record| record.cost.is_none() && record.used_tokens()) {
        record.cost = cost_of(dispatch, request, trace, record);
        let Some(cost) = record.cost.filter(|cost| cost.flags.differs) else {
            continue;
        };
        let now = record.ended;
        if let (Some(priced), Some(told)) = (cost.priced, cost.told)
            && dispatch.cost_watch.is_due(&record.upstream, now)
        {
            events::cost_differs(&record.upstream, priced, told);
        }
    }
}

fn cost_of(
    dispatch: &Dispatch,
    request: &Request,
    trace: &RequestTrace,
    record: &AttemptRecord,
) -> Option<Cost> {
    let told = record.usage.map_or(Pico::ZERO, |usage| usage.details.cost);
    let sheet = dispatch.prices.sheet_of(&record.upstream);
    if sheet.is_none() && told == Pico::ZERO {
        return None;
    }
    let (used, estimated) = record.counted(tokens::prompt(&request.doc));
    let priced = sheet.and_then(|(sheet, _)| {
        let asked = match &trace.tier {
            Some(tier) => tier.clone(),
            None => tier_of(request).unwrap_or_default(),
        };
        let at = dispatch.clock.wall_at(request.arrived);
        cost::price(&sheet, &used, &asked, at)
    });
    Cost::of(priced, told, estimated)
}

/// The characters of the text that a request wants to hear; 0 where it wants something else.
pub(super) fn spoken(request: &Request) -> u32 {
    if request.operation != Operation::Speech {
        return 0;
    }
    let text = request.doc.text_of("input");
    let characters = text.map_or(0, |text| text.chars().count());
    u32::try_from(characters).unwrap_or(u32::MAX)
}

/// The service tier that a request asks for.
pub(super) fn tier_of(request: &Request) -> Option<Box<str>> {
    let raw = request.doc.raw("service_tier")?;
    serde_json::from_slice(raw).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_a_stream_follow_from_its_events() {
        let of = |sizes: &[usize]| {
            let mut said = SaidEvents::begun(sizes[0]);
            for size in &sizes[1..] {
                said.add(*size);
            }
            said.tokens()
        };
        // A token each, as chat completions have them.
        assert_eq!(of(&[203, 204, 201, 206, 202]), 5);
        // Thirty or so each.
        assert_eq!(of(&[205, 325, 325, 325]), 90);
        assert_eq!(of(&[400]), 1);
    }
}
