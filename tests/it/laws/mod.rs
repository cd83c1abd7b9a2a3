//! What holds for any bytes that come from outside. Each law is a function of bytes, which a fuzzer drives
//! (`docs/fuzzing.md`); the tests here drive them with the fuzzer's own corpus, parts of it, and texts that look alike.

mod answer;
pub mod answered;
pub mod asked;
pub mod calls;
pub mod choice;
pub mod encoding;
pub mod entries;
pub mod errors;
pub mod facts;
pub mod forms;
pub mod frames;
pub mod headers;
pub mod limits;
pub mod lists;
pub mod masking;
pub mod request;
pub mod settings;
mod speech;
pub mod state;
pub mod stream;
pub mod streamed;
pub mod tokens;
#[cfg(test)]
mod twins;

/// The first line and what follows it.
fn line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}
