//! Floor 3: what Pointsman says about itself. One function per event, so that its wording, level and
//! fields are in one place.

mod bag;
pub mod events;
pub mod feed;
pub mod history;
pub mod init;
mod json;
pub mod level;
pub mod metrics;
pub mod names;
pub mod otlp;
pub mod otlp_spans;
pub mod recorder;
pub mod refusals;
pub mod request_line;
pub mod ring;
mod sink;
pub mod spans;
mod stamp;
pub mod told;
pub mod traces;
