//! Routes and operations that an upstream does not have: its model stays available for the other operations.

use super::*;

#[test]
fn a_route_that_is_not_there_is_lacking_and_blames_nobody() {
    for operation in Operation::ALL {
        for (kind, status, body) in [
            (
                "openai",
                404,
                r#"{"error":{"message":"This is a chat model and not supported in the v1/completions endpoint. Did you mean to use v1/chat/completions?","type":"invalid_request_error","param":"model","code":null}}"#,
            ),
            (
                "",
                404,
                r#"{"error":{"message":"This is a chat model and not supported in the v1/completions endpoint. Did you mean to use v1/chat/completions?","type":"invalid_request_error","param":"model","code":null}}"#,
            ),
            (
                "google",
                404,
                r#"[{"error":{"code":404,"message":"models/gemini-2.0-flash is not found for API version v1main, or is not supported for embedContent. Call ListModels to see the list of available models and their supported methods.","status":"NOT_FOUND"}}]"#,
            ),
            (
                "vertex",
                404,
                r#"{"error":{"code":404,"message":"models/x is not found for API version v1beta, or is not supported for batchEmbedContents.","status":"NOT_FOUND"}}"#,
            ),
            (
                "llamacpp",
                404,
                r#"{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}"#,
            ),
            (
                "",
                404,
                r#"{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}"#,
            ),
            (
                "anthropic",
                404,
                r#"{"type":"error","error":{"type":"not_found_error","message":"Not Found"}}"#,
            ),
            (
                "",
                404,
                r#"{"error":"Unexpected endpoint or method. (POST /v1/responses)"}"#,
            ),
            (
                "",
                404,
                r#"{"message":"Cannot POST /v1/responses","error":"Not Found","statusCode":404}"#,
            ),
            (
                "",
                404,
                r#"{"message":"Route POST:/v1/embeddings not found","error":"Not Found","statusCode":404}"#,
            ),
            (
                "mistralai",
                404,
                r#"{"message":"no Route matched with those values"}"#,
            ),
            (
                "xai",
                404,
                r#"{"code":"Some requested entity was not found","error":"The requested resource was not found. Please check the URL and try again."}"#,
            ),
            (
                "azure_openai",
                404,
                r#"{"error":{"code":"404","message":"Resource not found"}}"#,
            ),
            ("", 405, r#"{"detail":"Method Not Allowed"}"#),
            (
                "openai",
                403,
                r#"{"error":{"message":"You are not allowed to generate embeddings from this model","type":"invalid_request_error","param":null,"code":null}}"#,
            ),
        ] {
            let failure = say_to(operation, kind, status, body);
            assert_eq!(failure.class, NotOffered, "{operation:?} {kind} {body}");
        }
    }
    let inside = inside(
        "",
        None,
        r#"{"error":"Unexpected endpoint or method. (POST /v1/responses)"}"#,
    );
    assert_eq!(inside.class, NotOffered);
}

#[test]
fn a_page_in_place_of_a_route_is_a_failure_of_chat_and_a_lack_of_anything_else() {
    for (status, body) in [
        (404, "404 page not found\n"),
        (404, ""),
        (
            404,
            "<!DOCTYPE html><html><body><pre>Cannot POST /v1/x</pre></body></html>",
        ),
        (405, "Method Not Allowed"),
        (405, "<html><title>405 Not Allowed</title></html>"),
        (
            404,
            r#"{"error":{"message":"litellm.NotFoundError: NotFoundError: OpenAIException - 404 page not found","code":"404"}}"#,
        ),
    ] {
        for operation in Operation::ALL {
            // Every upstream has chat: where it is missing, something restarts, and it returns.
            let class = match operation {
                Operation::Chat => Transient,
                _ => NotOffered,
            };
            let failure = say_to(operation, "", status, body);
            assert_eq!(failure.class, class, "{operation:?} {status} {body}");
        }
    }
    for operation in Operation::ALL {
        let page = say_to(
            operation,
            "",
            403,
            "<html><title>403 Forbidden</title></html>",
        );
        assert_eq!(page.class, Transient, "{operation:?}");
    }
}

#[test]
fn a_model_that_does_not_do_what_is_asked_is_not_gone() {
    for (kind, status, body) in [
        (
            "mistralai",
            400,
            r#"{"object":"error","message":"Invalid model: mistral-large-latest","type":"invalid_model","param":null,"code":"1500"}"#,
        ),
        (
            "huggingface",
            400,
            r#"{"error":{"message":"The requested model 'x' is not supported by any provider you have enabled.","code":"model_not_supported"}}"#,
        ),
        (
            "",
            404,
            r#"{"error":{"message":"The model x is not available for this endpoint"}}"#,
        ),
    ] {
        assert_eq!(
            say_to(Operation::Chat, kind, status, body).class,
            ModelGone,
            "{body}"
        );
        for operation in [
            Operation::Embeddings,
            Operation::Moderations,
            Operation::Completions,
            Operation::Responses,
        ] {
            assert_eq!(
                say_to(operation, kind, status, body).class,
                NotOffered,
                "{operation:?} {body}"
            );
        }
    }
    for operation in Operation::ALL {
        for body in [
            r#"{"error":{"message":"The model `x` does not exist","code":"model_not_found"}}"#,
            r#"{"error":"model 'x' not found, try pulling it first"}"#,
        ] {
            assert_eq!(
                say_to(operation, "", 404, body).class,
                ModelGone,
                "{operation:?} {body}"
            );
        }
    }
    let unknown = r#"{"error":{"code":404,"message":"models/x is not found for API version v1main, or is not supported for generateContent. Call ListModels","status":"NOT_FOUND"}}"#;
    assert_eq!(say("google", 404, unknown).class, ModelGone);
}
