//! A receiver of traces over OTLP/HTTP: a scripted upstream that what it got is read from.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::gateway::Place;
use super::planted::assert_clean;
use super::{Behaviour, ScriptedUpstream, until};

/// The receiver.
pub struct Receiver {
    /// What it does.
    pub script: ScriptedUpstream,
}

impl Place for Receiver {
    /// The root URL: the signal's path is added by who sends.
    fn url(&self) -> String {
        self.script.base_url().replace("/v1", "")
    }
}

impl Receiver {
    /// One that takes everything.
    pub async fn start() -> Self {
        Self::playing([Behaviour::body(200, "application/x-protobuf", "")]).await
    }

    /// One that answers in this way.
    pub async fn playing(behaviours: impl IntoIterator<Item = Behaviour>) -> Self {
        Self {
            script: ScriptedUpstream::playing(behaviours).await,
        }
    }

    /// Every span so far, as received. No key is in them.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for request in self.script.requests() {
            if request.path != "/v1/traces" {
                continue;
            }
            assert_eq!(
                request.header("content-type"),
                Some("application/x-protobuf")
            );
            assert_clean("what a receiver of traces got", &request.body);
            let request = ExportTraceServiceRequest::decode(&request.body[..]).unwrap();
            let scopes = request.resource_spans.into_iter();
            let scopes = scopes.flat_map(|resource| resource.scope_spans);
            spans.extend(scopes.flat_map(|scope| scope.spans));
        }
        spans
    }

    /// Completes when there are so many spans; returns them in the order of their beginnings.
    pub async fn received(&self, count: usize) -> Vec<Span> {
        until("spans at the receiver", || async {
            self.spans().len() >= count
        })
        .await;
        let mut spans = self.spans();
        spans.sort_by_key(|span| span.start_time_unix_nano);
        assert_eq!(spans.len(), count, "{:?}", names(&spans));
        spans
    }

    /// All bytes that it got, as text.
    pub fn bytes(&self) -> String {
        let requests = self.script.requests();
        let bodies = requests.iter().map(|request| &request.body[..]);
        String::from_utf8_lossy(&bodies.collect::<Vec<_>>().concat()).into_owned()
    }
}

/// The spans' names.
pub fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

/// The events' names.
pub fn events(span: &Span) -> Vec<&str> {
    span.events
        .iter()
        .map(|event| event.name.as_str())
        .collect()
}

/// An attribute as text; empty when it is not there.
pub fn attribute(of: &[KeyValue], name: &str) -> String {
    let found = of.iter().find(|attribute| attribute.key == name);
    let value = found.and_then(|attribute| attribute.value.as_ref());
    value.map(text).unwrap_or_default()
}

fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::ArrayValue(values)) => {
            let values: Vec<String> = values.values.iter().map(text).collect();
            values.join(",")
        }
        other => format!("{other:?}"),
    }
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
