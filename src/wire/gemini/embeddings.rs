//! Embeddings of OpenAI's dialect by Google's `batchEmbedContents`.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ID;
use crate::domain::dialect::Operation;
use crate::wire::dialect::Adapter;
use crate::wire::embeddings::Embedded;
use crate::wire::ir::fields::{Encoder, put, take, text};
use crate::wire::ir::{Extra, Loss, Losses};
use crate::wire::json;
use crate::wire::request::RequestDoc;

/// One request for all inputs at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Embeddings;

/// What an answer holds, as far as it is needed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GeminiAnswer {
    #[serde(default)]
    embeddings: Vec<Embedding>,
    #[serde(default)]
    usage_metadata: Option<EmbeddingUsage>,
}

#[derive(Deserialize)]
struct Embedding {
    /// As Google writes its numbers.
    #[serde(default)]
    values: Vec<f32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EmbeddingUsage {
    #[serde(default)]
    prompt_token_count: Option<u64>,
}

fn unreadable(path: &str, why: &'static str) -> Loss {
    Loss::new(path, why)
}

impl Adapter for Embeddings {
    fn own(&self) -> Operation {
        Operation::BatchEmbedContents
    }

    fn request(
        &self,
        doc: &RequestDoc,
        model: &str,
        params: &Map<String, Value>,
    ) -> Result<(Bytes, Losses), Loss> {
        let mut fields = json::whole_object(doc.body())
            .ok_or_else(|| unreadable("", "the body is no object, or has too many parts"))?;
        for (name, value) in params {
            fields.entry(name).or_insert_with(|| value.clone());
        }
        let mut encoder = Encoder::new("", ID, "Gemini's embeddings have no field for it");
        let inputs = match fields.remove("input") {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(all)) => {
                let texts = all.into_iter().map(|one| match one {
                    Value::String(text) => Ok(text),
                    _ => Err(unreadable("input", "Gemini embeds texts, not tokens")),
                });
                texts.collect::<Result<_, _>>()?
            }
            _ => return Err(unreadable("input", "a text or a list of texts")),
        };
        let mut each = Extra::new();
        put(
            &mut each,
            "model",
            Some(format!("models/{}", super::names::bare_model(model))),
        );
        put(
            &mut each,
            "outputDimensionality",
            take(&mut fields, "dimensions", |size| {
                size.as_u64().map(Value::from)
            }),
        );
        for (name, own) in [("task_type", "taskType"), ("title", "title")] {
            put(&mut each, own, text(&mut fields, name));
        }
        for own in ["model", "encoding_format"] {
            fields.remove(own);
        }
        let _ = encoder.begin("", fields);
        let requests: Vec<Value> = inputs
            .into_iter()
            .map(|input| {
                let mut one = each.clone();
                put(
                    &mut one,
                    "content",
                    Some(json!({"parts": [{"text": input}]})),
                );
                Value::Object(one)
            })
            .collect();
        let body = json!({"requests": requests}).to_string();
        Ok((body.into(), encoder.losses))
    }

    fn answer(&self, doc: &RequestDoc, body: &[u8]) -> Result<Bytes, Loss> {
        let embedded: GeminiAnswer = serde_json::from_slice(body)
            .map_err(|_| unreadable("", "the answer has no list of embeddings"))?;
        let counts = embedded.usage_metadata;
        let vectors = embedded.embeddings.into_iter().map(|one| one.values);
        let embedded = Embedded {
            vectors: vectors.collect(),
            tokens: counts.and_then(|counts| counts.prompt_token_count),
        };
        Ok(embedded.for_openai(doc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(body: &Value) -> RequestDoc {
        RequestDoc::parse(body.to_string().into()).unwrap()
    }

    #[test]
    fn each_input_is_a_request_of_its_own() {
        let asked = doc(&json!({"model": "x", "input": ["a", "b"], "dimensions": 8, "user": "u"}));
        let (body, losses) = Embeddings
            .request(&asked, "models/e-1", &Map::new())
            .unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body,
            json!({"requests": [
                {"model": "models/e-1", "outputDimensionality": 8, "content": {"parts": [{"text": "a"}]}},
                {"model": "models/e-1", "outputDimensionality": 8, "content": {"parts": [{"text": "b"}]}},
            ]})
        );
        assert_eq!(
            losses.iter().map(|loss| &*loss.path).collect::<Vec<_>>(),
            ["user"]
        );
        let tokens = doc(&json!({"model": "x", "input": [[1, 2]]}));
        assert_eq!(
            Embeddings
                .request(&tokens, "e", &Map::new())
                .unwrap_err()
                .path,
            "input"
        );
    }

    #[test]
    fn vectors_come_back_as_numbers_or_packed() {
        let body = br#"{"embeddings":[{"values":[0.5,-1]},{"values":[]}]}"#;
        let plain = doc(&json!({"model": "x", "input": "a"}));
        let answer: Value =
            serde_json::from_slice(&Embeddings.answer(&plain, body).unwrap()).unwrap();
        assert_eq!(answer["data"][0]["embedding"], json!([0.5, -1.0]));
        assert_eq!(
            (&answer["data"][1]["index"], &answer["model"]),
            (&json!(1), &json!("x"))
        );
        let packed = doc(&json!({"model": "x", "input": "a", "encoding_format": "base64"}));
        let answer: Value =
            serde_json::from_slice(&Embeddings.answer(&packed, body).unwrap()).unwrap();
        assert_eq!(answer["data"][0]["embedding"], "AAAAPwAAgL8=");
    }
}
