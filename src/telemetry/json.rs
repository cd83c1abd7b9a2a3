//! Log lines for machines: one flat JSON object each, fields as they come.
//!
//! tracing-subscriber's own JSON format collects fields into maps first, which is most of the cost of a
//! request's line; this one writes them straight out.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Formats an event as `{"timestamp":…,"level":…,"message":…,…}`.
#[derive(Debug)]
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        out.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut out)?;
        write!(out, "\",\"level\":\"{}\"", event.metadata().level())?;
        let mut fields = JsonFieldVisitor {
            out: &mut out,
            result: Ok(()),
        };
        event.record(&mut fields);
        fields.result?;
        out.write_str("}\n")
    }
}

struct JsonFieldVisitor<'a, 'w> {
    out: &'a mut Writer<'w>,
    result: fmt::Result,
}

impl JsonFieldVisitor<'_, '_> {
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = self
                .out
                .write_str(",\"")
                .and_then(|()| self.out.write_str(field.name()))
                .and_then(|()| self.out.write_str("\":"))
                .and_then(|()| value(self.out));
        }
    }
}

impl Visit for JsonFieldVisitor<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, |out| quoted(out, format_args!("{value}")));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, |out| write!(out, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, |out| write!(out, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, |out| write!(out, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.write(field, |out| {
            if value.is_finite() {
                write!(out, "{value}")
            } else {
                out.write_str("null")
            }
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field, |out| quoted(out, format_args!("{value:?}")));
    }
}

/// The text as a JSON string.
fn quoted(out: &mut Writer<'_>, text: fmt::Arguments<'_>) -> fmt::Result {
    out.write_char('"')?;
    Escaped(out).write_fmt(text)?;
    out.write_char('"')
}

struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest
            .bytes()
            .position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
        {
            let (plain, tail) = rest.split_at(at);
            self.0.write_str(plain)?;
            let mut characters = tail.chars();
            match characters.next() {
                Some('"') => self.0.write_str("\\\"")?,
                Some('\\') => self.0.write_str("\\\\")?,
                Some('\n') => self.0.write_str("\\n")?,
                Some(other) => write!(self.0, "\\u{:04x}", u32::from(other))?,
                None => {}
            }
            rest = characters.as_str();
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::{self, Sender};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    struct JsonLineSender(Sender<Vec<u8>>);

    struct JsonLine(Sender<Vec<u8>>);

    impl<'a> MakeWriter<'a> for JsonLineSender {
        type Writer = JsonLine;

        fn make_writer(&'a self) -> JsonLine {
            JsonLine(self.0.clone())
        }
    }

    impl io::Write for JsonLine {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_one_json_object_whatever_the_values() {
        let (lines, seen) = mpsc::channel();
        let subscriber = tracing_subscriber::fmt()
            .event_format(JsonLines)
            .with_writer(JsonLineSender(lines))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let nasty = "a \"quoted\"\\ line\nand \u{1b}[31m é";
            tracing::info!(
                number = 7u64,
                rate = 0.5,
                nan = f64::NAN,
                none = None::<u64>,
                nasty,
                "it's {}",
                nasty
            );
        });
        let line = seen.recv().unwrap();
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(value["nasty"], "a \"quoted\"\\ line\nand \u{1b}[31m é");
        assert_eq!(
            (&value["number"], &value["rate"], &value["nan"]),
            (&7.into(), &0.5.into(), &serde_json::Value::Null)
        );
        assert_eq!(value["level"], "INFO");
        assert!(value["message"].as_str().unwrap().starts_with("it's a"));
        assert!(value["timestamp"].as_str().unwrap().ends_with('Z'));
    }
}
