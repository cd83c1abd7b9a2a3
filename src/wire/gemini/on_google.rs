//! Gemini as Google's cloud hosts it: the same but for counts, which are asked of the request itself, embeddings, and queues,
//! which are asked for in headers.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;

use super::{Gemini, vertex_embeddings};
use crate::domain::dialect::Operation;
use crate::wire::dialect::UpstreamDialect;
use crate::wire::gemini::ir::tier_of;
use crate::wire::hosted::OnGoogle;
use crate::wire::ir::tier::{Tier, TierWords};
use crate::wire::ir::{ChatRequest, Loss, Losses};
use crate::wire::json;
use crate::wire::request::RequestDoc;

/// Google's API there.
pub(super) static ON_GOOGLE: OnGoogle = OnGoogle {
    inner: &Gemini,
    publisher: "google",
    path,
    fit,
    unfit,
    left_out,
    adapter: vertex_embeddings::adapter,
};

fn path(operation: Operation, model: &str, stream: bool) -> Cow<'static, str> {
    let own = match operation {
        Operation::Predict if vertex_embeddings::embeds_content(model) => Operation::EmbedContent,
        _ => operation,
    };
    Gemini.call_path(own, model, stream)
}

/// The names of the field in which Google's other API is asked for a queue: this one refuses fields that it does not know.
const TIERS: [&str; 2] = ["serviceTier", "service_tier"];

fn unfit(request: &mut ChatRequest) -> Losses {
    let tier = request.service_tier.take();
    tier.and_then(|tier| unasked(&tier)).into_iter().collect()
}

fn left_out(doc: &RequestDoc) -> Losses {
    let said = TIERS.iter().find_map(|name| doc.raw(name));
    let tier = said.and_then(json::value);
    let tier = tier.as_ref().and_then(Value::as_str).map(tier_of);
    tier.and_then(|tier| unasked(&tier)).into_iter().collect()
}

/// A queue that is not asked for, unless it is the usual one.
fn unasked(tier: &str) -> Option<Loss> {
    let is_usual = TierWords::Gemini.asked(tier) == Tier::Usual;
    (!is_usual).then(|| Loss::new("service_tier", "Vertex AI has no such field"))
}

fn fit(operation: Operation, body: Bytes) -> Bytes {
    let tells = |name: &str| memchr::memmem::find(&body, name.as_bytes()).is_some();
    if !operation.counts() && !TIERS.into_iter().any(tells) {
        return body;
    }
    let Some(mut fields) = json::whole_object(&body) else {
        return body;
    };
    if !operation.counts() {
        let asked = TIERS.map(|name| fields.shift_remove(name).is_some());
        return match asked.contains(&true) {
            true => Value::Object(fields).to_string().into(),
            false => body,
        };
    }
    let inner = ["generateContentRequest", "generate_content_request"];
    let inner = inner.into_iter().find_map(|name| fields.remove(name));
    if let Some(Value::Object(inner)) = inner {
        for (name, value) in inner {
            fields.entry(name).or_insert(value);
        }
    }
    // It would have to be a whole resource's name.
    fields.remove("model");
    for name in TIERS {
        fields.shift_remove(name);
    }
    Value::Object(fields).to_string().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::exchange::Exchange;

    #[test]
    fn a_queue_is_not_asked_for_in_the_body() {
        let sent = |body: &Value| {
            let body = Bytes::from(body.to_string());
            fit(Operation::GenerateContent, body)
        };
        let asked = json!({"serviceTier": "flex", "contents": [], "labels": {}});
        assert_eq!(sent(&asked), r#"{"contents":[],"labels":{}}"#);
        let said = json!({"contents": [{"parts": [{"text": "service_tier"}]}]});
        assert_eq!(sent(&said), said.to_string());
        for (body, names) in [
            (json!({"serviceTier": "SERVICE_TIER_FLEX"}), "serviceTier"),
            (json!({"service_tier": "standard"}), ""),
            (json!({"contents": []}), ""),
        ] {
            let doc = RequestDoc::parse(body.to_string().into()).unwrap();
            let exchange = Exchange::new(Operation::GenerateContent, &ON_GOOGLE).unwrap();
            let call = exchange.outgoing(&doc, "m", &serde_json::Map::new(), false);
            let call = call.ok().unwrap();
            assert_eq!(call.dropped.to_string(), names, "{body}");
            assert!(!String::from_utf8_lossy(&call.body).contains("ier"));
        }
        for (tier, lost) in [("flex", 1), ("default", 0), ("auto", 0), ("scale", 1)] {
            let mut request = ChatRequest::new("openai");
            request.service_tier = Some(tier.to_owned());
            let (body, losses) = ON_GOOGLE.encode_request(request, &serde_json::Map::new());
            assert_eq!(losses.len(), lost, "{tier}");
            assert!(!String::from_utf8_lossy(&body).contains("Tier"), "{body:?}");
        }
    }

    #[test]
    fn a_count_is_asked_of_the_request_itself() {
        let raw = br#"{"generateContentRequest":{"model":"models/m","contents":[],"tools":[]}}"#;
        let fit = fit(Operation::CountTokens, Bytes::from_static(raw));
        let fit: Value = serde_json::from_slice(&fit).unwrap();
        assert_eq!(fit, json!({"contents": [], "tools": []}));
        let path = ON_GOOGLE.call_path(Operation::GenerateContent, "gemini-3.5-flash", true);
        assert_eq!(
            path,
            "/models/gemini-3.5-flash:streamGenerateContent?alt=sse"
        );
    }
}
