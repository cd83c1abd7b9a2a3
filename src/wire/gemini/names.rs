//! Names of fields. Google's servers read every field of a message by two names, `functionCall` and `function_call`, as
//! the JSON form of protocol buffers has it; clients send both, at times in one request.

use serde_json::Value;

use crate::wire::ir::Extra;

/// The names of more than one word that are read here. What is not listed keeps the name that it has.
const KNOWN: [&str; 69] = [
    "allowedFunctionNames",
    "avgLogprobs",
    "cacheTokensDetails",
    "cachedContent",
    "cachedContentTokenCount",
    "candidateCount",
    "candidatesTokenCount",
    "candidatesTokensDetails",
    "chosenCandidates",
    "citationMetadata",
    "codeExecution",
    "codeExecutionResult",
    "createTime",
    "displayName",
    "executableCode",
    "fileData",
    "fileUri",
    "finishMessage",
    "finishReason",
    "frequencyPenalty",
    "functionCall",
    "functionCallingConfig",
    "functionDeclarations",
    "functionResponse",
    "generateContentRequest",
    "generationConfig",
    "googleSearch",
    "groundingMetadata",
    "includeThoughts",
    "inlineData",
    "logProbability",
    "logprobsResult",
    "maxOutputTokens",
    "mediaResolution",
    "mimeType",
    "modelVersion",
    "parametersJsonSchema",
    "presencePenalty",
    "promptFeedback",
    "promptTokenCount",
    "promptTokensDetails",
    "responseId",
    "responseJsonSchema",
    "responseLogprobs",
    "responseMimeType",
    "responseModalities",
    "responseSchema",
    "safetyRatings",
    "safetySettings",
    "serviceTier",
    "speechConfig",
    "stopSequences",
    "systemInstruction",
    "thinkingBudget",
    "thinkingConfig",
    "thinkingLevel",
    "thoughtSignature",
    "thoughtsTokenCount",
    "tokenCount",
    "tokenId",
    "toolConfig",
    "toolUsePromptTokenCount",
    "toolUsePromptTokensDetails",
    "topCandidates",
    "topK",
    "topP",
    "totalTokenCount",
    "trafficType",
    "usageMetadata",
];

/// Gives the fields of one message the first of their names. Of a field that has both, the first one holds.
pub(super) fn camel(fields: &mut Extra) {
    let snake: Vec<String> = fields
        .keys()
        .filter(|name| name.contains('_'))
        .cloned()
        .collect();
    for name in snake {
        let Some(known) = known(&name) else { continue };
        if let Some(value) = fields.remove(&name) {
            fields.entry(known).or_insert(value);
        }
    }
}

fn known(snake: &str) -> Option<&'static str> {
    let plain = |name: &str| {
        let letters = name.bytes().filter(|byte| *byte != b'_');
        letters
            .map(|byte| byte.to_ascii_lowercase())
            .collect::<Vec<u8>>()
    };
    let wanted = plain(snake);
    KNOWN.into_iter().find(|name| plain(name) == wanted)
}

/// A field of a message by either of its names.
pub(super) fn get<'a>(fields: &'a Value, name: &str) -> Option<&'a Value> {
    fields.get(name).or_else(|| {
        let snake = fields
            .as_object()?
            .keys()
            .find(|other| known(other) == Some(name))?;
        fields.get(snake)
    })
}

/// A model's name without the collection in front of it.
pub(super) fn bare_model(name: &str) -> &str {
    name.strip_prefix("models/").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_names_of_a_field_are_one() {
        let Value::Object(mut fields) = json!({
            "function_call": 1, "top_p": 2, "topP": 3, "my_own": 4, "thought_signature": 5,
        }) else {
            unreachable!()
        };
        camel(&mut fields);
        assert_eq!(
            Value::Object(fields),
            json!({"functionCall": 1, "topP": 3, "my_own": 4, "thoughtSignature": 5})
        );
        let sorted = KNOWN.is_sorted();
        assert!(sorted);
    }
}
