//! Embeddings between dialects: what is asked for and what comes back, as OpenAI's and Google's callers have it.

use bytes::Bytes;
use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use super::ir::{Loss, Losses};
use super::json;
use super::request::RequestDoc;

/// Something that is to be embedded.
#[derive(Clone, PartialEq, Debug, Default)]
pub(in crate::wire) struct EmbeddingInput {
    /// In Google's form: an object with `parts`.
    pub(in crate::wire) content: Value,
    /// What the vector is for, in Google's words.
    pub(in crate::wire) task: Option<String>,
    /// Of a document.
    pub(in crate::wire) title: Option<String>,
    /// The length of the vector.
    pub(in crate::wire) dimensions: Option<u64>,
}

/// What is to be embedded, and what of the request has no place here.
#[derive(Clone, PartialEq, Debug, Default)]
pub(in crate::wire) struct EmbeddingRequest {
    pub(in crate::wire) inputs: Vec<EmbeddingInput>,
    pub(in crate::wire) losses: Losses,
}

/// The vectors of an answer.
#[derive(Clone, PartialEq, Debug, Default)]
pub(in crate::wire) struct Embedded {
    /// In the order of the inputs.
    pub(in crate::wire) vectors: Vec<Vec<f32>>,
    /// Tokens of all inputs, where that is said.
    pub(in crate::wire) tokens: Option<u64>,
}

/// Why a field of a request is left out.
const NO_PLACE: &str = "embeddings have no field for it there";
/// Why a request cannot be served.
const NO_TEXT: &str = "only texts are embedded there";

impl EmbeddingInput {
    /// All of its text.
    ///
    /// # Errors
    /// There is something else in it.
    pub(in crate::wire) fn text(&self) -> Result<String, Loss> {
        let parts = self.content.get("parts").and_then(Value::as_array);
        let texts = parts.into_iter().flatten().map(|part| {
            let alone = part.as_object().is_some_and(|part| part.len() == 1);
            let text = part.get("text").and_then(Value::as_str);
            text.filter(|_| alone)
                .ok_or_else(|| Loss::new("content", NO_TEXT))
        });
        let texts: Vec<&str> = texts.collect::<Result<_, _>>()?;
        match texts.is_empty() {
            true => Err(Loss::new("content", NO_TEXT)),
            false => Ok(texts.join("\n")),
        }
    }
}

impl EmbeddingRequest {
    /// Reads a request of OpenAI's form. `params` are filled in where it does not say.
    ///
    /// # Errors
    /// What keeps it from being read.
    pub(in crate::wire) fn of_openai(
        doc: &RequestDoc,
        params: &Map<String, Value>,
    ) -> Result<Self, Loss> {
        let mut fields = whole(doc, params)?;
        let texts = match fields.remove("input") {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(all)) => {
                let texts = all.into_iter().map(|one| match one {
                    Value::String(text) => Ok(text),
                    _ => Err(Loss::new("input", "texts are embedded there, not tokens")),
                });
                texts.collect::<Result<_, _>>()?
            }
            _ => return Err(Loss::new("input", "a text or a list of texts")),
        };
        let mut each = EmbeddingInput::default();
        each.take(&mut fields);
        // How the answer is written is for its writer.
        for own in ["model", "encoding_format"] {
            fields.remove(own);
        }
        let inputs = texts.into_iter().map(|text| EmbeddingInput {
            content: json!({"parts": [{"text": text}]}),
            ..each.clone()
        });
        let mut request = Self {
            inputs: inputs.collect(),
            losses: Losses::new(),
        };
        request.lose(fields, "");
        Ok(request)
    }

    /// Reads a request of Google's form: one, or a list of them.
    ///
    /// # Errors
    /// What keeps it from being read.
    pub(in crate::wire) fn of_google(
        doc: &RequestDoc,
        params: &Map<String, Value>,
        batch: bool,
    ) -> Result<Self, Loss> {
        let mut fields = whole(doc, params)?;
        let mut request = Self::default();
        if !batch {
            request.add(fields, "")?;
            return Ok(request);
        }
        let Some(Value::Array(all)) = fields.remove("requests") else {
            return Err(Loss::new("requests", "a list of requests"));
        };
        for (at, one) in all.into_iter().enumerate() {
            let Value::Object(one) = one else {
                return Err(Loss::new("requests", "a list of requests"));
            };
            request.add(one, &format!("requests[{at}]."))?;
        }
        fields.remove("model");
        request.lose(fields, "");
        Ok(request)
    }

    fn add(&mut self, mut fields: Map<String, Value>, path: &str) -> Result<(), Loss> {
        for name in ["embedContentConfig", "embed_content_config", "config"] {
            if let Some(Value::Object(inner)) = fields.remove(name) {
                for (name, value) in inner {
                    fields.entry(name).or_insert(value);
                }
            }
        }
        let mut input = EmbeddingInput {
            content: match fields.remove("content") {
                Some(Value::String(text)) => json!({"parts": [{"text": text}]}),
                Some(content @ Value::Object(_)) => content,
                _ => return Err(Loss::new("content", "an object with parts")),
            },
            ..EmbeddingInput::default()
        };
        input.take(&mut fields);
        fields.remove("model");
        self.inputs.push(input);
        self.lose(fields, path);
        Ok(())
    }

    fn lose(&mut self, rest: Map<String, Value>, path: &str) {
        let rest = rest.into_iter().filter(|(_, value)| !value.is_null());
        let losses = rest.map(|(name, _)| Loss::new(format!("{path}{name}"), NO_PLACE));
        self.losses.extend(losses);
    }

    /// Names what of the inputs has no place.
    pub(in crate::wire) fn lose_purposes(&mut self) {
        let purposes = self
            .inputs
            .iter()
            .map(|input| [("taskType", &input.task), ("title", &input.title)]);
        let told = purposes.flatten().filter(|(_, said)| said.is_some());
        let losses: Losses = told.map(|(name, _)| Loss::new(name, NO_PLACE)).collect();
        self.losses.extend(losses);
    }

    /// The length of all vectors.
    ///
    /// # Errors
    /// They are to be of several lengths.
    pub(in crate::wire) fn dimensions(&self) -> Result<Option<u64>, Loss> {
        let mut all = self.inputs.iter().map(|input| input.dimensions);
        let first = all.next().flatten();
        match all.all(|one| one == first) {
            true => Ok(first),
            false => Err(Loss::new(
                "outputDimensionality",
                "all vectors of one request have the same length there",
            )),
        }
    }
}

impl EmbeddingInput {
    /// Takes the settings out of a request, by the names that both forms have for them.
    fn take(&mut self, fields: &mut Map<String, Value>) {
        let mut first = |names: &[&str]| {
            let found = names.iter().filter_map(|name| fields.remove(*name));
            found.reduce(|first, _| first)
        };
        let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned));
        self.task = text(first(&["taskType", "task_type"]));
        self.title = text(first(&["title"]));
        let size = first(&[
            "outputDimensionality",
            "output_dimensionality",
            "dimensions",
        ]);
        self.dimensions = size.and_then(|size| size.as_u64());
    }
}

fn whole(doc: &RequestDoc, params: &Map<String, Value>) -> Result<Map<String, Value>, Loss> {
    let unreadable = || Loss::new("", "the body is no object, or has too many parts");
    let mut fields = json::whole_object(doc.body()).ok_or_else(unreadable)?;
    for (name, value) in params {
        fields.entry(name).or_insert_with(|| value.clone());
    }
    Ok(fields)
}

impl Embedded {
    /// The answer to the request `doc` in OpenAI's form: vectors are numbers, or packed where that was asked for.
    pub(in crate::wire) fn for_openai(&self, doc: &RequestDoc) -> Bytes {
        let packed = doc.raw("encoding_format") == Some(br#""base64""#);
        let data = self.vectors.iter().enumerate().map(|(index, vector)| {
            let vector = match packed {
                true => {
                    let bytes = vector.iter().flat_map(|value| value.to_le_bytes());
                    Value::from(BASE64.encode(&bytes.collect::<Vec<u8>>()))
                }
                false => json!(vector),
            };
            json!({"object": "embedding", "index": index, "embedding": vector})
        });
        let data: Vec<Value> = data.collect();
        let tokens = self.tokens.unwrap_or(0);
        let answer = json!({
            "object": "list", "data": data, "model": doc.model().unwrap_or_default(),
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        });
        answer.to_string().into()
    }

    /// The answer in Google's form, to one request or to a list of them.
    ///
    /// # Errors
    /// There is no vector for the one.
    pub(in crate::wire) fn for_google(&self, batch: bool) -> Result<Bytes, Loss> {
        let mut vectors = self.vectors.iter().map(|values| json!({"values": values}));
        let mut answer = if batch {
            json!({"embeddings": vectors.collect::<Vec<_>>()})
        } else {
            let none = || Loss::new("", "the answer has no embedding");
            json!({"embedding": vectors.next().ok_or_else(none)?})
        };
        if let Some(tokens) = self.tokens {
            answer["usageMetadata"] =
                json!({"promptTokenCount": tokens, "totalTokenCount": tokens});
        }
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
    fn googles_requests_are_read_in_each_of_their_forms() {
        let plain = json!({"model": "m", "content": {"parts": [{"text": "a"}, {"text": "b"}]}, "taskType": "CLUSTERING", "outputDimensionality": 2});
        let config = json!({"content": "a\nb", "embedContentConfig": {"task_type": "CLUSTERING", "output_dimensionality": 2, "autoTruncate": true}});
        for (body, lost) in [(plain, vec![]), (config, vec!["autoTruncate"])] {
            let read = EmbeddingRequest::of_google(&doc(&body), &Map::new(), false).unwrap();
            let [input] = &read.inputs[..] else { panic!() };
            assert_eq!(input.text().unwrap(), "a\nb");
            assert_eq!(
                (input.task.as_deref(), input.dimensions),
                (Some("CLUSTERING"), Some(2))
            );
            let losses: Vec<_> = read.losses.iter().map(|loss| &*loss.path).collect();
            assert_eq!(losses, lost);
        }
        let picture = json!({"content": {"parts": [{"inlineData": {}}]}});
        let read = EmbeddingRequest::of_google(&doc(&picture), &Map::new(), false).unwrap();
        assert!(read.inputs[0].text().is_err());
        for body in [
            json!({}),
            json!({"requests": [1]}),
            json!({"requests": [{"content": 1}]}),
        ] {
            assert!(EmbeddingRequest::of_google(&doc(&body), &Map::new(), true).is_err());
        }
    }
}
