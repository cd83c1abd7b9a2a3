//! When a member of a virtual provider is asked, as typed and as meant.

use std::num::NonZeroU64;
use std::sync::Arc;

use config::ValueKind;
use serde_json::json;

use super::cel::CelForm;
use super::describe::{Describe, Shape};
use super::read::{ConfigNode, FromNode, Report, section};
use super::values::{Names, Texts};
use super::zone::ZoneForm;
use crate::domain::calendar::{Calendar, Hours};
use crate::domain::catalog::capability::Capability;
use crate::domain::unmet::{Features, KnownCapabilities};
use crate::domain::when::{CustomCondition, When};
use crate::domain::zone::Zone;

section! {
    /// `llm.virtual[].upstreams[].when`
    WhenSection {
        /// Times of day, one or several: `16:30-00:30`. The start is inside, the end outside; one that ends before it starts
        /// belongs to the day on which it began. Default: all day.
        hours: HoursForm,
        /// Days of the week: `mon` to `sun`. Default: all.
        days: DaysForm,
        /// Where these are times of day: a name such as `Europe/Berlin`. Default: `UTC`.
        timezone: ZoneForm,
        /// Clients by name, with `*` for any text. Default: all, and requests without a client.
        clients: Names,
        /// Tokens that the prompt has at least, estimated.
        min_prompt_tokens: u64,
        /// Tokens that it has at most.
        max_prompt_tokens: u64,
        /// What the request has: `tools`, `images`, `audio`, `json_schema`, `reasoning`.
        has: FeaturesForm,
        /// Whether a stream is asked for.
        stream: bool,
        /// Headers that the request has, by name, and their values, with `*` for any text.
        header: Texts,
        /// An expression in the Common Expression Language that holds (`docs/routing.md`), where the program was built with the
        /// feature `cel`.
        cel: CelForm,
    }
}

/// The conditions that are there; `None` when none is.
pub(super) fn when(raw: WhenSection) -> Option<Arc<When>> {
    let timed = raw.hours.is_some() || raw.days.is_some();
    let zone = raw.timezone.map_or_else(Zone::utc, |ZoneForm(zone)| zone);
    let calendar = timed.then(|| Calendar {
        hours: raw.hours.map(|HoursForm(hours)| hours).unwrap_or_default(),
        days: raw.days.map_or([true; 7], |DaysForm(days)| days),
        zone: zone.clone(),
    });
    let headers = raw.header.map(|Texts(all)| all).unwrap_or_default();
    let headers = headers.into_iter();
    let when = When {
        calendar,
        clients: raw.clients.map(|Names(names)| names).unwrap_or_default(),
        min_prompt_tokens: raw.min_prompt_tokens,
        max_prompt_tokens: raw.max_prompt_tokens,
        has: raw.has.map(|FeaturesForm(has)| has).unwrap_or_default(),
        stream: raw.stream,
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect(),
        custom: raw
            .cel
            .map(|CelForm(condition)| CustomCondition { condition, zone }),
    };
    (when != When::default()).then(|| Arc::new(when))
}

/// Whether something stands there: an empty list is one, an empty text is a mistake.
fn says_something(read: &[String], node: &ConfigNode<'_>) -> bool {
    !read.is_empty() || matches!(node.value.kind, ValueKind::Array(_))
}

/// One or several texts of this pattern.
fn fitting(word: &str, pattern: &str) -> Shape {
    let one = json!({"type": "string", "pattern": pattern});
    let schema = json!({"anyOf": [one, {"type": ["array", "null"], "items": one}]});
    Shape::plain(word, schema)
}

/// Parts of a day.
pub(super) struct HoursForm(pub(super) Vec<Hours>);

impl FromNode for HoursForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let Names(texts) = Names::read(node, report)?;
        let hours: Option<Vec<Hours>> = texts.iter().map(|text| hours(text)).collect();
        match hours.filter(|_| says_something(&texts, node)) {
            Some(hours) => Some(Self(hours)),
            None => node.wrong("times of day such as 09:00-17:00", report),
        }
    }
}

fn hours(text: &str) -> Option<Hours> {
    let (start, end) = text.split_once(['-', '–'])?;
    Some(Hours {
        start: minute(start)?,
        end: minute(end)?,
    })
}

/// `9`, `09:30`, `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':').unwrap_or((text.trim(), "0"));
    let part = |text: &str, most: u16| {
        let digits = !text.is_empty() && text.len() <= 2;
        let digits = digits && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>()
            .ok()
            .filter(|part| digits && *part <= most)
    };
    let all = part(hour, 24)? * 60 + part(minute, 59)?;
    (all <= 24 * 60).then_some(all)
}

impl Describe for HoursForm {
    fn shape() -> Shape {
        const TIMES: &str = r"^\s*[0-9]{1,2}(:[0-9]{1,2})?\s*[-–]";
        fitting("times of day", TIMES)
    }
}

/// Days of the week, Monday first.
pub(super) struct DaysForm(pub(super) [bool; 7]);

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl FromNode for DaysForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let Names(names) = Names::read(node, report)?;
        let mut days = [false; 7];
        for name in &names {
            let name = name.to_lowercase();
            let place = DAYS.iter().position(|day| name.get(..3) == Some(*day));
            let found = place.and_then(|place| days.get_mut(place));
            match found {
                Some(day) => *day = true,
                None => return node.wrong("days such as mon, tue or sun", report),
            }
        }
        match says_something(&names, node) {
            true => Some(Self(days)),
            false => node.wrong("days such as mon, tue or sun", report),
        }
    }
}

impl Describe for DaysForm {
    fn shape() -> Shape {
        const DAY: &str = r"^[\s,]*([mM][oO][nN]|[tT][uU][eE]|[wW][eE][dD]|[tT][hH][uU]|[fF][rR][iI]|[sS][aA][tT]|[sS][uU][nN])";
        fitting("days of the week", DAY)
    }
}

/// Features of requests.
pub(super) struct FeaturesForm(Features);

impl FromNode for FeaturesForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let Names(names) = Names::read(node, report)?;
        let found = names.iter().map(|name| {
            let mut all = Capability::ALL.into_iter();
            all.find(|feature| feature.name() == name.trim().to_lowercase())
        });
        let found: Option<Features> = found.collect();
        match found.filter(|_| says_something(&names, node)) {
            Some(features) => Some(Self(features)),
            None => {
                let all = Capability::ALL.map(Capability::name).join(", ");
                node.wrong(&format!("some of {all}"), report)
            }
        }
    }
}

impl Describe for FeaturesForm {
    fn shape() -> Shape {
        const FEATURE: &str = r"^[\s,]*(tools|images|audio|json_schema|reasoning)";
        fitting("list of features", FEATURE)
    }
}

section! {
    /// `llm.providers[].capabilities`
    CapabilitiesSection {
        /// Calls of tools.
        tools: bool,
        /// Pictures in the prompt.
        images: bool,
        /// Sound in the prompt.
        audio: bool,
        /// Answers by a schema.
        json_schema: bool,
        /// Reasoning that is asked for.
        reasoning: bool,
        /// The most tokens of an answer.
        max_output_tokens: NonZeroU64,
    }
}

impl CapabilitiesSection {
    pub(super) fn capabilities(&self) -> KnownCapabilities {
        let most = self.max_output_tokens.map(NonZeroU64::get);
        KnownCapabilities::of_output(most)
            .with(Capability::Tools, self.tools)
            .with(Capability::Images, self.images)
            .with(Capability::Audio, self.audio)
            .with(Capability::JsonSchema, self.json_schema)
            .with(Capability::Reasoning, self.reasoning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_read_as_written() {
        let read = |text| hours(text).map(|hours| (hours.start, hours.end));
        assert_eq!(read("16:30-00:30"), Some((990, 30)));
        assert_eq!(read("9 - 17"), Some((540, 1020)));
        assert_eq!(read("20:00–24:00"), Some((1200, 1440)));
        for wrong in [
            "", "9", "24:01-1", "25-26", "9:60-10", "-", "9:-10", "+9-10", "a-b", "009-10",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn zones_know_their_summer_time() {
        let value = config::Value::new(None, "Europe/Berlin");
        let node = ConfigNode {
            value: &value,
            path: String::new(),
        };
        let ZoneForm(zone) = ZoneForm::read(&node, &mut Report::default()).unwrap();
        // 2026-01-15 and 2026-07-15.
        assert_eq!((zone.offset)(1_768_435_200), 3600);
        assert_eq!((zone.offset)(1_784_073_600), 7200);
    }
}
