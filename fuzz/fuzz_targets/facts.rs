//! Any bytes keep the laws of `tests/it/laws/facts.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pointsman_fuzz::laws::facts::hold(data));
