//! The clouds that host others' models: Bedrock, Azure, Vertex, and how they let one in.

mod azure;
mod bedrock;
mod embeddings;
mod signed;
mod vertex;

use serde_json::json;

use crate::support::Behaviour;

/// What a token server answers: a token, and how many seconds it holds.
fn token(text: &str, life: u64) -> Behaviour {
    let body = json!({"token_type": "Bearer", "access_token": text, "expires_in": life});
    Behaviour::json(200, &body.to_string())
}
