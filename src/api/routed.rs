//! What a route says that elsewhere stands in the body: Gemini's callers name the model and the form of the answer in the
//! path, and the rest in the query.

use http::Uri;

use crate::domain::model_method::ModelMethod;
use crate::wire::segment::decoded;

/// The roots below which models are. Clients whose base URL has no version leave it out.
const ROOTS: [&str; 3] = ["/v1beta/models/", "/v1/models/", "/models/"];

/// What a route says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Routed {
    /// What is asked for.
    pub(super) model: String,
    /// Whether the answer is to be streamed.
    pub(super) stream: bool,
    /// Whether a stream is to be one JSON list, and not events.
    pub(super) listed: bool,
}

impl Routed {
    /// What a path asks of a model, where it has this form.
    pub(super) fn method(path: &str) -> Option<ModelMethod<'_>> {
        let tail = ROOTS.into_iter().find_map(|root| path.strip_prefix(root))?;
        ModelMethod::read(tail)
    }

    /// What this address says; `None` where the body says it.
    pub(super) fn read(uri: &Uri) -> Option<Self> {
        let method = Self::method(uri.path())?;
        let model = decoded(method.model);
        // Some clients write the collection once more.
        let model = model.strip_prefix("models/").unwrap_or(&model).to_owned();
        let query = uri.query().unwrap_or_default();
        let events = query.split('&').any(|pair| pair == "alt=sse");
        Some(Self {
            model,
            stream: method.stream,
            listed: method.stream && !events,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_route_names_the_model_and_the_form() {
        for (uri, model, stream, listed) in [
            (
                "/v1beta/models/groq:openai/gpt-oss-20b:streamGenerateContent?alt=sse",
                "groq:openai/gpt-oss-20b",
                true,
                false,
            ),
            (
                "/v1beta/models/m:streamGenerateContent?key=k",
                "m",
                true,
                true,
            ),
            ("/models/models/m:generateContent", "m", false, false),
            (
                "/v1/models/a%3Ab%2Fc:countTokens?alt=json",
                "a:b/c",
                false,
                false,
            ),
        ] {
            let read = Routed::read(&uri.parse().unwrap());
            let wanted = Routed {
                model: model.to_owned(),
                stream,
                listed,
            };
            assert_eq!(read, Some(wanted), "{uri}");
        }
        for uri in [
            "/v1/models/m",
            "/v1/chat/completions",
            "/v1beta/models/m:predict",
        ] {
            assert_eq!(Routed::read(&uri.parse().unwrap()), None, "{uri}");
        }
    }
}
