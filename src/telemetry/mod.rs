//! Floor 3: what Pointsman says about itself. One function per event, so that its wording, level and
//! fields are in one place.

pub mod cache_totals;
pub mod events;
pub mod feed;
pub mod history;
pub mod init;
mod json;
pub mod level;
pub mod metrics;
pub mod names;
mod once_map;
pub mod otlp;
pub mod otlp_spans;
pub mod recent;
pub mod recorder;
pub mod refusals;
pub mod request_line;
pub mod request_record;
mod sink;
pub mod spans;
mod stamp;
pub mod totals;
pub mod traces;
