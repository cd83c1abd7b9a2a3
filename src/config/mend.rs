//! Mistakes that have one obvious mend: a key or a word that is misspelt. Mended in the file's own text, so that comments and
//! order stay.

use std::collections::HashMap;
use std::ops::Range;

use yaml_rust2::parser::{Event, Parser};

use super::error::Problem;

/// How deep a file may be nested.
const MOST_DEPTH: usize = 64;

/// One change of a file's text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mend {
    /// The path of the key: `llm.providers[0].api_kyes`.
    pub path: String,
    /// The line that it is on, from 1.
    pub line: usize,
    /// What stands there.
    pub before: String,
    /// What is to stand there.
    pub after: String,
    range: Range<usize>,
}

/// Where a key and its value are in a text.
#[derive(Clone, Debug)]
struct KeySpot {
    key: String,
    /// In characters.
    key_at: usize,
    key_line: usize,
    /// A text or another single value, with its place.
    value: Option<(String, usize, usize)>,
}

/// The mends of these mistakes in a text of YAML or JSON. Mistakes without an obvious one, and those of other places than the
/// text, have none.
pub fn mends(text: &str, problems: &[Problem]) -> Vec<Mend> {
    let spots = spots(text);
    let bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let found = problems.iter().filter_map(|problem| {
        let after = meant(problem)?;
        let path = problem.place.rsplit_once(' ');
        let path = path.map_or(problem.place.as_str(), |(_, path)| path);
        let spot = spots.get(&path.to_lowercase())?;
        let (before, at, line) = match problem.message.as_str() {
            "unknown key" => {
                // Somebody has both: which one is meant is not obvious.
                let (parent, _) = path.rsplit_once('.').unwrap_or(("", path));
                let mark = if parent.is_empty() { "" } else { "." };
                let taken = format!("{parent}{mark}{after}").to_lowercase();
                if spots.contains_key(&taken) {
                    return None;
                }
                (spot.key.clone(), spot.key_at, spot.key_line)
            }
            message if message.starts_with("expected one of ") => spot.value.clone()?,
            _ => return None,
        };
        let start = *bytes.get(at)?;
        let rest = text.get(start..)?;
        let quote = rest
            .chars()
            .next()
            .filter(|letter| matches!(letter, '"' | '\''));
        let start = start + quote.map_or(0, char::len_utf8);
        let range = start..start + before.len();
        // What is written with escapes, or over several lines, is not touched.
        (text.get(range.clone())? == before).then(|| Mend {
            path: path.to_owned(),
            line,
            before,
            after: after.to_owned(),
            range,
        })
    });
    let mut found: Vec<Mend> = found.collect();
    found.sort_by_key(|mend| mend.range.start);
    found.dedup_by_key(|mend| mend.range.start);
    found
}

/// The text with these changes.
pub fn mended(text: &str, mends: &[Mend]) -> String {
    let mut out = text.to_owned();
    for mend in mends.iter().rev() {
        out.replace_range(mend.range.clone(), &mend.after);
    }
    out
}

/// The word that a mistake's suggestion names, if it names one.
fn meant(problem: &Problem) -> Option<&str> {
    let suggestion = problem.suggestion.as_deref()?;
    let word = suggestion.strip_prefix("did you mean `")?;
    word.strip_suffix("`?").filter(|word| !word.contains('`'))
}

/// A list or a map that is being read.
enum OpenPart {
    List(String, usize),
    Map(String, Option<KeySpot>),
}

/// The keys of a text by their paths, in small letters. Of a text that cannot be read those before its mistake.
fn spots(text: &str) -> HashMap<String, KeySpot> {
    let mut parser = Parser::new_from_str(text);
    let mut open: Vec<OpenPart> = Vec::new();
    let mut found = HashMap::new();
    while let Ok((event, marker)) = parser.next_token() {
        match event {
            Event::Scalar(value, ..) => {
                let place = (value, marker.index(), marker.line());
                scalar(&mut open, place, &mut found);
            }
            Event::Alias(_) => scalar(&mut open, (String::new(), 0, 0), &mut found),
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
fn scalar(
    open: &mut [OpenPart],
    (value, at, line): (String, usize, usize),
    found: &mut HashMap<String, KeySpot>,
) {
    match open.last_mut() {
        Some(OpenPart::List(_, count)) => *count += 1,
        Some(OpenPart::Map(path, key)) => match key.take() {
            None => {
                *key = Some(KeySpot {
                    key: value,
                    key_at: at,
                    key_line: line,
                    value: None,
                });
            }
            Some(spot) => {
                let path = below(path, &spot.key);
                let value = Some((value, at, line));
                found.insert(path.to_lowercase(), KeySpot { value, ..spot });
            }
        },
        None => {}
    }
}

/// The path of a list or a map that begins here.
fn begun(open: &mut [OpenPart], found: &mut HashMap<String, KeySpot>) -> String {
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
            let path = below(path, &spot.key);
            found.insert(path.to_lowercase(), spot);
            path
        }
        None => String::new(),
    }
}

fn below(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(place: &str, message: &str, suggestion: &str) -> Problem {
        Problem {
            place: place.to_owned(),
            message: message.to_owned(),
            suggestion: Some(suggestion.to_owned()),
        }
    }

    const TEXT: &str = "\
# our keys — two of them
servr: {listen: '127.0.0.1:1'}
llm:
  providers:
    - name: a          # the first
      key_rotation: \"roundrobin\"
      api_kyes: [k1]
      timeouts: {conect: 5s, connect: 6s}
";

    #[test]
    fn misspelt_keys_and_words_are_mended_in_place() {
        let problems = [
            problem(
                "my file.yaml servr",
                "unknown key",
                "did you mean `server`?",
            ),
            problem(
                "my file.yaml llm.providers[0].key_rotation",
                "expected one of round_robin, sticky",
                "did you mean `round_robin`?",
            ),
            problem(
                "llm.providers[0].api_kyes",
                "unknown key",
                "did you mean `api_keys`?",
            ),
            problem(
                "llm.providers[0].timeouts.conect",
                "unknown key",
                "did you mean `connect`?",
            ),
            problem("llm.providers[0].name", "unknown key", "known here: a, b"),
            problem("environment X", "unknown key", "did you mean `y`?"),
        ];
        let found = mends(TEXT, &problems);
        let told: Vec<(usize, &str, &str)> = found
            .iter()
            .map(|mend| (mend.line, mend.before.as_str(), mend.after.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (2, "servr", "server"),
                (6, "roundrobin", "round_robin"),
                (7, "api_kyes", "api_keys"),
            ]
        );
        let expected = TEXT
            .replace("servr", "server")
            .replace("roundrobin", "round_robin")
            .replace("api_kyes", "api_keys");
        assert_eq!(mended(TEXT, &found), expected);
    }

    #[test]
    fn json_is_mended_too() {
        let text = r#"{"servr": {"listen": []}}"#;
        let problems = [problem(
            "p.json servr",
            "unknown key",
            "did you mean `server`?",
        )];
        let found = mends(text, &problems);
        assert_eq!(mended(text, &found), r#"{"server": {"listen": []}}"#);
    }

    proptest! {
        #[test]
        fn nothing_panics_whatever_the_text_is(text in "\\PC{0,80}", place in "[a-c.\\[\\]0-1]{0,8}") {
            let problems = [problem(&place, "unknown key", "did you mean `x`?")];
            let found = mends(&text, &problems);
            let _ = mended(&text, &found);
        }
    }
}
