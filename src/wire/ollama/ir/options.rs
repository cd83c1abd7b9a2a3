//! `options`, by the names of Ollama's Modelfile, and the other fields that only Ollama's API has: callers of other dialects
//! add them to their requests, and configurations to `params`.

use serde_json::{Map, Number, Value};

use super::words::UNKNOWN;
use crate::wire::ir::fields::{Encoder, fill, put, take};
use crate::wire::ir::{Extra, SamplingParams};

/// The object of the options.
const OPTIONS: &str = "options";
/// What stands in it (`Options` and `Runner` of `api/types.go`).
const NAMES: [&str; 32] = [
    "f16_kv",
    "frequency_penalty",
    "logits_all",
    "low_vram",
    "main_gpu",
    "min_p",
    "mirostat",
    "mirostat_eta",
    "mirostat_tau",
    "num_batch",
    "num_ctx",
    "num_gpu",
    "num_gqa",
    "num_keep",
    "num_predict",
    "num_thread",
    "numa",
    "penalize_newline",
    "presence_penalty",
    "repeat_last_n",
    "repeat_penalty",
    "seed",
    "stop",
    "temperature",
    "tfs_z",
    "top_k",
    "top_p",
    "typical_p",
    "use_mlock",
    "use_mmap",
    "vocab_only",
    "draft_num_predict",
];
/// What other APIs call some of them.
const ALIASES: [(&str, &str); 3] = [
    ("max_completion_tokens", "num_predict"),
    ("max_tokens", "num_predict"),
    ("repetition_penalty", "repeat_penalty"),
];

/// What an option is called here, by this name or by another API's.
fn own_name(name: &str) -> Option<&'static str> {
    let alias = ALIASES.iter().find(|(other, _)| *other == name);
    let alias = alias.map(|(_, own)| *own);
    alias.or_else(|| NAMES.into_iter().find(|own| *own == name))
}

/// Moves fields that only Ollama's API has from a request of another dialect into the body. An option stands in `options`
/// or, as with other hosts' extensions, beside the fields of the dialect.
pub(in crate::wire::ollama) fn take_extensions(extra: &mut Extra, body: &mut Extra) {
    for name in [
        OPTIONS,
        "keep_alive",
        "think",
        "format",
        "truncate",
        "shift",
    ] {
        let own = take(extra, name, |value| {
            is_own(name, value).then(|| value.clone())
        });
        put(body, name, own);
    }
    // Of the Responses API.
    let cuts = take(extra, "truncation", |value| match value.as_str()? {
        "auto" => Some(true),
        "disabled" => Some(false),
        _ => None,
    });
    if let Some(cuts) = cuts {
        body.entry("truncate").or_insert(cuts.into());
    }
    let names: Vec<(String, &'static str)> = extra
        .iter()
        .filter(|(_, value)| !value.is_null())
        .filter_map(|(name, _)| Some((name.clone(), own_name(name)?)))
        .collect();
    for (name, own) in names {
        if let Some(value) = extra.remove(&name) {
            add(body, own, Some(value));
        }
    }
}

/// Whether that is a value of this field of Ollama's.
fn is_own(name: &str, value: &Value) -> bool {
    match name {
        "keep_alive" => value.is_string() || value.is_number(),
        "think" => value.is_string() || value.is_boolean(),
        "format" => value.is_string() || value.is_object(),
        OPTIONS => value.is_object(),
        _ => value.is_boolean(),
    }
}

/// Adds an option, where it is not set.
fn add(body: &mut Extra, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        fill(body, OPTIONS, |options| {
            options.entry(name).or_insert(value);
        });
    }
}

/// Writes how the answer is drawn and how long it may be.
pub(super) fn encode_sampling(
    encoder: &mut Encoder,
    body: &mut Extra,
    sampling: SamplingParams,
    most: Option<Number>,
) {
    let numbers = [
        ("num_predict", most),
        ("temperature", sampling.temperature),
        ("top_p", sampling.top_p),
        ("top_k", sampling.top_k),
        ("seed", sampling.seed),
        ("frequency_penalty", sampling.frequency_penalty),
        ("presence_penalty", sampling.presence_penalty),
    ];
    for (name, value) in numbers {
        add(body, name, value.map(Value::Number));
    }
    let stop = Some(sampling.stop).filter(|words| !words.is_empty());
    add(body, "stop", stop.map(Value::from));
    put(body, "logprobs", sampling.logprobs);
    put(
        body,
        "top_logprobs",
        sampling.top_logprobs.map(Value::Number),
    );
    if sampling
        .candidates
        .is_some_and(|number| number.as_u64() != Some(1))
    {
        encoder.lose("sampling.candidates", UNKNOWN);
    }
}

/// Fills in what the configuration adds where the request does not say: fields of the request, options in `options` or by
/// their names alone.
pub(in crate::wire::ollama) fn complete(body: &mut Extra, params: &Map<String, Value>) {
    for (name, value) in params {
        match (own_name(name), value) {
            (Some(own), value) => add(body, own, Some(value.clone())),
            (None, Value::Object(more)) if name == OPTIONS => fill(body, OPTIONS, |options| {
                for (name, value) in more {
                    options.entry(name).or_insert_with(|| value.clone());
                }
            }),
            (None, value) => drop(body.entry(name).or_insert_with(|| value.clone())),
        }
    }
}
