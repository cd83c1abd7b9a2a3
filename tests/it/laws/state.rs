//! Laws of the state file: whatever stands in it is read or refused; what was read is written and read again as it is.
//!
//! The input is the file, or the field `state` of it alone, which is put into one with the right checksum.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use pointsman::domain::time::{Anchor, Time};
use pointsman::store::format::{decode, encode};
use serde_json::Value;

pub fn hold(data: &[u8]) {
    let anchor = Anchor {
        time: Time::from_nanos(60_000_000_000),
        wall: Duration::from_secs(1_790_000_000),
    };
    let bytes = match data.starts_with(b"{\"format\"") {
        true => data.to_vec(),
        false => whole(data),
    };
    let (fingerprinter, book) = match decode(&bytes, anchor) {
        Ok(read) => read,
        Err(defect) => return assert!(!defect.to_string().is_empty()),
    };
    let written = encode(&book, &fingerprinter, &anchor).unwrap();
    let (same, again) = decode(&written, anchor).unwrap();
    assert_eq!(same.salt(), fingerprinter.salt());
    let twice = encode(&again, &same, &anchor).unwrap();
    assert_eq!(rounded(&twice), rounded(&written));
}

/// The field `state` of a file, its numbers to so many digits as are read the same: the last one may differ.
fn rounded(file: &[u8]) -> Value {
    fn round(value: &mut Value) {
        match value {
            Value::Number(number) if number.is_f64() => {
                *value = format!("{:.9e}", number.as_f64().unwrap_or_default()).into();
            }
            Value::Array(all) => all.iter_mut().for_each(round),
            Value::Object(fields) => fields.values_mut().for_each(round),
            _ => {}
        }
    }
    let mut file: Value = serde_json::from_slice(file).unwrap();
    let mut state = file["state"].take();
    round(&mut state);
    state
}

/// A file with this state.
fn whole(state: &[u8]) -> Vec<u8> {
    let state = state.trim_ascii();
    let sum = HEXLOWER.encode(digest(&SHA256, state).as_ref());
    let head = format!(r#"{{"format":"pointsman-state","version":1,"sha256":"{sum}","state":"#);
    [head.as_bytes(), state, b"}"].concat()
}
