//! What lists of models cost: the time to read a map of 3.4 MB, and the memory of 5,000 models once they are merged.
//!
//! `cargo bench --bench catalog` prints both; the goals are 100 ms and 15 MiB.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark: it may end at the first surprise, and prints"
)]

use std::fmt::Write;
use std::fs;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use pointsman::domain::catalog::entry::{ModelList, Origin};
use pointsman::domain::catalog::facts::Configured;
use pointsman::domain::catalog::lists::{Catalog, KnownProvider};
use pointsman::wire::catalog::{CatalogFormat, read};

const MODELS: usize = 5_000;
const PROVIDERS: usize = 10;
const BYTES: usize = 3_400_000;
const ROUNDS: usize = 10;

/// A map like LiteLLM's, of about 3.4 MB.
fn map() -> String {
    let mut text = String::from("{");
    for at in 0..MODELS {
        let comma = if at == 0 { "" } else { "," };
        let provider = at % PROVIDERS;
        write!(
            text,
            r#"{comma}"p{provider}/vendor/model-{at}": {{"litellm_provider": "p{provider}", "mode": "chat",
            "max_input_tokens": 131072, "max_output_tokens": 8192, "max_tokens": 8192,
            "input_cost_per_token": 1.{at:04}e-06, "output_cost_per_token": 4e-06,
            "cache_read_input_token_cost": 1e-07, "cache_creation_input_token_cost": 1.25e-06,
            "input_cost_per_token_above_200k_tokens": 2e-06, "output_cost_per_token_above_200k_tokens": 6e-06,
            "supports_function_calling": true, "supports_vision": true, "supports_response_schema": true,
            "supports_reasoning": false, "source": "https://example.com/prices/of/model/{at}""#
        )
        .expect("text takes all");
        text.push('}');
    }
    let missing = BYTES.saturating_sub(text.len());
    let each = " ".repeat(missing / MODELS);
    let mut text = text.replace("}", &format!("{each}}}"));
    text.push('}');
    text
}

/// Resident memory in bytes.
fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = text
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .expect("a number");
    pages * 4096
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures by the clock"
)]
fn main() {
    let text = map();
    let mut best = u128::MAX;
    // `cargo test` runs benches too: one round is enough to see that it works.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    for _ in 0..if is_bench { ROUNDS } else { 1 } {
        let start = Instant::now();
        let read = read(black_box(&text), Some(CatalogFormat::LiteLlm)).expect("a map");
        best = best.min(start.elapsed().as_millis());
        black_box(read);
    }
    println!("reading {} bytes: {best} ms (goal 100)", text.len());
    let before = resident();
    let (page, _) = read(&text, None).expect("a map");
    let list = Arc::new(ModelList {
        origin: Arc::new(Origin {
            name: "map".into(),
            read_at: Some(0),
        }),
        of: None,
        entries: page.entries,
        groups: page.groups,
        notes: page.notes,
    });
    let providers = (0..PROVIDERS).map(|at| KnownProvider {
        name: format!("p{at}").into(),
        called: vec![format!("p{at}")],
        local: false,
        configured: Configured::default(),
        models: Vec::new(),
        aliases: Vec::new(),
    });
    let catalog = Catalog::new(providers.collect(), &[list]);
    let taken = resident().saturating_sub(before);
    println!(
        "{} models: {:.1} MiB (goal 15)",
        catalog.len(),
        f64::from(u32::try_from(taken / 1024).unwrap_or(u32::MAX)) / 1024.0
    );
    black_box(catalog);
}
