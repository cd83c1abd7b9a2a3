//! The laws without a fuzzer: its corpus, parts and mixtures of it, and any bytes.

use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::Index;

type Seeds = Vec<(String, Vec<u8>)>;

/// The cases of `tests/fixtures/features`, for what is translated.
fn features(target: &str) -> Option<Seeds> {
    use crate::translation::features::{self, UPSTREAMS};
    let mut all = Seeds::new();
    for dialect in UPSTREAMS {
        let own = features::of(dialect);
        let (said, stream) = match target {
            "asked" => (own.requests, false),
            "answered" => (own.answers, false),
            "streamed" => (own.streams, true),
            _ => return None,
        };
        for one in said {
            let mut data = format!("{dialect}\n").into_bytes();
            match stream {
                true => data.extend_from_slice(&features::sent(dialect, &one.said)),
                false => data.extend_from_slice(one.said.to_string().as_bytes()),
            }
            all.push((format!("{dialect}-{}", one.name), data));
        }
    }
    Some(all)
}

/// Writes those cases for a fuzzer: `FUZZ_SEEDS=fuzz/found cargo test --test it features_are_written_for_a_fuzzer`.
#[test]
fn features_are_written_for_a_fuzzer() {
    for target in ["asked", "answered", "streamed"] {
        let cases = features(target).unwrap();
        assert!(cases.len() > 40, "{target}");
        let Some(folder) = std::env::var_os("FUZZ_SEEDS") else {
            continue;
        };
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join(folder)
            .join(target);
        std::fs::create_dir_all(&folder).unwrap();
        for (name, data) in cases {
            std::fs::write(folder.join(name), data).unwrap();
        }
    }
}

fn seeds(target: &str) -> Seeds {
    if let Some(cases) = features(target) {
        return cases;
    }
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut found: Seeds = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read(path).unwrap()))
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

/// One change: bytes of one seed go over others of another, are taken out, doubled, or become something else.
type Edit = (Index, Index, Index, Index, u8, u8);

fn edits(most: usize) -> impl Strategy<Value = Vec<Edit>> {
    let index = any::<Index>;
    let edit = (index(), index(), index(), index(), any::<u8>(), any::<u8>());
    prop::collection::vec(edit, 0..most)
}

fn mixed(seeds: &Seeds, first: Index, edits: &[Edit]) -> Vec<u8> {
    let mut data = seeds[first.index(seeds.len())].1.clone();
    for (from, at, start, other, kind, byte) in edits {
        let source = &seeds[other.index(seeds.len())].1;
        let length = usize::from(*byte) % 24 + 1;
        let at = at.index(data.len() + 1);
        let end = (at + length).min(data.len());
        match kind % 6 {
            0 => drop(data.drain(at..end)),
            1 => {
                let copy = data[at..end].to_vec();
                let to = start.index(data.len() + 1);
                data.splice(to..to, copy);
            }
            2 => {
                let from = from.index(source.len());
                let copy = source[from..(from + length).min(source.len())].to_vec();
                data.splice(at..end, copy);
            }
            3 => data.insert(at, *byte),
            4 => {
                let special = b"\"{}[]:,\n\r\0$\\- \xff0";
                data.insert(at, special[usize::from(*byte) % special.len()]);
            }
            _ => data.truncate(at.max(1)),
        }
    }
    data
}

macro_rules! twins {
    ($($law:ident $cases:literal,)*) => {$(
        mod $law {
            use super::*;

            #[test]
            fn holds_for_the_corpus() {
                for (name, data) in seeds(stringify!($law)) {
                    println!("{name}");
                    super::super::$law::hold(&data);
                }
            }

            proptest! {
                #![proptest_config(ProptestConfig::with_cases($cases))]

                #[test]
                fn holds_for_what_looks_alike(first in any::<Index>(), edits in edits(8)) {
                    super::super::$law::hold(&mixed(&seeds(stringify!($law)), first, &edits));
                }

                #[test]
                fn holds_for_any_bytes(data in prop::collection::vec(any::<u8>(), 0..200)) {
                    super::super::$law::hold(&data);
                }
            }
        }
    )*};
}

twins! {
    answered 300,
    asked 300,
    streamed 150,
    calls 400,
    choice 400,
    encoding 400,
    entries 400,
    facts 400,
    errors 400,
    forms 400,
    frames 400,
    headers 400,
    limits 400,
    lists 400,
    masking 400,
    request 400,
    settings 100,
    state 400,
    stream 400,
    tokens 400,
}
