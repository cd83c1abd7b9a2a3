//! Embeddings at Google's cloud: `:predict` with instances, or `:embedContent` for the models that have it there.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::names::bare_model;
use crate::domain::dialect::Operation;
use crate::wire::dialect::Adapter;
use crate::wire::embeddings::{Embedded, EmbeddingRequest};
use crate::wire::ir::{Loss, Losses};
use crate::wire::request::RequestDoc;

/// Serves the requests of one caller's form.
#[derive(Clone, Copy, Debug)]
enum VertexEmbeddings {
    OpenAi,
    Google { batch: bool },
}

/// What serves an operation there.
pub(super) fn adapter(operation: Operation) -> Option<&'static dyn Adapter> {
    match operation {
        Operation::Embeddings => Some(&VertexEmbeddings::OpenAi),
        Operation::EmbedContent => Some(&VertexEmbeddings::Google { batch: false }),
        Operation::BatchEmbedContents => Some(&VertexEmbeddings::Google { batch: true }),
        _ => None,
    }
}

/// Whether a model is asked by `:embedContent` there: those of the second generation, which embed more than texts.
pub(super) fn embeds_content(model: &str) -> bool {
    let name = bare_model(model).rsplit('/').next().unwrap_or_default();
    let version = name.strip_prefix("gemini-embedding-");
    let version =
        version.and_then(|rest| rest.split(|letter: char| !letter.is_ascii_digit()).next());
    version
        .and_then(|digits| digits.parse::<u32>().ok())
        .is_some_and(|version| version >= 2)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VertexAnswer {
    #[serde(default)]
    predictions: Vec<VertexPrediction>,
    #[serde(default)]
    embedding: Option<VertexVector>,
    #[serde(default)]
    usage_metadata: Option<VertexCounts>,
}

#[derive(Deserialize)]
struct VertexPrediction {
    embeddings: VertexVector,
}

#[derive(Deserialize)]
struct VertexVector {
    #[serde(default)]
    values: Vec<f32>,
    #[serde(default)]
    statistics: Option<VertexStatistics>,
}

#[derive(Deserialize)]
struct VertexStatistics {
    /// Written with a point.
    #[serde(default)]
    token_count: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VertexCounts {
    #[serde(default)]
    prompt_token_count: Option<u64>,
}

impl Adapter for VertexEmbeddings {
    fn own(&self) -> Operation {
        Operation::Predict
    }

    fn request(
        &self,
        doc: &RequestDoc,
        model: &str,
        params: &Map<String, Value>,
    ) -> Result<(Bytes, Losses), Loss> {
        let request = match self {
            Self::OpenAi => EmbeddingRequest::of_openai(doc, params)?,
            Self::Google { batch } => EmbeddingRequest::of_google(doc, params, *batch)?,
        };
        let body = match embeds_content(model) {
            true => content(&request)?,
            false => instances(&request)?,
        };
        Ok((body.to_string().into(), request.losses))
    }

    fn answer(&self, doc: &RequestDoc, body: &[u8]) -> Result<Bytes, Loss> {
        let unreadable = |_| Loss::new("", "the answer has no list of embeddings");
        let answer: VertexAnswer = serde_json::from_slice(body).map_err(unreadable)?;
        let counts = answer.usage_metadata;
        let counted = tokens(&answer.predictions);
        let vectors = answer.predictions.into_iter().map(|one| one.embeddings);
        let vectors = vectors.chain(answer.embedding);
        let embedded = Embedded {
            vectors: vectors.map(|vector| vector.values).collect(),
            tokens: counts
                .and_then(|counts| counts.prompt_token_count)
                .or(counted),
        };
        match self {
            Self::OpenAi => Ok(embedded.for_openai(doc)),
            Self::Google { batch } => embedded.for_google(*batch),
        }
    }
}

/// The tokens of all predictions, where they say so.
fn tokens(predictions: &[VertexPrediction]) -> Option<u64> {
    let counts = predictions.iter().filter_map(|one| {
        let count = one.embeddings.statistics.as_ref()?.token_count?;
        // Written as a number of any kind; it is a small whole one.
        format!("{count:.0}").parse::<u64>().ok()
    });
    counts.reduce(|sum, count| sum.saturating_add(count))
}

/// The tokens that the predictions of an answer were made of.
pub(super) fn counted(predictions: &str) -> Option<u64> {
    tokens(&serde_json::from_str::<Vec<VertexPrediction>>(predictions).ok()?)
}

/// The body of `:predict`.
fn instances(request: &EmbeddingRequest) -> Result<Value, Loss> {
    let instances = request.inputs.iter().map(|input| {
        let mut instance = Map::new();
        instance.insert("content".to_owned(), input.text()?.into());
        for (name, said) in [("task_type", &input.task), ("title", &input.title)] {
            if let Some(said) = said {
                instance.insert(name.to_owned(), said.as_str().into());
            }
        }
        Ok(Value::Object(instance))
    });
    let instances: Vec<Value> = instances.collect::<Result<_, _>>()?;
    let mut body = json!({"instances": instances});
    if let Some(size) = request.dimensions()? {
        body["parameters"] = json!({"outputDimensionality": size});
    }
    Ok(body)
}

/// The body of `:embedContent`.
fn content(request: &EmbeddingRequest) -> Result<Value, Loss> {
    let [input] = &request.inputs[..] else {
        let why = "this model embeds one input a request there: send them one by one";
        return Err(Loss::new("input", why));
    };
    let mut body = json!({"content": input.content});
    for (name, said) in [("taskType", &input.task), ("title", &input.title)] {
        if let Some(said) = said {
            body[name] = said.as_str().into();
        }
    }
    if let Some(size) = input.dimensions {
        body["outputDimensionality"] = size.into();
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_of_the_second_generation_have_a_route_of_their_own() {
        for model in [
            "gemini-embedding-2",
            "gemini-embedding-2-preview",
            "publishers/google/models/gemini-embedding-3",
        ] {
            assert!(embeds_content(model), "{model}");
        }
        for model in [
            "gemini-embedding-001",
            "gemini-embedding-exp-03-07",
            "text-embedding-005",
        ] {
            assert!(!embeds_content(model), "{model}");
        }
    }

    #[test]
    fn tokens_are_added_up_where_they_are_told() {
        let one =
            r#"{"embeddings":{"values":[1],"statistics":{"token_count":3.0,"truncated":false}}}"#;
        assert_eq!(counted(&format!("[{one},{one}]")), Some(6));
        assert_eq!(counted(r#"[{"embeddings":{"values":[1]}}]"#), None);
    }
}
