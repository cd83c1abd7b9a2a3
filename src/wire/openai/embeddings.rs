//! Embeddings of Google's callers by OpenAI's `/embeddings`.

use bytes::Bytes;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::domain::dialect::Operation;
use crate::wire::dialect::Adapter;
use crate::wire::embeddings::{Embedded, EmbeddingRequest};
use crate::wire::ir::{Loss, Losses};
use crate::wire::request::RequestDoc;

/// One request of Google's form, or a list of them.
#[derive(Clone, Copy, Debug)]
struct GoogleEmbeddings {
    batch: bool,
}

/// What serves an operation.
pub(super) fn adapter(operation: Operation) -> Option<&'static dyn Adapter> {
    match operation {
        Operation::EmbedContent => Some(&GoogleEmbeddings { batch: false }),
        Operation::BatchEmbedContents => Some(&GoogleEmbeddings { batch: true }),
        _ => None,
    }
}

#[derive(Deserialize)]
struct OpenAiEmbeddings {
    #[serde(default)]
    data: Vec<OpenAiEmbedding>,
    #[serde(default)]
    usage: Option<EmbeddingCounts>,
}

#[derive(Deserialize)]
struct OpenAiEmbedding {
    #[serde(default)]
    index: usize,
    embedding: EmbeddingVector,
}

/// Numbers, or some that are packed although numbers were asked for.
#[derive(Deserialize)]
#[serde(untagged)]
enum EmbeddingVector {
    Numbers(Vec<f32>),
    Packed(String),
}

#[derive(Deserialize)]
struct EmbeddingCounts {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    total_tokens: Option<u64>,
}

impl EmbeddingVector {
    fn numbers(self) -> Option<Vec<f32>> {
        match self {
            Self::Numbers(numbers) => Some(numbers),
            Self::Packed(text) => {
                let bytes = BASE64.decode(text.as_bytes()).ok()?;
                let (numbers, []) = bytes.as_chunks::<4>() else {
                    return None;
                };
                Some(
                    numbers
                        .iter()
                        .map(|four| f32::from_le_bytes(*four))
                        .collect(),
                )
            }
        }
    }
}

impl Adapter for GoogleEmbeddings {
    fn own(&self) -> Operation {
        Operation::Embeddings
    }

    fn request(
        &self,
        doc: &RequestDoc,
        model: &str,
        params: &Map<String, Value>,
    ) -> Result<(Bytes, Losses), Loss> {
        let mut request = EmbeddingRequest::of_google(doc, &Map::new(), self.batch)?;
        let texts = request.inputs.iter().map(|input| input.text());
        let texts: Vec<String> = texts.collect::<Result<_, _>>()?;
        let mut body = json!({"model": model, "input": texts, "encoding_format": "float"});
        if let Some(size) = request.dimensions()? {
            body["dimensions"] = size.into();
        }
        if let Value::Object(fields) = &mut body {
            for (name, value) in params {
                fields.entry(name).or_insert_with(|| value.clone());
            }
        }
        request.lose_purposes();
        Ok((body.to_string().into(), request.losses))
    }

    fn answer(&self, _doc: &RequestDoc, body: &[u8]) -> Result<Bytes, Loss> {
        let unreadable = || Loss::new("", "the answer has no list of embeddings");
        let answer: OpenAiEmbeddings = serde_json::from_slice(body).map_err(|_| unreadable())?;
        let mut data = answer.data;
        data.sort_by_key(|one| one.index);
        let vectors = data.into_iter().map(|one| one.embedding.numbers());
        let embedded = Embedded {
            vectors: vectors.collect::<Option<_>>().ok_or_else(unreadable)?,
            tokens: answer
                .usage
                .and_then(|counts| counts.prompt_tokens.or(counts.total_tokens)),
        };
        embedded.for_google(self.batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_in_the_order_of_their_inputs_however_they_are_written() {
        let body =
            br#"{"data":[{"index":1,"embedding":[0.25]},{"index":0,"embedding":"AAAAPwAAgL8="}]}"#;
        let doc = RequestDoc::parse(Bytes::from_static(b"{}")).unwrap();
        let answer = GoogleEmbeddings { batch: true }.answer(&doc, body).unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(
            answer,
            json!({"embeddings": [{"values": [0.5, -1.0]}, {"values": [0.25]}]})
        );
    }
}
