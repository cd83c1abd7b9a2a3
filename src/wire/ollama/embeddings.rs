//! Embeddings of OpenAI's dialect by Ollama's `/api/embed`.

use bytes::Bytes;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ID;
use super::ir::{UNKNOWN, complete, take_extensions};
use crate::domain::dialect::Operation;
use crate::wire::dialect::Adapter;
use crate::wire::ir::fields::{Encoder, put, take};
use crate::wire::ir::{Extra, Loss, Losses};
use crate::wire::json;
use crate::wire::request::RequestDoc;

/// One request for all inputs at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct OllamaEmbeddings;

/// What an answer holds, as far as it is needed.
#[derive(Deserialize)]
struct EmbeddedTexts {
    embeddings: Vec<Vec<f32>>,
    #[serde(default)]
    prompt_eval_count: Option<u64>,
}

impl Adapter for OllamaEmbeddings {
    fn own(&self) -> Operation {
        Operation::OllamaEmbed
    }

    fn request(
        &self,
        doc: &RequestDoc,
        model: &str,
        params: &Map<String, Value>,
    ) -> Result<(Bytes, Losses), Loss> {
        let mut fields = json::whole_object(doc.body())
            .ok_or_else(|| Loss::new("", "the body is no object, or has too many parts"))?;
        let input = match fields.remove("input") {
            Some(text @ Value::String(_)) => text,
            Some(Value::Array(all)) if all.iter().all(Value::is_string) => Value::Array(all),
            Some(Value::Array(_)) => {
                return Err(Loss::new("input", "Ollama embeds texts, not tokens"));
            }
            _ => return Err(Loss::new("input", "a text or a list of texts")),
        };
        let mut encoder = Encoder::new("", ID, UNKNOWN);
        let mut body = Extra::new();
        take_extensions(&mut fields, &mut body);
        put(&mut body, "model", Some(model));
        put(&mut body, "input", Some(input));
        let size = take(&mut fields, "dimensions", |size| {
            size.as_u64().map(Value::from)
        });
        put(&mut body, "dimensions", size);
        for own in ["model", "encoding_format"] {
            fields.remove(own);
        }
        let _ = encoder.begin("", fields);
        complete(&mut body, params);
        Ok((Value::Object(body).to_string().into(), encoder.losses))
    }

    fn answer(&self, doc: &RequestDoc, body: &[u8]) -> Result<Bytes, Loss> {
        let embedded: EmbeddedTexts = serde_json::from_slice(body)
            .map_err(|_| Loss::new("", "the answer has no list of embeddings"))?;
        let packed = doc.raw("encoding_format") == Some(br#""base64""#);
        let data = embedded.embeddings.iter().enumerate().map(|(index, one)| {
            let values = match packed {
                true => {
                    let bytes: Vec<u8> = one.iter().flat_map(|value| value.to_le_bytes()).collect();
                    Value::from(BASE64.encode(&bytes))
                }
                false => json!(one),
            };
            json!({"object": "embedding", "index": index, "embedding": values})
        });
        let data: Vec<Value> = data.collect();
        let tokens = embedded.prompt_eval_count.unwrap_or(0);
        let answer = json!({
            "object": "list", "data": data, "model": doc.model().unwrap_or_default(),
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        });
        Ok(answer.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(body: &Value) -> RequestDoc {
        RequestDoc::parse(body.to_string().into()).unwrap()
    }

    #[test]
    fn inputs_go_together_and_options_with_them() {
        let asked = doc(
            &json!({"model": "x", "input": ["a", "b"], "dimensions": 8, "user": "u", "keep_alive": "5m",
            "truncate": false, "num_ctx": 2048}),
        );
        let params = json!({"options": {"num_ctx": 1, "num_gpu": 1}});
        let (body, losses) = OllamaEmbeddings
            .request(&asked, "e", params.as_object().unwrap())
            .unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body,
            json!({"model": "e", "input": ["a", "b"], "dimensions": 8, "keep_alive": "5m", "truncate": false,
                "options": {"num_ctx": 2048, "num_gpu": 1}})
        );
        let lost: Vec<&str> = losses.iter().map(|loss| &*loss.path).collect();
        assert_eq!(lost, ["user"]);
        for input in [json!([[1, 2]]), json!([1]), json!(null)] {
            let tokens = doc(&json!({"model": "x", "input": input}));
            let refused = OllamaEmbeddings.request(&tokens, "e", &Map::new());
            assert_eq!(refused.unwrap_err().path, "input");
        }
    }

    #[test]
    fn vectors_come_back_as_numbers_or_packed() {
        let body = br#"{"model":"e","embeddings":[[0.5,-1],[]],"prompt_eval_count":4}"#;
        let plain = doc(&json!({"model": "x", "input": "a"}));
        let answer: Value =
            serde_json::from_slice(&OllamaEmbeddings.answer(&plain, body).unwrap()).unwrap();
        assert_eq!(answer["data"][0]["embedding"], json!([0.5, -1.0]));
        assert_eq!(answer["data"][1]["index"], 1);
        assert_eq!(
            answer["usage"],
            json!({"prompt_tokens": 4, "total_tokens": 4})
        );
        let packed = doc(&json!({"model": "x", "input": "a", "encoding_format": "base64"}));
        let answer: Value =
            serde_json::from_slice(&OllamaEmbeddings.answer(&packed, body).unwrap()).unwrap();
        assert_eq!(answer["data"][0]["embedding"], "AAAAPwAAgL8=");
        assert!(OllamaEmbeddings.answer(&plain, b"{}").is_err());
    }
}
