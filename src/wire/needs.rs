//! What a request needs of a model, read once for all dialects.

use std::cell::Cell;
use std::ops::ControlFlow;

use serde_json::value::RawValue;

use super::json;
use super::request::RequestDoc;
use crate::domain::catalog::capability::Capability;
use crate::domain::unmet::Features;

/// Fields whose value is a list of tools; an empty list asks for none.
const TOOLS: [&str; 2] = ["tools", "functions"];
/// Fields that ask for reasoning.
const REASONING: [&str; 4] = ["reasoning_effort", "reasoning", "thinking", "think"];
/// Values of these that ask for none, also as their `type` or `effort`.
const NO_REASONING: [&str; 6] = ["null", "false", "\"none\"", "\"off\"", "\"disabled\"", "{}"];
/// Fields that say what a part or its data is.
const TYPES: [&str; 5] = ["type", "mimeType", "mime_type", "mediaType", "media_type"];
/// Fields of a prompt whose value is data: of files, and of what tools are called with and answer.
const DATA: [&str; 6] = [
    "data",
    "file_data",
    "input",
    "args",
    "arguments",
    "response",
];
/// Where prompts are.
const PROMPTS: [&str; 3] = ["messages", "input", "contents"];

/// What it needs.
pub fn of(doc: &RequestDoc) -> Features {
    let (images, audio) = media(doc);
    Features::NONE
        .with(
            Capability::Tools,
            TOOLS.into_iter().any(|name| has_items(doc, name)),
        )
        .with(Capability::Images, images)
        .with(Capability::Audio, audio)
        .with(Capability::JsonSchema, has_schema(doc))
        .with(Capability::Reasoning, reasons(doc))
}

fn has_items(doc: &RequestDoc, name: &str) -> bool {
    let list = doc.raw(name).and_then(json::List::of);
    list.is_some_and(|list| list.len > 0)
}

/// Whether pictures and sound are in the prompt: by the types of parts and of media. What tools are called with and what they
/// answer is data, whatever its fields are called.
fn media(doc: &RequestDoc) -> (bool, bool) {
    let (images, audio) = (Cell::new(false), Cell::new(false));
    let says_type = Cell::new(false);
    let name = |name: json::Text<'_>| {
        let is = |words: &[&str]| words.iter().any(|word| name.is(word));
        says_type.set(is(&TYPES));
        // Ollama's messages have `images`.
        let (image, sound) = (is(&["image_url", "images"]), name.is("input_audio"));
        images.set(images.get() | image);
        audio.set(audio.get() | sound);
        image || sound || is(&DATA)
    };
    for field in PROMPTS {
        let Some(Ok(raw)) = doc.raw(field).map(std::str::from_utf8) else {
            continue;
        };
        // Nobody ends it early.
        let _ = json::texts(raw, name, |text| {
            if says_type.replace(false) {
                let is = |words: &[&str]| words.iter().any(|word| text.is(word));
                let image = is(&["image", "image_url", "input_image"]);
                images.set(images.get() | image | text.starts_with("image/"));
                let sound = is(&["input_audio", "audio"]) || text.starts_with("audio/");
                audio.set(audio.get() | sound);
            }
            ControlFlow::Continue(())
        });
    }
    (images.get(), audio.get())
}

/// Chat's `response_format`, Responses' `text.format`, Gemini's `responseSchema`, Ollama's and Anthropic's forms.
fn has_schema(doc: &RequestDoc) -> bool {
    #[derive(serde::Deserialize)]
    struct SchemaField<'a> {
        #[serde(rename = "type", default)]
        kind: Option<String>,
        #[serde(borrow, default)]
        format: Option<&'a RawValue>,
        #[serde(
            borrow,
            default,
            alias = "response_schema",
            alias = "responseJsonSchema"
        )]
        #[serde(rename = "responseSchema")]
        schema: Option<&'a RawValue>,
    }
    let typed = |raw: &[u8]| {
        let read = serde_json::from_slice::<SchemaField<'_>>(raw).ok();
        read.is_some_and(|it| it.kind.as_deref() == Some("json_schema"))
    };
    let inside = |name: &str| {
        let read = serde_json::from_slice::<SchemaField<'_>>(doc.raw(name)?).ok()?;
        let format = read
            .format
            .is_some_and(|format| typed(format.get().as_bytes()));
        Some(format || read.schema.is_some_and(|schema| schema.get() != "null"))
    };
    let own = ["response_format", "output_format"].into_iter();
    own.filter_map(|name| doc.raw(name)).any(typed)
        // Ollama takes the schema itself.
        || doc.raw("format").is_some_and(|raw| raw.first() == Some(&b'{'))
        || ["text", "output_config", "generationConfig", "generation_config"]
            .into_iter()
            .any(|name| inside(name).unwrap_or(false))
}

fn reasons(doc: &RequestDoc) -> bool {
    #[derive(serde::Deserialize)]
    struct GenerationField<'a> {
        #[serde(borrow, default, alias = "thinking_config", rename = "thinkingConfig")]
        thinking: Option<&'a RawValue>,
    }
    let inside = ["generationConfig", "generation_config"].into_iter();
    let inside = inside.filter_map(|name| doc.raw(name)).any(|raw| {
        let read = serde_json::from_slice::<GenerationField<'_>>(raw).ok();
        let thinking = read.and_then(|read| read.thinking);
        thinking.is_some_and(|thinking| asks_to_reason(thinking.get()))
    });
    let own = REASONING.into_iter().filter_map(|name| doc.raw(name));
    inside
        || own
            .filter_map(|raw| std::str::from_utf8(raw).ok())
            .any(asks_to_reason)
}

/// Whether the value of such a field does not switch reasoning off.
fn asks_to_reason(text: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct ReasoningField<'a> {
        #[serde(rename = "type", borrow, default)]
        kind: Option<&'a RawValue>,
        #[serde(borrow, default)]
        effort: Option<&'a RawValue>,
        #[serde(borrow, default)]
        enabled: Option<&'a RawValue>,
        #[serde(
            borrow,
            default,
            alias = "thinking_budget",
            alias = "budget_tokens",
            alias = "max_tokens"
        )]
        #[serde(rename = "thinkingBudget")]
        budget: Option<&'a RawValue>,
    }
    let is_no = |text: &str| NO_REASONING.contains(&text.trim());
    let asked = serde_json::from_str::<ReasoningField<'_>>(text).ok();
    let refuses = asked.is_some_and(|asked| {
        let mut words = [asked.kind, asked.effort, asked.enabled]
            .into_iter()
            .flatten();
        words.any(|word| is_no(word.get()))
            || asked.budget.is_some_and(|budget| budget.get() == "0")
    });
    !is_no(text) && !refuses
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn needs(body: &Value) -> Vec<&'static str> {
        let doc = RequestDoc::parse(body.to_string().into()).unwrap();
        of(&doc).each().map(Capability::name).collect()
    }

    fn said(content: &Value) -> Value {
        json!({"messages": [{"role": "user", "content": content}]})
    }

    #[test]
    fn each_dialect_says_in_its_own_way_what_it_needs() {
        let none: Vec<&str> = Vec::new();
        assert_eq!(needs(&said(&json!("an image of audio tools"))), none);
        assert_eq!(
            needs(&json!({"tools": [], "response_format": {"type": "json_object"}})),
            none
        );
        for (body, needed) in [
            (json!({"tools": [{"type": "function"}]}), "tools"),
            (json!({"tools": [{"functionDeclarations": []}]}), "tools"),
            (
                said(&json!([{"type": "image_url", "image_url": {"url": "https://x/y.png"}}])),
                "images",
            ),
            (
                said(&json!([{"type": "image", "source": {"type": "url", "url": "u"}}])),
                "images",
            ),
            (
                json!({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "u"}]}]}),
                "images",
            ),
            (
                json!({"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "AA"}}]}]}),
                "images",
            ),
            (
                json!({"messages": [{"role": "user", "content": "x", "images": ["AAAA"]}]}),
                "images",
            ),
            (
                said(
                    &json!([{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]),
                ),
                "audio",
            ),
            (
                json!({"contents": [{"parts": [{"inline_data": {"mime_type": "audio/mp3", "data": "AA"}}]}]}),
                "audio",
            ),
            (
                json!({"response_format": {"type": "json_schema", "json_schema": {}}}),
                "json_schema",
            ),
            (
                json!({"text": {"format": {"type": "json_schema", "schema": {}}}}),
                "json_schema",
            ),
            (
                json!({"generationConfig": {"responseSchema": {"type": "OBJECT"}}}),
                "json_schema",
            ),
            (json!({"format": {"type": "object"}}), "json_schema"),
            (
                json!({"output_config": {"format": {"type": "json_schema"}}}),
                "json_schema",
            ),
            (json!({"reasoning_effort": "low"}), "reasoning"),
            (json!({"reasoning": {"effort": "high"}}), "reasoning"),
            (
                json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
                "reasoning",
            ),
            (json!({"think": true}), "reasoning"),
            (
                json!({"generationConfig": {"thinkingConfig": {"thinkingBudget": 512}}}),
                "reasoning",
            ),
        ] {
            assert_eq!(needs(&body), [needed], "{body}");
        }
        for body in [
            json!({"reasoning_effort": "none"}),
            json!({"reasoning": {"effort": "none"}}),
            json!({"thinking": {"type": "disabled"}}),
            json!({"think": false}),
            json!({"reasoning": {"enabled": false}}),
            json!({"reasoning": {"max_tokens": 0}}),
            json!({"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}),
            json!({"text": {"format": {"type": "text"}}}),
        ] {
            assert_eq!(needs(&body), none, "{body}");
        }
    }

    #[test]
    fn words_that_look_like_types_are_none() {
        let none: Vec<&str> = Vec::new();
        let called =
            json!({"type": "image", "images": ["x"], "image_url": "u", "mimeType": "image/png"});
        for body in [
            said(&json!("image")),
            said(&json!([{"type": "text", "text": "audio"}])),
            said(&json!([{"type": "text", "text": "image/png is a type"}])),
            said(&json!([{"type": "tool_use", "id": "t", "name": "draw", "input": called}])),
            json!({"contents": [{"parts": [{"functionCall": {"name": "draw", "args": called}}]}]}),
            json!({"contents": [{"parts": [{"functionResponse": {"name": "draw", "response": called}}]}]}),
        ] {
            assert_eq!(needs(&body), none, "{body}");
        }
    }
}
