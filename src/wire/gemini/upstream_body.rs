//! The body of a call that its caller wrote in Google's form, and what the configuration adds to one.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::ir::{CARRIED, NO_SIGNATURE};
use super::names::{bare_model, camel};
use crate::wire::json;
use crate::wire::request::RequestDoc;

/// The caller's bytes as far as they need no change: the model stands in the path, but some requests name it inside as
/// well, and then both have to be the same.
pub(super) fn of(doc: &RequestDoc, model: &str, params: &Map<String, Value>) -> Bytes {
    let names_model = doc.has("model")
        || [
            "generateContentRequest",
            "generate_content_request",
            "requests",
        ]
        .into_iter()
        .any(|name| doc.has(name));
    // What another provider's model signed in an earlier turn, which Google would refuse.
    let carries = memchr::memmem::find(doc.body(), CARRIED.as_bytes()).is_some();
    if !names_model && !carries && params.is_empty() {
        return doc.body().clone();
    }
    let Some(mut fields) = json::whole_object(doc.body()) else {
        return doc.body().clone();
    };
    let before = fields.clone();
    let name = json!(format!("models/{}", bare_model(model)));
    if fields.contains_key("model") {
        fields.insert("model".to_owned(), name.clone());
    }
    for inner in ["generateContentRequest", "generate_content_request"] {
        if let Some(Value::Object(inner)) = fields.get_mut(inner) {
            inner.insert("model".to_owned(), name.clone());
        }
    }
    for one in fields
        .get_mut("requests")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Value::Object(one) = one {
            one.insert("model".to_owned(), name.clone());
        }
    }
    if carries {
        fields.values_mut().for_each(unsigned);
    }
    fill(&mut fields, params);
    match fields == before {
        true => doc.body().clone(),
        false => Value::Object(fields).to_string().into(),
    }
}

/// Fills in what the configuration adds where the request does not say: fields of the request, and fields of such
/// objects in it as `generationConfig`.
pub(super) fn fill(fields: &mut Map<String, Value>, params: &Map<String, Value>) {
    if params.is_empty() {
        return;
    }
    camel(fields);
    let mut params = params.clone();
    camel(&mut params);
    for (name, value) in params {
        match (fields.get_mut(&name), value) {
            (None, value) => drop(fields.insert(name, value)),
            (Some(Value::Object(own)), Value::Object(mut more)) => {
                camel(own);
                camel(&mut more);
                for (name, value) in more {
                    own.entry(name).or_insert(value);
                }
            }
            (Some(_), _) => {}
        }
    }
}

/// The same without what was carried for others. A call wants some signature; a thought that is nothing else goes, and the
/// content that has nothing else in it.
fn unsigned(value: &mut Value) {
    match value {
        Value::Array(all) => {
            all.retain_mut(|one| {
                let had_parts = has_parts(one);
                let stays = !is_bare_thought(one);
                unsigned(one);
                stays && has_parts(one) == had_parts
            });
        }
        Value::Object(fields) => {
            if let Some(name) = carrier(fields) {
                match fields.contains_key("functionCall") || fields.contains_key("function_call") {
                    true => drop(fields.insert(name.to_owned(), NO_SIGNATURE.into())),
                    false => drop(fields.remove(name)),
                }
            }
            fields.values_mut().for_each(unsigned);
        }
        _ => {}
    }
}

/// The field of a part in which something is carried for others.
fn carrier(fields: &Map<String, Value>) -> Option<&'static str> {
    let mut names = ["thoughtSignature", "thought_signature"].into_iter();
    names.find(|name| {
        let carried = fields.get(*name).and_then(Value::as_str);
        carried.is_some_and(|text| text.starts_with(CARRIED))
    })
}

fn is_bare_thought(part: &Value) -> bool {
    let Value::Object(fields) = part else {
        return false;
    };
    let says = |(name, value): (&String, &Value)| match name.as_str() {
        "thought" | "thoughtSignature" | "thought_signature" => false,
        "text" => *value != json!(""),
        _ => true,
    };
    !fields.iter().any(says) && carrier(fields).is_some()
}

fn has_parts(content: &Value) -> bool {
    let parts = content.get("parts").and_then(Value::as_array);
    parts.is_some_and(|parts| !parts.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(body: &Value, params: &Value) -> Value {
        let doc = RequestDoc::parse(body.to_string().into()).unwrap();
        let params = params.as_object().cloned().unwrap_or_default();
        serde_json::from_slice(&of(&doc, "m", &params)).unwrap()
    }

    #[test]
    fn bytes_stay_where_nothing_is_to_be_changed() {
        let body = Bytes::from_static(br#"{"contents":[ {"parts":[{"text":"a"}]} ], "x":1.0}"#);
        let doc = RequestDoc::parse(body.clone()).unwrap();
        assert_eq!(of(&doc, "m", &Map::new()).as_ptr(), body.as_ptr());
        let full = json!({"generationConfig": {"temperature": 1}})
            .as_object()
            .cloned();
        let doc = RequestDoc::parse(Bytes::from_static(
            br#"{"generationConfig":{"temperature":0}}"#,
        ));
        let doc = doc.unwrap();
        assert_eq!(of(&doc, "m", &full.unwrap()), doc.body());
    }

    #[test]
    fn a_model_inside_is_the_one_that_is_asked() {
        let told = sent(
            &json!({"model": "models/v", "generateContentRequest": {"model": "models/v", "contents": []}}),
            &Value::Null,
        );
        assert_eq!(
            (&told["model"], &told["generateContentRequest"]["model"]),
            (&json!("models/m"), &json!("models/m"))
        );
    }

    #[test]
    fn a_content_goes_with_the_only_thing_that_it_carried() {
        let model = |part: Value| json!({"role": "model", "parts": [part]});
        let carried = format!("{CARRIED}x");
        let user = json!({"role": "user", "parts": []});
        let told = sent(
            &json!({"contents": [
                user,
                model(json!({"text": "hm", "thought": true})),
                model(json!({"text": "", "thought": true, "thoughtSignature": carried})),
                model(json!({"thought_signature": carried})),
                model(json!({"text": "ok", "thoughtSignature": carried})),
                model(json!({"functionCall": {"name": "f"}, "thoughtSignature": carried})),
            ]}),
            &Value::Null,
        );
        let contents = [
            user,
            model(json!({"text": "hm", "thought": true})),
            model(json!({"text": "ok"})),
            model(json!({"functionCall": {"name": "f"}, "thoughtSignature": NO_SIGNATURE})),
        ];
        assert_eq!(told, json!({"contents": contents}));
    }

    #[test]
    fn params_fill_in_what_is_not_said() {
        let told = sent(
            &json!({"contents": [], "generation_config": {"top_p": 0.5}}),
            &json!({"generationConfig": {"topP": 1, "topK": 3}, "safetySettings": []}),
        );
        assert_eq!(
            told,
            json!({"contents": [], "generationConfig": {"topP": 0.5, "topK": 3}, "safetySettings": []})
        );
    }
}
