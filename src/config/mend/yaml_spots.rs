//! Where keys and their values are in a text of YAML, or of JSON.

use yaml_rust2::parser::{Event, Parser};

use super::spots::{KeySpot, KeySpots, MOST_DEPTH, WordSpot, below};

/// A list or a map that is being read.
enum OpenPart {
    List(String, usize),
    Map(String, Option<KeySpot>),
}

/// The keys of a text. Of one that cannot be read those before its mistake.
pub(super) fn spots(text: &str) -> KeySpots {
    let mut parser = Parser::new_from_str(text);
    let mut open: Vec<OpenPart> = Vec::new();
    let mut found = KeySpots::new();
    // The parser counts characters.
    let bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    while let Ok((event, marker)) = parser.next_token() {
        match event {
            Event::Scalar(value, ..) => {
                let at = bytes.get(marker.index()).copied();
                let spot = WordSpot {
                    word: value,
                    at: at.unwrap_or(text.len()),
                    line: marker.line(),
                };
                scalar(&mut open, spot, &mut found);
            }
            Event::Alias(_) => {
                let nowhere = WordSpot {
                    word: String::new(),
                    at: text.len(),
                    line: 0,
                };
                scalar(&mut open, nowhere, &mut found);
            }
            Event::SequenceStart(..) => {
                let path = begun(&mut open, &mut found);
                open.push(OpenPart::List(path, 0));
            }
            Event::MappingStart(..) => {
                let path = begun(&mut open, &mut found);
                open.push(OpenPart::Map(path, None));
            }
            Event::SequenceEnd | Event::MappingEnd => drop(open.pop()),
            Event::DocumentEnd | Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart => {}
        }
        if open.len() > MOST_DEPTH {
            break;
        }
    }
    found
}

/// A single value: a key, the value of one, or an item.
fn scalar(open: &mut [OpenPart], spot: WordSpot, found: &mut KeySpots) {
    match open.last_mut() {
        Some(OpenPart::List(_, count)) => *count += 1,
        Some(OpenPart::Map(path, key)) => match key.take() {
            None => {
                *key = Some(KeySpot {
                    key: spot,
                    value: None,
                });
            }
            Some(KeySpot { key, .. }) => {
                let path = below(path, &key.word);
                let value = Some(spot);
                found.insert(path.to_lowercase(), KeySpot { key, value });
            }
        },
        None => {}
    }
}

/// The path of a list or a map that begins here.
fn begun(open: &mut [OpenPart], found: &mut KeySpots) -> String {
    match open.last_mut() {
        Some(OpenPart::List(path, count)) => {
            let path = format!("{path}[{count}]");
            *count += 1;
            path
        }
        Some(OpenPart::Map(path, key)) => {
            let Some(spot) = key.take() else {
                return path.clone();
            };
            let path = below(path, &spot.key.word);
            found.insert(path.to_lowercase(), spot);
            path
        }
        None => String::new(),
    }
}
