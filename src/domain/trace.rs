//! The place of a request in a distributed trace: plain numbers, as of W3C Trace Context.
//! No I/O, no clock, no logging, no randomness: ids are handed in.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

/// A trace's id, never zero. Shown as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(NonZeroU128);

/// A span's id, never zero. Shown as 16 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(NonZeroU64);

impl TraceId {
    /// `None` for zero, which is no id.
    pub const fn new(number: u128) -> Option<Self> {
        match NonZeroU128::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// An id from random bits.
    pub fn random(bits: u128) -> Self {
        Self(NonZeroU128::new(bits).unwrap_or(NonZeroU128::MIN))
    }

    /// The id as a number.
    pub const fn get(self) -> u128 {
        self.0.get()
    }
}

impl SpanId {
    /// `None` for zero, which is no id.
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// An id from random bits.
    pub fn random(bits: u64) -> Self {
        Self(NonZeroU64::new(bits).unwrap_or(NonZeroU64::MIN))
    }

    /// The id as a number.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The trace context that a caller sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remote {
    /// The caller's trace.
    pub trace_id: TraceId,
    /// The span that the request was sent in.
    pub span_id: SpanId,
    /// Whether the caller may have recorded it.
    pub sampled: bool,
    /// Whether the trace's id is random in its last seven bytes.
    pub random: bool,
    /// What other systems keep about the trace, within the limits of `tracestate`.
    pub state: Option<Box<str>>,
}

/// One request's place in its trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceContext {
    /// The trace, kept or made.
    pub trace_id: TraceId,
    /// The request's own span; the caller's where no spans are made here.
    pub span_id: SpanId,
    /// Whether spans are made here.
    pub records: bool,
    /// The decision at its arrival: whether its spans are sent whatever the outcome. Upstreams get this
    /// decision.
    pub sampled: bool,
    /// The caller's span, and whether that was sampled; `None` for a trace that begins here.
    pub parent: Option<(SpanId, bool)>,
    /// Whether the trace's id is known to be random.
    pub random: bool,
    /// What other systems keep about the trace.
    pub state: Option<Box<str>>,
    /// Whether it was asked for below `/v1`.
    pub versioned: bool,
}

impl TraceContext {
    /// A trace that begins here.
    pub fn begun(trace_id: TraceId, span_id: SpanId, sampled: bool) -> Self {
        Self {
            trace_id,
            span_id,
            records: true,
            sampled,
            parent: None,
            random: true,
            state: None,
            versioned: true,
        }
    }

    /// A trace that goes on here, with a span of its own.
    pub fn joined(remote: Remote, span_id: SpanId, sampled: bool) -> Self {
        Self {
            trace_id: remote.trace_id,
            span_id,
            records: true,
            sampled,
            parent: Some((remote.span_id, remote.sampled)),
            random: remote.random,
            state: remote.state,
            versioned: true,
        }
    }

    /// A trace that is passed on without spans of this process: the caller's span is the parent of upstreams' spans.
    pub fn passing(remote: Remote) -> Self {
        let span_id = remote.span_id;
        let sampled = remote.sampled;
        Self {
            records: false,
            ..Self::joined(remote, span_id, sampled)
        }
    }

    /// The flags as W3C has them: bit 0 sampled, bit 1 random.
    pub fn flags(&self) -> u8 {
        u8::from(self.sampled) | u8::from(self.random) << 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_shown_in_full_length() {
        assert_eq!(TraceId::random(0).to_string(), format!("{:032x}", 1));
        assert_eq!(SpanId::new(0xab).unwrap().to_string(), "00000000000000ab");
        assert!(TraceId::new(0).is_none() && SpanId::new(0).is_none());
    }

    #[test]
    fn where_no_spans_are_made_the_callers_span_stands() {
        let remote = Remote {
            trace_id: TraceId::random(7),
            span_id: SpanId::random(9),
            sampled: true,
            random: false,
            state: None,
        };
        let passing = TraceContext::passing(remote);
        assert_eq!((passing.span_id.get(), passing.flags()), (9, 1));
        assert!(!passing.records);
    }
}
